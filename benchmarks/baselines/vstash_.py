"""vstash's store without its embedder, so that the vectors can be passed in; otherwise with its defaults.

Passages go in with `add_documents_batch` in batch mode with the keyword index deferred, as its documentation advises
for many; each is a document of one chunk. Its searches drop what is far from the best hit and diversify the rest,
which counts against its recall. It filters by tags, so each field that holds becomes one. Where the standard
library's sqlite3 cannot load extensions, and so cannot run vstash, pysqlite3 stands in for it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .base import Baseline, Fields, Vector, Where


class Vstash(Baseline):
    name = "vstash"
    packages = ("vstash", "sqlite-vec", "pysqlite3-binary")
    processes = True

    @classmethod
    def imports(cls) -> None:
        import sqlite3

        if not hasattr(sqlite3.Connection, "enable_load_extension"):
            import pysqlite3

            sys.modules["sqlite3"] = pysqlite3
        from vstash.store import VstashStore  # noqa: F401

    def __init__(self, path: Path) -> None:
        self.imports()
        from vstash.store import VstashStore

        path.mkdir(parents=True, exist_ok=True)
        self.store = VstashStore(str(path / "passages.db"), embedding_dim=384)

    def add(self, ids: Sequence[str], texts: Sequence[str], vectors: Vector, metadata: Sequence[Fields]) -> None:
        documents = [
            {
                "path": id_,
                "title": id_,
                "chunks": [text],
                "embeddings": [vector.tolist()],
                "source_type": "text",
                "tags": ",".join(name for name, value in fields.items() if value == 1),
            }
            for id_, text, vector, fields in zip(ids, texts, vectors, metadata, strict=True)
        ]
        with self.store.batch_mode(defer_fts=len(documents) > 1):
            self.store.add_documents_batch(documents)

    def _search(self, text: str, vector: Vector, limit: int, where: Where, mode: Any) -> list[str]:
        tags = list(where) if where else None
        found = self.store.search(vector.tolist(), text, top_k=limit, tags=tags, retrieval_mode=mode)
        return [hit.path for hit in found]

    def search(self, text: str, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        return self._search(text, vector, limit, where, "hybrid")

    def keyword(self, text: str, *, limit: int = 10, where: Where = None) -> list[str]:
        import numpy as np

        return self._search(text, np.zeros(384, np.float32), limit, where, "fts_only")

    def vector(self, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        return self._search("-", vector, limit, where, "vec_only")

    def close(self) -> None:
        self.store.close()
