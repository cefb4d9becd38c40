"""Re-embedding: vectors of another embedder for all chunks, while the store is searched and written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Embedding, Passage, Restriction
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import EmbedderMismatch, InputError, MissingExtra, ModelUnavailable, NotFound
from hybridstore.store import calibration
from hybridstore.store.chunk_vectors import embedded_until, portions, vectors_of
from hybridstore.store.embedder_choice import GIVEN, StoreEmbedder, embedded_text, identify
from hybridstore.store.inputs import digest_of

_AT_ONCE = 128  # chunks embedded between two commits: a second or two on two cores


def reembed(
    backend: Backend,
    embedders: StoreEmbedder,
    embedder: str | Path | Embedder | None,
    *,
    keep: bool = False,
    promote: int | None = None,
    before_switch: Callable[[Embedder], None] = lambda _: None,
    adopt: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Embed every chunk with another embedder and switch to it; see `Store.reembed`.

    `before_switch` is called with the embedder when its vectors are there and not searched yet.
    """
    begun = backend.embeddings().building if embedders.follows_store else None
    if embedder is not None:
        target: Embedder | None = embedders.load(embedder)
    else:
        target = embedders.for_writing() if begun is None else embedders.load_recorded(begun.reference)
    if target is None:
        raise InputError("name the embedder to change to, such as 'all-MiniLM-L6-v2'")
    identity = identify(target)
    if promote is not None:
        _check_promotable(backend, promote, identity)
    make = _adopting(backend, target) if adopt else partial(_made, target)
    done = 0
    while True:
        backend.begin(identity)
        total = done + backend.pending_count()  # counted once: counting reads every vector's page
        for passages in _pending(backend):
            backend.fill(identity, [passage.chunk for passage in passages], make(passages))
            done += len(passages)
            if progress:
                progress(done, max(done, total))
        if backend.embeddings().building is not None:
            before_switch(target)
        with suppress(InputError):  # nothing is being built: it is the active one, or another process has switched
            backend.switch(keep=keep, promote=promote)
        active = backend.embeddings().active
        if active is not None and active.fingerprint == identity.fingerprint and not backend.pending(1):
            if promote is not None:
                backend.learning.promote(promote)  # changes nothing, unless there was nothing to switch
            embedders.adopt(target)
            done += fill_legs(backend, embedders, progress=progress)
            calibration.calibrate(backend, embedders.for_queries() or target, embedders.available())
            return done


def _pending(backend: Backend) -> Iterator[Sequence[Passage]]:
    while passages := backend.pending(_AT_ONCE):
        yield from portions(passages)


def _made(embedder: Embedder, passages: Sequence[Passage]) -> NDArray[np.float32]:
    return vectors_of(embedder, [embedded_text(passage.title, passage.heading, passage.text) for passage in passages])


def _adopting(backend: Backend, embedder: Embedder) -> Callable[[Sequence[Passage]], NDArray[np.float32]]:
    """Return what returns the vectors that passages have, and makes those that they lack; raises InputError."""
    given = backend.embeddings().active
    if given is None or given.reference != GIVEN or given.dim != embedder.dim:
        has = "no vectors" if given is None else f"vectors of {given.fingerprint}"
        raise InputError(
            f"adopt takes over vectors that their caller passed, with the {embedder.dim} dimensions of "
            f"{embedder.fingerprint}; this store has {has}"
        )

    def adopted(passages: Sequence[Passage]) -> NDArray[np.float32]:
        vectors = backend.vectors([passage.chunk for passage in passages])
        lacking: list[int] = np.flatnonzero(~vectors.any(axis=1)).tolist()
        if lacking:
            vectors[lacking] = _made(embedder, [passages[n] for n in lacking])
        return vectors

    return adopted


