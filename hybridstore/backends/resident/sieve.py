"""Sign codes of all vectors, which let through the few thousand chunks that a query's neighbours are among."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.resident.chunk_ids import GrowingArray
from hybridstore.codecs import int8, signs

_SURE = 2.5  # deviations of the neighbours' distances that must lie between their median and the farthest let through
_LEAST_DEVIATION = 3.0
# Let through at least, and one in so many of a large store. Of 50,000 sentence vectors and of a million made from them
# the ten nearest by float32 were among these in 99.5 to 100 of 100 cases, before `trustworthy` is asked.
POOL = 2_048
POOL_SHARE = 256
_TRIED = 32  # vectors whose neighbours are searched for to see whether signs say anything about these vectors
_TRIED_AMONG = 65_536
NEIGHBOURS = 10
_SHARE = 64  # one in so many is let through then
_LEAST_FOUND = 0.95


@dataclass(frozen=True, slots=True)
class Sieve:
    """Sign codes in the order of the chunks; `above` (dim,) are the medians that they were made with."""

    above: NDArray[np.int8]
    planes: GrowingArray
    count: int

    @classmethod
    def of(cls, codes: NDArray[np.int8]) -> Self:
        """Make the sieve of int8 codes (n, dim)."""
        above = signs.medians(codes)
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


def trustworthy(neighbours: NDArray[np.uint16], all_through: NDArray[np.uint16]) -> bool:
    """Return whether hardly any true neighbour can have been held back, by the distances of the ten nearest.

    If they were as far as the last one let through, as many might be beyond it. A query unlike all that is stored is
    such a case: its neighbours are near to it by chance. Of a million vectors this trusts the sieve with 93 of 100
    real queries, and with none of 40 random vectors; 99.9 and 100 % of their ten nearest are found.
    """
    if not len(neighbours):
        return False
    ordered = sorted(neighbours.tolist())
    median = ordered[len(ordered) // 2]
    upper = ordered[len(ordered) // 2 :]  # a copy of the query's own text may lie far below
    deviation = max(math.sqrt(sum((distance - median) ** 2 for distance in upper) / len(upper)), _LEAST_DEVIATION)
    return bool(float(all_through.max()) - median > _SURE * deviation)
