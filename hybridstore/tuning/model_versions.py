"""The versions of a store's model: take one, take it back, whatever kind it is."""

from __future__ import annotations

from collections.abc import Callable

from hybridstore.backends.learning import ModelVersion
from hybridstore.errors import InputError, ModelUnavailable, NotFound
from hybridstore.search import transforms
from hybridstore.store import Store
from hybridstore.tuning import embedder_promotion

Progress = Callable[[int, int], None]
"""Gets chunks embedded, and of how many; versions that change no vectors need none."""


def promote(store: Store, number: int | None, *, progress: Progress | None = None) -> ModelVersion | None:
    """Make a version the one that searches use, and measure the store with it; None is the plain embedder.

    A version that is another embedder gets its vectors first, beside those that are searched. Raises NotFound for an
    unknown number, InputError for a version made for other vectors than those searched, ModelUnavailable for an
    embedder that is not to be had any more and for damaged weights; nothing has changed then.
    """
    learning, searched = store.learning, store.embeddings.active
    known = {model.number: model for model in learning.models()}
    if number is not None and number not in known:
        raise NotFound(f"version {number}", "there is no such version; `hybridstore model history` lists them")
    version, active = None if number is None else known[number], learning.model()
    if version is None and active is not None and active.kind == "embedder":
        raise InputError(
            "the vectors stored are those of this version's embedder; `hybridstore model rollback` goes back from it"
        )
    if version is not None and version.kind == "embedder" and (not searched or searched.fingerprint != version.target):
        store.reembed(version.reference, keep=True, promote=number, progress=progress)
        return learning.model()
    wanted = None if number is None else learning.version(number)
    if wanted is not None and wanted.weights:
        transforms.read(wanted)
    measured = None
    try:
        measured = store.trial(wanted).calibration
    except (InputError, ModelUnavailable):
        if wanted is not None and wanted.kind == "drift":
            raise
        # Back at vectors whose embedder is not here: there is nothing to measure with.
    return learning.promote(number, calibration=measured)


def rollback(store: Store, *, progress: Progress | None = None) -> ModelVersion | None:
    """Go back to the version that was active before; give it, None for the plain embedder.

    Raises InputError where no version is active, and what `promote` raises.
    """
    active = store.learning.model()
    if active is None:
        raise InputError(
            "no version is active, so there is nothing to go back from; `hybridstore model history` lists what there is"
        )
    if active.kind == "embedder":
        return embedder_promotion.rollback(store, progress=progress)
    return promote(store, active.previous, progress=progress)
