"""What is left of removed documents, queries and expectations: rows without text, by which merges know of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping

import apsw

from hybridstore.backends.batches import timestamp
from hybridstore.backends.sqlite.checksums import insertion
from hybridstore.backends.sqlite.connection import rows, value
from hybridstore.backends.sqlite.stored_values import check_types
from hybridstore.backends.versions import NOTHING, Removal, purged_with, removal_key, told_after

_REPLACING = insertion("removals").replace("INSERT", "INSERT OR REPLACE", 1)
_BY_KEY = "SELECT key, version, purges FROM removals WHERE key IN (SELECT unhex(value) FROM json_each(?))"


def read(connection: apsw.Connection, keys: Collection[bytes] | None = None) -> dict[bytes, Removal]:
    """Return the removals of these keys, or all."""
    if keys is None:
        found = rows(connection, "SELECT key, version, purges FROM removals")
    else:
        found = rows(connection, _BY_KEY, (json.dumps([key.hex() for key in keys]),))
    for row in found:
        check_types(row, "bti")
    return {key: Removal(version, purges) for key, version, purges in found}


def of_documents(connection: apsw.Connection, ids: Iterable[str]) -> dict[bytes, Removal]:
    """Return the removals that tell of these documents."""
    if value(connection, "SELECT 1 FROM removals LIMIT 1") is None:  # nearly always, and cheap to know
        return {}
    return read(connection, [removal_key(each) for id_ in ids for each in purged_with(id_)])


def write(connection: apsw.Connection, removals: Mapping[bytes, Removal]) -> None:
    """Write removals in place of what is there; one that says nothing any more goes."""
    gone = [(key,) for key, removal in removals.items() if removal == NOTHING]
    connection.executemany("DELETE FROM removals WHERE key = ?", gone)
    kept = [(key, each.version, each.purges) for key, each in removals.items() if each != NOTHING]
    connection.executemany(_REPLACING, kept)


def join(connection: apsw.Connection, removals: Mapping[bytes, Removal]) -> None:
    """Write removals, where they are later than what is there."""
    if not removals:
        return
    there = read(connection, removals.keys())
    write(connection, {key: there.get(key, NOTHING) | removal for key, removal in removals.items()})


def forget(connection: apsw.Connection, told: Mapping[bytes, str]) -> None:
    """Record that what was told, by its key, is forgotten: what another store has of it from before stays away."""
    join(connection, {key: Removal(max(timestamp(), at)) for key, at in told.items()})


def told_at(connection: apsw.Connection, *keys: bytes) -> str:
    """Return the time for something that is told now."""
    return told_after(read(connection, keys).values())
