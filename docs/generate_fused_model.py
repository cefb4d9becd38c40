"""Writes the default model's fused graph, without weights, to hybridstore/embedders/data, or to a file that is named.

Needed only when the graph changes; a test checks that the shipped graph is what this writes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hybridstore.embedders import default_model
from hybridstore.errors import MissingExtra

MICROSOFT = "com.microsoft"
# A BERT of 6 layers: 384 wide, 12 heads, 1536 inner, 512 positions, a vocabulary of 30,522.
WIDTH, HEADS, INNER, POSITIONS, WORDS, EPSILON = 384, 12, 1536, 512, 30522, 1e-12


def graph() -> bytes:
    """Return the ONNX file: int64 input_ids and attention_mask (b, s) to float32 sentence_embedding (b, 384).

    The output is the sum over the tokens that the mask keeps, which normalisation makes equal to the mean.
    Weights are external references, which `SessionOptions.add_external_initializers` fills in.

    Raises:
        MissingExtra: the `onnx` package is not installed.

    """
    try:
        from onnx import TensorProto, helper
    except ImportError as error:
        raise MissingExtra("train", "writing a graph", "onnx") from error
    nodes: list[Any] = []
    weights: list[Any] = []

    def weight(name: str, *dims: int, kind: int = TensorProto.FLOAT) -> str:
        tensor = TensorProto(name=name, data_type=kind, dims=dims, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="weights")
        weights.append(tensor)
        return name

    def constant(name: str, values: list[int]) -> str:
        weights.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
        return name

    def node(kind: str, inputs: list[str], output: str, *, domain: str = "", **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def norm(x: str, skip: str, name: str) -> str:
        scales = [weight(f"{name}.gamma", WIDTH), weight(f"{name}.beta", WIDTH), weight(f"{name}.bias", WIDTH)]
        return node("SkipLayerNormalization", [x, skip, *scales], f"{name}.normed", domain=MICROSOFT, epsilon=EPSILON)

    words = node("Gather", [weight("words", WORDS, WIDTH, kind=TensorProto.INT8), "input_ids"], "words.codes")
    scale = node("Gather", [weight("words.scale", WORDS, 1), "input_ids"], "words.scales")
    words = node("Mul", [node("Cast", [words], "words.float", to=TensorProto.FLOAT), scale], "words.vectors")
    length = node("Shape", ["input_ids"], "length", start=1)
    places = [weight("positions", POSITIONS, WIDTH), constant("zero", [0]), length, constant("axis", [0])]
    x = node("Add", [words, node("Slice", places, "positions.vectors")], "embedded")
    x = node(
        "LayerNormalization",
        [x, weight("norm.gamma", WIDTH), weight("norm.beta", WIDTH)],
        "embedded.normed",
        axis=-1,
        epsilon=EPSILON,
    )
    mask = node("Cast", ["attention_mask"], "mask", to=TensorProto.INT32)
    for layer in range(default_model.LAYERS):
        name = f"layer.{layer}."
        qkv = [weight(name + "qkv", WIDTH, 3 * WIDTH), weight(name + "qkv.bias", 3 * WIDTH)]
        y = node("Attention", [x, *qkv, mask], name + "attended", domain=MICROSOFT, num_heads=HEADS)
        y = node("MatMul", [y, weight(name + "output", WIDTH, WIDTH)], name + "projected")
        x = norm(y, x, name + "output")
        y = node("MatMul", [x, weight(name + "widen", WIDTH, INNER)], name + "widened")
        y = node("BiasGelu", [y, weight(name + "widen.bias", INNER)], name + "gelu", domain=MICROSOFT)
        y = node("MatMul", [y, weight(name + "narrow", INNER, WIDTH)], name + "narrowed")
        x = norm(y, x, name + "narrow")
    keep = node("Cast", ["attention_mask"], "keep", to=TensorProto.FLOAT)
    keep = node("Unsqueeze", [keep, constant("row", [1])], "keep.rows")
    node("Squeeze", [node("MatMul", [keep, x], "summed"), "row"], "sentence_embedding")
    made = helper.make_graph(
        nodes,
        "all-MiniLM-L6-v2",
        [helper.make_tensor_value_info(i, TensorProto.INT64, ["b", "s"]) for i in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["b", WIDTH])],
        weights,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(made, producer_name="hybridstore", opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else default_model.GRAPH
    target.write_bytes(graph())
