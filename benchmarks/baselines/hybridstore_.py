"""hybridstore with its defaults: hybrid search of both legs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .base import Baseline, Fields, Vector, Where


class Hybridstore(Baseline):
    name = "hybridstore"
    packages = ("hybridstore", "apsw", "sqlite-vec", "numkong", "numpy")
    processes = True

    @classmethod
    def imports(cls) -> None:
        import hybridstore
        import hybridstore.backends.sqlite

        _ = hybridstore.open, hybridstore.backends.sqlite.SQLiteBackend  # loaded on first use otherwise

    def __init__(self, path: Path) -> None:
        import hybridstore as hs

        path.mkdir(parents=True, exist_ok=True)
        self.store = hs.open(path / "passages.db")

    def add(self, ids: Sequence[str], texts: Sequence[str], vectors: Vector, metadata: Sequence[Fields]) -> None:
        from hybridstore import Document

        result = zip(ids, texts, metadata, strict=True)
        documents = [Document(id=id_, text=text, metadata=dict(fields)) for id_, text, fields in result]
        self.store.add(documents, vectors=vectors)

    def search(self, text: str, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        return [hit.document_id for hit in self.store.search(text, vector=vector, limit=limit, where=where)]

    def keyword(self, text: str, *, limit: int = 10, where: Where = None) -> list[str]:
        return [hit.document_id for hit in self.store.search(text, mode="keyword", limit=limit, where=where)]

    def vector(self, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        found = self.store.search("-", mode="vector", vector=vector, limit=limit, where=where)
        return [hit.document_id for hit in found]

    def close(self) -> None:
        self.store.close()
