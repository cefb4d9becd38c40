"""Sign codes: a bit for each dimension, compared by Hamming distance before finer codes are.

A bit says whether a vector's component is above that dimension's median: vectors that agree in more of these bits
have, on the whole, the larger cosine (Charikar, "Similarity estimation techniques from rounding algorithms", STOC
2002). A code takes 1/32 of a float32 vector and 0.1 ns a bit to compare, but only the finer codes can order what
passes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.uint64]

FARTHEST = np.uint16(0xFFFF)  # farther than any distance

_ENCODED_AT_ONCE = 8_192
_COMPARED_AT_ONCE = 32_768  # so that what is between the steps stays in the processor's cache
_SAMPLE = 4_096
# The bound of the nearest is estimated of at most so many, and so that so many of them are within it: 0.09 ms less of
# 50,000 distances than of all.
_SAMPLED_DISTANCES = 32_768
_WITHIN = 256


def medians(codes: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return each dimension's median over a sample of the codes (n, dim), evenly taken: (dim,)."""
    sample = codes[:: max(len(codes) // _SAMPLE, 1)]
    if not len(sample):
        return np.zeros(codes.shape[1], np.int8)
    middle = len(sample) // 2
    above: NDArray[np.int8] = np.partition(sample, middle, axis=0)[middle]
    return above


def encode(codes: NDArray[np.int8], above: NDArray[np.int8]) -> Planes:
    """Return the bits of int8 codes (n, dim), 64 dimensions to a plane: (planes, n) uint64, padded with zeros."""
    planes = np.empty((-(-len(above) // 64), len(codes)), np.uint64)
    for first in range(0, len(codes), _ENCODED_AT_ONCE):
        block = codes[first : first + _ENCODED_AT_ONCE]
        packed = np.zeros((len(block), 8 * len(planes)), np.uint8)
        packed[:, : -(-len(above) // 8)] = np.packbits(block > above, axis=1)
        planes[:, first : first + len(block)] = packed.view(np.uint64).T
    return planes


def distances(planes: Planes, query: Planes) -> NDArray[np.uint16]:
    """Return how many bits of each code (planes, n) differ from the query's (planes, 1): (n,)."""
    counts = np.empty(planes.shape[1], np.uint16)
    for first in range(0, len(counts), _COMPARED_AT_ONCE):
        block = counts[first : first + _COMPARED_AT_ONCE]
        np.bitwise_count(planes[0, first : first + len(block)] ^ query[0], out=block)
        for plane, bits in zip(planes[1:], query[1:], strict=True):
            block += np.bitwise_count(plane[first : first + len(block)] ^ bits)
    return counts


def nearest(distance: NDArray[np.uint16], count: int) -> NDArray[np.intp]:
    """Return the places of about `count` smallest distances, ascending; all that tie with the last are among them."""
    sample = distance[:: max(len(distance) // _SAMPLED_DISTANCES, count // _WITHIN, 1)]
    rank = -(-count * len(sample) // max(len(distance), 1))
    if rank >= len(sample):
        return np.arange(len(distance))
    return np.flatnonzero(distance <= np.partition(sample, rank)[rank])
