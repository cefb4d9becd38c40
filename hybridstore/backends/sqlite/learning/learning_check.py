"""Rows of learning that name what is not there: `check` finds them, and its repair drops them."""

from __future__ import annotations

import apsw

from hybridstore.backends.sqlite import vector_tables
from hybridstore.backends.sqlite.connection import rows
from hybridstore.backends.sqlite.learning import model_rows
from hybridstore.backends.sqlite.learning.erasing import erasing
from hybridstore.backends.values import Problem

_EXAMPLES = 5
_CHUNKS = "(SELECT chunk FROM chunks)"
# What is wrong, the table, what to show of a row, which rows. Negatives come last: dropping triples may orphan some.
_DANGLING = (
    ("feedback on chunks that are not there", "feedback", "chunk", f"chunk NOT IN {_CHUNKS}"),
    (
        "triples of chunks that are not there",
        "triples",
        "triple",
        f"positive NOT IN {_CHUNKS} OR origin NOT IN {_CHUNKS}",
    ),
    (
        "negatives of no triple, or that are not there",
        "negatives",
        "triple || ':' || chunk",
        f"chunk NOT IN {_CHUNKS} OR triple NOT IN (SELECT triple FROM triples)",
    ),
)


def check(connection: apsw.Connection, *, repair: bool) -> list[Problem]:
    """Give what names nothing. With `repair`, inside a transaction, drop it, and retire a model for other vectors."""
    found = [
        (what, rows(connection, f"SELECT {shown} FROM {table} WHERE {wrong}"))
        for what, table, shown, wrong in _DANGLING
    ]
    found.append(("an active model for vectors that are not those searched", _misplaced(connection)))
    if repair:
        with erasing(connection):
            for _, table, _, wrong in _DANGLING:
                connection.execute(f"DELETE FROM {table} WHERE {wrong}")
        if found[-1][1]:
            model_rows.promote(connection, None)
    return [
        Problem(what, len(some), tuple(str(row[0]) for row in some[:_EXAMPLES]), repair) for what, some in found if some
    ]


def _misplaced(connection: apsw.Connection) -> list[tuple[int]]:
    now, searched = model_rows.active(connection), vector_tables.by_state(connection, "active")
    if now is None or (searched is not None and model_rows.read(connection, now[0]).target == searched[1].fingerprint):
        return []
    return [(now[0],)]
