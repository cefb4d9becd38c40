"""What is left of removed documents, queries and expectations: rows without text, by which merges know of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from hybridstore.backends.batches import timestamp
from hybridstore.backends.postgres.connection import Connection, many, rows
from hybridstore.backends.versions import NOTHING, Removal, purged_with, removal_key, told_after


def read(connection: Connection, keys: Collection[bytes] | None = None) -> dict[bytes, Removal]:
    """Return the removals of these keys, or all."""
    condition, values = ("true", []) if keys is None else ("key = ANY(%s::bytea[])", [list(keys)])
    found = rows(connection, f"SELECT key, version, purges FROM removals WHERE {condition}", *values)
    return {key: Removal(version, purges) for key, version, purges in found}


def of_documents(connection: Connection, ids: Iterable[str]) -> dict[bytes, Removal]:
    """Return the removals that tell of these documents."""
    return read(connection, [removal_key(each) for id_ in ids for each in purged_with(id_)])


def write(connection: Connection, removals: Mapping[bytes, Removal]) -> None:
    """Write removals in place of what is there; one that says nothing any more goes."""
    gone = [key for key, removal in removals.items() if removal == NOTHING]
    if gone:
        connection.execute("DELETE FROM removals WHERE key = ANY(%s::bytea[])", (gone,))
    statement = """INSERT INTO removals VALUES (%s, %s, %s)
                   ON CONFLICT (key) DO UPDATE SET version = excluded.version, purges = excluded.purges"""
    many(connection, statement, [(k, each.version, each.purges) for k, each in removals.items() if each != NOTHING])


def join(connection: Connection, removals: Mapping[bytes, Removal]) -> None:
    """Write removals, where they are later than what is there."""
    if removals:
        there = read(connection, removals.keys())
        write(connection, {key: there.get(key, NOTHING) | removal for key, removal in removals.items()})


def forget(connection: Connection, told: Mapping[bytes, str]) -> None:
    """Record that what was told, by its key, is forgotten: what another store has of it from before stays away."""
    join(connection, {key: Removal(max(timestamp(), at)) for key, at in told.items()})


def told_at(connection: Connection, *keys: bytes) -> str:
    """Return the time for something that is told now."""
    return told_after(read(connection, keys).values())
