"""Where the tokens of a text begin, counted once for the whole text and looked up from then on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

# Long enough that a tokenizer's cost per call vanishes, short enough that it never holds a book at once.
_PIECE = 1 << 16

# A Han, kana or Hangul character is about one token in multilingual vocabularies; a Latin word is one up to some
# eight letters; other scripts break into shorter pieces; a mark stands alone.
_APPROXIMATE = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
    r"|[A-Za-z\u00c0-\u024f]{1,8}|\d{1,3}|[^\W\d_]{1,3}|[^\w\s]|_+|\w"
)


def approximate_token_starts(text: str) -> list[int]:
    """Give ascending offsets of pieces about as long as an embedder's tokens; needs no model."""
    return [match.start() for match in _APPROXIMATE.finditer(text)]


class TokenCounter:
    """Counts the tokens of any span of one text, after reading it once in pieces of bounded size.

    Pieces end at white space where there is some, so a tokenizer that works word by word gives the same starts
    as it would for the whole text.
    """

    __slots__ = ("starts",)

    def __init__(self, text: str, token_starts: Callable[[str], Sequence[int]]) -> None:
        parts = [np.asarray(token_starts(text[start:end]), dtype=np.int64) + start for start, end in _pieces(text)]
        self.starts: NDArray[np.int64] = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def before(self, position: int) -> int:
        """Give how many tokens start before this offset."""
        return int(np.searchsorted(self.starts, position, side="left"))

    def before_each(self, positions: Sequence[int]) -> list[int]:
        """Give, for each ascending offset, how many tokens start before it."""
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
