"""The outline of a text (sections, and where it may be cut) and how prose is read: paragraphs, lines, sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# How well a cut keeps together what belongs together; the packer takes the strongest cut that fills a window.
LINE = 1.0  # a line that ends inside a sentence
SENTENCE = 2.0
SENTENCE_LINE = 2.5  # a sentence that ends with its line
ITEM = 3.0  # the next item of a list, the next row of a table
PARAGRAPH = 4.0
PAGE = 5.0  # a form feed or a thematic break

LIST_ITEM = re.compile(r"\s*(?:[-*+•‣◦·]|\(?\d{1,3}[.)]|\(?[a-z]\))\s+\S")

# A single character class in front lets the regex engine skip to the next mark; the rest is decided in Python.
_SENTENCE_END = re.compile(r"[.!?…。！？｡؟۔।॥။៕።։๚๛]+[\"'”’»)\]」』）】》〉]*[^\S\r\n]*(?:\r\n|[\r\n])?")
_NEED_SPACE = frozenset(".!?…")
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘]+\Z")
_THAI_SPACE = re.compile(r"(?<=[\u0e00-\u0e7f])[ \u3000]+(?=[\u0e00-\u0e7f])")
_THAI = re.compile(r"[\u0e00-\u0e7f]")

# Words that end in a full stop within a sentence; initials and words with inner stops are recognised by their form.
_ABBREVIATIONS = frozenset(
    """
    abb approx art bd bspw bzw ca capt cf ch co col corp dept dr ed eds eq eqs est evtl ex exp fig figs ggf hr inc
    jr lt ltd max min mr mrs ms mt nr no nos op par pp prof ref refs resp rev sec sect sgt sig sog sr sra st str
    tab usf vgl vol vs zzgl jan feb mar apr jun jul aug sep sept oct nov dec
    """.split()  # noqa: SIM905 - a list of words reads better without quotes
)


@dataclass(frozen=True, slots=True)
class Section:
    """Characters [start, end) under one heading path; `bare` if it contains nothing but its heading."""

    start: int
    end: int
    path: tuple[str, ...] = ()
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Outline:
    """A text's structure.

    `sections` are contiguous, ascending, and cover the text. `cuts` maps offsets at which a chunk may begin to their
    strength. `wholes` are ascending spans not to be cut if they fit the window. `code` keeps indentation at a chunk's
    start, and allows short sections to be joined although they share no heading.
    """

    sections: Sequence[Section]
    cuts: Mapping[int, float]
    wholes: Sequence[tuple[int, int]] = ()
    code: bool = False


def outline_prose(text: str) -> Outline:
    """Return the outline of plain text: one section without a heading."""
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
    """Return the strength of a cut at the start of this line."""
    if line[0] == "\f":
        return PAGE
    if after_colon:  # what a colon announces belongs to it
        return SENTENCE
    if after_blank:
        return PARAGRAPH
    return ITEM if LIST_ITEM.match(line) else LINE


def add_sentences(text: str, cuts: dict[int, float], start: int = 0, end: int | None = None) -> None:
    """Add the sentence starts of text[start:end] to `cuts`; an existing cut is raised, never lowered."""
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
            if text[after].islower() or (text[stop] == "." and _is_inner_stop(text, stop)):
                continue
        yield after, last in "\r\n"
    if _THAI.search(text, start, end):  # Thai separates sentences and clauses by spaces, without marks
        for match in _THAI_SPACE.finditer(text, start, end):
            yield match.end(), False


def _is_inner_stop(text: str, stop: int) -> bool:
    """Return whether the full stop at `stop` belongs to an abbreviation, an initial or a list number."""
    match = _LAST_WORD.search(text, max(0, stop - 24), stop)
    if match is None:
        return False
    word = match[0].lower()
    if word in _ABBREVIATIONS or "." in word.strip("."):  # e.g. / i.e. / U.S.
        return True
    if len(word) == 1 and word.isalpha() and match[0] != "I":  # J. Smith
        return True
    near = max(0, match.start() - 24)
    before = text[max(text.rfind("\n", near, match.start()) + 1, near) : match.start()]
    return word.isdigit() and not before.strip()  # "3. Install it"
