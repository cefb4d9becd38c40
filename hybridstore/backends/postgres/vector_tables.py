"""The vectors of each embedding: exact ones, which are read by chunk, and int8 codes, which are read all together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.calibrations import calibration_json, usable_calibration
from hybridstore.backends.postgres.connection import Connection, remembered, rows, value
from hybridstore.backends.postgres.packed import FLOAT, NO_IDS, float_rows, ids
from hybridstore.backends.postgres.schema import embedding_tables, next_numbers, set_fact
from hybridstore.backends.values import Calibration, Embedding, Embeddings, VectorLeg
from hybridstore.codecs import int8
from hybridstore.records import Ranking

CODES_AT_ONCE = 16_384
_CALIBRATION = "background"  # its key among the facts
_WITHOUT = "WHERE NOT EXISTS (SELECT 1 FROM vectors_{} AS own WHERE own.chunk = chunks.chunk)"
_COLUMNS = "embedding, fingerprint, reference, dim"
_NUMBER_OF_LEG = f"(SELECT value FROM facts WHERE key = '{_CALIBRATION} ' || embedding)"


def by_state(connection: Connection, state: str) -> tuple[int, Embedding] | None:
    """Return the "active", "building" or "kept" embedding with its number."""
    return _numbered(connection, state, "state = %s", state)


def of_leg(connection: Connection, leg: str | None) -> tuple[int, Embedding] | None:
    """Return the active embedding with its number, or that of an added leg by its fingerprint."""
    if leg is None:
        return by_state(connection, "active")
    return _numbered(connection, ("leg", leg), "state = 'added' AND fingerprint = %s", leg)


def _numbered(connection: Connection, key: object, condition: str, value_: str) -> tuple[int, Embedding] | None:
    statement = f"SELECT {_COLUMNS} FROM embeddings WHERE {condition}"
    found = remembered(connection, key, lambda: rows(connection, statement, value_))
    return (found[0][0], Embedding(*found[0][1:])) if found else None


def embeddings(connection: Connection) -> Embeddings:
    """Return the embeddings there are, by state."""
    found = rows(connection, "SELECT state, fingerprint, reference, dim FROM embeddings ORDER BY embedding")
    states = {state: Embedding(*facts) for state, *facts in found if state != "added"}
    return Embeddings(**states, added=tuple(Embedding(*facts) for state, *facts in found if state == "added"))


def legs(connection: Connection) -> tuple[VectorLeg, ...]:
    """Return the added legs with what was measured of them."""
    statement = f"SELECT {_COLUMNS}, {_NUMBER_OF_LEG} FROM embeddings WHERE state = 'added' ORDER BY embedding"
    found = []
    for number, *facts, measured in rows(connection, statement):
        embedding = Embedding(*facts)
        count = value(connection, f"SELECT count(*) FROM vectors_{number}")
        found.append(
            VectorLeg(embedding=embedding, calibration=applicable_calibration(measured, embedding), vectors=count)
        )
    return tuple(found)


def numbers(connection: Connection) -> list[int]:
    """Return the numbers of all embeddings."""
    return [number for (number,) in rows(connection, "SELECT embedding FROM embeddings ORDER BY embedding")]


def is_searched(connection: Connection, number: int) -> bool:
    """Return whether an embedding is the active one, or an added leg that was filled and measured."""
    statement = f"SELECT state = 'active' OR {_NUMBER_OF_LEG} IS NOT NULL FROM embeddings WHERE embedding = %s"
    return bool(value(connection, statement, number))


def make(connection: Connection, embedding: Embedding, state: str) -> int:
    """Record an embedding in a state, with a table for its vectors; return its number."""
    number = next_numbers(connection, "embedding")
    row = (number, embedding.fingerprint, embedding.reference, embedding.dim, state)
    connection.execute("INSERT INTO embeddings VALUES (%s, %s, %s, %s, %s)", row)
    connection.execute(embedding_tables(number, embedding.dim))
    return number


def drop(connection: Connection, number: int) -> None:
    """Remove an embedding and its vectors."""
    connection.execute(f"DROP TABLE {', '.join(tables(number))}")
    connection.execute("DELETE FROM embeddings WHERE embedding = %s", (number,))
    forget_calibration(connection, number)


def set_state(connection: Connection, number: int, state: str) -> None:
    """Make an embedding the one in this state."""
    connection.execute("UPDATE embeddings SET state = %s WHERE embedding = %s", (state, number))


def tables(number: int) -> tuple[str, str]:
    """Return the names of an embedding's tables."""
    return f"vectors_{number}", f"signs_{number}"


