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

from hybridstore.backends.base import Change, Embedding
from hybridstore.backends.sqlite import vector
from hybridstore.backends.sqlite.connection import rows, value
from hybridstore.backends.sqlite.resident.chunks import Chunks, Ids, best, came_and_went
from hybridstore.backends.sqlite.resident.growing import Growing
from hybridstore.backends.sqlite.resident.sieve import NEIGHBOURS, POOL, POOL_SHARE, Sieve, trustworthy
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
    active = vector.by_state(connection, "active")
    if active is None:
        return None
    number, embedding = active
    count = _BLOCK * int(value(connection, f"SELECT count(*) FROM codes_{number}_chunks"))
    if count * (embedding.dim + embedding.dim // 8 + _BESIDE) <= budget:
        codes, ids = Growing(np.empty((0, embedding.dim), np.int8), capacity=count + _BLOCK), [_NONE]
        read = 0
        for some, coded in _blocks(connection, number, embedding.dim):
            codes = codes.append(read, coded)
            read += len(some)
            ids.append(some)
        ids_, order = _ascending(np.concatenate(ids))
        if order is not None:
            codes = Growing(codes.first(len(ids_))[order])
        scales = Growing(int8.scales(codes.first(len(ids_))))
        return ResidentCodes(revision, number, embedding, Chunks(ids_), codes, scales)
    if count * (embedding.dim // 8 + _BESIDE) > budget or count < SIEVED:
        return None
    return _load_signs(connection, revision, number, embedding)


def _load_signs(connection: apsw.Connection, revision: int, number: int, embedding: Embedding) -> ResidentCodes | None:
    all_blocks = [
        block for (block,) in rows(connection, f"SELECT chunk_id FROM codes_{number}_chunks ORDER BY chunk_id")
    ]
    spread = all_blocks[:: max(len(all_blocks) // _SAMPLED, 1)]
    sample = np.concatenate([codes for _, codes in _blocks(connection, number, embedding.dim, spread)])
    trial = Sieve.of(sample)
    if not trial.serves(sample):
        return None
    sieve = Sieve.of(sample[:0], trial.above, capacity=_BLOCK * len(all_blocks))
    ids = [_NONE]
    for some, coded in _blocks(connection, number, embedding.dim):
        sieve = sieve.with_added(coded)
        ids.append(some)
    ids_, order = _ascending(np.concatenate(ids))
    if order is not None:
        sieve = sieve.reordered(order)
    return ResidentCodes(revision, number, embedding, Chunks(ids_), None, _NO_SCALES, sieve, tried=True)


def _ascending(ids: Ids) -> tuple[Ids, NDArray[np.intp] | None]:
    """Give ids in order, and the order where they were not: places of removed chunks are filled again."""
    if not np.any(ids[1:] < ids[:-1]):
        return ids, None
    order = np.argsort(ids, kind="stable")
    return ids[order], order


def _blocks(
    connection: apsw.Connection, number: int, dim: int, blocks: Sequence[int] | None = None
) -> Iterator[tuple[Ids, Codes]]:
    """Read the codes block by block, with their ids.

    vec0 keeps 1,024 codes to a blob, with their ids and a bit each for those in use; reading the blobs is about
    ten times as fast as asking vec0 row by row.
    """
    sql = f"""SELECT validity, rowids, vectors FROM codes_{number}_chunks AS c
              JOIN codes_{number}_vector_chunks00 AS v ON v.rowid = c.chunk_id
              {"" if blocks is None else f"WHERE c.chunk_id IN ({', '.join(map(str, blocks))})"} ORDER BY c.chunk_id"""
    for validity, rowids, vectors in connection.execute(sql):
        used = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little").view(np.bool_)
        ids, codes = np.frombuffer(rowids, "<i8"), np.frombuffer(vectors, np.int8).reshape(-1, dim)
        yield (ids, codes) if used.all() else (ids[used], codes[used])


def follow(
    connection: apsw.Connection, old: ResidentCodes, revision: int, changes: Sequence[Change]
) -> ResidentCodes | None:
    """Give the codes after these changes; None when loading anew is cheaper, or needed."""
    came, gone = came_and_went(changes, old.chunks)
    active = vector.by_state(connection, "active")
    filled = any(change.kind == "embedded" for change in changes)
    changed = len(old.chunks.gone) + len(gone) + len(came)
    if filled or active is None or active[0] != old.number or changed > _MOST_CHANGED * len(old.chunks):
        return None
    chunks = old.chunks.without(gone) if len(gone) else old.chunks
    stored, scales, sieve = old.rows, old.scales, old.sieve
    if len(came):
        ids, exact = vector.fetch(connection, old.number, old.embedding.dim, came.tolist())
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
