"""The vector leg: exact float32 vectors in plain rows, int8 codes in sqlite-vec to scan, one set an embedding."""

from __future__ import annotations

import json
from collections.abc import Sequence

import apsw
import numpy as np
import sqlite_vec  # noqa: F401 - vec0 and vec_int8 come from it
from numpy.typing import NDArray

from hybridstore.backends.base import Embedding
from hybridstore.backends.sqlite.schema import embedding_tables
from hybridstore.errors import EmbedderMismatch, InputError
from hybridstore.records import Ranking

# Codes order chunks almost as the exact vectors do; this many more candidates than wanted are scored exactly.
# Recall@10 and @100 against float32 on 384-dimensional sentence vectors were 1.000 with it.
_RESCORED = 1.5
_MOST_CANDIDATES = 4096  # vec0's own limit on k
_FLOAT = np.dtype("<f4")


def quantise(vectors: NDArray[np.float32]) -> NDArray[np.int8]:
    """Scale each vector of (n, dim) to fill -127..127 and round; cosine does not see the scale."""
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0.0)
    largest[largest == 0.0] = 1.0
    return np.rint(vectors * (127.0 / largest)).astype(np.int8)


def by_state(connection: apsw.Connection, state: str) -> tuple[int, Embedding] | None:
    """Give the "active" or "building" embedding with its number."""
    sql = "SELECT embedding, fingerprint, reference, dim FROM embeddings WHERE state = ?"
    row = connection.execute(sql, (state,)).fetchone()
    return None if row is None else (row[0], Embedding(*row[1:]))


def require(connection: apsw.Connection, wanted: Embedding, state: str = "active") -> int:
    """Give the number of the embedding in this state, recording it if there is none.

    Raises EmbedderMismatch when it is another embedder's, InputError when only the length differs.
    """
    found = by_state(connection, state)
    if found is None:
        return _make(connection, wanted, state)
    number, embedding = found
    if embedding.fingerprint != wanted.fingerprint:
        raise EmbedderMismatch(embedding.fingerprint, wanted.fingerprint)
    if embedding.dim != wanted.dim:
        raise InputError(f"the file's vectors have {embedding.dim} dimensions, these have {wanted.dim}")
    return number


def _make(connection: apsw.Connection, embedding: Embedding, state: str) -> int:
    connection.execute(
        "INSERT INTO embeddings (fingerprint, reference, dim, state) VALUES (?, ?, ?, ?)",
        (embedding.fingerprint, embedding.reference, embedding.dim, state),
    )
    number = int(connection.last_insert_rowid())
    for statement in embedding_tables(number, embedding.dim):
        connection.execute(statement)
    return number


def drop(connection: apsw.Connection, number: int) -> None:
    """Forget an embedding and its vectors."""
    connection.execute(f"DROP TABLE codes_{number}")
    connection.execute(f"DROP TABLE vectors_{number}")
    connection.execute("DELETE FROM embeddings WHERE embedding = ?", (number,))


def write(connection: apsw.Connection, number: int, chunks: Sequence[int], vectors: NDArray[np.float32]) -> None:
    """Store vectors (n, dim) of unit norm with their codes."""
    exact = np.ascontiguousarray(vectors, dtype=_FLOAT)
    connection.executemany(
        f"INSERT INTO vectors_{number} VALUES (?, ?)",
        [(chunk, exact[n].tobytes()) for n, chunk in enumerate(chunks)],
    )
    write_codes(connection, number, chunks, exact)


def write_codes(connection: apsw.Connection, number: int, chunks: Sequence[int], vectors: NDArray[np.float32]) -> None:
    """Store the codes alone."""
    codes = quantise(vectors)
    connection.executemany(
        f"INSERT INTO codes_{number} (rowid, code) VALUES (?, vec_int8(?))",
        [(chunk, codes[n].tobytes()) for n, chunk in enumerate(chunks)],
    )


def remove(connection: apsw.Connection, chunks: Sequence[int]) -> None:
    """Remove chunks' vectors and codes from every embedding."""
    for (number,) in connection.execute("SELECT embedding FROM embeddings").fetchall():
        for table, key in ((f"vectors_{number}", "chunk"), (f"codes_{number}", "rowid")):
            connection.executemany(f"DELETE FROM {table} WHERE {key} = ?", [(chunk,) for chunk in chunks])


def nearest(
    connection: apsw.Connection,
    vector: NDArray[np.float32],
    depth: int,
    condition: str,
    bindings: Sequence[object],
) -> Ranking:
    """Rank chunks by exact cosine to the query among those whose id passes the condition ("" for all)."""
    active = by_state(connection, "active")
    if active is None or depth < 1:
        return Ranking(np.empty(0, np.int64), np.empty(0, np.float64))
    number, embedding = active
    if vector.shape != (embedding.dim,):
        raise InputError(f"the query vector has shape {vector.shape}; the file's vectors have {embedding.dim} dimensions")
    candidates = min(int(depth * _RESCORED), _MOST_CANDIDATES)
    rows = connection.execute(
        f"""SELECT rowid FROM codes_{number} WHERE code MATCH vec_int8(?) AND k = ?
            {f"AND rowid IN ({condition})" if condition else ""}""",
        (quantise(vector[None, :]).tobytes(), candidates, *bindings),
    )
    chunks, exact = fetch(connection, number, embedding.dim, [chunk for (chunk,) in rows])
    scores = (exact @ vector).astype(np.float64)
    order = np.lexsort((chunks, -scores))[:depth]
    return Ranking(chunks[order], scores[order])


def fetch(
    connection: apsw.Connection, number: int, dim: int, chunks: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Give the exact vectors of chunks: ids (n,) ascending, vectors (n, dim); chunks without one are left out."""
    sql = f"SELECT chunk, vector FROM vectors_{number} WHERE chunk IN (SELECT value FROM json_each(?)) ORDER BY chunk"
    rows = connection.execute(sql, (json.dumps(chunks),)).fetchall()
    vectors = np.frombuffer(b"".join(vector for _, vector in rows), dtype=_FLOAT).reshape(-1, dim)
    return np.array([chunk for chunk, _ in rows], dtype=np.int64), vectors
