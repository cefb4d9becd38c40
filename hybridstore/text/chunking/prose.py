"""Reads running text: paragraphs, list items, lines and sentences of any script."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hybridstore.text.chunking.outline import (
    ITEM,
    LINE,
    PAGE,
    PARAGRAPH,
    SENTENCE,
    SENTENCE_LINE,
    Outline,
    Section,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST_ITEM = re.compile(r"\s*(?:[-*+•‣◦·]|\(?\d{1,3}[.)]|\(?[a-z]\))\s+\S")

# One class in front lets the regex engine skip to the next mark; what the match means is decided below.
_SENTENCE_END = re.compile(r"[.!?…。！？｡؟۔।॥။។៕።։๚๛]+[\"'”’»)\]」』）】》〉]*[^\S\r\n]*(?:\r\n|[\r\n])?")
_NEED_SPACE = frozenset(".!?…")
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘]+\Z")
_THAI_SPACE = re.compile(r"(?<=[\u0e00-\u0e7f])[ \u3000]+(?=[\u0e00-\u0e7f])")
_THAI = re.compile(r"[\u0e00-\u0e7f]")

# Words that end in a full stop in the middle of a sentence; single letters and inner stops are known by form.
_ABBREVIATIONS = frozenset(
    """
    abb approx art bd bspw bzw ca capt cf ch co col corp dept dr ed eds eq eqs est evtl ex exp fig figs ggf hr inc
    jr lt ltd max min mr mrs ms mt nr no nos op par pp prof ref refs resp rev sec sect sgt sig sog sr sra st str
    tab usf vgl vol vs zzgl jan feb mar apr jun jul aug sep sept oct nov dec
    """.split()  # noqa: SIM905 - a list of words reads better without quotes
)


def outline_prose(text: str) -> Outline:
    """Give the outline of plain text: one section without a heading."""
    cuts: dict[int, float] = {}
    position, blank, colon = 0, False, False
    for line in text.splitlines(keepends=True):
        bare = line.strip()
        if bare:
            cuts[position] = line_strength(line, after_blank=blank, after_colon=colon)
            blank, colon = False, bare[-1] in ":："
        else:
            blank = True
        position += len(line)
    add_sentences(text, cuts)
    return Outline((Section(0, len(text)),), cuts)


def line_strength(line: str, *, after_blank: bool, after_colon: bool) -> float:
    """Give how good a place to cut the start of this line is."""
    if line[0] == "\f":
        return PAGE
    if after_colon:  # what a colon announces belongs to it
        return SENTENCE
    if after_blank:
        return PARAGRAPH
    return ITEM if LIST_ITEM.match(line) else LINE


def add_sentences(text: str, cuts: dict[int, float], start: int = 0, end: int | None = None) -> None:
    """Note each sentence of text[start:end] in `cuts`; a line start already noted is raised, never lowered."""
    for position, at_line_end in _sentence_starts(text, start, len(text) if end is None else end):
        strength = SENTENCE_LINE if at_line_end else SENTENCE
        if cuts.get(position, 0.0) < strength:
            cuts[position] = strength


def _sentence_starts(text: str, start: int, end: int) -> Iterator[tuple[int, bool]]:
    for match in _SENTENCE_END.finditer(text, start, end):
        stop, after = match.span()
        if after >= end:
            return
        last = text[after - 1]
        if text[stop] in _NEED_SPACE:
            if not last.isspace():  # 3.14, example.org
                continue
            if text[after].islower() or (text[stop] == "." and _stop_goes_on(text, stop)):
                continue
        yield after, last in "\r\n"
    if _THAI.search(text, start, end):  # Thai sets a space between sentences and clauses, and no mark
        for match in _THAI_SPACE.finditer(text, start, end):
            yield match.end(), False


def _stop_goes_on(text: str, stop: int) -> bool:
    """Say whether the full stop at `stop` is part of an abbreviation, an initial or a number's marker."""
    found = _LAST_WORD.search(text, max(0, stop - 24), stop)
    if found is None:
        return False
    word = found[0].lower()
    if word in _ABBREVIATIONS or "." in word.strip("."):  # e.g. / i.e. / U.S.
        return True
    if len(word) == 1 and word.isalpha() and found[0] != "I":  # J. Smith
        return True
    before = text[max(text.rfind("\n", 0, found.start()) + 1, found.start() - 24) : found.start()]
    return word.isdigit() and not before.strip()  # "3. Install it"
