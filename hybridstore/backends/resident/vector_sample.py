"""A sample of a store's vectors: what its own vectors look like, for the calibration and for every query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.resident.chunk_ids import NO_IDS
from hybridstore.backends.resident.loader import Ids, Loader

SAMPLED = 256  # vectors: they give the mean and deviation of a query's cosines to a twentieth


@dataclass(frozen=True, slots=True)
class VectorSample:
    """Some chunks' vectors of embedding `number` at a revision: ids (n,) ascending, vectors (n, dim)."""

    revision: int
    number: int
    chunks: Ids
    vectors: NDArray[np.float32]


def load(loader: Loader, revision: int, before: VectorSample | None) -> VectorSample:
    """Return the sample at a revision; what was read `before` stays where it is still part of it."""
    active = loader.embedding()
    number, dim = (active[0], active[1].dim) if active else (0, 0)
    chunks = evenly_spread(loader.last_vector(), loader.first_vectors) if active else NO_IDS
    if before is not None and before.number == number and np.array_equal(before.chunks, chunks):
        return VectorSample(revision, number, before.chunks, before.vectors)
    known: dict[int, NDArray[np.float32]] = {}
    if before is not None and before.number == number:
        known = dict(zip(before.chunks.tolist(), before.vectors, strict=True))
    missing = [chunk for chunk in chunks.tolist() if chunk not in known]
    if missing:
        ids, vectors = loader.vectors(missing)
        known.update(zip(ids.tolist(), vectors, strict=True))
    rows = [known[chunk] for chunk in chunks.tolist()]
    return VectorSample(revision, number, chunks, np.array(rows, np.float32).reshape(len(rows), dim))


def evenly_spread(last: int | None, first_of_steps: Callable[[int, int], Ids]) -> Ids:
    """Choose at most 256 ids up to the `last` one, spread evenly over them, and over time; None chooses none.

    `first_of_steps(step, limit)` returns the first id of each step of ids that has any, at most `limit` of them. The
    steps are powers of two, so that a chunk that is added changes little. Nothing else goes into the choice.
    """
    if last is None:
        return NO_IDS
    step = 1
    while last // step >= SAMPLED:
        step *= 2
    chosen = first_of_steps(step, SAMPLED + 1)
    while step > 1:  # where many ids are gone, most steps are empty: smaller ones have more
        step //= 2
        finer = first_of_steps(step, SAMPLED + 1)
        if len(finer) > SAMPLED:
            break
        chosen = finer
    return chosen
