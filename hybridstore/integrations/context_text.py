"""What was found, as a text that a model reads, and that is no longer than there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from hybridstore.errors import InputError
from hybridstore.records import Hit

_LEAST_BUDGET = 200
_LONGEST_HEAD = 80
_LAST_LINE = 60  # characters that it may take to say what is missing
_WORTH_CUTTING = 120  # characters: less than that of a passage tells nothing


def check_budget(budget: object) -> None:
    """Raise InputError for a budget that `passages` cannot keep to."""
    if not isinstance(budget, int) or budget < _LEAST_BUDGET:
        raise InputError(f"budget is a number of characters, at least {_LEAST_BUDGET}, not {budget!r}")


def passages(hits: Sequence[Hit], budget: int) -> str:
    """Give the hits' texts in their order, each under its document's title and id, in at most `budget` characters.

    The first that has no room is cut where enough of it would be left to read, and how many are missing is said.
    """
    if not hits:
        return "Nothing was found. Try other words, or fewer filters."
    blocks: list[str] = []
    room = budget - _LAST_LINE
    for number, hit in enumerate(hits, start=1):
        block = f"{_head(number, hit)}\n{hit.text.strip()}"
        if len(block) > room:
            if not blocks or room >= _WORTH_CUTTING:
                blocks.append(f"{block[: room - 2].rstrip()} …")
            break
        blocks.append(block)
        room -= len(block) + 2
    if left := len(hits) - len(blocks):
        blocks.append(f"({left} more found, for which there is no room here.)")
    return "\n\n".join(blocks)


def filename(hit: Hit) -> str:
    """Give what a hit's document would be called as a file: the last part of its uri, else its title or id."""
    return PurePosixPath(hit.uri).name or hit.title or hit.document_id


def _head(number: int, hit: Hit) -> str:
    heading = "" if hit.heading in {"", hit.title} else f", {hit.heading}"
    head = " ".join(f"[{number}] {hit.title or filename(hit)}{heading} (id: {hit.document_id})".split())
    return head if len(head) <= _LONGEST_HEAD else f"{head[: _LONGEST_HEAD - 1]}…"
