"""Opening a store by its location, which decides the backend, and a base class for objects that open or share one."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

from hybridstore.backends.protocols import Backend
from hybridstore.codecs.kept_vectors import FLOAT32, check_codec
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import InputError, MissingExtra, StoreRefused
from hybridstore.locations import is_url, without_secrets
from hybridstore.store.inputs import checked_path
from hybridstore.store.store import Store

DURABILITIES = ("normal", "full")


def open(  # noqa: A001 - `hybridstore.open`, as `gzip.open`
    path: str | os.PathLike[str],
    *,
    embedder: str | Path | Embedder | None = None,
    language: str | None = None,
    codec: str | None = None,
    threads: int | None = None,
    busy_timeout: float = 30.0,
    memory: int = 1024,
    create: bool = True,
    log_queries: bool = False,
    key: str | None = None,
    durability: str = "normal",
    read_only: bool = False,
    vfs: str | None = None,
) -> Store:
    """Open a store: the file at a path, made if it is not there, or ":memory:", which goes when it is closed.

    A URL such as "postgresql://user@host/database?store=notes" is a store on a PostgreSQL server (`[postgres]`), made
    there if it is not there yet; libpq's options follow (sslmode=require), and its environment variables and password
    file count. `replica=HOST:PORT` names a standby to read from: see docs/scale.md. What is said of files below does
    not concern it: it cannot be encrypted here, and is as durable as the server.

    `embedder` None is the file's own (all-MiniLM-L6-v2 in a new file); "none" is no embedder, for keyword search
    alone; else a name from the catalog, a folder, or any Embedder. `language` ("english" in a new file) decides about
    stemming and cannot be changed later. `codec` ("float32" in a new file, "float16", "int8" or "int4") decides how
    much of each vector the file keeps, and `Store.recode` changes it: see docs/storage.md. `threads` is for the model.
    `busy_timeout`, in seconds, is how long to wait for another process that is writing. `memory`, in MiB, is how much
    copies of codes, postings and metadata may take, which make searches fast; what does not fit is read from SQLite,
    with the same answers. With `log_queries` the queries that are searched for are recorded in the file, to learn from:
    see `Store.query_log`. Nothing is loaded until it is needed.

    `durability` "full" syncs the disk at every commit, so that a power cut loses nothing that was acknowledged. With
    "normal" it may lose the last commits, those since the log was copied into the file (at the latest a quarter of a
    second after the last write); the file is sound either way, and the end of a process loses nothing.

    `key` encrypts the file, which needs apsw-sqlite3mc installed in apsw's place; see docs/security.md. It cannot be
    changed later, and without it nothing can be read.

    With `read_only` nothing is written into the file: every write raises FileRefused. In a folder that cannot be
    written nothing is made beside it either; elsewhere SQLite makes its -wal and -shm files, by which readers know of
    writers. `vfs` names a VFS of SQLite that reads the file, such as one of a replica, with `read_only`.

    Raises FileRefused for a file that is not ours or too new, or was not written with this key, Unsupported where no
    file can be encrypted, StoreRefused for `create=False` in memory, where nothing is yet, EmbedderMismatch when the
    file was filled by another embedder than the one named, InputError for a language or codec that is not known or not
    the file's.
    """
    if not isinstance(memory, int) or memory < 0:
        raise InputError(f"memory is a whole number of MiB, not {memory!r}")
    if durability not in DURABILITIES:
        raise InputError(f"durability is {' or '.join(map(repr, DURABILITIES))}, not {durability!r}")
    if read_only and log_queries:
        raise InputError("queries cannot be recorded in a store that is opened with read_only; leave log_queries out")
    if codec is not None:
        check_codec(codec)
    location = checked_path(path)
    opener = _opener(location)
    options: dict[str, Any] = {"language": language, "busy_timeout": busy_timeout, "memory": memory, "key": key}
    options |= {"create": create and not read_only, "durability": durability, "read_only": read_only, "vfs": vfs}
    options["codec"] = codec
    backend = opener(location, **options)
    try:
        store = Store(backend, embedder=embedder, threads=threads, log_queries=log_queries)
    except BaseException:
        backend.close()
        raise
    if location != ":memory:":
        store.reopen = partial(
            open,
            _lasting(location, backend),
            embedder=embedder,
            threads=threads,
            busy_timeout=busy_timeout,
            memory=memory,
            create=False,
            log_queries=log_queries,
            key=key,
            durability=durability,
            read_only=read_only,
            vfs=vfs,
        )
    return store


def open_other(location: str, *, key: str | None) -> Store:
    """Open another store to read what it holds, also where it cannot be written; raises StoreRefused.

    A file of a version that cannot be read as it is is brought up to date.
    """
    opened = partial(open, location, embedder="none", key=key, create=False)
    try:
        return opened(read_only=True)
    except StoreRefused as refused:
        try:
            return opened()
        except StoreRefused:
            raise refused from None


def _lasting(location: str, backend: Backend) -> str | os.PathLike[str]:
    """Return what opens the same store later, whatever the working directory is then; its repr shows no password."""
    if is_url(location):
        from hybridstore.backends.postgres import PostgresBackend

        return backend.address if isinstance(backend, PostgresBackend) else location
    scheme, separator, name = location.rpartition("://")
    return f"{scheme}{separator}{Path(name).absolute()}"


def _opener(location: str) -> Callable[..., Backend]:
    """Return what opens a location: the scheme of a URL decides; a path has none, even with a colon in it."""
    if is_url(location):
        return _open_on_server
    scheme = location if location == ":memory:" else location.partition("://")[0].lower() if "://" in location else ""
    if scheme not in _OPENERS:
        raise InputError(
            f"no store can be opened at {without_secrets(location)!r}: give the path of a file, file://PATH or "
            "sqlite://PATH, a URL such as postgresql://USER@HOST/DATABASE?store=NAME, or ':memory:'"
        )
    return _OPENERS[scheme]


def _open_on_server(
    location: str,
    *,
    key: str | None,
    vfs: str | None,
    codec: str | None,
    durability: str,  # noqa: ARG001 - it is the server's
    **options: Any,
) -> Backend:
    try:
        from hybridstore.backends.postgres import PostgresBackend
    except ImportError as error:
        raise MissingExtra("postgres", "a store on a PostgreSQL server", "psycopg") from error
    if key is not None or vfs is not None:
        raise InputError("a store on a server has no key= and no vfs=: the server encrypts its disk and connections")
    if codec not in {None, FLOAT32}:
        raise InputError("a store on a server keeps vectors as float32; leave codec= out")
    return PostgresBackend(location, **options)


def _open_file(location: str, **options: Any) -> Backend:
    from hybridstore.backends.sqlite import SQLiteBackend

    return SQLiteBackend(location.partition("://")[2] or location, **options)


def _open_in_memory(
    location: str, *, language: str | None, create: bool, key: str | None, codec: str | None, **_: Any
) -> Backend:
    from hybridstore.backends.in_memory import MemoryBackend

    if key is not None:
        raise InputError("a store in memory is not encrypted: leave key= out, or name a file")
    if codec not in {None, FLOAT32}:
        raise InputError("a store in memory keeps vectors as float32; leave codec= out, or name a file")
    if not create:
        raise StoreRefused(location, "a store in memory is empty when it is opened; name a file")
    return MemoryBackend(language=language)


_OPENERS: dict[str, Callable[..., Backend]] = {
    "": _open_file,
    "file": _open_file,
    "sqlite": _open_file,
    ":memory:": _open_in_memory,
}


def move(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    key: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Copy a whole store from a file to a server, or back to a new file; return the number of documents.

    One of both is a path and the other a URL, as `open` takes them. Everything goes along, with the same numbers:
    documents, vectors of every embedding, memories, models, triples, the query log, feedback, expectations, folders.
    `key` is that of an encrypted file to read. The source stays as it is. `progress` is called with (done, total).

    Raises InputError where both are of one kind, StoreRefused for a target that is not empty (FileRefused for a file
    that exists), MissingExtra without psycopg.
    """
    here, there = checked_path(source), checked_path(target)
    if is_url(here) == is_url(there):
        raise InputError("a store is moved between a file and a server: name a path and a URL, in either order")
    try:
        from hybridstore.backends import moving
    except ImportError as error:
        raise MissingExtra("postgres", "a store on a PostgreSQL server", "psycopg") from error
    if is_url(there):
        return moving.to_server(here, there, key=key, progress=progress)
    return moving.to_file(here, there, progress=progress)


class Holder:
    """A context manager with a `store`: one that was passed, which stays open, or one that it opened and closes.

    A subclass calls `_hold` in its `__init__`.
    """

    store: Store
    _opened: bool

    def _hold(self, store: Store | str | os.PathLike[str], **options: Any) -> None:
        """Take a store, or open the file of this path with these options of `open`."""
        self.store = store if isinstance(store, Store) else open(store, **options)
        self._opened = self.store is not store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store, if it was opened here. Closing twice is harmless."""
        if self._opened:
            self.store.close()
