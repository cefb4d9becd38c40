"""The best chunks by a sum over terms, without adding up what cannot matter.

After Turtle & Flood, "Query evaluation: strategies and optimizations", Information Processing & Management 31 (1995):
terms are added rarest first. Once `count` chunks have more than all terms still to come could give together, a chunk
that has none of the terms so far is out, and the long lists of common terms are only looked into for the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.resident.chunk_ids import best, bound

_LONG = 16  # a list is long that holds more than one in so many chunks; before such a one it pays to look at the scores
_LOOK_UP = 16  # looking up a chunk in a list costs as much as adding so many of the list's rows
_LOOKED_AT = 16_384
_DENSE = 8  # a filter that lets through more than one in so many is applied to the scores, not to the postings
_ROUNDING = 1e-5  # float32 sums may differ by this share, depending on their order


@dataclass(frozen=True, slots=True)
class Part:
    """What a term gives: `factor` times `impacts` at `places` (ascending); no impact is above `most`."""

    places: NDArray[np.int32]
    impacts: NDArray[np.uint16]
    factor: float
    most: float


def top(
    parts: Sequence[Part],
    size: int,
    count: int,
    *,
    mask: NDArray[np.bool_] | None = None,
    gone: NDArray[np.intp] | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Give the places below `size` and the scores of the `count` best, best first, ties by place.

    `mask` (size,) says which places may be found at all, `gone` names a few that may not; a score of 0 is not found.
    """
    out = gone if mask is None else mask  # what is done about a place that may not be found: its score is wiped out
    if mask is not None and np.count_nonzero(mask) * _DENSE < size:
        out = None  # or it is never added
    parts = sorted(parts, key=lambda part: len(part.places))
    rest = np.append(np.cumsum([part.factor * part.most for part in reversed(parts)])[::-1], 0.0)  # still to come
    scores = np.zeros(size, np.float32)
    for number, part in enumerate(parts):
        if len(part.places) > size // _LONG and rest[0] > 2 * rest[number]:
            _wipe(scores, out)
            floor = bound(scores, count) * (1 - _ROUNDING) - rest[number]
            if floor > 0 and _about(scores, floor) * _LOOK_UP < len(part.places):
                return _among(np.flatnonzero(scores > floor), scores, parts[number:], rest[number + 1 :], count)
        places, impacts = part.places, part.impacts
        if mask is not None and out is None:
            kept = mask.take(places)
            places, impacts = places[kept], impacts[kept]
        np.add.at(scores, places, impacts * np.float32(part.factor))
    _wipe(scores, out)
    found = best(scores, count, floor=0.0)
    return found, scores[found]


def _about(scores: NDArray[np.float32], floor: float) -> int:
    """Count the scores above a floor, about: of so many only some are looked at."""
    step = max(len(scores) // _LOOKED_AT, 1)
    return int(np.count_nonzero(scores[::step] > floor)) * step


def _wipe(scores: NDArray[np.float32], out: NDArray[np.bool_] | NDArray[np.intp] | None) -> None:
    if out is None:
        return
    if out.dtype == np.bool_:
        scores *= out
    else:
        scores[out] = 0.0


def _among(
    candidates: NDArray[np.intp],
    scores: NDArray[np.float32],
    parts: Sequence[Part],
    rest: NDArray[np.float64],
    count: int,
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Add the remaining parts to the candidates alone, letting go of those that fall behind."""
    sums = scores[candidates]
    for part, still in zip(parts, rest, strict=True):
        at = part.places.searchsorted(candidates.astype(np.int32))
        at[at == len(part.places)] = 0
        hit = np.flatnonzero(part.places[at] == candidates)
        sums[hit] += part.impacts[at[hit]] * np.float32(part.factor)
        if len(sums) > count:
            floor = np.partition(sums, len(sums) - count)[len(sums) - count] * (1 - _ROUNDING) - still
            kept = np.flatnonzero(sums > floor)
            candidates, sums = candidates[kept], sums[kept]
    order = np.lexsort((candidates, -sums))[:count]
    return candidates[order], sums[order]
