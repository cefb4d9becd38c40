"""txtai with `hybrid` and `content` on; an external function looks its vectors up.

Faiss is its default index (cells of vectors above 5,000 rows, so approximate), its BM25 index and SQLite beside it.
Filters are conditions in its SQL; they are applied to the candidates of the search, 1,000 of them here, so that a
rare value is not filtered away at once. It has no query of one leg alone; what stands for them are weights of 1 and
0, and both are computed all the same. A write is an `upsert` and a `save`: without it, nothing outlives the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .base import Baseline, Fields, Vector, Where

CANDIDATES = 1_000
NOTHING = np.full(384, 384**-0.5, np.float32)  # where the keyword leg is asked for: its weight is 0


class Txtai(Baseline):
    name = "txtai"
    packages = ("txtai", "faiss-cpu", "torch")
    exact = False
    threads = "own"  # one object in two threads ends the process

    @classmethod
    def imports(cls) -> None:
        from txtai import Embeddings  # noqa: F401

    def __init__(self, path: Path) -> None:
        from txtai import Embeddings

        self.path, self.given = path, dict[str, Vector]()

        def given(texts: Sequence[str]) -> list[Vector]:
            return [self.given.get(text, NOTHING) for text in texts]

        self.config = {"method": "external", "transform": given}
        self.embeddings: Any = Embeddings(**self.config, hybrid=True, content=True)
        self.empty = not (path / "config.json").exists() and not (path / "config").exists()
        if not self.empty:
            self.embeddings.load(str(path), config=self.config)

    def add(self, ids: Sequence[str], texts: Sequence[str], vectors: Vector, metadata: Sequence[Fields]) -> None:
        self.given = dict(zip(texts, vectors, strict=True))
        rows = [(id_, {"text": text, **fields}) for id_, text, fields in zip(ids, texts, metadata, strict=True)]
        if self.empty:
            self.embeddings.index(rows)
        else:
            self.embeddings.upsert(rows)
        self.empty, self.given = False, {}

    def finish(self) -> None:
        transform = self.embeddings.config.pop("transform")  # a function cannot be saved
        self.embeddings.save(str(self.path))
        self.embeddings.config["transform"] = transform

    def write_one(self, id_: str, text: str, vector: Vector, metadata: Fields) -> None:
        super().write_one(id_, text, vector, metadata)
        self.finish()

    def _asked(self, text: str, vector: Vector | None, weights: float | None, limit: int, where: Where) -> list[str]:
        if vector is not None:
            self.given[text] = vector
        if where:
            conditions = " AND ".join(f"{name} = {value}" for name, value in where.items())
            query = f"SELECT id, text FROM txtai WHERE similar(:asked, {CANDIDATES}) AND {conditions} LIMIT {limit}"
            found = self.embeddings.search(query, limit, weights=weights, parameters={"asked": text})
        else:
            found = self.embeddings.search(text, limit, weights=weights)
        return [row["id"] for row in found]

    def search(self, text: str, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        return self._asked(text, vector, None, limit, where)

    def keyword(self, text: str, *, limit: int = 10, where: Where = None) -> list[str]:
        return self._asked(text, None, 0.0, limit, where)

    def vector(self, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        return self._asked("-", vector, 1.0, limit, where)
