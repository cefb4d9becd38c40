"""Context text: hits as a text for a model to read, within a budget of characters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from hybridstore.errors import InputError
from hybridstore.records import Hit

_LEAST_BUDGET = 200
_LONGEST_HEAD = 80
_LAST_LINE = 60  # characters reserved for the number of hits left out
_WORTH_CUTTING = 120  # characters: a shorter beginning of a passage is of no use


def check_budget(budget: object) -> None:
    """Raise InputError for a budget that `passages` cannot keep to."""
    if not isinstance(budget, int) or budget < _LEAST_BUDGET:
        raise InputError(f"budget must be a number of characters, at least {_LEAST_BUDGET}, not {budget!r}")


def passages(hits: Sequence[Hit], budget: int) -> str:
    """Return the hits' texts in order, each under its document's title and id, in at most `budget` characters.

    The first hit that does not fit is cut if enough of it is left to read, and the number of those left out is added.
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
    if left_out := len(hits) - len(blocks):
        blocks.append(f"({left_out} more found, for which there is no room here.)")
    return "\n\n".join(blocks)


def filename(hit: Hit) -> str:
    """Return a file name for a hit's document: the last part of its uri, else its title or id."""
    return PurePosixPath(hit.uri).name or hit.title or hit.document_id


def _head(number: int, hit: Hit) -> str:
    heading = "" if hit.heading in {"", hit.title} else f", {hit.heading}"
    head = " ".join(f"[{number}] {hit.title or filename(hit)}{heading} (id: {hit.document_id})".split())
    return head if len(head) <= _LONGEST_HEAD else f"{head[: _LONGEST_HEAD - 1]}…"
