"""Fine-tuning an encoder on examples: train, blend, and export, which is kept only if it is faithful."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridstore import embedders
from hybridstore.errors import InputError, MissingExtra
from hybridstore.tuning import encoder, export
from hybridstore.tuning.finetune.examples import Example, FinetuneSettings
from hybridstore.tuning.onnx_graph import SENTENCES

if TYPE_CHECKING:
    from hybridstore.tuning.encoder import EncoderSource
    from hybridstore.tuning.finetune.training import Progress

_CURVE = 100  # points of a report's loss curve at most


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneReport:
    """What a fine-tune made, of what, and how.

    `losses` are means over up to a hundred equal stretches of the `steps`. `resumed_at` is the step training resumed
    at, 0 where it was not interrupted; `seconds` are the training's from there. `kept` is the mean cosine between the
    old and the new vectors of general sentences: the further from 1, the more has changed beyond what was trained.
    `parity` is how near the exported vectors are to PyTorch's.
    """

    base: str
    name: str
    out: Path
    fingerprint: str
    dim: int
    device: str
    examples: int
    steps: int
    resumed_at: int
    losses: tuple[float, ...]
    seconds: float
    examples_per_second: float
    kept: float
    parity: export.Parity
    options: FinetuneSettings

    def to_dict(self) -> dict[str, Any]:
        """Return the report in JSON types."""
        return {**asdict(self), "out": str(self.out), "losses": list(self.losses)}


def finetune(
    base: str | Path,
    examples: Iterable[Example],
    out: Path,
    *,
    options: FinetuneSettings | None = None,
    progress: Progress | None = None,
    notify: Callable[[str], None] | None = None,
) -> FinetuneReport:
    """Fine-tune an encoder on examples and export it to the folder `out`, which `embedders.load` can read.

    `base` is a catalog name or a folder: with PyTorch weights, or one made here. `out` holds the ONNX model and, in
    `pytorch`, the weights, which a later fine-tune can start from. It appears when all is done; until then a hidden
    folder beside it holds the checkpoints, and a call that was stopped, even killed, resumes from the last one.
    `progress` is called with (step, steps, loss, seconds left), `notify` with each other step in a few words.

    Raises:
        InputError: no examples, options that make no sense here, an `out` with other files, a loss that diverged.
        ModelUnavailable: no PyTorch weights of the model are here, or its export is too far from them.
        MissingExtra: torch, transformers or onnx is not installed.

    """
    options, notify = options or FinetuneSettings(), notify or (lambda _: None)
    device = check_can_finetune(base, out, options)
    listed = list(examples)
    if len(listed) < 2:
        raise InputError(f"an encoder learns from many examples, not from {len(listed)}; harvest some first")
    from hybridstore.tuning.finetune.training import train

    source = encoder.find(base)
    run = _run_id(source, listed, options)
    notify(f"reading {source.folder}")
    module = encoder.load(source, device, attention="sdpa")
    before = encoder.vectors(module, source, SENTENCES, device)
    work = out.parent / f".{out.name}-finetune"
    trained = train(module, source, listed, options, folder=work / "checkpoints", run=run, progress=progress)
    _blend(module, source, options.blend)
    kept = np.einsum("ij,ij->i", before, encoder.vectors(module, source, SENTENCES, device)).mean()
    exported = _export(module, source, work, options, notify)
    if out.exists():
        shutil.rmtree(out)
    exported.out.rename(out)
    shutil.rmtree(work)
    made = embedders.load(out, device="cpu")
    return FinetuneReport(
        base=str(base),
        name=made.fingerprint.partition("@")[0],
        out=out,
        fingerprint=made.fingerprint,
        dim=made.dim,
        device=device,
        examples=len(listed),
        steps=len(trained.losses),
        resumed_at=trained.resumed_at,
        losses=_curve(trained.losses),
        seconds=trained.seconds,
        examples_per_second=trained.examples_per_second,
        kept=float(kept),
        parity=exported.parity,
        options=options,
    )


def next_folder(store: str | os.PathLike[str]) -> Path:
    """Return the folder for a store's next embedder: the first of `<store's file>.models/1`, `/2`, … that is free.

    The folder of an interrupted fine-tune does not exist yet, so the same call resumes it.
    """
    folder = Path(f"{os.fspath(store)}.models").absolute()
    taken = {int(path.name) for path in folder.glob("*") if path.name.isdecimal()} if folder.is_dir() else set()
    return folder / str(max(taken, default=0) + 1)


def check_can_finetune(base: str | Path, out: Path, options: FinetuneSettings) -> str:
    """Raise, before any work, what `finetune` would raise for these; return the device, "cpu" or "cuda"."""
    try:
        import torch
        import transformers  # noqa: F401 - missing extras are reported before anything is read
    except ImportError as error:
        raise MissingExtra("train", "fine-tuning an encoder", "torch and transformers") from error
    gpu = torch.cuda.is_available()
    if options.device == "cuda" and not gpu:
        raise InputError("device='cuda' needs an NVIDIA GPU that PyTorch can use; device='auto' takes one if there is")
    export.check_can_export(out, "cuda" if options.precision == "fp16" else "cpu", options.precision)
    encoder.find(base)
    return "cuda" if gpu and options.device != "cpu" else "cpu"


def _run_id(source: EncoderSource, examples: Sequence[Example], options: FinetuneSettings) -> str:
    """Return a digest of all that the weights depend on, so that no run resumes from another one's checkpoint."""
    digest = hashlib.sha256(json.dumps([encoder.digest(source), options.identity()]).encode())
    for example in examples:
        digest.update(repr(example).encode(errors="surrogatepass"))
    return digest.hexdigest()


def _blend(module: Any, source: EncoderSource, share: float) -> None:
    """Interpolate between the old weights and the trained ones.

    Wortsman et al., "Robust fine-tuning of zero-shot models", 2022 (WiSE-FT): the weights in between keep most of what
    was known and most of what was learned.
    """
    if share == 1.0:
        return
    import torch

    old = encoder.load(source, next(module.parameters()).device)
    with torch.no_grad():
        for new, start in zip(module.parameters(), old.parameters(), strict=True):
            new.copy_(start + share * (new - start))


def _export(
    module: Any, source: EncoderSource, work: Path, options: FinetuneSettings, notify: Callable[[str], None]
) -> export.ExportReport:
    """Export into the folder `work`, with the PyTorch weights inside the exported folder."""
    for leftover in ("weights", "made"):
        shutil.rmtree(work / leftover, ignore_errors=True)
    name = source.name if source.name.endswith("-tuned") else f"{source.name}-tuned"
    written = encoder.save(module.cpu(), source, name, work / "weights")
    device = "cuda" if options.precision == "fp16" else "cpu"
    report = export.export(written, work / "made", device=device, precision=options.precision, progress=notify)
    (work / "weights").rename(report.out / encoder.WEIGHTS)
    return report


def _curve(losses: Sequence[float]) -> tuple[float, ...]:
    pieces = np.array_split(np.array(losses), min(_CURVE, len(losses)))
    return tuple(round(float(piece.mean()), 6) for piece in pieces)
