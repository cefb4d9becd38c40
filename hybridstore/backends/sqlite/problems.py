"""What the checks share: problems with their examples, and rows a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import apsw

from hybridstore.backends.values import Problem

EXAMPLES = 5
AT_ONCE = 500  # rows read between two statements
# What a damaged file raises: SQLite's own errors, and those of code that reads values of a wrong type or length.
# Others, such as a lock or a full disk, say nothing about the file.
DAMAGE = (
    *(apsw.CorruptError, apsw.NotADBError, apsw.SQLError, apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError),
    *(ValueError, TypeError, LookupError, ArithmeticError, StopIteration, MemoryError),
)


def found(what: str, rows: Sequence[object], *, repaired: bool) -> list[Problem]:
    """Return a problem with these rows, or none without any."""
    if not rows:
        return []
    return [Problem(what, len(rows), tuple(str(row) for row in rows[:EXAMPLES]), repaired)]


def guarded(part: str, check: Callable[[], list[Problem]]) -> list[Problem]:
    """Return what a check found; where it cannot read what it checks, that is the problem."""
    try:
        return check()
    except DAMAGE as error:
        reason = f"{type(error).__name__}: {error}"
        return [Problem(f"{part} that cannot be read; restore a backup, or export what is readable", 1, (reason,))]


def column(connection: apsw.Connection, sql: str) -> list[int]:
    """Return the first column of all rows."""
    return [row[0] for row in connection.execute(sql)]


def batches(rows: Iterable[Any], size: int = AT_ONCE) -> Iterator[list[Any]]:
    """Yield rows some at a time."""
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch
