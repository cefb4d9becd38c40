"""Packing: fills windows by joining short sections and cutting long ones at the strongest places of an outline."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.records import Chunk
from hybridstore.text.chunking.outline import ITEM, SENTENCE, Outline, Section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

# Sections below a quarter of the window are joined with neighbours: alone they would match by their heading only.
_SHORT = 4
# Characters tokenized at once: the cost per call vanishes, and memory stays bounded for a whole book.
_PIECE = 1 << 16
# A Han, kana or Hangul character is about one token in multilingual vocabularies; a Latin word is one up to some
# eight letters; other scripts break into shorter pieces; a punctuation mark is one.
_TOKEN_AND_SPACE = re.compile(
    r"(?:[A-Za-z\u00c0-\u024f]{1,8}"
    r"|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]|\d{1,3}|[^\W\d_]{1,3}|[^\w\s]|_+|\w)\s*+"
)


def approximate_token_starts(text: str) -> list[int]:
    """Return ascending offsets of pieces about as long as an embedder's tokens; needs no model."""
    # The tokens tile the text, so their lengths give the starts, in two thirds of the time that match objects take.
    lengths = map(len, _TOKEN_AND_SPACE.findall(text))
    return list(accumulate(lengths, initial=len(text) - len(text.lstrip())))[:-1]


class TokenPositions:
    """Counts the tokens in any span of a text that was tokenized once, in pieces of bounded size.

    Pieces end at white space where possible, so a tokenizer that works word by word finds the same starts as it would
    in the whole text.
    """

    __slots__ = ("starts",)

    def __init__(self, text: str, token_starts: Callable[[str], Sequence[int]]) -> None:
        parts = [np.asarray(token_starts(text[start:end]), dtype=np.int64) + start for start, end in _pieces(text)]
        self.starts: NDArray[np.int64] = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def before(self, position: int) -> int:
        """Return how many tokens start before this offset."""
        return int(np.searchsorted(self.starts, position, side="left"))

    def before_each(self, positions: Sequence[int]) -> list[int]:
        """Return how many tokens start before each of these offsets."""
        counts: list[int] = np.searchsorted(self.starts, np.asarray(positions, dtype=np.int64), side="left").tolist()
        return counts


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = start + _PIECE
        if end < len(text):
            half = start + _PIECE // 2
            space = max(text.rfind("\n", half, end), text.rfind(" ", half, end))
            end = space + 1 if space >= 0 else end
        yield start, min(end, len(text))
        start = end


