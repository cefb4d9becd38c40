"""ONNX export of a transformers encoder: pooling and norm inside, fused, kept only if its vectors are PyTorch's."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridstore.embedders import load, model_cache, recipe
from hybridstore.errors import InputError, MissingExtra, ModelUnavailable
from hybridstore.tuning import encoder, onnx_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hybridstore.tuning.encoder import EncoderSource

# The least cosine to PyTorch's vector that every sentence must reach.
PARITY: Mapping[str, float] = {"fp32": 0.999, "fp16": 0.999, "int8": 0.99}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How near the export's vectors are to PyTorch's: minimum and mean cosine over so many sentences."""

    minimum: float
    mean: float
    sentences: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was exported, how near it is to PyTorch, how large it is, and which operators were fused.

    `left_float` names the parts that an int8 export had to leave in float32 to be near enough. `size` is the graph's
    in bytes, `seconds` the whole export's.
    """

    name: str
    out: Path
    dim: int
    max_tokens: int
    precision: str
    device: str
    parity: Parity
    left_float: tuple[str, ...]
    fused: Mapping[str, int]
    size: int
    seconds: float


def export(
    source: str | Path | EncoderSource,
    out: Path,
    *,
    device: str = "cpu",
    precision: str = "fp32",
    progress: Callable[[str], None] | None = None,
) -> ExportReport:
    """Export an encoder to the folder `out`, which `embedders.load` can read.

    `source` is a folder in sentence-transformers' or transformers' layout, a catalog name, or an `EncoderSource`.
    Before anything is put into `out`, the graph is compared with PyTorch on sentences of one token to beyond the
    window: the least cosine must be 0.999 (int8: 0.99). int8 is dynamic quantisation per channel, for CPUs; fp16 is
    for GPUs and needs device="cuda". `progress` is called with each step in a few words.

    Raises:
        InputError: an unknown precision or device, fp16 without a GPU, or an `out` with other files in it.
        ModelUnavailable: the model cannot be read, or its export's vectors are too far from PyTorch's.
        MissingExtra: torch, transformers or onnx is not installed.

    """
    began = time.perf_counter()
    notify = progress or (lambda _: None)
    check_can_export(out, device, precision)
    model = source if isinstance(source, encoder.EncoderSource) else encoder.find(source)
    notify(f"reading {model.folder}")
    module = encoder.load(model, device)
    texts = mixed(model.max_tokens)
    expected = encoder.vectors(module, model, texts, device)
    best = Parity(minimum=-1.0, mean=-1.0, sentences=len(texts))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        fused = Path(scratch) / "fused.onnx"
        operators = _fused_graph(module, model, fused, device, precision, notify)
        for attempt, float_parts in enumerate(onnx_graph.FLOAT_PARTS if precision == "int8" else ((),)):
            notify("comparing it with PyTorch" + (f", {' and '.join(float_parts)} left in float32" * bool(float_parts)))
            folder = Path(scratch) / f"attempt-{attempt}"
            _write_graph(fused, folder, precision, float_parts)
            _describe(folder, model, precision, expected.shape[1])
            parity = _compare(folder, model, texts, expected, device)
            best = max(best, parity, key=lambda measured: measured.minimum)
            if parity.minimum >= PARITY[precision]:
                _describe(folder, model, precision, expected.shape[1], parity)
                if out.exists():
                    shutil.rmtree(out)
                shutil.move(folder, out)
                return ExportReport(
                    name=model.name,
                    out=out,
                    dim=expected.shape[1],
                    max_tokens=model.max_tokens,
                    precision=precision,
                    device=device,
                    parity=parity,
                    left_float=float_parts,
                    fused=operators,
                    size=(out / recipe.GRAPHS[0]).stat().st_size,
                    seconds=time.perf_counter() - began,
                )
    raise ModelUnavailable(
        model.name,
        f"its {precision} export was not saved: over {best.sentences} sentences the least cosine to PyTorch's "
        f"vectors is {best.minimum:.4f}, below the {PARITY[precision]} required; "
        + ("use precision='fp32'" if precision != "fp32" else "its architecture is not supported"),
    )


def check_can_export(out: Path, device: str, precision: str) -> None:
    """Raise InputError for what `export` cannot do, MissingExtra where torch is missing for it."""
    if precision not in PARITY:
        raise InputError(f"precision must be one of {', '.join(PARITY)}, not {precision!r}")
    if device not in ("cpu", "cuda"):
        raise InputError(f"device must be 'cpu' or 'cuda', not {device!r}")
    if precision == "fp16" and device != "cuda":
        raise InputError("precision='fp16' is for GPUs; add device='cuda', or use 'int8' for a faster CPU model")
    if precision == "int8" and device != "cpu":
        raise InputError("precision='int8' is for CPUs; use 'fp16' with device='cuda'")
    if out.exists() and not (out.is_dir() and ((out / recipe.OURS).is_file() or not any(out.iterdir()))):
        raise InputError(f"{out} holds other files; give a new folder, or one with an earlier export")
    if device == "cuda":
        try:
            import torch
        except ImportError as error:
            raise MissingExtra("train", "exporting a model", "torch") from error
        if not torch.cuda.is_available():
            raise InputError("device='cuda' needs an NVIDIA GPU that PyTorch can use; leave it out to export for CPUs")


def mixed(window: int) -> list[str]:
    """Return the sentences to compare, and three texts made of them: of about half a window, a whole one and two."""
    # English has about 1.3 tokens a word.
    words = " ".join(text for text in onnx_graph.SENTENCES if text.isascii()).split()
    stretched = words * (1 + 2 * window // len(words))
    return [*onnx_graph.SENTENCES, *(" ".join(stretched[: int(window * share / 1.3)]) for share in (0.5, 1.0, 2.0))]


def _fused_graph(  # noqa: PLR0917 - what a graph is made of
    module: Any, model: EncoderSource, fused: Path, device: str, precision: str, notify: Callable[[str], None]
) -> dict[str, int]:
    """Write the fused graph, smoothed for int8; return how many operators of each kind were fused."""
    plain = fused.with_name("plain.onnx")
    notify("tracing the graph")
    onnx_graph.trace(module, model.name, plain, device)
    notify("fusing it")
    operators = onnx_graph.fuse(module.inner.config, plain, fused, device=device, half=precision == "fp16")
    if precision == "int8":
        notify("smoothing its activations")
        onnx_graph.smooth(fused, model.folder / "tokenizer.json", model.max_tokens, fused)
    return operators


def _write_graph(fused: Path, folder: Path, precision: str, float_parts: tuple[str, ...]) -> None:
    folder.mkdir()
    if precision == "int8":
        onnx_graph.quantise(fused, folder / recipe.GRAPHS[0], float_parts)
    else:
        shutil.copy(fused, folder / recipe.GRAPHS[0])


def _describe(folder: Path, model: EncoderSource, precision: str, dim: int, parity: Parity | None = None) -> None:
    """Write the description and the tokenizer that `embedders.load` reads."""
    shutil.copy(model.folder / "tokenizer.json", folder / "tokenizer.json")
    description = {
        "name": model.name,
        "model": recipe.GRAPHS[0],
        "sha256": model_cache.sha256(folder / recipe.GRAPHS[0], folder),
        "dim": dim,
        "max_tokens": model.max_tokens,
        "pooling": "inside",
        "query_prefix": model.query_prefix,
        "document_prefix": model.document_prefix,
        "licence": model.licence,
        "precision": precision,
        "parity": asdict(parity) if parity else None,
        "batch_texts": 1 if precision == "int8" else None,
    }
    shutil.rmtree(folder / "verified", ignore_errors=True)
    (folder / recipe.OURS).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


def _compare(folder: Path, model: EncoderSource, texts: list[str], expected: Any, device: str) -> Parity:
    vectors = load(folder, device=device, cache=folder.parent / "cache").embed_plain(texts)
    cosines = np.einsum("ij,ij->i", vectors.astype(np.float64), expected.astype(np.float64))
    if not np.isfinite(cosines).all():
        raise ModelUnavailable(model.name, "its export produces vectors that are not numbers; use precision='fp32'")
    return Parity(minimum=float(cosines.min()), mean=float(cosines.mean()), sentences=len(texts))
