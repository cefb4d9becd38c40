"""Under a token budget: as much of the best evidence as fits, whole pieces only. Pure, but for counting."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hybridstore.memory.recall import Recalled
from hybridstore.memory.rendering import item_block

_SMALLEST = 12  # tokens that an item takes at least, for its citation
_LONG = 12  # characters a token has at most, nearly always: what is far too long need not be counted


def pack(
    found: Sequence[Recalled],
    beside: Callable[[Recalled], Sequence[Recalled]],
    block: Callable[[Sequence[Recalled], int], str],
    count_tokens: Callable[[str], int],
    budget: int,
) -> tuple[list[Recalled], int, str]:
    """Give what is shown, how many of `found` are not, and the block of text, which has at most `budget` tokens.

    `found` is taken best first; what does not fit any more is passed over for what does. After each come the pieces
    `beside` it, nearest first, as far as there is room, and stand where they were said. `block` writes items and the
    number left out. Where not even an empty block fits, the text is empty.
    """
    room = budget - count_tokens(block([], len(found)))
    groups: list[list[Recalled]] = []
    taken: set[int] = set()
    over: list[Recalled] = []
    for item in found:
        if item.chunk_id in taken:
            continue
        if (cost := _cost(item, room, count_tokens)) > room:
            over.append(item)
            continue
        room -= cost
        groups.append([item])
        taken.add(item.chunk_id)
        for near in beside(item):
            if near.chunk_id not in taken and (cost := _cost(near, room, count_tokens)) <= room:
                room -= cost
                groups[-1].append(near)
                taken.add(near.chunk_id)
    while True:  # the pieces were counted one by one, and tokenizers do not quite add up
        shown = [item for group in groups for item in sorted(group, key=_place)]
        left = sum(item.chunk_id not in taken for item in over)
        text = block(shown, left)
        if count_tokens(text) <= budget:
            return shown, left, text
        if not groups:
            return [], len(found), ""
        dropped = groups[-1].pop()
        taken.discard(dropped.chunk_id)
        if dropped.beside is None:
            groups.pop()
            over.append(dropped)


def _cost(item: Recalled, room: int, count_tokens: Callable[[str], int]) -> int:
    """Give an item's tokens with its line's end, or, where it cannot fit, some number above the room."""
    if room < _SMALLEST or len(item.text) > room * _LONG:
        return room + 1
    return count_tokens(f"{item_block(item)}\n") + 1


def _place(item: Recalled) -> tuple[int, int]:
    return item.note.turn or 0, item.start
