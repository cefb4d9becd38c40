"""The check of a store on a server: its parts fit each other and the text; what can be derived is repaired.

That pages are what was written is the server's to check (data checksums, `pg_amcheck`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import index_columns, weigh
from hybridstore.backends.postgres import document_rows, model_rows, posting_blocks, vector_tables
from hybridstore.backends.postgres.change_log import Log
from hybridstore.backends.postgres.connection import Connection, many, rows, value
from hybridstore.backends.postgres.packed import FLOAT, ids
from hybridstore.backends.postgres.schema import set_fact
from hybridstore.backends.postgres.transactions import Connections
from hybridstore.backends.values import Problem
from hybridstore.codecs import int8
from hybridstore.text.analysis import Analyser

_EXAMPLES, _AT_ONCE = 5, 500
_CHUNKS = "(SELECT 1 FROM chunks WHERE chunks.chunk = {})"
# What is wrong, the table, what to show of a row, which rows. Negatives come last: dropping triples may orphan some.
_DANGLING = (
    ("chunks without a document", "chunks", "chunk", "document NOT IN (SELECT document FROM documents)"),
    (
        "feedback on chunks that are not there",
        "feedback",
        "chunk",
        f"NOT EXISTS {_CHUNKS.format('feedback.chunk')}",
    ),
    (
        "triples of chunks that are not there",
        "triples",
        "triple",
        f"NOT EXISTS {_CHUNKS.format('positive')} OR origin IS NOT NULL AND NOT EXISTS {_CHUNKS.format('origin')}",
    ),
    (
        "negatives of no triple, or that are not there",
        "negatives",
        "chunk",
        f"NOT EXISTS {_CHUNKS.format('negatives.chunk')} OR triple NOT IN (SELECT triple FROM triples)",
    ),
)
_SPANS = """FROM chunks JOIN documents USING (document) WHERE NOT (0 <= first_byte AND first_byte <= last_byte
            AND last_byte <= octet_length(text) AND 0 <= start AND start <= stop)"""

Advance = Callable[[int], None]


def check(
    connections: Connections, analyser: Analyser, *, repair: bool, progress: Callable[[int, int], None] | None = None
) -> list[Problem]:
    """Return everything that is wrong. With `repair`, repair what can be repaired, in one transaction."""
    if not repair:
        with connections.reading() as connection:
            return _all(connection, analyser, progress, repair=False)
    with connections.atomic() as connection, Log(connection) as log:
        problems = _all(connection, analyser, progress, repair=True)
        if problems:
            log.restart()
    return problems


def _all(
    connection: Connection, analyser: Analyser, progress: Callable[[int, int], None] | None, *, repair: bool
) -> list[Problem]:
    numbers = vector_tables.numbers(connection)
    done, total = 0, int(value(connection, "SELECT count(*) FROM chunks")) * (1 + len(numbers))

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(min(done, total), total)

    problems = []
    for what, table, shown, wrong in _DANGLING:
        found = [row for (row,) in rows(connection, f"SELECT {shown} FROM {table} WHERE {wrong}")]
        problems += _found(what, found, repaired=repair)
        if repair and found:
            connection.execute(f"DELETE FROM {table} WHERE {wrong}")
    empty = rows(connection, "SELECT document FROM documents WHERE document NOT IN (SELECT document FROM chunks)")
    problems += _found("documents without a chunk (add them again)", [row for (row,) in empty], repaired=False)
    spans = ids(connection, "chunk", _SPANS).tolist()
    problems += _found("chunks beyond their document's text (add it again)", spans, repaired=False)
    problems += _keywords(connection, analyser, advance, repair=repair)
    for number in numbers:
        problems += _vectors(connection, number, advance, repair=repair)
    return [*problems, *_misplaced(connection, repair=repair)]


def _found(what: str, found: Sequence[object], *, repaired: bool) -> list[Problem]:
    return [Problem(what, len(found), tuple(map(str, found[:_EXAMPLES])), repaired)] if found else []


# keywords


def indexed(connection: Connection, analyser: Analyser) -> Iterator[Mapping[int, tuple[str, ...]]]:
    """Yield the columns of tokens that the chunks should have, some chunks at a time, ascending."""
    chunks = ids(connection, "chunk", "FROM chunks").tolist()
    for first in range(0, len(chunks), _AT_ONCE):
        yield {
            each.chunk: index_columns(analyser, each.title, each.heading, each.text, each.uri)
            for each in document_rows.passages(connection, chunks[first : first + _AT_ONCE])
        }


def rebuild(connection: Connection, log: Log | None, analyser: Analyser) -> int:
    """Make the keywords of all chunks anew; return how many chunks there are. Followers of the log begin anew."""
    connection.execute("DELETE FROM postings")
    count = total = 0
    for some in indexed(connection, analyser):
        words = {chunk: weigh([column.split() for column in columns]) for chunk, columns in some.items()}
        lines = [(words[chunk][0], posting_blocks.stored_tokens(columns), chunk) for chunk, columns in some.items()]
        many(connection, "UPDATE chunks SET length = %s, tokens = %s WHERE chunk = %s", lines)
        posting_blocks.write(connection, words)
        count, total = count + len(words), total + sum(length for length, _ in words.values())
    for key, fact in (("chunks", count), ("tokens", total), ("analysis", analyser.version)):
        set_fact(connection, key, str(fact))
    if log is not None:
        log.restart()
    return count


def _keywords(connection: Connection, analyser: Analyser, advance: Advance, *, repair: bool) -> list[Problem]:
    wrong: list[int] = []
    sums, lengths = Counter[int](), Counter[int]()
    for some in indexed(connection, analyser):
        statement = "SELECT chunk, length, tokens FROM chunks WHERE chunk = ANY(%s::bigint[])"
        for chunk, length, tokens in rows(connection, statement, list(some)):
            expected, frequencies = weigh([column.split() for column in some[chunk]])
            if (length, tokens) != (expected, posting_blocks.stored_tokens(some[chunk])):
                wrong.append(chunk)
            sums[chunk] = sum(_mixed(word.encode(), frequency) for word, frequency in frequencies.items())
            lengths[chunk] = expected
        advance(len(some))
    stored = _stored_sums(connection)
    misplaced = sorted(chunk for chunk in sums.keys() | stored.keys() if sums[chunk] != stored[chunk])
    facts = dict(rows(connection, "SELECT key, value::bigint FROM facts WHERE key IN ('chunks', 'tokens')"))
    totals = [] if facts == {"chunks": len(lengths), "tokens": lengths.total()} else sorted(facts.items())
    problems = [
        *_found("chunks whose keyword entries do not fit their text", wrong, repaired=repair),
        *_found("chunks whose words are not those of the keyword index", misplaced, repaired=repair),
        *_found("numbers of chunks and words that are not those there are", totals, repaired=repair),
    ]
    if problems and repair:
        rebuild(connection, None, analyser)
    return problems


def _mixed(word: bytes, frequency: float) -> int:
    return (crc32(word) + 1) * int(2 * frequency)


def _stored_sums(connection: Connection) -> Counter[int]:
    """Return a checksum of each chunk's words in the index, read a few rows at a time."""
    sums = Counter[int]()
    with closing(connection.cursor("postings", scrollable=False)) as cursor:
        cursor.itersize = 10_000
        for word, block, packed in cursor.execute("SELECT word, block, entries FROM postings", binary=True):
            for place, doubled, _ in np.frombuffer(packed, posting_blocks.ENTRY).tolist():
                sums[block * posting_blocks.BLOCK + place] += (crc32(word) + 1) * doubled
    return sums


