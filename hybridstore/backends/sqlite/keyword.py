"""The keyword leg: FTS5 over the analyser's tokens, by chunk."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import apsw
import numpy as np

from hybridstore.analysis import Analyser
from hybridstore.backends.sqlite.connection import value, varints
from hybridstore.backends.sqlite.schema import WEIGHTS
from hybridstore.records import KeywordQuery, Ranking, Term

_RANK = f"bm25({', '.join(map(str, WEIGHTS))})"
# FTS5 flattens a long OR, but its parser and scorer pay for each term; nobody's question has more rare words.
_MOST_TERMS = 512


def row(analyser: Analyser, title: str, heading: str, text: str) -> tuple[str, str, str, str]:
    """Give the four columns of a chunk in the index."""
    titles, headings, bodies = analyser.index(title), analyser.index(heading), analyser.index(text)
    compounds = " ".join(filter(None, (titles[1], headings[1], bodies[1])))
    return titles[0], headings[0], bodies[0], compounds


def write(connection: apsw.Connection, rows: Iterable[tuple[int, str, str, str, str]]) -> None:
    """Index chunks: (chunk, title, heading, body, compounds)."""
    connection.executemany("INSERT INTO keywords (rowid, title, heading, body, compounds) VALUES (?, ?, ?, ?, ?)", rows)


def remove(connection: apsw.Connection, chunks: Iterable[int]) -> None:
    """Take chunks out of the index."""
    connection.executemany("DELETE FROM keywords WHERE rowid = ?", ((chunk,) for chunk in chunks))


def expression(phrases: Iterable[Sequence[str]], operator: str = "OR") -> str:
    """Write an FTS5 query for phrases joined by OR or AND. Tokens hold no quotes, so any is safe inside quotes."""
    return f" {operator} ".join(_phrase(phrase) for phrase in phrases)


def _phrase(tokens: Sequence[str]) -> str:
    quoted = " + ".join(f'"{token.removesuffix("*")}"' for token in tokens)
    return f"{quoted} *" if tokens[-1].endswith("*") else quoted


def match(
    connection: apsw.Connection, query: KeywordQuery, depth: int, condition: str, bindings: Sequence[object]
) -> Ranking:
    """Rank chunks by BM25 among those whose id passes the condition ("" for all)."""
    alternatives = [*query.phrases, *((term,) for term in query.terms)][:_MOST_TERMS]
    if not alternatives or depth < 1:
        return Ranking(np.empty(0, np.int64), np.empty(0, np.float64))
    # `+rowid`: else SQLite starts the FTS5 query anew for each id, thirty times slower on a filter of some hundreds.
    # The weights come with the rank's definition so that FTS5 sorts inside itself and stops at the limit.
    rows = connection.execute(
        f"""SELECT rowid, rank FROM keywords WHERE keywords MATCH ? AND rank MATCH '{_RANK}'
            {f"AND +rowid IN ({condition})" if condition else ""} ORDER BY rank LIMIT ?""",
        (expression(alternatives), *bindings, depth),
    ).fetchall()
    found = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return Ranking(found[:, 0].astype(np.int64), -found[:, 1])


def holds(connection: apsw.Connection, phrase: Sequence[str], condition: str, bindings: Sequence[object]) -> bool:
    """Say whether any chunk whose id passes the condition holds the phrase; nothing is ranked."""
    among = f"AND +rowid IN ({condition})" if condition else ""
    sql = f"SELECT 1 FROM keywords WHERE keywords MATCH ? {among} LIMIT 1"
    return value(connection, sql, (_phrase(phrase), *bindings)) is not None


def terms(connection: apsw.Connection, tokens: Sequence[str]) -> tuple[Term, ...]:
    """Look up document frequencies, one index seek for each different token, and the IDF that bm25() gives them.

    IDF = ln((N - df + 0.5) / (df + 0.5)), at least 1e-6 (SQLite's fts5_aux.c, after Robertson & Zaragoza 2009).
    """
    total = indexed(connection)
    found = []
    for token, count in Counter(tokens).items():
        df = frequency(connection, token)
        found.append(Term(token, df, max(math.log((total - df + 0.5) / (df + 0.5)), 1e-6), count))
    return tuple(found)


def frequency(connection: apsw.Connection, token: str) -> int:
    """Count the chunks that hold a token."""
    if token.endswith("*"):
        sql = "SELECT count(*) FROM keywords WHERE keywords MATCH ?"
        return int(value(connection, sql, (_phrase([token]),)))
    return int(value(connection, "SELECT doc FROM vocabulary WHERE term = ?", (token,)) or 0)


def indexed(connection: apsw.Connection) -> int:
    """Give how many chunks are indexed, without scanning: FTS5 keeps it in the first record of its data table."""
    record = value(connection, "SELECT block FROM keywords_data WHERE id = 1")
    return next(varints(record)) if record else 0
