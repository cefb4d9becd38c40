"""New store files: under their name only when they are whole, and readable by their owner alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from hybridstore.backends.sqlite.connection import Connections, connect, rows
from hybridstore.backends.sqlite.file_identity import new_stamp
from hybridstore.errors import FileRefused, InputError
from hybridstore.whole_files import whole_file

_SIDE_FILES = ("-wal", "-journal")
_BEING_CREATED = 2.0  # seconds that another process is given to fill an empty file; it takes 20 ms


@contextmanager
def new_file(path: str) -> Iterator[str]:
    """Yield the path of an empty file, which is called `path` after the block, or gone if the block failed.

    Raises FileRefused where a file of that name is there, or appears meanwhile, or cannot be written.
    """
    if os.path.lexists(path):
        raise FileRefused(path, "is already there; choose another name, or remove it first")
    refuse_side_files(path)
    try:
        with whole_file(path, replace=False) as part:
            yield str(part)
    except FileExistsError as error:
        raise FileRefused(path, "is already there; choose another name, or remove it first") from error
    except (OSError, ValueError) as error:
        raise FileRefused(path, why_refused(path, error)) from error


def why_refused(path: str, error: OSError | ValueError) -> str:
    """Say why a file cannot be created."""
    folder = Path(os.path.realpath(path)).parent if "\0" not in path else None
    if folder is not None and not folder.is_dir():
        return f"the folder {folder} does not exist; create it first"
    return f"cannot be written ({getattr(error, 'strerror', None) or error})"


def refuse_side_files(path: str, *, wait: float = 0.0) -> None:
    """Raise FileRefused where a log of SQLite's lies beside a file that is missing or empty: it belongs to a lost one.

    SQLite would apply it to whatever is put there. `wait` seconds are spent waiting for a process that creates it.
    """
    deadline = time.monotonic() + wait
    while True:
        real = os.path.realpath(path)
        side = [name for name in (f"{real}{suffix}" for suffix in _SIDE_FILES) if _size(name)]
        if not side or _size(real):
            return
        if time.monotonic() >= deadline:
            break
        time.sleep(0.01)
    missing = "is empty" if os.path.exists(real) else "does not exist"  # noqa: PTH110 - False for any path
    raise FileRefused(
        path,
        f"{missing}, but {side[0]} beside it holds changes to a file of this name: put that file back, or restore a "
        "backup and remove what lies beside it",
    )


def wait_until_created(path: str) -> None:
    """Refuse an empty file that a killed process, and not one at work, has left with a journal."""
    refuse_side_files(path, wait=_BEING_CREATED)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - a str, as SQLite makes the names
    except OSError:
        return 0


def backup(connections: Connections, path: str) -> None:
    """Write a compact copy, verified, to a new file; see the protocol."""
    if connections.get().in_transaction:
        raise InputError("a snapshot is being read in this thread; leave it first, then make the backup")
    with new_file(path) as part:
        try:
            connections.get().execute("VACUUM INTO ?", (part,))
            with closing(connect(part, connections.busy_timeout, key=connections.key)) as copy:
                lines = [line for (line,) in rows(copy, "PRAGMA quick_check")]
                copy.execute("UPDATE meta SET value = ? WHERE key = 'stamp'", (new_stamp(),))
        except (apsw.FullError, apsw.IOError, apsw.CantOpenError) as error:
            raise FileRefused(path, f"the copy cannot be written ({error}), so there is none") from error
        if lines != ["ok"]:
            raise apsw.CorruptError(f"its copy is not sound: {lines[0]}")
