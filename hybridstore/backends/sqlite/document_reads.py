"""Whole documents as they are stored, one or all, and the vectors of their chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.sqlite import document_rows, vector_tables
from hybridstore.backends.sqlite.connection import Connections, rows
from hybridstore.backends.sqlite.where_sql import compile_where
from hybridstore.backends.values import StoredDocument
from hybridstore.errors import NotFound
from hybridstore.filters import Filter

_SCANNED_AT_ONCE = 200  # documents a scan holds in memory


def get(connection: apsw.Connection, document_id: str) -> StoredDocument:
    """Give a document without its vectors; raises NotFound."""
    found = document_rows.known(connection, [document_id]).get(document_id)
    if found is None:
        raise NotFound(document_id)
    return _read(connection, found[0], vectors=False)


def scan(connections: Connections, where: Filter | None, *, vectors: bool) -> Iterator[StoredDocument]:
    """Give the documents that pass the filter in the order they were first added, each page from one snapshot."""
    condition, bindings = ("true", []) if where is None else compile_where(where)
    last = 0
    while True:
        with connections.reading() as connection:
            paged = f"document > ? AND ({condition})"
            found = document_rows.document_rows(connection, paged, (last, *bindings), _SCANNED_AT_ONCE)
            page = [_read(connection, row, vectors=vectors) for row in found]
        yield from page
        if len(found) < _SCANNED_AT_ONCE:
            return
        last = found[-1]


def _read(connection: apsw.Connection, row: int, *, vectors: bool) -> StoredDocument:
    stored = document_rows.read(connection, row)
    active = vector_tables.by_state(connection, "active") if vectors else None
    if active is None:
        return StoredDocument(*stored)
    ids = document_rows.chunk_ids(connection, row)
    chunks, found = vector_tables.fetch(connection, active[0], active[1].dim, ids)
    complete = len(chunks) == len(ids)
    return StoredDocument(*stored, vectors=found[np.searchsorted(chunks, ids)] if complete else None)


def chunk_vectors(connection: apsw.Connection, document_id: str) -> dict[bytes, NDArray[np.float32]]:
    """Give the vectors of a document's chunks by the digests of what was embedded; {} where there are none."""
    found = document_rows.known(connection, [document_id]).get(document_id)
    active = vector_tables.by_state(connection, "active")
    if found is None or active is None:
        return {}
    digests = dict(rows(connection, "SELECT chunk, digest FROM chunks WHERE document = ?", (found[0],)))
    chunks, vectors = vector_tables.fetch(connection, active[0], active[1].dim, list(digests))
    return {digests[int(chunk)]: row for chunk, row in zip(chunks, vectors, strict=True)}


def vectors(connection: apsw.Connection, chunks: Sequence[int]) -> NDArray[np.float32]:
    """Give the vectors of chunks (n, dim) in the order asked for; zeros where there is none, dim 0 without any."""
    if (active := vector_tables.by_state(connection, "active")) is None:
        return np.zeros((len(chunks), 0), np.float32)
    return vector_tables.in_order(connection, active[0], active[1].dim, chunks)