def add_leg(
    backend: Backend,
    embedders: StoreEmbedder,
    embedder: str | Path | Embedder,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Add a vector leg, or make the vectors that it lacks, and measure it; see `Store.reembed`."""
    target = embedders.load(embedder)
    backend.add_leg(identify(target))
    embedders.adopt_added(target)
    done = fill_legs(backend, embedders, only=target.fingerprint, progress=progress)
    measure(backend, embedders)
    return done


def embed_legs(
    backend: Backend,
    embedders: StoreEmbedder,
    *,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    stopped: Callable[[], bool] | None = None,
) -> int:
    """Make the vectors that added legs lack, at most `limit`, and measure legs that have grown; see `Store.embed`."""
    legs, chunks = backend.state().legs, backend.state().chunks
    if not legs:
        return 0
    made = fill_legs(backend, embedders, limit=limit, progress=progress, stopped=stopped)
    known = [leg.calibration.chunks for leg in legs if leg.calibration is not None]
    if made and not (stopped and stopped()) and chunks >= calibration.CHANGED * min(known):
        measure(backend, embedders)
    return made


def measure(backend: Backend, embedders: StoreEmbedder) -> None:
    """Measure the store's vectors with the embedders that are available here; others are left to whoever has them."""
    own = None
    with suppress(EmbedderMismatch, InputError, MissingExtra, ModelUnavailable):
        own = embedders.for_queries()
    calibration.calibrate(backend, own, embedders.available())


def fill_legs(
    backend: Backend,
    embedders: StoreEmbedder,
    *,
    only: str | None = None,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    stopped: Callable[[], bool] | None = None,
) -> int:
    """Make the vectors that chunks lack in the added legs whose embedders are available; return how many were made.

    `only` is the fingerprint of one leg. At most `limit` vectors are made, if there is a limit.
    """
    done = 0
    for fingerprint, embedder in embedders.available().items():
        if only not in {None, fingerprint}:
            continue
        total = done + backend.pending_count(fingerprint)
        while passages := backend.pending(_AT_ONCE if limit is None else min(_AT_ONCE, limit - done), fingerprint):
            for some in portions(passages):
                done += _fill(backend, embedder, some, {}, stopped)
                if stopped and stopped():
                    return done
                if progress:
                    progress(done, max(done, total))
    return done


def fill_documents(
    backend: Backend,
    embedders: StoreEmbedder,
    ids: Collection[str],
    known: Mapping[str, Mapping[bytes, NDArray[np.float32]]],
) -> None:
    """Make the vectors of documents that were just written in the added legs that are searched and available.

    `known` are vectors by leg and by the digest of what was embedded, which are used again.
    """
    searched = {leg.embedding.fingerprint for leg in backend.state().legs}
    if not searched or not ids:
        return
    chunks = [chunk for own in backend.chunks_of(list(ids), Restriction()).values() for chunk in own]
    for fingerprint, embedder in embedders.available().items():
        for first in range(0, len(chunks) if fingerprint in searched else 0, _AT_ONCE):
            passages = backend.passages(chunks[first : first + _AT_ONCE])
            _fill(backend, embedder, passages, known.get(fingerprint, {}))


def _fill(
    backend: Backend,
    embedder: Embedder,
    passages: Sequence[Passage],
    known: Mapping[bytes, NDArray[np.float32]],
    stopped: Callable[[], bool] | None = None,
) -> int:
    """Store the vectors of passages until `stopped`; return of how many."""
    texts = [embedded_text(passage.title, passage.heading, passage.text) for passage in passages]
    vectors = {text: known[digest] for text in texts if (digest := digest_of(text)) in known}
    lacking = [text for text in dict.fromkeys(texts) if text not in vectors]
    if lacking:
        made, new = embedded_until(stopped, embedder, lacking)
        vectors.update(zip([lacking[n] for n in made], new, strict=True))
    chunks = {passage.chunk: vectors[text] for passage, text in zip(passages, texts, strict=True) if text in vectors}
    if chunks:
        backend.fill(identify(embedder), list(chunks), np.stack(list(chunks.values())))
    return len(chunks)


def drop_leg(backend: Backend, name: str) -> str:
    """Take away an added leg; see `Store.drop_leg`."""
    there = backend.embeddings()
    named = {leg.fingerprint for leg in there.added if name in _names(leg)}
    if not named:
        if there.active is not None and name in _names(there.active):
            raise InputError(
                f"{name} made the store's own vectors; `hybridstore reembed --embedder NAME` changes to another one"
            )
        known = ", ".join(leg.fingerprint.partition("@")[0] for leg in there.added) or "none"
        raise NotFound(name, f"this store has no added vector leg {name!r}; there are: {known}")
    if len(named) > 1:
        raise InputError(f"{name!r} names several legs; name one of {', '.join(sorted(named))}")
    fingerprint = named.pop()
    backend.drop_leg(fingerprint)
    return fingerprint


def _names(leg: Embedding) -> set[str]:
    return {leg.fingerprint, leg.fingerprint.partition("@")[0], leg.reference}


def _check_promotable(backend: Backend, promote: int, identity: Embedding) -> None:
    """Raise before the work, not after it, where the switch could not promote this model version."""
    target = {model.number: model.target for model in backend.learning.models()}.get(promote)
    if target != identity.fingerprint:
        has = "does not exist" if target is None else f"is for vectors of {target}"
        raise InputError(f"model {promote} {has}, and those to be made are of {identity.fingerprint}")
