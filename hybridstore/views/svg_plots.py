"""SVG plots: inline drawings of plain numbers for reports; the page's style sets the colours.

Every plot is 400 units wide, so that it can be read on a telephone. The same numbers give the same
bytes. A colour is a class, s0 to s5: series are numbered in the order given.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from markupsafe import Markup

from hybridstore.views.html_page import element

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    class Bin(Protocol):
        """What `reliability` needs of a `hybridstore.evaluation.Bin`."""

        @property
        def count(self) -> int:
            """The number of hits."""

        @property
        def predicted(self) -> float:
            """Their mean relevance."""

        @property
        def observed(self) -> float:
            """The share of them that was judged relevant."""


WIDTH = 400
_LEFT, _RIGHT, _TOP = 44, 394, 10
_NOTHING = 1e-9  # a difference as small as this is none
_SINGLE = 400  # bars drawn one by one, bin_ with its name; more are thinner than a pixel and drawn as one outline


def differences(rows: Sequence[tuple[str, float]], reach: float = 1.0) -> Markup:
    """Draw one bar per query, the greatest gain first, on an axis from -reach to reach."""
    ordered = sorted(rows, key=lambda row: (-row[1], row[0]))
    bottom, zero, unit = 190, 100, 90 / reach
    step = min(24.0, (_RIGHT - _LEFT) / max(1, len(ordered)))
    parts = [_scale_line(zero - tick * 90, f"{tick * reach:+g}" if tick else "0") for tick in (1, 0.5, 0, -0.5, -1)]
    if len(ordered) <= _SINGLE:
        for number, (name, value) in enumerate(ordered):
            if value:
                top = zero - max(value, 0) * unit
                bar = {"x": _LEFT + number * step, "y": top, "width": step * 0.9, "height": abs(value) * unit}
                label = element("title", f"{name}: {value:+.3f}")
                parts.append(element("rect", label, class_=f"fill s{int(value < 0)}", **bar))
    else:
        for sign, colour in ((1, "s0"), (-1, "s1")):
            corners = (
                f"V{zero - max(sign * value, 0) * unit * sign:.1f}H{_LEFT + (number + 1) * step:.1f}"
                for number, (_, value) in enumerate(ordered)
            )
            parts.append(element("path", d=f"M{_LEFT},{zero}{''.join(corners)}V{zero}Z", class_=f"fill {colour}"))
    parts.append(element("line", x1=_LEFT, x2=_RIGHT, y1=zero, y2=zero, class_="zero"))
    return drawing(bottom + 6, parts, f"differences of {len(ordered)} queries")


def intervals(rows: Sequence[tuple[str, float, float, float]]) -> Markup:
    """Draw differences with their intervals: (name, difference, low, high), one under the other."""
    widest = max((abs(end) for row in rows for end in row[1:]), default=0.0)
    widest = widest if widest > _NOTHING else 0.01
    step = _step(widest)
    reach = step * math.ceil(widest / step)
    bottom, middle, half = 44 * len(rows), WIDTH / 2, WIDTH / 2 - 40

    def place(value: float) -> float:
        return middle + value / reach * half

    parts = []
    for number in range(-round(reach / step), round(reach / step) + 1):
        x = place(number * step)
        parts.append(element("line", x1=x, x2=x, y1=0, y2=bottom, class_="axis" if number else "zero"))
        parts.append(text(x, bottom + 18, f"{number * step:+.3g}" if number else "0", anchor="middle", soft=True))
    for number, (name, difference, low, high) in enumerate(rows):
        y = 44 * number + 32
        colour = "s0" if low > 0 else "s1" if high < 0 else "s5"
        parts.append(text(4, y - 14, name))
        parts.append(element("line", x1=place(low), x2=place(high), y1=y, y2=y, class_=f"stroke {colour}"))
        parts.append(element("circle", cx=place(difference), cy=y, r=5, class_=f"fill {colour}"))
    return drawing(bottom + 26, parts, f"{len(rows)} differences with their intervals")


def histogram(counts: Sequence[int], names: Sequence[str]) -> Markup:
    """Draw one column per count, with the count above it and its name below."""
    bottom, most = 160, max((*counts, 1))
    step = (WIDTH - 20) / len(counts)
    parts = []
    for number, (count, name) in enumerate(zip(counts, names, strict=True)):
        left, height = 10 + number * step, count / most * (bottom - 26)
        bar = {"x": left + step * 0.08, "y": bottom - height, "width": step * 0.84, "height": height}
        parts.append(element("rect", class_="fill s0", **bar))
        parts.append(text(left + step / 2, bottom - height - 5, f"{count:,}", anchor="middle"))
        parts.append(text(left + step / 2, bottom + 17, name, anchor="middle", soft=True))
    parts.append(element("line", x1=10, x2=WIDTH - 10, y1=bottom, y2=bottom, class_="zero"))
    return drawing(bottom + 26, parts, f"histogram of {sum(counts)}")


def shares(rows: Sequence[tuple[str, Sequence[int]]]) -> Markup:
    """Draw one stacked bar per row; the same position has the same colour."""
    parts = []
    for number, (name, counts) in enumerate(rows):
        top, left, total = 62 * number, 4.0, sum(counts) or 1
        parts.append(text(4, top + 18, name))
        for colour, count in enumerate(counts):
            width = count / total * (WIDTH - 8)
            label = element("title", f"{count:,} of {sum(counts):,}")
            bar = {"x": left, "y": top + 26, "width": width, "height": 26}
            if count:
                parts.append(element("rect", label, class_=f"fill s{colour % 6}", **bar))
            left += width
    return drawing(62 * len(rows), parts, "shares of " + ", ".join(name for name, _ in rows))


def reliability(bins: Sequence[Bin]) -> Markup:
    """Draw observed against predicted relevance; a dot's area is its bin's share of the hits."""
    side, bottom = 320, 330
    total = sum(bin_.count for bin_ in bins) or 1
    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_scale_line(bottom - tick * side, f"{tick:g}", right=_LEFT + side))
        parts.append(text(_LEFT + tick * side, bottom + 18, f"{tick:g}", anchor="middle", soft=True))
    parts.append(element("line", x1=_LEFT, y1=bottom, x2=_LEFT + side, y2=bottom - side, class_="zero dash"))
    points = [(_LEFT + bin_.predicted * side, bottom - bin_.observed * side, bin_) for bin_ in bins if bin_.count]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    parts.append(element("polyline", points=path, class_="stroke s0"))
    for x, y, bin_ in points:
        label = element("title", f"{bin_.count:,} hits: predicted {bin_.predicted:.2f}, observed {bin_.observed:.2f}")
        parts.append(element("circle", label, cx=x, cy=y, r=3 + 15 * math.sqrt(bin_.count / total), class_="fill s0"))
    return drawing(bottom + 26, parts, "share judged relevant against relevance")


def latencies(series: Mapping[str, Sequence[float]]) -> Markup:
    """Draw per series the share of searches that took at most so long; milliseconds, logarithmic."""
    bottom, height = 190, 180
    times = [max(value, 1e-3) for values in series.values() for value in values] or [1.0]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))
    high = max(high, low + 1)

    def place(value: float) -> float:
        return _LEFT + (math.log10(max(value, 1e-3)) - low) / (high - low) * (_RIGHT - 16 - _LEFT)

    parts = [_scale_line(bottom - share * height, f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 0.95)]
    for power in range(low, high + 1):
        x = place(10.0**power)
        parts.append(element("line", x1=x, x2=x, y1=_TOP, y2=bottom, class_="axis"))
        parts.append(text(x, bottom + 18, f"{10.0**power:g}", anchor="middle", soft=True))
    for colour, values in enumerate(series.values()):
        ordered = sorted(values)
        # a hundred and one points are as many as the eye can separate, and keep the page small
        picked = [ordered[round(share / 100 * (len(ordered) - 1))] for share in range(101)] if ordered else []
        path = " ".join(f"{place(value):.1f},{bottom - n / 100 * height:.1f}" for n, value in enumerate(picked))
        parts.append(element("polyline", points=path, class_=f"stroke s{colour % 6}"))
    return drawing(bottom + 26, parts, "shares of searches by time")


def drawing(height: float, parts: Sequence[Markup], what: str) -> Markup:
    """Return a drawing of 400 units by `height`, with what it shows in words for those who cannot see it."""
    named: dict[str, str | float] = {"viewBox": f"0 0 {WIDTH} {height:g}", "aria_label": what, "role": "img"}
    return element("svg", *parts, xmlns="http://www.w3.org/2000/svg", **named)


def _scale_line(y: float, label: str, right: float = _RIGHT) -> Markup:
    line = element("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="axis")
    return Markup(line + text(_LEFT - 6, y + 4, label, anchor="end", soft=True))


def text(x: float, y: float, what: str, *, anchor: str = "start", soft: bool = False) -> Markup:
    """Return a line of text at a place in a drawing."""
    more = {"class_": "soft"} if soft else {}
    return element("text", what, x=x, y=y, text_anchor=anchor, **more)


def _step(about: float) -> float:
    """Return the number of 1, 2 or 5 times a power of ten that is nearest below."""
    power = 10.0 ** math.floor(math.log10(about))
    return power * max(n for n in (1, 2, 5) if n * power <= about * (1 + 1e-9))
