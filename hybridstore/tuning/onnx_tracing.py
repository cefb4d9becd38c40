"""From a torch module to an ONNX graph in ONNX Runtime's own operators."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from typing import TYPE_CHECKING, Any

from hybridstore.errors import MissingExtra, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_OPSET = 17


def trace(module: Any, name: str, path: Path, device: str) -> None:
    """Write the plain graph: int64 ids and mask (and types) to float32 sentence_embedding (b, dim).

    torch's older exporter is used: it spells attention out as the fusions know it, while the graphs of the newer
    one come out with none of MiniLM's six attentions fused.

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
        with torch.inference_mode(), hushed():
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
    """Fuse attention, norms and activations into ONNX Runtime's own operators; give how many of each."""
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    with hushed():
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


@contextlib.contextmanager
def hushed(level: int = logging.WARNING) -> Iterator[None]:
    """Keep the exporters' talk about their own internals from the user: warnings, log lines and prints."""
    before = logging.root.manager.disable
    logging.disable(level)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
