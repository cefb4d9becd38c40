"""Two rankings to one. Pure functions over ids and scores."""

from __future__ import annotations

import numpy as np

from hybridstore.records import Ranking

RRF_K = 60  # the constant of the paper; its authors found results hardly sensitive to it


def rrf(keyword: Ranking, vector: Ranking, weights: tuple[float, float] = (1.0, 1.0), k: int = RRF_K) -> Ranking:
    """Fuse by reciprocal ranks: score = Σ weight / (k + rank) over the rankings that have the chunk.

    Ties go to the smaller chunk id. Source: Cormack, Clarke & Büttcher, "Reciprocal Rank Fusion outperforms
    Condorcet and individual rank learning methods", SIGIR 2009.
    """
    chunks = np.concatenate([keyword.chunks, vector.chunks])
    parts = np.concatenate(
        [weights[0] / (k + np.arange(1, len(keyword) + 1)), weights[1] / (k + np.arange(1, len(vector) + 1))]
    )
    unique, places = np.unique(chunks, return_inverse=True)
    scores = np.bincount(places, weights=parts, minlength=len(unique)).astype(np.float64)
    order = np.lexsort((unique, -scores))
    return Ranking(unique[order], scores[order])
