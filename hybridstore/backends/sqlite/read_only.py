"""Opening a file for reading alone: where another program may be writing, on media that cannot be written, replicas."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import apsw

from hybridstore.errors import FileRefused, InputError

C = TypeVar("C", bound=apsw.Connection)


@dataclass(frozen=True, slots=True)
class Access:
    """How a file is opened: for reading alone or not, and by which of SQLite's VFSs (None: that of this system)."""

    read_only: bool = False
    vfs: str | None = None

    def __post_init__(self) -> None:
        if self.vfs is not None and self.vfs not in apsw.vfs_names():
            known = ", ".join(apsw.vfs_names())
            raise InputError(
                f"SQLite has no VFS {self.vfs!r}; load the extension that brings it first (known: {known})"
            )
        if self.vfs is not None and not self.read_only:
            raise InputError("a store is only read through another VFS; add read_only=True")

    def check_may_write(self, path: str) -> None:
        """Raise FileRefused where the file is open for reading alone."""
        if self.read_only:
            raise FileRefused(path, "was opened for reading alone, so nothing was changed; open it without read_only")


def open_to_read(kind: type[C], path: str, access: Access) -> C:
    """Open a connection, of this kind, that writes nothing into the file.

    SQLite keeps track of a file's readers and writers in the -shm file beside it. Where the folder cannot be written
    and there is no log, nobody can be writing: then the file is read as it is, and nothing is made beside it.
    """
    if access.vfs is not None:
        return kind(path, flags=apsw.SQLITE_OPEN_READONLY, vfs=access.vfs)
    if is_sealed(path) and not _has_log(path):
        uri = f"{Path(path).resolve().as_uri()}?immutable=1"
        return kind(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    return kind(path, flags=apsw.SQLITE_OPEN_READONLY)


def is_sealed(path: str) -> bool:
    """Return whether nothing can be written beside a file: its folder's permissions or its file system forbid it."""
    folder = Path(path).resolve().parent
    # The superuser may write everywhere, but what is meant to be left alone is left alone.
    return not os.access(folder, os.W_OK) or not stat.S_IMODE(folder.stat().st_mode) & 0o222


def why_not_read(path: str, error: apsw.Error) -> str:
    """Say why a file that exists cannot be opened for reading alone."""
    if is_sealed(path) and _has_log(path):
        log = f"{Path(path).name}-wal"
        return (
            f"cannot be read here: {log} beside it holds its last changes, and reading these needs a folder that can "
            f"be written. Copy both files to such a folder, or close the store where it is written, which empties {log}"
        )
    return f"cannot be read ({error})"


def _has_log(path: str) -> bool:
    log = Path(f"{Path(path).resolve()}-wal")
    return log.exists() and log.stat().st_size > 0