# rows


def write(connection: Connection, number: int, chunks: Sequence[int], vectors: NDArray[np.float32]) -> None:
    """Store vectors (n, dim) of unit norm with their codes; a zero vector, which has no direction, gets no code."""
    exact = np.ascontiguousarray(vectors, dtype=FLOAT) + FLOAT.type(0)  # no -0.0: `check` compares bytes
    codes = int8.encode(exact)
    coded = np.any(codes, axis=1)
    if not len(exact):
        return
    with connection.cursor() as cursor, cursor.copy(f"COPY vectors_{number} FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "bytea", "bytea"])
        for n, chunk in enumerate(chunks):
            copy.write_row((chunk, exact[n].tobytes(), codes[n].tobytes() if coded[n] else None))
    write_signs(connection, number, np.asarray(chunks, np.int64)[coded], codes[coded])


def write_signs(connection: Connection, number: int, chunks: NDArray[np.int64], codes: NDArray[np.int8]) -> None:
    """Store the signs of codes (n, dim)."""
    lines = [f"{chunk}\t{bits}\n" for chunk, bits in zip(chunks.tolist(), signs(codes), strict=True)]
    with connection.cursor() as cursor, cursor.copy(f"COPY signs_{number} FROM STDIN") as copy:
        copy.write("".join(lines))


def signs(codes: NDArray[np.int8]) -> list[str]:
    """Return for each code (dim,) a digit a dimension: 1 where it is above 0."""
    digits = ((codes > 0) + np.uint8(ord("0"))).tobytes().decode()
    dim = codes.shape[1]
    return [digits[first : first + dim] for first in range(0, len(digits), dim)]


def remove(connection: Connection, chunks: Sequence[int]) -> None:
    """Remove chunks' vectors and codes from every embedding."""
    for number in numbers(connection):
        delete(connection, number, chunks)


def delete(connection: Connection, number: int, chunks: Sequence[int]) -> None:
    """Remove chunks' vectors, codes and signs from an embedding."""
    for table in tables(number):
        connection.execute(f"DELETE FROM {table} WHERE chunk = ANY(%s::bigint[])", (list(chunks),))


def unembedded(connection: Connection, number: int) -> NDArray[np.int64]:
    """Return all chunks that have no vector of an embedding, ascending."""
    return ids(connection, "chunk", f"FROM chunks {_WITHOUT.format(number)}")


def missing(connection: Connection, number: int, limit: int) -> list[int]:
    """Return the first chunks that have no vector of an embedding."""
    statement = f"SELECT chunk FROM chunks {_WITHOUT.format(number)} ORDER BY chunk LIMIT %s"
    return [chunk for (chunk,) in rows(connection, statement, limit)]


def without_vector(connection: Connection, number: int, chunks: Sequence[int]) -> set[int]:
    """Return those of the chunks that exist and have no vector of an embedding."""
    statement = f"SELECT chunk FROM chunks {_WITHOUT.format(number)} AND chunk = ANY(%s::bigint[])"
    return {chunk for (chunk,) in rows(connection, statement, list(chunks))}


def fetch(
    connection: Connection, number: int, dim: int, chunks: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the exact vectors of chunks: ids (n,) ascending, vectors (n, dim), without chunks that have none."""
    statement = f"SELECT chunk, vector FROM vectors_{number} WHERE chunk = ANY(%s::bigint[]) ORDER BY chunk"
    found = rows(connection, statement, list(chunks)) if len(chunks) else []
    return np.array([chunk for chunk, _ in found], np.int64), float_rows([vector for _, vector in found], dim)


def exact(connection: Connection, number: int, dim: int, chunks: Sequence[int]) -> NDArray[np.float32]:
    """Return the exact vectors (n, dim) of ascending chunks that all have one."""
    there, vectors = fetch(connection, number, dim, chunks)
    if len(there) != len(chunks):
        raise ValueError("a chunk that has a code has no vector")
    return vectors


def codes_of(
    connection: Connection, number: int, dim: int, chunks: str, *values: object
) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Return the codes of those chunks of an array in SQL that have one: ids (n,) ascending, codes (n, dim)."""
    statement = f"""SELECT string_agg(int8send(chunk), ''::bytea), string_agg(code, ''::bytea) FROM vectors_{number}
                    WHERE chunk = ANY({chunks}) AND code IS NOT NULL"""
    ((found, codes),) = rows(connection, statement, *values)
    there = np.frombuffer(found or b"", ">i8").astype(np.int64)
    order = there.argsort()
    return there[order], np.frombuffer(codes or b"", np.int8).reshape(len(there), dim)[order]


def code_blocks(connection: Connection, number: int, dim: int) -> Iterator[tuple[NDArray[np.int64], int8.Codes]]:
    """Yield all codes, block by block: chunks (m,) ascending, and codes (m, dim)."""
    statement = f"""SELECT string_agg(int8send(chunk), ''::bytea), string_agg(code, ''::bytea)
                    FROM (SELECT chunk, code FROM vectors_{number} WHERE chunk > %s AND code IS NOT NULL
                          ORDER BY chunk LIMIT {CODES_AT_ONCE}) AS block"""
    numbered, full = np.zeros(1, np.int64), True
    while full:
        ((chunks, codes),) = rows(connection, statement, int(numbered[-1]))
        numbered = np.frombuffer(chunks or b"", ">i8").astype(np.int64)
        full = len(numbered) == CODES_AT_ONCE
        if len(numbered):
            yield numbered, np.frombuffer(codes, np.int8).reshape(len(numbered), dim)


def scan(
    connection: Connection,
    number: int,
    query: NDArray[np.float32],
    count: int,
    allowed: NDArray[np.int64] | None,
) -> Ranking:
    """Rank the `count` chunks nearest by code, reading all of them: where they do not fit into memory."""
    best, scores = NO_IDS, np.empty(0, np.float64)
    for chunks, codes in code_blocks(connection, number, len(query)):
        mask = slice(None) if allowed is None else np.isin(chunks, allowed, assume_unique=True)
        some = codes[mask]
        best = np.concatenate([best, chunks[mask]])
        scores = np.concatenate([scores, int8.scan(some, int8.scales(some), query)])
        order = np.lexsort((best, -scores))[:count]
        best, scores = best[order], scores[order]
    return Ranking(best, scores)


# calibrations


def calibration(connection: Connection) -> Calibration | None:
    """Return what was measured with the vectors that searches use; None where nothing was, or with others."""
    stored = value(connection, "SELECT value FROM facts WHERE key = %s", _CALIBRATION)
    return applicable_calibration(stored, embeddings(connection).active)


def applicable_calibration(stored: str | None, embedding: Embedding | None) -> Calibration | None:
    """Return the stored calibration if it is about this embedding's vectors."""
    return None if stored is None or embedding is None else usable_calibration(json.loads(stored), embedding)


def write_calibration(connection: Connection, measured: Calibration) -> None:
    """Record a calibration in place of the one before: of the leg with its fingerprint, or of the active vectors."""
    leg = of_leg(connection, measured.fingerprint)
    set_fact(connection, _CALIBRATION if leg is None else f"{_CALIBRATION} {leg[0]}", calibration_json(measured))


def forget_calibration(connection: Connection, number: int) -> None:
    """Remove what was measured of an added leg's vectors."""
    connection.execute("DELETE FROM facts WHERE key = %s", (f"{_CALIBRATION} {number}",))
