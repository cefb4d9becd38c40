"""The vector leg in memory: the codes of all of an embedding's vectors, read from sqlite-vec's own tables.

Up to some ten thousand chunks every int8 code is compared with the query. In a larger store sign codes, an eighth of
the size, are compared first, and the int8 codes only of what is nearest by those (`Sieve`). Where memory is short the
sign codes are kept alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.resident.chunk_ids import Chunks, Ids, best, came_and_went
from hybridstore.backends.resident.growable import Growing
from hybridstore.backends.resident.sieve import NEIGHBOURS, POOL, POOL_SHARE, Sieve, trustworthy
from hybridstore.backends.sqlite import vector_tables
from hybridstore.backends.sqlite.connection import rows, value
from hybridstore.backends.values import ChunkChange, Embedding
from hybridstore.codecs import int8
from hybridstore.records import Ranking

Codes = NDArray[np.int8]

SIEVED = 32_768  # chunks from which on a sieve is worth its making
_BLOCK = 1_024  # codes in one of vec0's blobs
_SAMPLED = 16  # blocks that tell the medians where no more of the int8 codes are kept
_BESIDE = 12  # bytes a chunk beside its code: its id and its scale
_MOST_CHANGED = 0.2  # share of chunks added or gone beyond which loading anew is cheaper


@dataclass(frozen=True, slots=True)
class ResidentCodes:
    """The codes of embedding `number` at a revision, in the order of `chunks`.

    `rows` are the int8 codes (n, dim) and `scales` one over their norms (n,); None and none where only the sieve is
    kept. `sieve` None: not tried yet, not worth it, or it does not serve.
    """

    revision: int
    number: int
    embedding: Embedding
    chunks: Chunks
    rows: Growing | None
    scales: Growing
    sieve: Sieve | None = None
    tried: bool = False

    def nearest(self, query: NDArray[np.float32], count: int, allowed: Ids | None) -> tuple[Ranking, bool]:
        """Rank at least `count` chunks nearest to a unit vector, if there are so many, by their codes' cosine.

        Also say whether the cosines can be believed: where only the sieve is kept there are none, and the chunks,
        more than asked for, are all to be scored exactly.
        """
        mask = self.chunks.mask(allowed)
        places = None
        if allowed is not None and mask is not None and np.count_nonzero(mask) * 4 < len(mask):
            places, mask = np.flatnonzero(mask), None
        if self.sieve is not None and (places is None or len(places) > POOL):
            pool = max(POOL, len(self.chunks) // POOL_SHARE, 8 * count) * (1 if self.rows else 2)
            sifted, distances = self.sieve.sift(query, pool, places, mask)
            if self.rows is None:
                places, mask = sifted, None
            else:
                found, scores = self._scored(self.rows, query, count, sifted, None)
                if trustworthy(distances[found[:NEIGHBOURS]], distances):
                    return Ranking(self.chunks.ids[sifted[found]], scores), True
        if self.rows is None:
            places = np.arange(len(self.chunks)) if places is None else places
            return Ranking(self.chunks.ids[places], np.zeros(len(places))), False
        found, scores = self._scored(self.rows, query, count, places, mask)
        return Ranking(self.chunks.ids[found if places is None else places[found]], scores), True

    def cosines(self, query: NDArray[np.float32], chunks: Ids) -> tuple[Ids, NDArray[np.float64]]:
        """Give those of the chunks that have a code, and their codes' cosines to a unit vector; `rows` must be kept."""
        if self.rows is None:
            raise TypeError("there are no codes to compare")
        places = self.chunks.places(chunks)
        codes = self.rows.first(len(self.chunks)).take(places, axis=0)
        scores = int8.scan(codes, self.scales.first(len(self.chunks)).take(places), query)
        return self.chunks.ids[places], scores.astype(np.float64)

    def _scored(
        self,
        rows_: Growing,
        query: NDArray[np.float32],
        count: int,
        places: NDArray[np.intp] | None,
        mask: NDArray[np.bool_] | None,
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Give which of the places are nearest by int8 code, and their cosines."""
        codes, scales = rows_.first(len(self.chunks)), self.scales.first(len(self.chunks))
        if places is not None:
            codes, scales = codes.take(places, axis=0), scales.take(places)
        scores = int8.scan(codes, scales, query)
        if mask is not None:
            scores[~mask] = -np.inf
        found = best(scores, count)
        return found, scores[found].astype(np.float64)

    def sieved(self) -> ResidentCodes:
        """Give the same with a sieve, if there are many codes and it serves."""
        if self.tried or self.rows is None or len(self.chunks) < SIEVED:
            return self
        codes = self.rows.first(len(self.chunks))
        sieve = Sieve.of(codes)
        return replace(self, sieve=sieve if sieve.serves(codes) else None, tried=True)


def load(connection: apsw.Connection, revision: int, budget: int) -> ResidentCodes | None:
    """Read all codes of the active embedding, or signs alone, as fits into `budget` bytes; None where nothing does."""
    active = vector_tables.by_state(connection, "active")
    if active is None:
        return None
    number, embedding = active
    ids, places = _chunks(connection, number)
    count, dim = len(ids), embedding.dim
    if count * (dim + dim // 8 + _BESIDE) <= budget:
        codes = Growing(np.empty((0, dim), np.int8), capacity=count + count // 64 + _BLOCK)
        codes = codes.append(0, np.broadcast_to(np.int8(0), (count, dim)))
        for at, coded in _blocks(connection, number, dim, places):
            codes.first(count)[at] = coded
        scales = Growing(int8.scales(codes.first(count)))
        return ResidentCodes(revision, number, embedding, Chunks(ids), codes, scales)
    if count * (dim // 8 + _BESIDE) > budget or count < SIEVED:
        return None
    sample = np.concatenate([coded for _, coded in _blocks(connection, number, dim, places, some=_SAMPLED)])
    sieve = Sieve.of(sample)
    if not sieve.serves(sample):
        return None
    sieve = Sieve.room(sieve.above, count)
    for at, coded in _blocks(connection, number, dim, places):
        sieve.put(at, coded)
    return ResidentCodes(revision, number, embedding, Chunks(ids), None, _NO_SCALES, sieve, tried=True)


def _chunks(connection: apsw.Connection, number: int) -> tuple[Ids, NDArray[np.intp]]:
    """Give the ids of the chunks that have a code, ascending, and where each goes as they stand in the file.

    vec0 keeps 1,024 codes to a blob, with their ids and a bit each for those in use, and fills places again that were
    left, so the ids need not ascend.
    """
    blocks = rows(connection, f"SELECT validity, rowids FROM codes_{number}_chunks ORDER BY chunk_id")
    ids = np.frombuffer(b"".join(rowids for _, rowids in blocks), "<i8")
    ids = ids[_used(b"".join(validity for validity, _ in blocks))]
    order = np.argsort(ids, kind="stable")
    places = np.empty(len(ids), np.intp)
    places[order] = np.arange(len(ids))
    return ids[order], places


def _used(validity: bytes) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little").view(np.bool_)


def _blocks(
    connection: apsw.Connection, number: int, dim: int, places: NDArray[np.intp], some: int | None = None
) -> Iterator[tuple[NDArray[np.intp] | slice, Codes]]:
    """Read the codes block by block, about ten times as fast as row by row, with where each goes.

    All blocks, or some spread over all.
    """
    blocks = rows(connection, f"SELECT chunk_id, validity FROM codes_{number}_chunks ORDER BY chunk_id")
    step = 1 if some is None else max(len(blocks) // some, 1)
    sql = f"SELECT vectors FROM codes_{number}_vector_chunks00 WHERE rowid = ?"
    read = 0
    for n, (block, validity) in enumerate(blocks):
        used = _used(validity)
        at = places[read : read + np.count_nonzero(used)]
        read += len(at)
        if n % step or not len(at):
            continue
        codes = np.frombuffer(value(connection, sql, (block,)), np.int8).reshape(-1, dim)
        in_row = at[-1] - at[0] == len(at) - 1 and bool(np.all(at[1:] > at[:-1]))
        yield slice(at[0], at[-1] + 1) if in_row else at, codes if used.all() else codes[used]


def follow(
    connection: apsw.Connection, old: ResidentCodes, revision: int, changes: Sequence[ChunkChange]
) -> ResidentCodes | None:
    """Give the codes after these changes; None when loading anew is cheaper, or needed."""
    came, gone = came_and_went(changes, old.chunks)
    active = vector_tables.by_state(connection, "active")
    filled = any(change.kind == "embedded" for change in changes)
    changed = len(old.chunks.gone) + len(gone) + len(came)
    if filled or active is None or active[0] != old.number or changed > _MOST_CHANGED * len(old.chunks):
        return None
    chunks = old.chunks.without(gone) if len(gone) else old.chunks
    stored, scales, sieve = old.rows, old.scales, old.sieve
    if len(came):
        ids, exact = vector_tables.fetch(connection, old.number, old.embedding.dim, came.tolist())
        directed = exact.any(axis=1)  # a zero vector has no code
        ids, fresh = ids[directed], int8.encode(exact[directed])
        if stored is not None:
            stored = stored.append(len(chunks), fresh)
            scales = scales.append(len(chunks), int8.scales(fresh))
        if sieve is not None:
            sieve = sieve.with_added(fresh)
        chunks = chunks.with_added(ids)
    return ResidentCodes(revision, old.number, old.embedding, chunks, stored, scales, sieve, old.tried)


_NONE: Ids = np.empty(0, np.int64)
_NO_SCALES = Growing(np.empty(0, np.float32))
