"""The vector leg in memory: the codes of all vectors of the active embedding.

Up to some ten thousand chunks every int8 code is compared with the query. In a larger store sign codes, an eighth of
the size, are compared first, and the int8 codes only of what is nearest by those (`Sieve`). Where memory is short only
the sign codes are kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.resident.chunk_ids import NO_IDS, ChunkIds, GrowingArray, added_and_removed, best
from hybridstore.backends.resident.loader import Ids, Loader
from hybridstore.backends.values import ChunkChange, Embedding
from hybridstore.codecs import int8, signs
from hybridstore.records import Ranking

SIEVED = 32_768  # chunks from which on a sieve is worth its making
_SPARE = 1_024  # codes for which there is space from the start, and one in 64
_SAMPLED_BLOCKS = 16  # that the medians are computed of where not all int8 codes are kept
_BYTES_A_CHUNK = 12  # besides its code: its id and its scale
_MOST_CHANGED = 0.2  # share of chunks added or removed beyond which loading again is cheaper
_NO_SCALES = GrowingArray(np.empty(0, np.float32))

# The sieve
_SURE = 2.5  # deviations of the neighbours' distances that must lie between their median and the farthest let through
_LEAST_DEVIATION = 3.0
# Let through at least, and one in so many of a large store. Of 50,000 sentence vectors and of a million made from them
# the ten nearest by float32 were among these in 99.5 to 100 of 100 cases, before `is_trustworthy` is asked.
POOL = 2_048
POOL_SHARE = 256
_TRIED = 32  # vectors whose neighbours are searched for to see whether signs say anything about these vectors
_TRIED_AMONG = 65_536
NEIGHBOURS = 10
_SHARE = 64  # one in so many is let through then
_LEAST_FOUND = 0.95


@dataclass(frozen=True, slots=True)
class ResidentCodes:
    """The codes of embedding `number` at a revision, in the order of `chunks`.

    `rows` are the int8 codes (n, dim) and `scales` one over their norms (n,); None and empty where only the sieve is
    kept. `sieve` is None while it was not `tried`, and where it is not worth its making or does not serve.
    """

    revision: int
    number: int
    embedding: Embedding
    chunks: ChunkIds
    rows: GrowingArray | None
    scales: GrowingArray
    sieve: Sieve | None = None
    tried: bool = False

    @property
    def bytes(self) -> int:
        """About how much memory the copy takes."""
        dim = self.embedding.dim
        return len(self.chunks) * ((dim if self.rows else 0) + (dim // 8 if self.sieve else 0) + _BYTES_A_CHUNK)

    def nearest(self, query: NDArray[np.float32], count: int, allowed: Ids | None) -> tuple[Ranking, bool]:
        """Rank at least `count` chunks nearest to a unit vector, if there are so many, by their codes' cosine.

        Also return whether the scores are cosines: where only the sieve is kept they are all 0, and the chunks, more
        than asked for, have to be scored exactly.
        """
        mask = self.chunks.mask(allowed)
        places = None
        if allowed is not None and mask is not None and np.count_nonzero(mask) * 4 < len(mask):
            places, mask = np.flatnonzero(mask), None
        if self.sieve is not None and (places is None or len(places) > POOL):
            pool = pool_of(count, len(self.chunks)) * (1 if self.rows else 2)
            sifted, distances = self.sieve.sift(query, pool, places, mask)
            if self.rows is None:
                places, mask = sifted, None
            else:
                nearest, scores = self._scored(self.rows, query, count, sifted, None)
                if is_trustworthy(distances[nearest[:NEIGHBOURS]], float(distances.max(initial=0))):
                    return Ranking(self.chunks.ids[sifted[nearest]], scores), True
        if self.rows is None:
            places = np.arange(len(self.chunks)) if places is None else places
            return Ranking(self.chunks.ids[places], np.zeros(len(places))), False
        nearest, scores = self._scored(self.rows, query, count, places, mask)
        return Ranking(self.chunks.ids[nearest if places is None else places[nearest]], scores), True

    def cosines(self, query: NDArray[np.float32], chunks: Ids) -> tuple[Ids, NDArray[np.float64]]:
        """Return those of the chunks that have a code, and their codes' cosines to a unit vector.

        `rows` must be kept.
        """
        if self.rows is None:
            raise TypeError("there are no codes to compare")
        places = self.chunks.places(chunks)
        codes = self.rows.first(len(self.chunks)).take(places, axis=0)
        scores = int8.scan(codes, self.scales.first(len(self.chunks)).take(places), query)
        return self.chunks.ids[places], scores.astype(np.float64)

    def _scored(
        self,
        rows: GrowingArray,
        query: NDArray[np.float32],
        count: int,
        places: NDArray[np.intp] | None,
        mask: NDArray[np.bool_] | None,
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return which of the places are nearest by int8 code, and their cosines."""
        codes, scales = rows.first(len(self.chunks)), self.scales.first(len(self.chunks))
        if places is not None:
            codes, scales = codes.take(places, axis=0), scales.take(places)
        scores = int8.scan(codes, scales, query)
        if mask is not None:
            scores[~mask] = -np.inf
        nearest = best(scores, count)
        return nearest, scores[nearest].astype(np.float64)

    def sieved(self) -> ResidentCodes:
        """Return the same with a sieve, if there are many codes and it serves."""
        if self.tried or self.rows is None or len(self.chunks) < SIEVED:
            return self
        codes = self.rows.first(len(self.chunks))
        sieve = Sieve.of(codes)
        return replace(self, sieve=sieve if sieve.serves(codes) else None, tried=True)


