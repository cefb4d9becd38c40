"""The vector leg: for each embedding, vectors in plain rows by the file's codec, int8 codes in sqlite-vec to scan."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import apsw
import numpy as np
import sqlite_vec  # noqa: F401 - vec0 and vec_int8 come from it
from numpy.typing import NDArray

from hybridstore.backends.calibrations import calibration_json, usable_calibration
from hybridstore.backends.resident.rescoring import MOST_CANDIDATES
from hybridstore.backends.sqlite.checksums import VECTOR_COLUMNS, change, checksum, insertion, next_number, set_fact
from hybridstore.backends.sqlite.connection import ACTIVE, fact, rows, value
from hybridstore.backends.sqlite.schema import embedding_tables
from hybridstore.backends.sqlite.stored_values import json_lists, json_object, vector_rows
from hybridstore.backends.values import Calibration, Embedding, Embeddings, VectorLeg
from hybridstore.codecs.int8 import encode
from hybridstore.codecs.kept_vectors import CODECS, FLOAT32, codec_for, codec_of
from hybridstore.records import Ranking

_CALIBRATION = "background"  # its key among the facts of the file
CODEC = "codec"
_AT_ONCE = 2_000  # vectors that are read and written together


def by_state(connection: apsw.Connection, state: str) -> tuple[int, Embedding] | None:
    """Return the "active", "building" or "kept" embedding with its number."""
    sql = "SELECT embedding, fingerprint, reference, dim FROM embeddings WHERE state = ?"
    row = connection.execute(sql, (state,)).fetchone()
    return None if row is None else (row[0], Embedding(*row[1:]))


def of_leg(connection: apsw.Connection, leg: str | None) -> tuple[int, Embedding] | None:
    """Return the active embedding with its number, or that of an added leg by its fingerprint."""
    if leg is None:
        return fact(connection, ACTIVE, lambda: by_state(connection, "active"))
    sql = "SELECT embedding, fingerprint, reference, dim FROM embeddings WHERE state = 'added' AND fingerprint = ?"
    row = connection.execute(sql, (leg,)).fetchone()
    return None if row is None else (row[0], Embedding(*row[1:]))


def embeddings(connection: apsw.Connection) -> Embeddings:
    """Return the embeddings there are, by state."""
    found = rows(connection, "SELECT state, fingerprint, reference, dim FROM embeddings ORDER BY embedding")
    states = {state: Embedding(*facts) for state, *facts in found if state != "added"}
    return Embeddings(**states, added=tuple(Embedding(*facts) for state, *facts in found if state == "added"))


def legs(connection: apsw.Connection) -> tuple[VectorLeg, ...]:
    """Return the added legs with what was measured of them."""
    sql = f"""SELECT embedding, fingerprint, reference, dim,
                     (SELECT value FROM meta WHERE key = '{_CALIBRATION} ' || embedding)
              FROM embeddings WHERE state = 'added' ORDER BY embedding"""
    found = []
    for number, *facts, measured in rows(connection, sql):
        embedding = Embedding(*facts)
        count = value(connection, f"SELECT count(*) FROM vectors_{number}")
        calibrated = applicable_calibration(measured, embedding)
        found.append(VectorLeg(embedding=embedding, calibration=calibrated, vectors=count))
    return tuple(found)


def is_searched(connection: apsw.Connection, number: int) -> bool:
    """Return whether an embedding is the active one, or an added leg that was filled and measured."""
    sql = f"""SELECT state = 'active' OR EXISTS (SELECT 1 FROM meta WHERE key = '{_CALIBRATION} ' || embedding)
              FROM embeddings WHERE embedding = ?"""
    return bool(value(connection, sql, (number,)))


def searched_legs(found: str) -> tuple[VectorLeg, ...]:
    """Return the added legs that are searched from JSON: [[fingerprint, reference, dim, calibration], …]."""
    legs = []
    for *facts, measured in json_lists(found, 4):
        embedding = Embedding(*facts)
        if (calibrated := applicable_calibration(measured, embedding)) is not None:
            legs.append(VectorLeg(embedding=embedding, calibration=calibrated))
    return tuple(legs)


def make(connection: apsw.Connection, embedding: Embedding, state: str) -> int:
    """Record an embedding in a state, with tables for its vectors; return its number."""
    number = next_number(connection, "embeddings")
    row = (number, embedding.fingerprint, embedding.reference, embedding.dim, state)
    connection.execute(insertion("embeddings"), row)
    for statement in embedding_tables(number, embedding.dim):
        connection.execute(statement)
    return number


def drop(connection: apsw.Connection, number: int) -> None:
    """Remove an embedding and its vectors."""
    connection.execute(f"DROP TABLE codes_{number}")
    connection.execute(f"DROP TABLE vectors_{number}")
    connection.execute("DELETE FROM embeddings WHERE embedding = ?", (number,))
    forget_calibration(connection, number)


def set_state(connection: apsw.Connection, number: int, state: str) -> None:
    """Make an embedding the one in this state."""
    connection.execute(f"{change('embeddings', state='?1')} WHERE embedding = ?2", (state, number))


def forget_calibration(connection: apsw.Connection, number: int) -> None:
    """Remove what was measured of an added leg's vectors."""
    connection.execute("DELETE FROM meta WHERE key = ?", (f"{_CALIBRATION} {number}",))


