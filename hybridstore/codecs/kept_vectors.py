"""What a file keeps of each vector, for the candidates whose cosine is computed anew: all of it, or less.

A kept vector of each codec has another length, so its bytes say what it is. Vectors are compared by cosine: those of
the shorter codecs are scaled to unit norm when they are read, and need no scale of their own. docs/storage.md has what
each costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridstore.codecs import int8
from hybridstore.errors import InputError

Vectors = NDArray[np.float32]
FLOAT32 = "float32"  # what a store keeps unless it is told otherwise

_FEWEST = 8  # dimensions of which less is kept; codes of fewer have no lengths of their own, and save nothing
_HALF_BYTE = 7.0  # the largest of 4 bits


@dataclass(frozen=True, slots=True)
class Codec:
    """A way to keep vectors: `bits` of each dimension; `encode` from (n, dim) to rows of bytes, `decode` back."""

    name: str
    bits: int
    encode: Callable[[Vectors], NDArray[Any]]
    decode: Callable[[bytes, int], Vectors]

    def size(self, dim: int) -> int:
        """Return the bytes of a vector."""
        return -(-dim * self.bits // 8)


def _unit(vectors: Vectors) -> Vectors:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    norms[norms == 0] = 1
    with np.errstate(invalid="ignore"):  # of a damaged file; `check` reports what is not a number
        found: Vectors = vectors / norms
    return found


def _half_bytes(vectors: Vectors) -> NDArray[np.uint8]:
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0.0)
    largest[largest == 0] = 1
    codes = np.rint(vectors * (_HALF_BYTE / largest)).astype(np.int8)
    halves = np.pad(codes, ((0, 0), (0, codes.shape[1] % 2))).view(np.uint8) & 0xF
    return halves[:, ::2] * np.uint8(16) + halves[:, 1::2]


def _from_half_bytes(data: bytes, dim: int) -> Vectors:
    packed = np.frombuffer(data, np.uint8).reshape(-1, -(-dim // 2))
    codes = np.stack([packed >> 4, packed & 0xF], axis=2).reshape(len(packed), -1)[:, :dim]
    return _unit((codes.astype(np.int8) ^ 8) - np.float32(8))


# + 0: no -0.0, as `check` compares bytes.
CODECS = {
    codec.name: codec
    for codec in (
        Codec(
            FLOAT32,
            32,
            lambda vectors: np.ascontiguousarray(vectors, "<f4") + np.float32(0),
            lambda data, dim: np.frombuffer(data, "<f4").reshape(-1, dim),
        ),
        Codec(
            "float16",
            16,
            lambda vectors: vectors.astype("<f2") + np.float16(0),
            lambda data, dim: _unit(np.frombuffer(data, "<f2").reshape(-1, dim).astype(np.float32)),
        ),
        Codec(
            "int8",
            8,
            int8.encode,
            lambda data, dim: _unit(np.frombuffer(data, np.int8).reshape(-1, dim).astype(np.float32)),
        ),
        Codec("int4", 4, _half_bytes, _from_half_bytes),
    )
}
"""The codecs by their names, the most exact first."""


def codec_for(name: str, dim: int) -> Codec:
    """Return the codec that vectors of so many dimensions are kept by in a file with the codec `name`."""
    return CODECS[name if dim >= _FEWEST else FLOAT32]


@lru_cache
def codec_of(size: int, dim: int) -> Codec | None:
    """Return the codec whose vectors of so many dimensions have this size in bytes."""
    fitting = (codec for codec in CODECS.values() if codec.size(dim) == size and codec_for(codec.name, dim) is codec)
    return next(fitting, None)


def check_codec(name: object) -> None:
    """Raise InputError for what is not the name of a codec."""
    if not isinstance(name, str) or name not in CODECS:
        raise InputError(f"a codec is one of {', '.join(CODECS)}, not {name!r}")
