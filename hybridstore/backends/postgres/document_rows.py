"""Documents and their chunks as rows: written and read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.batches import byte_offsets, compact_json
from hybridstore.backends.postgres import packed, vector_tables
from hybridstore.backends.postgres.connection import Connection, many, rows
from hybridstore.backends.postgres.filtering import documents_passing
from hybridstore.backends.postgres.packed import json_object, text
from hybridstore.backends.postgres.transactions import Connections
from hybridstore.backends.values import Entry, Passage, StoredDocument
from hybridstore.backends.versions import Known
from hybridstore.errors import NotFound
from hybridstore.filters import Filter
from hybridstore.records import Chunk, Document, Source

_SCANNED_AT_ONCE = 200  # documents a scan holds in memory
ChunkRow = tuple[int, int, bytes]  # a chunk's id, its length in tokens, its tokens


def hashes(texts: Iterable[str]) -> list[bytes]:
    """Return what texts are looked up by."""
    return [hashlib.sha256(each.encode()).digest() for each in texts]


def known(connection: Connection, named: Sequence[str]) -> dict[str, Known]:
    """Return those of the ids that are stored."""
    statement = "SELECT id, document, digest, source, changed FROM documents WHERE sha256(id) = ANY(%s::bytea[])"
    found = rows(connection, statement, hashes(named)) if named else []
    return {
        text(id_): Known(row, digest, source and text(source), changed) for id_, row, digest, source, changed in found
    }


def versions(connection: Connection, named: Sequence[str] | None) -> dict[str, tuple[bytes, str]]:
    """Return the digests and versions of documents, of all where `named` is None."""
    if named is not None:
        return {id_: (each.digest, each.version) for id_, each in known(connection, named).items()}
    found = rows(connection, "SELECT id, digest, changed FROM documents ORDER BY document")
    return {text(id_): (digest, version) for id_, digest, version in found}


def write(connection: Connection, placed: Iterable[tuple[int, Entry, str]]) -> None:
    """Write documents, which come as (row, entry, version), into their rows, replacing what is there."""
    many(
        connection,
        """INSERT INTO documents VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (document) DO UPDATE SET title = excluded.title, uri = excluded.uri, format = excluded.format,
             source = excluded.source, changed = excluded.changed, digest = excluded.digest,
             metadata = excluded.metadata, text = excluded.text""",
        [
            (
                row,
                str(d.id).encode(),
                d.title.encode(),
                d.uri.encode(),
                d.format.encode(),
                None if entry.source is None else entry.source.encode(),
                changed,
                entry.digest,
                compact_json(d.metadata).encode(),
                d.text.encode(),
            )
            for row, entry, changed in placed
            for d in [entry.document]
        ],
    )


def write_chunks(
    connection: Connection, placed: Iterable[tuple[int, int, Entry]], indexed: Mapping[int, tuple[int, bytes]]
) -> None:
    """Insert the chunks of entries, which come as (document's row, first chunk id, entry), with their tokens."""
    lines = [
        (first + n, row, n, chunk.start, chunk.end, *offsets, length, chunk.heading.encode(), digest, tokens)
        for row, first, entry in placed
        for n, (chunk, offsets, digest) in enumerate(
            zip(entry.chunks, byte_offsets(entry.document.text, entry.chunks), entry.chunk_digests, strict=True)
        )
        for length, tokens in [indexed[first + n]]
    ]
    types = ["int8", "int8", *["int4"] * 6, *["bytea"] * 3]
    with connection.cursor() as cursor, cursor.copy("COPY chunks FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(types)
        for line in lines:
            copy.write_row(line)


def chunk_rows(connection: Connection, documents: Sequence[int]) -> list[ChunkRow]:
    """Return the chunks of documents, each document's in order."""
    statement = """SELECT chunk, length, tokens FROM chunks
                   JOIN unnest(%s::bigint[]) WITH ORDINALITY AS named (document, n) USING (document)
                   ORDER BY n, position"""
    return rows(connection, statement, list(documents)) if documents else []


def chunk_digests(connection: Connection, document: int) -> list[tuple[int, bytes]]:
    """Return the ids of a document's chunks with their digests, in order."""
    return rows(connection, "SELECT chunk, digest FROM chunks WHERE document = %s ORDER BY position", document)


def documents_of(connection: Connection, chunks: Sequence[int]) -> list[str]:
    """Return the id of each chunk's document, in the order of `chunks`, without chunks that are gone."""
    statement = "SELECT chunk, id FROM chunks JOIN documents USING (document) WHERE chunk = ANY(%s::bigint[])"
    owners = dict(rows(connection, statement, list(chunks)))
    return [text(owners[chunk]) for chunk in chunks if chunk in owners]


def chunks_of(connection: Connection, named: Sequence[str]) -> list[tuple[str, int]]:
    """Return (id, chunk) of all chunks of these documents, each document's in order."""
    statement = """SELECT id, chunk FROM documents JOIN chunks USING (document)
                   WHERE sha256(id) = ANY(%s::bytea[]) ORDER BY document, position"""
    return [(text(id_), chunk) for id_, chunk in rows(connection, statement, hashes(named))]


def passages(connection: Connection, chunks: Sequence[int]) -> list[Passage]:
    """Return chunks with their text and their document's fields, in their order, without those that are gone."""
    # Only the span is read: the text is not compressed.
    statement = """SELECT chunk, id, substring(text FROM first_byte + 1 FOR last_byte - first_byte), title, uri,
                          heading, start, stop, metadata
                   FROM chunks JOIN documents USING (document) WHERE chunk = ANY(%s::bigint[])"""
    found = {
        chunk: Passage(
            chunk,
            text(id_),
            span.decode(errors="replace"),
            text(title),
            text(uri),
            text(heading),
            start,
            stop,
            json_object(metadata),
        )
        for chunk, id_, span, title, uri, heading, start, stop, metadata in rows(connection, statement, list(chunks))
    }
    return [found[chunk] for chunk in chunks if chunk in found]


def rows_passing(connection: Connection, where: Filter | None) -> list[int]:
    """Return the rows of documents that match the filter, in the order they were first added."""
    if where is None:
        return [int(row) for row in packed.ids(connection, "document", "FROM documents")]
    return [found.document for found in documents_passing(connection, where)]


def ids(connection: Connection, where: Filter | None) -> list[str]:
    """Return the ids of documents that match the filter, in the order they were first added."""
    return [found.own["id"] for found in documents_passing(connection, where)]


def metadata(connection: Connection, where: Filter | None) -> list[Mapping[str, object]]:
    """Return the metadata of documents that match the filter, in the order they were first added."""
    return [found.metadata for found in documents_passing(connection, where)]


def get(connection: Connection, document_id: str, *, vectors: bool = False) -> StoredDocument:
    """Return a document; raises NotFound."""
    found = known(connection, [document_id]).get(document_id)
    if found is None:
        raise NotFound(document_id)
    return _read(connection, [found.row], vectors=vectors)[0]


def scan(connections: Connections, where: Filter | None, *, vectors: bool) -> Iterator[StoredDocument]:
    """Yield the documents that match the filter in the order they were first added, each page from one snapshot.

    Documents that are added after the start are not read: a caller may add some meanwhile.
    """
    with connections.reading() as connection:
        wanted = rows_passing(connection, where)
    for first in range(0, len(wanted), _SCANNED_AT_ONCE):
        with connections.reading() as connection:
            page = _read(connection, wanted[first : first + _SCANNED_AT_ONCE], vectors=vectors)
        yield from page


def _read(connection: Connection, documents: Sequence[int], *, vectors: bool) -> list[StoredDocument]:
    statement = """SELECT document, id, title, uri, format, source, changed, metadata, text FROM documents
                   WHERE document = ANY(%s::bigint[]) ORDER BY document"""
    found = rows(connection, statement, list(documents))
    statement = """SELECT document, chunk, start, stop, heading FROM chunks WHERE document = ANY(%s::bigint[])
                   ORDER BY document, position"""
    spans: dict[int, list[tuple[int, Chunk]]] = {row[0]: [] for row in found}
    for document, chunk, start, stop, heading in rows(connection, statement, list(documents)):
        spans[document].append((chunk, Chunk(start, stop, text(heading))))
    active = vector_tables.by_state(connection, "active") if vectors else None
    known_vectors: dict[int, NDArray[np.float32]] = {}
    if active is not None:
        chunks = [chunk for own in spans.values() for chunk, _ in own]
        there, exact = vector_tables.fetch(connection, active[0], active[1].dim, chunks)
        known_vectors = dict(zip(there.tolist(), exact, strict=True))
    stored = []
    for row, id_, title, uri, form, source, changed, metadata, body in found:
        own = spans[row]
        complete = active is not None and all(chunk in known_vectors for chunk, _ in own)
        document = Document(
            id=text(id_),
            text=text(body),
            title=text(title),
            uri=text(uri),
            metadata=json_object(metadata),
            format=text(form),
        )
        stored.append(
            StoredDocument(
                document,
                tuple(chunk for _, chunk in own),
                None if source is None else text(source),
                changed[:20],  # what follows is of the version
                np.array([known_vectors[chunk] for chunk, _ in own], np.float32) if complete else None,
            )
        )
    return stored


def sources(connection: Connection) -> dict[str, Source]:
    """Return all sources, by key."""
    stored = rows(connection, "SELECT key, digest, size, modified_ns FROM sources ORDER BY key")
    return {text(key): Source(text(key), *facts) for key, *facts in stored}


def write_sources(connection: Connection, finished: Iterable[Source]) -> None:
    """Record the state of sources."""
    many(
        connection,
        """INSERT INTO sources VALUES (%s, %s, %s, %s) ON CONFLICT (sha256(key)) DO UPDATE
           SET digest = excluded.digest, size = excluded.size, modified_ns = excluded.modified_ns""",
        [(source.key.encode(), source.digest, source.size, source.modified_ns) for source in finished],
    )


def forget_sources(connection: Connection, keys: Iterable[str]) -> None:
    """Remove sources."""
    connection.execute("DELETE FROM sources WHERE sha256(key) = ANY(%s::bytea[])", (hashes(keys),))


def of_source(connection: Connection, key: str) -> dict[str, int]:
    """Return the rows of the documents read from a source, by id."""
    statement = "SELECT id, document FROM documents WHERE sha256(source) = %s AND source IS NOT NULL"
    return {text(id_): row for id_, row in rows(connection, statement, *hashes([key]))}
