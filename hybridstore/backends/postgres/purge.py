"""Purging on a server: what is deleted, and what it takes to be sure that no byte is left, which a client cannot."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import chain

from hybridstore.backends.postgres import (
    document_rows,
    document_writes,
    learning_rows,
    posting_blocks,
    removal_rows,
    vector_tables,
)
from hybridstore.backends.postgres.change_log import Log
from hybridstore.backends.postgres.connection import Connection, rows, value
from hybridstore.backends.postgres.packed import text
from hybridstore.backends.postgres.transactions import Connections
from hybridstore.backends.quoting import quoting
from hybridstore.backends.values import PurgeReport
from hybridstore.backends.versions import Known, Removal, purged, removal_key
from hybridstore.errors import InputError
from hybridstore.text.analysis import Analyser

ERASURE = (
    "a server keeps copies where no client can look: in its write-ahead log, on replicas and in backups. What was "
    "purged is deleted and its space is given free; wait until the log is recycled and replicas have followed, and "
    "delete backups made before"
)
_TABLES = ("documents", "chunks", "postings", "asked", "feedback", "triples", "negatives", "expectations", "sources")
_HOLDING = " OR ".join(f"position(%s IN {name}) > 0" for name in ("id", "title", "uri", "metadata", "text", "source"))


def purge(
    connections: Connections, analyser: Analyser, ids: Sequence[str], removals: Mapping[bytes, Removal]
) -> PurgeReport:
    """Remove documents with all that quotes them, and have the server reclaim their space; see the protocol."""
    began = time.perf_counter()
    named = list(dict.fromkeys(ids))
    if "" in named:
        raise InputError("an id must not be empty; name the documents to purge")
    if connections.in_transaction():
        raise InputError("a snapshot still reads what is to be purged; leave it first")
    connections.check_may_write()
    known: dict[str, Known] = {}
    chunks = queries = 0
    if named or removals:
        with connections.atomic() as connection, Log(connection) as log:
            known = document_rows.known(connection, named)
            there = removal_rows.read(connection, [removal_key(id_) for id_ in named])
            chunks, queries = _remove(connection, log, analyser, named, [each.row for each in known.values()])
            removal_rows.write(connection, {**purged(named, known, there), **removals})
    _vacuum(connections)
    return PurgeReport(
        documents=len(known),
        chunks=chunks,
        questions=queries,
        missing=tuple(id_ for id_ in named if id_ not in known),
        clean=None,
        wal_clean=False,
        remedy=ERASURE,
        seconds=time.perf_counter() - began,
    )


def _remove(
    connection: Connection, log: Log, analyser: Analyser, named: Sequence[str], documents: Sequence[int]
) -> tuple[int, int]:
    """Remove documents and the queries that quote them; return how many chunks and queries these were."""
    statement = """SELECT id, title, uri, metadata, text, coalesce(source, '') FROM documents
                   WHERE document = ANY(%s::bigint[])"""
    gone = [text(part) for row in rows(connection, statement, list(documents)) for part in row]
    stored = document_rows.chunk_rows(connection, documents)
    words = {word for row in stored for word in posting_blocks.frequencies(row)[1]}
    document_writes.remove(connection, log, documents)
    learning_rows.drop_expectations_of(connection, named)
    left = posting_blocks.document_frequencies(connection, words)
    lost = [word for word, frequency in left.items() if not frequency]

    def is_left(piece: bytes) -> bool:
        return bool(value(connection, f"SELECT EXISTS (SELECT 1 FROM documents WHERE {_HOLDING})", *[piece] * 6))

    queries = quoting(learning_rows.all_queries(connection), [*named, *gone], lost, is_left, analyser)
    learning_rows.forget_queries(connection, queries)
    return len(stored), len(queries)


def _vacuum(connections: Connections) -> None:
    with connections.reading() as connection:
        tables = [*_TABLES, *chain.from_iterable(map(vector_tables.tables, vector_tables.numbers(connection)))]
    with connections.bare() as connection:
        connection.execute(f"VACUUM {', '.join(tables)}")
