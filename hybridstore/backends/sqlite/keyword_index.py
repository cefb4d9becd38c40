"""The keyword leg: FTS5 over the analyser's tokens, by chunk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import K1, WEIGHTS, idf
from hybridstore.backends.sqlite.connection import INDEXED, fact, value
from hybridstore.backends.sqlite.stored_values import varints
from hybridstore.records import KeywordQuery, Ranking, Term
from hybridstore.text.expressions import AllOf, Expression, NotOf, WordSequence, passes_empty

_RANK = f"bm25({', '.join(map(str, WEIGHTS))})"
# FTS5 flattens a long OR, but its parser and scorer pay for each term; nobody's question has more rare words.
_MOST_TERMS = 512


def write(connection: apsw.Connection, rows: Iterable[tuple[int, str, str, str, str]]) -> None:
    """Index chunks: (chunk, title, heading, body, compounds)."""
    connection.executemany("INSERT INTO keywords (rowid, title, heading, body, compounds) VALUES (?, ?, ?, ?, ?)", rows)


def remove(connection: apsw.Connection, chunks: Iterable[int]) -> None:
    """Take chunks out of the index."""
    connection.executemany("DELETE FROM keywords WHERE rowid = ?", ((chunk,) for chunk in chunks))


def vocabulary(connection: apsw.Connection, beginning: str, limit: int) -> list[tuple[str, int]]:
    """Return at most `limit` tokens that begin so, with the numbers of chunks that hold them."""
    sql = "SELECT term, doc FROM vocabulary WHERE term >= ? AND term < ? ORDER BY term LIMIT ?"
    return [(term, count) for term, count in connection.execute(sql, (beginning, beginning + "\U0010ffff", limit))]


def expression(phrases: Iterable[Sequence[str]], operator: str = "OR") -> str:
    """Write an FTS5 query for phrases joined by OR or AND. Tokens hold no quotes, so any is safe inside quotes."""
    return f" {operator} ".join(_phrase(phrase) for phrase in phrases)


def _phrase(tokens: Sequence[str]) -> str:
    quoted = " + ".join(f'"{token.removesuffix("*")}"' for token in tokens)
    return f"{quoted} *" if tokens[-1].endswith("*") else quoted


def sought(expression: Expression) -> str:
    """Write an FTS5 query that finds exactly the chunks an expression lets through.

    An empty chunk must not be among them, for what FTS5's NOT takes away from must be named. Parentheses are spent
    sparingly: its parser takes some thirty, one inside the other.
    """
    return _sought(expression, wanted=True)


def _sought(expression: Expression, *, wanted: bool) -> str:
    """Write the expression, or its negation if it is not wanted; whichever it is, no empty chunk passes it."""
    if isinstance(expression, WordSequence):
        return f"{expression.field} : {_phrase(expression.tokens)}" if expression.field else _phrase(expression.tokens)
    if isinstance(expression, NotOf):
        return _sought(expression.member, wanted=not wanted)
    # Negated, "all of" is "any of the negations" and the other way round (De Morgan).
    held = [member for member in expression.members if passes_empty(member) != wanted]
    if isinstance(expression, AllOf) != wanted:
        return f"({' OR '.join(_sought(member, wanted=wanted) for member in held)})"
    barred = [_sought(member, wanted=not wanted) for member in expression.members if member not in held]
    first, *others = (_sought(member, wanted=wanted) for member in held)
    if barred:  # NOT binds tighter than AND
        first += f" NOT {barred[0]}" if len(barred) == 1 else f" NOT ({' OR '.join(barred)})"
    return f"({' AND '.join([first, *others])})"


def match(
    connection: apsw.Connection, query: KeywordQuery, depth: int, condition: str, bindings: Sequence[object]
) -> Ranking:
    """Rank chunks by BM25 among those whose id passes the condition ("" for all)."""
    alternatives = [*query.phrases, *((term,) for term in query.terms)][:_MOST_TERMS]
    if not alternatives or depth < 1:
        return Ranking(np.empty(0, np.int64), np.empty(0, np.float64))
    # `+rowid`: else SQLite starts the FTS5 query anew for each id, thirty times slower on a filter of some hundreds.
    # By rowid too, where ranks tie; SQLite then sorts, and takes 0.8 times as long as FTS5 sorting inside itself.
    rows = connection.execute(
        f"""SELECT rowid, rank FROM keywords WHERE keywords MATCH ? AND rank MATCH '{_RANK}'
            {f"AND +rowid IN ({condition})" if condition else ""} ORDER BY rank, rowid LIMIT ?""",
        (expression(alternatives), *bindings, depth),
    ).fetchall()
    found = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return Ranking(found[:, 0].astype(np.int64), -found[:, 1])


def parts(
    connection: apsw.Connection, phrase: Sequence[str], condition: str, bindings: Sequence[object]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the chunks that hold a phrase, ascending, and its bm25() in each, both (n,)."""
    found = connection.execute(
        f"""SELECT rowid, rank FROM keywords WHERE keywords MATCH ? AND rank MATCH '{_RANK}'
            {f"AND +rowid IN ({condition})" if condition else ""} ORDER BY rowid""",
        (_phrase(phrase), *bindings),
    ).fetchall()
    pairs = np.array(found, dtype=np.float64).reshape(-1, 2)
    return pairs[:, 0].astype(np.int64), -pairs[:, 1]


