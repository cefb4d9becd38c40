"""Opening a store's file, of which only this room knows that it is SQLite's."""

from __future__ import annotations

import os
from pathlib import Path

from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import InputError
from hybridstore.store.store import Store


def open(  # noqa: A001 - `hybridstore.open`, as `gzip.open`
    path: str | os.PathLike[str],
    *,
    embedder: str | Path | Embedder | None = None,
    language: str | None = None,
    threads: int | None = None,
    busy_timeout: float = 30.0,
    memory: int = 1024,
    create: bool = True,
    log_queries: bool = False,
) -> Store:
    """Open a store's file, making it if it is not there.

    `embedder` None is the file's own (all-MiniLM-L6-v2 in a new file); "none" is no embedder, for keyword search
    alone; else a name from the catalog, a folder, or any Embedder. `language` ("english" in a new file) decides
    about stemming and cannot be changed later. `threads` is for the model. `busy_timeout`, in seconds, is how
    long to wait for another process that is writing. `memory`, in MiB, is how much copies of codes, postings and
    metadata may take, which make searches fast; with less than they need SQLite is asked, and the answers are the
    same. With `log_queries` the questions that are searched for are kept in the file, to learn from: see
    `Store.asked`. Nothing is loaded until it is needed.

    Raises FileRefused for a file that is not ours or too new, EmbedderMismatch when the file was filled by
    another embedder than the one named, InputError for a language that is not known or not the file's.
    """
    from hybridstore.backends.sqlite import SQLiteBackend

    if not isinstance(memory, int) or memory < 0:
        raise InputError(f"memory is a whole number of MiB, not {memory!r}")
    backend = SQLiteBackend(os.fspath(path), language=language, busy_timeout=busy_timeout, create=create, memory=memory)
    try:
        return Store(backend, embedder=embedder, threads=threads, log_queries=log_queries)
    except BaseException:
        backend.close()
        raise
