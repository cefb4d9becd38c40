"""What is done to a question's vector before it is compared: a learned adapter, or another embedder's way back.

A transform's arrays stand in the file beside the version of the model that they belong to; here they are written,
read and applied by pure functions.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hybridstore.errors import EmbedderMismatch, InputError, ModelUnavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hybridstore.backends.learning import ModelVersion
    from hybridstore.backends.values import Embedding

# How weights begin: the transform's kind, its two lengths, and the CRC-32 of what follows, which is float32 numbers;
# all little-endian.
_HEAD = struct.Struct("<4sIII")
_ADAPTER, _AFFINE = b"adpt", b"affn"
_FLOAT = np.dtype("<f4")


class Transform(Protocol):
    """Vectors of one embedder to vectors that can be compared with another's: `source`, `target` are fingerprints."""

    @property
    def source(self) -> str:
        """The fingerprint of the embedder whose vectors it takes."""
        ...

    @property
    def target(self) -> str:
        """The fingerprint of the embedder whose vectors its results are compared with."""
        ...

    def __call__(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the unit vector (d_out,) of a vector (d_in,); zero stays zero. Raises InputError for other lengths."""
        ...

    def many(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the unit vectors (n, d_out) of vectors (n, d_in), as one by one; raises InputError for other lengths."""
        ...


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
        """Raise InputError for arrays that do not fit each other, or hold NaN or infinite numbers."""
        if self.down.ndim != 2 or 0 in self.down.shape or self.up.shape != self.down.shape[::-1]:
            raise InputError(f"an adapter takes arrays (d, r) and (r, d), not {self.down.shape} and {self.up.shape}")
        _finite(self.down, self.up)

    @property
    def target(self) -> str:
        """The embedder's own: what an adapter gives is compared with the vectors there are."""
        return self.source

    def __call__(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give unit(v + (v · down) · up)."""
        _fits(vector, (len(self.down),))
        return _unit(np.add(vector, (vector @ self.down) @ self.up, dtype=np.float32))

    def many(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the same for each row."""
        _fits(vectors, (len(vectors), len(self.down)))
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
        """Raise InputError for arrays that do not fit each other, or hold NaN or infinite numbers."""
        if self.matrix.ndim != 2 or 0 in self.matrix.shape or self.offset.shape != self.matrix.shape[1:]:
            raise InputError(
                f"a map takes arrays (d_in, d_out) and (d_out,), not {self.matrix.shape} and {self.offset.shape}"
            )
        _finite(self.matrix, self.offset)

    def __call__(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give unit(v · matrix + offset); a zero vector has no direction, and is given none by the offset."""
        _fits(vector, (len(self.matrix),))
        if not vector.any():
            return np.zeros(len(self.offset), np.float32)
        return _unit(vector @ self.matrix + self.offset)

    def many(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the same for each row."""
        _fits(vectors, (len(vectors), len(self.matrix)))
        turned = _units(vectors @ self.matrix + self.offset)
        turned[~vectors.any(axis=1)] = 0.0
        return turned


def write(transform: Adapter | Affine) -> bytes:
    """Give a transform's arrays as a `Model` keeps them: a checksum and float32 numbers, nothing that could run."""
    if isinstance(transform, Adapter):
        kind, shape, arrays = _ADAPTER, transform.down.shape, (transform.down, transform.up)
    else:
        kind, shape, arrays = _AFFINE, transform.matrix.shape, (transform.matrix, transform.offset)
    body = b"".join(np.ascontiguousarray(array, _FLOAT).tobytes() for array in arrays)
    return _HEAD.pack(kind, *shape, zlib.crc32(body)) + body


def read(model: ModelVersion) -> Adapter | Affine:
    """Give the transform of a version that has weights; one that is asked for again is not decoded again.

    Raises ModelUnavailable for weights that are damaged, or that this version of hybridstore does not know.
    """
    try:
        return _decoded(model.source, model.target, model.weights)
    except ValueError as error:  # an InputError is one
        raise ModelUnavailable(
            f"version {model.number}",
            f"its weights in the file cannot be read ({error}); run `hybridstore model rollback` to search without it",
        ) from error


def applicable_version(
    model: ModelVersion | None, searched: Embedding | None, fingerprint: str | None
) -> ModelVersion | None:
    """Give the version by whose transform an embedder's vectors become comparable with those searched.

    None where they are as they are. `fingerprint` None stands for a caller's own vectors, which are taken for the
    file's embedder's: an adapter turns them, what another embedder's questions need does not. Raises EmbedderMismatch
    for an embedder whose vectors can be compared with those searched by no means.
    """
    if searched is None:
        return None
    if model is not None and model.weights and model.target == searched.fingerprint:
        given = model.target if fingerprint is None else fingerprint
        if given == model.source:
            return model
    if fingerprint is not None and fingerprint != searched.fingerprint:
        raise EmbedderMismatch(searched.fingerprint, fingerprint)
    return None


def transformed(
    model: ModelVersion | None, searched: Embedding | None, vector: NDArray[np.float32], fingerprint: str | None
) -> tuple[NDArray[np.float32], int | None]:
    """Return a query's vector as it is compared with those stored, and the number of the version that transformed it.

    Raises EmbedderMismatch as `applicable_version` does, InputError for a vector of the wrong length.
    """
    version = applicable_version(model, searched, fingerprint)
    return (vector, None) if version is None else (read(version)(vector), version.number)


@lru_cache(maxsize=4)  # a bytes object keeps its hash, so that a hit costs no look at the weights
def _decoded(source: str, target: str, weights: bytes) -> Adapter | Affine:
    if len(weights) < _HEAD.size:
        raise ValueError("they are cut off")
    kind, rows, columns, checksum = _HEAD.unpack_from(weights)
    lengths = {_ADAPTER: (rows * columns, columns * rows), _AFFINE: (rows * columns, columns)}.get(kind)
    if lengths is None:
        raise ValueError(f"they are of an unknown kind {kind!r}")
    body = memoryview(weights)[_HEAD.size :]
    if len(body) != sum(lengths) * _FLOAT.itemsize or zlib.crc32(body) != checksum:
        raise ValueError("their checksum or length is wrong")
    # Copied: what lies at an odd place in memory is slow to multiply by.
    first, second = (part.astype(np.float32) for part in np.split(np.frombuffer(body, _FLOAT), lengths[:1]))
    if kind == _AFFINE:
        return Affine(source, target, first.reshape(rows, columns), second)
    if source != target:
        raise ValueError("an adapter's source is its target")
    return Adapter(source, first.reshape(rows, columns), second.reshape(columns, rows))


def _fits(vectors: NDArray[np.float32], shape: tuple[int, ...]) -> None:
    if vectors.shape != shape:
        raise InputError(f"the query vector has shape {vectors.shape[-1:]}; {shape[-1]} dimensions are wanted")


def _finite(*arrays: NDArray[np.float32]) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise InputError("a transform must be finite; there are NaN or infinite values")


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    square = float(vector @ vector)
    return vector / np.float32(math.sqrt(square)) if square > 0.0 else vector


def _units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms == 0.0, 1.0, norms), np.float32)
