"""A file system for SQLite that fails on demand: the n-th read, write, sync, lock, truncate, delete, open or look-up.

`with installed() as faults:` makes it the default one, so that whatever opens a database uses it. `faults.counts` says
how often each operation was called; `faults.fail(kind, n)` makes the n-th one from then on fail, and with `lasting` all
that follow.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

KINDS = ("read", "write", "sync", "lock", "truncate", "delete", "open", "access")
# No size of a file: where SQLite ignores that it cannot be read, as after a commit, apsw raises what was raised here.
_ERRORS = {
    "read": apsw.SQLITE_IOERR_READ,
    "write": apsw.SQLITE_IOERR_WRITE,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "lock": apsw.SQLITE_IOERR_LOCK,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
    "delete": apsw.SQLITE_IOERR_DELETE,
    "open": apsw.SQLITE_CANTOPEN,
    "access": apsw.SQLITE_IOERR_ACCESS,
    "full": apsw.SQLITE_FULL,
}


class Faults:
    """Which calls fail, and how many there were of each kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.raised = self.total = self._kill_at = 0
        self._kind, self._at, self._error, self._lasting = "", 0, "", False

    def kill(self, n: int) -> None:
        """End this process by SIGKILL before the n-th call (from 1) of any kind."""
        self.total, self._kill_at = 0, n

    def fail(self, kind: str, n: int, *, error: str = "", lasting: bool = False) -> None:
        """Make the n-th call (from 1) of this kind fail, counted from now; `error` "full" is a full disk."""
        self.counts.clear()
        self.raised = 0
        self._kind, self._at, self._error, self._lasting = kind, n, error or kind, lasting

    def stop(self) -> None:
        """Let everything succeed again."""
        self._kind = ""

    def call(self, kind: str) -> None:
        """Count a call; raise if it is the one that fails."""
        self.counts[kind] += 1
        self.total += 1
        if self.total == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        count = self.counts[kind]
        if kind == self._kind and (count == self._at or (self._lasting and count > self._at)):
            self.raised += 1
            code = _ERRORS[self._error]
            error = apsw.exception_for(code)
            error.extendedresult = code
            raise error


class _VFS(apsw.VFS):
    def __init__(self, name: str, base: str, faults: Faults) -> None:
        self.base, self.faults = base, faults
        super().__init__(name, base, makedefault=True)

    def xOpen(self, name, flags):
        self.faults.call("open")
        return _File(self.base, name, flags, self.faults)

    def xDelete(self, name, syncdir):
        self.faults.call("delete")
        return super().xDelete(name, syncdir)

    def xAccess(self, name, flags):
        self.faults.call("access")
        return super().xAccess(name, flags)


class _File(apsw.VFSFile):
    def __init__(self, base, name, flags, faults: Faults) -> None:
        self.faults = faults
        super().__init__(base, name, flags)

    def xRead(self, amount, offset):
        self.faults.call("read")
        return super().xRead(amount, offset)

    def xWrite(self, data, offset):
        self.faults.call("write")
        super().xWrite(data, offset)

    def xSync(self, flags):
        self.faults.call("sync")
        super().xSync(flags)

    def xLock(self, level):
        self.faults.call("lock")
        super().xLock(level)

    def xTruncate(self, size):
        self.faults.call("truncate")
        super().xTruncate(size)


@contextmanager
def installed() -> Iterator[Faults]:
    """Make the failing file system the default one in the block."""
    faults, base = Faults(), apsw.vfs_names()[0]
    vfs = _VFS("hybridstore-faults", base, faults)
    try:
        yield faults
    finally:
        vfs.unregister()
