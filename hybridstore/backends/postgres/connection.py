"""Connections to the server, and the two kinds of transaction on them: reading one state, and writing alone.

A thread takes a connection for each transaction, and within one it goes on using the same. psycopg's own pool keeps
threads of its own, which a fork loses, and says why it cannot connect in a log only.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from hybridstore.backends import forking
from hybridstore.backends.postgres.address import Address
from hybridstore.errors import HybridstoreError, InputError, StoreBusy, StoreRefused

T = TypeVar("T")


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection to the server; `memo` is what was read in a transaction that only reads, None in any other.

    A search asks for the revision and the embedding six times, and each time is a round trip.
    """

    memo: dict[object, Any] | None = None


CLOSED = "this store is closed; open it again with hybridstore.open()"
_MOST = 16  # connections of one process at a time; a server takes 100 unless told otherwise
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# The lock for writing is this row, which every transaction that changes answers writes in any case: it needs no key
# that another application might use, goes with the transaction, and is read by the statement that waits for it.
LOCK = "SELECT value FROM facts WHERE key = 'revision' FOR UPDATE"
_kept: list[Connection] = []  # of the parent of a fork, which must be neither used nor closed


class Connections:
    """The connections of one store, used by any number of threads."""

    def __init__(self, address: Address, busy_timeout: float, *, read_only: bool = False) -> None:
        self.address, self.busy_timeout, self.read_only = address, busy_timeout, read_only
        self._open: list[Connection] = []
        self._closed = False
        self._finalizer = weakref.finalize(self, _close_all, self._open)
        self.after_fork()
        forking.register(self)

    @property
    def location(self) -> str:
        """The address without secrets."""
        return self.address.location

    @property
    def closed(self) -> bool:
        """Whether the store was closed."""
        return self._closed

    @property
    def writing(self) -> bool:
        """Whether this thread's last transaction was for writing."""
        return getattr(self._local, "writing", False)

    # transactions

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read one state of the store in the block; a nested block reads the state of the outer one."""
        current: Connection | None = getattr(self._local, "connection", None)
        if current is not None:
            yield current
            return
        self._local.writing = False
        with self._transaction(_READ) as connection:
            connection.memo = {}
            yield connection

    @contextmanager
    def atomic(self) -> Iterator[Connection]:
        """Hold the store's lock for writing in the block; commit all of it, or none."""
        self.check_may_write()
        if self.in_transaction():
            raise InputError("this thread is reading a snapshot of the store; leave it before writing")
        self._local.writing = True
        with self._transaction("BEGIN") as connection:
            connection.execute(LOCK)
            yield connection

    def in_transaction(self) -> bool:
        """Return whether this thread is inside a block."""
        return getattr(self._local, "connection", None) is not None

    @contextmanager
    def bare(self) -> Iterator[Connection]:
        """Use a connection outside of transactions, for what the server does not do inside one."""
        connection = self._take()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def check_may_write(self) -> None:
        """Raise StoreRefused where the store was opened to be read."""
        if self.read_only:
            raise StoreRefused(self.location, "it was opened with read_only; open it without to write")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        connection = self._begun(begin)
        self._local.connection = connection
        try:
            yield connection
            self._end(connection)
        except BaseException:
            with suppress(psycopg.Error):
                if not connection.closed:
                    connection.execute("ROLLBACK")
            raise
        finally:
            self._local.connection = connection.memo = None
            self._give_back(connection)

    def _end(self, connection: Connection) -> None:
        """Commit; a server answers the end of a transaction that has failed as if all were well."""
        failed = connection.info.transaction_status is TransactionStatus.INERROR
        connection.execute("COMMIT")
        if failed and self.writing:
            raise HybridstoreError(f"{self.location}: a statement of this transaction failed; nothing was changed")

    def _begun(self, begin: str) -> Connection:
        """Return a connection with a transaction; those that a restart of the server has broken are dropped."""
        forking.wait_for_fork()
        while True:
            connection, fresh = self._take_or_connect()
            try:
                connection.execute(begin)
            except psycopg.OperationalError:
                self._give_back(connection)
                if fresh or not connection.closed:
                    raise
            except BaseException:
                self._give_back(connection)
                raise
            else:
                return connection

    # connections

    def _take(self) -> Connection:
        return self._take_or_connect()[0]

    def _take_or_connect(self) -> tuple[Connection, bool]:
        if self._closed:
            raise HybridstoreError(CLOSED)
        if not self._free.acquire(timeout=max(self.busy_timeout, 0.001)):
            raise StoreBusy(self.location, self.busy_timeout)
        try:
            with self._lock:
                while self._idle:
                    connection = self._idle.pop()
                    if not connection.closed:
                        return connection, False
                    self._open.remove(connection)
            connection = self._connect()
        except BaseException:
            self._free.release()
            raise
        with self._lock:
            self._open.append(connection)
        return connection, True

    def _connect(self) -> Connection:
        connection = Connection.connect(self.address.conninfo, autocommit=True, fallback_application_name="hybridstore")
        try:
            connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self.address.schema)))
            settings = {
                "lock_timeout": str(max(1, int(self.busy_timeout * 1000))),
                "client_connection_check_interval": "2000",  # else what a killed client asked for runs to its end
                "tcp_keepalives_idle": "60",  # else a machine that vanished holds the lock for two hours
                "jit": "off",  # it takes longer than these short statements
                "bytea_output": "hex",
            }
            connection.execute("".join(f"SET {name} = '{setting}';" for name, setting in settings.items()))
        except BaseException:
            connection.close()
            raise
        return connection

    def _give_back(self, connection: Connection) -> None:
        usable = not connection.closed and connection.info.transaction_status is TransactionStatus.IDLE
        with self._lock:
            if usable and not self._closed:
                self._idle.append(connection)
            elif connection in self._open:
                self._open.remove(connection)
        if not usable or self._closed:
            connection.close()
        self._free.release()

    def close(self) -> None:
        """Close all connections, those in use by other threads as well."""
        self._closed = True
        with self._lock:
            self._idle.clear()
            _close_all(self._open)

    # forks

    def quiet(self) -> bool:
        """Return True: a child begins with connections of its own, whatever these are in the middle of."""
        return True

    def after_fork(self) -> None:
        """Forget the parent's connections."""
        _kept.extend(self._open)
        self._open.clear()
        self._idle: list[Connection] = []
        self._lock, self._local = threading.Lock(), threading.local()
        self._free = threading.Semaphore(_MOST)


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
