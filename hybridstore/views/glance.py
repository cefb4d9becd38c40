"""A store at a glance: what it holds, whether all of it is well, and a map of its passages.

The functions take what `hybridstore.serving.overview` gathers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from hybridstore.views.html_page import element
from hybridstore.views.rendering import render
from hybridstore.views.svg_plots import drawing, text
from hybridstore.views.why_plots import bar

MODULES = ("map.js",)
_USUAL_POWER, _MOST_POWER = 4.0, 8.0
_COLOURS = 5  # of a map, for the most frequent values; the rest is grey
_SIDE, _MARGIN = 400, 14
_APART = 17.0  # the middles of two hits' marks on a map
_LETTER, _LINE = 5.6, 13.0  # of the words on a map


def contents(value: Mapping[str, Any], *, heading: str = "h2") -> Markup:
    """Return what a store holds, as `overview.contents` gives it: counts by kind, folder and time, size, vectors."""
    stats = value["stats"]
    chunks = stats["chunks"]
    measured = stats["background"]
    return render(
        "contents.html",
        heading=heading,
        value=value,
        stats=stats,
        size=_size(stats["bytes"]),
        embedded=bar([chunks - value["without_vectors"]], chunks) if stats["embedding"] else None,
        power=None if measured is None else _power(measured["power"]),
        fields=[_counted(field) for field in value["fields"]],
    )


def passage_map(value: Mapping[str, Any], *, heading: str = "h2") -> Markup:
    """Return passages in two dimensions, as `overview.passage_map` gives them; with its module they can be explored."""
    fields = value["fields"]
    groups = fields[next(iter(fields))] if fields else [""] * len(value["points"])
    named = _most_frequent(groups)
    return render(
        "map.html",
        heading=heading,
        value=value,
        drawing=_map(value, groups, named),
        legend=named,
        others=bool(named) and len(set(groups)) > len(named),
        data={name: value[name] for name in ("points", "names", "documents", "fields", "hits", "query")},
    )


def _size(number: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.3g} GB"


def _counted(field: Mapping[str, Any]) -> dict[str, Any]:
    counts = field["counts"]
    most = max((count for _, count in counts), default=0)
    return {
        "name": field["name"],
        "rows": [(name, count, bar([count], most)) for name, count in counts],
        "more": field["different"] - len(counts),
    }


def _power(power: float) -> Markup:
    """Draw the power of a store's vectors on a scale from 0 to 8, with what is usual."""

    def place(number: float) -> float:
        return 8 + min(max(number, 0.0), _MOST_POWER) / _MOST_POWER * 384

    side = "start" if place(power) < 120 else "end" if place(power) > 300 else "middle"
    parts = [
        element("rect", x=8, y=24, width=384, height=10, rx=2, class_="hs-track"),
        element("rect", x=8, y=24, width=place(power) - 8, height=10, rx=2, class_="fill s0"),
        element("line", x1=place(_USUAL_POWER), x2=place(_USUAL_POWER), y1=20, y2=40, class_="zero"),
        text(place(_USUAL_POWER), 56, "usual", anchor="middle", soft=True),
        text(8, 56, "chance", soft=True),
        text(place(power), 16, f"{power:.1f}", anchor=side),
    ]
    return drawing(62, parts, f"power {power:.1f} on a scale from 0 to 8; {_USUAL_POWER:g} is usual")


def _most_frequent(groups: list[str]) -> list[str]:
    counts: dict[str, int] = {}
    for group in groups:
        if group:
            counts[group] = counts.get(group, 0) + 1
    return sorted(counts, key=lambda group: (-counts[group], group))[:_COLOURS]


def _at(point: tuple[float, float]) -> tuple[float, float]:
    """Return where a point, from 0 to 1 in both directions, is in the drawing."""
    return _MARGIN + point[0] * (_SIDE - 2 * _MARGIN), _SIDE - _MARGIN - point[1] * (_SIDE - 2 * _MARGIN)


def _apart(regions: Sequence[Mapping[str, Any]]) -> list[tuple[float, float, str]]:
    """Return where the words of regions are written, within the drawing and below one another where they would meet."""
    written: list[tuple[float, float, str]] = []
    for region in sorted(regions, key=lambda region: -region["at"][1]):
        x, y = _at(region["at"])
        half = _LETTER / 2 * len(region["words"])
        x = min(max(x, half + 4), max(_SIDE - half - 4, half + 4))
        for left, above, words in written:
            if abs(y - above) < _LINE and abs(x - left) < half + _LETTER / 2 * len(words):
                y = above + _LINE
        written.append((x, min(y, _SIDE - 4.0), region["words"]))
    return written


def _side_by_side(
    places: Sequence[tuple[float, float]], taken: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Return places for the marks of hits: the hit's own, or the next free one on a spiral around it."""
    free = list(taken)
    for x, y in places:
        for step in range(400):
            turn, far = 2.4 * step, 2.0 * math.sqrt(step)  # the golden angle covers all directions evenly
            at = (
                min(max(x + far * math.cos(turn), _MARGIN), _SIDE - _MARGIN),
                min(max(y + far * math.sin(turn), _MARGIN), _SIDE - _MARGIN),
            )
            if all(math.dist(at, other) >= _APART for other in free):
                break
        free.append(at)
    return free[len(taken) :]


def _map(value: Mapping[str, Any], groups: list[str], named: list[str]) -> Markup:
    """Draw the points, one path for each colour, then the hits with their ranks and the query."""
    paths: list[list[str]] = [[] for _ in range(len(named) + 1)]
    for point, group in zip(value["points"], groups, strict=True):
        x, y = _at(point)
        paths[named.index(group) if group in named else len(named)].append(f"M{x:.1f},{y:.1f}h0")
    parts = [
        element("path", d="".join(path), class_=f"hs-dots s{number if number < len(named) else 5 if named else 0}")
        for number, path in enumerate(paths)
        if path
    ]
    parts += [
        element("text", words, x=x, y=y, text_anchor="middle", class_="hs-region")
        for x, y, words in _apart(value["regions"])
    ]
    asked = [_at(value["query"]["at"])] if value["query"] else []
    marks = _side_by_side([_at(hit["at"]) for hit in value["hits"]], asked)
    for hit, (x, y) in zip(value["hits"], marks, strict=True):
        left, top = _at(hit["at"])
        circle = element("circle", element("title", hit["name"]), cx=x, cy=y, r=8, class_="hs-hit")
        number = element("text", str(hit["rank"]), x=x, y=y + 3.5, text_anchor="middle", class_="hs-number")
        parts += [element("line", x1=left, y1=top, x2=x, y2=y, class_="hs-lead"), circle, number]
    for x, y in asked:
        star = f"M{x - 9:.1f},{y:.1f}h18M{x:.1f},{y - 9:.1f}v18"
        parts.append(element("path", element("title", value["query"]["text"]), d=star, class_="hs-query"))
    return drawing(_SIDE, [element("g", *parts)], f"map of {len(value['points'])} passages")
