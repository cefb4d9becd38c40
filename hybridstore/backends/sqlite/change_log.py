"""The revision counter and the change log, by which other processes follow what changed."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

import apsw

from hybridstore.backends.sqlite.checksums import change, insertion, set_fact
from hybridstore.backends.sqlite.connection import rows, value
from hybridstore.backends.sqlite.stored_values import check_types, whole_number
from hybridstore.backends.values import ChunkChange

# Lines kept, at least. A reader that is further behind reloads the whole index.
KEPT = 10_000
_TRIMMED_EVERY = 100  # revisions; trimming at each took another fifth of the time of adding a short document
_MOST_CHUNKS = 10_000_000  # beyond that, reading everything anew is as fast


class Log:
    """Collects what a transaction does to chunks, and writes it as one revision when the block succeeds."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._runs: list[tuple[str, int, int]] = []
        self._restart = self._advance = False

    def __enter__(self) -> Self:
        return self

    def note(self, kind: str, first: int, last: int) -> None:
        """Record that the chunks first..last were "added", "removed" or "embedded"; adjacent runs become one line."""
        if first > last:
            return
        if self._runs and self._runs[-1][0] == kind and self._runs[-1][2] == first - 1:
            first = self._runs.pop()[1]
        self._runs.append((kind, first, last))

    def note_all(self, kind: str, chunks: Iterable[int]) -> None:
        """Record the same of chunks that need not be consecutive."""
        for chunk in chunks:
            self.note(kind, chunk, chunk)

    def restart(self) -> None:
        """Record that everything changed: the log restarts after this revision."""
        self._restart = True

    def advance(self) -> None:
        """Record that answers changed but no chunk did: there is a new revision, and nothing to follow."""
        self._advance = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None or not (self._runs or self._restart or self._advance):
            return
        sql = f"{change('meta', value='value + 1')} WHERE key = 'revision' RETURNING value"
        revision = whole_number(value(self._connection, sql))
        lines = [(revision, *run) for run in self._runs]
        self._connection.executemany(insertion("changes"), lines)
        last_dropped = None
        if self._restart:
            last_dropped = revision
        elif not revision % _TRIMMED_EVERY:
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
    return [ChunkChange(*row) for row in found] if chunks <= _MOST_CHUNKS else None
