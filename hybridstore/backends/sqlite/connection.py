"""Connections: one for each thread, all opened here with the same pragmas and extensions.

A transaction is left by apsw's own `__exit__`, which is written in C: an exception that a signal handler raises, such
as KeyboardInterrupt, comes before it or after it, but never between the end of a block and that of its transaction.
"""

from __future__ import annotations

import random
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from typing import Any, TypeVar

import apsw

from hybridstore.backends import forking
from hybridstore.backends.sqlite.checksums import register
from hybridstore.backends.sqlite.encryption import unlock
from hybridstore.backends.sqlite.file_identity import COUNT_COMMIT, FileIdentity, new_stamp
from hybridstore.backends.sqlite.log_checkpoints import Checkpoints
from hybridstore.backends.sqlite.read_only import Access, open_to_read, why_not_read
from hybridstore.backends.sqlite.schema_inspection import harden, inspect, load_vectors
from hybridstore.backends.sqlite.translation import CLOSED, raise_translated, why_not_opened
from hybridstore.errors import FileRefused, HybridstoreError, InputError
from hybridstore.filters.text_tests import found, instant, same_ignoring_case

# 1,536-byte vectors fill 4 KiB pages badly, two to a page: against those, 8 KiB gave 1.24 times the ingest rate, 1.2
# times the keyword speed and a file 11 % smaller; 16 and 32 KiB were no better (benchmarks/page_size.py).
PAGE_SIZE = 8192

_PRAGMAS = (
    "PRAGMA cell_size_check = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -32768",  # 32 MiB for each thread that uses the store
    "PRAGMA journal_size_limit = 67108864",  # a WAL that one big write blew up shrinks again
)

_FORKED = (
    "was being written when this process was forked, so this process cannot use it; fork when nothing is being "
    "written, or start the process instead (multiprocessing's 'spawn' or 'forkserver')"
)
_unusable: set[tuple[int, int]] = set()  # device and inode of files that were being written at a fork
_kept: list[apsw.Connection] = []  # such connections, for losing the last reference would close them

_WRITING = Access()
T = TypeVar("T")
REVISION, ACTIVE, INDEXED = "revision", "active embedding", "chunks indexed"  # facts of one state of a file


class Connection(apsw.Connection):
    """A connection of a store; `facts` are what `fact` has read in this transaction, None while it may change them."""

    facts: dict[str, Any] | None = None


_Opened = list[tuple[weakref.ref[threading.Thread], Connection]]


