"""A new embedder's questions over the old one's vectors, from the first minute: the map between the two is estimated.

Re-embedding a large store takes hours. Until it is done, or instead of it, questions can be embedded by the new model
and mapped to where the old one would have put them: "Query Drift Compensation" (Goswami et al., arXiv:2506.00037). That
paper shifts questions by the mean drift between two trainings of one model; models that have nothing in common take a
rotation ("Drift-Adapter", Vejendla, arXiv:2509.23471). It comes from the store's own chunks, whose old vectors are
there and whose new ones are quickly made, so that the old model is not needed at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.backends.learning import ModelVersion
from hybridstore.errors import InputError
from hybridstore.search.transforms import Affine, write
from hybridstore.store.embedder_choice import embedded_text, identify, unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hybridstore.backends.values import Passage
    from hybridstore.embedders.protocol import Embedder
    from hybridstore.store import Store

SAMPLE = 2000  # chunks; 500 keep two thirds of what 2,000 do where embedders differ much, 4,000 a twentieth more
_FEWEST = 100  # chunks; fewer say little about a map, and are re-embedded within seconds
_HELD_OUT = 5  # one chunk in so many tells how good the map is
_NEAREST = 10
# Of a held-out chunk's ten nearest; 0.4 to 0.5 between embedders of different families, 0.01 by chance.
_LEAST = 0.2
_AT_ONCE = 256  # texts embedded between two reports of the progress

Progress = Callable[[int, int], None]
"""Gets (chunks embedded, of how many)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """How good a map is, by chunks that it was not estimated from.

    `cosine` is the mean cosine of the mapped new vectors to the old ones, `agreement` the mean share of the chunks that
    are the ten nearest to the old vector which are so to the mapped one, too. `sample` is how many chunks were looked
    at, of which `held_out` were such.
    """

    cosine: float
    agreement: float
    sample: int
    held_out: int


def estimate(
    store: Store, new: Embedder, *, sample: int = SAMPLE, progress: Progress | None = None
) -> tuple[Affine, Loss]:
    """Give the map from an embedder's vectors to those stored, and how good it is.

    About `sample` chunks, spread over the store, are embedded by `new`; the same chunks at each call. The two may be of
    different lengths. The map is the rotation R that brings new vectors N nearest to the old ones O, the least of
    ‖N · R - O‖: R = U · Vᵀ of the singular value decomposition of Nᵀ · O (Schönemann, "A generalized solution of the
    orthogonal Procrustes problem", 1966). Any other linear map fits the passages better and the questions worse: it
    shrinks what passages seldom vary in, and questions do.

    Raises InputError for a store without vectors, with fewer than 100, or with those of `new`.
    """
    if not isinstance(sample, int) or sample < _FEWEST:
        raise InputError(f"sample must be a whole number of at least {_FEWEST} chunks, not {sample!r}")
    stored = store.embeddings.active
    if stored is None:
        raise InputError("this store has no vectors to map questions to: `hybridstore reembed` makes them")
    if stored.fingerprint == new.fingerprint:
        raise InputError(f"the store's vectors are those of {new.fingerprint} already, so there is nothing to map")
    with store.snapshot():
        passages = store.chunks.passages(_spread(store, sample))
        old = store.chunks.vectors([passage.chunk for passage in passages])
    there = old.any(axis=1)
    passages, old = [passages[place] for place in np.flatnonzero(there)], old[there]
    if len(passages) < _FEWEST:
        raise InputError(
            f"a map takes at least {_FEWEST} chunks with vectors, and there are {len(passages)}: "
            "`hybridstore reembed` changes the embedder of so few within seconds"
        )
    found = _embedded(new, passages, progress)
    held = np.arange(len(found)) % _HELD_OUT == _HELD_OUT - 1
    loss = _loss(found[held] @ _rotation(found[~held], old[~held]), old, held)
    rotation = _rotation(found, old)
    return Affine(new.fingerprint, stored.fingerprint, rotation, np.zeros(rotation.shape[1], np.float32)), loss


