"""Another embedder for all chunks: a second generation of vectors filled beside the first, then switched to."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.sqlite import documents, vector
from hybridstore.backends.sqlite.connection import value
from hybridstore.backends.sqlite.revisions import Log
from hybridstore.backends.values import Embedding, Passage
from hybridstore.errors import InputError


def begin(connection: apsw.Connection, embedding: Embedding) -> None:
    """Start building, or go on; what was built for a third embedder goes. Nothing to do for the active one."""
    building = vector.by_state(connection, "building")
    if building is not None and building[1].fingerprint != embedding.fingerprint:
        vector.drop(connection, building[0])
    active = vector.by_state(connection, "active")
    if active is None or active[1].fingerprint != embedding.fingerprint:
        vector.require(connection, embedding, "building")


def pending(connection: apsw.Connection, limit: int) -> list[Passage]:
    """Give chunks that have no vector yet of the embedding being built, or of the active one."""
    number = _target(connection)
    return [] if number is None else documents.passages(connection, vector.missing(connection, number, limit))


def pending_count(connection: apsw.Connection) -> int:
    """Count them."""
    number = _target(connection)
    if number is None:
        return 0
    sql = f"SELECT (SELECT count(*) FROM chunks) - (SELECT count(*) FROM vectors_{number})"
    return int(value(connection, sql))


def fill(
    connection: apsw.Connection, log: Log, embedding: Embedding, chunks: Sequence[int], vectors: NDArray[np.float32]
) -> None:
    """Store vectors (n, dim) for chunks that are still there and have none."""
    building = vector.by_state(connection, "building") is not None
    number = vector.require(connection, embedding, "building" if building else "active")
    sql = f"""SELECT n.value FROM json_each(?) AS n JOIN chunks ON chunk = n.value
              WHERE chunk NOT IN (SELECT chunk FROM vectors_{number})"""
    here = {chunk for (chunk,) in connection.execute(sql, (str(list(chunks)),))}
    kept = [n for n, chunk in enumerate(chunks) if chunk in here]
    vector.write(connection, number, [chunks[n] for n in kept], vectors[kept])
    if not building:
        log.note_all("embedded", [chunks[n] for n in kept])


def switch(connection: apsw.Connection, log: Log) -> bool:
    """Make the embedding being built the active one; False while chunks are pending."""
    if pending_count(connection):
        return False
    building = vector.by_state(connection, "building")
    if building is None:
        raise InputError("no re-embedding is under way; run `hybridstore reembed`")
    active = vector.by_state(connection, "active")
    if active is not None:
        vector.drop(connection, active[0])
    connection.execute("UPDATE embeddings SET state = 'active' WHERE embedding = ?", (building[0],))
    log.restart()  # every vector is another now: followers begin anew
    return True


def _target(connection: apsw.Connection) -> int | None:
    target = vector.by_state(connection, "building") or vector.by_state(connection, "active")
    return target[0] if target else None
