"""The schema that a file has, compared with the one that a store of its version has, before any of it is used.

A file may come from anyone. A trigger, a view in the place of a table, a CHECK, an index or a column with an expression
would run on our own statements, so a file with more than a store has, or with something else, is refused.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import apsw
import sqlite_vec

from hybridstore.backends.sqlite.schema import SCHEMA_VERSION, embedding_tables, tables_of_version
from hybridstore.backends.values import MOST_LEGS
from hybridstore.errors import FileDamaged, FileRefused

MOST_DIMENSIONS = 8192  # sqlite-vec's own limit
_MOST_EMBEDDINGS = 3 + MOST_LEGS  # one in each state, and the legs
_LONGEST = 100_000  # bytes of a row of the schema; ours have up to 600
_MOST_STEPS = 200_000  # of SQLite's virtual machine; our schema takes 2,000
_SECONDS = 5.0
_AROUND = re.compile(r" ?([(),]) ?")
_BETWEEN = 1_000  # steps between two looks at the clock

Schema = Mapping[str, tuple[str, str, str]]
"""Name -> type, the table it belongs to, and its SQL without needless spaces."""


def load_vectors(connection: apsw.Connection) -> None:
    """Load sqlite-vec into a connection."""
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.enable_load_extension(False)


def harden(connection: apsw.Connection) -> None:
    """Let a connection run nothing that a file brings along; call it before the first statement."""
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)


def inspect(connection: apsw.Connection, path: str) -> None:
    """Raise FileRefused for a file whose schema holds more than a store's or something else, FileDamaged for less.

    An index may be missing: `check` reports and restores it. An empty file passes, and one that is too new, which is
    refused elsewhere.
    """
    try:
        with _bounded(connection):
            version, found, embeddings = _read(connection)
    except apsw.InterruptError as error:
        raise FileDamaged(path, "its schema cannot be read in reasonable time") from error
    except apsw.TooBigError as error:
        raise FileRefused(path, "its schema is far larger than a store's; it was left unchanged") from error
    if (not version and not found) or version > SCHEMA_VERSION:
        return
    wanted = expected(version, embeddings) if version > 0 else {}
    for foreign in _foreign(found, wanted):
        raise FileRefused(path, f"{foreign}{_LEFT}")
    if missing := sorted(name for name, (kind, *_) in wanted.items() if kind != "index" and name not in found):
        raise FileDamaged(path, f"its table {missing[0]} is missing")


def differences(connection: apsw.Connection) -> tuple[list[str], list[str], list[str]]:
    """Return sentences about what a file should not have, its missing tables, and the SQL of its missing indexes."""
    version, found, embeddings = _read(connection)
    wanted = expected(version, embeddings)
    missing = [(kind, name, sql) for name, (kind, _, sql) in wanted.items() if name not in found]
    tables = [name for kind, name, _ in missing if kind != "index"]
    return list(_foreign(found, wanted)), tables, [sql for kind, _, sql in missing if kind == "index"]


def _foreign(found: Schema, wanted: Schema) -> Iterator[str]:
    for name, entry in found.items():
        if name not in wanted:
            yield f"it has the {entry[0]} {_shown(name)}, which is not part of a store"
        elif entry != wanted[name]:
            yield f"its {entry[0]} {_shown(name)} is not that of a store"


_LEFT = (
    "; it was left unchanged. If you added it yourself, take it away with the tool that you used; if the file is not "
    "yours, do not trust it"
)


@lru_cache(maxsize=16)
def expected(version: int, embeddings: tuple[tuple[int, int], ...]) -> Schema:
    """Return the schema of a store of this version with these embeddings, each as (number, dimensions)."""
    connection = apsw.Connection(":memory:")
    try:
        load_vectors(connection)
        connection.execute(tables_of_version(version))
        for number, dim in embeddings:
            for statement in embedding_tables(number, dim, version):
                connection.execute(statement)
        return schema(connection)
    finally:
        connection.close()


def schema(connection: apsw.Connection) -> Schema:
    """Return the schema that a connection's file has."""
    found: list[Any] = connection.execute("SELECT type, name, tbl_name, sql FROM main.sqlite_schema").fetchall()
    return {str(name): (str(kind), str(table), _normal(str(sql))) for kind, name, table, sql in found}


def _normal(sql: str) -> str:
    """Return SQL without the spaces in which a migrated file differs from a new one."""
    return _AROUND.sub(r"\1", " ".join(sql.split()))


def _read(connection: apsw.Connection) -> tuple[int, Schema, tuple[tuple[int, int], ...]]:
    """Return the version, the schema and the embeddings of one state of the file."""
    inside = connection.in_transaction  # of a check, which sees one state already
    if not inside:
        connection.execute("BEGIN")
    try:
        version: Any = connection.execute("PRAGMA user_version").fetchone()
        found = schema(connection)
        embeddings: list[Any] = []
        if found.get("embeddings", ("",))[0] == "table" and 0 < version[0] <= SCHEMA_VERSION:
            sql = f"SELECT embedding, dim FROM main.embeddings LIMIT {_MOST_EMBEDDINGS + 1}"
            embeddings = connection.execute(sql).fetchall()
    finally:
        if not inside:
            connection.execute("ROLLBACK")
    for row in embeddings:
        if not all(isinstance(number, int) for number in row) or not 0 < row[1] <= MOST_DIMENSIONS:
            raise apsw.CorruptError(f"an embedding has the number and the dimensions {row}")
    if len(embeddings) > _MOST_EMBEDDINGS:
        raise apsw.CorruptError(f"there are more than {_MOST_EMBEDDINGS} embeddings")
    return version[0], found, tuple(sorted(embeddings))


@contextmanager
def _bounded(connection: apsw.Connection) -> Iterator[None]:
    """Bound the time and the memory that the statements of the block may take."""
    deadline, steps = time.monotonic() + _SECONDS, 0

    def too_much() -> bool:
        nonlocal steps
        steps += _BETWEEN
        return steps > _MOST_STEPS or time.monotonic() > deadline

    limits = (apsw.SQLITE_LIMIT_LENGTH, apsw.SQLITE_LIMIT_SQL_LENGTH)
    before = [connection.limit(limit, _LONGEST) for limit in limits]
    connection.set_progress_handler(too_much, _BETWEEN)
    try:
        yield
    finally:
        connection.set_progress_handler(None)
        for limit, value in zip(limits, before, strict=True):
            connection.limit(limit, value)


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 60 else f"{name[:60]}…")
