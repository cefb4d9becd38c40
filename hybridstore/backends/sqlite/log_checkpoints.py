"""Checkpoints: the log is copied into the file soon after a write, but seldom while one write follows the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import apsw

from hybridstore.backends.sqlite.file_identity import FileIdentity
from hybridstore.errors import HybridstoreError

# The log is copied into the file at once after a write, but so seldom that it takes no more than a fiftieth of the time
# that writing takes, and otherwise when nothing has been written for a moment.
_CHECKPOINT_SHARE = 50
_LONGEST_LOG = 8_192_000  # bytes, from which on it is copied after every write; SQLite's own default, 1,000 pages
_IDLE = 0.25  # seconds


class Checkpoints:
    """Copies the log of one file; `get` of its methods returns a connection of the calling thread."""

    def __init__(self, file: FileIdentity) -> None:
        self._file = file
        self.wrote = False  # something that may still be in the log
        self._written_at = self._ended_at = self._seconds = 0.0  # of the last write, and of the last checkpoint
        self._log_copied = 0  # bytes of the log when it was last copied
        self._idle: threading.Thread | None = None
        self._closed = threading.Event()

    def after_write(self, connection: apsw.Connection, get: Callable[[], apsw.Connection]) -> None:
        """Copy the log if that is due; else, and what is left of it, when nothing has been written for a moment."""
        self._written_at = now = time.monotonic()
        due = now - self._ended_at >= _CHECKPOINT_SHARE * self._seconds
        # The log begins anew where all of it was copied, so only one that has grown since holds much that was not.
        if due or self._file.log_bytes > max(self._log_copied, _LONGEST_LOG):
            self._copy(connection, apsw.SQLITE_CHECKPOINT_PASSIVE)
        if self._idle is None:
            self._idle = threading.Thread(target=self._copy_when_idle, args=(get,), name="hybridstore-log", daemon=True)
            with suppress(RuntimeError):  # the interpreter is ending, which closes the store
                self._idle.start()

    def before_close(self, get: Callable[[], apsw.Connection]) -> None:
        """Copy what this process has written, while there are connections."""
        if self.wrote:
            with suppress(HybridstoreError, apsw.Error):
                self._copy(get(), apsw.SQLITE_CHECKPOINT_PASSIVE)

    def stop(self) -> None:
        """Wait for no more writes: `get` raises HybridstoreError from now on."""
        self._closed.set()

    def _copy(self, connection: apsw.Connection, mode: int) -> None:
        """Copy the log into the file as far as its readers allow. What fails is tried again: nothing is lost by it."""
        began = time.monotonic()
        with suppress(apsw.Error):
            self._file.check(connection)
            connection.wal_checkpoint(mode=mode)
            self._file.check(connection)  # which notes the state that is in the file now
        self._ended_at, self._log_copied = time.monotonic(), self._file.log_bytes
        self._seconds = self._ended_at - began

    def _copy_when_idle(self, get: Callable[[], apsw.Connection]) -> None:
        while (left := self._written_at + _IDLE - time.monotonic()) > 0 and not self._closed.is_set():
            self._closed.wait(left)
        self._idle = None  # a write from here on starts another thread
        with suppress(HybridstoreError, apsw.Error):  # closed meanwhile, or moved: the next user is told
            connection = get()
            connection.set_busy_handler(None)  # who reads or writes comes first
            self._copy(connection, apsw.SQLITE_CHECKPOINT_TRUNCATE)
