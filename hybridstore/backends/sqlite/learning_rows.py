"""The rows of learning: training triples, the query log, and feedback."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

import apsw

from hybridstore.backends.learning import Feedback, LoggedQuestion, Negative, Triple, storable
from hybridstore.backends.sqlite.checksums import insertion, next_number
from hybridstore.backends.sqlite.chunk_references import erasing, rewrite
from hybridstore.backends.sqlite.connection import rows, value
from hybridstore.errors import NotFound

_AMONG = "IN (SELECT value FROM json_each(?))"


def add_triples(connection: apsw.Connection, triples: Sequence[Triple]) -> None:
    """Add triples whose positive and origin exist, with those of their negatives that exist."""
    named = {chunk for triple in triples for chunk in _chunks_named(triple)}
    sql = "SELECT chunk FROM chunks WHERE chunk IN (SELECT value FROM json_each(?))"
    here = {chunk for (chunk,) in connection.execute(sql, (json.dumps(sorted(named)),))} | {None}
    with erasing(connection):
        for triple in triples:
            if triple.positive in here and triple.origin in here:
                _write_triple(connection, triple, [negative for negative in triple.negatives if negative.chunk in here])


def _chunks_named(triple: Triple) -> list[int]:
    chunks = [triple.positive, *(negative.chunk for negative in triple.negatives)]
    return chunks if triple.origin is None else [*chunks, triple.origin]


def _write_triple(connection: apsw.Connection, triple: Triple, negatives: Sequence[Negative]) -> None:
    number = next_number(connection, "triples")
    connection.execute(
        insertion("triples"),
        (
            number,
            triple.kind,
            triple.positive,
            triple.origin,
            float(triple.score),
            int(triple.disagreed),
            int(triple.promoted),
            storable(triple.query),
        ),
    )
    connection.executemany(
        insertion("negatives"),
        [
            (number, place, negative.chunk, negative.leg, float(negative.score), negative.excluded)
            for place, negative in enumerate(negatives)
        ],
    )


def next_triple(connection: apsw.Connection) -> int:
    """Return the first number that no triple has had yet."""
    return int(value(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'triples'") or 0) + 1


def triple_page(connection: apsw.Connection, kind: str | None, between: tuple[int, int], limit: int) -> list[Triple]:
    """Return the first triples whose number lies between these two, of one kind or of all."""
    sql = """SELECT triple, kind, positive, origin, score, disagreed, promoted, query FROM triples
             WHERE triple > ?1 AND triple < ?2 AND (?3 IS NULL OR kind = ?3) ORDER BY triple LIMIT ?4"""
    found = rows(connection, sql, (*between, kind, limit))
    negatives: dict[int, list[Negative]] = defaultdict(list)
    sql = """SELECT triple, chunk, leg, score, excluded FROM negatives
             WHERE triple IN (SELECT value FROM json_each(?)) ORDER BY triple, position"""
    for triple, chunk, leg, score, excluded in rows(connection, sql, (json.dumps([row[0] for row in found]),)):
        negatives[triple].append(Negative(chunk=chunk, leg=leg, score=score, excluded=excluded))
    return [
        Triple(
            query=query,
            kind=named,
            positive=positive,
            score=score,
            negatives=tuple(negatives[number]),
            origin=origin,
            disagreed=bool(disagreed),
            promoted=bool(promoted),
            number=number,
        )
        for number, named, positive, origin, score, disagreed, promoted, query in found
    ]


def count_triples(connection: apsw.Connection) -> int:
    """Return the number of triples."""
    return int(value(connection, "SELECT count(*) FROM triples"))


def drop_triples(connection: apsw.Connection) -> int:
    """Remove all triples; return how many there were."""
    dropped = count_triples(connection)
    with erasing(connection):
        connection.execute("DELETE FROM negatives")
        connection.execute("DELETE FROM triples")
    return dropped


def log_queries(connection: apsw.Connection, queries: Sequence[str]) -> None:
    """Add queries to the log, each as often as it is listed."""
    now = _now()
    times = Counter(map(storable, queries))
    with erasing(connection):
        connection.executemany(
            f"""{insertion("asked")}
               ON CONFLICT (query) DO UPDATE SET times = times + excluded.times, last = excluded.last,
                 checksum = checksum(query, times + excluded.times, excluded.last)""",
            [(query, count, now) for query, count in times.items()],
        )


def query_log(connection: apsw.Connection) -> list[LoggedQuestion]:
    """Return the log, the most frequent queries first; ties in alphabetical order."""
    return [
        LoggedQuestion(*row)
        for row in rows(connection, "SELECT query, times, last FROM asked ORDER BY times DESC, query")
    ]


def forget_queries(connection: apsw.Connection, queries: Sequence[str] | None) -> int:
    """Remove queries, or all of the log, with their triples and feedback; return how many the log held.

    The tables are rewritten, so that nothing of the texts is left in their pages.
    """
    if queries is None:
        named = json.dumps([query for (query,) in rows(connection, "SELECT query FROM asked")])
    else:
        named = json.dumps([storable(query) for query in queries])
    known = int(value(connection, f"SELECT count(*) FROM asked WHERE query {_AMONG}", (named,)))
    with erasing(connection):
        connection.execute(
            f"DELETE FROM negatives WHERE triple IN (SELECT triple FROM triples WHERE query {_AMONG})", (named,)
        )
        for table in ("asked", "feedback", "triples"):
            connection.execute(f"DELETE FROM {table} WHERE query {_AMONG}", (named,))
            if connection.changes():
                rewrite(connection, table)
    return known


def add_feedback(connection: apsw.Connection, query: str, chunk: int, *, used: bool) -> None:
    """Record feedback on a chunk, in place of earlier feedback; raises NotFound for a chunk that is gone."""
    if value(connection, "SELECT 1 FROM chunks WHERE chunk = ?", (chunk,)) is None:
        raise NotFound(str(chunk), f"no chunk has the id {chunk}; it was removed or replaced: search again")
    with erasing(connection):
        connection.execute("DELETE FROM feedback WHERE chunk = ? AND query = ?", (chunk, storable(query)))
        number = int(value(connection, "SELECT max(feedback) FROM feedback") or 0) + 1
        connection.execute(
            insertion("feedback"),
            (number, chunk, int(used), _now(), storable(query)),
        )


def feedback(connection: apsw.Connection) -> list[Feedback]:
    """Return all feedback, oldest first."""
    sql = """SELECT query, chunk, id, used, told FROM feedback JOIN chunks USING (chunk) JOIN documents USING (document)
             ORDER BY feedback"""
    return [Feedback(query, chunk, id_, bool(used), told) for query, chunk, id_, used, told in rows(connection, sql)]


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