def write(connection: apsw.Connection, number: int, chunks: Sequence[int], vectors: NDArray[np.float32]) -> None:
    """Store vectors (n, dim) of unit norm with their codes."""
    codec = codec_for(codec_name(connection), vectors.shape[1])
    kept = codec.encode(vectors)
    connection.executemany(
        insertion(f"vectors_{number}", VECTOR_COLUMNS),
        [(chunk, kept[n].tobytes()) for n, chunk in enumerate(chunks)],
    )
    write_codes(connection, number, chunks, codec.decode(kept.tobytes(), vectors.shape[1]))


def write_codes(connection: apsw.Connection, number: int, chunks: Sequence[int], vectors: NDArray[np.float32]) -> None:
    """Store only the codes. A zero vector gets none: its cosine is NaN, which would break vec0's order."""
    codes = encode(vectors)
    coded = np.flatnonzero(codes.any(axis=1)).tolist()
    connection.executemany(
        f"INSERT INTO codes_{number} (rowid, code) VALUES (?, vec_int8(?))",
        [(chunks[n], codes[n].tobytes()) for n in coded],
    )


def codec_name(connection: apsw.Connection) -> str:
    """Return the name of the codec by which the file keeps vectors."""
    name = value(connection, "SELECT value FROM meta WHERE key = ?", (CODEC,)) or FLOAT32
    if name not in CODECS:
        raise apsw.CorruptError(f"its vectors are kept by {name!r}, which is not a codec")
    return str(name)


def recode(connection: apsw.Connection, name: str, progress: Callable[[int, int], None] | None) -> int:
    """Keep all vectors of every embedding by this codec; return how many were kept by another one."""
    set_fact(connection, CODEC, name)
    others = {
        (number, dim): f"FROM vectors_{number} WHERE octet_length(vector) <> {codec_for(name, dim).size(dim)}"
        for number, dim in rows(connection, "SELECT embedding, dim FROM embeddings")
    }
    total: int = sum(value(connection, f"SELECT count(*) {those}") for those in others.values())
    done = 0
    for (number, dim), those in others.items():
        codec, last = codec_for(name, dim), -1
        sql = f"SELECT chunk, vector, checksum {those} AND chunk > ? ORDER BY chunk LIMIT {_AT_ONCE}"
        while found := rows(connection, sql, (last,)):
            last = found[-1][0]
            before = _as_written(found, dim)
            kept = codec.encode(before)
            after = codec.decode(kept.tobytes(), dim)
            connection.executemany(
                f"UPDATE vectors_{number} SET vector = ?2, checksum = checksum(chunk, ?2) WHERE chunk = ?1",
                [(chunk, kept[n].tobytes()) for n, (chunk, *_) in enumerate(found)],
            )
            # Codes are made of what is kept, so that `check` and a repair find the same ones.
            other = np.flatnonzero((encode(before) != encode(after)).any(axis=1)).tolist()
            chunks = [found[n][0] for n in other]
            connection.executemany(f"DELETE FROM codes_{number} WHERE rowid = ?", [(chunk,) for chunk in chunks])
            write_codes(connection, number, chunks, after[other])
            done += len(found)
            if progress:
                progress(done, total)
    return total


def _as_written(found: Sequence[tuple[int, bytes, int]], dim: int) -> NDArray[np.float32]:
    """Return the vectors of rows (chunk, vector, checksum); a damaged one must not get a checksum that hides it."""
    for chunk, vector, stored in found:
        if checksum(chunk, vector) != stored:
            raise apsw.CorruptError(f"the vector of chunk {chunk} is not what was written")
    vectors = vector_rows([vector for _, vector, _ in found], dim)
    if not np.isfinite(vectors).all():
        raise apsw.CorruptError(f"a vector from chunk {found[0][0]} on has values that are no numbers")
    return vectors


def remove(connection: apsw.Connection, chunks: Sequence[int]) -> None:
    """Remove chunks' vectors and codes from every embedding."""
    for (number,) in connection.execute("SELECT embedding FROM embeddings").fetchall():
        for table, key in ((f"vectors_{number}", "chunk"), (f"codes_{number}", "rowid")):
            connection.executemany(f"DELETE FROM {table} WHERE {key} = ?", [(chunk,) for chunk in chunks])


def scan(  # noqa: PLR0917 - a query, then a condition
    connection: apsw.Connection,
    number: int,
    vector: NDArray[np.float32],
    count: int,
    condition: str,
    bindings: Sequence[object],
) -> Ranking:
    """Rank the `count` chunks nearest by code, through vec0, among ids that pass the condition ("" for all)."""
    nearest = connection.execute(
        f"""SELECT rowid, 1.0 - distance FROM codes_{number} WHERE code MATCH vec_int8(?) AND k = ?
            {f"AND rowid IN ({condition})" if condition else ""}""",
        (encode(vector[None, :]).tobytes(), min(count, MOST_CANDIDATES), *bindings),
    ).fetchall()
    found = np.array(nearest, dtype=np.float64).reshape(-1, 2)
    return Ranking(found[:, 0].astype(np.int64), found[:, 1])


