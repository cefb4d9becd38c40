"""Milvus Lite through its client: a BM25 function on the text, a dense field, its own hybrid search with RRF.

Its standard analyser with English stop words (the one with a stemmer is not in Milvus Lite); the sparse index is
SPARSE_INVERTED_INDEX with BM25, the dense one FLAT, so exact; 100 candidates a leg, k = 60.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .base import Baseline, Fields, Vector, Where
from .naive import STOP_WORDS

DEPTH = 100
AT_ONCE = 2_000
ANALYSER = {"tokenizer": "standard", "filter": [{"type": "stop", "stop_words": sorted(STOP_WORDS)}]}


class MilvusLite(Baseline):
    name = "Milvus Lite"
    packages = ("pymilvus", "milvus-lite")

    @classmethod
    def imports(cls) -> None:
        import milvus_lite.server_manager  # noqa: F401
        import pyarrow.dataset  # noqa: F401
        import pymilvus  # noqa: F401

    def __init__(self, path: Path) -> None:
        from pymilvus import MilvusClient

        path.mkdir(parents=True, exist_ok=True)
        self.client = MilvusClient(uri=str(path / "passages.db"))
        if not self.client.has_collection("passages"):
            self._make()
        self.client.load_collection("passages")

    def _make(self) -> None:
        from pymilvus import DataType, Function, FunctionType

        schema = self.client.create_schema(auto_id=False)
        schema.add_field("id", DataType.VARCHAR, max_length=64, is_primary=True)
        schema.add_field("text", DataType.VARCHAR, max_length=65_535, enable_analyzer=True, analyzer_params=ANALYSER)
        schema.add_field("dense", DataType.FLOAT_VECTOR, dim=384)
        schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
        for name in ("permille", "percent", "tenth", "half", "year"):
            schema.add_field(name, DataType.INT64)
        schema.add_field("tag", DataType.VARCHAR, max_length=64)
        schema.add_function(Function("bm25", FunctionType.BM25, ["text"], ["sparse"]))
        index = self.client.prepare_index_params()
        index.add_index("dense", index_type="FLAT", metric_type="COSINE")
        index.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
        self.client.create_collection("passages", schema=schema, index_params=index)

    def add(self, ids: Sequence[str], texts: Sequence[str], vectors: Vector, metadata: Sequence[Fields]) -> None:
        result = zip(ids, texts, vectors, metadata, strict=True)
        rows = [{"id": id_, "text": text, "dense": vector, **fields} for id_, text, vector, fields in result]
        for first in range(0, len(rows), AT_ONCE):
            self.client.insert("passages", rows[first : first + AT_ONCE])

    def finish(self) -> None:
        self.client.flush("passages")

    def search(self, text: str, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        from pymilvus import AnnSearchRequest, RRFRanker

        condition = filtered(where)
        legs = [
            AnnSearchRequest([vector], "dense", {"metric_type": "COSINE"}, DEPTH, expr=condition),
            AnnSearchRequest([text], "sparse", {"metric_type": "BM25"}, DEPTH, expr=condition),
        ]
        found = self.client.hybrid_search("passages", legs, RRFRanker(60), limit=limit, output_fields=["text"])
        return [hit["id"] for hit in found[0]]

    def _one(self, query: Any, field: str, limit: int, where: Where) -> list[str]:
        found = self.client.search(
            "passages", [query], anns_field=field, limit=limit, filter=filtered(where) or "", output_fields=["text"]
        )
        return [hit["id"] for hit in found[0]]

    def keyword(self, text: str, *, limit: int = 10, where: Where = None) -> list[str]:
        return self._one(text, "sparse", limit, where)

    def vector(self, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        return self._one(vector, "dense", limit, where)

    def close(self) -> None:
        self.client.close()


def filtered(where: Where) -> str | None:
    return " and ".join(f"{name} == {value}" for name, value in where.items()) if where else None
