"""Qdrant's client in local mode: dense vectors and BM25's sparse ones, fused by its own RRF over 100 of each.

The sparse vectors are what its BM25 model makes (stemmed words without stop words, hashed; term frequencies
saturated with k1 = 1.2, b = 0.75 and a mean length of 256 words; `Modifier.IDF`), made here because the model is
fetched from the network. Local mode keeps all in memory beside its file, has no index, commits each point
by itself, and locks its folder.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .base import Baseline, Fields, Vector, Where
from .naive import STOP_WORDS

DEPTH = 100


class QdrantLocal(Baseline):
    name = "Qdrant, local mode"
    packages = ("qdrant-client",)

    @classmethod
    def imports(cls) -> None:
        import qdrant_client  # noqa: F401
        import Stemmer  # noqa: F401

    def __init__(self, path: Path) -> None:
        import Stemmer
        from qdrant_client import QdrantClient, models

        self.models, self.stem = models, Stemmer.Stemmer("english").stemWord
        # Its warning that 20,000 points are many for local mode is what this row is about.
        self.client = QdrantClient(path=str(path), force_disable_check_same_thread=True)
        if not self.client.collection_exists("passages"):
            self.client.create_collection(
                "passages",
                vectors_config={"dense": models.VectorParams(size=384, distance=models.Distance.COSINE)},
                sparse_vectors_config={"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF)},
            )
            self.count = 0
        else:
            self.count = self.client.count("passages").count

    def _counted(self, text: str) -> Counter[int]:
        words = (word for word in re.findall(r"\w+", text.lower()) if word not in STOP_WORDS)
        return Counter(zlib.crc32(self.stem(word).encode()) for word in words)

    def _sparse(self, text: str, *, query: bool = False) -> Any:
        counts = self._counted(text)
        length = counts.total()
        weights = [1.0 if query else n * 2.2 / (n + 1.2 * (0.25 + 0.75 * length / 256)) for n in counts.values()]
        return self.models.SparseVector(indices=list(counts), values=weights)

    def add(self, ids: Sequence[str], texts: Sequence[str], vectors: Vector, metadata: Sequence[Fields]) -> None:
        points = [
            self.models.PointStruct(
                id=n,
                vector={"dense": vector.tolist(), "bm25": self._sparse(text)},
                payload={"id": id_, "text": text, **fields},
            )
            for n, (id_, text, vector, fields) in enumerate(zip(ids, texts, vectors, metadata, strict=True), self.count)
        ]
        self.count += len(points)
        for first in range(0, len(points), 1_000):
            self.client.upsert("passages", points[first : first + 1_000])

    def _asked(self, limit: int, **asked: Any) -> list[str]:
        found = self.client.query_points("passages", limit=limit, with_payload=True, **asked).points
        return [point.payload["id"] for point in found if point.payload]

    def _filter(self, where: Where) -> Any:
        models = self.models
        if not where:
            return None
        return models.Filter(
            must=[models.FieldCondition(key=key, match=models.MatchValue(value=v)) for key, v in where.items()]
        )

    def search(self, text: str, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        models, condition = self.models, self._filter(where)
        legs = [
            models.Prefetch(query=vector.tolist(), using="dense", limit=DEPTH, filter=condition),
            models.Prefetch(query=self._sparse(text, query=True), using="bm25", limit=DEPTH, filter=condition),
        ]
        return self._asked(limit, prefetch=legs, query=models.FusionQuery(fusion=models.Fusion.RRF))

    def keyword(self, text: str, *, limit: int = 10, where: Where = None) -> list[str]:
        query = self._sparse(text, query=True)
        return self._asked(limit, query=query, using="bm25", query_filter=self._filter(where))

    def vector(self, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        return self._asked(limit, query=vector.tolist(), using="dense", query_filter=self._filter(where))

    def close(self) -> None:
        self.client.close()
