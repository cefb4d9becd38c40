"""The check of the keyword index: each chunk's tokens, with their places, are those of its text now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from zlib import crc32

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import COLUMNS, index_columns
from hybridstore.backends.sqlite import document_rows, keyword_index
from hybridstore.backends.sqlite.change_log import Log
from hybridstore.backends.sqlite.checksums import set_fact
from hybridstore.backends.sqlite.connection import Connections, rows, value
from hybridstore.backends.sqlite.problems import AT_ONCE, EXAMPLES, batches, column, found
from hybridstore.backends.sqlite.stored_values import varints, whole_number
from hybridstore.backends.values import Problem
from hybridstore.errors import FileRefused
from hybridstore.text.analysis import ANALYSIS_VERSION, Analyser
from hybridstore.text.analysis_versions import ANALYSERS, analyser_of

_ANALYSIS = "SELECT value FROM meta WHERE key = 'analysis'"
_INSTANCES_AT_ONCE = 100_000
_DAMAGED = "the keyword index is damaged inside (FTS5's own check)"


def update_analysis(connections: Connections, analyser: Analyser) -> None:
    """Refuse a file of a newer analysis, and rebuild the keywords of one whose analysis is not known any more.

    An older analysis that is known goes on being used; see `analysis_versions`.
    """
    with connections.reading() as connection:
        version = analysis_of(connection)
    if version > ANALYSIS_VERSION:
        raise FileRefused(
            connections.path,
            "has keywords of a newer hybridstore, which this version would not find; "
            "run `pip install --upgrade hybridstore`",
        )
    if version not in ANALYSERS and connections.access.read_only:
        raise FileRefused(
            connections.path,
            "has keywords of an older analysis, which must be made anew: open it once without read_only",
        )
    if version not in ANALYSERS:
        with connections.atomic() as connection, Log(connection) as log:
            if analysis_of(connection) not in ANALYSERS:  # else another process was first
                rebuild(connection, log, analyser)


def analysis_of(connection: apsw.Connection) -> int:
    """Return the version of the analysis that made the keywords."""
    return whole_number(value(connection, _ANALYSIS))


def rebuild(connection: apsw.Connection, log: Log, analyser: Analyser) -> int:
    """Make the keywords of all chunks anew; return how many chunks there are. Followers of the log begin anew."""
    _rebuild(connection, analyser)
    log.restart()
    return int(value(connection, "SELECT count(*) FROM chunks"))


def check_keywords(
    connection: apsw.Connection, analyser: Analyser, advance: Callable[[int], None], *, repair: bool
) -> list[Problem]:
    """Check the keyword index; with `repair`, make anew what is wrong."""
    version = value(connection, _ANALYSIS)
    if version in ANALYSERS:
        analyser = analyser_of(analyser.language, version)
    else:
        if repair:
            _rebuild(connection, analyser)
        return [Problem("the keyword index was made by another version of the analysis", 1, (), repair)]
    # The pragma, not FTS5's own command: that is an INSERT, which other writers would turn away.
    lines = [line for (line,) in connection.execute("PRAGMA integrity_check(keywords)")]
    if lines == ["ok"]:
        lines = _wrong_records(connection) + _unreached(connection)
    if lines:
        if repair:
            _rebuild(connection, analyser)
        return [Problem(_DAMAGED, 1, tuple(lines[:EXAMPLES]), repair)]
    stale = column(connection, "SELECT id FROM keywords_docsize WHERE id NOT IN (SELECT chunk FROM chunks)")
    missing = column(connection, "SELECT chunk FROM chunks WHERE chunk NOT IN (SELECT id FROM keywords_docsize)")
    wrong = _wrong_keywords(connection, analyser, advance)
    if repair:
        keyword_index.remove(connection, [*stale, *wrong])
        _index(connection, analyser, [*missing, *wrong])
    return [
        *found("keyword entries without a chunk", stale, repaired=repair),
        *found("chunks without keyword entries", missing, repaired=repair),
        *found("chunks whose keyword entries do not fit their text", wrong, repaired=repair),
    ]


def _wrong_records(connection: apsw.Connection) -> list[str]:
    """Return what is wrong with FTS5's configuration and its averages, which its own check leaves out."""
    lines = []
    if rows(connection, "SELECT k, v FROM keywords_config") != [("version", 4)]:
        lines.append("its configuration is not the one it was made with")
    totals = [0] * (1 + len(COLUMNS))
    for (sizes,) in connection.execute("SELECT sz FROM keywords_docsize"):
        for place, size in enumerate((1, *varints(sizes))):
            totals[place] += size
    record: bytes = value(connection, "SELECT block FROM keywords_data WHERE id = 1") or b""
    if totals[0] and list(varints(record)) != totals:
        lines.append("its averages are not those of its chunks")
    return lines


