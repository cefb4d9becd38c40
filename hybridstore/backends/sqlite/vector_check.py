"""The check of one embedding: exact vectors as they were written, and codes that fit them, wherever these are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.sqlite import vector_tables
from hybridstore.backends.sqlite.checksums import VECTOR_COLUMNS, checksum
from hybridstore.backends.sqlite.connection import rows
from hybridstore.backends.sqlite.problems import batches, column, found
from hybridstore.backends.sqlite.schema import embedding_tables
from hybridstore.backends.sqlite.stored_values import vector_rows
from hybridstore.backends.values import Problem
from hybridstore.codecs.int8 import encode
from hybridstore.codecs.kept_vectors import codec_of

_DAMAGED = "codes that are damaged inside"


def check_vectors(
    connection: apsw.Connection, number: int, dim: int, advance: Callable[[int], None], *, repair: bool
) -> list[Problem]:
    """Check an embedding's vectors; with `repair`, delete those that are wrong, so that they count as missing."""
    table = f"vectors_{number}"
    stale = column(connection, f"SELECT chunk FROM {table} WHERE chunk NOT IN (SELECT chunk FROM chunks)")
    broken, changed = _wrong_vectors(connection, table, dim, advance)
    if repair:
        gone = [(chunk,) for chunk in (*stale, *broken, *changed)]
        connection.executemany(f"DELETE FROM {table} WHERE chunk = ?", gone)
    searched = vector_tables.is_searched(connection, number)
    sql = f"SELECT chunk FROM chunks WHERE chunk NOT IN (SELECT chunk FROM {table})"
    absent = column(connection, sql) if searched else []
    return [
        *found("vectors without a chunk", stale, repaired=repair),
        *found("vectors of a wrong length or with values that are no numbers", broken, repaired=repair),
        *found("vectors that are not what was written", changed, repaired=repair),
        *found("chunks without a vector (`hybridstore embed` makes them)", absent, repaired=False),
    ]


def _wrong_vectors(
    connection: apsw.Connection, table: str, dim: int, advance: Callable[[int], None]
) -> tuple[list[int], list[int]]:
    """Return the chunks whose vectors are unusable, and those whose vectors are not what was written."""
    broken, changed = [], []
    for some in batches(connection.execute(f"SELECT {', '.join(VECTOR_COLUMNS)}, checksum FROM {table}")):
        for chunk, vector, stored in some:
            if not _is_vector(vector, dim):
                broken.append(chunk)
            elif checksum(chunk, vector) != stored:
                changed.append(chunk)
        advance(len(some))
    return broken, changed


def _is_vector(blob: object, dim: int) -> bool:
    if not isinstance(blob, bytes):
        return False
    codec = codec_of(len(blob), dim)
    return codec is not None and bool(np.isfinite(codec.decode(blob, dim)).all())


def check_codes(connection: apsw.Connection, number: int, dim: int, *, repair: bool) -> list[Problem]:
    """Check an embedding's codes; with `repair`, make all of them anew where any is wrong."""
    try:
        problems = _code_problems(connection, number, dim)
    except (apsw.CorruptError, apsw.SQLError, apsw.MismatchError) as error:
        problems = [(_DAMAGED, [error])]
    if repair and any(chunks for _, chunks in problems):
        rebuild_codes(connection, number, dim)
    return [problem for what, chunks in problems for problem in found(what, chunks, repaired=repair)]


def rebuild_codes(connection: apsw.Connection, number: int, dim: int) -> None:
    """Make all codes anew from the vectors."""
    connection.execute(f"DROP TABLE codes_{number}")
    connection.execute(embedding_tables(number, dim)[1])
    last = 0
    while chunks := column(
        connection, f"SELECT chunk FROM vectors_{number} WHERE chunk > {last} ORDER BY chunk LIMIT 500"
    ):
        last = chunks[-1]
        vector_tables.write_codes(connection, number, *_fetched(connection, number, dim, chunks))


def _fetched(
    connection: apsw.Connection, number: int, dim: int, chunks: list[int]
) -> tuple[list[int], NDArray[np.float32]]:
    ids, vectors = vector_tables.fetch(connection, number, dim, chunks)
    return ids.tolist(), vectors


def _code_problems(connection: apsw.Connection, number: int, dim: int) -> list[tuple[str, list[object]]]:
    wrong: list[object] = []
    stale: list[object] = []
    places: dict[int, tuple[int, int]] = {}
    for block, ids, offsets, codes in _blocks(connection, number, dim):
        places.update(zip(ids, ((block, offset) for offset in offsets), strict=True))
        vectors = dict(rows(connection, _AMONG.format(number), (json.dumps(ids),)))
        stale += [chunk for chunk in ids if chunk not in vectors]
        # Vectors that are no vectors have been reported.
        sound = [place for place, chunk in enumerate(ids) if _is_vector(vectors.get(chunk), dim)]
        expected = encode(vector_rows([vectors[ids[place]] for place in sound], dim))
        wrong += [ids[sound[n]] for n in np.flatnonzero((expected != codes[sound]).any(axis=1))]
    registered = {row: (block, offset) for row, block, offset in rows(connection, _ROWS.format(number))}
    elsewhere: list[object] = [chunk for chunk, place in places.items() if registered.get(chunk) != place]
    elsewhere += registered.keys() - places.keys()
    # A zero vector has no code.
    sql = f"""SELECT chunk FROM vectors_{number} WHERE vector <> zeroblob(octet_length(vector))
              AND chunk NOT IN (SELECT rowid FROM codes_{number}_rowids)"""
    return [
        ("codes without a vector", stale),
        ("vectors without a code", list(column(connection, sql))),
        ("codes that do not fit their vector", wrong),
        (_DAMAGED, elsewhere),
    ]


_AMONG = "SELECT chunk, vector FROM vectors_{} WHERE chunk IN (SELECT value FROM json_each(?))"
_ROWS = "SELECT rowid, chunk_id, chunk_offset FROM codes_{}_rowids"


def _blocks(
    connection: apsw.Connection, number: int, dim: int
) -> Iterator[tuple[int, list[int], list[int], NDArray[np.int8]]]:
    """Yield vec0's blocks, which searches read: the number of each, its ids, their places in it, their codes."""
    seen = set[int]()
    sql = f"""SELECT chunk_id, validity, rowids, vectors FROM codes_{number}_chunks
              LEFT JOIN codes_{number}_vector_chunks00 AS v ON v.rowid = chunk_id"""
    for block, validity, rowids, vectors in connection.execute(sql):
        if not (type(validity) is type(rowids) is type(vectors) is bytes):
            raise apsw.CorruptError(f"block {block} of the codes is not whole")
        size = 8 * len(validity)
        if len(rowids) != 8 * size or len(vectors) != size * dim:
            raise apsw.CorruptError(f"block {block} of the codes has a wrong length")
        used = np.flatnonzero(np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little"))
        ids = np.frombuffer(rowids, "<i8")[used].tolist()
        if not seen.isdisjoint(ids) or len(set(ids)) < len(ids):
            raise apsw.CorruptError("a chunk has two codes")
        seen.update(ids)
        yield block, ids, used.tolist(), np.frombuffer(vectors, np.int8).reshape(size, dim)[used]