def exact(connection: apsw.Connection, number: int, dim: int, chunks: Sequence[int]) -> NDArray[np.float32]:
    """Return the kept vectors (n, dim) of chunks that all have one.

    They come as one value: a row or a blob each takes half as long again, and lets other threads of Python in between
    so often that two threads are hardly faster than one.
    """
    if not chunks:
        return np.empty((0, dim), np.float32)
    wanted = ",".join(map(str, chunks))
    sql = f"""SELECT CAST(group_concat(vector, '') AS BLOB), group_concat(chunk),
                     min(octet_length(vector)), max(octet_length(vector))
              FROM json_each(?1) CROSS JOIN vectors_{number} ON chunk = value"""
    joined, there, size, largest = rows(connection, sql, (f"[{wanted}]",))[0]
    codec = codec_of(size, dim) if there == wanted and size == largest else None
    if codec is not None:
        return codec.decode(joined, dim)
    if there != wanted:
        raise apsw.CorruptError(f"one of {len(chunks)} vectors is not there")
    sql = f"SELECT vector FROM json_each(?) CROSS JOIN vectors_{number} ON chunk = value"  # some by another codec
    return vector_rows([vector for (vector,) in rows(connection, sql, (f"[{wanted}]",))], dim)


def unembedded(connection: apsw.Connection, number: int) -> NDArray[np.int64]:
    """Return all chunks that have no vector of an embedding, ascending.

    A vector has a code unless it is zero, and rows of codes are small: those of vectors are read only where one is
    missing (1.5 GB of a million).
    """
    counts = f"SELECT (SELECT count(*) FROM chunks) = (SELECT count(*) FROM codes_{number}_rowids)"
    if value(connection, counts):
        return np.empty(0, np.int64)
    found = rows(
        connection,
        f"""SELECT chunk FROM chunks WHERE NOT EXISTS (SELECT 1 FROM codes_{number}_rowids WHERE rowid = chunks.chunk)
            AND NOT EXISTS (SELECT 1 FROM vectors_{number} AS there WHERE there.chunk = chunks.chunk) ORDER BY chunk""",
    )
    return np.array([chunk for (chunk,) in found], np.int64)


def missing(connection: apsw.Connection, number: int, limit: int) -> list[int]:
    """Return chunks that have no vector of an embedding, those after its last vector first.

    That is where all of them are while no other process fills, and looking there first saves scanning the rest.
    """
    last = value(connection, f"SELECT coalesce(max(chunk), 0) FROM vectors_{number}")
    sql = "SELECT chunk FROM chunks WHERE chunk > ? ORDER BY chunk LIMIT ?"
    chunks = rows(connection, sql, (last, limit))
    if not chunks:
        there = f"SELECT chunk FROM vectors_{number}"
        sql = f"SELECT chunk FROM chunks WHERE chunk NOT IN ({there}) ORDER BY chunk LIMIT ?"
        chunks = rows(connection, sql, (limit,))
    return [chunk for (chunk,) in chunks]


def without_vector(connection: apsw.Connection, number: int, chunks: Sequence[int]) -> set[int]:
    """Return those of the chunks that exist and have no vector of an embedding."""
    sql = f"""SELECT n.value FROM json_each(?) AS n JOIN chunks ON chunk = n.value
              WHERE chunk NOT IN (SELECT chunk FROM vectors_{number})"""
    return {chunk for (chunk,) in connection.execute(sql, (str(list(chunks)),))}


def fetch(
    connection: apsw.Connection, number: int, dim: int, chunks: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the kept vectors of chunks: ids (n,) ascending, vectors (n, dim), without chunks that have none."""
    sql = f"SELECT chunk, vector FROM vectors_{number} WHERE chunk IN (SELECT value FROM json_each(?)) ORDER BY chunk"
    found = rows(connection, sql, (json.dumps(chunks),))
    vectors = vector_rows([vector for _, vector in found], dim)
    return np.array([chunk for chunk, _ in found], dtype=np.int64), vectors


def calibration(connection: apsw.Connection) -> Calibration | None:
    """Return what was measured with the vectors that searches use; None where nothing was, or with others."""
    stored = value(connection, "SELECT value FROM meta WHERE key = ?", (_CALIBRATION,))
    return applicable_calibration(stored, embeddings(connection).active)


def applicable_calibration(stored: str | None, embedding: Embedding | None) -> Calibration | None:
    """Return the stored calibration if it is about this embedding's vectors."""
    if stored is None or embedding is None:
        return None
    try:
        return usable_calibration(json_object(stored), embedding)
    except ValueError as error:
        raise apsw.CorruptError(str(error)) from error


def write_calibration(connection: apsw.Connection, measured: Calibration) -> None:
    """Record a calibration in place of the one before: of the leg with its fingerprint, or of the active vectors."""
    leg = of_leg(connection, measured.fingerprint)
    set_fact(connection, _CALIBRATION if leg is None else f"{_CALIBRATION} {leg[0]}", calibration_json(measured))
