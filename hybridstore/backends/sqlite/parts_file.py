"""Parts files: a number of byte strings in one SQLite file, encrypted as a store is where there is a key.

They are written once, beside their name, and only read then, so readers neither lock them nor make files beside them.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import apsw

from hybridstore.backends.sqlite.encryption import PLAIN, check_key, unlock
from hybridstore.backends.sqlite.schema_inspection import harden
from hybridstore.errors import FileRefused

_TABLE = "CREATE TABLE parts (n INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT"
_IMMUTABLE = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI


def write_parts(path: Path, parts: Iterable[bytes], key: str | None) -> None:
    """Write parts into an empty file; raises FileRefused where it cannot be written, Unsupported for a useless key."""
    if key is not None:
        check_key(str(path), key)
    try:
        with closing(apsw.Connection(str(path))) as connection:
            if key is not None:
                connection.pragma("key", key)
            connection.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY")
            _write(connection, parts)
    except apsw.Error as error:
        raise FileRefused(str(path), f"cannot be written ({error})") from error


class PartsFile:
    """Parts that are open for reading; a context manager. They are numbered from 1."""

    def __init__(self, connection: apsw.Connection, path: str) -> None:
        self._connection, self.path = connection, path

    def check(self) -> None:
        """Raise FileRefused for a file that is something else."""
        try:
            schema = self._connection.execute("SELECT sql FROM sqlite_schema LIMIT 2").fetchall()
        except apsw.Error as error:
            raise FileRefused(self.path, f"is not a bundle of changes ({error})") from error
        if schema != [(_TABLE,)]:
            raise FileRefused(self.path, "is not a bundle of changes")

    def part(self, number: int) -> bytes:
        """Return a part; raises FileRefused where it cannot be read."""
        try:
            for (data,) in self._connection.execute("SELECT data FROM parts WHERE n = ?", (number,)):
                if isinstance(data, bytes):
                    return data
        except apsw.Error as error:
            raise FileRefused(self.path, f"is damaged ({error})") from error
        raise FileRefused(self.path, f"is damaged: its part {number} is missing")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()


def open_parts(path: Path, key: str | None) -> PartsFile:
    """Open a parts file; raises FileRefused where it was not written with this key, FileNotFoundError without it."""
    with path.open("rb") as file:
        plain = file.read(len(PLAIN)) == PLAIN
    if plain != (key is None):
        which = "is not encrypted, and this store is" if plain else "is encrypted, and this store has no key"
        raise FileRefused(str(path), f"{which}: all devices have the same key, or none")
    try:
        connection = apsw.Connection(f"{path.resolve().as_uri()}?immutable=1", flags=_IMMUTABLE)
    except apsw.CantOpenError as error:  # another process has removed it just now
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
    try:
        if key is not None:
            unlock(connection, str(path), key)
        harden(connection)
        connection.execute("PRAGMA cell_size_check = ON")
    except BaseException as error:
        connection.close()
        if isinstance(error, apsw.Error):
            raise FileRefused(str(path), f"cannot be read ({error})") from error
        raise
    return PartsFile(connection, str(path))


def temporary_parts(parts: Iterable[bytes], *, in_memory: bool) -> PartsFile:
    """Keep parts until they are closed: in memory, or in a file without a name, so that a kill leaves nothing."""
    connection = apsw.Connection(":memory:" if in_memory else "")
    try:
        _write(connection, parts)
    except apsw.Error as error:
        connection.close()
        raise FileRefused(tempfile.gettempdir(), f"cannot be written ({error})") from error
    except BaseException:
        connection.close()
        raise
    return PartsFile(connection, "what was received")


def _write(connection: apsw.Connection, parts: Iterable[bytes]) -> None:
    with connection:
        connection.execute(_TABLE)
        connection.executemany("INSERT INTO parts (data) VALUES (?)", ((part,) for part in parts))
