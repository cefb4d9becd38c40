"""Documents and their chunks as rows: written and read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import apsw
import numpy as np

from hybridstore.backends.batches import byte_offsets, compact_json
from hybridstore.backends.sqlite import vector_tables
from hybridstore.backends.sqlite.checksums import insertion
from hybridstore.backends.sqlite.connection import Connections, rows, value
from hybridstore.backends.sqlite.stored_values import check_types, json_object, whole_number
from hybridstore.backends.sqlite.where_sql import compile_where
from hybridstore.backends.values import Entry, Passage, StoredDocument
from hybridstore.backends.versions import Known
from hybridstore.errors import NotFound
from hybridstore.filters import Filter
from hybridstore.records import Chunk, Document, Source

_IDS_AT_ONCE = 500  # ids bound to one statement
_SCANNED_AT_ONCE = 200  # documents a scan holds in memory
# SQL reads the whole text for each of a document's chunks. Of longer ones only the span is read, as a blob, which for
# others takes twice as long.
_SHORT = 16_384  # bytes
_PASSAGES = f"""
    SELECT document, first_byte, last_byte,
           CASE WHEN octet_length(text) <= {_SHORT}
                THEN substr(CAST(text AS BLOB), max(first_byte, 0) + 1, max(last_byte - first_byte, 0)) END,
           chunk, documents.id, title, uri, heading, start, stop, metadata
    FROM json_each(?) CROSS JOIN chunks ON chunk = value JOIN documents USING (document)