class Connections:
    """The connections of one store to one file, one for each thread."""

    def __init__(
        self,
        path: str,
        busy_timeout: float,
        key: str | None = None,
        durability: str = "normal",
        access: Access = _WRITING,
    ) -> None:
        self.path, self.busy_timeout, self.key, self.durability = path, busy_timeout, key, durability
        self.access, self.file = access, FileIdentity(path, local=access.vfs is None, key=key)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: _Opened = []
        self._opening = 0
        self._closed = False
        self._checkpoints = Checkpoints(self.file)
        self._finalizer = weakref.finalize(self, _close_all, self._open, self.file)
        forking.register(self)

    def get(self) -> Connection:
        """Return this thread's connection; the first call opens it."""
        connection: Connection | None = getattr(self._local, "connection", None)
        if self._closed:
            raise HybridstoreError(CLOSED)
        if connection is None:
            forking.wait_for_fork()
            self._opening += 1
            try:
                connection = self._connect()
            finally:
                self._opening -= 1
        return connection

    def _connect(self) -> Connection:
        first = not self._open
        if first:
            self.file.check_log()
        connection = connect(self.file.path, self.busy_timeout, key=self.key, access=self.access)
        try:
            connection.execute(f"PRAGMA synchronous = {self.durability}")
            if first:
                self.file.forget_log()
            self.file.check_place()
            self._check_forked()
        except BaseException:
            connection.close()
            raise
        with self._lock:
            ended = [pair for pair in self._open if not ((thread := pair[0]()) and thread.is_alive())]
            self._open[:] = [pair for pair in self._open if pair not in ended]
            self._open.append((weakref.ref(threading.current_thread()), connection))
        self._local.connection = connection
        for _, old in ended:
            old.close()
        return connection

    def _check_forked(self) -> None:
        if self.file.key in _unusable:
            raise FileRefused(self.path, _FORKED)

    def close(self) -> None:
        """Close every thread's connection, interrupting what other threads are doing."""
        if not self._closed:
            self._checkpoints.before_close(self.get)
        self._closed = True
        self._checkpoints.stop()
        with self._lock:
            _close_all(self._open, self.file, interrupt=True)

    # transactions

    @property
    def writing(self) -> bool:
        """Whether this thread's last transaction was for writing."""
        return getattr(self._local, "writing", False)

    def _fresh(self) -> Connection:
        """Return this thread's connection, a new one where an exception has left a statement of it unfinished.

        Until its last row is read, or its cursor is gone, which a traceback may keep, a statement holds on to the state
        that it reads.
        """
        connection = self.get()
        if connection.in_transaction or connection.txn_state() == apsw.SQLITE_TXN_NONE:
            return connection
        self._local.connection = None
        renewed = self.get()
        with self._lock:
            self._open[:] = [pair for pair in self._open if pair[1] is not connection]
        connection.close(True)
        return renewed

    def atomic(self) -> AbstractContextManager[apsw.Connection]:
        """Hold the write lock for the block; commit all of it, or none."""
        self.access.check_may_write(self.path)
        connection = self._fresh()
        if connection.in_transaction:
            raise InputError("this thread is reading a snapshot of the store; leave it before writing")
        forking.wait_for_fork()
        self._local.writing = self._checkpoints.wrote = True
        self.file.check(connection)
        connection.facts = None
        return _Writing(connection)

    def reading(self) -> AbstractContextManager[apsw.Connection]:
        """Read one state of the file in the block; a nested block reads the state of the outer one."""
        connection = self.for_one_statement()
        if connection.in_transaction:
            return nullcontext(connection)
        connection.transaction_mode, connection.facts = "DEFERRED", {}
        return connection

    def for_one_statement(self) -> Connection:
        """Return this thread's connection to read with a single statement, which sees one state by itself."""
        connection = self._fresh()
        if not connection.in_transaction:
            forking.wait_for_fork()
            self._local.writing = False
            self.file.check_sometimes(connection)
        return connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise SQLite's errors as ours."""
        try:
            yield
        except Exception as error:
            raise_translated(error, self)
            raise

    def in_transaction(self) -> bool:
        """Return whether this thread is inside a block."""
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        return connection is not None and not self._closed and connection.in_transaction

    def resume(self) -> None:
        """Begin a transaction in place of one that an error has ended, for a block around it to leave."""
        if not self._closed and not self.in_transaction():
            with suppress(apsw.Error):
                connection = self.get()
                connection.facts = None
                connection.execute("BEGIN")

    def settle(self) -> None:
        """After a write of this thread: make sure that it went into the file at this path, and see to the log."""
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None or self._closed or not self.writing or connection.in_transaction:
            return
        self._local.writing = False
        with suppress(apsw.Error):  # it was committed, whatever is read afterwards
            self.file.check(connection)
        self._checkpoints.after_write(connection, self.get)

    # forks

    def quiet(self) -> bool:
        """Return whether no other thread is in SQLite, or has begun to write."""
        here = threading.current_thread()
        return not self._opening and not any(_busy(own) for thread, own in list(self._open) if thread() is not here)

    def after_fork(self) -> None:
        """Forget the parent's connections, closing those that neither write nor are in use."""
        for _, connection in self._open:
            if _busy(connection):
                _kept.append(connection)
                _unusable.add(self.file.key)
            else:
                connection.close()  # or SQLite would believe that this process holds the locks of its parent
        self._open.clear()
        self._local, self._lock, self._opening = threading.local(), threading.Lock(), 0
        self._checkpoints = Checkpoints(self.file)
        self.file.forget_log()


class _Writing:
    """A transaction that holds the write lock."""

    __slots__ = ("_connection",)

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> apsw.Connection:
        connection, handled = self._connection, sys.exc_info()[1]
        connection.transaction_mode = "IMMEDIATE"
        try:
            connection.__enter__()
            connection.execute(COUNT_COMMIT, (new_stamp(),))
        except BaseException as error:
            with suppress(apsw.Error):  # it has been rolled back, or never began
                if connection.in_transaction:
                    connection.__exit__(type(error), error, error.__traceback__)
            if isinstance(error, apsw.BusyError) and error.__context__ not in {None, handled}:
                raise error.__context__ from None  # what a signal handler raised while this waited
            raise
        return connection

    @property
    def __exit__(self) -> Callable[..., bool | None]:  # noqa: PLE0302, PYI036 - apsw's own, so that it is C
        return self._connection.__exit__


