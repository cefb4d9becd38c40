"""What people asked, and what they said about the answers."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence

import apsw

from hybridstore.backends.learning import Feedback, LoggedQuestion, storable
from hybridstore.backends.sqlite.connection import rows, value
from hybridstore.backends.sqlite.learning.erasing import erasing, rewritten
from hybridstore.errors import NotFound

_AMONG = "IN (SELECT value FROM json_each(?))"


def note(connection: apsw.Connection, queries: Sequence[str]) -> None:
    """Add questions to the log, each as often as it stands there."""
    now = _now()
    times = Counter(map(storable, queries))
    with erasing(connection):
        connection.executemany(
            """INSERT INTO asked VALUES (?, ?, ?)
               ON CONFLICT (query) DO UPDATE SET times = times + excluded.times, last = excluded.last""",
            [(query, count, now) for query, count in times.items()],
        )


def query_log(connection: apsw.Connection) -> list[LoggedQuestion]:
    """Give the log, the questions asked most first; ties in alphabetical order."""
    return [
        LoggedQuestion(*row)
        for row in rows(connection, "SELECT query, times, last FROM asked ORDER BY times DESC, query")
    ]


def forget(connection: apsw.Connection, queries: Sequence[str] | None) -> int:
    """Forget questions, None for all of the log's, with the triples and the feedback for them; give how many it held.

    The tables are written anew, so that nothing of the texts is left in their pages.
    """
    if queries is None:
        named = json.dumps([query for (query,) in rows(connection, "SELECT query FROM asked")])
    else:
        named = json.dumps([storable(query) for query in queries])
    known = int(value(connection, f"SELECT count(*) FROM asked WHERE query {_AMONG}", (named,)))
    with erasing(connection):
        connection.execute(
            f"DELETE FROM negatives WHERE triple IN (SELECT triple FROM triples WHERE query {_AMONG})", (named,)
        )
        for table in ("asked", "feedback", "triples"):
            connection.execute(f"DELETE FROM {table} WHERE query {_AMONG}", (named,))
            if connection.changes():
                rewritten(connection, table)
    return known


def add_feedback(connection: apsw.Connection, query: str, chunk: int, *, used: bool) -> None:
    """Keep a word on a chunk, in place of an earlier one; raises NotFound for a chunk that is gone."""
    if value(connection, "SELECT 1 FROM chunks WHERE chunk = ?", (chunk,)) is None:
        raise NotFound(str(chunk), f"no chunk has the id {chunk}; it was removed or replaced: search again")
    with erasing(connection):
        connection.execute("DELETE FROM feedback WHERE chunk = ? AND query = ?", (chunk, storable(query)))
        connection.execute(
            "INSERT INTO feedback (chunk, used, told, query) VALUES (?, ?, ?, ?)",
            (chunk, int(used), _now(), storable(query)),
        )


def feedback(connection: apsw.Connection) -> list[Feedback]:
    """Give all feedback, oldest first."""
    sql = """SELECT query, chunk, id, used, told FROM feedback JOIN chunks USING (chunk) JOIN documents USING (document)
             ORDER BY feedback"""
    return [Feedback(query, chunk, id_, bool(used), told) for query, chunk, id_, used, told in rows(connection, sql)]


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
