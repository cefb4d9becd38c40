"""LanceDB's hybrid query with its default reranker (reciprocal rank), twice: without and with a vector index.

Its full-text index with stemming and stop words, as by default; bitmap indexes on the fields, as it advises for
filters; filters before the search; `optimize` after filling. The indexed variant is IVF-PQ with as many partitions as
it chooses, 96 sub-vectors of 4 dimensions, and `refine_factor` 10, as it advises for recall. A reader checks for new
versions at each query (`read_consistency_interval` 0), so that other processes' writes are seen; rows not yet in an
index are searched too, which is its default.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from .base import Baseline, Fields, Vector, Where

FIELDS = ("permille", "percent", "tenth", "half")


class LanceDB(Baseline):
    name = "LanceDB, exact"
    packages = ("lancedb", "pylance", "pyarrow")
    processes = True

    @classmethod
    def imports(cls) -> None:
        import lancedb  # noqa: F401
        import pyarrow as pa  # noqa: F401
        from lancedb.index import FTS  # noqa: F401
        from lancedb.rerankers import RRFReranker  # noqa: F401

    def __init__(self, path: Path) -> None:
        import lancedb
        from lancedb.rerankers import RRFReranker

        self.db = lancedb.connect(str(path), read_consistency_interval=timedelta(0))
        self.reranker = RRFReranker()
        self.table: Any = self.db.open_table("passages") if (path / "passages.lance").exists() else None

    def add(self, ids: Sequence[str], texts: Sequence[str], vectors: Vector, metadata: Sequence[Fields]) -> None:
        import pyarrow as pa

        flat = pa.array(np.ascontiguousarray(vectors).ravel(), pa.float32())
        columns = {
            "id": pa.array(ids),
            "text": pa.array(texts),
            "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
            "year": pa.array([fields["year"] for fields in metadata], pa.int16()),
            "tag": pa.array([fields["tag"] for fields in metadata], pa.string()),
        }
        columns |= {name: pa.array([fields[name] for fields in metadata], pa.int8()) for name in FIELDS}
        if self.table is None:
            self.table = self.db.create_table("passages", pa.table(columns))
        else:
            self.table.add(pa.table(columns))

    def finish(self) -> None:
        from lancedb.index import FTS, Bitmap

        self.table.create_index("text", config=FTS())
        for name in FIELDS:
            self.table.create_index(name, config=Bitmap())
        self.table.optimize()

    def _asked(self, query: Any, limit: int, where: Where) -> list[str]:
        if where:
            query = query.where(" AND ".join(f"{name} = {value}" for name, value in where.items()), prefilter=True)
        return [row["id"] for row in query.select(["id", "text"]).limit(limit).to_list()]

    def _tuned(self, query: Any) -> Any:
        return query

    def search(self, text: str, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        query = self.table.search(query_type="hybrid").vector(vector).text(worded(text)).distance_type("cosine")
        return self._asked(self._tuned(query).rerank(self.reranker), limit, where)

    def keyword(self, text: str, *, limit: int = 10, where: Where = None) -> list[str]:
        return self._asked(self.table.search(worded(text), query_type="fts"), limit, where)

    def vector(self, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        return self._asked(self._tuned(self.table.search(vector).distance_type("cosine")), limit, where)


class LanceDBIndexed(LanceDB):
    name = "LanceDB, IVF-PQ"
    exact = False

    def finish(self) -> None:
        from lancedb.index import IvfPq

        self.table.create_index("vector", config=IvfPq(distance_type="cosine", num_sub_vectors=96))
        super().finish()

    def _tuned(self, query: Any) -> Any:
        return query.refine_factor(10)


def worded(text: str) -> str:
    """Leave a query's words and no punctuation, which its parser could take for syntax."""
    return " ".join(re.findall(r"\w+", text))
