"""The integrity check: compares the tables with each other, both ways, and repairs what can be derived."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import apsw
import numpy as np

from hybridstore.backends.keyword_scoring import index_columns
from hybridstore.backends.sqlite import chunk_references, document_rows, keyword_index, vector_tables
from hybridstore.backends.sqlite.change_log import Log
from hybridstore.backends.sqlite.connection import Connections, rows, value, varints
from hybridstore.backends.sqlite.stored_values import whole_number
from hybridstore.backends.values import Problem
from hybridstore.codecs.int8 import encode
from hybridstore.errors import FileRefused
from hybridstore.text.analysis import ANALYSIS_VERSION, Analyser

_EXAMPLES = 5
_AT_ONCE = 500  # chunks analysed or vectors read between two statements


def check(connections: Connections, analyser: Analyser, *, repair: bool) -> list[Problem]:
    """Return everything that is wrong. With `repair`, repair what can be repaired, in one transaction."""
    if not repair:
        with connections.reading() as connection:
            return _all(connection, analyser, repair=False)
    with connections.atomic() as connection, Log(connection) as log:
        problems = _all(connection, analyser, repair=True)
        if problems:
            log.restart()
    return problems


def _all(connection: apsw.Connection, analyser: Analyser, *, repair: bool) -> list[Problem]:
    problems = list(_pages(connection))
    problems += _orphans(connection, repair=repair)
    problems += _keywords(connection, analyser, repair=repair)
    for number, dim in rows(connection, "SELECT embedding, dim FROM embeddings"):
        problems += _vectors(connection, number, dim, repair=repair)
    problems += chunk_references.check_references(connection, repair=repair)
    return problems


def update_analysis(connections: Connections, analyser: Analyser) -> None:
    """Rebuild the keyword index of a file of an older analysis; refuse one of a newer analysis."""
    sql = "SELECT value FROM meta WHERE key = 'analysis'"
    with connections.reading() as connection:
        version = whole_number(value(connection, sql))
    if version > ANALYSIS_VERSION:
        raise FileRefused(
            connections.path,
            "has keywords of a newer hybridstore, which this version would not find; "
            "run `pip install --upgrade hybridstore`",
        )
    if version < ANALYSIS_VERSION:
        with connections.atomic() as connection, Log(connection) as log:
            if value(connection, sql) != ANALYSIS_VERSION:  # else another process was first
                _rebuild_keywords(connection, analyser)
                log.restart()


def _pages(connection: apsw.Connection) -> Iterator[Problem]:
    # FTS5's part of the pragma does not notice by itself that another connection has written since it last looked,
    # and then calls the index corrupt; any query makes it look.
    connection.execute("SELECT rowid FROM keywords LIMIT 1").fetchall()
    lines = [line for (line,) in connection.execute("PRAGMA integrity_check")]
    if lines != ["ok"]:
        yield Problem("pages or indexes damaged (SQLite's integrity_check)", len(lines), tuple(lines[:_EXAMPLES]))


def _found(what: str, rows: Sequence[object], *, repaired: bool) -> list[Problem]:
    if not rows:
        return []
    return [Problem(what, len(rows), tuple(str(row) for row in rows[:_EXAMPLES]), repaired)]


def _orphans(connection: apsw.Connection, *, repair: bool) -> list[Problem]:
    childless = _column(connection, "SELECT id FROM documents WHERE document NOT IN (SELECT document FROM chunks)")
    parentless = _column(connection, "SELECT chunk FROM chunks WHERE document NOT IN (SELECT document FROM documents)")
    sql = """SELECT chunk FROM chunks JOIN documents USING (document)
             WHERE NOT (0 <= first_byte AND first_byte <= last_byte AND last_byte <= octet_length(text))"""
    outside = _column(connection, sql)
    if repair and parentless:
        connection.executemany("DELETE FROM chunks WHERE chunk = ?", [(chunk,) for chunk in parentless])
    return [
        *_found("documents without chunks (remove and add them again)", childless, repaired=False),
        *_found("chunks without a document", parentless, repaired=repair),
        *_found("chunks that reach past their document's text (remove and add it again)", outside, repaired=False),
    ]


def _keywords(connection: apsw.Connection, analyser: Analyser, *, repair: bool) -> list[Problem]:
    if value(connection, "SELECT value FROM meta WHERE key = 'analysis'") != ANALYSIS_VERSION:
        problem = Problem("the keyword index was made by another version of the analysis", 1, (), repair)
        if repair:
            _rebuild_keywords(connection, analyser)
        return [problem]
    # The pragma, not FTS5's own command: that is an INSERT, which other writers would turn away.
    lines = [line for (line,) in connection.execute("PRAGMA integrity_check(keywords)")]
    if lines != ["ok"]:
        if repair:
            _rebuild_keywords(connection, analyser)
        return [Problem("the keyword index is damaged inside (FTS5's own check)", 1, tuple(lines[:_EXAMPLES]), repair)]
    stale = _column(connection, "SELECT id FROM keywords_docsize WHERE id NOT IN (SELECT chunk FROM chunks)")
    missing = _column(connection, "SELECT chunk FROM chunks WHERE chunk NOT IN (SELECT id FROM keywords_docsize)")
    wrong = _wrong_keywords(connection, analyser)
    if repair:
        keyword_index.remove(connection, [*stale, *wrong])
        _index(connection, analyser, [*missing, *wrong])
    return [
        *_found("keyword entries without a chunk", stale, repaired=repair),
        *_found("chunks without keyword entries", missing, repaired=repair),
        *_found("chunks whose keyword entries do not fit their text", wrong, repaired=repair),
    ]


def _wrong_keywords(connection: apsw.Connection, analyser: Analyser) -> list[int]:
    """Return the chunks whose tokens differ from what the analyser returns now."""
    rows = connection.execute("SELECT id, sz FROM keywords_docsize WHERE id IN (SELECT chunk FROM chunks) ORDER BY id")
    sums = _indexed_sums(connection)
    wrong: list[int] = []
    for some in _batches(rows.fetchall()):
        sizes = {chunk: list(varints(size)) for chunk, size in some}
        for chunk, *columns in _rows(connection, analyser, list(sizes)):
            tokens = [column.split() for column in columns]
            total = sum(hash((n, *placed)) for n, column in enumerate(tokens) for placed in enumerate(column))
            if sizes[chunk] != list(map(len, tokens)) or sums.get(chunk, 0) != total:
                wrong.append(chunk)
    return wrong


def _indexed_sums(connection: apsw.Connection) -> Mapping[int, int]:
    """Return a checksum of each chunk's tokens with their columns and places, in one pass over the index."""
    connection.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.tokens USING fts5vocab (main, keywords, instance)")
    columns = {"title": 0, "heading": 1, "body": 2, "compounds": 3}
    sums: dict[int, int] = defaultdict(int)
    instances: Iterable[Any] = connection.execute("SELECT term, doc, col, offset FROM temp.tokens")
    for term, chunk, column, place in instances:
        sums[chunk] += hash((columns[column], place, term))
    return sums


