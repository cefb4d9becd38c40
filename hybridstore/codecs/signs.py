"""Sign codes: a bit for each dimension, compared by Hamming distance; a sieve before finer codes.

Whether a vector's component is above that dimension's median: vectors that agree in more of these bits have, on the
whole, the larger cosine (Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002). A code
takes 1/32 of a float32 vector and 0.1 ns a bit to compare, but only the finer codes can order what passes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.uint64]

FARTHEST = np.uint16(0xFFFF)  # farther than any distance

_ENCODED_AT_ONCE = 8_192
_COMPARED_AT_ONCE = 32_768  # so that what is between the steps stays in the processor's cache
_SAMPLE = 4_096
_LOOKED_AT = 32_768  # distances from which is told how near the wanted ones are


def medians(codes: NDArray[np.int8]) -> NDArray[np.int8]:
    """Give each dimension's median over some of the codes (n, dim), evenly taken: (dim,)."""
    some = codes[:: max(len(codes) // _SAMPLE, 1)]
    return (
        np.partition(some, len(some) // 2, axis=0)[len(some) // 2] if len(some) else np.zeros(codes.shape[1], np.int8)
    )


def encode(codes: NDArray[np.int8], above: NDArray[np.int8]) -> Planes:
    """Give the bits of int8 codes (n, dim), 64 dimensions to a plane: (planes, n) uint64, padded with zeros."""
    planes = np.empty((-(-len(above) // 64), len(codes)), np.uint64)
    for first in range(0, len(codes), _ENCODED_AT_ONCE):
        some = codes[first : first + _ENCODED_AT_ONCE]
        packed = np.zeros((len(some), 8 * len(planes)), np.uint8)
        packed[:, : -(-len(above) // 8)] = np.packbits(some > above, axis=1)
        planes[:, first : first + len(some)] = packed.view(np.uint64).T
    return planes


def distances(planes: Planes, query: Planes) -> NDArray[np.uint16]:
    """Give how many bits of each code (planes, n) differ from the query's (planes, 1): (n,)."""
    found = np.empty(planes.shape[1], np.uint16)
    for first in range(0, len(found), _COMPARED_AT_ONCE):
        some = found[first : first + _COMPARED_AT_ONCE]
        np.bitwise_count(planes[0, first : first + len(some)] ^ query[0], out=some)
        for plane, bits in zip(planes[1:], query[1:], strict=True):
            some += np.bitwise_count(plane[first : first + len(some)] ^ bits)
    return found


def nearest(distance: NDArray[np.uint16], count: int) -> NDArray[np.intp]:
    """Give the places of about `count` smallest distances, ascending; all that tie with the last are among them."""
    some = distance[:: max(len(distance) // _LOOKED_AT, 1)]
    wanted = -(-count * len(some) // max(len(distance), 1))
    if wanted >= len(some):
        return np.arange(len(distance))
    return np.flatnonzero(distance <= np.partition(some, wanted)[wanted])
