"""An afternoon's script: notes in one table, FTS5 and vec0 beside it, fused by reciprocal rank; a commit a note.

As in baselines/naive.py: FTS5 with `porter unicode61`, the query's distinct words joined by OR, the best 100 by
bm25; vec0 with float32, the nearest 100; RRF with k = 60; WAL and `synchronous = NORMAL`, as the others have them.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from hybridstore.embedders.protocol import Embedder

from .base import ITEMS, Keeper

DEPTH = 100
RRF = 60


class Naive(Keeper):
    title = "naive FTS5 + vec0 + RRF"
    packages = ("apsw", "sqlite-vec")

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        import apsw
        import sqlite_vec

        self._embedder = embedder
        self._db = db = apsw.Connection(str(folder / "notes.db"))
        db.enable_load_extension(True)
        db.load_extension(sqlite_vec.loadable_path())
        db.set_busy_timeout(30_000)
        db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
        db.execute("CREATE TABLE IF NOT EXISTS notes (n INTEGER PRIMARY KEY, text TEXT, kept REAL)")
        db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, tokenize='porter unicode61')")
        vectors = f"vec0(v float[{embedder.dim}] distance_metric=cosine)"
        db.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS vectors USING {vectors}")

    def remember(self, note: str) -> None:
        vector = self._embedder.embed_documents([note])[0]
        with self._db:
            self._db.execute("INSERT INTO notes (text, kept) VALUES (?, ?)", (note, time.time()))
            row = self._db.last_insert_rowid()
            self._db.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (row, note))
            self._db.execute("INSERT INTO vectors (rowid, v) VALUES (?, ?)", (row, vector.tobytes()))

    def recall(self, query: str) -> list[str]:
        vector = self._embedder.embed_query(query)
        words = " OR ".join(f'"{word}"' for word in dict.fromkeys(re.findall(r"\w+", query.lower())))
        matching = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?"
        near = "SELECT rowid FROM vectors WHERE v MATCH ? AND k = ? ORDER BY distance"
        scores: dict[int, float] = {}
        for ranking in (
            self._db.execute(matching, (words, DEPTH)) if words else (),
            self._db.execute(near, (vector.tobytes(), DEPTH)),
        ):
            for rank, (row,) in enumerate(ranking, start=1):
                scores[row] = scores.get(row, 0.0) + 1 / (RRF + rank)
        best = sorted(scores, key=scores.__getitem__, reverse=True)[:ITEMS]
        return [self._db.execute("SELECT text FROM notes WHERE n = ?", (row,)).fetchone()[0] for row in best]

    def close(self) -> None:
        self._db.close()
