"""What a file holds as a whole: the state that every search reads, and the statistics."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import apsw

from hybridstore.backends.protocols import SearchState
from hybridstore.backends.sqlite import keyword_index, learning_rows, model_rows, vector_tables
from hybridstore.backends.sqlite.checksums import set_fact
from hybridstore.backends.sqlite.connection import ACTIVE, INDEXED, REVISION, rows, set_facts, value
from hybridstore.backends.sqlite.sqlite_learning import SQLiteLearning
from hybridstore.backends.sqlite.stored_values import json_object, whole_number
from hybridstore.backends.values import Embedding, Stats
from hybridstore.records import Folder

# One statement takes half the time of five.
_STATE = """
    SELECT (SELECT value FROM meta WHERE key = 'revision'), (SELECT value FROM meta WHERE key = 'background'),
           (SELECT block FROM keywords_data WHERE id = 1), embedding, fingerprint, embeddings.reference, dim,
           model, previous,
           (SELECT json_group_array(json_array(fingerprint, reference, dim,
                                               (SELECT value FROM meta WHERE key = 'background ' || embedding)))
            FROM (SELECT * FROM embeddings WHERE state = 'added' ORDER BY embedding))
    FROM (SELECT 1) LEFT JOIN embeddings ON embeddings.state = 'active' LEFT JOIN models ON models.state = 'active'
"""


def state(connection: apsw.Connection, learning: SQLiteLearning) -> SearchState:
    """Read what every search needs first; see the protocol."""
    (found,) = rows(connection, _STATE)
    revision, calibration, record, number, fingerprint, reference, dim, model, previous, legs = found
    embedding = None if fingerprint is None else Embedding(fingerprint, reference, dim)
    chunks, revision = keyword_index.count_in(record), whole_number(revision)
    active = None if embedding is None else (number, embedding)
    set_facts(connection, {REVISION: revision, ACTIVE: active, INDEXED: chunks})
    return SearchState(
        chunks=chunks,
        embedding=embedding,
        calibration=vector_tables.applicable_calibration(calibration, embedding),
        model=None if model is None else learning.known(connection, model, previous),
        revision=revision,
        legs=() if legs == "[]" else vector_tables.searched_legs(legs),
    )


_FOLDERS = "folders"  # its key among the facts of the file


def write_folders(connection: apsw.Connection, remembered: Iterable[Folder]) -> None:
    """Record the folders that are remembered, and no others."""
    set_fact(connection, _FOLDERS, json.dumps({folder.path: asdict(folder) for folder in remembered}))


def folders(connection: apsw.Connection) -> dict[str, Folder]:
    """Return the folders that are remembered, by path."""
    stored = value(connection, "SELECT value FROM meta WHERE key = ?", (_FOLDERS,))
    if stored is None:
        return {}
    try:
        found = {path: Folder(**facts) for path, facts in json_object(stored).items()}
        lists = {
            path: replace(each, include=_texts(each.include), exclude=_texts(each.exclude))
            for path, each in found.items()
        }
    except TypeError as error:
        raise apsw.CorruptError("the folders that are remembered are not readable") from error
    return lists


def _texts(found: object) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise apsw.CorruptError("a value that should be a list of texts is not")
    return tuple(found)


def file_bytes(path: str) -> int:
    """Return the size of the file at `path` and of its write-ahead log together."""
    return sum(file.stat().st_size for file in map(Path, (path, f"{path}-wal")) if file.exists())


def stats(connection: apsw.Connection, path: str) -> Stats:
    """Return what the file holds; the size of the file at `path` includes the write-ahead log."""
    active, embeddings = vector_tables.by_state(connection, "active"), vector_tables.embeddings(connection)
    model = model_rows.active(connection)
    facts = dict(rows(connection, "SELECT key, value FROM meta"))
    return Stats(
        documents=value(connection, "SELECT count(*) FROM documents"),
        chunks=value(connection, "SELECT count(*) FROM chunks"),
        vectors=value(connection, f"SELECT count(*) FROM vectors_{active[0]}") if active else 0,
        sources=value(connection, "SELECT count(*) FROM sources"),
        revision=whole_number(facts.get("revision")),
        bytes=file_bytes(path),
        language=str(facts.get("language")),
        embedding=embeddings.active,
        building=embeddings.building,
        analysis=whole_number(facts.get("analysis")),
        created=str(facts.get("created")),
        background=vector_tables.calibration(connection),
        kept=embeddings.kept,
        model=model[0] if model else None,
        triples=learning_rows.count_triples(connection),
        legs=vector_tables.legs(connection),
        codec=vector_tables.codec_name(connection),
    )
