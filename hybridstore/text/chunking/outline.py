"""What a format's reader tells the packer: sections under heading paths, and where a text may be cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# How well a cut keeps together what belongs together; the packer takes the strongest cut that fills a window.
LINE = 1.0  # a line that ends inside a sentence
SENTENCE = 2.0
SENTENCE_LINE = 2.5  # a sentence that ends with its line
ITEM = 3.0  # the next item of a list, the next row of a table
PARAGRAPH = 4.0
PAGE = 5.0  # a form feed or a ruled line


@dataclass(frozen=True, slots=True)
class Section:
    """Characters [start, end) under one heading path; `bare` when nothing but the heading stands in it."""

    start: int
    end: int
    path: tuple[str, ...] = ()
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Outline:
    """A text's structure.

    `sections` are contiguous and ascending and cover the text. `cuts` maps an offset at which a chunk may begin to
    its strength. `wholes` are ascending spans kept in one piece where they fit the window. `code` keeps
    indentation at a chunk's start, and lets short sections be joined though they share no heading.
    """

    sections: Sequence[Section]
    cuts: Mapping[int, float]
    wholes: Sequence[tuple[int, int]] = ()
    code: bool = False
