"""The rows of learning: training triples, the query log, feedback, and expectations."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import apsw

from hybridstore.backends.learning import Expectation, Feedback, LoggedQuestion, Negative, Triple, storable
from hybridstore.backends.sqlite import removal_rows
from hybridstore.backends.sqlite.checksums import change, insertion, next_number
from hybridstore.backends.sqlite.chunk_references import erasing, rewrite
from hybridstore.backends.sqlite.connection import rows, value
from hybridstore.backends.versions import removal_key
from hybridstore.errors import NotFound

_AMONG = "IN (SELECT value FROM json_each(?))"
_TOLD = tuple(
    f"SELECT {at} AS at FROM {table} WHERE query = value"
    for table, at in (("asked", "last"), ("feedback", "told"), ("expectations", "made"))
)


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
    times = Counter(map(storable, queries))
    told = {query: _told_at(connection, query) for query in times}
    with erasing(connection):
        connection.executemany(
            f"""{insertion("asked")}
               ON CONFLICT (query) DO UPDATE SET times = times + excluded.times, last = excluded.last,
                 checksum = checksum(query, times + excluded.times, excluded.last)""",
            [(query, count, told[query]) for query, count in times.items()],
        )


def query_log(connection: apsw.Connection) -> list[LoggedQuestion]:
    """Return the log, the most frequent queries first; ties in alphabetical order."""
    return [
        LoggedQuestion(*row)
        for row in rows(connection, "SELECT query, times, last FROM asked ORDER BY times DESC, query")
    ]


def forget_queries(connection: apsw.Connection, queries: Sequence[str] | None) -> int:
    """Remove queries, or all of the log, with what was learned from them; return how many the log held.

    The tables are rewritten, so that nothing of the texts is left in their pages.
    """
    if queries is None:
        named = json.dumps([query for (query,) in rows(connection, "SELECT query FROM asked")])
    else:
        named = json.dumps([storable(query) for query in queries])
    known = int(value(connection, f"SELECT count(*) FROM asked WHERE query {_AMONG}", (named,)))
    sql = "SELECT value, (SELECT max(at) FROM (" + " UNION ALL ".join(_TOLD) + ")) FROM json_each(?)"
    told = {removal_key(query, "query"): at or "" for query, at in rows(connection, sql, (named,))}
    removal_rows.forget(connection, told)
    with erasing(connection):
        connection.execute(
            f"DELETE FROM negatives WHERE triple IN (SELECT triple FROM triples WHERE query {_AMONG})", (named,)
        )
        for table in ("asked", "feedback", "triples", "expectations"):
            connection.execute(f"DELETE FROM {table} WHERE query {_AMONG}", (named,))
            if connection.changes():
                rewrite(connection, table)
    return known


def add_feedback(connection: apsw.Connection, query: str, chunk: int, *, used: bool) -> None:
    """Record feedback on a chunk, in place of earlier feedback; raises NotFound for a chunk that is gone."""
    if value(connection, "SELECT 1 FROM chunks WHERE chunk = ?", (chunk,)) is None:
        raise NotFound(str(chunk), f"no chunk has the id {chunk}; it was removed or replaced: search again")
    with erasing(connection):
        told = _told_at(connection, storable(query))
        _write_feedback(connection, storable(query), chunk, told, used=used)


def _write_feedback(connection: apsw.Connection, query: str, chunk: int, told: str, *, used: bool) -> None:
    connection.execute("DELETE FROM feedback WHERE chunk = ? AND query = ?", (chunk, query))
    number = int(value(connection, "SELECT max(feedback) FROM feedback") or 0) + 1
    connection.execute(insertion("feedback"), (number, chunk, int(used), told, query))


def move_feedback(connection: apsw.Connection, moved: Mapping[int, int]) -> None:
    """Move the feedback about each chunk to another; see the protocol."""
    moving = rows(
        connection, f"SELECT feedback, chunk, query FROM feedback WHERE chunk {_AMONG}", (json.dumps(list(moved)),)
    )
    existing = rows(
        connection, f"SELECT chunk FROM chunks WHERE chunk {_AMONG}", (json.dumps(sorted(set(moved.values()))),)
    )
    living = {chunk for (chunk,) in existing}
    with erasing(connection):
        for number, chunk, query in sorted(moving, reverse=True):  # the latest first, which earlier ones then find
            if moved[chunk] not in living or moved[chunk] == chunk:
                continue
            known = rows(connection, "SELECT 1 FROM feedback WHERE chunk = ? AND query = ?", (moved[chunk], query))
            if known:
                connection.execute("DELETE FROM feedback WHERE feedback = ?", (number,))
            else:
                connection.execute(f"{change('feedback', chunk='?1')} WHERE feedback = ?2", (moved[chunk], number))


def feedback(connection: apsw.Connection) -> list[Feedback]:
    """Return all feedback, oldest first."""
    sql = """SELECT query, chunk, id, used, told FROM feedback JOIN chunks USING (chunk) JOIN documents USING (document)
             ORDER BY feedback"""
    return [Feedback(query, chunk, id_, bool(used), told) for query, chunk, id_, used, told in rows(connection, sql)]


def expect(connection: apsw.Connection, query: str, document_id: str, within: int) -> None:
    """Add an expectation, or change its `within`; raises NotFound for a document that is not stored."""
    if value(connection, "SELECT 1 FROM documents WHERE id = ?", (document_id,)) is None:
        raise NotFound(document_id)
    new = Expectation(storable(query), document_id, within)
    _write_expectation(connection, replace(new, made=_told_at(connection, new.query, new.key)))


def _write_expectation(connection: apsw.Connection, new: Expectation) -> None:
    named = (new.document_id, new.query)
    there = value(connection, "SELECT expectation FROM expectations WHERE document_id = ? AND query = ?", named)
    with erasing(connection):
        if there is not None:
            sql = f"{change('expectations', within='?1', made='?2')} WHERE expectation = ?3"
            connection.execute(sql, (new.within, new.made, there))
            return
        number = int(value(connection, "SELECT max(expectation) FROM expectations") or 0) + 1
        connection.execute(insertion("expectations"), (number, new.document_id, new.within, new.made, new.query))


def expectations(connection: apsw.Connection) -> list[Expectation]:
    """Return all expectations, oldest first."""
    sql = "SELECT query, document_id, within, made FROM expectations ORDER BY expectation"
    return [Expectation(*row) for row in rows(connection, sql)]


def drop_expectations(connection: apsw.Connection, dropped: Sequence[Expectation]) -> int:
    """Remove the expectations of these queries and documents; return how many there were."""
    count = 0
    with erasing(connection):
        for each in dropped:
            named = (each.document_id, storable(each.query))
            sql = "DELETE FROM expectations WHERE document_id = ? AND query = ? RETURNING made"
            made = value(connection, sql, named)
            if made is not None:
                count += 1
                removal_rows.forget(connection, {replace(each, query=named[1]).key: made})
        if count:
            rewrite(connection, "expectations")
    return count


def drop_expectations_of(connection: apsw.Connection, documents: Iterable[str]) -> None:
    """Remove all expectations of these documents."""
    with erasing(connection):
        connection.execute(f"DELETE FROM expectations WHERE document_id {_AMONG}", (json.dumps(list(documents)),))


def move_expectations(connection: apsw.Connection, documents: Mapping[str, str]) -> int:
    """Let the expectations of each document be of another one; see the protocol."""
    moving = [each for each in expectations(connection) if each.document_id in documents]
    there = {(each.document_id, each.query) for each in expectations(connection)}
    drop_expectations(connection, moving)
    for each in moving:
        target = documents[each.document_id]
        if (target, each.query) not in there:
            _write_expectation(connection, replace(each, document_id=target))
    return len(moving)


def absorb(
    connection: apsw.Connection,
    queries: Sequence[LoggedQuestion],
    told: Sequence[Feedback],
    expected: Sequence[Expectation],
) -> None:
    """Record queries, feedback on chunks of this store, and expectations of another store, as it has them."""
    with erasing(connection):
        for each in queries:
            connection.execute("DELETE FROM asked WHERE query = ?", (each.query,))
            connection.execute(insertion("asked"), (each.query, each.times, each.last))
        for said in told:
            if value(connection, "SELECT 1 FROM chunks WHERE chunk = ?", (said.chunk,)) is not None:
                _write_feedback(connection, said.query, said.chunk, said.when, used=said.used)
        for new in expected:
            _write_expectation(connection, new)


def forget_until(connection: apsw.Connection, queries: Mapping[str, str]) -> None:
    """Remove what was told of queries, each up to a time; nothing of their texts is left in the tables' pages."""
    named = json.dumps(list(queries))
    sql = f"DELETE FROM negatives WHERE triple IN (SELECT triple FROM triples WHERE query {_AMONG})"
    with erasing(connection):
        connection.execute(sql, (named,))
        connection.execute(f"DELETE FROM triples WHERE query {_AMONG}", (named,))
        for query, until in queries.items():
            for table, at in (("asked", "last"), ("feedback", "told"), ("expectations", "made")):
                connection.execute(f"DELETE FROM {table} WHERE query = ? AND {at} <= ?", (query, until))
        for table in ("asked", "feedback", "triples", "expectations"):
            rewrite(connection, table)


def remove_expectations(connection: apsw.Connection, dropped: Sequence[Expectation]) -> None:
    """Remove expectations that another store has dropped."""
    with erasing(connection):
        sql = "DELETE FROM expectations WHERE document_id = ? AND query = ?"
        connection.executemany(sql, [(each.document_id, each.query) for each in dropped])
        rewrite(connection, "expectations")


def _told_at(connection: apsw.Connection, query: str, *keys: bytes) -> str:
    return removal_rows.told_at(connection, removal_key(query, "query"), *keys)