class Packer:
    """Packs one text into chunks. Every offset is visited a bounded number of times."""

    def __init__(self, text: str, outline: Outline, counter: TokenPositions, *, max_tokens: int, overlap: int) -> None:
        self._text, self._outline, self._counter = text, outline, counter
        self._limit, self._overlap = max_tokens, overlap
        positions = sorted(outline.cuts)
        counts = counter.before_each(positions)
        usable = [True] * len(positions)
        for start, end in outline.wholes:
            if counter.before(end) - counter.before(start) <= max_tokens:
                first, last = bisect_right(positions, start), bisect_left(positions, end)
                usable[first:last] = [False] * (last - first)
        self._positions = [position for position, use in zip(positions, usable, strict=True) if use]
        self._counts = [count for count, use in zip(counts, usable, strict=True) if use]
        self._strengths = [outline.cuts[position] for position in self._positions]

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks in order, without surrounding white space."""
        last = Chunk(-1, 0)
        for section in self._joined():
            for start, end in self._windows(*self._trimmed(section.start, section.end)):
                start, end = self._trimmed(start, end)  # noqa: PLW2901 - the same span, trimmed
                if start <= last.start:
                    start, end = self._trimmed(last.end, end)  # noqa: PLW2901 - the same span, without the last chunk
                if start < end and end > last.end:
                    last = Chunk(start, end, " > ".join(section.path))
                    yield last

    def _trimmed(self, start: int, end: int) -> tuple[int, int]:
        span = self._text[start:end]
        body = span.lstrip()
        lead = len(span) - len(body)
        if self._outline.code:  # indentation is part of code
            lead = max(span.rfind("\n", 0, lead), span.rfind("\r", 0, lead)) + 1 if body else lead
        return start + lead, start + len(span.rstrip()) if body else start + lead

    # --- sections

    def _joined(self) -> Iterator[Section]:
        """Join short adjacent sections if a common heading path applies to both."""
        sections = self._outline.sections
        bounds = self._counter.before_each([section.start for section in sections] + [sections[-1].end])
        current, size = sections[0], bounds[1] - bounds[0]
        for index, section in enumerate(sections[1:], start=1):
            tokens = bounds[index + 1] - bounds[index]
            path = self._common_path(current, size, section, tokens)
            if path is None:
                yield current
                current, size = section, tokens
            else:
                bare = section.bare and (current.bare or not current.path)
                current = Section(current.start, section.end, path, bare)
                size += tokens
        yield current

    def _common_path(self, left: Section, size: int, right: Section, tokens: int) -> tuple[str, ...] | None:
        """Return the heading path under which two adjacent sections may be joined, None if they may not."""
        below = right.path[: len(left.path)] == left.path
        if left.bare and below:
            return right.path  # a heading directly above another has no text of its own
        if size + tokens > self._limit:
            return None
        if left.path == right.path:
            return left.path
        return self._shared_path(left.path, right.path, size * _SHORT < self._limit, tokens * _SHORT < self._limit)

    def _shared_path(
        self, left: tuple[str, ...], right: tuple[str, ...], left_short: bool, right_short: bool
    ) -> tuple[str, ...] | None:
        code = self._outline.code
        if not left and not code:
            return right if left_short else None  # a few words above the first heading
        if right[: len(left)] == left:
            if right_short:
                return left
            return right if left_short and code and left else None  # a class's first lines go with its first method
        shared = 0
        while shared < len(right) and left[shared : shared + 1] == right[shared : shared + 1]:
            shared += 1
        return left[:shared] if left_short and right_short and (shared or code) else None

    # --- windows

    def _windows(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Cut [start, end) into spans of at most a window; any but the first may overlap the one before."""
        floor = start  # the text before this is in a span already
        while (total := self._count(start, end)) > self._limit:
            index = self._best_cut(start, floor, end, total)
            cut = self._positions[index] if index is not None else self._token_cut(start, floor, end)
            if cut <= floor:  # the overlap leaves no room for new text: drop it
                start = floor
                continue
            yield start, cut
            if cut >= end:
                return
            start, floor = (self._reach_back(index, start) if index is not None else cut), cut
        yield start, end

    def _best_cut(self, start: int, floor: int, end: int, total: int) -> int | None:
        """Return the index of the strongest cut that fills at least half of the window, else of the last one.

        The rest of a section shorter than two windows is halved, so that no small remainder is left. None if no cut is
        usable; then `_token_cut` decides.
        """
        first, used = self._counter.before(start), self._counter.before(floor)
        low_index = bisect_right(self._positions, floor)
        high_index = min(bisect_right(self._counts, first + self._limit), bisect_left(self._positions, end, low_index))
        # A cut before the first token after `floor` would add nothing.
        low_index = max(low_index, bisect_right(self._counts, used, low_index))
        if low_index >= high_index:
            return None
        if total >= 2 * self._limit:
            low, aim = first + self._limit // 2, first + self._limit
        else:
            low, aim = first + max(total - self._limit, self._limit // 4), first + total // 2
        good = bisect_left(self._counts, low, low_index, high_index)
        if good < high_index:
            return max(
                range(good, high_index),
                key=lambda index: (self._strengths[index], -abs(self._counts[index] - aim)),
            )
        index = high_index - 1
        following = self._counts[index + 1] if index + 1 < len(self._counts) else len(self._counter.starts)
        following = min(following, first + total)
        return index if following - self._counts[index] <= self._limit else None

    def _token_cut(self, start: int, floor: int, end: int) -> int:
        """Return the last offset in the window after a clause or a space, else after any token."""
        starts = self._counter.starts
        first = self._counter.before(start)
        cut = int(starts[first + self._limit]) if first + self._limit < len(starts) else end
        if cut <= start:  # one character that is more tokens than a window
            following = int(starts.searchsorted(start, side="right"))
            cut = int(starts[following]) if following < len(starts) else end
        cut = min(cut, end)
        middle = max(floor, int(starts[first + self._limit // 2]))
        space = max(self._text.rfind(mark, middle, cut) for mark in " \n\t\u3000,，、；")
        return space + 1 if space >= 0 and self._counter.before(space + 1) > self._counter.before(floor) else cut

    def _reach_back(self, index: int, start: int) -> int:
        """Return where the next chunk begins: whole sentences before the cut, within the same paragraph."""
        cut = self._positions[index]
        if not self._overlap or not SENTENCE <= self._strengths[index] < ITEM:
            return cut
        begin = cut
        for before in range(index - 1, -1, -1):
            position = self._positions[before]
            if position <= start or self._counts[index] - self._counts[before] > self._overlap:
                break
            if self._strengths[before] >= SENTENCE:
                begin = position
            if self._strengths[before] >= ITEM:
                break
        return begin

    def _count(self, start: int, end: int) -> int:
        return self._counter.before(end) - self._counter.before(start)