# vectors, models


def _vectors(connection: Connection, number: int, advance: Advance, *, repair: bool) -> list[Problem]:
    state, dim = rows(connection, "SELECT state, dim FROM embeddings WHERE embedding = %s", number)[0]
    table = f"vectors_{number}"
    orphans = f"NOT EXISTS {_CHUNKS.format(f'{table}.chunk')}"
    stale = ids(connection, "chunk", f"FROM {table} WHERE {orphans}").tolist()
    broken, wrong, chunks = [], [], ids(connection, "chunk", f"FROM {table}").tolist()
    for first in range(0, len(chunks), _AT_ONCE):
        some = chunks[first : first + _AT_ONCE]
        statement = f"""SELECT chunk, vector, code, signs::text FROM {table} LEFT JOIN signs_{number} USING (chunk)
                        WHERE chunk = ANY(%s::bigint[])"""
        for chunk, vector, code, signs in rows(connection, statement, some):
            exact = np.frombuffer(vector, FLOAT) if len(vector) == FLOAT.itemsize * dim else np.array([np.nan])
            if not np.isfinite(exact).all():
                broken.append(chunk)
            elif (code, signs) != _made_of(exact):
                wrong.append(chunk)
        advance(len(some))
    lost = f"FROM signs_{number} AS held WHERE chunk NOT IN (SELECT chunk FROM {table} WHERE code IS NOT NULL)"
    wrong += np.setdiff1d(ids(connection, "chunk", lost), [*wrong, *broken]).tolist()
    if repair:
        vector_tables.delete(connection, number, [*stale, *broken])
        for first in range(0, len(wrong), _AT_ONCE):
            some = wrong[first : first + _AT_ONCE]
            there, exact = vector_tables.fetch(connection, number, dim, some)
            vector_tables.delete(connection, number, some)
            vector_tables.write(connection, number, there.tolist(), exact)
    searched = vector_tables.is_searched(connection, number)
    absent = vector_tables.unembedded(connection, number).tolist() if searched and state != "kept" else []
    return [
        *_found("vectors without a chunk", stale, repaired=repair),
        *_found("vectors of a wrong length or with values that are no numbers", broken, repaired=repair),
        *_found("codes that are not those of their vectors", wrong, repaired=repair),
        *_found("chunks without a vector (`hybridstore embed` makes them)", absent, repaired=False),
    ]


def _made_of(exact: NDArray[np.float32]) -> tuple[bytes | None, str | None]:
    """Return the code and the signs of a vector (dim,)."""
    code = int8.encode(exact[None])
    return (code.tobytes(), vector_tables.signs(code)[0]) if exact.any() else (None, None)


def _misplaced(connection: Connection, *, repair: bool) -> list[Problem]:
    active, embedding = model_rows.active(connection), vector_tables.embeddings(connection).active
    if active is None or (embedding and model_rows.read(connection, active[0]).target == embedding.fingerprint):
        return []
    if repair:
        model_rows.promote(connection, None)
    return [Problem("an active model for vectors that are not those searched", 1, (str(active[0]),), repair)]
