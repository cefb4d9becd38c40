"""The ONNX graph of an encoder: traced from torch, fused into ONNX Runtime's own operators, and quantised to int8.

Dynamic quantisation gives a whole activation tensor one scale, and BERT's activations have a few channels far larger
than the rest, so the rest lose their digits. SmoothQuant (Xiao et al., 2023) divides channel j of a matrix's input by
s_j and multiplies row j of the matrix by it, which changes nothing in exact arithmetic. MiniLM's least and mean cosine
to float32 over 63 sentences: 0.955 and 0.992 plainly, 0.981 and 0.997 smoothed, 0.995 and 0.999 smoothed and with the
feed-forward's narrowing matrices left in float32.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridstore import telemetry
from hybridstore.embedders.tokenizer import Tokens, from_file
from hybridstore.errors import MissingExtra, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

_TEXTS: dict[str, list[str]] = json.loads(Path(__file__).with_name("sentences.json").read_text(encoding="utf-8"))
# On which an encoder and its export are compared: from one word to beyond any window.
SENTENCES = _TEXTS["compared"]
# Which calibrate int8: none of those above, and like them in kind; short ones above all, since a single large
# activation weighs most there.
CALIBRATION = _TEXTS["calibration"]
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_OPSET = 17
# s_j = max|x_j|^a / max|w_j|^(1-a): of 0.4 to 1.0, 0.7 and 0.8 keep most.
_MIGRATION = 0.7
# What int8 leaves in float32: tried first to last until the vectors are near enough.
FLOAT_PARTS: tuple[tuple[str, ...], ...] = ((), ("narrowing",), ("narrowing", "embeddings"))


def trace(module: Any, name: str, path: Path, device: str) -> None:
    """Write the plain graph: int64 ids and mask (and types) to float32 sentence_embedding (b, dim).

    torch's older exporter is used: it spells attention out as the fusions know it, while none of MiniLM's six
    attentions is fused in the graphs of the newer one.

    Raises:
        MissingExtra: torch or onnx is not installed.
        ModelUnavailable: the exporter does not know the architecture.

    """
    try:
        import onnx  # noqa: F401 - the exporter needs it, and says so less clearly
        import torch
    except ImportError as error:
        raise MissingExtra("train", "exporting a model", "onnx") from error
    names = list(_INPUTS if getattr(module.inner.config, "type_vocab_size", 0) > 1 else _INPUTS[:2])
    ids = torch.full((2, 9), 1, dtype=torch.int64, device=device)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    inputs = [ids, mask, torch.zeros_like(ids)][: len(names)]
    axes: dict[str, dict[int, str]] = {name: {0: "batch", 1: "sequence"} for name in names}
    try:
        with torch.inference_mode(), silenced():
            torch.onnx.export(
                module,
                tuple(inputs),
                str(path),
                input_names=names,
                output_names=["sentence_embedding"],
                dynamic_axes={**axes, "sentence_embedding": {0: "batch"}},
                opset_version=_OPSET,
                dynamo=False,
            )
    except (RuntimeError, ValueError, TypeError) as error:
        raise ModelUnavailable(name, f"PyTorch cannot export its architecture: {error}") from error


def fuse(config: Any, plain: Path, fused: Path, *, device: str, half: bool) -> dict[str, int]:
    """Fuse attention, norms and activations into ONNX Runtime's own operators; return how many of each."""
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    with silenced():
        model = optimizer.optimize_model(
            str(plain),
            model_type="bert",
            num_heads=getattr(config, "num_attention_heads", 0),
            hidden_size=getattr(config, "hidden_size", 0),
            optimization_options=FusionOptions("bert"),
            opt_level=0,
            use_gpu=device == "cuda",
        )
        if half:
            model.convert_float_to_float16(keep_io_types=True)
        model.save_model_to_file(str(fused))
    return {kind: count for kind, count in model.get_fused_operator_statistics().items() if count}


def smooth(fused: Path, tokenizer: Path, max_tokens: int, smoothed: Path) -> None:
    """Write the graph with every matrix's input smoothed, by the largest activations on the calibration texts."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(fused))
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    matrices = [n for n in model.graph.node if n.op_type in ("Attention", "MatMul") and n.input[1] in stored]
    tokens = Tokens(from_file(tokenizer, str(tokenizer)), max_tokens)
    largest = _largest_activations(model, {node.input[0] for node in matrices}, tokens, smoothed)
    nodes: list[Any] = []
    for node in list(model.graph.node):
        if node in matrices:
            source, weights = node.input[0], numpy_helper.to_array(stored[node.input[1]])
            rows = np.maximum(np.abs(weights).max(axis=1), 1e-5)
            scale = np.maximum(largest[source], 1e-5) ** _MIGRATION / rows ** (1 - _MIGRATION)
            scale = (scale / np.exp(np.log(scale).mean())).astype(np.float32)
            stored[node.input[1]].CopyFrom(numpy_helper.from_array(weights * scale[:, None], node.input[1]))
            model.graph.initializer.append(numpy_helper.from_array(1 / scale, f"{node.name}/smooth"))
            inputs = [source, f"{node.name}/smooth"]
            nodes.append(helper.make_node("Mul", inputs, [f"{node.name}/smoothed"], name=f"{node.name}/mul"))
            node.input[0] = f"{node.name}/smoothed"
        nodes.append(node)
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    onnx.save(model, str(smoothed))


def _largest_activations(
    model: Any, names: set[str], tokens: Tokens, scratch: Path
) -> Mapping[str, NDArray[np.float32]]:
    """Run the calibration texts; return, by tensor, the largest magnitude of each channel."""
    import onnx
    from onnx import helper

    watched = onnx.ModelProto.FromString(model.SerializeToString())
    order = sorted(names)
    watched.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in order)
    onnx.save(watched, str(scratch))
    session = telemetry.onnxruntime().InferenceSession(str(scratch), providers=["CPUExecutionProvider"])
    types = {tensor.name: np.int32 if "int32" in tensor.type else np.int64 for tensor in session.get_inputs()}
    largest: dict[str, NDArray[np.float32]] = {}
    for ids in tokens.ids(CALIBRATION):
        row = np.array([ids])
        feed = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
        outputs = session.run(order, {name: feed[name].astype(kind) for name, kind in types.items()})
        for name, activation in zip(order, outputs, strict=True):
            peak = np.abs(activation).reshape(-1, activation.shape[-1]).max(axis=0)
            largest[name] = np.maximum(largest.get(name, peak), peak)
    return largest


def quantise(smoothed: Path, graph: Path, float_parts: tuple[str, ...]) -> None:
    """Write the graph with its matrices in int8, per channel, except the parts named in `float_parts`."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    nodes = onnx.load(str(smoothed)).graph.node
    activated = {output for node in nodes if node.op_type.endswith("Gelu") for output in node.output}
    # Smoothing has put a multiplication between the activation and its matrix.
    activated |= {output for node in nodes if activated & set(node.input) for output in node.output}
    skip: list[str] = []
    if "narrowing" in float_parts:
        skip += [node.name for node in nodes if node.op_type == "MatMul" and activated & set(node.input)]
    if "embeddings" in float_parts:
        skip += [node.name for node in nodes if node.op_type in ("EmbedLayerNormalization", "Gather")]
    with silenced():
        quantize_dynamic(
            str(smoothed),
            str(graph),
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=skip,
            # ONNX's shape inference does not know the fused operators, whose outputs are all float.
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
        )


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Suppress the exporters' warnings, log lines and prints about their own internals."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
