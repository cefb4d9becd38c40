"""Pooling: from the output of a model's graph to unit vectors, through dense layers if it has any."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridstore.errors import ModelUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}


@dataclass(frozen=True, slots=True)
class Dense:
    """A linear layer after pooling: weight (out, in), bias (out,), with tanh if configured."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    tanh: bool

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (n, in) to (n, out)."""
        mapped = vectors @ self.weight.T + self.bias
        return np.tanh(mapped) if self.tanh else mapped


def pool(states: NDArray[np.float32], mask: NDArray[np.int64], pooling: str) -> NDArray[np.float32]:
    """Pool token states (n, tokens, dim) to (n, dim): the first token's, or the mean of those not masked out."""
    if pooling == "cls":
        first: NDArray[np.float32] = np.ascontiguousarray(states[:, 0])
        return first
    keep = mask.astype(np.float32)
    total: NDArray[np.float32] = np.matmul(keep[:, None, :], states)[:, 0]
    mean: NDArray[np.float32] = total / np.maximum(keep.sum(axis=1, keepdims=True), 1.0)
    return mean


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each row to unit length; a row of zeros stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(norms, np.float32(1e-12))
    return scaled


def read_dense(folder: Path, model: str) -> Dense:
    """Read a layer from a folder with config.json and model.safetensors, as sentence-transformers writes it.

    Raises ModelUnavailable for a missing or invalid file, or an activation other than identity and tanh.
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
        tensors = _safetensors((folder / "model.safetensors").read_bytes())
        weight = tensors["linear.weight"]
        activation = str(config.get("activation_function", "Identity")).rpartition(".")[2]
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnavailable(model, f"the dense layer in {folder} cannot be read: {error}") from error
    if activation not in ("Identity", "Tanh"):
        raise ModelUnavailable(
            model, f"the dense layer in {folder} uses {activation}; only Identity and Tanh are supported"
        )
    bias = tensors.get("linear.bias", np.zeros(len(weight), np.float32))
    return Dense(weight, bias, tanh=activation == "Tanh")


def _safetensors(data: bytes) -> dict[str, NDArray[np.float32]]:
    """Read the safetensors format: a little-endian uint64 length, a JSON header of that length, the tensors."""
    length = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    tensors: dict[str, NDArray[np.float32]] = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            flat = np.frombuffer(data[8 + length + begin : 8 + length + end], _DTYPES[entry["dtype"]])
            tensors[name] = flat.reshape(entry["shape"]).astype(np.float32)
    return tensors
