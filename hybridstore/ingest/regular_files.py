"""Opening files to be read: regular files only, never a pipe that waits for ever, and none that a link leads to.

A check of a path before it is opened can be raced: another process swaps the file for a link in between. So a file is
opened first, without waiting for a writer, and what was opened is looked at; below a root, folder by folder, without
following links.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# Absent on Windows, which has neither named pipes in folders nor links for everyone.
_NOT_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = getattr(os, "O_DIRECTORY", 0)


class NotRegular(OSError):  # noqa: N818 - reads as a sentence: raise NotRegular
    """A path is not that of a regular file; `strerror` says what it is."""


def open_file(path: str | os.PathLike[str], *, beneath: Sequence[Path] | None = None) -> io.BufferedReader:
    """Open a regular file to be read.

    `beneath` are folders, without links in their own paths: the file must be in one of them, and no link is followed.
    Raises NotRegular for a pipe, socket, device or folder, or a link below `beneath`; OSError as `open` does.
    """
    name = os.fspath(path)
    descriptor = os.open(name, os.O_RDONLY | _NOT_WAITING) if beneath is None else _descended(Path(name), beneath)
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind == stat.S_IFREG:
        return io.BufferedReader(io.FileIO(descriptor))
    os.close(descriptor)
    raise NotRegular(errno.EINVAL, f"it is {_KINDS.get(kind, 'something else')}, and only regular files are read", name)


def _descended(path: Path, roots: Sequence[Path]) -> int:
    """Return the descriptor of a file that is opened folder by folder from its root on."""
    beneath = next((root for root in roots if path.is_relative_to(root)), None)
    if beneath is None or ".." in path.parts:
        raise NotRegular(errno.EACCES, "it is outside the allowed folders", str(path))
    if os.open not in os.supports_dir_fd:  # Windows
        if not path.resolve().is_relative_to(beneath):
            raise NotRegular(errno.ELOOP, "a link in its path leads elsewhere", str(path))
        return os.open(path, os.O_RDONLY | _NOT_WAITING)
    parts = path.relative_to(beneath).parts
    folder = os.open(beneath, os.O_RDONLY | _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | _FOLDER | _NO_LINK, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(parts[-1] if parts else ".", os.O_RDONLY | _NOT_WAITING | _NO_LINK, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR):
            raise NotRegular(error.errno, "there is a link in its path, which is not followed", str(path)) from error
        raise
    finally:
        os.close(folder)
