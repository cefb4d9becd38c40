"""Neighbours: chunks judged together with the documents next to them, such as the turns of a conversation.

"Yes, in Lisbon!" answers a question whose words are in the turn before. So the neighbours of the best candidates become
candidates too, and each is judged by its own evidence and its neighbours': the words of the stronger neighbour count
half, and the vector compared is the mean of its own and its neighbours', which count for less the longer a text is.
This happens at query time and stores nothing, so a forgotten document leaves no trace in others. The idea is that of
"SitEmb" (a short chunk embedded in the light of its surroundings); on LoCoMo's 1,536 questions it gains as much as
embedding the previous turns along with each (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Restriction
from hybridstore.records import Evidence
from hybridstore.search.evidence import EvidenceCollector, Scale

REACH = 2  # neighbours on either side
Around = Callable[[str], Sequence[str]]
"""Returns the ids of a document and its neighbours, REACH on either side, in order; empty if it has none."""

_LOOKED_UP = 64  # candidates whose neighbours are looked up
# The weight of a neighbour's words, by its position: the second neighbours count half as much as the first.
_WORDS = np.array([0.25, 0.5, 0.5, 0.25])
_VECTOR = 0.5  # the weight of each neighbour's vector in the mean
# Bytes of a text from which on its vector has that weight, and a shorter one less: about six words, or twelve Chinese
# characters. What says nothing is near to everything (docs/experiments.md).
_SAYS_SOMETHING = 40
# Bytes of a text beyond which its neighbours' vectors count for less, by the square: a long message says itself what it
# is about, and several others beside it hide that (docs/experiments.md).
_STANDS_ALONE = 120


def with_neighbours(
    collector: EvidenceCollector,
    evidence: Evidence,
    best: NDArray[np.int64],
    around: Around,
    restriction: Restriction,
) -> Evidence:
    """Return the evidence of the candidates and the neighbours of the `best` of them, judged with their neighbours.

    `best` are chunk ids, best first. Relevance stays that of a chunk alone.
    """
    backend = collector.backend
    neighbours = _neighbours(backend, best[:_LOOKED_UP].tolist(), around, restriction)
    if not neighbours:
        return evidence
    chunks = np.array([chunk for chunk, _ in neighbours], np.int64)
    adjacent = np.array([row for _, row in neighbours], np.int64)  # (n, 2 · REACH), -1 where there is none
    exists = adjacent >= 0
    evidence = _added(collector, evidence, np.union1d(chunks, adjacent[exists]))
    keyword, vector = evidence.keyword.copy(), evidence.vector.copy()
    own = evidence.chunks.searchsorted(chunks)
    near = np.where(exists, evidence.chunks.searchsorted(np.where(exists, adjacent, 0)), 0)
    near = near.clip(0, len(keyword) - 1)
    weights = _weights(backend, evidence.chunks, own, near, exists)
    keyword[own] += (np.where(exists, evidence.keyword[near], 0.0) * _WORDS).max(axis=1)
    if not evidence.legs:
        vector[own] = _mean_z_scores(collector, evidence.chunks, own, near, weights, evidence.vector[own])
        return replace(evidence, keyword=keyword, vector=vector, words=None)
    legs = {fingerprint: each.copy() for fingerprint, each in evidence.legs.items()}
    for scale in collector.scales:
        legs[scale.fingerprint][own] = _mean_deviations(scale, evidence.chunks, own, near, weights)
    parts = [*legs.values()]
    total = np.where(np.isnan(np.array(parts)).all(axis=0), evidence.vector, collector.combined(parts))
    return replace(evidence, keyword=keyword, vector=total, legs=legs, words=None)


def _neighbours(
    backend: Backend, best: Sequence[int], around: Around, restriction: Restriction
) -> list[tuple[int, list[int]]]:
    """Return the chunks of the best's documents and of their neighbours, each with the chunks next to it."""
    documents = dict.fromkeys(backend.documents_of(best))
    pool = dict.fromkeys(near for id_ in documents for near in around(id_))
    sequences = {id_: around(id_) for id_ in pool}
    ids = list(dict.fromkeys(near for sequence in sequences.values() for near in sequence))
    chunks = backend.chunks_of(ids, restriction)
    neighbours = []
    for id_, sequence in sequences.items():
        run = [chunk for near in sequence for chunk in chunks.get(near, ())]
        first = sum(len(chunks.get(near, ())) for near in sequence[: sequence.index(id_)])
        padded = [-1] * REACH + run + [-1] * REACH
        neighbours += [
            (run[place], padded[place : place + REACH] + padded[place + REACH + 1 : place + 2 * REACH + 1])
            for place in range(first, first + len(chunks.get(id_, ())))
        ]
    return neighbours


