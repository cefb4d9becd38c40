"""Transforms of a query's vector before it is compared: a learned adapter, or a map from another embedder's space.

A transform's arrays are stored with the model version that they belong to. `source` is the fingerprint of the embedder
whose vectors it takes, `target` that of the embedder whose vectors its results are compared with.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.errors import EmbedderMismatch, InputError, ModelUnavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hybridstore.backends.learning import ModelVersion
    from hybridstore.backends.values import Embedding

# The header of the weights: the transform's kind, its two lengths, and the CRC-32 of the float32 numbers that follow;
# all little-endian.
_HEADER = struct.Struct("<4sIII")
_ADAPTER, _AFFINE = b"adpt", b"affn"
_FLOAT = np.dtype("<f4")


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """A low-rank residual on top of a frozen embedder: unit(v + (v · down) · up).

    `down` is (d, r), `up` is (r, d), both float32; a zero `up` changes nothing. From "Augmented Embeddings for Custom
    Retrievals" (Khatry et al., 2023), which learns such a residual of a black-box embedding.
    """

    source: str
    down: NDArray[np.float32]
    up: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Raise InputError for arrays of shapes that do not match, or with NaN or infinite numbers."""
        if self.down.ndim != 2 or 0 in self.down.shape or self.up.shape != self.down.shape[::-1]:
            raise InputError(f"an adapter takes arrays (d, r) and (r, d), not {self.down.shape} and {self.up.shape}")
        _check_finite(self.down, self.up)

    @property
    def target(self) -> str:
        """The source: an adapter's results are compared with vectors of the same embedder."""
        return self.source

    def __call__(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return unit(v + (v · down) · up); raises InputError for a vector of another length."""
        _check_shape(vector, (len(self.down),))
        return _unit(np.add(vector, (vector @ self.down) @ self.up, dtype=np.float32))

    def many(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the same for every row (n, d)."""
        _check_shape(vectors, (len(vectors), len(self.down)))
        return _units(np.add(vectors, (vectors @ self.down) @ self.up, dtype=np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """A map between the spaces of two embedders: unit(v · matrix + offset).

    `matrix` is (d_in, d_out), `offset` is (d_out,), both float32; the lengths may differ.
    """

    source: str
    target: str
    matrix: NDArray[np.float32]
    offset: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Raise InputError for arrays of shapes that do not match, or with NaN or infinite numbers."""
        if self.matrix.ndim != 2 or 0 in self.matrix.shape or self.offset.shape != self.matrix.shape[1:]:
            raise InputError(
                f"a map takes arrays (d_in, d_out) and (d_out,), not {self.matrix.shape} and {self.offset.shape}"
            )
        _check_finite(self.matrix, self.offset)

    def __call__(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return unit(v · matrix + offset), zero for a zero vector; raises InputError for another length."""
        _check_shape(vector, (len(self.matrix),))
        if not vector.any():
            return np.zeros(len(self.offset), np.float32)
        return _unit(vector @ self.matrix + self.offset)

    def many(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the same for every row (n, d)."""
        _check_shape(vectors, (len(vectors), len(self.matrix)))
        results = _units(vectors @ self.matrix + self.offset)
        results[~vectors.any(axis=1)] = 0.0
        return results


def write(transform: Adapter | Affine) -> bytes:
    """Return a transform's weights as stored in a ModelVersion: a checksum and float32 numbers, nothing executable."""
    if isinstance(transform, Adapter):
        kind, shape, arrays = _ADAPTER, transform.down.shape, (transform.down, transform.up)
    else:
        kind, shape, arrays = _AFFINE, transform.matrix.shape, (transform.matrix, transform.offset)
    body = b"".join(np.ascontiguousarray(array, _FLOAT).tobytes() for array in arrays)
    return _HEADER.pack(kind, *shape, zlib.crc32(body)) + body


def read(model: ModelVersion) -> Adapter | Affine:
    """Return the transform of a version that has weights; the last few are cached.

    Raises ModelUnavailable for weights that are damaged, or of a kind unknown to this version of hybridstore.
    """
    try:
        return _decoded(model.source, model.target, model.weights)
    except ValueError as error:  # including InputError
        raise ModelUnavailable(
            f"version {model.number}",
            f"its weights in the file cannot be read ({error}); run `hybridstore model rollback` to search without it",
        ) from error


def applicable_version(
    model: ModelVersion | None, searched: Embedding | None, fingerprint: str | None
) -> ModelVersion | None:
    """Return the version whose transform makes an embedder's vectors comparable with those searched.

    None if they are comparable without one. `fingerprint` None means a caller's own vectors, which are taken to be of
    the file's embedder: an adapter applies to them, a map from another embedder does not. Raises EmbedderMismatch for
    an embedder whose vectors cannot be compared with those searched.
    """
    if searched is None:
        return None
    if model is not None and model.weights and model.target == searched.fingerprint:
        embedder = model.target if fingerprint is None else fingerprint
        if embedder == model.source:
            return model
    if fingerprint is not None and fingerprint != searched.fingerprint:
        raise EmbedderMismatch(searched.fingerprint, fingerprint)
    return None


def transform_query(
    model: ModelVersion | None, searched: Embedding | None, vector: NDArray[np.float32], fingerprint: str | None
) -> tuple[NDArray[np.float32], int | None]:
    """Return a query's vector as it is compared with those stored, and the number of the version applied, if any.

    Raises EmbedderMismatch as `applicable_version` does, InputError for a vector of the wrong length.
    """
    version = applicable_version(model, searched, fingerprint)
    return (vector, None) if version is None else (read(version)(vector), version.number)


@lru_cache(maxsize=4)  # a bytes object caches its hash, so a cache hit does not read the weights
def _decoded(source: str, target: str, weights: bytes) -> Adapter | Affine:
    if len(weights) < _HEADER.size:
        raise ValueError("they are cut off")
    kind, rows, columns, checksum = _HEADER.unpack_from(weights)
    lengths = {_ADAPTER: (rows * columns, columns * rows), _AFFINE: (rows * columns, columns)}.get(kind)
    if lengths is None:
        raise ValueError(f"they are of an unknown kind {kind!r}")
    body = memoryview(weights)[_HEADER.size :]
    if len(body) != sum(lengths) * _FLOAT.itemsize or zlib.crc32(body) != checksum:
        raise ValueError("their checksum or length is wrong")
    # Copied: unaligned memory is slow to multiply by.
    first, second = (part.astype(np.float32) for part in np.split(np.frombuffer(body, _FLOAT), lengths[:1]))
    if kind == _AFFINE:
        return Affine(source, target, first.reshape(rows, columns), second)
    if source != target:
        raise ValueError("an adapter's source and target must be equal")
    return Adapter(source, first.reshape(rows, columns), second.reshape(columns, rows))


def _check_shape(vectors: NDArray[np.float32], shape: tuple[int, ...]) -> None:
    if vectors.shape != shape:
        raise InputError(f"the query vector has shape {vectors.shape[-1:]}; {shape[-1]} dimensions are needed")


def _check_finite(*arrays: NDArray[np.float32]) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise InputError("a transform must be finite; there are NaN or infinite values")


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    square = float(vector @ vector)
    return vector / np.float32(math.sqrt(square)) if square > 0.0 else vector


def _units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms == 0.0, 1.0, norms), np.float32)
