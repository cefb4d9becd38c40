"""The cache of analysed pieces of text, which makes most of an analysis a look-up for each piece."""

from __future__ import annotations

from collections.abc import Callable

_CACHED_LENGTH = 40  # longer pieces (whole sentences of Chinese) are not worth caching
_GENERATION = 2**18  # pieces; an analyser caches two generations, of at most about 40 MB each
SOH = "\1"


class PieceCache(dict[str, str]):
    """Cache of analysed pieces (text between spaces), in which the common case costs one dictionary look-up.

    A value is one string, which takes less memory than a pair: the words, then STX if the piece may be a part of a
    number, then NUL and the compounds joined by SOH, if any. No token contains these signs. When a generation is
    full, the previous one is dropped.
    """

    def __init__(self, analysed: Callable[[str], str]) -> None:
        super().__init__()
        self._analysed = analysed
        self._previous: dict[str, str] = {}

    def __missing__(self, piece: str) -> str:
        expanded = self._previous.get(piece)
        if expanded is None:
            expanded = self._analysed(piece)
        if len(piece) <= _CACHED_LENGTH:
            if len(self) >= _GENERATION:
                self._previous = dict(self)
                self.clear()
            self[piece] = expanded
        return expanded

    def pair(self, piece: str) -> tuple[str, str]:
        """Return the (words, compounds) of a piece."""
        words, _, extra = self[piece].partition("\0")
        return words.rstrip("\2"), extra.replace(SOH, " ")


def cached_value(piece: str, words: str, extra: str) -> str:
    """Return what the cache keeps for a piece with these words and compounds."""
    return f"{words}\0{extra.replace(' ', SOH)}" if extra else piece if words == piece else words
