"""The token budget of a recall: counting tokens, and packing as many whole items as fit, best first.

Tokens are counted by the store's own embedder, since its tokenizer (WordPiece in the default model) makes about as many
of English text as a language model's does. Callers who need the exact number pass a counter of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from hybridstore.memory.recall_result import Recalled
from hybridstore.store import Store

_SMALLEST = 12  # tokens that an item takes at least, for its citation
_MISSES = 8  # in a row that do not fit, before the rest is left out uncounted: counting takes longer than searching
_LONGEST_TOKEN = 12  # characters a token has at most, nearly always: what is far too long need not be counted
_CACHED_TEXT = 1_000  # characters of texts whose counts are cached
_CACHE_SIZE = 4_096  # counts, 2 MB at the most likely lengths
_PIECE = re.compile(r"[^\W\d_]{1,6}|\d{1,3}|[^\w\s]|_|\S")

Counter = Callable[[str], int]


class TokenCounter:
    """Counts tokens with the caller's counter, else with the embedder's tokenizer, else in pieces of words.

    Consecutive recalls show much the same, and counting takes half of a recall's time, so counts of short texts are
    cached. No token of an embedder crosses the end of a line, so its tokenizer counts line by line.
    """

    def __init__(self, store: Store, counter: Counter | None) -> None:
        self._store, self._own = store, counter
        self._embedder: object = None
        self._cache: dict[str, int] = {}

    def counter(self) -> Counter:
        """Return the current counter; another process may have changed the embedder."""
        if self._own is not None:
            return _cached(self._own, self._cache)
        embedder = self._store.embedder()
        if embedder is not self._embedder:
            self._embedder, self._cache = embedder, {}
        count = _cached(
            count_pieces if embedder is None else lambda text: len(embedder.token_starts(text)), self._cache
        )
        return lambda text: sum(map(count, text.split("\n")))


def _cached(count: Counter, cache: dict[str, int]) -> Counter:
    def counted(text: str) -> int:
        if len(text) > _CACHED_TEXT:
            return count(text)
        tokens = cache.get(text)
        if tokens is None:
            tokens = count(text)
            if len(cache) >= _CACHE_SIZE:
                cache.clear()
            cache[text] = tokens
        return tokens

    return counted


def count_pieces(text: str) -> int:
    """Count runs of at most six letters or three digits, and every other sign."""
    return len(_PIECE.findall(text))


def pack(
    candidates: Iterable[Recalled],
    neighbours: Callable[[Recalled], Sequence[Recalled]],
    render: Callable[[Sequence[Recalled]], str],
    cost: Callable[[Recalled], int],
    *,
    count_tokens: Counter,
    budget: int,
) -> tuple[list[Recalled], str, int]:
    """Return the items shown, the block of text that shows them, and its number of tokens: at most `budget`.

    `candidates` come best first and are read only while there is room; one that does not fit is skipped. Each is
    followed by as many of its `neighbours`, nearest first, as fit, and shown among them in the order of their turns.
    `render` writes the block, `cost` counts an item's tokens. If not even an empty block fits, the text is empty.
    """
    groups = _choose(candidates, neighbours, cost, budget - count_tokens(render([])))
    while True:  # items were counted one by one, and token counts do not quite add up
        shown = [item for group in groups for item in sorted(group, key=_position)]
        text = render(shown)
        tokens = count_tokens(text)
        if tokens <= budget:
            return shown, text, tokens
        if not groups:
            return [], "", 0
        if groups[-1].pop().beside is None:
            groups.pop()


def _choose(
    candidates: Iterable[Recalled],
    neighbours: Callable[[Recalled], Sequence[Recalled]],
    cost: Callable[[Recalled], int],
    room: int,
) -> list[list[Recalled]]:
    """Return what fits, each item followed by its neighbours."""
    groups: list[list[Recalled]] = []
    taken: set[int] = set()
    misses = 0
    for item in candidates:
        if item.chunk_id in taken:
            continue
        tokens = _cost(item, room, cost)
        if tokens > room:
            misses += 1
            if misses == _MISSES:
                break
            continue
        misses = 0
        room -= tokens
        groups.append([item])
        taken.add(item.chunk_id)
        for neighbour in neighbours(item):
            if neighbour.chunk_id not in taken and (tokens := _cost(neighbour, room, cost)) <= room:
                room -= tokens
                groups[-1].append(neighbour)
                taken.add(neighbour.chunk_id)
    return groups


def _cost(item: Recalled, room: int, cost: Callable[[Recalled], int]) -> int:
    """Return the tokens of an item with its line end, or some number above the room if it cannot fit."""
    if room < _SMALLEST or len(item.text) > room * _LONGEST_TOKEN:
        return room + 1
    return cost(item)


def _position(item: Recalled) -> tuple[int, int]:
    return item.note.turn or 0, item.start
