"""Files that are there completely or not at all: written beside their name, synced, and renamed at the end.

What a killed process leaves behind is called `.NAME-xxxxxxxx.part`, with a file of SQLite's beside it perhaps; nothing
reads it, and it may be removed. New files are readable by their owner alone, whatever the umask: they may hold private
text. A file that is replaced passes its permissions on.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SIDE_FILES = ("", "-journal", "-wal", "-shm")  # SQLite's, where the file is a database


@contextmanager
def whole_file(path: str | os.PathLike[str], *, replace: bool = True) -> Iterator[Path]:
    """Yield the path of an empty file to write; after the block it has the name `path`, or is gone if that failed.

    Links are followed. A device or a pipe is yielded itself. Raises FileExistsError at the end, with nothing changed,
    where there is a file and `replace` is False; OSError for a place that cannot be written.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        yield target
        return
    # 50 characters of the name: four bytes each still leave room in the 255 that a name may have.
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:50]}-", suffix=".part", dir=target.parent)
    os.close(descriptor)  # mkstemp made it for its owner alone
    part = Path(name)
    try:
        yield part
        sync_file(part)
        if replace:
            with suppress(FileNotFoundError):
                part.chmod(target.stat().st_mode & 0o777)
            part.replace(target)
        else:
            _rename_new(part, target)
        sync_folder(target.parent)
    finally:
        for suffix in _SIDE_FILES:
            Path(f"{part}{suffix}").unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file completely or not at all, in place of one that is there; raises OSError."""
    with whole_file(path) as part:
        part.write_bytes(content)


def _rename_new(part: Path, target: Path) -> None:
    """Rename, but never over a file: linking fails where there is one, in one step."""
    try:
        target.hardlink_to(part)
    except FileExistsError:
        raise
    except OSError:  # file systems without hard links, such as FAT
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        part.rename(target)


def sync_file(path: Path) -> None:
    """Write a file's content to the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Write the new name to the disk, which syncing the file does not."""
    if sys.platform == "win32":  # a folder cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems cannot do it
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
