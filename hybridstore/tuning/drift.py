"""Drift compensation: a new embedder's queries mapped to the old one's vectors, which stay as they are.

Re-embedding a large store takes hours. Until it is done, or instead of it, queries can be embedded by the new model and
mapped to where the old one would have put them: "Query Drift Compensation" (Goswami et al., arXiv:2506.00037). That
paper shifts queries by the mean drift between two trainings of one model; unrelated models take a rotation
("Drift-Adapter", Vejendla, arXiv:2509.23471). It is estimated from the store's own chunks, whose old vectors are stored
and whose new ones are quickly made, so that the old model is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.backends.learning import ModelVersion
from hybridstore.errors import InputError
from hybridstore.search.transforms import Affine, write
from hybridstore.store.chunk_vectors import vectors_of
from hybridstore.store.embedder_choice import embedded_text, identify, unit
from hybridstore.store.expectations import check_none_broken

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hybridstore.backends.values import Passage
    from hybridstore.embedders.protocol import Embedder
    from hybridstore.store import Store

SAMPLE = 2000  # chunks; 500 keep two thirds of what 2,000 do where embedders differ much, 4,000 a twentieth more
_FEWEST = 100  # chunks; fewer say little about a map, and are re-embedded within seconds
_HELD_OUT = 5  # one chunk in so many measures how good the map is
_NEAREST = 10
# Of a held-out chunk's ten nearest; 0.4 to 0.5 between embedders of different families, 0.01 by chance.
_LEAST = 0.2
_BATCH = 256  # texts embedded between two calls of `progress`

Progress = Callable[[int, int], None]
"""Called with chunks embedded, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapQuality:
    """How good a map is, measured on chunks that it was not estimated from.

    `cosine` is the mean cosine of the mapped new vectors to the old ones, `agreement` the mean share of the ten chunks
    nearest to the old vector that are nearest to the mapped one too. `sample` is the number of chunks, of which
    `held_out` were used to measure.
    """

    cosine: float
    agreement: float
    sample: int
    held_out: int


def estimate(
    store: Store, new: Embedder, *, sample: int = SAMPLE, progress: Progress | None = None
) -> tuple[Affine, MapQuality]:
    """Return the map from an embedder's vectors to the stored ones, and how good it is.

    About `sample` chunks, spread over the store, are embedded by `new`; the same ones at each call. Dimensions may
    differ. The map is the rotation R that minimises ‖N · R - O‖ for new vectors N and old ones O: R = U · Vᵀ of the
    singular value decomposition of Nᵀ · O (Schönemann, "A generalized solution of the orthogonal Procrustes problem",
    1966). Any other linear map fits passages better and queries worse: it shrinks directions in which passages seldom
    vary, but queries do.

    Raises InputError for a store without vectors, with fewer than 100, or with those of `new`.
    """
    if not isinstance(sample, int) or sample < _FEWEST:
        raise InputError(f"sample must be a whole number of at least {_FEWEST} chunks, not {sample!r}")
    stored = store.embeddings.active
    if stored is None:
        raise InputError("this store has no vectors to map queries to: `hybridstore reembed` makes them")
    if stored.fingerprint == new.fingerprint:
        raise InputError(f"the store's vectors are those of {new.fingerprint} already, so there is nothing to map")
    with store.snapshot():
        passages = store.chunks.passages(_spread(store, sample))
        old = store.chunks.vectors([passage.chunk for passage in passages])
    embedded = old.any(axis=1)
    passages, old = [passages[place] for place in np.flatnonzero(embedded)], old[embedded]
    if len(passages) < _FEWEST:
        raise InputError(
            f"a map takes at least {_FEWEST} chunks with vectors, and there are {len(passages)}: "
            "`hybridstore reembed` changes the embedder of so few within seconds"
        )
    vectors = _embed(new, passages, progress)
    held_out = np.arange(len(vectors)) % _HELD_OUT == _HELD_OUT - 1
    quality = _quality(vectors[held_out] @ _rotation(vectors[~held_out], old[~held_out]), old, held_out)
    rotation = _rotation(vectors, old)
    return Affine(new.fingerprint, stored.fingerprint, rotation, np.zeros(rotation.shape[1], np.float32)), quality