def _busy(connection: apsw.Connection) -> bool:
    try:
        return connection.txn_state() == apsw.SQLITE_TXN_WRITE
    except apsw.ThreadingViolationError:  # in the middle of a statement
        return True
    except apsw.ConnectionClosedError:
        return False


def _close_all(opened: _Opened, file: FileIdentity, *, interrupt: bool = False) -> None:
    """Close connections; the last one copies the log into the file, if that is still the file it was written for."""
    with suppress(FileRefused, apsw.Error):
        file.check_place()
        if opened:
            file.check(opened[-1][1])
    for _, connection in opened:
        while True:
            try:
                connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(bool(file.broken)))
                connection.close()
                break
            except apsw.ThreadingViolationError:  # in the middle of a statement
                if not interrupt:
                    break
                connection.interrupt()
                time.sleep(0.001)
            except apsw.ConnectionClosedError:
                break
    opened.clear()


def connect(
    path: str, busy_timeout: float, *, create: bool = False, key: str | None = None, access: Access = _WRITING
) -> Connection:
    """Open a connection with sqlite-vec loaded, waiting for locks, and every pragma set.

    Raises FileRefused for a file whose schema is not a store's, before anything of it is used, and for a wrong key.
    """
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    try:
        connection = open_to_read(Connection, path, access) if access.read_only else Connection(path, flags=flags)
    except apsw.CantOpenError as error:
        raise FileRefused(path, why_not_opened(path)) from error
    try:
        if key is not None:
            unlock(connection, path, key)
        harden(connection)
        if not create:  # else nothing may be copied into the file unseen, for it may be another one by then
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.set_busy_handler(_busy_handler(busy_timeout))
        load_vectors(connection)
        register(connection)
        inspect(connection, path)
        add_functions(connection)
        connection.wal_autocheckpoint(0)  # `checkpoints` does it, after a look at the file
        for pragma in _PRAGMAS:
            connection.execute(pragma)
    except BaseException as error:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # what is refused is left as it is
        connection.close()
        if isinstance(error, apsw.ReadOnlyError) and not access.read_only:
            raise FileRefused(path, why_not_opened(path)) from error
        if isinstance(error, (apsw.CantOpenError, apsw.ReadOnlyError)) and access.read_only:
            raise FileRefused(path, why_not_read(path, error)) from error
        raise
    return connection


def add_functions(connection: apsw.Connection) -> None:
    """Register the functions that filters call on a value; they return NULL where it is not a text, or not a date."""
    functions: dict[str, Callable[..., Any]] = {
        "instant": instant,
        "found": found,
        "same_ignoring_case": same_ignoring_case,
    }
    for name, function in functions.items():
        connection.create_scalar_function(name, partial(_of_text, function), deterministic=True)


def _of_text(function: Callable[..., Any], /, *values: Any) -> Any:
    return function(*values) if isinstance(values[0], str) else None


def _busy_handler(busy_timeout: float) -> Callable[[int], bool]:
    """Return a busy handler that waits briefly with jitter, so that many writers neither collide again nor starve."""
    started = 0.0

    def wait(tries: int) -> bool:
        nonlocal started
        now = time.monotonic()
        if tries == 0:
            started = now
        if now - started > busy_timeout:
            return False
        time.sleep(random.uniform(0.0005, min(0.02, 0.001 * (tries + 1))))  # noqa: S311 - jitter, no secret
        return True

    return wait


def fact(connection: apsw.Connection, key: str, read: Callable[[], T]) -> T:
    """Return what `read` returns: read once in each transaction that is for reading, all of which sees one state.

    Each statement takes some 20 µs, and lets other threads of Python in between.
    """
    facts: dict[str, T] | None = getattr(connection, "facts", None)
    if facts is None or not connection.in_transaction:
        return read()
    if key not in facts:
        facts[key] = read()
    return facts[key]


def set_facts(connection: apsw.Connection, read: Mapping[str, Any]) -> None:
    """Keep what was read together for `fact`."""
    facts: dict[str, Any] | None = getattr(connection, "facts", None)
    if facts is not None and connection.in_transaction:
        facts.update(read)


def value(connection: apsw.Connection, sql: str, bindings: tuple[Any, ...] = ()) -> Any:
    """Return the first column of the first row, or None if there is no row."""
    row = connection.execute(sql, bindings).fetchone()
    return None if row is None else row[0]


def rows(connection: apsw.Connection, sql: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return all rows; apsw cannot know the types of their columns."""
    return connection.execute(sql, bindings).fetchall()
