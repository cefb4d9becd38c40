# ruff: noqa: D102 - the protocols document each method
"""Several stores read as one: what a search asks a backend for, answered by all of them together.

A chunk's id here is its id in its store, after those of the stores before: the one that it would have in a store that
was filled with one after the other. So ties, and the sample of vectors, are as they would be there. BM25 is by the
statistics of all stores, and cosines know no statistics.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain
from types import SimpleNamespace
from typing import Any, TypeVar
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend, SearchState
from hybridstore.backends.resident.vector_sample import evenly_spread
from hybridstore.backends.values import Calibration, Capabilities, Embeddings, Passage, Restriction, StoredDocument
from hybridstore.errors import EmbedderMismatch, InputError
from hybridstore.filters import Filter
from hybridstore.records import CorpusStatistics, KeywordQuery, Ranking, Term
from hybridstore.text.analysis import Analyser

_REMEMBERED = 8  # samples of sets of stores, some 400 KB each
T = TypeVar("T")
Ids = NDArray[np.int64]

_samples: OrderedDict[tuple[Any, ...], tuple[Ids, NDArray[np.float32]]] = OrderedDict()
_lock = threading.Lock()


class StoreUnion:
    """The reading half of a Backend over several `backends`, in their order; they stay open.

    Without `vectors` theirs are not read. Raises InputError where they cannot rank as one: keywords of different
    languages or analyses, or one store twice; `state` raises it for vectors of some only, and EmbedderMismatch for
    vectors of different embedders.
    """

    capabilities = Capabilities()
    folder = key = None

    def __init__(self, backends: Sequence[Backend], *, vectors: bool = True) -> None:
        if not backends:
            raise InputError("name at least one store to search")
        if len({id(backend) for backend in backends}) < len(backends):
            raise InputError("a store is named twice, and its passages would count twice")
        analyses = {(backend.language, backend.analyser.version) for backend in backends}
        if len(analyses) > 1:
            known = ", ".join(f"{language} (analysis {version})" for language, version in sorted(analyses))
            raise InputError(
                f"these stores cannot rank as one, as their words are analysed differently: {known}; "
                "`hybridstore reindex` brings one up to date, its language cannot be changed"
            )
        self._backends, self._vectors = backends, vectors
        self._bases, self._entered = np.zeros(len(backends), np.int64), 0
        self.calibration: Calibration | None = None
        self.learning: Any = SimpleNamespace(model=lambda: None)
        self.language, self.location = backends[0].language, " + ".join(backend.location for backend in backends)

    def close(self) -> None:
        """Do nothing: whoever opened the stores closes them."""

    @property
    def analyser(self) -> Analyser:
        return self._backends[0].analyser

    @contextmanager
    def snapshot(self, *, stale: bool = False) -> Iterator[None]:
        """See one state of each store in the block; there is none of all of them."""
        with ExitStack() as stack:
            for backend in self._backends:
                snapshot = backend.snapshot(stale=stale)
                snapshot.__enter__()
                stack.push(snapshot.__exit__)  # not of the class, as `enter_context` looks for it: it may be a property
            if not self._entered:
                self._bases = np.cumsum([0, *(backend.last_chunk() for backend in self._backends[:-1])])
            self._entered += 1
            try:
                yield
            finally:
                self._entered -= 1

    def state(self) -> SearchState:
        states = [backend.state() for backend in self._backends]
        filled = [(backend, state) for backend, state in zip(self._backends, states, strict=True) if state.chunks]
        filled = filled if self._vectors else []
        embeddings = {state.embedding.fingerprint: state.embedding for _, state in filled if state.embedding}
        if len(embeddings) > 1:
            first, second, *_ = embeddings
            raise EmbedderMismatch(
                first,
                second,
                f"these stores cannot rank as one, as their vectors are of different embedders, {first} and {second}: "
                "search with mode='keyword', or `hybridstore reembed` the others",
            )
        lacking = [backend.location for backend, state in filled if state.embedding is None]
        if embeddings and lacking:
            raise InputError(
                f"{lacking[0]} has no vectors, and other stores have: search with mode='keyword', or make them with "
                "`hybridstore reembed`"
            )
        return SearchState(
            chunks=sum(state.chunks for state in states),
            embedding=next(iter(embeddings.values()), None),
            calibration=self.calibration,
            revision=sum(state.revision for state in states),
        )

    def embeddings(self) -> Embeddings:
        return Embeddings(active=self.state().embedding)

    # the keyword leg

    def statistics(self, query: KeywordQuery) -> CorpusStatistics:
        return sum((backend.statistics(query) for backend in self._backends), CorpusStatistics())

    def match(self, query: KeywordQuery, depth: int, restriction: Restriction) -> tuple[Ranking, tuple[Term, ...]]:
        query = replace(query, corpus=self.statistics(query))
        matched = [backend.match(query, depth, restriction) for backend in self._backends]
        return self._merged([ranking for ranking, _ in matched], depth), matched[0][1]

    def vocabulary(self, beginnings: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        for beginning, limit in beginnings:
            counts: Counter[str] = Counter()
            for backend in self._backends:
                counts.update(dict(backend.vocabulary([(beginning, limit)])))
            found += sorted(counts.items())[:limit]
        return found

    def holds(self, phrase: tuple[str, ...], restriction: Restriction) -> bool:
        return any(backend.holds(phrase, restriction) for backend in self._backends)

    # the vector leg

    def nearest(
        self, vector: NDArray[np.float32], depth: int, restriction: Restriction, leg: str | None = None
    ) -> Ranking:
        return self._merged([backend.nearest(vector, depth, restriction, leg) for backend in self._backends], depth)

    def missing(self) -> Ids:
        return np.concatenate([base + backend.missing() for base, backend in self._based()])

    def sample(self, leg: str | None = None) -> tuple[Ids, NDArray[np.float32]]:
        states = [(ref(backend), backend.state().revision) for backend in self._backends]
        key = (leg, *states)
        with _lock:
            known = _samples.get(key)
        if known is None:
            last = int(self._bases[-1]) + self._backends[-1].last_chunk()
            chunks = evenly_spread(last or None, lambda step, limit: self.first_vectors(step, limit, 0, leg))
            known = chunks, self.vectors(chunks.tolist(), leg)
            with _lock:
                _samples[key] = known
                while len(_samples) > _REMEMBERED:
                    _samples.popitem(last=False)
        return known

    def first_vectors(self, step: int, limit: int, shift: int = 0, leg: str | None = None) -> Ids:
        parts = [base + backend.first_vectors(step, limit, base + shift, leg) for base, backend in self._based()]
        found = np.concatenate(parts)
        return found[np.unique((found + shift) // step, return_index=True)[1]][:limit]

    def vectors(self, chunks: Sequence[int], leg: str | None = None) -> NDArray[np.float32]:
        parts = self._apart(chunks, lambda backend, own: backend.vectors(own.tolist(), leg))
        return _in_order(parts) if parts else np.zeros((0, 0), np.float32)

    # both legs

    def evidence(
        self, chunks: Ids, terms: Sequence[Term], vector: NDArray[np.float32] | None, average: float | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
        average = average or self.statistics(KeywordQuery()).average
        parts = self._apart(chunks, lambda backend, own: backend.evidence(own, terms, vector, average))
        if not parts:
            return np.zeros((0, len(terms)), np.float32), None if vector is None else np.zeros(0)
        impacts = _in_order([(places, found) for places, (found, _) in parts])
        cosines = [(places, found) for places, (_, found) in parts if found is not None]
        return impacts, _in_order(cosines) if cosines else None

    # documents

    def passages(self, chunks: Sequence[int]) -> list[Passage]:
        found: dict[int, Passage] = {}
        for base, backend, _, own in self._owners(chunks):
            for passage in backend.passages(own.tolist()):
                found[base + passage.chunk] = replace(passage, chunk=base + passage.chunk)
        return [found[chunk] for chunk in chunks if chunk in found]

    def documents_of(self, chunks: Sequence[int]) -> list[str]:
        return [passage.document_id for passage in self.passages(chunks)]

    def chunks_of(self, ids: Sequence[str], restriction: Restriction) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for base, backend in self._based():
            for id_, chunks in backend.chunks_of(ids, restriction).items():
                found.setdefault(id_, []).extend(base + chunk for chunk in chunks)
        return found

    def ids(self, where: Filter | None = None) -> list[str]:
        return [id_ for backend in self._backends for id_ in backend.ids(where)]

    def scan(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[StoredDocument]:
        return chain.from_iterable(backend.scan(where, vectors=vectors) for backend in self._backends)

    # ids

    def place(self, chunk: int) -> tuple[int, int]:
        """Return the place of a chunk's store, and the chunk's id there."""
        place = int(self._bases.searchsorted(chunk)) - 1
        return place, chunk - int(self._bases[place])

    def _based(self) -> Iterator[tuple[int, Backend]]:
        return zip(self._bases.tolist(), self._backends, strict=True)

    def _merged(self, rankings: Sequence[Ranking], depth: int) -> Ranking:
        chunks = np.concatenate([base + each.chunks for base, each in zip(self._bases, rankings, strict=True)])
        scores = np.concatenate([ranking.scores for ranking in rankings])
        best = np.lexsort((chunks, -scores))[: max(depth, 0)]
        return Ranking(chunks[best], scores[best])

    def _owners(self, chunks: Sequence[int] | Ids) -> Iterator[tuple[int, Backend, NDArray[np.intp], Ids]]:
        """Yield each store that has some of the chunks: its base, itself, their places among them, and their ids."""
        ids = np.asarray(chunks, np.int64)
        owners = self._bases.searchsorted(ids) - 1
        for number in np.unique(owners).tolist():
            places, base = np.flatnonzero(owners == number), int(self._bases[number])
            yield base, self._backends[number], places, ids[places] - base

    def _apart(self, chunks: Sequence[int] | Ids, ask: Callable[[Backend, Ids], T]) -> list[tuple[NDArray[np.intp], T]]:
        return [(places, ask(backend, own)) for _, backend, places, own in self._owners(chunks)]


def _in_order(parts: Sequence[tuple[NDArray[np.intp], NDArray[Any]]]) -> NDArray[Any]:
    """Return rows that were asked for apart in the order of the chunks."""
    order = np.concatenate([places for places, _ in parts])
    rows = np.concatenate([found for _, found in parts])
    return rows[order.argsort(kind="stable")]
