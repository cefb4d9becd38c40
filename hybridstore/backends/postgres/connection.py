"""Connections to a server, and what is asked on them: taken for a transaction each, and given back.

psycopg's own pool keeps threads of its own, which a fork loses, and says why it cannot connect in a log only.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from hybridstore.backends import forking
from hybridstore.errors import HybridstoreError, StoreBusy

T = TypeVar("T")


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection to the server; `memo` is what was read in a transaction that only reads, None in any other.

    A search asks for the revision and the embedding six times, and each time is a round trip. `history` is the timeline
    that a server writes, None where it only follows another; `replayed` is how far a replica was at least, None where
    that was not read yet.
    """

    memo: dict[object, Any] | None = None
    history: str | None = None
    of_replica: bool = False
    replayed: int | None = None
    ending: bool = False

    def end(self) -> None:
        """End a transaction that only read, without waiting for the server to say so: a round trip less."""
        if not _is_idle(self):
            self.pgconn.send_query(b"COMMIT")
            self.pgconn.flush()
            self.ending = True

    def settled(self) -> bool:
        """Return whether the connection can be used again, having read what the server said to the end."""
        while self.ending and self.pgconn.get_result() is not None:
            pass
        self.ending = False
        return not self.closed and _is_idle(self)


CLOSED = "this store is closed; open it again with hybridstore.open()"
_MOST = 16  # connections of one process at a time; a server takes 100 unless told otherwise
_kept: list[Connection] = []  # of the parent of a fork, which must be neither used nor closed


class Pool:
    """Connections to what a conninfo names, used by any number of threads."""

    def __init__(self, conninfo: str, schema: str, location: str, busy_timeout: float, *, replica: bool) -> None:
        self.location, self.closed = location, False
        self._conninfo, self._schema, self._busy_timeout, self._replica = conninfo, schema, busy_timeout, replica
        self.opened: list[Connection] = []
        self._finalizer = weakref.finalize(self, _close_all, self.opened)
        self.after_fork()
        forking.register(self)

    def begun(
        self, begin: Callable[[Connection], object], before: Callable[[Connection], object] | None = None
    ) -> Connection:
        """Return a connection on which something was begun; those that a restart of the server has broken are dropped.

        `before` is called with it first, and may raise.
        """
        forking.wait_for_fork()
        while True:
            connection, fresh = self._take_or_connect()
            try:
                if before is not None:
                    before(connection)
                begin(connection)
            except psycopg.OperationalError:
                self.give_back(connection)
                if fresh or not connection.closed:
                    raise
            except BaseException:
                self.give_back(connection)
                raise
            else:
                return connection

    def take(self) -> Connection:
        """Return a connection outside of transactions; it may be broken."""
        return self._take_or_connect()[0]

    def _take_or_connect(self) -> tuple[Connection, bool]:
        if self.closed:
            raise HybridstoreError(CLOSED)
        if not self._free.acquire(timeout=max(self._busy_timeout, 0.001)):
            raise StoreBusy(self.location, self._busy_timeout)
        try:
            with self._lock:
                while self._idle:
                    connection = self._idle.pop()
                    if connection.settled():
                        return connection, False
                    self.opened.remove(connection)
            connection = self._connect()
        except BaseException:
            self._free.release()
            raise
        with self._lock:
            self.opened.append(connection)
        return connection, True

    def _connect(self) -> Connection:
        connection = Connection.connect(self._conninfo, autocommit=True, fallback_application_name="hybridstore")
        try:
            path = sql.SQL("SET search_path TO {};").format(sql.Identifier(self._schema)).as_string(connection)
            settings = {
                "lock_timeout": str(max(1, int(self._busy_timeout * 1000))),
                "client_connection_check_interval": "2000",  # else what a killed client asked for runs to its end
                "tcp_keepalives_idle": "60",  # else a machine that vanished holds the lock for two hours
                "jit": "off",  # it takes longer than these short statements
                "bytea_output": "hex",
            }
            connection.execute(path + "".join(f"SET {name} = '{setting}';" for name, setting in settings.items()))
            found = connection.execute(
                "SELECT CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END"
            ).fetchone()
        except BaseException:
            connection.close()
            raise
        connection.history, connection.of_replica = found[0] if found else None, self._replica
        return connection

    def give_back(self, connection: Connection) -> None:
        """Let others use a connection, or close one that is in the middle of something."""
        usable = not connection.closed and (connection.ending or _is_idle(connection))
        with self._lock:
            if usable and not self.closed:
                self._idle.append(connection)
            elif connection in self.opened:
                self.opened.remove(connection)
        if not usable or self.closed:
            connection.close()
        self._free.release()

    def close(self) -> None:
        """Close all connections, those in use by other threads as well."""
        self.closed = True
        with self._lock:
            self._idle.clear()
            _close_all(self.opened)

    # forks

    def quiet(self) -> bool:
        """Return True: a child begins with connections of its own, whatever these are in the middle of."""
        return True

    def after_fork(self) -> None:
        """Forget the parent's connections."""
        _kept.extend(self.opened)
        self.opened.clear()
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._free = threading.Semaphore(_MOST)


def _is_idle(connection: Connection) -> bool:
    return connection.info.transaction_status is TransactionStatus.IDLE


def _close_all(opened: list[Connection]) -> None:
    for connection in opened:
        connection.close()
    opened.clear()


def remembered(connection: Connection, key: object, read: Callable[[], T]) -> T:
    """Return what `read` returns, which is read once in a transaction that only reads."""
    if connection.memo is None:
        return read()
    if key not in connection.memo:
        connection.memo[key] = read()
    found: T = connection.memo[key]
    return found


def rows(connection: Connection, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Return all rows of a statement of ours, read in the binary format."""
    return connection.execute(statement, values or None, binary=True).fetchall()


def value(connection: Connection, statement: str, *values: object) -> Any:
    """Return the first column of the first row, or None if there is no row."""
    row = connection.execute(statement, values or None, binary=True).fetchone()
    return None if row is None else row[0]


def many(connection: Connection, statement: str, lines: Sequence[Sequence[object]]) -> None:
    """Run a statement for each of these lines of values, in one round trip."""
    if lines:
        with connection.cursor() as cursor:
            cursor.executemany(statement, lines)
