"""Two arrays in memory: bm25s for words, one matrix product for vectors, fused by RRF over 100 of each.

No store: all of it is loaded at the start, and a write would mean to index everything again, so there is none. bm25s
with its defaults (Lucene's formula, k1 = 1.5, b = 0.75), English stop words and a stemmer, as it advises; saved and
loaded with its own functions. A filter sets the scores of what does not pass to minus infinity.
The product runs on one thread: on a busy machine two wait for one another, 8 ms or more a query at any size.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .base import Baseline, Fields, Vector, Where, rrf

DEPTH = 100
FIELDS = ("permille", "percent", "tenth", "half")


class Bm25sNumpy(Baseline):
    name = "bm25s + NumPy, in memory"
    packages = ("bm25s", "numpy", "PyStemmer")
    writes = False
    environment: ClassVar[Mapping[str, str]] = {"OPENBLAS_NUM_THREADS": "1"}

    @classmethod
    def imports(cls) -> None:
        import bm25s  # noqa: F401
        import Stemmer  # noqa: F401

    def __init__(self, path: Path) -> None:
        import bm25s
        import Stemmer

        self.bm25s, self.stemmer, self.path = bm25s, Stemmer.Stemmer("english"), path
        self.rows: list[tuple[str, str]] = []
        self.blocks: list[Any] = []
        self.fields: list[Any] = []
        if (path / "vectors.npy").exists():
            self.words = bm25s.BM25.load(str(path / "words"))
            self.vectors = np.load(path / "vectors.npy")
            self.masks = np.load(path / "masks.npy")
            self.rows = json.loads((path / "rows.json").read_text())

    def add(self, ids: Sequence[str], texts: Sequence[str], vectors: Vector, metadata: Sequence[Fields]) -> None:
        self.rows += zip(ids, texts, strict=True)
        self.blocks.append(vectors)
        self.fields += [[fields[name] == 1 for name in FIELDS] for fields in metadata]

    def finish(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self.words = self.bm25s.BM25()
        self.words.index(self._tokens([text for _, text in self.rows]), show_progress=False)
        self.words.save(str(self.path / "words"))
        self.vectors, self.masks = np.concatenate(self.blocks), np.array(self.fields, bool).T.copy()
        np.save(self.path / "vectors.npy", self.vectors)
        np.save(self.path / "masks.npy", self.masks)
        (self.path / "rows.json").write_text(json.dumps(self.rows))

    def _tokens(self, texts: list[str]) -> Any:
        return self.bm25s.tokenize(texts, stopwords="en", stemmer=self.stemmer, show_progress=False)

    def _allowed(self, where: Where) -> Any:
        return self.masks[FIELDS.index(next(iter(where)))] if where else None

    def _matching(self, text: str, limit: int, where: Where) -> list[int]:
        limit = min(limit, len(self.rows))
        allowed = self._allowed(where)
        mask = None if allowed is None else allowed.astype(np.float32)
        found, scores = self.words.retrieve(self._tokens([text]), k=limit, show_progress=False, weight_mask=mask)
        return [row for row, score in zip(found[0].tolist(), scores[0].tolist(), strict=True) if score > 0]

    def _nearest(self, vector: Vector, limit: int, where: Where) -> list[int]:
        limit = min(limit, len(self.rows))
        scores = self.vectors @ vector
        if where:
            scores[~self._allowed(where)] = -np.inf
        best = np.argpartition(scores, -limit)[-limit:]
        ordered = best[np.argsort(-scores[best])]
        return [int(row) for row in ordered if scores[row] > -np.inf]

    def _fetched(self, rows: Sequence[Any]) -> list[str]:
        return [self.rows[row][0] for row in rows]

    def search(self, text: str, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        rankings: list[Any] = [self._matching(text, DEPTH, where), self._nearest(vector, DEPTH, where)]
        return self._fetched(rrf(rankings, limit))

    def keyword(self, text: str, *, limit: int = 10, where: Where = None) -> list[str]:
        return self._fetched(self._matching(text, limit, where))

    def vector(self, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        return self._fetched(self._nearest(vector, limit, where))