def _rows(
    connection: apsw.Connection, analyser: Analyser, chunks: list[int]
) -> Iterator[tuple[int, str, str, str, str]]:
    for passage in document_rows.passages(connection, chunks):
        yield (passage.chunk, *index_columns(analyser, passage.title, passage.heading, passage.text))


def _index(connection: apsw.Connection, analyser: Analyser, chunks: list[int]) -> None:
    for some in _batches(chunks):
        keyword_index.write(connection, _rows(connection, analyser, some))


def _rebuild_keywords(connection: apsw.Connection, analyser: Analyser) -> None:
    connection.execute("INSERT INTO keywords (keywords) VALUES ('delete-all')")
    _index(connection, analyser, _column(connection, "SELECT chunk FROM chunks"))
    connection.execute("UPDATE meta SET value = ? WHERE key = 'analysis'", (ANALYSIS_VERSION,))


def _vectors(connection: apsw.Connection, number: int, dim: int, *, repair: bool) -> list[Problem]:
    vectors, codes = f"vectors_{number}", f"codes_{number}"
    stale = _column(connection, f"SELECT chunk FROM {vectors} WHERE chunk NOT IN (SELECT chunk FROM chunks)")
    broken = _broken_vectors(connection, vectors, dim)
    if repair:
        _delete(connection, vectors, "chunk", [*stale, *broken])
    good = f"SELECT chunk FROM {vectors}"
    stale_codes = _column(connection, f"SELECT rowid FROM {codes} WHERE rowid NOT IN ({good})")
    # A zero vector has no code.
    uncoded = f"{good} WHERE chunk NOT IN (SELECT rowid FROM {codes}) AND vector <> zeroblob({4 * dim})"
    missing_codes = _column(connection, uncoded)
    wrong_codes = _wrong_codes(connection, number, dim)
    if repair:
        _delete(connection, codes, "rowid", [*stale_codes, *wrong_codes])
        for some in _batches([*missing_codes, *wrong_codes]):
            chunks, exact = vector_tables.fetch(connection, number, dim, some)
            vector_tables.write_codes(connection, number, chunks.tolist(), exact)
    state = value(connection, "SELECT state FROM embeddings WHERE embedding = ?", (number,))
    absent = _column(connection, f"SELECT chunk FROM chunks WHERE chunk NOT IN (SELECT chunk FROM {vectors})")
    return [
        *_found("vectors without a chunk", stale, repaired=repair),
        *_found("vectors of a wrong length or with values that are no numbers", broken, repaired=repair),
        *_found("codes without a vector", stale_codes, repaired=repair),
        *_found("vectors without a code", missing_codes, repaired=repair),
        *_found("codes that do not fit their vector", wrong_codes, repaired=repair),
        *_found(
            "chunks without a vector (`hybridstore reembed` makes them)",
            absent if state == "active" else [],
            repaired=False,
        ),
    ]


