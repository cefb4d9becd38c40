"""What names a chunk, named anew: where a document is written over, or another says the same in its place."""

from __future__ import annotations

import json
from collections.abc import Mapping

import apsw

from hybridstore.backends.sqlite.connection import rows
from hybridstore.backends.sqlite.learning.erasing import erasing

_AMONG = "IN (SELECT value FROM json_each(?))"
_NAMING = (("feedback", "chunk"), ("triples", "positive"), ("triples", "origin"), ("negatives", "chunk"))


def renumber(connection: apsw.Connection, moved: Mapping[int, int]) -> None:
    """Let all that names a chunk name the new one instead, which says the same and which nothing names yet."""
    if not moved:
        return
    old = (json.dumps(list(moved)),)
    with erasing(connection):
        for table, column in _NAMING:
            named = rows(connection, f"SELECT DISTINCT {column} FROM {table} WHERE {column} {_AMONG}", old)
            connection.executemany(
                f"UPDATE {table} SET {column} = ? WHERE {column} = ?", [(moved[chunk], chunk) for (chunk,) in named]
            )


def move_feedback(connection: apsw.Connection, moved: Mapping[int, int]) -> None:
    """Give the feedback about each chunk to another; a word that the other has on the same question stays.

    Of several words that come to one, the last counts. What goes to a chunk that is not there stays where it is.
    """
    told = rows(
        connection, f"SELECT feedback, chunk, query FROM feedback WHERE chunk {_AMONG}", (json.dumps(list(moved)),)
    )
    there = rows(
        connection, f"SELECT chunk FROM chunks WHERE chunk {_AMONG}", (json.dumps(sorted(set(moved.values()))),)
    )
    living = {chunk for (chunk,) in there}
    with erasing(connection):
        for word, chunk, query in sorted(told, reverse=True):  # the last word first: those before it find it there
            if moved[chunk] not in living or moved[chunk] == chunk:
                continue
            known = rows(connection, "SELECT 1 FROM feedback WHERE chunk = ? AND query = ?", (moved[chunk], query))
            if known:
                connection.execute("DELETE FROM feedback WHERE feedback = ?", (word,))
            else:
                connection.execute("UPDATE feedback SET chunk = ? WHERE feedback = ?", (moved[chunk], word))


__all__ = ["move_feedback", "renumber"]
