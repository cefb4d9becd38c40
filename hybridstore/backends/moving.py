"""A whole store moved between a file and a server, with the same numbers everywhere: row by row, in one transaction.

Documents, vectors of every embedding, models, triples, the query log, feedback, expectations, sources, folders and
settings are copied as they are; what is derived (keywords, codes) is made anew by the analysis that made it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

import apsw

from hybridstore.backends.batches import in_order
from hybridstore.backends.postgres import check, posting_blocks, schema
from hybridstore.backends.postgres import vector_tables as server_vectors
from hybridstore.backends.postgres.backend import PostgresBackend
from hybridstore.backends.postgres.connection import Connection, rows, value
from hybridstore.backends.postgres.packed import ids
from hybridstore.backends.postgres.translation import translating
from hybridstore.backends.sqlite import keyword_index
from hybridstore.backends.sqlite import vector_tables as file_vectors
from hybridstore.backends.sqlite.backend import SQLiteBackend
from hybridstore.backends.sqlite.checksums import COLUMNS, insertion, set_fact
from hybridstore.backends.sqlite.connection import Connections
from hybridstore.backends.sqlite.file_creation import new_file
from hybridstore.backends.sqlite.schema import embedding_tables
from hybridstore.errors import StoreRefused
from hybridstore.text.analysis_versions import analyser_of

_TABLES = tuple(table for table in COLUMNS if table not in ("meta", "changes"))
# All other bytes on a server are text.
_BLOBS = {("documents", "digest"), ("chunks", "digest"), ("models", "weights"), ("removals", "key")}
_FLAGS = {"disagreed", "promoted", "used"}
_FACTS = ("created", "revision", "analysis", "folders")  # and what was measured of each embedding
_MEASURED = "background"
_COUNTED = {"chunk": "chunks", "embedding": "embeddings", "model": "models", "triple": "triples"}  # with AUTOINCREMENT
_AT_ONCE = 1000  # rows

Progress = Callable[[int, int], None]


def to_server(path: str, url: str, *, key: str | None = None, progress: Progress | None = None) -> int:
    """Copy the store of a file to a new one on a server; return the number of documents.

    Raises StoreRefused where the store on the server holds anything; nothing is left there where this fails.
    """
    with (
        closing(SQLiteBackend(path, key=key, create=False)) as source,
        closing(PostgresBackend(url, language=source.language)) as target,
    ):
        connections = target._connections  # noqa: SLF001 - the rows of both
        with (
            translating(connections),
            source._connections.translated(),  # noqa: SLF001
            source._connections.reading() as there,  # noqa: SLF001
            connections.atomic() as connection,
        ):
            if value(connection, "SELECT EXISTS (SELECT 1 FROM documents) OR EXISTS (SELECT 1 FROM models)"):
                raise StoreRefused(target.location, "it is not empty; name another store to move into")
            for table in _TABLES:
                _write_rows(there, connection, table, progress if table == "documents" else None)
            _write_vectors(there, connection)
            _write_facts(there, connection)
            version = int(value(connection, "SELECT value FROM facts WHERE key = 'analysis'"))
            check.rebuild(connection, None, analyser_of(source.language, version))
        with translating(connections), connections.bare() as connection:
            connection.execute(f"VACUUM ANALYZE {', '.join((*_TABLES, 'postings'))}")
        return target.count()


def _write_rows(there: apsw.Connection, connection: Connection, table: str, progress: Progress | None) -> None:
    names = COLUMNS[table]
    types = dict(
        rows(
            connection,
            "SELECT attname::text, atttypid::regtype::text FROM pg_attribute WHERE attrelid = %s::regclass",
            table,
        )
    )
    made_anew: dict[str, Any] = {"length": 0, "tokens": b""} if table == "chunks" else {}
    columns = (*names, *made_anew)
    ((total,),) = there.execute(f"SELECT count(*) FROM {table}")
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types([types[name] for name in columns])
        for done, row in enumerate(there.execute(f"SELECT {', '.join(names)} FROM {table}"), start=1):
            converted = [_for_server(name, types[name], each) for name, each in zip(names, row, strict=True)]
            copy.write_row((*converted, *made_anew.values()))
            if progress is not None:
                progress(done, total)


def _write_vectors(there: apsw.Connection, connection: Connection) -> None:
    for number, dim in rows(connection, "SELECT embedding, dim FROM embeddings"):
        connection.execute(schema.embedding_tables(number, dim))
        for chunks in _some(there.execute(f"SELECT chunk FROM vectors_{number} ORDER BY chunk")):
            some = [chunk for (chunk,) in chunks]
            server_vectors.write(
                connection, number, some, in_order(*file_vectors.fetch(there, number, dim, some), some)
            )


def _for_server(name: str, kind: str, stored: Any) -> Any:
    if isinstance(stored, str) and kind == "bytea":
        return stored.encode()
    return bool(stored) if name in _FLAGS else stored


def _write_facts(there: apsw.Connection, connection: Connection) -> None:
    facts = dict(there.execute("SELECT key, value FROM meta"))
    kept = {key: fact for key, fact in facts.items() if key in _FACTS or key.startswith(_MEASURED)}
    for key, fact in (kept | {"log_start": facts["revision"]}).items():
        schema.set_fact(connection, key, str(fact))
    counted = dict(there.execute("SELECT name, seq FROM sqlite_sequence"))
    for counter in schema.COUNTERS[:-2]:
        table = _COUNTED.get(counter, counter if counter == "feedback" else f"{counter}s")
        last = counted.get(table) or value(connection, f"SELECT max({counter}) FROM {table}") or 0
        schema.set_fact(connection, f"next_{counter}", str(last + 1))


def to_file(url: str, path: str, *, progress: Progress | None = None) -> int:
    """Copy a store on a server to a new file; return the number of documents. Raises FileRefused where it exists."""
    with closing(PostgresBackend(url, create=False)) as source, new_file(path) as part:
        SQLiteBackend(part, language=source.language).close()
        with (
            translating(source._connections),  # noqa: SLF001
            closing(Connections(part, busy_timeout=0)) as connections,
            source._connections.reading() as there,  # noqa: SLF001
            connections.translated(),
            connections.atomic() as connection,
        ):
            total = value(there, "SELECT count(*) FROM documents")
            _read_rows(there, connection, lambda done: progress and progress(done, total))
            _read_facts(there, connection)
        return int(total)


def _read_rows(there: Connection, connection: apsw.Connection, advance: Callable[[int], object]) -> None:
    for table in _TABLES:
        names = COLUMNS[table]
        done = 0
        for some in _stored(there, table, names):
            converted = [
                tuple(_for_file(table, name, each) for name, each in zip(names, row, strict=True)) for row in some
            ]
            connection.executemany(insertion(table), converted)
            done += len(some)
            if table == "documents":
                advance(done)
    for some in _stored(there, "chunks", ("chunk", "tokens")):
        columns = ((chunk, *map(str.strip, posting_blocks.columns(tokens))) for chunk, tokens in some)
        keyword_index.write(connection, columns)
    for number, dim in rows(there, "SELECT embedding, dim FROM embeddings ORDER BY embedding"):
        for statement in embedding_tables(number, dim):
            connection.execute(statement)
        chunks = ids(there, "chunk", f"FROM vectors_{number}").tolist()
        for first in range(0, len(chunks), _AT_ONCE):
            some_chunks = chunks[first : first + _AT_ONCE]
            vectors = in_order(*server_vectors.fetch(there, number, dim, some_chunks), some_chunks)
            file_vectors.write(connection, number, some_chunks, vectors)


def _stored(there: Connection, table: str, names: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of a table some at a time, in the order of its first column."""
    with closing(there.cursor("moved", scrollable=False)) as cursor:
        cursor.execute(f"SELECT {', '.join(names)} FROM {table} ORDER BY 1, 2", binary=True)
        while some := cursor.fetchmany(_AT_ONCE):
            yield some


def _for_file(table: str, name: str, stored: Any) -> Any:
    if isinstance(stored, bytes) and (table, name) not in _BLOBS:
        return stored.decode()
    return int(stored) if isinstance(stored, bool) else stored


def _read_facts(there: Connection, connection: apsw.Connection) -> None:
    facts = dict(rows(there, "SELECT key, value FROM facts"))
    for key, fact in facts.items():
        if key in _FACTS or key.startswith(_MEASURED):
            set_fact(connection, key, int(fact) if key in ("revision", "analysis") else fact)
    set_fact(connection, "log_start", int(facts["revision"]))
    for counter, table in _COUNTED.items():
        connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        if (last := int(facts[f"next_{counter}"]) - 1) > 0:
            connection.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, last))


def _some(found: Iterable[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for row in found:
        batch.append(row)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
