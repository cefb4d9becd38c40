"""The rows of learning: training triples, the query log, feedback and expectations."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from hybridstore.backends.learning import Expectation, Feedback, LoggedQuestion, Negative, Triple, storable
from hybridstore.backends.postgres import removal_rows
from hybridstore.backends.postgres.connection import Connection, many, rows, value
from hybridstore.backends.postgres.document_rows import hashes
from hybridstore.backends.postgres.packed import text
from hybridstore.backends.postgres.schema import next_numbers
from hybridstore.backends.versions import removal_key
from hybridstore.errors import NotFound

_NAMED = "sha256(query) = ANY(%s::bytea[])"
_TOLD = (("asked", "last"), ("feedback", "told"), ("expectations", "made"))  # and when
_DROPPED = "DELETE FROM expectations WHERE sha256(document_id) = %s AND sha256(query) = %s"
_NAMING = (("feedback", "chunk"), ("triples", "positive"), ("triples", "origin"), ("negatives", "chunk"))


def forget_chunks(connection: Connection, chunks: Sequence[int]) -> None:
    """Remove what names these chunks: feedback, triples with their negatives, and other triples' negatives."""
    gone = (list(chunks),)
    connection.execute("DELETE FROM feedback WHERE chunk = ANY(%s::bigint[])", gone)
    for column in ("positive", "origin"):
        ours = f"DELETE FROM triples WHERE {column} = ANY(%s::bigint[]) RETURNING triple"
        connection.execute(
            f"WITH gone AS ({ours}) DELETE FROM negatives USING gone WHERE negatives.triple = gone.triple", gone
        )
    connection.execute("DELETE FROM negatives WHERE chunk = ANY(%s::bigint[])", gone)


def renumber(connection: Connection, moved: Mapping[int, int]) -> None:
    """Make what names a chunk name the new chunk instead, which has the same words and which nothing names yet."""
    if moved:
        for table, column in _NAMING:
            connection.execute(
                f"""UPDATE {table} SET {column} = new FROM unnest(%s::bigint[], %s::bigint[]) AS moved (old, new)
                    WHERE {column} = old""",
                (list(moved), list(moved.values())),
            )


def move_feedback(connection: Connection, moved: Mapping[int, int]) -> None:
    """Move the feedback about each chunk to another; see the protocol."""
    statement = "SELECT feedback, chunk, query FROM feedback WHERE chunk = ANY(%s::bigint[]) ORDER BY feedback DESC"
    moving = rows(connection, statement, list(moved))  # the latest first, which earlier ones then find
    living = existing(connection, moved.values())
    for number, chunk, query in moving:
        if moved[chunk] not in living or moved[chunk] == chunk:
            continue
        if rows(connection, "SELECT 1 FROM feedback WHERE chunk = %s AND query = %s", moved[chunk], query):
            connection.execute("DELETE FROM feedback WHERE feedback = %s", (number,))
        else:
            connection.execute("UPDATE feedback SET chunk = %s WHERE feedback = %s", (moved[chunk], number))


def existing(connection: Connection, chunks: Collection[int]) -> set[int]:
    """Return those of the chunks that are stored."""
    found = rows(connection, "SELECT chunk FROM chunks WHERE chunk = ANY(%s::bigint[])", sorted(set(chunks)))
    return {chunk for (chunk,) in found}


# triples


def add_triples(connection: Connection, triples: Sequence[Triple]) -> None:
    """Add triples whose positive and origin exist, with those of their negatives that exist."""
    named = {chunk for triple in triples for chunk in (triple.positive, triple.origin) if chunk is not None}
    named |= {negative.chunk for triple in triples for negative in triple.negatives}
    here: set[int | None] = {*existing(connection, named), None}
    kept = [triple for triple in triples if triple.positive in here and triple.origin in here]
    first = next_numbers(connection, "triple", len(kept))
    many(
        connection,
        "INSERT INTO triples VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (
                number,
                triple.kind.encode(),
                triple.positive,
                triple.origin,
                float(triple.score),
                triple.disagreed,
                triple.promoted,
                storable(triple.query).encode(),
            )
            for number, triple in enumerate(kept, start=first)
        ],
    )
    many(
        connection,
        "INSERT INTO negatives VALUES (%s, %s, %s, %s, %s, %s)",
        [
            (number, place, each.chunk, each.leg, float(each.score), each.excluded and each.excluded.encode())
            for number, triple in enumerate(kept, start=first)
            for place, each in enumerate(negative for negative in triple.negatives if negative.chunk in here)
        ],
    )


def next_triple(connection: Connection) -> int:
    """Return the first number that no triple has had yet."""
    return int(value(connection, "SELECT value FROM facts WHERE key = 'next_triple'"))


