"""Filling: the vectors that chunks lack are made while the store is searched, by any number of processes at once."""

from __future__ import annotations

import random
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Passage, Restriction
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import EmbedderMismatch, HybridstoreError, ModelUnavailable, StoreBusy
from hybridstore.search.algebra import About, Words
from hybridstore.search.algebra_text import replayed
from hybridstore.search.query_plan import plan
from hybridstore.store import calibration
from hybridstore.store.chunk_vectors import embedded_until, portions
from hybridstore.store.embedder_choice import StoreEmbedder, embedded_text, identify

if TYPE_CHECKING:
    from hybridstore.store.store import Store

Chunks = NDArray[np.int64]

_AT_ONCE = 128  # chunks embedded between two commits: a second or two on two cores
_AT_ONCE_OF_MANY, _MANY = 512, 100_000  # of so many missing ones, which take a tenth of a second to list
_SPREAD = 512  # vectors that are spread over the store first: the calibration and the statistics of cosines need them
_LOGGED, _LOGGED_DEPTH = 64, 16  # logged queries, and the best of the chunks with their words
_EACH = 67  # characters: the cost of a text as such
_SAMPLED = 128  # chunks, to estimate the cost of those left: 3 ms, while a block of them takes seconds
_LOOK = 2.0  # seconds between two looks at whether vectors are missing
_UP_TO_DATE = 1.05  # times as many vectors as were calibrated with, up to which a filled store is not measured again


def embed(
    backend: Backend,
    embedders: StoreEmbedder,
    *,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    asked: Callable[[], Iterable[int]] = tuple,
    work: Callable[[float], None] | None = None,
    stopped: Callable[[], bool] | None = None,
) -> int:
    """Make the vectors that chunks lack, at most `limit`; see `Store.embed`. `asked` are chunks that searches found."""
    embedder = _of_missing(backend, embedders)
    if embedder is None:
        return 0
    order, done, made, spent = _Order(_of_logged_queries(backend)), 0, 0, 0.0
    if progress:
        progress(0, len(backend.missing()))  # at once: on a busy machine the first block takes a minute
    with suppress(EmbedderMismatch):  # another process has begun to re-embed, which makes all of them
        while (limit is None or made < limit) and not (stopped and stopped()):
            missing = backend.missing()
            block = order.next(missing, backend.state().chunks - len(missing), asked())
            block = block if limit is None else block[: limit - made]
            if not len(block):
                break
            passages, total = backend.passages(block.tolist()), done + len(missing)
            order.collided, done = False, done + len(block) - len(passages)
            rest = _cost(passages) + (_cost_of(backend, np.setdiff1d(missing, block)) if work else 0.0)
            for some in portions(passages):
                texts = [embedded_text(passage.title, passage.heading, passage.text) for passage in some]
                embedded, vectors = embedded_until(stopped, embedder, texts)
                stored = backend.fill(identify(embedder), [some[n].chunk for n in embedded], vectors)
                made, done = made + stored, done + len(some)
                if stopped and stopped():
                    return made
                order.collided = order.collided or stored < len(some)
                spent, rest = spent + _cost(some), rest - _cost(some)
                if work:
                    work(spent / (spent + rest))
                if progress:
                    progress(done, max(total, done))
            _calibrate(backend, embedders, calibration.CHANGED)
        if made and not len(backend.missing()):
            _calibrate(backend, embedders, _UP_TO_DATE)
    return made


def _of_missing(backend: Backend, embedders: StoreEmbedder) -> Embedder | None:
    """Return the embedder of vectors that are missing; None where there is none, or all are to be made anew."""
    there = backend.embeddings()
    if there.active is None or there.building is not None or not embedders.can_embed() or not len(backend.missing()):
        return None
    return embedders.for_writing()


def _cost(passages: Sequence[Passage]) -> float:
    return sum(_EACH + len(passage.text) for passage in passages)


