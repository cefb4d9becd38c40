"""The best of the vector leg by exact vectors: candidates come by their codes, and a proof that there are enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hybridstore.records import Ranking

# This many of the nearest are ranked by exact cosine; candidates below keep the cosine of their code, which is off by
# less than 0.005 on sentence vectors and needs no look-up.
EXACT = 64
# Codes order chunks almost as the exact vectors do; this many more than are to be exact are looked up.
_MORE = 16
MOST_CANDIDATES = 4096  # vec0's own limit on k

Exactly = Callable[[Sequence[int]], NDArray[np.float32]]
"""Returns the exact vectors (n, dim) of chunks that all have one."""
ByCode = Callable[[int], tuple[Ranking, bool]]
"""Returns at least so many chunks by the cosine of their code, and whether the scores are cosines."""


def nearest(query: NDArray[np.float32], depth: int, by_code: ByCode, exactly: Exactly) -> Ranking:
    """Rank by cosine: candidates by their codes, the best of them by their exact vectors."""
    looked_up = min(depth, EXACT) + _MORE
    while True:
        count = max(looked_up, depth)
        found, in_order = by_code(count)
        exact = looked_up if in_order else len(found)
        ranking, proved = rescored(query, found, depth, exact, exactly)
        all_found = len(found) < count or not in_order
        # Of thousands of duplicates, those with the smallest ids were found in memory; vec0 returns no more than these.
        if proved or (all_found and len(found) <= exact) or looked_up > MOST_CANDIDATES:
            return ranking
        looked_up *= 4


def rescored(
    vector: NDArray[np.float32], found: Ranking, depth: int, looked_up: int, exactly: Exactly
) -> tuple[Ranking, bool]:
    """Rank candidates found by code by their cosine to a unit vector (dim,), exact for the first `looked_up` of them.

    Where cosines tie, the smaller id comes first. Also return whether nothing else can belong to the best `depth`, or
    EXACT: the last one looked up would be below them even if its code were off by twice as much as the worst of these.
    In tight clusters it would not.
    """
    if not len(found):
        return found, True
    by_id = found.chunks[:looked_up].argsort()
    ids, rough = found.chunks.take(by_id), found.scores.take(by_id)
    # Summed row by row: a matrix product rounds some rows differently, and equal vectors must have equal cosines.
    scores = (exactly(ids.tolist()) * vector).sum(axis=1).astype(np.float64)
    margin = 2 * float(np.abs(scores - rough).max())
    last = np.sort(scores)[::-1][:EXACT][:depth][-1]
    proved = bool(last > found.scores[:looked_up][-1] + margin)
    ids, scores = np.concatenate([ids, found.chunks[looked_up:]]), np.concatenate([scores, found.scores[looked_up:]])
    order = np.lexsort((ids, -scores))[:depth]
    return Ranking(ids.take(order), scores.take(order)), proved
