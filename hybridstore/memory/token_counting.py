"""How many tokens a text has for the model that will read it, as near as can be told without that model.

The store's own embedder has a tokenizer, WordPiece in the default one, and English text has about as many tokens in it
as in a language model's. Whoever needs the exact number passes a counter of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from hybridstore.store import Store

_SHORT = 1_000  # characters of texts whose counts are remembered
_KEPT = 4_096  # of them, 2 MB at the most likely lengths
_PIECE = re.compile(r"[^\W\d_]{1,6}|\d{1,3}|[^\w\s]|_|\S")


class Counting:
    """Counts as one caller wants it: with a counter of their own, else the embedder's, else in pieces of words.

    What a recall shows comes again in the next one, so the counts of short texts are remembered: counting takes half of
    a recall's time. No token of an embedder reaches over the end of a line, so there each line is counted by itself.
    """

    def __init__(self, store: Store, given: Callable[[str], int] | None) -> None:
        self._store, self._given = store, given
        self._by: object = given
        self._known: dict[str, int] = {}

    def counter(self) -> Callable[[str], int]:
        """Give the counter as it is now; another process may have changed the embedder."""
        count = self._given
        if count is None:
            embedder = self._store.embedder()
            if embedder is not self._by:
                self._by, self._known = embedder, {}
            each = pieces if embedder is None else lambda text: len(embedder.token_starts(text))
            counted = _remembering(each, self._known)
            return lambda text: sum(map(counted, text.split("\n")))
        return _remembering(count, self._known)


def _remembering(count: Callable[[str], int], known: dict[str, int]) -> Callable[[str], int]:
    def counted(text: str) -> int:
        if len(text) > _SHORT:
            return count(text)
        tokens = known.get(text)
        if tokens is None:
            tokens = count(text)
            if len(known) >= _KEPT:
                known.clear()
            known[text] = tokens
        return tokens

    return counted


def pieces(text: str) -> int:
    """Count pieces of at most six letters or three digits, and every other sign."""
    return len(_PIECE.findall(text))
