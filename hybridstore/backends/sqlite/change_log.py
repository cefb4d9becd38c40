"""The revision counter and the change log, by which other processes follow what changed."""

from __future__ import annotations

import apsw

from hybridstore.backends.change_runs import KEPT, MOST_CHUNKS, TRIMMED_EVERY, ChangeRuns
from hybridstore.backends.sqlite.checksums import change, insertion, set_fact
from hybridstore.backends.sqlite.connection import rows, value
from hybridstore.backends.sqlite.stored_values import check_types, whole_number
from hybridstore.backends.values import ChunkChange


class Log(ChangeRuns):
    """Writes runs into the table of changes."""

    def __init__(self, connection: apsw.Connection) -> None:
        super().__init__()
        self._connection = connection

    def _write(self) -> None:
        sql = f"{change('meta', value='value + 1')} WHERE key = 'revision' RETURNING value"
        revision = whole_number(value(self._connection, sql))
        lines = [(revision, *run) for run in self._runs]
        self._connection.executemany(insertion("changes"), lines)
        last_dropped = None
        if self._restart:
            last_dropped = revision
        elif not revision % TRIMMED_EVERY:  # at each it took another fifth of the time of adding a short document
            # Lines are appended and dropped in the order of their rowids, so that these count them. OFFSET would walk
            # over all that are kept: 0.4 ms of each commit, a third of what adding a short document takes.
            sql = """SELECT revision FROM changes WHERE rowid <= (SELECT max(rowid) FROM changes) - ?
                     ORDER BY rowid DESC LIMIT 1"""
            last_dropped = value(self._connection, sql, (KEPT,))
        if last_dropped is not None:
            self._connection.execute("DELETE FROM changes WHERE revision <= ?", (last_dropped,))
            set_fact(self._connection, "log_start", last_dropped)


def changes(connection: apsw.Connection, since: int) -> list[ChunkChange] | None:
    """Return the changes after a revision, oldest first; None if the log starts later than that, or is too long."""
    if since < whole_number(value(connection, "SELECT value FROM meta WHERE key = 'log_start'")):
        return None
    sql = "SELECT revision, kind, first, last FROM changes WHERE revision > ? ORDER BY revision, rowid"
    found, chunks = rows(connection, sql, (since,)), 0
    for row in found:
        check_types(row, "itii")
        chunks += row[3] - row[2] + 1
        if not 0 < row[2] <= row[3]:
            raise apsw.CorruptError(f"the change log names chunks from {row[2]} to {row[3]}")
    return [ChunkChange(*row) for row in found] if chunks <= MOST_CHUNKS else None
