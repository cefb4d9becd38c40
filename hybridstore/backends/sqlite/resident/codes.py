"""The vector leg in memory: all int8 codes of an embedding, loaded block by block from sqlite-vec's own tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.base import Change, Embedding
from hybridstore.backends.sqlite import vector
from hybridstore.backends.sqlite.connection import rows, value
from hybridstore.backends.sqlite.resident.chunks import Chunks, Ids, best
from hybridstore.codecs import int8
from hybridstore.records import Ranking

_MOST_CHANGED = 0.2  # share of chunks added or gone beyond which loading anew is cheaper


class _Rows:
    """An array with room behind it, so that appending a few rows to many does not copy the many."""

    def __init__(self, rows: NDArray[np.int8]) -> None:
        self._buffer = np.empty((len(rows) + len(rows) // 16 + 1024, rows.shape[1]), np.int8)
        self._buffer[: len(rows)] = rows
        self._used = len(rows)

    def first(self, count: int) -> NDArray[np.int8]:
        """Give the first rows, as a view that later appends leave alone."""
        return self._buffer[:count]

    def append(self, count: int, rows: NDArray[np.int8]) -> _Rows:
        """Append to the first `count` rows: in place where they are all and there is room, else in a copy."""
        end = count + len(rows)
        grown = self if count == self._used and end <= len(self._buffer) else _Rows(self.first(count))
        if end > len(grown._buffer):  # noqa: SLF001 - its own kind
            return _Rows(np.concatenate([self.first(count), rows]))
        grown._buffer[count:end] = rows  # noqa: SLF001
        grown._used = end  # noqa: SLF001
        return grown


@dataclass(frozen=True, slots=True)
class ResidentCodes:
    """The codes of embedding `number` at a revision: (n, dim) int8 in the order of `chunks`, and their scales (n,)."""

    revision: int
    number: int
    embedding: Embedding
    chunks: Chunks
    rows: _Rows
    scales: NDArray[np.float32]

    def nearest(self, query: NDArray[np.float32], count: int, allowed: Ids | None) -> Ranking:
        """Rank the `count` codes nearest to a unit vector, by the codes' cosine."""
        scores = int8.scan(self.rows.first(len(self.chunks)), self.scales, query)
        mask = self.chunks.mask(allowed)
        if mask is not None:
            scores[~mask] = -np.inf
        places = best(scores, count)
        return Ranking(self.chunks.ids[places], scores[places].astype(np.float64))


def size(connection: apsw.Connection, number: int, dim: int) -> int:
    """Give how many bytes an embedding's codes would take in memory."""
    blocks = value(connection, f"SELECT sum(size) FROM codes_{number}_chunks") or 0
    return int(blocks) * (dim + 12)


def load(connection: apsw.Connection, revision: int) -> ResidentCodes | None:
    """Read all codes of the active embedding; None while there is none.

    vec0 keeps 1,024 codes to a blob, with their ids and a bit each for those in use; reading the blobs is about
    ten times as fast as asking vec0 row by row.
    """
    active = vector.by_state(connection, "active")
    if active is None:
        return None
    number, embedding = active
    blocks = rows(
        connection,
        f"""SELECT validity, rowids, vectors FROM codes_{number}_chunks AS c
            JOIN codes_{number}_vector_chunks00 AS v ON v.rowid = c.chunk_id""",
    )
    bits = np.frombuffer(b"".join(block[0] for block in blocks), np.uint8)
    used = np.unpackbits(bits, bitorder="little").view(np.bool_)
    ids = np.frombuffer(b"".join(block[1] for block in blocks), "<i8")
    codes = np.frombuffer(b"".join(block[2] for block in blocks), np.int8).reshape(-1, embedding.dim)
    ids, codes = ids[used], codes[: len(used)][used]
    if np.any(ids[1:] < ids[:-1]):  # places of removed chunks were filled again
        order = np.argsort(ids, kind="stable")
        ids, codes = ids[order], codes[order]
    return ResidentCodes(revision, number, embedding, Chunks(ids), _Rows(codes), int8.scales(codes))


def follow(
    connection: apsw.Connection, old: ResidentCodes, revision: int, changes: Sequence[Change]
) -> ResidentCodes | None:
    """Give the codes after these changes; None when loading anew is cheaper, or needed."""
    gone = _ids(changes, "removed")
    came = np.setdiff1d(_ids(changes, "added"), gone)
    came = came[came > (old.chunks.ids[-1] if len(old.chunks) else 0)]
    active = vector.by_state(connection, "active")
    filled = any(change.kind == "embedded" for change in changes)
    changed = len(old.chunks.gone) + len(gone) + len(came)
    if filled or active is None or active[0] != old.number or changed > _MOST_CHANGED * len(old.chunks):
        return None
    chunks = old.chunks.without(gone) if len(gone) else old.chunks
    stored, scales = old.rows, old.scales
    if len(came):
        ids, exact = vector.fetch(connection, old.number, old.embedding.dim, came.tolist())
        directed = exact.any(axis=1)  # a zero vector has no code
        ids, fresh = ids[directed], int8.encode(exact[directed])
        stored, scales = stored.append(len(chunks), fresh), np.concatenate([scales, int8.scales(fresh)])
        chunks = chunks.with_added(ids)
    return ResidentCodes(revision, old.number, old.embedding, chunks, stored, scales)


def _ids(changes: Sequence[Change], kind: str) -> Ids:
    runs = [np.arange(change.first, change.last + 1) for change in changes if change.kind == kind]
    return np.concatenate([np.empty(0, np.int64), *runs])
