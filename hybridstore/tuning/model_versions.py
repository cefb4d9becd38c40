"""Versions of a store's model, adapters and embedders alike: promote one, or roll back to the one before.

A version that is another embedder gets a second set of vectors beside those that are searched, and the store switches
to it in one step; results stay the same until then. A process that is killed meanwhile has changed nothing that a
search sees, and the same call resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hybridstore.backends.learning import ModelVersion
from hybridstore.backends.values import Embedding
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import InputError, ModelUnavailable, NotFound
from hybridstore.search import transforms
from hybridstore.store import Store
from hybridstore.store.embedder_choice import GIVEN, identify
from hybridstore.store.expectations import check_none_broken

Progress = Callable[[int, int], None]
"""Called with chunks embedded, and of how many; not called for versions that change no vectors."""
BEFORE = "before"  # in a version's report: the embedding that it replaced


def promote(
    store: Store, number: int | None, *, force: bool = False, progress: Progress | None = None
) -> ModelVersion | None:
    """Make a version the active one, and calibrate the store with it; None is the plain embedder.

    A version that is another embedder gets its vectors first. Raises NotFound for an unknown number, InputError for a
    version made for other vectors than those searched, ModelUnavailable for an embedder that is no longer available and
    for damaged weights, ExpectationsBroken where an expectation would hold no more, unless `force`; nothing has changed
    then.
    """
    learning, searched, active = store.learning, store.embeddings.active, store.learning.model()
    known = {model.number: model for model in learning.models()}
    if number is not None and number not in known:
        raise NotFound(f"version {number}", "there is no such version; `hybridstore model history` lists them")
    version = None if number is None else known[number]
    if version is None and active is not None and active.kind == "embedder":
        raise InputError(
            "the vectors stored are those of this version's embedder; `hybridstore model rollback` goes back from it"
        )
    if version is not None and version.kind == "embedder" and (not searched or searched.fingerprint != version.target):
        embedder = store.load_embedder(version.reference, recorded=True)
        store.reembed(embedder, keep=True, promote=number, force=force, progress=progress)
        return learning.model()
    candidate = None if number is None else learning.version(number)
    if candidate is not None and candidate.weights:
        transforms.read(candidate)
    calibration = None
    try:
        trial = store.trial(candidate)
        calibration = trial.calibration
        if not force and store.expectations():
            check_none_broken(store.trial(active).test(), trial.test(), "This version")
    except (InputError, ModelUnavailable):
        if candidate is not None and candidate.kind == "drift":
            raise
        # The embedder of the stored vectors is not here: there is nothing to calibrate with.
    return learning.promote(number, calibration=calibration)


def promote_embedder(
    store: Store,
    embedder: str | Path | Embedder,
    report: Mapping[str, Any] | None = None,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> ModelVersion:
    """Embed all chunks with this embedder, and make it the store's; return its version.

    `report` is what was measured about it. The old vectors are kept, so that `rollback` is quick. An embedder that is
    the store's already changes nothing. Raises ModelUnavailable where it cannot be loaded,
    ExpectationsBroken as `promote`.
    """
    target = embedder if isinstance(embedder, Embedder) else store.load_embedder(embedder)
    identity, learning = identify(target), store.learning
    active = learning.model()
    if active is not None and (active.kind, active.target) == ("embedder", identity.fingerprint):
        store.reembed(target, progress=progress)  # completes a promotion that was killed after the switch
        return active
    model = _proposed(store, identity, report or {})
    store.reembed(target, keep=True, promote=model.number, force=force, progress=progress)
    return learning.model() or model


def rollback(
    store: Store, *, embedder: Embedder | None = None, force: bool = False, progress: Progress | None = None
) -> ModelVersion | None:
    """Go back to the version that was active before; return it, None for the plain embedder.

    Where the active version is an embedder, the old vectors were kept: only chunks added since are embedded, or all of
    them where the vectors are gone. `embedder` is the old one, where it cannot be loaded by its name. What is rolled
    back is kept in turn.

    Raises:
        InputError: no version is active, or what was before it is not known; and as `promote`.
        ModelUnavailable: the old embedder is no longer available; and as `promote`.

    """
    learning = store.learning
    active = learning.model()
    if active is None:
        raise InputError(
            "no version is active, so there is nothing to go back from; `hybridstore model history` lists what there is"
        )
    if active.kind != "embedder":
        return promote(store, active.previous, force=force, progress=progress)
    before = _before(store, active)
    if before.reference == GIVEN and embedder is None:
        raise InputError(
            "the previous vectors were supplied by the caller; pass embedder=, or add the documents again with vectors="
        )
    target = embedder or store.load_embedder(before.reference, recorded=True)
    if target.fingerprint != before.fingerprint:
        raise ModelUnavailable(
            before.reference,
            f"the vectors before were made by {before.fingerprint}, but the embedder of that name here is "
            f"{target.fingerprint}; give the right one as embedder=, or run `hybridstore reembed` to use this one",
        )
    earlier = {model.number: model for model in learning.models() if model.target == before.fingerprint}
    previous = active.previous if active.previous in earlier else None
    store.reembed(target, keep=True, promote=previous, force=force, progress=progress)
    return learning.model()


def _proposed(store: Store, identity: Embedding, report: Mapping[str, Any]) -> ModelVersion:
    """Return the version of an unfinished promotion of this embedder, or propose a new one."""
    learning, before = store.learning, store.embeddings.active
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
