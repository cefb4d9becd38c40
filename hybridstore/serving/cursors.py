"""Where a page ended: a row and a place in its text, so that the next page goes on exactly there.

A cursor keeps nothing on the server. It holds the number of the row that comes next and a digest of its key, so that
rows which came or went meanwhile make none be shown twice or passed over; and a digest of the question, so that it is
not taken for another one's.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hybridstore.errors import InputError

_FORM = re.compile(r"(\d{1,9})\.(\d{1,12})\.([0-9a-f]{8})\.([0-9a-f]{8})", re.ASCII)


def digest(value: Any) -> str:
    """Give eight hexadecimal digits that stand for a value of JSON."""
    told = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.blake2b(told.encode(), digest_size=4).hexdigest()


@dataclass(frozen=True, slots=True)
class Cursor:
    """The next row of a question, and from which character of its text on."""

    row: int
    offset: int
    key: str
    question: str

    def __str__(self) -> str:
        return f"{self.row}.{self.offset}.{self.key}.{self.question}"


def place_of(cursor: str, question: str, keys: Sequence[str]) -> tuple[int, int]:
    """Give the row among `keys` that comes next and the place in its text; the beginning for "".

    Where that row is gone, what stands in its place now comes next. Raises InputError for what is no cursor, or one of
    another question.
    """
    if not cursor:
        return 0, 0
    found = _FORM.fullmatch(cursor)
    if found is None:
        raise InputError(f"{cursor[:40]!r} is no cursor; pass the one that the answer before gave, or leave it out")
    row, offset, key, asked = int(found[1]), int(found[2]), found[3], found[4]
    if asked != question:
        raise InputError(
            "this cursor is of another question, or what it goes through was changed meanwhile; pass the same "
            "arguments as before, or leave the cursor out to begin anew"
        )
    if row < len(keys) and digest(keys[row]) == key:
        return row, offset
    for number, each in enumerate(keys):
        if digest(each) == key:
            return number, offset
    return min(row, len(keys)), 0
