"""Chroma's persistent client: its HNSW index with cosine distance and default settings.

It has no keyword ranking on one machine, so `search` is its vector search alone: the row says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .base import Baseline, Fields, Vector, Where

AT_ONCE = 5_000  # it takes at most about 5,400 at once


class Chroma(Baseline):
    name = "Chroma (vectors only)"
    packages = ("chromadb",)
    exact = False
    hybrid = False
    legs = ("vector",)

    @classmethod
    def imports(cls) -> None:
        import chromadb  # noqa: F401

    def __init__(self, path: Path) -> None:
        import chromadb
        from chromadb.config import Settings

        path.mkdir(parents=True, exist_ok=True)
        client = chromadb.PersistentClient(str(path), settings=Settings(anonymized_telemetry=False))
        space: Any = {"hnsw": {"space": "cosine"}}
        self.passages = client.get_or_create_collection("passages", configuration=space, embedding_function=None)

    def add(self, ids: Sequence[str], texts: Sequence[str], vectors: Vector, metadata: Sequence[Fields]) -> None:
        for first in range(0, len(ids), AT_ONCE):
            some = slice(first, first + AT_ONCE)
            self.passages.add(
                list(ids[some]),
                embeddings=vectors[some],
                documents=list(texts[some]),
                metadatas=[dict(fields) for fields in metadata[some]],
            )

    def search(self, text: str, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:  # noqa: ARG002 - see above
        return self.vector(vector, limit=limit, where=where)

    def vector(self, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        asked: Any = dict(where) if where else None
        found = self.passages.query(query_embeddings=[vector], n_results=limit, where=asked, include=["documents"])
        return list(found["ids"][0])
