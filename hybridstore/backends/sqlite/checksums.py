"""A checksum in every row of ours, of all its other columns: what notices that a row is not what was written.

SQLite has none in its main file. It is the CRC-32 of the values, each after its type and length, so any program can
compute it; on our connections SQL has it as the function `checksum`. What FTS5 and sqlite-vec keep is compared with
what it was made from instead.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import cache
from zlib import crc32

import apsw

from hybridstore.backends.sqlite.stored_values import whole_number

Value = str | int | float | bytes | None

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "meta": ("key", "value"),
    "documents": ("document", "id", "title", "uri", "format", "source", "changed", "digest", "metadata", "text"),
    "chunks": ("chunk", "document", "position", "start", "stop", "first_byte", "last_byte", "heading", "digest"),
    "embeddings": ("embedding", "fingerprint", "reference", "dim", "state"),
    "sources": ("key", "digest", "size", "modified_ns"),
    "changes": ("revision", "kind", "first", "last"),
    "models": (*("model", "kind", "source", "target", "reference", "state", "made", "previous", "report", "weights"),),
    "triples": ("triple", "kind", "positive", "origin", "score", "disagreed", "promoted", "query"),
    "negatives": ("triple", "position", "chunk", "leg", "score", "excluded"),
    "asked": ("query", "times", "last"),
    "feedback": ("feedback", "chunk", "used", "told", "query"),
    "removals": ("key", "version", "purges"),
    "expectations": ("expectation", "document_id", "within", "made", "query"),
}
VECTOR_COLUMNS = ("chunk", "vector")  # of each table vectors_N


def checksum(*values: Value) -> int:
    """Return the CRC-32 of values, each after a letter for its type and the length of its bytes."""
    total = 0
    for value in values:
        if isinstance(value, str):
            kind, data = b"t", value.encode("utf-8", "surrogatepass")
        elif isinstance(value, bytes):
            kind, data = b"b", value
        elif value is None:
            kind, data = b"n", b""
        elif isinstance(value, float):
            kind, data = b"r", struct.pack("<d", value)
        else:
            kind, data = b"i", b"%d" % value
        total = crc32(data, crc32(b"%b%d:" % (kind, len(data)), total))
    return total


def register(connection: apsw.Connection) -> None:
    """Let the SQL of a connection call `checksum`."""
    connection.create_scalar_function("checksum", checksum, -1, deterministic=True)


@cache
def insertion(table: str, columns: tuple[str, ...] = ()) -> str:
    """Return an INSERT of a whole row with its checksum, whose parameters are the table's columns in their order."""
    parameters = ", ".join(f"?{n}" for n in range(1, len(columns or COLUMNS[table]) + 1))
    return f"INSERT INTO {table} VALUES ({parameters}, checksum({parameters}))"


@cache
def change(table: str, **expressions: str) -> str:
    """Return an UPDATE that sets columns to SQL expressions, and the checksum with them; a WHERE is to follow."""
    summed = ", ".join(expressions.get(column, column) for column in COLUMNS[table])
    set_ = ", ".join(f"{column} = {expression}" for column, expression in expressions.items())
    return f"UPDATE {table} SET {set_}, checksum = checksum({summed})"


def next_number(connection: apsw.Connection, table: str) -> int:
    """Return the number of the next row of a table that counts with AUTOINCREMENT."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return (whole_number(row[0]) if row else 0) + 1


def write_all(connection: apsw.Connection, table: str, columns: tuple[str, ...]) -> None:
    """Write the checksum of every row of a table."""
    connection.execute(f"UPDATE {table} SET checksum = checksum({', '.join(columns)})")


def set_fact(connection: apsw.Connection, key: str, value: Value) -> None:
    """Record a fact about the file in `meta`."""
    connection.execute(insertion("meta").replace("INSERT", "INSERT OR REPLACE", 1), (key, value))


def unset_fact(connection: apsw.Connection, key: str) -> None:
    """Forget a fact about the file."""
    connection.execute("DELETE FROM meta WHERE key = ?", (key,))


def wrong_rows(connection: apsw.Connection, table: str, columns: tuple[str, ...]) -> Iterator[tuple[Value, ...]]:
    """Yield the first two columns of each row whose checksum is another, in the order of the table.

    The stamp that counts commits has none.
    """
    for row in connection.execute(f"SELECT {', '.join(columns)}, checksum FROM {table}"):
        if checksum(*row[:-1]) != row[-1] and not (table == "meta" and row[0] == "stamp"):
            yield row[:2]
