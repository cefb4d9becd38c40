"""Encryption at rest: a file's key, which a build of SQLite with SQLite3 Multiple Ciphers applies to every page.

The distribution apsw-sqlite3mc provides it under apsw's own module name, so it is installed in apsw's place. The cipher
is its default, ChaCha20-Poly1305 with a key derived by PBKDF2 (https://utelle.github.io/SQLite3MultipleCiphers/). The
write-ahead log is encrypted too; -shm holds page numbers and no content; temporary data stays in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from hybridstore.errors import FileRefused, InputError, Unsupported

PLAIN = b"SQLite format 3\0"


def check_key(path: str, key: object) -> None:
    """Raise InputError for a key that cannot be used, Unsupported where this apsw cannot encrypt."""
    if not isinstance(key, str) or not key or "\0" in key or not key.isprintable():
        raise InputError("a key is a text of printable characters that is not empty")
    if not hasattr(apsw, "mc_version"):
        raise Unsupported(
            path,
            "the installed apsw cannot encrypt: run `pip uninstall -y apsw`, then `pip install apsw-sqlite3mc`, which "
            "takes its place",
        )


def unlock(connection: apsw.Connection, path: str, key: str) -> None:
    """Apply the key, before the first statement; raises FileRefused where the file was not written with it."""
    connection.pragma("key", key)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except apsw.NotADBError as error:
        raise FileRefused(path, "cannot be read with this key; it was left unchanged") from error


def refuse_plain(path: str, header: bytes) -> None:
    """Raise FileRefused for a file that is not encrypted."""
    if header.startswith(PLAIN):
        raise FileRefused(
            path,
            "is not encrypted: open it without a key (unset HYBRIDSTORE_KEY for commands); to encrypt it, export it, "
            "and import that into a new store with a key",
        )


@contextmanager
def page_decoder(first: bytes, key: str | None) -> Iterator[Callable[[bytes], bytes]]:
    """Yield a function that decrypts page 2 of the file whose page 1 is `first`, b"" where it was not made for it.

    So an image of the page in the log can be read before the log is used. SQLite decrypts pages of files alone: each is
    put into a temporary file, encrypted as it is. The key takes 0.1 s, a page 0.1 ms.
    """
    if key is None:
        yield lambda page: page
        return
    with tempfile.TemporaryDirectory(prefix="hybridstore-") as folder:
        file = Path(folder) / "page.db"
        file.write_bytes(first)
        with closing(apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            connection.pragma("key", key)

            def decoded(page: bytes) -> bytes:
                file.write_bytes(first + page)
                try:
                    return connection.read("main", 0, len(first), len(page))[1]
                except apsw.Error:
                    return b""

            yield decoded
