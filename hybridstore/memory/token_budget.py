"""Under a token budget: as much of the best evidence as fits, whole pieces only. Pure, but for counting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hybridstore.memory.recall_block import item_block
from hybridstore.memory.recall_result import Recalled

_SMALLEST = 12  # tokens that an item takes at least, for its citation
_MISSED = 8  # in a row that do not fit, before the rest is left out uncounted: counting takes longer than finding
_LONG = 12  # characters a token has at most, nearly always: what is far too long need not be counted

Counter = Callable[[str], int]


def pack(
    found: Iterable[Recalled],
    beside: Callable[[Recalled], Sequence[Recalled]],
    block: Callable[[Sequence[Recalled]], str],
    count_tokens: Counter,
    budget: int,
) -> tuple[list[Recalled], str, int]:
    """Give what is shown, the block of text that shows it, and how many tokens that has: at most `budget`.

    `found` is taken best first, and no further than there is room; what does not fit is passed over for what does.
    After each come the pieces `beside` it, nearest first, as far as there is room, and stand where they were said.
    `block` writes items. Where not even an empty block fits, the text is empty.
    """
    groups = _chosen(found, beside, count_tokens, budget - count_tokens(block([])))
    while True:  # the pieces were counted one by one, and tokenizers do not quite add up
        shown = [item for group in groups for item in sorted(group, key=_place)]
        text = block(shown)
        tokens = count_tokens(text)
        if tokens <= budget:
            return shown, text, tokens
        if not groups:
            return [], "", 0
        if groups[-1].pop().beside is None:
            groups.pop()


def _chosen(
    found: Iterable[Recalled], beside: Callable[[Recalled], Sequence[Recalled]], count_tokens: Counter, room: int
) -> list[list[Recalled]]:
    """Give what fits, each piece with those beside it behind it."""
    groups: list[list[Recalled]] = []
    taken: set[int] = set()
    missed = 0
    for item in found:
        if item.chunk_id in taken:
            continue
        cost = _cost(item, room, count_tokens)
        if cost > room:
            missed += 1
            if missed == _MISSED:
                break
            continue
        missed = 0
        room -= cost
        groups.append([item])
        taken.add(item.chunk_id)
        for near in beside(item):
            if near.chunk_id not in taken and (cost := _cost(near, room, count_tokens)) <= room:
                room -= cost
                groups[-1].append(near)
                taken.add(near.chunk_id)
    return groups


def _cost(item: Recalled, room: int, count_tokens: Counter) -> int:
    """Give an item's tokens with its line's end, or, where it cannot fit, some number above the room."""
    if room < _SMALLEST or len(item.text) > room * _LONG:
        return room + 1
    return count_tokens(f"{item_block(item)}\n") + 1


def _place(item: Recalled) -> tuple[int, int]:
    return item.note.turn or 0, item.start
