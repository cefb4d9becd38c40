"""Re-embedding: a second generation of vectors is filled beside the first, then switched to."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.sqlite import document_rows, model_rows, vector_tables
from hybridstore.backends.sqlite.change_log import Log
from hybridstore.backends.sqlite.checksums import change
from hybridstore.backends.values import Embedding, Passage, check_new_leg
from hybridstore.errors import InputError


def begin(connection: apsw.Connection, embedding: Embedding) -> None:
    """Start or continue building vectors of an embedder; see the protocol."""
    active, building, kept = (vector_tables.by_state(connection, state) for state in ("active", "building", "kept"))
    if building is not None and building[1].fingerprint != embedding.fingerprint:
        vector_tables.drop(connection, building[0])
        building = None
    if active is not None and active[1].fingerprint == embedding.fingerprint:
        return
    there = vector_tables.of_leg(connection, embedding.fingerprint) or kept
    if building is None and there is not None and there[1].fingerprint == embedding.fingerprint:
        vector_tables.forget_calibration(connection, there[0])
        _set_state(connection, there[0], "building")
    vector_tables.require(connection, embedding, "building")


def add_leg(connection: apsw.Connection, embedding: Embedding) -> None:
    """Add a vector leg; see the protocol."""
    there = vector_tables.embeddings(connection)
    check_new_leg(there, embedding)
    for state in ("building", "kept"):
        found = vector_tables.by_state(connection, state)
        if found is not None and found[1] == embedding:
            _set_state(connection, found[0], "added")
            return
    if embedding.fingerprint not in {each.fingerprint for each in there.added}:
        vector_tables.make(connection, embedding, "added")


def drop_leg(connection: apsw.Connection, fingerprint: str) -> bool:
    """Remove an added leg; return whether it was there."""
    leg = vector_tables.of_leg(connection, fingerprint)
    if leg is not None:
        vector_tables.drop(connection, leg[0])
    return leg is not None


def pending(connection: apsw.Connection, limit: int, leg: str | None = None) -> list[Passage]:
    """Return chunks that have no vector yet of the embedding being built, or of the active one, or of a leg."""
    number = _target(connection, leg)
    return (
        [] if number is None else document_rows.passages(connection, vector_tables.missing(connection, number, limit))
    )


def pending_count(connection: apsw.Connection, leg: str | None = None) -> int:
    """Return the number of those chunks."""
    number = _target(connection, leg)
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
    if (leg := vector_tables.of_leg(connection, embedding.fingerprint)) is not None:
        number = leg[0]
    else:
        number = vector_tables.require(connection, embedding, "building" if building else "active")
    sql = f"""SELECT n.value FROM json_each(?) AS n JOIN chunks ON chunk = n.value
              WHERE chunk NOT IN (SELECT chunk FROM vectors_{number})"""
    here = {chunk for (chunk,) in connection.execute(sql, (str(list(chunks)),))}
    accepted = [n for n, chunk in enumerate(chunks) if chunk in here]
    vector_tables.write(connection, number, [chunks[n] for n in accepted], vectors[accepted])
    if not building or leg is not None:
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


def _target(connection: apsw.Connection, leg: str | None = None) -> int | None:
    if leg is not None:
        added = vector_tables.of_leg(connection, leg)
        return added[0] if added else None
    target = vector_tables.by_state(connection, "building") or vector_tables.by_state(connection, "active")
    return target[0] if target else None