def _cost_of(backend: Backend, chunks: Chunks) -> float:
    """Estimate the cost of chunks from a sample: their order is not random, and long ones may come last."""
    if not len(chunks):
        return 0.0
    passages = backend.passages(chunks[np.linspace(0, len(chunks) - 1, _SAMPLED).astype(np.intp)].tolist())
    return len(chunks) * _cost(passages) / max(len(passages), 1)


@contextmanager
def in_background(store: Store) -> Iterator[None]:
    """Make missing vectors in a thread of its own while the block runs, whoever adds text to the store.

    Leaving the block waits for the few vectors that are being made. An error ends the thread, with a RuntimeWarning,
    except that another process is writing.
    """
    stop = threading.Event()

    def fill() -> None:
        while not stop.wait(_LOOK):
            try:
                if store.embeddings.missing_count():
                    store.embed(stopped=stop.is_set)
            except StoreBusy:
                continue
            except HybridstoreError as error:
                warnings.warn(f"vectors are missing, and none can be made: {error}", RuntimeWarning, stacklevel=2)
                return

    thread = threading.Thread(target=fill, name="hybridstore-filling")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _calibrate(backend: Backend, embedders: StoreEmbedder, changed: float) -> None:
    """Measure the vectors there are, if there are enough and `changed` times as many as when that was done last."""
    few = backend.state().chunks - len(backend.missing()) < _SPREAD // 2
    if (few and len(backend.missing())) or not calibration.is_due(backend, changed):
        return
    with suppress(EmbedderMismatch, ModelUnavailable):
        if queries := embedders.for_queries():
            calibration.calibrate(backend, queries, embedders.available())


class _Order:
    """Which chunks are embedded next: some of everywhere, then what was asked for, and then the newest first.

    Where another process has filled what this one was working on (`collided`), this one goes on elsewhere, so that two
    of them do the same work for one block at most each time they meet. No lock is needed, and none is left behind.
    """

    def __init__(self, logged: Chunks) -> None:
        self.collided = False
        self._logged = logged
        self._tried = np.empty(0, np.int64)  # once in a run: a damaged chunk stays missing
        self._newest: int | None = None  # to begin with, after a collision

    def next(self, missing: Chunks, there: int, asked: Iterable[int]) -> Chunks:
        """Return the next chunks of those that are missing, ascending; `there` is how many have a vector."""
        left = np.setdiff1d(missing, self._tried, assume_unique=True)
        if not len(left):
            return left
        count = _AT_ONCE if len(left) < _MANY else _AT_ONCE_OF_MANY
        # While few are there, those that were asked for alone would make a sample that is like the questions.
        wanted = np.array([] if there < _SPREAD else [*asked, *self._logged], np.int64)
        block = wanted[np.isin(wanted, left)][:count]
        if len(block) < count:
            rest = np.setdiff1d(left, block)
            block = np.concatenate([block, self._rest(rest, count - len(block), spread=there < _SPREAD)])
        block = np.unique(block)
        self._tried = np.concatenate([self._tried, block])
        return block

    def _rest(self, left: Chunks, count: int, *, spread: bool) -> Chunks:
        if len(left) <= count:
            return left
        if self.collided:
            self._newest = int(random.choice(left))  # noqa: S311 - no secret
        if spread and self._newest is None:
            return left[np.linspace(0, len(left) - 1, count).astype(np.intp)]
        end = len(left) if self._newest is None else int(left.searchsorted(self._newest, side="right"))
        if not end:  # nothing older is left
            self._newest, end = None, len(left)
        return left[max(end - count, 0) : end]


def _of_logged_queries(backend: Backend) -> Chunks:
    """Return the chunks with the words of the most frequent logged queries, best first."""
    found: list[int] = []
    for logged in backend.learning.query_log()[:_LOGGED]:
        asked = replayed(logged.query)
        leaves = [] if isinstance(asked, str) else [part for part in asked.parts() if isinstance(part, About | Words)]
        text = asked if isinstance(asked, str) else " ".join(leaf.text for leaf in leaves)
        query = plan(text, backend.analyser, "simple", ()).keyword
        found += backend.match(query, _LOGGED_DEPTH, Restriction())[0].chunks.tolist()
    return np.array(list(dict.fromkeys(found)), np.int64)