def triple_page(connection: Connection, kind: str | None, between: tuple[int, int], limit: int) -> list[Triple]:
    """Return the first triples whose number lies between these two, of one kind or of all."""
    of_kind, kinds = ("true", []) if kind is None else ("kind = %s", [kind.encode()])
    statement = f"""SELECT triple, kind, positive, origin, score, disagreed, promoted, query FROM triples
                    WHERE triple > %s AND triple < %s AND {of_kind} ORDER BY triple LIMIT %s"""
    found = rows(connection, statement, *between, *kinds, limit)
    negatives: dict[int, list[Negative]] = defaultdict(list)
    statement = """SELECT triple, chunk, leg, score, excluded FROM negatives WHERE triple = ANY(%s::bigint[])
                   ORDER BY triple, position"""
    for triple, chunk, leg, score, excluded in rows(connection, statement, [row[0] for row in found]):
        doubted = None if excluded is None else text(excluded)
        negatives[triple].append(Negative(chunk=chunk, leg=leg, score=score, excluded=doubted))
    return [
        Triple(
            query=text(query),
            kind=text(named),
            positive=positive,
            score=score,
            negatives=tuple(negatives[number]),
            origin=origin,
            disagreed=disagreed,
            promoted=promoted,
            number=number,
        )
        for number, named, positive, origin, score, disagreed, promoted, query in found
    ]


def count_triples(connection: Connection) -> int:
    """Return the number of triples."""
    return int(value(connection, "SELECT count(*) FROM triples"))


def drop_triples(connection: Connection) -> int:
    """Remove all triples; return how many there were."""
    connection.execute("DELETE FROM negatives")
    return connection.execute("DELETE FROM triples").rowcount


# the query log and feedback


def log_queries(connection: Connection, queries: Sequence[str]) -> None:
    """Add queries to the log, each as often as it is listed."""
    times = Counter(map(storable, queries))
    told = {query: _told_at(connection, query) for query in times}
    many(
        connection,
        """INSERT INTO asked VALUES (%s, %s, %s) ON CONFLICT (sha256(query)) DO UPDATE
           SET times = asked.times + excluded.times, last = excluded.last""",
        [(query.encode(), count, told[query]) for query, count in times.items()],
    )


def query_log(connection: Connection) -> list[LoggedQuestion]:
    """Return the log, the most frequent queries first; ties in alphabetical order."""
    found = rows(connection, "SELECT query, times, last FROM asked ORDER BY times DESC, query")
    return [LoggedQuestion(text(query), times, last) for query, times, last in found]


def all_queries(connection: Connection) -> list[str]:
    """Return the different queries of the log and of what was learned from them."""
    statement = " UNION ".join(
        f"SELECT query FROM {table}" for table in ("asked", "triples", "feedback", "expectations")
    )
    return [text(query) for (query,) in rows(connection, statement)]


def forget_queries(connection: Connection, queries: Collection[str] | None) -> int:
    """Remove queries, or all of the log, with what was learned from them; return how many the log held."""
    if queries is None:
        queries = [logged.query for logged in query_log(connection)]
    texts = [storable(query) for query in queries]
    named = (hashes(texts),)
    statement = " UNION ALL ".join(f"SELECT query, {at} FROM {table} WHERE {_NAMED}" for table, at in _TOLD)
    told = dict.fromkeys(texts, "")
    for query, at in rows(connection, statement, *named * len(_TOLD)):
        told[text(query)] = max(told[text(query)], at)
    removal_rows.forget(connection, {removal_key(query, "query"): at for query, at in told.items()})
    _forget_triples(connection, named[0])
    for table in ("feedback", "expectations"):
        connection.execute(f"DELETE FROM {table} WHERE {_NAMED}", named)
    return connection.execute(f"DELETE FROM asked WHERE {_NAMED}", named).rowcount


def _forget_triples(connection: Connection, queries: Sequence[bytes]) -> None:
    ours = f"DELETE FROM triples WHERE {_NAMED} RETURNING triple"
    statement = f"WITH gone AS ({ours}) DELETE FROM negatives USING gone WHERE negatives.triple = gone.triple"
    connection.execute(statement, (queries,))


def forget_until(connection: Connection, queries: Mapping[str, str]) -> None:
    """Remove what was told of queries, each up to a time."""
    _forget_triples(connection, hashes(queries))
    for query, until in queries.items():
        for table, at in _TOLD:
            values = (*hashes([query]), until)
            connection.execute(f'DELETE FROM {table} WHERE sha256(query) = %s AND {at} COLLATE "C" <= %s', values)


