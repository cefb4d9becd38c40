"""Another embedder for a store, as a version that can be taken back: promoted with all its vectors, or rolled back.

Both fill a second set of vectors beside the one that is searched, and change over in one step; searches answer as
before until then. A process that is killed meanwhile has changed nothing that a search sees: the same call goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hybridstore import embedders
from hybridstore.backends.learning import LearningBackend, ModelVersion
from hybridstore.backends.values import Embedding
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import InputError, ModelUnavailable
from hybridstore.store import Store
from hybridstore.store.embedder_choice import GIVEN, identify

# Called with (chunks embedded, of how many).
Progress = Callable[[int, int], None]
BEFORE = "before"  # in a version's report: the embedding that it took the place of


def promote_embedder(
    store: Store,
    embedder: str | Path | Embedder,
    report: Mapping[str, Any] | None = None,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> ModelVersion:
    """Give all chunks vectors of this embedder, and make it the store's; give the version that it is.

    `report` is what was measured about it. The vectors before are kept, so that `rollback` is quick. One that is the
    store's already, is left as it is.

    Raises:
        ModelUnavailable: the embedder cannot be loaded.

    """
    target = _loaded(embedder, threads)
    identity, learning = identify(target), store.learning
    active = learning.model()
    if active is not None and (active.kind, active.target) == ("embedder", identity.fingerprint):
        store.reembed(target, progress=progress)  # a process may have been killed after the change, before its rest
        return active
    model = _proposed(learning, identity, store.embeddings.active, report or {})
    store.reembed(target, keep=True, promote=model.number, progress=progress)
    return learning.model() or model


def rollback(
    store: Store,
    *,
    embedder: Embedder | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> ModelVersion | None:
    """Go back from the store's embedder to the one before it; give the version that is active then, None for none.

    Its vectors were kept: only chunks added since are embedded, or all of them where the vectors are gone. `embedder`
    is the one before, where it cannot be loaded by its name. What is undone is kept in turn.

    Raises:
        InputError: the active version is of another kind, or there is none, or nobody knows what was before it.
        ModelUnavailable: the embedder before is not to be had any more.

    """
    learning = store.learning
    active = learning.model()
    if active is None:
        raise InputError("the store's own embedder is in use, and no version to go back from")
    if active.kind != "embedder":
        raise InputError(f"version {active.number} changed no vectors: promote version {active.previous} instead")
    before = _before(store, active)
    if before.reference == GIVEN and embedder is None:
        raise InputError("the vectors before were given by the store's caller: give embedder=, or add them anew")
    target = embedder or _loaded(before.reference, threads)
    if target.fingerprint != before.fingerprint:
        raise ModelUnavailable(
            before.reference,
            f"the vectors before were made by {before.fingerprint}, and what goes by that name here is "
            f"{target.fingerprint}; give the right one as embedder=, or run `hybridstore reembed` to take this one",
        )
    there = {model.number: model for model in learning.models() if model.target == before.fingerprint}
    previous = there.get(active.previous) if active.previous is not None else None
    store.reembed(target, keep=True, promote=previous.number if previous else None, progress=progress)
    return learning.model()


def _loaded(embedder: str | Path | Embedder, threads: int | None) -> Embedder:
    return embedder if isinstance(embedder, Embedder) else embedders.load(embedder, threads=threads)


def _proposed(
    learning: LearningBackend, identity: Embedding, before: Embedding | None, report: Mapping[str, Any]
) -> ModelVersion:
    """Give the version of an unfinished promotion that this one goes on with, or propose one."""
    for model in reversed(learning.models()):
        if (model.kind, model.state, model.target) == ("embedder", "candidate", identity.fingerprint):
            known = model.report.get(BEFORE)
            if before is None or before.fingerprint == identity.fingerprint or known == asdict(before):
                return model
    model = ModelVersion(
        kind="embedder",
        source=identity.fingerprint,
        target=identity.fingerprint,
        reference=identity.reference,
        report={**report, BEFORE: before and asdict(before)},
    )
    return replace(model, number=learning.propose(model))


def _before(store: Store, active: ModelVersion) -> Embedding:
    known = active.report.get(BEFORE)
    before = Embedding(**known) if known else store.embeddings.kept
    if before is None or before.fingerprint == active.target:
        raise InputError("there were no other vectors before these; `hybridstore reembed` changes to any embedder")
    return before
