"""Re-embedding: vectors of another embedder for all chunks, while the store is searched and written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Embedding
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import InputError
from hybridstore.store import calibration
from hybridstore.store.embedder_choice import StoreEmbedder, embedded_text, identify

_AT_ONCE = 128  # chunks embedded between two commits: a second or two on two cores


def reembed(
    backend: Backend,
    embedders: StoreEmbedder,
    embedder: str | Path | Embedder | None,
    *,
    keep: bool = False,
    promote: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Embed every chunk with another embedder and switch to it; see `Store.reembed`."""
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
    done = 0
    while True:
        backend.begin(identity)
        total = done + backend.pending_count()  # counted once: counting reads every vector's page
        while passages := backend.pending(_AT_ONCE):
            texts = [embedded_text(passage.title, passage.heading, passage.text) for passage in passages]
            backend.fill(identity, [passage.chunk for passage in passages], target.embed_documents(texts))
            done += len(passages)
            if progress:
                progress(done, max(done, total))
        with suppress(InputError):  # nothing is being built: it is the active one, or another process has switched
            backend.switch(keep=keep, promote=promote)
        active = backend.embeddings().active
        if active is not None and active.fingerprint == identity.fingerprint and not backend.pending(1):
            if promote is not None:
                backend.learning.promote(promote)  # changes nothing, unless there was nothing to switch
            embedders.adopt(target)
            calibration.calibrate(backend, embedders.for_queries() or target)
            return done


def _check_promotable(backend: Backend, promote: int, identity: Embedding) -> None:
    """Raise before the work, not after it, where the switch could not promote this model version."""
    target = {model.number: model.target for model in backend.learning.models()}.get(promote)
    if target != identity.fingerprint:
        has = "does not exist" if target is None else f"is for vectors of {target}"
        raise InputError(f"model {promote} {has}, and those to be made are of {identity.fingerprint}")