def _broken_vectors(connection: apsw.Connection, table: str, dim: int) -> list[int]:
    broken = _column(connection, f"SELECT chunk FROM {table} WHERE length(vector) <> {4 * dim}")
    rows = connection.execute(f"SELECT chunk, vector FROM {table} WHERE length(vector) = {4 * dim}")
    for some in _batches(rows):
        vectors = np.frombuffer(b"".join(blob for _, blob in some), dtype="<f4").reshape(-1, dim)
        broken += [some[n][0] for n in np.flatnonzero(~np.isfinite(vectors).all(axis=1))]
    return broken


def _wrong_codes(connection: apsw.Connection, number: int, dim: int) -> list[int]:
    sql = f"""SELECT chunk, vector, code FROM vectors_{number} JOIN codes_{number} ON codes_{number}.rowid = chunk
              WHERE length(vector) = {4 * dim}"""
    wrong: list[int] = []
    for some in _batches(connection.execute(sql)):
        exact = np.frombuffer(b"".join(row[1] for row in some), dtype="<f4").reshape(-1, dim)
        codes = np.frombuffer(b"".join(row[2] for row in some), dtype=np.int8).reshape(-1, dim)
        sound = np.isfinite(exact).all(axis=1)  # the others have been reported
        expected = encode(np.where(sound[:, None], exact, np.float32(0)))
        wrong += [some[n][0] for n in np.flatnonzero(sound & (expected != codes).any(axis=1))]
    return wrong


def _column(connection: apsw.Connection, sql: str) -> list[int]:
    return [row[0] for row in connection.execute(sql)]


def _delete(connection: apsw.Connection, table: str, key: str, chunks: Iterable[int]) -> None:
    connection.executemany(f"DELETE FROM {table} WHERE {key} = ?", [(chunk,) for chunk in chunks])


def _batches(rows: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _AT_ONCE)):
        yield batch