def compensate(store: Store, new: Embedder, *, sample: int = SAMPLE, progress: Progress | None = None) -> ModelVersion:
    """Embed a store's queries with another embedder from now on, over the existing vectors; return the version.

    A map that is too poor (`MapQuality.agreement` below 0.2) is kept as "refused", and nothing changes. Its quality is
    in the version's `report`. The change is one step, and `Store.reembed` to the same embedder ends it. Raises
    InputError as `estimate`, and where another process has changed the vectors meanwhile; ExpectationsBroken
    where an expectation of the store would hold no more.
    """
    transform, quality = estimate(store, new, sample=sample, progress=progress)
    refused = quality.agreement < _LEAST
    model = ModelVersion(
        kind="drift",
        source=transform.source,
        target=transform.target,
        reference=identify(new).reference,
        state="refused" if refused else "candidate",
        report=asdict(quality) | {"least_agreement": _LEAST},
        weights=write(transform),
    )
    learning = store.learning
    model = replace(model, number=learning.propose(model))
    if refused:
        return model
    before = store.test()
    store.use_for_queries(new)
    if before:
        check_none_broken(before, store.trial(learning.version(model.number)).test(), "Queries of this embedder")
    promoted = learning.promote(model.number)
    store.calibrate(new)
    return promoted or model


def _spread(store: Store, count: int) -> list[int]:
    """Return about `count` chunk ids, spread like the store's own sample; some of them may be gone."""
    anchors, _ = store.chunks.sample()
    if not len(anchors):
        return []
    gaps = np.diff(anchors, append=anchors[-1:] + np.diff(anchors).max(initial=1))
    per_anchor = -(-count // len(anchors))
    steps = np.maximum(gaps // per_anchor, 1)
    return [int(chunk) for chunk in np.unique(anchors[:, None] + steps[:, None] * np.arange(per_anchor))]


def _embed(embedder: Embedder, passages: Sequence[Passage], progress: Progress | None) -> NDArray[np.float32]:
    vectors = np.empty((len(passages), embedder.dim), np.float32)
    for first in range(0, len(passages), _BATCH):
        batch = passages[first : first + _BATCH]
        texts = [embedded_text(passage.title, passage.heading, passage.text) for passage in batch]
        what = f"the vectors of {embedder.fingerprint}"
        vectors[first : first + len(batch)] = unit(vectors_of(embedder, texts), (len(batch), embedder.dim), what)
        if progress is not None:
            progress(first + len(batch), len(passages))
    return vectors


def _rotation(new: NDArray[np.float32], old: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (d_new, d_old) with orthonormal rows or columns, whichever are fewer, that maps new nearest to old."""
    left, _, right = np.linalg.svd(new.T.astype(np.float64) @ old, full_matrices=False)
    return np.asarray(left @ right, np.float32)


def _quality(mapped: NDArray[np.float32], old: NDArray[np.float32], held_out: NDArray[np.bool_]) -> MapQuality:
    """Compare mapped vectors (h, d), not of unit norm, with the old vectors (n, d) of the held-out chunks."""
    mapped = unit(mapped, (None, None), "mapped vectors")
    before, after = (_nearest(vectors, old, held_out) for vectors in (old[held_out], mapped))
    shared = [len(np.intersect1d(a, b)) for a, b in zip(before, after, strict=True)]
    return MapQuality(
        cosine=round(float((mapped * old[held_out]).sum(axis=1).mean()), 4),
        agreement=round(sum(shared) / (len(shared) * _NEAREST), 4),
        sample=len(old),
        held_out=len(mapped),
    )


def _nearest(vectors: NDArray[np.float32], old: NDArray[np.float32], held_out: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the places (h, 10) of the nearest chunks to each vector, except its own chunk."""
    cosines = vectors @ old.T
    cosines[np.arange(len(vectors)), np.flatnonzero(held_out)] = -np.inf
    nearest: NDArray[np.int64] = np.argpartition(-cosines, _NEAREST, axis=1)[:, :_NEAREST]
    return nearest
