"""A transformers encoder to ONNX, with pooling and norm inside, fused, and only if its vectors are PyTorch's."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridstore.embedders import checksums, load, recipe
from hybridstore.errors import InputError, MissingExtra, ModelUnavailable
from hybridstore.tuning import encoder, onnx_tracing, quantise
from hybridstore.tuning.parity_sentences import mixed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hybridstore.tuning.encoder import EncoderSource

# The least cosine to PyTorch's vector that every sentence must reach.
PARITY: Mapping[str, float] = {"fp32": 0.999, "fp16": 0.999, "int8": 0.99}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How near the export's vectors are to PyTorch's: least and mean cosine over so many sentences."""

    minimum: float
    mean: float
    sentences: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What an export made: where, what of, how near to PyTorch, how large, and which operators were fused.

    `left_float` names the parts that an int8 export had to leave in float32 to be near enough. `size` is the
    graph's in bytes, `seconds` the whole export's.
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
    """Export an encoder to the folder `out`, which `embedders.load` then reads.

    `source` is a folder as sentence-transformers or transformers keeps it, a name from the catalog, or what
    `encoder.find` gave. The graph is tried on sentences of one token to beyond the window before anything is put into
    `out`: the least cosine to PyTorch's vectors must be 0.999 (int8: 0.99). int8 is dynamic quantisation per channel,
    for CPUs; fp16 is for GPUs and needs device="cuda". `progress` is told each step in a few words.

    Raises:
        InputError: an unknown precision or device, fp16 without a GPU, or an `out` with other files in it.
        ModelUnavailable: the model cannot be read, or its export's vectors are too far from PyTorch's.
        MissingExtra: torch, transformers or onnx is not installed.

    """
    began = time.perf_counter()
    say = progress or (lambda _: None)
    refuse(out, device, precision)
    made = source if isinstance(source, encoder.EncoderSource) else encoder.find(source)
    say(f"reading {made.folder}")
    module = encoder.load(made, device)
    texts = mixed(made.max_tokens)
    wanted = encoder.vectors(module, made, texts, device)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        plain, fused = Path(scratch) / "plain.onnx", Path(scratch) / "fused.onnx"
        say("tracing the graph")
        onnx_tracing.trace(module, made.name, plain, device)
        say("fusing it")
        operators = onnx_tracing.fuse(module.inner.config, plain, fused, device=device, half=precision == "fp16")
        if precision == "int8":
            say("smoothing its activations")
            quantise.smooth(fused, made.folder / "tokenizer.json", made.max_tokens, fused)
        best = Parity(minimum=-1.0, mean=-1.0, sentences=len(texts))
        for attempt, left in enumerate(quantise.LEFT_FLOAT if precision == "int8" else ((),)):
            say("comparing it with PyTorch" + (f", {' and '.join(left)} left in float32" if left else ""))
            folder = Path(scratch) / f"attempt-{attempt}"
            folder.mkdir()
            graph = folder / recipe.GRAPHS[0]
            if precision == "int8":
                quantise.quantise(fused, graph, left)
            else:
                shutil.copy(fused, graph)
            _describe(folder, made, precision, wanted.shape[1])
            parity = _compare(folder, made, texts, wanted, device)
            best = max(best, parity, key=lambda each: each.minimum)
            if parity.minimum >= PARITY[precision]:
                _describe(folder, made, precision, wanted.shape[1], parity)
                size = graph.stat().st_size
                _place(folder, out)
                return ExportReport(
                    name=made.name,
                    out=out,
                    dim=wanted.shape[1],
                    max_tokens=made.max_tokens,
                    precision=precision,
                    device=device,
                    parity=parity,
                    left_float=left,
                    fused=operators,
                    size=size,
                    seconds=time.perf_counter() - began,
                )
    raise ModelUnavailable(
        made.name,
        f"its {precision} export was not saved: over {best.sentences} sentences the least cosine to PyTorch's "
        f"vectors is {best.minimum:.4f} where {PARITY[precision]} is asked; "
        + ("use precision='fp32'" if precision != "fp32" else "its architecture is not supported"),
    )


def refuse(out: Path, device: str, precision: str) -> None:
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


def _describe(folder: Path, made: EncoderSource, precision: str, dim: int, parity: Parity | None = None) -> None:
    """Write what `embedders.load` needs to know, and the tokenizer."""
    shutil.copy(made.folder / "tokenizer.json", folder / "tokenizer.json")
    description = {
        "name": made.name,
        "model": recipe.GRAPHS[0],
        "sha256": checksums.sha256(folder / recipe.GRAPHS[0], folder),
        "dim": dim,
        "max_tokens": made.max_tokens,
        "pooling": "inside",
        "query_prefix": made.query_prefix,
        "document_prefix": made.document_prefix,
        "licence": made.licence,
        "precision": precision,
        "parity": asdict(parity) if parity else None,
        "batch_texts": 1 if precision == "int8" else None,
    }
    shutil.rmtree(folder / "verified", ignore_errors=True)
    (folder / recipe.OURS).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


def _compare(folder: Path, made: EncoderSource, texts: list[str], wanted: Any, device: str) -> Parity:
    found = load(folder, device=device, cache=folder.parent / "cache").embed_plain(texts)
    cosines = np.einsum("ij,ij->i", found.astype(np.float64), wanted.astype(np.float64))
    if not np.isfinite(cosines).all():
        raise ModelUnavailable(made.name, "its export gives vectors that are not numbers; use precision='fp32'")
    return Parity(minimum=float(cosines.min()), mean=float(cosines.mean()), sentences=len(texts))


def _place(folder: Path, out: Path) -> None:
    if out.exists():
        shutil.rmtree(out)
    shutil.move(folder, out)