def load(loader: Loader, revision: int, budget: int) -> ResidentCodes | None:
    """Read all codes of the active embedding, or signs alone, as fits into `budget` bytes; None where nothing does."""
    active = loader.embedding()
    if active is None:
        return None
    number, embedding = active
    dim = embedding.dim
    coded = loader.coded(budget // (dim // 8 + _BYTES_A_CHUNK))
    if coded is None:
        return None
    chunks, count = ChunkIds(coded), len(coded)
    if count * (dim + dim // 8 + _BYTES_A_CHUNK) <= budget:
        rows = GrowingArray(np.empty((0, dim), np.int8), capacity=count + count // 64 + _SPARE)
        rows = rows.append(0, np.broadcast_to(np.int8(0), (count, dim)))
        for ids, codes in loader.code_blocks():
            rows.first(count)[_slice_or_places(chunks, ids)] = codes
        scales = GrowingArray(int8.scales(rows.first(count)))
        return ResidentCodes(revision, number, embedding, chunks, rows, scales)
    if count < SIEVED:
        return None
    sample = np.concatenate([codes for _, codes in loader.code_blocks(_SAMPLED_BLOCKS)])
    sieve = Sieve.of(sample)
    if not sieve.serves(sample):
        return None
    sieve = Sieve.empty(sieve.above, count)
    for ids, codes in loader.code_blocks():
        sieve.put(_slice_or_places(chunks, ids), codes)
    return ResidentCodes(revision, number, embedding, chunks, None, _NO_SCALES, sieve, tried=True)


def _slice_or_places(chunks: ChunkIds, ids: Ids) -> NDArray[np.intp] | slice:
    """Return the places of ids, as a slice where they are consecutive: that is copied faster."""
    places = chunks.places(ids)
    consecutive = places[-1] - places[0] == len(places) - 1 and bool(np.all(places[1:] > places[:-1]))
    return slice(places[0], places[-1] + 1) if consecutive else places


def follow(loader: Loader, old: ResidentCodes, revision: int, changes: Sequence[ChunkChange]) -> ResidentCodes | None:
    """Return the codes after these changes; None where loading again is cheaper, or needed."""
    added, removed = added_and_removed(changes, old.chunks)
    active = loader.embedding()
    filled = _filled(changes, old.chunks, removed)
    last = int(old.chunks.ids[-1]) if len(old.chunks) else 0
    added, earlier = np.union1d(added, filled[filled > last]), filled[filled <= last]
    changed = len(old.chunks.removed) + len(removed) + len(added) + len(earlier)
    if active is None or active[0] != old.number or changed > _MOST_CHANGED * len(old.chunks):
        return None
    if len(earlier) and len(loader.vectors(earlier.tolist())[0]):  # else they were embedded for another leg
        return None
    chunks = old.chunks.without(removed) if len(removed) else old.chunks
    rows, scales, sieve = old.rows, old.scales, old.sieve
    if len(added):
        ids, exact = loader.vectors(added.tolist())
        nonzero = exact.any(axis=1)  # a zero vector has no code
        ids, codes = ids[nonzero], int8.encode(exact[nonzero])
        if rows is not None:
            rows = rows.append(len(chunks), codes)
            scales = scales.append(len(chunks), int8.scales(codes))
        if sieve is not None:
            sieve = sieve.with_added(codes)
        chunks = chunks.with_added(ids)
    return ResidentCodes(revision, old.number, old.embedding, chunks, rows, scales, sieve, old.tried)


def _filled(changes: Sequence[ChunkChange], known: ChunkIds, removed: Ids) -> Ids:
    """Return the chunks that got vectors after they were added, without those known or removed; ascending."""
    runs = [np.arange(run.first, run.last + 1) for run in changes if run.kind == "embedded"]
    if not runs:
        return NO_IDS
    filled = np.setdiff1d(np.concatenate(runs), removed)
    return np.setdiff1d(filled, known.ids[known.places(filled)], assume_unique=True)


@dataclass(frozen=True, slots=True)
class Sieve:
    """Sign codes of all vectors, which let through the few thousand chunks that a query's neighbours are among.

    They are in the order of the chunks; `above` (dim,) are the medians that they were made with.
    """

    above: NDArray[np.int8]
    planes: GrowingArray
    count: int

    @classmethod
    def of(cls, codes: NDArray[np.int8], above: NDArray[np.int8] | None = None) -> Self:
        """Make the sieve of int8 codes (n, dim): by their medians, unless `above` (dim,) says by what."""
        above = signs.medians(codes) if above is None else above
        return cls(above, GrowingArray(signs.encode(codes, above), axis=1), len(codes))

    @classmethod
    def empty(cls, above: NDArray[np.int8], count: int) -> Self:
        """Make a sieve for `count` codes, still to be put into it."""
        planes = signs.encode(np.empty((0, len(above)), np.int8), above)
        space = GrowingArray(planes, axis=1, capacity=count + count // 64 + 1024)
        return cls(above, space.append(0, np.broadcast_to(np.uint64(0), (len(planes), count))), count)

    def put(self, places: NDArray[np.intp] | slice, codes: NDArray[np.int8]) -> None:
        """Put codes into places that `empty` made."""
        self.planes.first(self.count)[:, places] = signs.encode(codes, self.above)

    def with_added(self, codes: NDArray[np.int8]) -> Self:
        """Return the sieve with more codes behind it."""
        planes = self.planes.append(self.count, signs.encode(codes, self.above))
        return replace(self, planes=planes, count=self.count + len(codes))

    def sift(
        self,
        query: NDArray[np.float32],
        count: int,
        places: NDArray[np.intp] | None = None,
        mask: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.intp], NDArray[np.uint16]]:
        """Return the places, ascending, of about `count` codes nearest by sign to a vector (dim,), and their distances.

        Only those at `places`, or where the mask (n,) is True.
        """
        planes = self.planes.first(self.count)
        code = signs.encode(int8.encode(query[None, :]), self.above)
        distances = signs.distances(planes if places is None else planes.take(places, axis=1), code)
        if mask is not None:
            np.putmask(distances, ~mask, signs.FARTHEST)
        nearest = signs.nearest(distances, count)
        if mask is not None:
            nearest = nearest[mask[nearest]]
        return (nearest if places is None else places[nearest]), distances[nearest]

    def serves(self, codes: NDArray[np.int8]) -> bool:
        """Return whether neighbours by code are neighbours by sign too, tried with the first of the sieve's codes.

        Vectors need not be spread around zero as sentence embeddings are: counts, say, or a few hot dimensions.
        """
        codes = codes[:_TRIED_AMONG]
        scales = int8.scales(codes)
        tried = range(0, len(codes), max(len(codes) // _TRIED, 1))
        let_through = 0
        for place in tried:
            scores = int8.scan(codes, scales, codes[place].astype(np.float32))
            nearest = np.argpartition(scores, -NEIGHBOURS)[-NEIGHBOURS:]
            code = signs.encode(codes[place : place + 1], self.above)
            distances = signs.distances(self.planes.first(len(codes)), code)
            let_through += int(np.isin(nearest, signs.nearest(distances, len(codes) // _SHARE)).sum())
        return let_through >= _LEAST_FOUND * NEIGHBOURS * len(tried)


def pool_of(count: int, chunks: int) -> int:
    """Return how many of so many chunks a sieve lets through where `count` are sought."""
    return max(POOL, chunks // POOL_SHARE, 8 * count)


def is_trustworthy(neighbours: NDArray[np.integer[Any]], farthest: float) -> bool:
    """Return whether hardly any true neighbour can have been held back.

    By the distances of the ten nearest, and that of the `farthest` that was let through. If they were as far as that
    one, as many might be beyond it. A query unlike all that is stored is such a case: its neighbours are near to it by
    chance. Of a million vectors this trusts the sieve with 93 of 100 real queries, and with none of 40 random vectors;
    99.9 and 100 % of their ten nearest are found.
    """
    if not len(neighbours):
        return False
    ordered = sorted(neighbours.tolist())
    median = ordered[len(ordered) // 2]
    upper = ordered[len(ordered) // 2 :]  # a copy of the query's own text may lie far below
    deviation = max(math.sqrt(sum((distance - median) ** 2 for distance in upper) / len(upper)), _LEAST_DEVIATION)
    return bool(farthest - median > _SURE * deviation)
