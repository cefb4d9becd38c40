"""How many tokens a text has for the model that will read it, as near as can be told without that model.

The store's own embedder has a tokenizer, WordPiece in the default one, and English text has about as many tokens in it
as in a language model's. Whoever needs the exact number passes a counter of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from hybridstore.store import Store

_PIECE = re.compile(r"[^\W\d_]{1,6}|\d{1,3}|[^\w\s]|_|\S")


def counter(store: Store) -> Callable[[str], int]:
    """Give the counter of a store's embedder, or one that splits text into pieces of words where there is none."""
    embedder = store.embedder()
    if embedder is None:
        return pieces
    return lambda text: len(embedder.token_starts(text))


def pieces(text: str) -> int:
    """Count pieces of at most six letters or three digits, and every other sign."""
    return len(_PIECE.findall(text))
