"""A store in memory written to a new SQLite file, with the same numbers everywhere."""

from __future__ import annotations

import json
from contextlib import closing

import apsw

from hybridstore.backends.in_memory.contents import Contents, leg_state
from hybridstore.backends.sqlite import document_rows, keyword_index, removal_rows, vector_tables
from hybridstore.backends.sqlite.backend import SQLiteBackend
from hybridstore.backends.sqlite.checksums import insertion, set_fact
from hybridstore.backends.sqlite.connection import Connections
from hybridstore.backends.sqlite.file_creation import new_file
from hybridstore.backends.sqlite.store_state import write_folders
from hybridstore.backends.values import Entry


def write_file(contents: Contents, language: str, created: str, path: str) -> None:
    """Write everything to a file that is not there yet; none is left where that fails."""
    with new_file(path) as part:
        SQLiteBackend(part, language=language).close()
        with (
            closing(Connections(part, busy_timeout=0)) as connections,
            connections.translated(),
            connections.atomic() as connection,
        ):
            _write_documents(connection, contents)
            _write_learning(connection, contents)
            if contents.folders:
                write_folders(connection, contents.folders.values())
            set_fact(connection, "created", created)
            set_fact(connection, "revision", contents.revision)
            set_fact(connection, "log_start", contents.revision)


def _write_documents(connection: apsw.Connection, contents: Contents) -> None:
    placed = []
    for row, record in enumerate(contents.documents.values(), start=1):
        chunks = [contents.chunks[chunk] for chunk in record.chunks]
        spans, digests = [chunk.span for chunk in chunks], [chunk.digest for chunk in chunks]
        placed.append((row, record.chunks[0], Entry(record.copy(), record.digest, spans, digests, None, record.source)))
    versions = [record.version for record in contents.documents.values()]
    document_rows.write(connection, [(row, entry, versions[row - 1]) for row, _, entry in placed])
    removal_rows.write(connection, contents.removals)
    document_rows.write_chunks(connection, placed)
    for number, chunk in contents.chunks.items():
        title, heading, body, compounds = map(" ".join, chunk.columns)
        keyword_index.write(connection, [(number, title, heading, body, compounds)])
    for state, generation in contents.generations.items():
        added = state == leg_state(generation.embedding.fingerprint)
        number = vector_tables.make(connection, generation.embedding, "added" if added else state)
        ids, vectors = generation.matrix
        vector_tables.write(connection, number, ids.tolist(), vectors)
    document_rows.write_sources(connection, contents.sources.values())
    if contents.calibration:
        vector_tables.write_calibration(connection, contents.calibration)
    for calibration in contents.calibrations.values():
        vector_tables.write_calibration(connection, calibration)
    _set_last(connection, "chunks", contents.last_chunk)


def _write_learning(connection: apsw.Connection, contents: Contents) -> None:
    for number, model in contents.models.items():
        named = (number, model.kind, model.source, model.target, model.reference, model.state, model.made)
        rest = (model.previous, json.dumps(dict(model.report)), model.weights)
        connection.execute(insertion("models"), named + rest)
    for number, each in contents.triples.items():
        connection.execute(
            insertion("triples"),
            (
                *(number, each.kind, each.positive, each.origin, float(each.score)),
                *(int(each.disagreed), int(each.promoted), each.query),
            ),
        )
        connection.executemany(
            insertion("negatives"),
            [(number, n, bad.chunk, bad.leg, float(bad.score), bad.excluded) for n, bad in enumerate(each.negatives)],
        )
    logged = [(each.query, each.times, each.last) for each in contents.query_log.values()]
    connection.executemany(insertion("asked"), logged)
    feedback = [
        (number, each.chunk, int(each.used), each.when, each.query) for number, each in contents.feedback.items()
    ]
    connection.executemany(insertion("feedback"), feedback)
    expected = [
        (number, each.document_id, each.within, each.made, each.query)
        for number, each in enumerate(contents.expectations.values(), start=1)
    ]
    connection.executemany(insertion("expectations"), expected)
    _set_last(connection, "models", contents.last_model)
    _set_last(connection, "triples", contents.last_triple)


def _set_last(connection: apsw.Connection, table: str, number: int) -> None:
    """Let a table go on counting after a number, even where its last row is gone."""
    connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
    connection.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, number))
