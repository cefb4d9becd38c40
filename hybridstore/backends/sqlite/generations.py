"""Re-embedding: a second generation of vectors is filled beside the first, then switched to."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.sqlite import document_rows, model_rows, vector_tables
from hybridstore.backends.sqlite.change_log import Log
from hybridstore.backends.sqlite.checksums import change
from hybridstore.backends.values import Embedding, Passage
from hybridstore.errors import InputError


def begin(connection: apsw.Connection, embedding: Embedding) -> None:
    """Start or continue building vectors of an embedder; see the protocol."""
    active, building, kept = (vector_tables.by_state(connection, state) for state in ("active", "building", "kept"))
    if building is not None and building[1].fingerprint != embedding.fingerprint:
        vector_tables.drop(connection, building[0])
        building = None
    if active is not None and active[1].fingerprint == embedding.fingerprint:
        return
    if building is None and kept is not None and kept[1].fingerprint == embedding.fingerprint:
        _set_state(connection, kept[0], "building")
    vector_tables.require(connection, embedding, "building")


def pending(connection: apsw.Connection, limit: int) -> list[Passage]:
    """Return chunks that have no vector yet of the embedding being built, or of the active one."""
    number = _target(connection)
    return (
        [] if number is None else document_rows.passages(connection, vector_tables.missing(connection, number, limit))
    )


def pending_count(connection: apsw.Connection) -> int:
    """Return the number of those chunks."""
    number = _target(connection)
    if number is None:
        return 0
    return len(vector_tables.unembedded(connection, number))


def missing(connection: apsw.Connection) -> NDArray[np.int64]:
    """Return the chunks without a vector of the active embedding; see the protocol."""
    active = vector_tables.by_state(connection, "active")
    return np.empty(0, np.int64) if active is None else vector_tables.unembedded(connection, active[0])


def fill(
    connection: apsw.Connection, log: Log, embedding: Embedding, chunks: Sequence[int], vectors: NDArray[np.float32]
) -> int:
    """Store vectors (n, dim) for chunks that still exist and have none; return how many these are."""
    building = vector_tables.by_state(connection, "building") is not None
    number = vector_tables.require(connection, embedding, "building" if building else "active")
    sql = f"""SELECT n.value FROM json_each(?) AS n JOIN chunks ON chunk = n.value
              WHERE chunk NOT IN (SELECT chunk FROM vectors_{number})"""
    here = {chunk for (chunk,) in connection.execute(sql, (str(list(chunks)),))}
    accepted = [n for n, chunk in enumerate(chunks) if chunk in here]
    vector_tables.write(connection, number, [chunks[n] for n in accepted], vectors[accepted])
    if not building:
        log.note_all("embedded", sorted(chunks[n] for n in accepted))
    return len(accepted)


def switch(connection: apsw.Connection, log: Log, *, keep: bool = False, promote: int | None = None) -> bool:
    """Make the embedding being built the active one; see the protocol."""
    if pending_count(connection):
        return False
    building = vector_tables.by_state(connection, "building")
    if building is None:
        raise InputError("no re-embedding is under way; run `hybridstore reembed`")
    active, kept = (vector_tables.by_state(connection, state) for state in ("active", "kept"))
    if active is not None and keep:
        if kept is not None:
            vector_tables.drop(connection, kept[0])
        _set_state(connection, active[0], "kept")
    elif active is not None:
        vector_tables.drop(connection, active[0])
    _set_state(connection, building[0], "active")
    if promote is not None:
        model_rows.promote(connection, promote)
    model_rows.retire_others(connection, building[1].fingerprint)
    log.restart()  # every vector is different now
    return True


def _set_state(connection: apsw.Connection, number: int, state: str) -> None:
    connection.execute(f"{change('embeddings', state='?1')} WHERE embedding = ?2", (state, number))


def _target(connection: apsw.Connection) -> int | None:
    target = vector_tables.by_state(connection, "building") or vector_tables.by_state(connection, "active")
    return target[0] if target else None
