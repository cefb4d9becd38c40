"""What would have shown a document that was not shown. Nothing is guessed: whatever is told was tried by searching."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridstore.filters import Filter
from hybridstore.records import Ranking, Trace
from hybridstore.search.rank_fusion import IDENTICAL

DEEP = 4096  # how far down a leg is followed for an expected document; sqlite-vec's limit
_MOST = 500  # hits; a limit above that is no remedy
_TRIES = 4  # a deeper search may buy other words and rank otherwise; after so many it is given up
_DIGITS = range(2, 7)  # of a weight, as many as it takes

Changes = Mapping[str, Any]
"""Arguments of `Store.search`, by name, that differ from those of the search that is explained."""


@dataclass(frozen=True, slots=True)
class FailedSearch:
    """What was asked for beside what the Trace tells, and `again`: the same search with some arguments changed."""

    where: Filter | None
    depth: int | None
    min_relevance: float | None
    again: Callable[..., Trace]


def best(ranking: Ranking | None, chunks: Collection[int]) -> int | None:
    """Give the rank of the first of the chunks in a ranking; None where it holds none of them."""
    if ranking is None:
        return None
    places = np.flatnonzero(np.isin(ranking.chunks, list(chunks)))
    return int(places[0]) + 1 if len(places) else None


def shown(trace: Trace, document_id: str) -> int | None:
    """Give the rank at which a document is shown; None where it is not."""
    return next((hit.rank for hit in trace.hits if hit.document_id == document_id), None)


def working(asked: FailedSearch, document_id: str, chunks: Collection[int], changes: Changes) -> Changes | None:
    """Give changes under which the document is shown: these, and a higher limit where they are not enough.

    None where they do not make it a candidate, or no limit up to 500 that was tried shows it.
    """
    for _ in range(_TRIES):
        changes = _allowed(asked, changes)
        if changes.get("limit", 0) > _MOST:
            return None
        found = asked.again(**changes)
        rank = shown(found, document_id)
        if rank is not None:
            return _fewer(asked, document_id, changes, rank)
        rank = best(found.fused, chunks)
        if rank is None:
            return None
        changes = {**changes, "limit": rank if rank > found.limit else 2 * found.limit}
    return None


def _allowed(asked: FailedSearch, changes: Changes) -> Changes:
    """Raise the depth to the limit, below which it must not be."""
    limit, depth = changes.get("limit"), changes.get("depth", asked.depth)
    return changes if limit is None or depth is None or depth >= limit else {**changes, "depth": limit}


def _fewer(asked: FailedSearch, document_id: str, changes: Changes, rank: int) -> Changes:
    """Lower the limit to the rank if that shows it, too: of what stood above, some was folded or left out."""
    if changes.get("limit", rank) <= rank:
        return changes
    less = {**changes, "limit": rank}
    return less if shown(asked.again(**less), document_id) else changes


def deep_enough(asked: FailedSearch, chunks: Collection[int], depth: int) -> tuple[int, int] | None:
    """Give a depth, this one if it will do, at which one of the chunks is a candidate, and its fused rank there.

    None if it is none at 4096.
    """
    for tried in (depth, 2 * depth, 4 * depth, DEEP):
        rank = best(asked.again(depth=tried).fused, chunks) if tried <= max(depth, DEEP) else None
        if rank is not None:
            return tried, rank
    return None


def weights(trace: Trace, chunks: Collection[int], least: float | None) -> tuple[float, float] | None:
    """Give the range of the keyword leg's weight, nearest to what it is, within which one of the chunks is shown.

    Of adaptively fused evidence, where chunk c scores w · keyword(c) + (1 - w) · vector(c) / 12. Its difference from
    another's is linear in w, so each other one changes sides with it at most once; between two such weights the rank of
    c stands still. The range is rounded inwards. None where no weight from 0 to 1 puts one of the chunks among the
    first `limit` of those that are relevant enough.
    """
    evidence = trace.evidence
    if evidence is None:
        return None
    passed = np.ones(len(evidence.chunks), np.bool_)
    if least is not None and evidence.relevance is not None:
        passed = evidence.relevance >= least
    keyword, vector = evidence.keyword[passed], evidence.vector[passed] / IDENTICAL
    now = trace.weights[0]
    ranges = [
        (low, high)
        for place in np.flatnonzero(np.isin(evidence.chunks[passed], list(chunks))).tolist()
        for low, high in _ranges(keyword - keyword[place], vector - vector[place], trace.limit)
    ]
    nearest = min(ranges, key=lambda each: max(each[0] - now, now - each[1], 0.0), default=None)
    return None if nearest is None else _rounded(*nearest)


def _ranges(keyword: NDArray[np.float64], vector: NDArray[np.float64], limit: int) -> list[tuple[float, float]]:
    """Give the ranges of w within which w · keyword + (1 - w) · vector, both (n,), has fewer than `limit` above 0."""
    slope = keyword - vector
    moving = np.flatnonzero(slope)
    crossings = -vector[moving] / slope[moving]
    within = (crossings > 0) & (crossings < 1)
    moving, crossings = moving[within], crossings[within]
    order = crossings.argsort()
    edges = np.concatenate([[0.0], crossings[order], [1.0]])
    above = int(((vector > 0) | ((vector == 0) & (slope > 0))).sum())  # just beyond w = 0
    counts = above + np.concatenate([[0], np.sign(slope[moving[order]]).cumsum()])
    ranges: list[tuple[float, float]] = []
    for place in np.flatnonzero(counts < limit).tolist():
        low, high = float(edges[place]), float(edges[place + 1])
        if ranges and ranges[-1][1] == low:
            low = ranges.pop()[0]
        ranges.append((low, high))
    return [(low, high) for low, high in ranges if high > low]


def _rounded(low: float, high: float) -> tuple[float, float]:
    for digits in _DIGITS:
        scale = 10**digits
        inside = math.ceil(low * scale) / scale, math.floor(high * scale) / scale
        if inside[0] < inside[1]:
            return inside
    return low, high
