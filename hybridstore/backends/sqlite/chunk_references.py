"""What refers to chunks: feedback, triples and negatives, which change with the chunks they name.

Queries are private. Every write to a table that holds their text runs under `erasing`: SQLite then overwrites what it
deletes and the pages it frees (https://sqlite.org/pragma.html#pragma_secure_delete). That leaves the text of a few rows
that moved from page to page; `rewrite` leaves none. The write-ahead log holds the last changes until it is overwritten,
or the last process closes the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import apsw

from hybridstore.backends.sqlite import model_rows, vector_tables
from hybridstore.backends.sqlite.checksums import change
from hybridstore.backends.sqlite.connection import rows, value
from hybridstore.backends.values import Problem

_AMONG = "IN (SELECT value FROM json_each(?))"
_NAMING = (("feedback", "chunk"), ("triples", "positive"), ("triples", "origin"), ("negatives", "chunk"))
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


@contextmanager
def erasing(connection: apsw.Connection) -> Iterator[None]:
    """Overwrite with zeros what the block deletes."""
    before = int(value(connection, "PRAGMA secure_delete"))
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    try:
        yield
    finally:
        connection.execute(f"PRAGMA secure_delete = {before if before < 2 else 'FAST'}").fetchall()


def rewrite(connection: apsw.Connection, table: str) -> None:
    """Rewrite a table in new pages, inside `erasing`, so that the old pages are overwritten completely."""
    connection.execute(f"CREATE TEMP TABLE left_over AS SELECT * FROM main.{table}")
    connection.execute(f"DELETE FROM main.{table}")
    connection.execute(f"INSERT INTO main.{table} SELECT * FROM temp.left_over")
    connection.execute("DROP TABLE temp.left_over")


def forget_chunks(connection: apsw.Connection, chunks: Sequence[int]) -> None:
    """Remove what names these chunks: feedback, triples with their negatives, and other triples' negatives."""
    if not chunks:
        return
    gone = (json.dumps(chunks),)
    with erasing(connection):
        connection.execute(f"DELETE FROM feedback WHERE chunk {_AMONG}", gone)
        for column in ("positive", "origin"):
            ours = f"(SELECT triple FROM triples WHERE {column} {_AMONG})"
            connection.execute(f"DELETE FROM negatives WHERE triple IN {ours}", gone)
            connection.execute(f"DELETE FROM triples WHERE {column} {_AMONG}", gone)
        connection.execute(f"DELETE FROM negatives WHERE chunk {_AMONG}", gone)


def renumber(connection: apsw.Connection, moved: Mapping[int, int]) -> None:
    """Make what names a chunk name the new chunk instead, which has the same words and which nothing names yet."""
    if not moved:
        return
    old = (json.dumps(list(moved)),)
    with erasing(connection):
        for table, column in _NAMING:
            named = rows(connection, f"SELECT DISTINCT {column} FROM {table} WHERE {column} {_AMONG}", old)
            connection.executemany(
                f"{change(table, **{column: '?1'})} WHERE {column} = ?2", [(moved[chunk], chunk) for (chunk,) in named]
            )


def check_references(connection: apsw.Connection, *, repair: bool) -> list[Problem]:
    """Return what names nothing. With `repair`, inside a transaction, drop it, and retire a model for other vectors."""
    problems = [
        (what, rows(connection, f"SELECT {shown} FROM {table} WHERE {wrong}"))
        for what, table, shown, wrong in _DANGLING
    ]
    problems.append(("an active model for vectors that are not those searched", _misplaced(connection)))
    if repair:
        with erasing(connection):
            for _, table, _, wrong in _DANGLING:
                connection.execute(f"DELETE FROM {table} WHERE {wrong}")
        if problems[-1][1]:
            model_rows.promote(connection, None)
    return [
        Problem(what, len(wrong), tuple(str(row[0]) for row in wrong[:_EXAMPLES]), repair)
        for what, wrong in problems
        if wrong
    ]


def _misplaced(connection: apsw.Connection) -> list[tuple[int]]:
    active, embedding = model_rows.active(connection), vector_tables.embeddings(connection).active
    if active is None or (embedding and model_rows.read(connection, active[0]).target == embedding.fingerprint):
        return []
    return [(active[0],)]
