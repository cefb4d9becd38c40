"""Drawings of how a search ranked: slopes from the legs into the fused ranking, score bars, cosines above chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from hybridstore.views.html_page import element
from hybridstore.views.svg_plots import drawing, text

_ROW, _TOP = 26, 34
_LEFT, _RIGHT = 36, 364  # where the legs' dots are
_BOX, _BOX_END = 106, 294  # the names between them
_NAME = 21  # characters of a name, at about 7.5 units each
_CURVE = 40  # points of a density


def slopes(names: Sequence[str], legs: Sequence[tuple[str, Sequence[int | None]]]) -> Markup:
    """Draw the hits, best first, in the middle, with lines to their ranks in one leg at the left and one at the right.

    Each leg is its name and the rank of every hit in it, None for those that it did not find. At most two legs.
    """
    shown, parts, lowest = len(names), [], 0.0
    for number, (name, ranks) in enumerate(legs):
        dot, edge, sign = (_LEFT, _BOX, 1) if number == 0 else (_RIGHT, _BOX_END, -1)
        anchor = "start" if number == 0 else "end"
        parts.append(text(dot - sign * 32, 16, name, anchor=anchor))
        for place, (y, rank) in enumerate(zip(_heights(ranks, shown), ranks, strict=True)):
            to, middle = _height(place + 1), (dot + edge) / 2
            line = f"M{dot},{y:.1f}C{middle:.1f},{y:.1f} {middle:.1f},{to} {edge},{to}"
            parts.append(element("path", d=line, class_=f"hs-line s{number}" + ("" if rank else " hs-faint dash")))
            if rank:
                parts.append(element("circle", cx=dot, cy=y, r=4, class_=f"fill s{number}"))
            parts.append(text(dot - sign * 9, y + 4, f"{rank}" if rank else "–", anchor="end" if sign > 0 else "start"))
            lowest = max(lowest, y)
    parts.append(text((_BOX + _BOX_END) / 2, 16, "result", anchor="middle"))
    for place, name in enumerate(names):
        y = _height(place + 1)
        box = {"x": _BOX, "y": y - 11, "width": _BOX_END - _BOX, "height": 22, "rx": 4}
        parts.append(element("rect", element("title", name), class_="hs-box", **box))
        parts.append(text(_BOX + 6, y + 4, f"{place + 1}  {name if len(name) <= _NAME else name[: _NAME - 1] + '…'}"))
    described = "; ".join(
        f"{name}: " + ", ".join(f"{leg} {ranks[place] or 'not found'}" for leg, ranks in legs)
        for place, name in enumerate(names)
    )
    return drawing(max(lowest, _height(shown)) + 18, parts, f"ranks in each leg. {described}")


def _height(rank: float) -> float:
    return _TOP + _ROW * (rank - 0.5)


def _heights(ranks: Sequence[int | None], shown: int) -> list[float]:
    """Return where each hit stands in a leg: at its rank if that is shown, else below, in the order of the ranks."""
    heights = [0.0] * len(ranks)
    below = _height(shown) + 4
    for place in sorted(range(len(ranks)), key=lambda place: ranks[place] or math.inf):
        rank = ranks[place]
        if rank is not None and rank <= shown:
            heights[place] = _height(rank)
        else:
            below += 17
            heights[place] = below
    return heights


def bar(parts: Sequence[float], whole: float) -> Markup:
    """Draw a stacked bar of a row: its parts as shares of `whole`, in the colours of the legs."""
    drawn = [element("rect", x=0, y=0, width=100, height=8, rx=1, class_="hs-track")]
    left = 0.0
    for number, part in enumerate(parts):
        width = min(max(part / whole, 0.0) * 100 if whole > 0 else 0.0, 100 - left)
        if width > 0:
            drawn.append(element("rect", x=left, y=0, width=width, height=8, class_=f"fill s{number}"))
        left += width
    return element("svg", *drawn, viewBox="0 0 100 8", preserveAspectRatio="none", aria_hidden="true")


def above_chance(cosine: float, scale: Mapping[str, Any]) -> Markup:
    """Draw the density of the query's cosines to the store's passages, with chance and one passage's cosine in it.

    `scale` has `mean`, `deviation`, `sample` and `chance` (None if unknown), as in a Trace's `cosines`.
    """
    chance = scale["chance"]
    sample = list(scale["sample"]) or [scale["mean"]]
    marks = [cosine, *([] if chance is None else [chance])]
    low: float = min([*sample, *marks, scale["mean"] - 2.5 * scale["deviation"]])
    high: float = max([*sample, *marks]) + 0.04
    bottom = 96

    def place(value: float) -> float:
        return 8 + (value - low) / (high - low) * 384

    points = [low + (high - low) * n / (_CURVE - 1) for n in range(_CURVE)]
    width = 1.06 * scale["deviation"] * len(sample) ** -0.2  # Silverman's rule of thumb
    dense = [sum(math.exp(-(((point - value) / width) ** 2) / 2) for value in sample) for point in points]
    most = max(dense) or 1.0
    curve = "".join(f"L{place(x):.0f},{bottom - 60 * y / most:.0f}" for x, y in zip(points, dense, strict=True))
    parts = [element("path", d=f"M{place(low):.1f},{bottom}{curve}V{bottom}Z", class_="hs-area")]
    if chance is not None:
        x = place(chance)
        parts.append(element("line", x1=x, x2=x, y1=30, y2=bottom, class_="zero dash"))
        parts.append(_label(x, 26, f"chance {chance:.2f}", left=chance < cosine, soft=True))
    x = place(cosine)
    parts.append(element("line", x1=x, x2=x, y1=18, y2=bottom, class_="stroke s1"))
    parts.append(element("circle", cx=x, cy=bottom, r=5, class_="fill s1"))
    parts.append(_label(x, 14, f"this passage {cosine:.2f}", left=x > 290))
    parts.append(element("line", x1=8, x2=392, y1=bottom, y2=bottom, class_="zero"))
    tick = math.ceil(low * 5) / 5
    while tick <= high:
        parts.append(text(place(tick), bottom + 17, f"{tick:.1f}", anchor="middle", soft=True))
        tick = round(tick + 0.2, 1)
    known = "" if chance is None else f", chance {chance:.2f}"
    return drawing(bottom + 24, parts, f"cosine {cosine:.2f} among those of the store's passages{known}")


def _label(x: float, y: float, what: str, *, left: bool, soft: bool = False) -> Markup:
    """Write beside a line, to its left or its right."""
    return text(x - 6 if left else x + 6, y, what, anchor="end" if left else "start", soft=soft)


def _side(x: float) -> str:
    return "start" if x < 110 else "end" if x > 290 else "middle"


def share_range(shown: tuple[float, float], now: float) -> Markup:
    """Draw the range, within 0 to 1, of the words' weight in which something is shown, and where the weight is now."""
    low, high = shown

    def place(value: float) -> float:
        return 12 + (1.0 - value) * 376

    parts = [
        element("rect", x=12, y=26, width=376, height=10, rx=2, class_="hs-track"),
        element("rect", x=place(high), y=26, width=max(place(low) - place(high), 3), height=10, class_="fill s2"),
        element("line", x1=place(now), x2=place(now), y1=18, y2=44, class_="stroke s0"),
        text(place(now), 13, f"now {now:.2f}", anchor=_side(place(now))),
        text(12, 58, "words only", soft=True),
        text(388, 58, "meaning only", anchor="end", soft=True),
    ]
    return drawing(64, parts, f"shown where the words weigh from {low:g} to {high:g}; now {now:.2f}")
