"""Taking out what names a document, or what a person asked, so that the file's pages do not hold it any longer.

Questions are private. Every write to a table that holds their text runs under `erasing`: SQLite then overwrites what
it deletes and the pages it frees (https://sqlite.org/pragma.html#pragma_secure_delete). That leaves the text of few
rows that moved from page to page while they lived; `rewritten` leaves none. The write-ahead log holds the last changes
until it is written over, or the last process closes the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import apsw

from hybridstore.backends.sqlite.connection import value


@contextmanager
def erasing(connection: apsw.Connection) -> Iterator[None]:
    """Overwrite with zeros whatever the block deletes."""
    before = int(value(connection, "PRAGMA secure_delete"))
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    try:
        yield
    finally:
        connection.execute(f"PRAGMA secure_delete = {before if before < 2 else 'FAST'}").fetchall()


def rewritten(connection: apsw.Connection, table: str) -> None:
    """Write a table anew in pages of its own, inside `erasing`: the pages that held it are overwritten whole."""
    connection.execute(f"CREATE TEMP TABLE left_over AS SELECT * FROM main.{table}")
    connection.execute(f"DELETE FROM main.{table}")
    connection.execute(f"INSERT INTO main.{table} SELECT * FROM temp.left_over")
    connection.execute("DROP TABLE temp.left_over")


def forget_chunks(connection: apsw.Connection, chunks: Sequence[int]) -> None:
    """Remove all that names these chunks: feedback, triples with their negatives, and them from others' negatives."""
    if not chunks:
        return
    gone = (json.dumps(chunks),)
    among = "IN (SELECT value FROM json_each(?))"
    with erasing(connection):
        connection.execute(f"DELETE FROM feedback WHERE chunk {among}", gone)
        for column in ("positive", "origin"):
            ours = f"(SELECT triple FROM triples WHERE {column} {among})"
            connection.execute(f"DELETE FROM negatives WHERE triple IN {ours}", gone)
            connection.execute(f"DELETE FROM triples WHERE {column} {among}", gone)
        connection.execute(f"DELETE FROM negatives WHERE chunk {among}", gone)
