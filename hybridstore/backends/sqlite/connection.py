"""Connections: one for each thread, all opened here with the same pragmas and extensions."""

from __future__ import annotations

import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import apsw

from hybridstore.backends.sqlite.schema_inspection import harden, inspect, load_vectors
from hybridstore.errors import FileBusy, FileDamaged, FileRefused, HybridstoreError, InputError
from hybridstore.filters.text_tests import found, instant, same_ignoring_case

# 1,536-byte vectors fill 4 KiB pages badly, two to a page: against those, 8 KiB gave 1.24 times the ingest rate, 1.2
# times the keyword speed and a file 11 % smaller; 16 and 32 KiB were no better (benchmarks/page_size.py).
PAGE_SIZE = 8192

_PRAGMAS = (
    "PRAGMA cell_size_check = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = NORMAL",  # with WAL: a power cut may lose the last commits, never the file
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -32768",  # 32 MiB for each thread that uses the store
    "PRAGMA journal_size_limit = 67108864",  # a WAL that one big write blew up shrinks again
)


_CLOSED = "this store is closed; open it again with hybridstore.open()"


class Connections:
    """The connections of one store to one file, one for each thread."""

    def __init__(self, path: str, busy_timeout: float) -> None:
        self.path, self.busy_timeout = path, busy_timeout
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[tuple[weakref.ref[threading.Thread], apsw.Connection]] = []
        self._inherited: list[apsw.Connection] = []
        self._pid = os.getpid()
        self._closed = False

    def get(self) -> apsw.Connection:
        """Return this thread's connection; the first call opens it."""
        if self._pid != os.getpid():
            self._reset_after_fork()
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if self._closed:
            raise HybridstoreError(_CLOSED)
        if connection is None:
            connection = connect(self.path, self.busy_timeout)
            with self._lock:
                ended = [pair for pair in self._open if not ((thread := pair[0]()) and thread.is_alive())]
                self._open = [pair for pair in self._open if pair not in ended]
                self._open.append((weakref.ref(threading.current_thread()), connection))
            self._local.connection = connection
            for _, old in ended:
                old.close()
        return connection

    def close(self) -> None:
        """Close every thread's connection, interrupting what other threads are doing."""
        self._closed = True
        if self._pid != os.getpid():
            self._reset_after_fork()
        with self._lock:
            for _, connection in self._open:
                while True:
                    try:
                        connection.close()
                        break
                    except apsw.ThreadingViolationError:  # in the middle of a statement
                        connection.interrupt()
                        time.sleep(0.001)
            self._open.clear()

    def _reset_after_fork(self) -> None:
        # A connection must not be used across fork(). Idle ones are closed, or SQLite would believe that this
        # process holds the locks that its parent holds. One in use, by a thread that was not forked, must stay.
        inherited = [connection for _, connection in self._open]
        self._local, self._open, self._pid, self._lock = threading.local(), [], os.getpid(), threading.Lock()
        for connection in inherited:
            try:
                busy = connection.in_transaction
                if not busy:
                    connection.close()
            except apsw.Error:
                busy = True
            if busy:
                self._inherited.append(connection)  # kept, for losing its last reference would close it

    @contextmanager
    def atomic(self) -> Iterator[apsw.Connection]:
        """Hold the write lock for the block; commit all of it, or none."""
        with self.translated():
            connection = self.get()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(apsw.Error):  # SQLite has rolled back already when the disk is full
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """Read one state of the file in the block; a nested block reads the state of the outer one."""
        with self.translated():
            connection = self.get()
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if not connection.getautocommit():  # else an error has ended it already
                    connection.execute("COMMIT")

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise SQLite's errors as ours."""
        try:
            yield
        except (apsw.BusyError, apsw.ProtocolError) as error:
            raise FileBusy(self.path, self.busy_timeout) from error
        except (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, apsw.ConstraintError, UnicodeDecodeError) as error:
            # Our statements are constant: one that cannot be run means that a table was changed.
            raise FileDamaged(self.path, str(error)) from error
        except (apsw.ConnectionClosedError, apsw.CursorClosedError, apsw.InterruptError) as error:
            raise HybridstoreError(_CLOSED) from error
        except apsw.TooBigError as error:
            raise InputError(
                f"a text is longer than a gigabyte, which SQLite cannot hold ({error}); split it"
            ) from error
        except apsw.CantOpenError as error:
            raise FileRefused(self.path, _why_refused(self.path)) from error
        except (apsw.FullError, apsw.IOError, apsw.ReadOnlyError, apsw.PermissionsError) as error:
            raise FileRefused(self.path, f"cannot be written ({error}); nothing was changed") from error


def connect(path: str, busy_timeout: float) -> apsw.Connection:
    """Open a connection with sqlite-vec loaded, waiting for locks, and every pragma set.

    Raises FileRefused for a file whose schema is not a store's, before anything of it is used.
    """
    try:
        connection = apsw.Connection(path)
    except apsw.CantOpenError as error:
        raise FileRefused(path, _why_refused(path)) from error
    try:
        harden(connection)
        connection.set_busy_handler(_busy_handler(busy_timeout))
        load_vectors(connection)
        inspect(connection, path)
        add_functions(connection)
        for pragma in _PRAGMAS:
            connection.execute(pragma)
    except BaseException:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # what is refused is left as it is
        connection.close()
        raise
    return connection


def add_functions(connection: apsw.Connection) -> None:
    """Give a connection the functions that filters call on a value: NULL where it is no text, or not a date."""
    functions: dict[str, Callable[..., Any]] = {
        "instant": instant,
        "found": found,
        "same_ignoring_case": same_ignoring_case,
    }
    for name, function in functions.items():
        connection.create_scalar_function(name, partial(_of_text, function), deterministic=True)


def _of_text(function: Callable[..., Any], /, *values: Any) -> Any:
    return function(*values) if isinstance(values[0], str) else None


def _why_refused(path: str) -> str:
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        return f"the folder {folder} does not exist; create it first"
    return "cannot be opened; is it a folder, or do you lack permission to read and write it?"


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


def value(connection: apsw.Connection, sql: str, bindings: tuple[Any, ...] = ()) -> Any:
    """Return the first column of the first row, or None if there is no row."""
    row = connection.execute(sql, bindings).fetchone()
    return None if row is None else row[0]


def rows(connection: apsw.Connection, sql: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return all rows; apsw cannot know the types of their columns."""
    return connection.execute(sql, bindings).fetchall()


def varints(data: bytes) -> Iterator[int]:
    """Yield SQLite's variable-length integers (https://sqlite.org/fileformat2.html#varint) one after another."""
    number = count = 0
    for byte in data:
        count += 1
        if count == 9:  # the ninth byte counts whole
            yield number << 8 | byte
        elif byte & 0x80:
            number = number << 7 | byte & 0x7F
            continue
        else:
            yield number << 7 | byte
        number = count = 0
