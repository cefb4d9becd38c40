"""The revision counter and the change log, by which the copies in memory of all clients follow what changed."""

from __future__ import annotations

from hybridstore.backends.change_runs import KEPT, MOST_CHUNKS, TRIMMED_EVERY, ChangeRuns
from hybridstore.backends.postgres.connection import Connection, many, remembered, rows, value
from hybridstore.backends.postgres.schema import add_to, set_fact
from hybridstore.backends.values import ChunkChange

REVISION = "revision"  # among what a transaction remembers


class Log(ChangeRuns):
    """Writes runs into the table of changes."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def _write(self) -> None:
        revision = add_to(self._connection, revision=1)[0] + 1
        statement = "INSERT INTO changes (revision, kind, first, last) VALUES (%s, %s, %s, %s)"
        many(self._connection, statement, [(revision, *run) for run in self._runs])
        dropped = None
        if self._restart:
            dropped = revision
        elif not revision % TRIMMED_EVERY:
            dropped = value(self._connection, "SELECT revision FROM changes ORDER BY line DESC OFFSET %s LIMIT 1", KEPT)
        if dropped is not None:
            self._connection.execute("DELETE FROM changes WHERE revision <= %s", (dropped,))
            set_fact(self._connection, "log_start", str(dropped))


def revision(connection: Connection) -> int:
    """Return the revision that a transaction reads."""
    read = "SELECT value FROM facts WHERE key = 'revision'"
    return remembered(connection, REVISION, lambda: int(value(connection, read)))


def changes(connection: Connection, since: int) -> list[ChunkChange] | None:
    """Return the changes after a revision, oldest first; None if the log starts later than that, or is too long."""
    if since < int(value(connection, "SELECT value FROM facts WHERE key = 'log_start'")):
        return None
    found = rows(
        connection, "SELECT revision, kind, first, last FROM changes WHERE revision > %s ORDER BY revision, line", since
    )
    return (
        [ChunkChange(*row) for row in found]
        if sum(last - first + 1 for *_, first, last in found) <= MOST_CHUNKS
        else None
    )
