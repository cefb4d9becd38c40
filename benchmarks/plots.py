"""Plots of the results of benchmarks/speed.py as SVG, written without a library so that they are reproducible."""

from __future__ import annotations

import math
from html import escape

import speed_tables
from speed_tables import OURS, Size, at, number

WIDTH = 800
INK, FAINT, ACCENT = "#24292f", "#d0d7de", "#cf222e"
COLOURS = (
    "#0969da", "#8250df", "#1a7f37", "#9a6700", "#bf3989", "#57606a", "#0a7ea4", "#6e7781", "#bc4c00", "#116329",
    "#4d2d00", "#3b2f8f",
)  # fmt: skip


def drawn(sizes: list[Size]) -> dict[str, str]:
    """Return the plots by file name: bars at the size nearest 50,000, and growth for two sizes or more."""
    if not sizes:
        return {}
    middle = min(sizes, key=lambda size: abs(math.log(size.chunks / 50_000)))
    plots = {"speed-bars.svg": bars(middle)}
    if len(sizes) > 1:
        plots["speed-growth.svg"] = curves(sizes)
    return plots


def bars(size: Size) -> str:
    """One bar for each rival's warm hybrid p50, on a logarithmic axis."""
    known = [(entry, at(entry.row, "warm.p50")) for entry in size.entries]
    rows = sorted(((entry, p50) for entry, p50 in known if p50 is not None), key=lambda pair: pair[1])
    left, top, step = 240, 60, 26
    low, high = decades([p50 for _, p50 in rows])
    bottom = top + step * len(rows)
    scale = (WIDTH - left - 90) / (high - low)
    parts = [text(20, 28, f"Hybrid search, {size.chunks:,} passages: p50 in ms, warm (logarithmic)", size=16)]
    for power in range(low, high + 1):
        x = left + (power - low) * scale
        parts += [line(x, top - 6, x, bottom, FAINT), text(x, bottom + 16, tick(power), anchor="middle")]
    for n, (entry, p50) in enumerate(rows):
        y = top + n * step
        width = max(2.0, (math.log10(p50) - low) * scale)
        colour = ACCENT if entry.name == OURS else COLOURS[0]
        parts.append(f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{step - 8}" fill="{colour}"/>')
        parts.append(text(left - 8, y + 13, entry.title, anchor="end", bold=entry.name == OURS))
        parts.append(text(left + width + 6, y + 13, number(p50)))
    return svg(bottom + 30, parts)


def curves(sizes: list[Size]) -> str:
    """Warm hybrid p50 against size, both axes logarithmic."""
    found = {name: one for name, one in speed_tables.growth(sizes).items() if len(one[1]) > 1}
    left, right, top, bottom = 60, 500, 50, 430
    low, high = decades([p50 for _, by_size, _ in found.values() for p50 in by_size.values()])
    first, last = math.log10(sizes[0].chunks), math.log10(sizes[-1].chunks)

    def place(count: int, p50: float) -> tuple[float, float]:
        x = left + (math.log10(count) - first) / (last - first) * (right - left)
        return x, bottom - (math.log10(p50) - low) / (high - low) * (bottom - top)

    parts = [
        text(
            20, 28, "Hybrid search: p50 in ms, warm, by number of passages; beside each its exponent of growth", size=16
        )
    ]
    for power in range(low, high + 1):
        y = place(sizes[0].chunks, 10.0**power)[1]
        parts += [line(left, y, right, y, FAINT), text(left - 8, y + 4, tick(power), anchor="end")]
    for size in sizes:
        x = place(size.chunks, 1.0)[0]
        parts += [line(x, top, x, bottom, FAINT), text(x, bottom + 18, f"{size.chunks:,}", anchor="middle")]
    others = [name for name in found if name != OURS]
    labels = []
    for name, (title, by_size, power) in found.items():
        colour = ACCENT if name == OURS else COLOURS[others.index(name) % len(COLOURS)]
        points = [place(count, p50) for count, p50 in sorted(by_size.items())]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        width = 3 if name == OURS else 1.5
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        labels.append((points[-1][1], f"{title}: {power:.2f}", colour, name == OURS))
    y = -math.inf
    for wanted, label, colour, bold in sorted(labels):
        y = max(wanted + 4, y + 17)  # labels stand beside their curve's end, apart from one another
        parts.append(text(right + 14, y, label, colour=colour, bold=bold))
    return svg(int(max(bottom + 36, y + 20)), parts)


def decades(values: list[float]) -> tuple[int, int]:
    low = math.floor(math.log10(min(values)))
    return low, max(low + 1, math.ceil(math.log10(max(values))))


def tick(power: int) -> str:
    return f"{10**power:,}" if power >= 0 else f"{10.0**power:g}"


def text(
    x: float, y: float, what: str, *, size: int = 12, anchor: str = "start", colour: str = INK, bold: bool = False
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}"{weight}>{escape(what)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def svg(height: int, parts: list[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height}" fill="white"/>', *parts, "</svg>"]) + "\n"
