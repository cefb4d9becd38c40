"""The integrity check: what is stored is what was written, and its parts fit; what can be derived is repaired.

Every part reads the file a few rows at a time. Damage ends in a problem, never in an error.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import apsw

from hybridstore.backends.sqlite import chunk_references
from hybridstore.backends.sqlite.change_log import Log
from hybridstore.backends.sqlite.checksums import COLUMNS, set_fact, wrong_rows
from hybridstore.backends.sqlite.connection import Connections, rows, value
from hybridstore.backends.sqlite.keyword_check import check_keywords
from hybridstore.backends.sqlite.problems import AT_ONCE, DAMAGE, EXAMPLES, column, found, guarded
from hybridstore.backends.sqlite.purge import PURGING
from hybridstore.backends.sqlite.schema_inspection import differences
from hybridstore.backends.sqlite.stored_values import json_object
from hybridstore.backends.sqlite.vector_check import check_codes, check_vectors
from hybridstore.backends.sqlite.vector_tables import CODEC
from hybridstore.backends.values import Problem
from hybridstore.codecs.kept_vectors import CODECS, FLOAT32
from hybridstore.errors import FileDamaged
from hybridstore.text.analysis import Analyser

Progress = Callable[[int, int], None]

# What to do about rows that are not what was written, by table. Those that `repair` deletes are read or made again, or
# are no more than a record; the others are somebody's only copy.
_DELETED = dict.fromkeys(("sources", "changes", "triples", "negatives", "feedback", "asked", "expectations"), "")
_REMEDIES = {
    "documents": " (compare them with their sources or a backup, then add them again)",
    "chunks": " (remove their documents and add them again)",
    "models": " (run `hybridstore model rollback`, then tune again)",
    "meta": " (restore a backup, or export the documents into a new store)",
    "embeddings": " (restore a backup, or export the documents into a new store)",
}
# A key that a person knows, where the first column is only a number.
_NAMED = {"documents": 1}


def check(
    connections: Connections, analyser: Analyser, *, repair: bool, progress: Progress | None = None
) -> list[Problem]:
    """Return everything that is wrong. With `repair`, repair what can be repaired, in one transaction."""
    try:
        with connections.translated():
            return _checked(connections, analyser, progress, repair=repair)
    except FileDamaged as error:
        return [Problem("a file that cannot be read; restore a backup", 1, (error.reason,))]


def _checked(connections: Connections, analyser: Analyser, progress: Progress | None, *, repair: bool) -> list[Problem]:
    if not repair:
        with connections.reading() as connection:
            return _all(connection, analyser, progress, repair=False)
    with connections.atomic() as connection, Log(connection) as log:
        problems = _all(connection, analyser, progress, repair=True)
        if problems:
            log.restart()
    return problems


def _all(connection: apsw.Connection, analyser: Analyser, progress: Progress | None, *, repair: bool) -> list[Problem]:
    advance = _advancing(connection, progress)
    problems = guarded("pages", lambda: _pages(connection))
    problems += guarded("a schema", lambda: _schema(connection, repair=repair))
    for table in COLUMNS:
        problems += guarded(f"rows of {table}", lambda table=table: _rows(connection, table, repair=repair))  # type: ignore[misc]
    problems += guarded("facts about the store", lambda: _facts(connection, repair=repair))
    problems += guarded("documents and chunks", lambda: _orphans(connection, repair=repair))
    problems += guarded("spans of chunks", lambda: _spans(connection))
    problems += guarded("metadata", lambda: _metadata(connection))
    problems += guarded("keywords", lambda: check_keywords(connection, analyser, advance, repair=repair))
    for number, dim in _embeddings(connection):
        problems += guarded(
            "vectors",
            lambda n=number, d=dim: check_vectors(connection, n, d, advance, repair=repair),  # type: ignore[misc]
        )
        problems += guarded("codes", lambda n=number, d=dim: check_codes(connection, n, d, repair=repair))  # type: ignore[misc]
    problems += guarded("the change log", lambda: _change_log(connection, repair=repair))
    problems += guarded("what was learned", lambda: chunk_references.check_references(connection, repair=repair))
    return problems


def _embeddings(connection: apsw.Connection) -> list[tuple[int, int]]:
    try:
        return [(int(number), int(dim)) for number, dim in rows(connection, "SELECT embedding, dim FROM embeddings")]
    except DAMAGE:  # reported with the rows of the table
        return []


def _advancing(connection: apsw.Connection, progress: Progress | None) -> Callable[[int], None]:
    """Return what counts chunks: one step for the keywords and one for each embedding's vectors."""
    done = total = 0
    if progress is not None:
        try:
            total = int(value(connection, "SELECT (SELECT count(*) FROM chunks) * (1 + count(*)) FROM embeddings"))
        except DAMAGE:
            total = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(min(done, total), total)

    return advance


def _pages(connection: apsw.Connection) -> list[Problem]:
    # FTS5's part of the pragma does not notice by itself that another connection has written since it last looked,
    # and then calls the index corrupt; any query makes it look.
    with suppress(*DAMAGE):  # reported with the keywords
        connection.execute("SELECT rowid FROM keywords LIMIT 1").fetchall()
    lines = [line for (line,) in connection.execute("PRAGMA integrity_check")]
    if lines == ["ok"]:
        return []
    return [Problem("pages or indexes damaged (SQLite's integrity_check)", len(lines), tuple(lines[:EXAMPLES]))]


def _schema(connection: apsw.Connection, *, repair: bool) -> list[Problem]:
    foreign, tables, indexes = differences(connection)
    repair = repair and not tables
    if repair:
        for sql in indexes:
            connection.execute(sql)
    return [
        *found("parts that are not a store's (take them away with the tool that added them)", foreign, repaired=False),
        *found("tables that are missing; restore a backup", tables, repaired=False),
        *found("indexes that are missing", indexes, repaired=repair),
    ]


