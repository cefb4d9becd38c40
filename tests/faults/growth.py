"""What grows over a run: the last quarter of the samples against the second one, and a drawing of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from hybridstore.views.html_page import element

WIDTH, HEIGHT, LEFT = 640, 130, 70
_STYLE = "text{font:12px sans-serif;fill:#555}polyline{fill:none;stroke:#2563eb;stroke-width:1.5}line{stroke:#ccc}"


class Growth(NamedTuple):
    """The medians of a quantity in the second and in the last quarter of a run."""

    name: str
    before: float
    after: float
    allowed: float  # by how much it may grow before it counts, in its own unit and as a share of what it was

    @property
    def grows(self) -> bool:
        """Whether it grew by more than a quarter and by more than is allowed."""
        return self.after - self.before > max(self.allowed, 0.25 * self.before)

    def __str__(self) -> str:
        verdict = "GROWS" if self.grows else "steady"
        change = 100 * (self.after / self.before - 1) if self.before else 0.0
        return f"{self.name}: {self.before:.1f} -> {self.after:.1f} ({change:+.0f} %): {verdict}"


def growth(name: str, values: Sequence[float], allowed: float) -> Growth:
    """Compare the last quarter with the second one: the first is the time in which a store is filled."""
    quarter = max(len(values) // 4, 1)
    return Growth(name, median(values[quarter : 2 * quarter] or values), median(values[-quarter:]), allowed)


def drawing(seconds: Sequence[float], series: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Return an SVG with a panel for each quantity over the time, each from 0 to its highest value."""
    parts = [element("style", _STYLE)]
    last = max(*seconds, 1.0)
    for number, (name, values) in enumerate(series):
        top, bottom, most = number * HEIGHT + 24, (number + 1) * HEIGHT - 12, max(*values, 1e-9)
        for share in (0, 0.5, 1):
            y = bottom - share * (bottom - top)
            parts.append(element("line", x1=LEFT, x2=WIDTH - 10, y1=y, y2=y))
            parts.append(element("text", f"{share * most:.4g}", x=LEFT - 6, y=y + 4, text_anchor="end"))
        points = (
            (LEFT + second / last * (WIDTH - 10 - LEFT), bottom - value / most * (bottom - top))
            for second, value in zip(seconds, values, strict=True)
        )
        parts.append(element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points)))
        parts.append(element("text", name, x=LEFT, y=top - 8))
    height = len(series) * HEIGHT + 16
    parts.append(element("text", f"{last:.0f} s", x=WIDTH - 10, y=height - 8, text_anchor="end"))
    return element("svg", *parts, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {height}", role="img")
