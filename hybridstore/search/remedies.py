"""Remedies: changed arguments with which a search shows a document it did not show, each tried by searching again."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridstore.filters import Filter
from hybridstore.records import FULL_Z_SCORE, Ranking, Trace

DEEP = 4096  # how far down a leg is followed for an expected document; sqlite-vec's limit
_MOST = 500  # hits; a limit above that is no remedy
_TRIES = 4  # searches for one remedy; a deeper search may use other words and rank otherwise
_DIGITS = range(2, 7)  # of a weight, as many as it takes

Changes = Mapping[str, Any]
"""Arguments of `Store.search`, by name, that differ from those of the search that is explained."""


@dataclass(frozen=True, slots=True)
class FailedSearch:
    """Arguments of a search that its Trace does not hold, and `again`: the same search with some arguments changed."""

    where: Filter | None
    depth: int | None
    min_relevance: float | None
    again: Callable[..., Trace]


def best(ranking: Ranking | None, chunks: Collection[int]) -> int | None:
    """Return the rank of the first of the chunks in a ranking; None where none of them is in it."""
    if ranking is None:
        return None
    places = np.flatnonzero(np.isin(ranking.chunks, list(chunks)))
    return int(places[0]) + 1 if len(places) else None


def shown(trace: Trace, document_id: str) -> int | None:
    """Return the rank at which a document is shown; None where it is not."""
    return next((hit.rank for hit in trace.hits if hit.document_id == document_id), None)


def working(search: FailedSearch, document_id: str, chunks: Collection[int], changes: Changes) -> Changes | None:
    """Return changes under which the document is shown: these, and a higher limit where they are not enough.

    None where they do not make it a candidate, or no limit that was tried, up to 500, shows it.
    """
    for _ in range(_TRIES):
        changes = _allowed(search, changes)
        if changes.get("limit", 0) > _MOST:
            return None
        trace = search.again(**changes)
        rank = shown(trace, document_id)
        if rank is not None:
            return _fewer(search, document_id, changes, rank)
        rank = best(trace.fused, chunks)
        if rank is None:
            return None
        changes = {**changes, "limit": rank if rank > trace.limit else 2 * trace.limit}
    return None


def _allowed(search: FailedSearch, changes: Changes) -> Changes:
    """Raise the depth to the limit; it must not be lower."""
    limit, depth = changes.get("limit"), changes.get("depth", search.depth)
    return changes if limit is None or depth is None or depth >= limit else {**changes, "depth": limit}


def _fewer(search: FailedSearch, document_id: str, changes: Changes, rank: int) -> Changes:
    """Lower the limit to the rank if that is enough: some of what ranked above was folded or left out."""
    if changes.get("limit", rank) <= rank:
        return changes
    less = {**changes, "limit": rank}
    return less if shown(search.again(**less), document_id) else changes


def deep_enough(search: FailedSearch, chunks: Collection[int], depth: int) -> tuple[int, int] | None:
    """Return a depth from this one on at which one of the chunks is a candidate, and its fused rank there.

    None if it is none at 4096.
    """
    for tried in (depth, 2 * depth, 4 * depth, DEEP):
        rank = best(search.again(depth=tried).fused, chunks) if tried <= max(depth, DEEP) else None
        if rank is not None:
            return tried, rank
    return None


def weights(trace: Trace, chunks: Collection[int], least: float | None) -> tuple[float, float] | None:
    """Return the range of the keyword leg's weight, nearest to the present one, in which one of the chunks is shown.

    For adaptive fusion, where chunk c scores w · keyword(c) + (1 - w) · vector(c) / 12. The difference between two
    chunks is linear in w, so they swap places at most once, and between two swaps the rank of c is constant. The range
    is rounded inwards. None where no weight from 0 to 1 puts one of the chunks among the first `limit` of those that
    are relevant enough.
    """
    evidence = trace.evidence
    if evidence is None:
        return None
    passed = np.ones(len(evidence.chunks), np.bool_)
    if least is not None and evidence.relevance is not None:
        passed = evidence.relevance >= least
    keyword, vector = evidence.keyword[passed], evidence.vector[passed] / FULL_Z_SCORE
    now = trace.weights[0]
    ranges = [
        (low, high)
        for place in np.flatnonzero(np.isin(evidence.chunks[passed], list(chunks))).tolist()
        for low, high in _ranges(keyword - keyword[place], vector - vector[place], trace.limit)
    ]
    nearest = min(ranges, key=lambda pair: max(pair[0] - now, now - pair[1], 0.0), default=None)
    return None if nearest is None else _rounded(*nearest)


def _ranges(keyword: NDArray[np.float64], vector: NDArray[np.float64], limit: int) -> list[tuple[float, float]]:
    """Return the ranges of w in which w · keyword + (1 - w) · vector, both (n,), has fewer than `limit` values > 0."""
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
