"""An afternoon's script: text in one table, with FTS5 and vec0, fused by reciprocal rank.

FTS5 with `porter unicode61`, the query's distinct words joined by OR, the best 100 by bm25; vec0 with float32, the
nearest 100; RRF with k = 60. WAL, `synchronous = NORMAL`, an index on each field that is filtered by. The stopped
variant leaves the Snowball project's English stop words out of the query, the usual advice where OR is slow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .base import Baseline, Fields, Vector, Where, rrf

DEPTH = 100
FIELDS = ("permille", "percent", "tenth", "half", "year", "tag")
STOP_WORDS = frozenset(
    """i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself
    it its itself they them their theirs themselves what which who whom this that these those am is are was were be
    been being have has had having do does did doing would should could ought a an the and but if or because as until
    while of at by for with about against between into through during before after above below to from up down in out
    on off over under again further then once here there when where why how all any both each few more most other
    some such no nor not only own same so than too very""".split()  # noqa: SIM905 - a hundred quoted words read worse
)


class Naive(Baseline):
    name = "naive FTS5 + vec0 + RRF"
    packages = ("apsw", "sqlite-vec")
    processes = True
    threads = "own"

    @classmethod
    def imports(cls) -> None:
        import apsw  # noqa: F401
        import sqlite_vec  # noqa: F401

    def __init__(self, path: Path) -> None:
        import apsw
        import sqlite_vec

        path.mkdir(parents=True, exist_ok=True)
        self.db = db = apsw.Connection(str(path / "passages.db"))
        db.enable_load_extension(True)
        db.load_extension(sqlite_vec.loadable_path())
        db.set_busy_timeout(30_000)
        db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
        columns = ", ".join(f"{name} {'TEXT' if name == 'tag' else 'INTEGER'}" for name in FIELDS)
        db.execute(f"CREATE TABLE IF NOT EXISTS passages (n INTEGER PRIMARY KEY, id TEXT UNIQUE, text TEXT, {columns})")
        for name in FIELDS[:4]:
            db.execute(f"CREATE INDEX IF NOT EXISTS by_{name} ON passages ({name})")
        db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, tokenize='porter unicode61')")
        db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS vectors USING vec0(v float[384] distance_metric=cosine)")

    def add(self, ids: Sequence[str], texts: Sequence[str], vectors: Vector, metadata: Sequence[Fields]) -> None:
        with self.db:
            first = self.db.execute("SELECT coalesce(max(n), 0) + 1 FROM passages").fetchone()[0]
            result = enumerate(zip(ids, texts, metadata, strict=True), first)
            rows = [(n, id_, text, *(fields[name] for name in FIELDS)) for n, (id_, text, fields) in result]
            self.db.executemany("INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self.db.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", [(row[0], row[2]) for row in rows])
            pairs = [(n, vector.tobytes()) for n, vector in enumerate(vectors, first)]
            self.db.executemany("INSERT INTO vectors (rowid, v) VALUES (?, ?)", pairs)

    def words(self, text: str) -> list[str]:
        return list(dict.fromkeys(re.findall(r"\w+", text.lower())))

    def matching(self, text: str, limit: int, where: Where) -> list[int]:
        asked = " OR ".join(f'"{one}"' for one in self.words(text))
        if not asked:
            return []
        condition, values = self.restricted(where)
        # The plus keeps SQLite from asking FTS5 once for each row that passes the filter.
        condition = condition.replace("AND rowid", "AND +rowid")
        sql = f"SELECT rowid FROM words WHERE words MATCH ? {condition} ORDER BY rank LIMIT ?"
        return [n for (n,) in self.db.execute(sql, (asked, *values, limit))]

    def near(self, vector: Vector, limit: int, where: Where) -> list[int]:
        condition, values = self.restricted(where)
        sql = f"SELECT rowid FROM vectors WHERE v MATCH ? AND k = ? {condition} ORDER BY distance"
        return [n for (n,) in self.db.execute(sql, (vector.tobytes(), limit, *values))]

    def restricted(self, where: Where) -> tuple[str, list[int]]:
        """Return the condition on a row's number, and its bindings."""
        if not where:
            return "", []
        conditions = " AND ".join(f"{name} = ?" for name in where)
        return f"AND rowid IN (SELECT n FROM passages WHERE {conditions})", list(where.values())

    def fetched(self, rows: Sequence[Any]) -> list[str]:
        get = "SELECT id, text FROM passages WHERE n = ?"
        return [self.db.execute(get, (row,)).fetchone()[0] for row in rows]

    def search(self, text: str, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        rankings: list[Any] = [self.matching(text, DEPTH, where), self.near(vector, DEPTH, where)]
        return self.fetched(rrf(rankings, limit))

    def keyword(self, text: str, *, limit: int = 10, where: Where = None) -> list[str]:
        return self.fetched(self.matching(text, limit, where))

    def vector(self, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        return self.fetched(self.near(vector, limit, where))

    def close(self) -> None:
        self.db.close()


class NaiveStopped(Naive):
    name = "the same, stop words dropped"

    def words(self, text: str) -> list[str]:
        found = super().words(text)
        return [word for word in found if word not in STOP_WORDS] or found
