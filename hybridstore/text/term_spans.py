"""Where terms are in a text: the spans of numbers in several pieces, and of pairs in a run of unspaced script."""

from __future__ import annotations

from collections.abc import Sequence


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