def _added(collector: EvidenceCollector, evidence: Evidence, chunks: NDArray[np.int64]) -> Evidence:
    """Return the evidence with more candidates, each judged alone."""
    new = np.setdiff1d(chunks, evidence.chunks)
    if not len(new):
        return evidence
    added = collector.of_chunks(new)
    order = np.concatenate([evidence.chunks, new]).argsort()
    relevance = None
    if evidence.relevance is not None and added.relevance is not None:
        relevance = np.concatenate([evidence.relevance, added.relevance])[order]
    estimated = None
    if evidence.estimated is not None or added.estimated is not None:
        parts = [evidence.estimated, added.estimated]
        sizes = [len(evidence.chunks), len(new)]
        whole = [np.zeros(n, np.bool_) if part is None else part for part, n in zip(parts, sizes, strict=True)]
        estimated = np.concatenate(whole)[order]
    legs = {name: np.concatenate([each, added.legs[name]])[order] for name, each in evidence.legs.items()}
    return Evidence(
        chunks=np.concatenate([evidence.chunks, new])[order],
        legs=legs,
        keyword=np.concatenate([evidence.keyword, added.keyword])[order],
        coverage=np.concatenate([evidence.coverage, added.coverage])[order],
        vector=np.concatenate([evidence.vector, added.vector])[order],
        relevance=relevance,
        estimated=estimated,
        cosines=evidence.cosines,
    )


def _weights(
    backend: Backend,
    chunks: NDArray[np.int64],
    own: NDArray[np.int64],
    near: NDArray[np.int64],
    exists: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return the weights (n, 2 · REACH) of neighbours' vectors, 0 where there is none; `own`, `near` index `chunks`."""
    passages = backend.passages(chunks[np.union1d(own, near[exists])].tolist())
    sizes = np.ones(len(chunks))
    sizes[chunks.searchsorted([each.chunk for each in passages])] = [len(each.text.encode()) or 1 for each in passages]
    leaning = np.minimum(_STANDS_ALONE / sizes[own], 1.0) ** 2
    return np.where(exists, _VECTOR * np.minimum(sizes[near] / _SAYS_SOMETHING, 1.0) * leaning[:, None], 0.0)


def _mean_z_scores(  # noqa: PLR0917 - indexes into the same arrays
    collector: EvidenceCollector,
    chunks: NDArray[np.int64],
    own: NDArray[np.int64],
    near: NDArray[np.int64],
    weights: NDArray[np.float64],
    own_scores: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the z-scores (n,) of the means of chunks' vectors and their neighbours'; `own`, `near` index `chunks`.

    Where none of these has a vector it is the chunk's own score (n,), which is estimated or 0.
    """
    cosines = _mean_cosines(collector.backend, collector.query, None, chunks, own, near, weights)
    return np.where(np.isnan(cosines), own_scores, collector.z_scores(cosines))


def _mean_deviations(
    scale: Scale,
    chunks: NDArray[np.int64],
    own: NDArray[np.int64],
    near: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the same in one of several vector legs, NaN without any vector."""
    return scale.deviations(_mean_cosines(scale.backend, scale.query, scale.leg, chunks, own, near, weights))


def _mean_cosines(  # noqa: PLR0917 - a leg, then the chunks
    backend: Backend,
    query: NDArray[np.float32] | None,
    leg: str | None,
    chunks: NDArray[np.int64],
    own: NDArray[np.int64],
    near: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the cosines (n,) of the query to these means, NaN without any vector."""
    used = np.union1d(own, near[weights > 0.0])
    vectors = backend.vectors(chunks[used].tolist(), leg)
    rows, near_rows = used.searchsorted(own), used.searchsorted(near).clip(0, len(used) - 1)
    means = vectors[rows] + (vectors[near_rows] * weights[:, :, None]).sum(axis=1)
    norms = np.linalg.norm(means, axis=1)
    cosines = (means @ query) / np.where(norms == 0.0, 1.0, norms)
    return np.where(norms == 0.0, np.nan, cosines)