def compensate(store: Store, new: Embedder, *, sample: int = SAMPLE, progress: Progress | None = None) -> ModelVersion:
    """Have a store's questions embedded by another embedder from now on, over the vectors there are; give the version.

    Documents stay the old embedder's. A map of which too little comes back (`Loss.agreement` below 0.2) is kept as
    "refused", and nothing changes. What was estimated stands in the version's `report`; the change is one step, and
    `Store.reembed` to the same embedder ends it. Raises InputError as `estimate`, and where another process has changed
    the vectors meanwhile.
    """
    transform, loss = estimate(store, new, sample=sample, progress=progress)
    refused = loss.agreement < _LEAST
    model = ModelVersion(
        kind="drift",
        source=transform.source,
        target=transform.target,
        reference=identify(new).reference,
        state="refused" if refused else "candidate",
        report=asdict(loss) | {"least_agreement": _LEAST},
        weights=write(transform),
    )
    learning = store.learning
    model = replace(model, number=learning.propose(model))
    if refused:
        return model
    store.use_for_queries(new)
    promoted = learning.promote(model.number)
    store.calibrate(new)
    return promoted or model


def _spread(store: Store, count: int) -> list[int]:
    """Give about so many ids, spread over the store as its own sample is; some of them may be gone."""
    anchors, _ = store.chunks.sample()
    if not len(anchors):
        return []
    gaps = np.diff(anchors, append=anchors[-1:] + np.diff(anchors).max(initial=1))
    each = -(-count // len(anchors))
    steps = np.maximum(gaps // each, 1)
    return [int(chunk) for chunk in np.unique(anchors[:, None] + steps[:, None] * np.arange(each))]


def _embedded(embedder: Embedder, passages: Sequence[Passage], progress: Progress | None) -> NDArray[np.float32]:
    vectors = np.empty((len(passages), embedder.dim), np.float32)
    for first in range(0, len(passages), _AT_ONCE):
        some = passages[first : first + _AT_ONCE]
        texts = [embedded_text(passage.title, passage.heading, passage.text) for passage in some]
        what = f"the vectors of {embedder.fingerprint}"
        vectors[first : first + len(some)] = unit(embedder.embed_documents(texts), (len(some), embedder.dim), what)
        if progress is not None:
            progress(first + len(some), len(passages))
    return vectors


def _rotation(new: NDArray[np.float32], old: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the (d_new, d_old) with orthonormal rows or columns, whichever are fewer, that brings new nearest to old."""
    left, _, right = np.linalg.svd(new.T.astype(np.float64) @ old, full_matrices=False)
    return np.asarray(left @ right, np.float32)


def _loss(mapped: NDArray[np.float32], old: NDArray[np.float32], held: NDArray[np.bool_]) -> Loss:
    """Measure mapped vectors (h, d), not of unit norm, of the chunks of old vectors (n, d) that were held out."""
    mapped = unit(mapped, (None, None), "mapped vectors")
    wanted, found = (_nearest(vectors, old, held) for vectors in (old[held], mapped))
    shared = [len(np.intersect1d(one, other)) for one, other in zip(wanted, found, strict=True)]
    return Loss(
        cosine=round(float((mapped * old[held]).sum(axis=1).mean()), 4),
        agreement=round(sum(shared) / (len(shared) * _NEAREST), 4),
        sample=len(old),
        held_out=len(mapped),
    )


def _nearest(vectors: NDArray[np.float32], old: NDArray[np.float32], held: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Give the places (h, 10) of those nearest to each vector, itself left out: it would always be its own nearest."""
    cosines = vectors @ old.T
    cosines[np.arange(len(vectors)), np.flatnonzero(held)] = -np.inf
    found: NDArray[np.int64] = np.argpartition(-cosines, _NEAREST, axis=1)[:, :_NEAREST]
    return found
