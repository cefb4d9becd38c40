"""Two rankings to one. Pure functions over ids and scores."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hybridstore.records import Evidence, Ranking
from hybridstore.search.leg_weights import Weights

RRF_K = 60  # the constant of the paper; its authors found results hardly sensitive to it
# Standard deviations above chunks at large that count as 1: the cosine of a text with itself lies about there.
IDENTICAL = 12.0


def adaptive(evidence: Evidence, weights: Weights) -> Ranking:
    """Fuse by what speaks for each candidate: score = weight · keyword + weight · vector / 12, from 0 to 1.

    The parts are on one scale for all queries of a store, and so are the scores: 0 is what any chunk has, and a passage
    asked for by its own text comes to about 0.55. Ties go to the smaller chunk id.
    """
    scores = weights[0] * evidence.keyword + weights[1] * evidence.vector / IDENTICAL
    best = (-scores).argsort(kind="stable")
    return Ranking(evidence.chunks[best], scores[best].clip(0.0, 1.0))


def alone(ranking: Ranking, most: float) -> Ranking:
    """Give one leg's ranking by itself, its scores as shares of the most there could be, from 0 to 1."""
    return Ranking(ranking.chunks, (ranking.scores / (most or 1.0)).clip(0.0, 1.0))


def convex(keyword: Ranking, vector: Ranking, weights: Weights = (0.5, 0.5)) -> Ranking:
    """Fuse by scores: weight · BM25 / highest BM25 + weight · cosine between the leg's lowest (0) and highest (1).

    A chunk that a leg lacks has 0 there; ties go to the smaller chunk id. Source: Bruch, Gai & Ingber, "An Analysis of
    Fusion Functions for Hybrid Retrieval", ACM TOIS 42(1), 2023.
    """
    words = keyword.scores / max(float(keyword.scores.max(initial=0.0)), 1e-12)
    low, high = (float(vector.scores[-1]), float(vector.scores[0])) if len(vector) else (0.0, 0.0)
    meaning = (vector.scores - low) / (high - low) if high > low else np.ones(len(vector))
    return _summed(keyword, weights[0] * words, vector, weights[1] * meaning)


def rrf(keyword: Ranking, vector: Ranking, weights: Weights = (1.0, 1.0), k: int = RRF_K) -> Ranking:
    """Fuse by reciprocal ranks: score = Σ weight / (k + rank) over the rankings that have the chunk.

    Ties go to the smaller chunk id. Source: Cormack, Clarke & Büttcher, "Reciprocal Rank Fusion outperforms
    Condorcet and individual rank learning methods", SIGIR 2009.
    """
    return _summed(keyword, weights[0] * _shares(k, len(keyword)), vector, weights[1] * _shares(k, len(vector)))


def _summed(
    keyword: Ranking, keyword_parts: NDArray[np.float64], vector: Ranking, vector_parts: NDArray[np.float64]
) -> Ranking:
    chunks = np.concatenate([keyword.chunks, vector.chunks])
    parts = np.concatenate([keyword_parts, vector_parts])
    order = chunks.argsort(kind="stable")
    chunks, scores = chunks[order], parts[order]
    # A chunk stands once in a ranking, so what both have is two neighbours now.
    twice = np.flatnonzero(chunks[1:] == chunks[:-1])
    if len(twice):
        scores[twice] += scores[twice + 1]
        once = np.ones(len(chunks), np.bool_)
        once[twice + 1] = False
        chunks, scores = chunks[once], scores[once]
    best = (-scores).argsort(kind="stable")
    return Ranking(chunks[best], scores[best])


@lru_cache(maxsize=8)
def _shares(k: int, count: int) -> NDArray[np.float64]:
    return 1 / (k + np.arange(1.0, count + 1))
