"""A candidate read in the light of what stands beside it: a turn of a conversation says little by itself.

"Yes, in Lisbon!" answers a question whose words stand in the turn before. So the best candidates' neighbours become
candidates too, and each is judged by its own evidence and its neighbours': the words that the stronger neighbour holds
count half, and the vector compared is the mean of the neighbours' and its own. Nothing is stored for that, so what is
forgotten leaves nothing of it in others. The idea is that of "SitEmb" (a short chunk embedded in the light of its
surroundings), at the time of asking; on LoCoMo's 1,536 questions it gains as much as embedding the turns before along
with each (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Calibration, Restriction
from hybridstore.records import Evidence
from hybridstore.search.evidence import KeywordEvidence, at_large, relevance_of

REACH = 2  # neighbours to either side
Around = Callable[[str], Sequence[str]]
"""Gives for a document's id the ids of those it stands among, REACH to either side, in order; empty if it is alone."""

_LOOKED = 64  # candidates whose neighbours are looked up
# What a neighbour's words count, by where it stands: half of that for those that stand one further.
_WORDS = np.array([0.25, 0.5, 0.5, 0.25])
_VECTOR = 0.5  # what each neighbour's vector counts in the mean


def read(  # noqa: PLR0917 - what was found out, then how to go on
    backend: Backend,
    evidence: Evidence,
    best: NDArray[np.int64],
    words: KeywordEvidence,
    query: NDArray[np.float32],
    background: Calibration | None,
    around: Around,
    restriction: Restriction,
) -> Evidence:
    """Give the evidence of the candidates and of the neighbours of the `best` of them, each in its neighbours' light.

    `best` are chunk ids, best first; `query` is the question's vector (dim,). Relevance stays what a chunk has alone.
    """
    lines = _lines(backend, best[:_LOOKED].tolist(), around, restriction)
    if not lines:
        return evidence
    places = np.array([chunk for chunk, _ in lines], np.int64)
    beside = np.array([row for _, row in lines], np.int64)  # (n, 2 · REACH), -1 where there is none
    new = np.setdiff1d(np.union1d(places, beside[beside >= 0]), evidence.chunks)
    usual = at_large(backend.sample()[1] @ query)
    evidence = _with(backend, evidence, new, words, query, background, usual)
    keyword, vector = evidence.keyword.copy(), evidence.vector.copy()
    rows = evidence.chunks.searchsorted(places)
    there = beside >= 0
    near = np.where(there, evidence.chunks.searchsorted(np.where(there, beside, 0)), 0).clip(0, len(keyword) - 1)
    held = np.where(there, evidence.keyword[near], 0.0)
    keyword[rows] += (held * _WORDS).max(axis=1)
    vector[rows] = _deviations(backend, evidence.chunks, rows, near, there, query, usual)
    return Evidence(
        chunks=evidence.chunks,
        keyword=keyword,
        coverage=evidence.coverage,
        vector=vector,
        relevance=evidence.relevance,
    )


def _lines(
    backend: Backend, best: Sequence[int], around: Around, restriction: Restriction
) -> list[tuple[int, list[int]]]:
    """Give each chunk of the best's documents and of their neighbours, with the chunks beside it."""
    found = dict.fromkeys(backend.documents_of(best))
    pool = dict.fromkeys(near for id_ in found for near in around(id_))
    standing = {id_: around(id_) for id_ in pool}
    chunks = backend.chunks_of(list(dict.fromkeys(id_ for line in standing.values() for id_ in line)), restriction)
    lines = []
    for id_, line in standing.items():
        run = [chunk for near in line for chunk in chunks.get(near, ())]
        first = sum(len(chunks.get(near, ())) for near in line[: line.index(id_)])
        padded = [-1] * REACH + run + [-1] * REACH
        lines += [
            (run[place], padded[place : place + REACH] + padded[place + REACH + 1 : place + 2 * REACH + 1])
            for place in range(first, first + len(chunks.get(id_, ())))
        ]
    return lines


def _with(  # noqa: PLR0917 - as above
    backend: Backend,
    evidence: Evidence,
    new: NDArray[np.int64],
    words: KeywordEvidence,
    query: NDArray[np.float32],
    background: Calibration | None,
    usual: tuple[float, float],
) -> Evidence:
    """Give the evidence with more candidates, each judged by itself; `usual` is what `at_large` gave."""
    if not len(new):
        return evidence
    impacts, cosines = backend.evidence(new, words.terms, query)
    if cosines is None:  # only without a query's vector
        return evidence
    (held, covered), (mean, deviation) = words.held(impacts), usual
    order = np.concatenate([evidence.chunks, new]).argsort()
    relevance = evidence.relevance
    if relevance is not None and background is not None:
        relevance = np.concatenate([relevance, relevance_of(cosines, covered, background)])[order]
    return Evidence(
        chunks=np.concatenate([evidence.chunks, new])[order],
        keyword=np.concatenate([evidence.keyword, held])[order],
        coverage=np.concatenate([evidence.coverage, covered])[order],
        vector=np.concatenate([evidence.vector, np.nan_to_num((cosines - mean) / deviation)])[order],
        relevance=relevance,
    )


def _deviations(  # noqa: PLR0917 - as above
    backend: Backend,
    chunks: NDArray[np.int64],
    rows: NDArray[np.int64],
    near: NDArray[np.int64],
    there: NDArray[np.bool_],
    query: NDArray[np.float32],
    usual: tuple[float, float],
) -> NDArray[np.float64]:
    """Give how far the mean of each row's vector and its neighbours' stands above those of chunks at large, (n,)."""
    used = np.union1d(rows, near[there])
    vectors = backend.vectors(chunks[used].tolist())
    own, others = used.searchsorted(rows), used.searchsorted(near).clip(0, len(used) - 1)
    mixed = vectors[own] + _VECTOR * (vectors[others] * there[:, :, None]).sum(axis=1)
    norms = np.linalg.norm(mixed, axis=1)
    mean, deviation = usual
    cosines = (mixed @ query) / np.where(norms == 0.0, 1.0, norms)
    return np.asarray(np.where(norms == 0.0, 0.0, (cosines - mean) / deviation), np.float64)