def _rows(connection: apsw.Connection, table: str, *, repair: bool) -> list[Problem]:
    """Compare every row with its checksum."""
    wrong = list(wrong_rows(connection, table, COLUMNS[table]))
    named = [row[_NAMED.get(table, 0)] for row in wrong]
    delete = repair and table in _DELETED
    if delete:
        keys = COLUMNS[table][:2] if table in ("changes", "negatives") else COLUMNS[table][:1]
        where = " AND ".join(f"{key} IS ?" for key in keys)
        connection.executemany(f"DELETE FROM {table} WHERE {where}", [row[: len(keys)] for row in wrong])
    return found(f"rows of {table} that are not what was written{_REMEDIES.get(table, '')}", named, repaired=delete)


def _facts(connection: apsw.Connection, *, repair: bool) -> list[Problem]:
    facts = dict(rows(connection, "SELECT key, value FROM meta"))
    missing = [key for key in ("language", "analysis", "revision", "log_start", "created") if key not in facts]
    codecs = [facts[CODEC]] if facts.get(CODEC, FLOAT32) not in CODECS else []
    if codecs and repair:
        set_fact(connection, CODEC, FLOAT32)  # of new vectors; those that are kept say by their length what they are
    counted = []
    for table, key in (("chunks", "chunk"), ("models", "model"), ("triples", "triple"), ("embeddings", "embedding")):
        last = value(connection, f"SELECT max({key}) FROM {table}")
        counter = value(connection, "SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
        if last is not None and (type(counter) is not int or counter < last):
            counted.append(f"{table}: {counter!r} is before {last}")
    purging = [Problem("a purge that was interrupted, so bytes of it may be left; run `hybridstore compact`", 1, ())]
    return [
        *(purging if PURGING in facts else ()),
        *found("facts about the store that are missing; restore a backup", missing, repaired=False),
        *found("names of a codec that is not known (new vectors are kept as float32)", codecs, repaired=repair),
        *found("counters that would give a number twice; restore a backup", counted, repaired=False),
    ]


def _orphans(connection: apsw.Connection, *, repair: bool) -> list[Problem]:
    childless = column(connection, "SELECT id FROM documents WHERE document NOT IN (SELECT document FROM chunks)")
    parentless = column(connection, "SELECT chunk FROM chunks WHERE document NOT IN (SELECT document FROM documents)")
    sql = """SELECT id FROM chunks JOIN documents USING (document) GROUP BY document
             HAVING count(*) <> max(position) + 1 OR min(position) <> 0 OR count(DISTINCT position) <> count(*)"""
    gaps = column(connection, sql)
    if repair and parentless:
        connection.executemany("DELETE FROM chunks WHERE chunk = ?", [(chunk,) for chunk in parentless])
    return [
        *found("documents without chunks (remove and add them again)", childless, repaired=False),
        *found("documents that lack some of their chunks (remove and add them again)", gaps, repaired=False),
        *found("chunks without a document", parentless, repaired=repair),
    ]


def _spans(connection: apsw.Connection) -> list[Problem]:
    """Compare the spans of chunks with their document's text, one document at a time."""
    outside, shifted, last = [], [], 0
    while documents := column(
        connection, f"SELECT document FROM documents WHERE document > {last} ORDER BY document LIMIT {AT_ONCE}"
    ):
        last = documents[-1]
        for document in documents:
            text = value(connection, "SELECT text FROM documents WHERE document = ?", (document,))
            data, ascii_ = text.encode(), text.isascii()
            sql = "SELECT chunk, start, stop, first_byte, last_byte FROM chunks WHERE document = ? ORDER BY position"
            for chunk, start, stop, first, end in rows(connection, sql, (document,)):
                if not (0 <= first <= end <= len(data) and 0 <= start <= stop <= len(text)):
                    outside.append(chunk)
                elif ascii_:
                    if (start, stop) != (first, end):
                        shifted.append(chunk)
                elif len(text[:start].encode()) != first or len(text[start:stop].encode()) != end - first:
                    shifted.append(chunk)
    return [
        *found("chunks that reach past their document's text (remove and add it again)", outside, repaired=False),
        *found("chunks whose places in characters and in bytes differ (add it again)", shifted, repaired=False),
    ]


def _metadata(connection: apsw.Connection) -> list[Problem]:
    wrong = []
    for id_, metadata in connection.execute("SELECT id, metadata FROM documents"):
        try:
            json_object(metadata)
        except apsw.CorruptError:
            wrong.append(id_)
    return found("documents whose metadata is not a JSON object (add them again)", wrong, repaired=False)


def _change_log(connection: apsw.Connection, *, repair: bool) -> list[Problem]:
    """Check that the log is one that readers can follow to what is stored; with `repair`, it is begun anew."""
    facts = dict(rows(connection, "SELECT key, value FROM meta WHERE key IN ('revision', 'log_start')"))
    revision, start = int(facts["revision"]), int(facts["log_start"])
    last = value(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'chunks'") or 0
    sql = """SELECT revision, kind, first, last FROM changes
             WHERE NOT (revision > ? AND revision <= ? AND 0 < first AND first <= last AND last <= ?)
             OR kind = 'removed' AND EXISTS (SELECT 1 FROM chunks WHERE chunk BETWEEN first AND last)"""
    wrong = rows(connection, sql, (start, revision, last))
    if start > revision:
        wrong.append(("log_start", start, "revision", revision))
    return found("lines of the change log that do not fit the store", wrong, repaired=repair)
