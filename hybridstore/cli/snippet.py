"""The lines of a passage that show best why it was found."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hybridstore.cli.terminal import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

MATCH = "bold yellow"

_LINES = 3
_LOOKED_AT = 6_000  # characters around the densest place; wrapping a whole book for three lines takes seconds

# A line break inside a paragraph: after a long line that ends as prose does, before a letter.
_SOFT_BREAK = re.compile(r"(?<=[^\n]{40}[^\s:;{}()])\n(?=[^\W\d_])")

Spans = Sequence[tuple[int, int]]


def marked(text: str, spans: Spans) -> Text:
    """Give the whole passage, its matched words marked."""
    from rich.text import Text

    shown = Text(printable(text))
    for start, end in spans:
        shown.stylize(MATCH, start, end)
    return shown


def snippet(text: str, spans: Spans, console: Console, width: int, *, lines: int = _LINES) -> list[Text]:
    """Give at most `lines` consecutive lines of the text, wrapped to `width`, that hold most of the matched words.

    Different words count first, then their number, then how early they stand. What is left out before and after
    shows as "…".
    """
    start, end = densest(text, spans, _LOOKED_AT)
    within = [(a - start, b - start) for a, b in spans if a >= start and b <= end]
    whole = marked(_SOFT_BREAK.sub(" ", text[start:end]), within)
    rows = [row for row in whole.wrap(console, width - 2, tab_size=4) if row.plain.strip()]
    if not rows:
        return []
    words = [[row.plain[span.start : span.end].casefold() for span in row.spans] for row in rows]
    first = _best(len(rows) - lines + 1, lambda at: [word for row in words[at : at + lines] for word in row])
    chosen = rows[first : first + lines]
    for row in chosen:
        row.rstrip()
    if first or start:
        chosen[0] = _indented(chosen[0])
    if first + lines < len(rows) or end < len(text):
        chosen[-1].append(" …")
    return chosen


def densest(text: str, spans: Spans, size: int) -> tuple[int, int]:
    """Give a stretch of at most `size` characters that holds most different matched words: [start, end)."""
    if len(text) <= size or not spans:
        return 0, min(len(text), size)
    before = size // 4

    def inside(at: int) -> list[str]:
        limit = spans[at][0] - before + size
        return [text[a:b].casefold() for a, b in spans[at : at + size] if b <= limit]

    # Only so many beginnings are tried: a word that matches a thousand times is near itself anywhere.
    tried = range(0, len(spans), max(1, len(spans) // 100))
    best = tried[_best(len(tried), lambda at: inside(tried[at]))]
    start = max(0, min(spans[best][0] - before, len(text) - size))
    return start, start + size


def _best(places: int, words_at: Callable[[int], list[str]]) -> int:
    """Give the first of the places with the most different words, then the most words."""

    def worth(at: int) -> tuple[int, int]:
        found = words_at(at)
        return len(set(found)), len(found)

    return max(range(max(places, 1)), key=lambda at: (*worth(at), -at))


def _indented(row: Text) -> Text:
    from rich.text import Text

    return Text("… ") + row
