"""Snippets: which of the hits are worth showing, and which part of a passage shows best why it was found."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hybridstore.records import Hit, Trace

# A line break inside a paragraph: after a long line that ends as prose does, before a letter.
_SOFT_BREAK = re.compile(r"(?<=[^\n]{40}[^\s:;{}()])\n(?=[^\W\d_])")
_FAINT = 0.1  # share of the best hit's score; below are passages that have next to nothing of the query

Spans = Sequence[tuple[int, int]]


def worth_showing(trace: Trace) -> Sequence[Hit]:
    """Return the hits down to where relevance ends: a tenth of the best one's score, or nothing at all."""
    hits = trace.hits
    least = (
        _FAINT * max((hit.score for hit in hits), default=0.0)
        if trace.mode == "hybrid" and trace.fusion == "adaptive"
        else 0.0
    )
    return [hit for hit in hits if hit.score > max(least, 0.0)] or hits[:1]


def reflowed(text: str) -> str:
    """Return a text of the same length, with spaces for the line breaks inside of its paragraphs."""
    return _SOFT_BREAK.sub(" ", text)


def densest(text: str, spans: Spans, size: int) -> tuple[int, int]:
    """Return the stretch [start, end) of at most `size` characters that holds most different matched words."""
    if len(text) <= size or not spans:
        return 0, min(len(text), size)
    before = size // 4

    def inside(at: int) -> list[str]:
        limit = spans[at][0] - before + size
        return [text[a:b].casefold() for a, b in spans[at : at + size] if b <= limit]

    # About 100 starts are tried: a word that matches a thousand times is close to another match everywhere.
    tried = range(0, len(spans), max(1, len(spans) // 100))
    best = tried[best_of(len(tried), lambda at: inside(tried[at]))]
    start = max(0, min(spans[best][0] - before, len(text) - size))
    return start, start + size


def best_of(places: int, words_at: Callable[[int], list[str]]) -> int:
    """Return the first of the places with the most different words, then the most words."""

    def worth(at: int) -> tuple[int, int, int]:
        words = words_at(at)
        return len(set(words)), len(words), -at

    return max(range(max(places, 1)), key=worth)
