"""Two rankings to one. Pure functions over ids and scores."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hybridstore.records import Ranking

RRF_K = 60  # the constant of the paper; its authors found results hardly sensitive to it


def rrf(keyword: Ranking, vector: Ranking, weights: tuple[float, float] = (1.0, 1.0), k: int = RRF_K) -> Ranking:
    """Fuse by reciprocal ranks: score = Σ weight / (k + rank) over the rankings that have the chunk.

    Ties go to the smaller chunk id. Source: Cormack, Clarke & Büttcher, "Reciprocal Rank Fusion outperforms
    Condorcet and individual rank learning methods", SIGIR 2009.
    """
    chunks = np.concatenate([keyword.chunks, vector.chunks])
    parts = np.concatenate([_shares(weights[0], k, len(keyword)), _shares(weights[1], k, len(vector))])
    order = chunks.argsort(kind="stable")
    chunks, scores = chunks[order], parts[order]
    # A chunk stands once in a ranking, so what both have is two neighbours now.
    twice = np.flatnonzero(chunks[1:] == chunks[:-1])
    if len(twice):
        scores[twice] += scores[twice + 1]
        alone = np.ones(len(chunks), np.bool_)
        alone[twice + 1] = False
        chunks, scores = chunks[alone], scores[alone]
    best = (-scores).argsort(kind="stable")
    return Ranking(chunks[best], scores[best])


@lru_cache(maxsize=8)
def _shares(weight: float, k: int, count: int) -> NDArray[np.float64]:
    return np.asarray(weight / (k + np.arange(1.0, count + 1)))
