"""DuckDB: its full-text extension, exact cosine over a fixed-size array column, both legs and RRF in one query.

`match_bm25` with its Porter stemmer and English stop words; 100 candidates a leg. Its HNSW index is left out: kept in
a file it is experimental, and its documentation warns of losing data. The full-text index does not follow writes, so
a write makes it anew, as its documentation says.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .base import Baseline, Fields, Vector, Where

DEPTH = 100
FIELDS = ("permille", "percent", "tenth", "half", "year", "tag")


class DuckDB(Baseline):
    name = "DuckDB"
    packages = ("duckdb", "duckdb-extension-fts", "pandas", "pyarrow")
    threads = "own"

    @classmethod
    def imports(cls) -> None:
        import duckdb  # noqa: F401
        import duckdb_extension_fts  # noqa: F401
        import pandas as pd  # noqa: F401 - DuckDB loads it when it is given an array
        import pyarrow as pa  # noqa: F401

    def __init__(self, path: Path) -> None:
        import duckdb

        path.mkdir(parents=True, exist_ok=True)
        self.db = duckdb.connect(str(path / "passages.duckdb"))
        self.db.execute(f"LOAD '{extension()}'")
        columns = ", ".join(f"{name} {'VARCHAR' if name == 'tag' else 'INTEGER'}" for name in FIELDS)
        self.db.execute(
            f"CREATE TABLE IF NOT EXISTS passages (id VARCHAR PRIMARY KEY, text VARCHAR, v FLOAT[384], {columns})"
        )

    def add(self, ids: Sequence[str], texts: Sequence[str], vectors: Vector, metadata: Sequence[Fields]) -> None:
        import pyarrow as pa

        flat = pa.array(vectors.ravel(), pa.float32())
        columns = {"id": pa.array(ids), "text": pa.array(texts), "v": pa.FixedSizeListArray.from_arrays(flat, 384)}
        columns |= {name: pa.array([fields[name] for fields in metadata]) for name in FIELDS}
        given = pa.table(columns)
        self.db.register("given", given)
        self.db.execute("INSERT INTO passages SELECT * FROM given")
        self.db.unregister("given")

    def finish(self) -> None:
        self.db.execute("PRAGMA create_fts_index('passages', 'id', 'text', overwrite = 1)")

    def write_one(self, id_: str, text: str, vector: Vector, metadata: Fields) -> None:
        super().write_one(id_, text, vector, metadata)
        self.finish()

    def search(self, text: str, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        condition, values = restricted(where)
        sql = f"""
            WITH words AS (
                SELECT id, row_number() OVER (ORDER BY score DESC) AS rank FROM (
                    SELECT id, fts_main_passages.match_bm25(id, ?) AS score FROM passages WHERE {condition}
                ) WHERE score IS NOT NULL ORDER BY score DESC LIMIT {DEPTH}
            ), near AS (
                SELECT id, row_number() OVER (ORDER BY score DESC) AS rank FROM (
                    SELECT id, array_cosine_similarity(v, ?::FLOAT[384]) AS score FROM passages WHERE {condition}
                    ORDER BY score DESC LIMIT {DEPTH}
                )
            ), fused AS (
                SELECT id, sum(1 / (60 + rank)) AS score FROM (SELECT * FROM words UNION ALL SELECT * FROM near)
                GROUP BY id ORDER BY score DESC LIMIT {limit}
            )
            SELECT id, text FROM fused JOIN passages USING (id) ORDER BY fused.score DESC"""
        return self._ids(sql, [text, *values, vector, *values])

    def keyword(self, text: str, *, limit: int = 10, where: Where = None) -> list[str]:
        condition, values = restricted(where)
        sql = f"""
            SELECT id, text FROM (
                SELECT id, text, fts_main_passages.match_bm25(id, ?) AS score FROM passages WHERE {condition}
            ) WHERE score IS NOT NULL ORDER BY score DESC LIMIT {limit}"""
        return self._ids(sql, [text, *values])

    def vector(self, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        condition, values = restricted(where)
        sql = f"""
            SELECT id, text FROM passages WHERE {condition}
            ORDER BY array_cosine_similarity(v, ?::FLOAT[384]) DESC LIMIT {limit}"""
        return self._ids(sql, [*values, vector])

    def _ids(self, sql: str, values: list[Any]) -> list[str]:
        return [id_ for id_, _ in self.db.execute(sql, values).fetchall()]

    def close(self) -> None:
        self.db.close()


def restricted(where: Where) -> tuple[str, list[int]]:
    return (" AND ".join(f"{name} = ?" for name in where), list(where.values())) if where else ("TRUE", [])


def extension() -> Path:
    """Return the full-text extension's file from an installed package, which DuckDB itself would download."""
    import duckdb_extension_fts

    folder = Path(duckdb_extension_fts.__file__).parent / "extensions"
    return next(folder.glob("*/fts.duckdb_extension"))
