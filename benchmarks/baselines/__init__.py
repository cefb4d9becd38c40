"""The baselines, one file each; `by_name` imports only the one requested."""

from __future__ import annotations

from importlib import import_module

from .base import Baseline

# name: (module, class). The order is that of the tables.
NAMES = {
    "hybridstore": ("hybridstore_", "Hybridstore"),
    "naive": ("naive", "Naive"),
    "naive-stopped": ("naive", "NaiveStopped"),
    "vstash": ("vstash_", "Vstash"),
    "lancedb": ("lancedb_", "LanceDB"),
    "lancedb-ivfpq": ("lancedb_", "LanceDBIndexed"),
    "txtai": ("txtai_", "Txtai"),
    "duckdb": ("duckdb_", "DuckDB"),
    "milvus-lite": ("milvus_lite_", "MilvusLite"),
    "qdrant-local": ("qdrant_local", "QdrantLocal"),
    "chroma": ("chroma_", "Chroma"),
    "tantivy-usearch": ("tantivy_usearch", "TantivyUsearch"),
    "bm25s-numpy": ("bm25s_numpy", "Bm25sNumpy"),
}
# Those on a server, which benchmarks/server_speed.py runs.
SERVERS = {
    "postgres": ("postgres_", "Postgres"),
    "postgres-alone": ("postgres_", "PostgresAlone"),
    "pgvector": ("postgres_", "Pgvector"),
    "pgvector-all": ("postgres_", "PgvectorAll"),
}


def by_name(name: str) -> type[Baseline]:
    """Return a baseline's class. Its module imports the baseline's packages only when it is used."""
    module, kind = (NAMES | SERVERS)[name]
    found: type[Baseline] = getattr(import_module(f"{__name__}.{module}"), kind)
    return found
