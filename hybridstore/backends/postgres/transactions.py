"""The two kinds of transaction on a store: reading one state, from a replica where there is one, and writing alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from hybridstore.backends import forking
from hybridstore.backends.postgres.address import Address
from hybridstore.backends.postgres.connection import Connection, Pool, remembered, value
from hybridstore.backends.postgres.translation import translating
from hybridstore.errors import HybridstoreError, InputError, StoreRefused
from hybridstore.records import Replica

# The lock for writing is this row, which every transaction that changes answers writes in any case: it needs no key
# that another application might use, goes with the transaction, and is read by the statement that waits for it.
LOCK = "SELECT value FROM facts WHERE key = 'revision' FOR UPDATE"
_AWAY = 10.0  # seconds before a replica that could not be reached is tried again
_UNKNOWN = 2**63 - 1  # the place in the log of a write whose end nobody saw: no replica is that far
_WRITTEN = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"
# NULL where it has not even replayed how the store was made.
_REPLAYED = """SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END
                       - '0/0')::bigint WHERE to_regclass('facts') IS NOT NULL"""
# A standby that replayed all it received, from a primary that it is connected to, is behind by nothing that it knows.
_BEHIND = """SELECT CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
                              AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0
                    ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END::float8"""


T = TypeVar("T")


def _begin_to_read(connection: Connection) -> None:
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _begin_to_write(connection: Connection) -> None:
    connection.execute("BEGIN")


class _BehindError(Exception):
    """A replica has not replayed what must be read."""


class Connections:
    """The connections of one store, used by any number of threads.

    `new_history` is called when a server turns out to write another timeline: after a failover that lost writes, a
    revision may have another content than the one that was copied.
    """

    def __init__(self, address: Address, busy_timeout: float, *, read_only: bool = False) -> None:
        self.address, self.busy_timeout, self.read_only = address, busy_timeout, read_only
        self.new_history: Callable[[], None] = lambda: None
        self._history: str | None = None
        self._written, self._away = 0, float("-inf")
        self._primary = Pool(address.conninfo, address.schema, address.location, busy_timeout, replica=False)
        self._replica: Pool | None = None
        if address.replica:
            where = address.replica_location
            self._replica = Pool(address.replica, address.schema, where, busy_timeout, replica=True)
        self.after_fork()
        forking.register(self)

    @property
    def location(self) -> str:
        """The address without secrets."""
        return self.address.location

    @property
    def last_replica(self) -> str | None:
        """The location of the replica that this thread's last transaction read, if it did."""
        last: Pool | None = getattr(self._local, "pool", None)
        return None if last is None or last is self._primary else last.location

    @property
    def closed(self) -> bool:
        """Whether the store was closed."""
        return self._primary.closed

    @property
    def writing(self) -> bool:
        """Whether this thread's last transaction was for writing."""
        return getattr(self._local, "writing", False)

    # transactions

    @contextmanager
    def reading(self, *, stale: bool = False) -> Iterator[Connection]:
        """Read one state of the store in the block; a nested block reads the state of the outer one.

        It is as late as the end of this store's last write, or with `stale` as the address says.
        """
        current: Connection | None = getattr(self._local, "connection", None)
        if current is not None:
            yield current
            return
        self._local.writing = False
        with translating(self):  # a block is entered outside of the methods at whose seam errors become ours
            pool, connection = self._begun_to_read(_begin_to_read, stale=stale and not self.address.reads_own_writes)
        with self._transaction(pool, connection):
            connection.memo = {}
            yield connection

    def read_once(self, read: Callable[[Connection], T]) -> T:
        """Return what one statement reads, which needs no transaction around it: a third of the round trips."""
        current: Connection | None = getattr(self._local, "connection", None)
        if current is not None:
            return read(current)
        self._local.writing = False
        found: list[T] = []
        pool, connection = self._begun_to_read(lambda each: found.append(read(each)), stale=False)
        self._local.pool = pool
        pool.give_back(connection)
        return found[-1]

    @contextmanager
    def atomic(self) -> Iterator[Connection]:
        """Hold the store's lock for writing in the block; commit all of it, or none."""
        self.check_may_write()
        if self.in_transaction():
            raise InputError("this thread is reading a snapshot of the store; leave it before writing")
        self._local.writing = True
        self._local.pool = self._primary
        connection = self._known(self._primary.begun(_begin_to_write))
        with self._transaction(self._primary, connection):
            connection.execute(LOCK)
            yield connection

    def in_transaction(self) -> bool:
        """Return whether this thread is inside a block."""
        return getattr(self._local, "connection", None) is not None

    @contextmanager
    def bare(self) -> Iterator[Connection]:
        """Use a connection to the primary outside of transactions, for what the server does not do inside one."""
        connection = self._known(self._primary.take())
        try:
            yield connection
        finally:
            self._primary.give_back(connection)

    def check_may_write(self) -> None:
        """Raise StoreRefused where the store was opened to be read."""
        if self.read_only:
            raise StoreRefused(self.location, "it was opened with read_only; open it without to write")

    @contextmanager
    def _transaction(self, pool: Pool, connection: Connection) -> Iterator[None]:
        self._local.connection, self._local.pool = connection, pool
        try:
            yield
            self._end(connection)
        except BaseException:
            with suppress(psycopg.Error):
                if not connection.closed:
                    connection.execute("ROLLBACK")
            raise
        finally:
            self._local.connection = connection.memo = None
            if self.writing and self._replica is not None:
                self._note_written(connection)
            pool.give_back(connection)

    def _end(self, connection: Connection) -> None:
        """Commit; a server answers the end of a transaction that has failed as if all were well."""
        if not self.writing:
            with suppress(psycopg.Error):  # all was read by then
                connection.end()
            return
        failed = connection.info.transaction_status is TransactionStatus.INERROR
        connection.execute("COMMIT")
        if failed:
            raise HybridstoreError(f"{self.location}: a statement of this transaction failed; nothing was changed")

    def _known(self, connection: Connection) -> Connection:
        """Return a connection, after forgetting what was copied from a server with another history."""
        if connection.history not in (None, self._history):
            before, self._history = self._history, connection.history
            if before is not None:
                self._written = 0  # places in the log are those of the other history
                self.new_history()
        return connection

    # the replica

    def replica(self, connection: Connection) -> Replica | None:
        """Return which replica a transaction reads, and how far behind it is; None where it is the primary."""
        if not connection.of_replica or self._replica is None:
            return None
        behind = remembered(connection, _BEHIND, lambda: value(connection, _BEHIND))
        return Replica(self._replica.location, behind)

    def _begun_to_read(self, begin: Callable[[Connection], object], *, stale: bool) -> tuple[Pool, Connection]:
        """Return a transaction on the replica, or on the primary where the replica is away or too far behind."""
        replica, written = self._replica, 0 if stale else self._written

        def check_replayed(connection: Connection) -> None:
            # Before the transaction, whose first statement decides which state it sees.
            if connection.replayed is None or connection.replayed < written:
                connection.replayed = value(connection, _REPLAYED)
                if connection.replayed is None or connection.replayed < written:
                    raise _BehindError

        if replica is not None and time.monotonic() >= self._away:
            try:
                return replica, self._known(replica.begun(begin, check_replayed))
            except _BehindError:
                pass
            except psycopg.OperationalError:
                self._away = time.monotonic() + _AWAY
        self._local.pool = self._primary
        return self._primary, self._known(self._primary.begun(begin))

    def _note_written(self, connection: Connection) -> None:
        """Remember how far the log was after a write, also a refused one, as it is repeated after reading again."""
        try:
            written = int(value(connection, _WRITTEN))
        except psycopg.Error:
            written = _UNKNOWN
        with self._lock:
            self._written = written if self._written == _UNKNOWN else max(self._written, written)

    def close(self) -> None:
        """Close all connections, those in use by other threads as well."""
        for pool in filter(None, (self._primary, self._replica)):
            pool.close()

    # forks

    def quiet(self) -> bool:
        """Return True: a child begins with transactions of its own, whatever these are in the middle of."""
        return True

    def after_fork(self) -> None:
        """Begin without a transaction."""
        self._lock, self._local = threading.Lock(), threading.local()