def _unreached(connection: apsw.Connection) -> list[str]:
    """Return which words are in the index, but not where its tree leads to, which FTS5's own check leaves out."""
    connection.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.words USING fts5vocab (main, keywords, row)")
    sql = """SELECT term FROM temp.words AS listed WHERE NOT EXISTS
             (SELECT 1 FROM temp.words AS sought WHERE sought.term = listed.term AND sought.cnt = listed.cnt)"""
    return [f"the word {term[1:] if term[:1] == '0' else term!r} is not reached" for (term,) in connection.execute(sql)]


def _wrong_keywords(connection: apsw.Connection, analyser: Analyser, advance: Callable[[int], None]) -> list[int]:
    """Return the chunks whose tokens differ from what the analyser returns now."""
    ids = np.array(column(connection, "SELECT id FROM keywords_docsize ORDER BY id"), np.int64)
    sums = _indexed_sums(connection, ids)
    wrong: list[int] = []
    for first in range(0, len(ids), AT_ONCE):
        some = ids[first : first + AT_ONCE]
        sql = "SELECT id, sz FROM keywords_docsize WHERE id BETWEEN ? AND ?"
        sizes = {chunk: list(varints(size)) for chunk, size in rows(connection, sql, (int(some[0]), int(some[-1])))}
        for chunk, *columns in _rows(connection, analyser, some.tolist()):
            tokens = [text.split() for text in columns]
            total = sum(_mixed(n, place, token) for n, words in enumerate(tokens) for place, token in enumerate(words))
            if sizes.get(chunk) != list(map(len, tokens)) or int(sums[np.searchsorted(ids, chunk)]) != total & _MASK:
                wrong.append(chunk)
        advance(len(some))
    return wrong


_MASK = (1 << 64) - 1


def _mixed(column: int, place: int, token: str) -> int:
    """Return a number for a token in its place, which tokens are summed up by."""
    return (crc32(token.encode()) + 1) * (8 * place + 2 * column + 1) & _MASK


def _indexed_sums(connection: apsw.Connection, ids: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a checksum of each chunk's tokens with their columns and places, in one pass over the index."""
    connection.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.tokens USING fts5vocab (main, keywords, instance)")
    numbers = {name: number for number, name in enumerate(COLUMNS)}
    sums = np.zeros(len(ids) + 1, np.uint64)  # the last is for chunks that are not listed
    instances: Iterable[Any] = connection.execute("SELECT term, doc, col, offset FROM temp.tokens")
    for some in batches(instances, _INSTANCES_AT_ONCE):
        chunks = np.array([chunk for _, chunk, _, _ in some], np.int64)
        mixed = [_mixed(numbers[col], place, term) for term, _, col, place in some]
        places = np.searchsorted(ids, chunks)
        places[(places == len(ids)) | (ids[np.minimum(places, len(ids) - 1)] != chunks)] = len(ids)
        np.add.at(sums, places, np.array(mixed, np.uint64))
    return sums


def _rows(
    connection: apsw.Connection, analyser: Analyser, chunks: list[int]
) -> Iterator[tuple[int, str, str, str, str]]:
    for passage in document_rows.passages(connection, chunks):
        yield (passage.chunk, *index_columns(analyser, passage.title, passage.heading, passage.text, passage.uri))


def _index(connection: apsw.Connection, analyser: Analyser, chunks: list[int]) -> None:
    for some in batches(chunks):
        keyword_index.write(connection, _rows(connection, analyser, some))


def _rebuild(connection: apsw.Connection, analyser: Analyser) -> None:
    connection.execute("INSERT INTO keywords (keywords) VALUES ('delete-all')")
    _index(connection, analyser, column(connection, "SELECT chunk FROM chunks"))
    set_fact(connection, "analysis", analyser.version)