def absorb(
    connection: Connection, queries: Sequence[LoggedQuestion], told: Sequence[Feedback], expected: Sequence[Expectation]
) -> None:
    """Record queries, feedback on chunks of this store, and expectations of another store, as it has them."""
    many(
        connection,
        """INSERT INTO asked VALUES (%s, %s, %s)
           ON CONFLICT (sha256(query)) DO UPDATE SET times = excluded.times, last = excluded.last""",
        [(each.query.encode(), each.times, each.last) for each in queries],
    )
    living = existing(connection, {each.chunk for each in told})
    for said in told:
        if said.chunk in living:
            _write_feedback(connection, said.query, said.chunk, said.when, used=said.used)
    for new in expected:
        _write_expectation(connection, new)


def add_feedback(connection: Connection, query: str, chunk: int, *, used: bool) -> None:
    """Record feedback on a chunk, in place of earlier feedback; raises NotFound for a chunk that is gone."""
    if not existing(connection, [chunk]):
        raise NotFound(str(chunk), f"no chunk has the id {chunk}; it was removed or replaced: search again")
    _write_feedback(connection, storable(query), chunk, _told_at(connection, storable(query)), used=used)


def _write_feedback(connection: Connection, query: str, chunk: int, told: str, *, used: bool) -> None:
    said = query.encode()
    connection.execute("DELETE FROM feedback WHERE chunk = %s AND query = %s", (chunk, said))
    row = (next_numbers(connection, "feedback"), chunk, used, told, said)
    connection.execute("INSERT INTO feedback VALUES (%s, %s, %s, %s, %s)", row)


def feedback(connection: Connection) -> list[Feedback]:
    """Return all feedback, oldest first."""
    statement = """SELECT query, chunk, id, used, told FROM feedback JOIN chunks USING (chunk)
                   JOIN documents USING (document) ORDER BY feedback"""
    return [
        Feedback(text(query), chunk, text(id_), used, told)
        for query, chunk, id_, used, told in rows(connection, statement)
    ]


# expectations


def expect(connection: Connection, query: str, document_id: str, within: int) -> None:
    """Add an expectation, or change its `within`; raises NotFound for a document that is not stored."""
    if not rows(connection, "SELECT 1 FROM documents WHERE sha256(id) = %s", *hashes([document_id])):
        raise NotFound(document_id)
    new = Expectation(storable(query), document_id, within)
    _write_expectation(connection, replace(new, made=_told_at(connection, new.query, new.key)))


def _write_expectation(connection: Connection, new: Expectation) -> None:
    connection.execute(
        """INSERT INTO expectations VALUES (%s, %s, %s, %s, %s) ON CONFLICT (sha256(document_id), sha256(query))
           DO UPDATE SET within = excluded.within, made = excluded.made""",
        (next_numbers(connection, "expectation"), new.document_id.encode(), new.within, new.made, new.query.encode()),
    )


def expectations(connection: Connection) -> list[Expectation]:
    """Return all expectations, oldest first."""
    found = rows(connection, "SELECT query, document_id, within, made FROM expectations ORDER BY expectation")
    return [Expectation(text(query), text(document_id), within, made) for query, document_id, within, made in found]


def drop_expectations(connection: Connection, dropped: Sequence[Expectation]) -> int:
    """Remove the expectations of these queries and documents; return how many there were."""
    told: dict[bytes, str] = {}
    for each in dropped:
        named = replace(each, query=storable(each.query))
        if (
            made := value(connection, f"{_DROPPED} RETURNING made", *hashes([named.document_id, named.query]))
        ) is not None:
            told[named.key] = made
    removal_rows.forget(connection, told)
    return len(told)


def remove_expectations(connection: Connection, dropped: Sequence[Expectation]) -> None:
    """Remove expectations that another store has dropped."""
    many(connection, _DROPPED, [hashes([each.document_id, each.query]) for each in dropped])


def drop_expectations_of(connection: Connection, documents: Sequence[str]) -> None:
    """Remove all expectations of these documents."""
    connection.execute("DELETE FROM expectations WHERE sha256(document_id) = ANY(%s::bytea[])", (hashes(documents),))


def move_expectations(connection: Connection, documents: Mapping[str, str]) -> int:
    """Let the expectations of each document be of another one; see the protocol."""
    there = expectations(connection)
    moving = [each for each in there if each.document_id in documents]
    known = {(each.document_id, each.query) for each in there}
    drop_expectations(connection, moving)
    for each in moving:
        target = documents[each.document_id]
        if (target, each.query) not in known:
            _write_expectation(connection, replace(each, document_id=target))
    return len(moving)


def _told_at(connection: Connection, query: str, *keys: bytes) -> str:
    return removal_rows.told_at(connection, removal_key(query, "query"), *keys)