def impacts(connection: apsw.Connection, term: Term, chunks: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return a term's impact in each of the chunks, (n,) from 0 to 1: its bm25() without IDF and k1 + 1."""
    rows: list[Any] = connection.execute(
        f"""SELECT rowid, rank FROM keywords WHERE keywords MATCH ? AND rank MATCH '{_RANK}'
            AND +rowid IN (SELECT value FROM json_each(?))""",
        (_phrase([term.text]), str(chunks.tolist())),
    ).fetchall()
    found: dict[object, float] = dict(rows)
    whole = -term.idf * (K1 + 1)  # what a term without end would give
    return np.array([found.get(chunk, 0.0) / whole for chunk in chunks.tolist()], np.float32)


def holds(connection: apsw.Connection, phrase: Sequence[str], condition: str, bindings: Sequence[object]) -> bool:
    """Say whether any chunk whose id passes the condition holds the phrase; nothing is ranked."""
    among = f"AND +rowid IN ({condition})" if condition else ""
    sql = f"SELECT 1 FROM keywords WHERE keywords MATCH ? {among} LIMIT 1"
    return value(connection, sql, (_phrase(phrase), *bindings)) is not None


def terms(connection: apsw.Connection, tokens: Sequence[str]) -> tuple[Term, ...]:
    """Look up document frequencies, one index seek for each different token, and the IDF that bm25() gives them."""
    total = indexed(connection)
    found = []
    for token, count in Counter(tokens).items():
        df = frequency(connection, token)
        check_frequency(total, df)
        found.append(Term(token, df, idf(total, df), count))
    return tuple(found)


def check_frequency(total: int, frequency: int) -> None:
    """Raise CorruptError where more chunks contain a word than there are."""
    if frequency > total:
        raise apsw.CorruptError("the keyword index counts fewer chunks than it has of a word")


def frequency(connection: apsw.Connection, token: str) -> int:
    """Count the chunks that hold a token."""
    if token.endswith("*"):
        return frequency_of_phrase(connection, [token])
    return int(value(connection, "SELECT doc FROM vocabulary WHERE term = ?", (token,)) or 0)


def frequency_of_phrase(connection: apsw.Connection, phrase: Sequence[str]) -> int:
    """Count the chunks that hold a phrase, by reading them."""
    return int(value(connection, "SELECT count(*) FROM keywords WHERE keywords MATCH ?", (_phrase(phrase),)))


def sizes(connection: apsw.Connection) -> tuple[int, int]:
    """Return how many chunks are indexed, and their length in tokens, without scanning."""
    record = value(connection, "SELECT block FROM keywords_data WHERE id = 1")
    count = count_in(record)
    return count, sum(varints(record)) - count if count else 0


def indexed(connection: apsw.Connection) -> int:
    """Return how many chunks are indexed, without scanning."""
    sql = "SELECT block FROM keywords_data WHERE id = 1"
    return fact(connection, INDEXED, lambda: count_in(value(connection, sql)))


def count_in(record: object) -> int:
    """Return the number of chunks that FTS5 keeps in the first record of its data table."""
    if not record:
        return 0
    count = next(varints(record), None) if isinstance(record, bytes) else None
    if count is None:
        raise apsw.CorruptError("the keyword index does not say how many chunks it has")
    return count