"""


def known(connection: apsw.Connection, ids: Sequence[str]) -> dict[str, Known]:
    """Return those of the ids that are stored."""
    found: dict[str, Known] = {}
    for first in range(0, len(ids), _IDS_AT_ONCE):
        some = json.dumps(ids[first : first + _IDS_AT_ONCE])
        rows = connection.execute(
            "SELECT id, document, digest, source, changed FROM documents WHERE id IN (SELECT value FROM json_each(?))",
            (some,),
        )
        found.update({identifier: Known(*rest) for identifier, *rest in rows})
    return found


def versions(connection: apsw.Connection, ids: Sequence[str] | None) -> dict[str, tuple[bytes, str]]:
    """Return the digests and versions of documents, of all where ids are None."""
    if ids is None:
        found = rows(connection, "SELECT id, digest, changed FROM documents ORDER BY document")
        for row in found:
            check_types(row, "tbt")
        return {identifier: (digest, version) for identifier, digest, version in found}
    return {identifier: (each.digest, each.version) for identifier, each in known(connection, ids).items()}


def next_row(connection: apsw.Connection) -> int:
    """Return a row number larger than that of any document."""
    return whole_number(value(connection, "SELECT max(document) FROM documents") or 0) + 1


def write(connection: apsw.Connection, placed: Iterable[tuple[int, Entry, str]]) -> None:
    """Write documents, which come as (row, entry, version), into their rows, replacing what is there."""
    connection.executemany(
        f"""{insertion("documents")}
           ON CONFLICT (document) DO UPDATE SET title = excluded.title, uri = excluded.uri,
             format = excluded.format, source = excluded.source, changed = excluded.changed,
             digest = excluded.digest, metadata = excluded.metadata, text = excluded.text,
             checksum = excluded.checksum""",
        (
            (
                row,
                d.id,
                d.title,
                d.uri,
                d.format,
                entry.source,
                changed,
                entry.digest,
                compact_json(d.metadata),
                d.text,
            )
            for row, entry, changed in placed
            for d in [entry.document]
        ),
    )


def write_chunks(connection: apsw.Connection, placed: Iterable[tuple[int, int, Entry]]) -> None:
    """Insert the chunks of entries, which come as (document's row, first chunk id, entry)."""
    connection.executemany(
        insertion("chunks"),
        (
            (first + n, row, n, chunk.start, chunk.end, *offset, chunk.heading, digest)
            for row, first, entry in placed
            for n, (chunk, offset, digest) in enumerate(
                zip(
                    entry.chunks,
                    byte_offsets(entry.document.text, entry.chunks),
                    entry.chunk_digests,
                    strict=True,
                )
            )
        ),
    )


def chunk_ids(connection: apsw.Connection, row: int) -> list[int]:
    """Return the ids of a document's chunks, in order."""
    chunks = connection.execute("SELECT chunk FROM chunks WHERE document = ? ORDER BY position", (row,))
    return [chunk for (chunk,) in chunks]


def chunk_digests(connection: apsw.Connection, row: int) -> list[tuple[int, bytes]]:
    """Return the ids of a document's chunks with their digests, in order."""
    return rows(connection, "SELECT chunk, digest FROM chunks WHERE document = ? ORDER BY position", (row,))


def documents_of(connection: apsw.Connection, chunks: Sequence[int]) -> list[str]:
    """Return the id of each chunk's document, in the order of `chunks`, without chunks that are gone."""
    sql = """SELECT chunk, id FROM chunks JOIN documents USING (document)
             WHERE chunk IN (SELECT value FROM json_each(?))"""
    owners = dict(rows(connection, sql, (json.dumps(chunks),)))
    return [owners[chunk] for chunk in chunks if chunk in owners]


def chunks_of(connection: apsw.Connection, ids: Sequence[str]) -> list[tuple[str, int]]:
    """Return (id, chunk) of all chunks of these documents, each document's in order."""
    sql = """SELECT id, chunk FROM documents JOIN chunks USING (document)
             WHERE id IN (SELECT value FROM json_each(?)) ORDER BY document, position"""
    return rows(connection, sql, (json.dumps(ids),))


def passages(connection: apsw.Connection, chunks: Sequence[int]) -> list[Passage]:
    """Return chunks with their text and their document's fields, in their order, without those that are gone."""
    stored: list[Any] = connection.execute(_PASSAGES, (str(list(chunks)),)).fetchall()
    found: dict[int, Passage] = {}
    for document, first, last, span, chunk, identifier, title, uri, heading, start, stop, metadata in stored:
        check_types((first, last, identifier, title, uri, heading, start, stop), "iittttii")
        text = (_span(connection, document, first, last) if span is None else span).decode(errors="replace")
        found[chunk] = Passage(chunk, identifier, text, title, uri, heading, start, stop, json_object(metadata))
    return [found[chunk] for chunk in chunks if chunk in found]


def _span(connection: apsw.Connection, document: int, first: int, last: int) -> bytes:
    """Return a part of a document's text; in a damaged file it may be anywhere, which `check` reports."""
    with closing(connection.blob_open("main", "documents", "text", document, False)) as text:
        length = text.length()
        text.seek(min(max(first, 0), length))
        return text.read(min(max(last - first, 0), length))


def document_rows(
    connection: apsw.Connection, condition: str, bindings: Sequence[object], limit: int = -1
) -> list[int]:
    """Return the first rows (-1: all) of documents that meet a condition, in the order they were first added."""
    sql = f"SELECT document FROM documents WHERE {condition} ORDER BY document LIMIT ?"
    return [row for (row,) in connection.execute(sql, (*bindings, limit))]


def rows_passing(connection: apsw.Connection, where: Filter | None) -> list[int]:
    """Return the rows of documents that match the filter, in the order they were first added."""
    return document_rows(connection, *_condition(where))


def ids(connection: apsw.Connection, where: Filter | None) -> list[str]:
    """Return the ids of documents that match the filter, in the order they were first added."""
    condition, bindings = _condition(where)
    found = connection.execute(f"SELECT id FROM documents WHERE {condition} ORDER BY document", tuple(bindings))
    return [identifier for (identifier,) in found]


def metadata(connection: apsw.Connection, where: Filter | None) -> list[Mapping[str, object]]:
    """Return the metadata of documents that match the filter, in the order they were first added."""
    condition, bindings = _condition(where)
    found = connection.execute(f"SELECT metadata FROM documents WHERE {condition} ORDER BY document", tuple(bindings))
    return [json_object(text) for (text,) in found]


def _condition(where: Filter | None) -> tuple[str, list[object]]:
    return ("true", []) if where is None else compile_where(where)


def read(connection: apsw.Connection, row: int) -> tuple[Document, tuple[Chunk, ...], str | None, str]:
    """Return a document, its chunks, its source, and when it last changed."""
    sql = "SELECT id, title, uri, format, source, changed, metadata, text FROM documents WHERE document = ?"
    identifier, title, uri, form, source, changed, metadata, text = rows(connection, sql, (row,))[0]
    chunks = rows(connection, "SELECT start, stop, heading FROM chunks WHERE document = ? ORDER BY position", (row,))
    check_types((identifier, title, uri, form, source, changed, text), "ttttTtt")
    for chunk in chunks:
        check_types(chunk, "iit")
    document = Document(id=identifier, text=text, title=title, uri=uri, metadata=json_object(metadata), format=form)
    return document, tuple(Chunk(*chunk) for chunk in chunks), source, changed[:20]


def sources(connection: apsw.Connection) -> dict[str, Source]:
    """Return all sources, by key."""
    stored = connection.execute("SELECT key, digest, size, modified_ns FROM sources ORDER BY key")
    return {row[0]: Source(*row) for row in stored}


def write_sources(connection: apsw.Connection, finished: Iterable[Source]) -> None:
    """Record the state of sources."""
    connection.executemany(
        f"{insertion('sources')} ON CONFLICT (key) DO UPDATE SET digest = excluded.digest, "
        "size = excluded.size, modified_ns = excluded.modified_ns, checksum = excluded.checksum",
        [(source.key, source.digest, source.size, source.modified_ns) for source in finished],
    )


def of_source(connection: apsw.Connection, key: str) -> dict[str, int]:
    """Return the rows of the documents read from a source, by id."""
    return dict(rows(connection, "SELECT id, document FROM documents WHERE source = ?", (key,)))


def get(connection: apsw.Connection, document_id: str, *, vectors: bool = False) -> StoredDocument:
    """Return a document; raises NotFound."""
    found = known(connection, [document_id]).get(document_id)
    if found is None:
        raise NotFound(document_id)
    return _read(connection, found[0], vectors=vectors)


def scan(connections: Connections, where: Filter | None, *, vectors: bool) -> Iterator[StoredDocument]:
    """Yield the documents that match the filter in the order they were first added, each page from one snapshot.

    Documents whose row comes after the last one there at the start are not read: a caller may add some meanwhile.
    """
    condition, bindings = _condition(where)
    with connections.reading() as connection:
        last, end = 0, next_row(connection)
    while True:
        with connections.reading() as connection:
            paged = f"document > ? AND document < ? AND ({condition})"
            found = document_rows(connection, paged, (last, end, *bindings), _SCANNED_AT_ONCE)
            page = [_read(connection, row, vectors=vectors) for row in found]
        yield from page
        if len(found) < _SCANNED_AT_ONCE:
            return
        last = found[-1]


def _read(connection: apsw.Connection, row: int, *, vectors: bool) -> StoredDocument:
    stored = read(connection, row)
    active = vector_tables.by_state(connection, "active") if vectors else None
    if active is None:
        return StoredDocument(*stored)
    ids = chunk_ids(connection, row)
    chunks, found = vector_tables.fetch(connection, active[0], active[1].dim, ids)
    complete = len(chunks) == len(ids)
    return StoredDocument(*stored, vectors=found[np.searchsorted(chunks, ids)] if complete else None)
