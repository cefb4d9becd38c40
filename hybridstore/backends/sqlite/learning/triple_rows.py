"""Triples as rows: kept, read a few at a time, dropped."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

import apsw

from hybridstore.backends.learning import Negative, Triple, storable
from hybridstore.backends.sqlite.connection import rows, value
from hybridstore.backends.sqlite.learning.erasing import erasing


def keep(connection: apsw.Connection, triples: Sequence[Triple]) -> None:
    """Add triples whose positive and origin are there, with those of their negatives that are."""
    named = {chunk for triple in triples for chunk in _named(triple)}
    sql = "SELECT chunk FROM chunks WHERE chunk IN (SELECT value FROM json_each(?))"
    here = {chunk for (chunk,) in connection.execute(sql, (json.dumps(sorted(named)),))} | {None}
    with erasing(connection):
        for triple in triples:
            if triple.positive in here and triple.origin in here:
                _write(connection, triple, [each for each in triple.negatives if each.chunk in here])


def _named(triple: Triple) -> list[int]:
    chunks = [triple.positive, *(each.chunk for each in triple.negatives)]
    return chunks if triple.origin is None else [*chunks, triple.origin]


def _write(connection: apsw.Connection, triple: Triple, negatives: Sequence[Negative]) -> None:
    connection.execute(
        "INSERT INTO triples (kind, positive, origin, score, disagreed, promoted, query) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            triple.kind,
            triple.positive,
            triple.origin,
            float(triple.score),
            int(triple.disagreed),
            int(triple.promoted),
            storable(triple.query),
        ),
    )
    number = connection.last_insert_rowid()
    connection.executemany(
        "INSERT INTO negatives VALUES (?, ?, ?, ?, ?, ?)",
        [
            (number, place, each.chunk, each.leg, float(each.score), each.excluded)
            for place, each in enumerate(negatives)
        ],
    )


def page(connection: apsw.Connection, kind: str | None, after: int, limit: int) -> list[Triple]:
    """Give the first triples with larger numbers than `after`, of one kind or of all."""
    sql = """SELECT triple, kind, positive, origin, score, disagreed, promoted, query FROM triples
             WHERE triple > ?1 AND (?2 IS NULL OR kind = ?2) ORDER BY triple LIMIT ?3"""
    found = rows(connection, sql, (after, kind, limit))
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


def count(connection: apsw.Connection) -> int:
    """Count them."""
    return int(value(connection, "SELECT count(*) FROM triples"))


def drop(connection: apsw.Connection) -> int:
    """Forget them all; give how many there were."""
    dropped = count(connection)
    with erasing(connection):
        connection.execute("DELETE FROM negatives")
        connection.execute("DELETE FROM triples")
    return dropped
