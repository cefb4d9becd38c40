"""Where terms are in a text: the spans of numbers in several pieces, and of pairs in a run of unspaced script."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hybridstore.text.raw_tokens import EDGES
from hybridstore.text.word_forms import numbers_across

_MOST_PIECES = 9  # of one number written in several


def number_spans(text: str, marked: Callable[[str], str], exact: frozenset[str]) -> list[tuple[int, int]]:
    """Return the spans of numbers and codes in several pieces, one of whose forms is among the terms.

    `marked` gives the words of a piece, with STX if they may be a part of a number.
    """
    pieces = [(match.group(), *match.span()) for match in re.finditer(r"\S+", text)]
    values = [marked(piece) for piece, _, _ in pieces]
    spans: list[tuple[int, int]] = []
    for first, (_, start, _) in enumerate(pieces):
        for last in range(first + 1, min(first + _MOST_PIECES, len(pieces))):
            if not values[last - 1].endswith("\2"):
                break
            if not exact.isdisjoint(numbers_across(" ".join(values[first : last + 1]))):
                spans.append((start, start + len(text[start : pieces[last][2]].rstrip(EDGES))))
                break
    return spans


def paired_spans(
    clusters: Sequence[tuple[str, int, int]], exact: frozenset[str], prefixes: tuple[str, ...]
) -> list[tuple[int, int]]:
    """Return the spans of the pairs among the terms, or of the clusters that match a prefix; adjoining ones as one.

    The clusters are those of one run of unspaced script, with their spans.
    """
    spans: list[tuple[int, int]] = []
    for index, (cluster, start, end) in enumerate(clusters):
        following, _, last = clusters[index + 1] if index + 1 < len(clusters) else ("", 0, end)
        if cluster + following in exact:
            span = (start, last)
        elif prefixes and cluster.startswith(prefixes):
            span = (start, end)
        else:
            continue
        if spans and spans[-1][1] >= span[0]:
            spans[-1] = (spans[-1][0], span[1])
        else:
            spans.append(span)
    return spans


def merged(spans: list[tuple[int, int]], longer: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans in order, without those inside of longer ones."""
    if not longer:
        return spans
    kept: list[tuple[int, int]] = []
    for start, end in sorted([*spans, *longer], key=lambda span: (span[0], -span[1])):
        if kept and start < kept[-1][1]:
            kept[-1] = (kept[-1][0], max(end, kept[-1][1]))
        else:
            kept.append((start, end))
    return kept
