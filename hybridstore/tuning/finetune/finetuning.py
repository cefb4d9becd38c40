"""From an encoder and examples to another embedder: train, blend, export, and only if the export is faithful."""

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
from hybridstore.tuning.finetune import encoder_files
from hybridstore.tuning.finetune.examples import Example
from hybridstore.tuning.finetune.settings import FinetuneSettings
from hybridstore.tuning.parity_sentences import SENTENCES

if TYPE_CHECKING:
    from hybridstore.tuning.encoder import EncoderSource
    from hybridstore.tuning.finetune.training import Progress, Trained

_CURVE = 100  # points of a report's loss curve at most


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneReport:
    """What a fine-tune made and how: where, what of, which embedder it is now.

    `losses` are means over up to a hundred equal stretches of the `steps`. `resumed_at` is the step it went on from,
    0 where it was not stopped; `seconds` are the training's from there. `kept` is the mean cosine between the old and
    the new vectors of sentences about anything: the further from 1, the more has changed that nobody asked to change.
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

    def facts(self) -> dict[str, Any]:
        """Give all of it in JSON's types."""
        return {**asdict(self), "out": str(self.out), "losses": list(self.losses)}


def finetune(
    base: str | Path,
    examples: Iterable[Example],
    out: Path,
    *,
    options: FinetuneSettings | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> FinetuneReport:
    """Fine-tune an encoder on examples and export it to the folder `out`, which `embedders.load` then reads.

    `base` is a name from the catalog or a folder: with PyTorch's weights, or one that was made here. `out` holds the
    ONNX model and, in `pytorch`, the weights, from which another fine-tune can go on. It appears when all is done;
    until then a hidden folder beside it holds the checkpoints. Stopped, even killed, the same call goes on from the
    last one.
    `progress` is called with (step, of, loss, seconds left), `say` with each other step in a few words.

    Raises:
        InputError: no examples, options that make no sense here, an `out` with other files, a loss that diverged.
        ModelUnavailable: no PyTorch weights of the model are here, or its export is too far from them.
        MissingExtra: torch, transformers or onnx is not installed.

    """
    options, say = options or FinetuneSettings(), say or (lambda _: None)
    device = check_can_finetune(base, out, options)
    listed = list(examples)
    if len(listed) < 2:
        raise InputError(f"an encoder learns from many examples, not from {len(listed)}; harvest some first")
    from hybridstore.tuning.finetune.training import train

    source = encoder.find(base)
    run = _run(source, listed, options)
    say(f"reading {source.folder}")
    module = encoder.load(source, device, attention="sdpa")
    before = encoder.vectors(module, source, SENTENCES, device)
    work = out.parent / f".{out.name}-finetune"
    trained = train(module, source, listed, options, folder=work / "checkpoints", run=run, progress=progress)
    _blend(module, source, options.blend)
    kept = np.einsum("ij,ij->i", before, encoder.vectors(module, source, SENTENCES, device)).mean()
    report = _export(module, source, work, options, say)
    if out.exists():
        shutil.rmtree(out)
    report.out.rename(out)
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
        losses=_curve(trained),
        seconds=trained.seconds,
        examples_per_second=trained.examples_per_second,
        kept=float(kept),
        parity=report.parity,
        options=options,
    )


def next_folder(store: str | os.PathLike[str]) -> Path:
    """Give the folder for a store's next embedder: `<the store's file>.models/1`, `/2` and so on, the first not there.

    One whose fine-tune was stopped is not there yet, so the same call goes on with it.
    """
    folder = Path(f"{os.fspath(store)}.models").absolute()
    taken = {int(path.name) for path in folder.glob("*") if path.name.isdecimal()} if folder.is_dir() else set()
    return folder / str(max(taken, default=0) + 1)


def check_can_finetune(base: str | Path, out: Path, options: FinetuneSettings) -> str:
    """Raise, before any work, what `finetune` would raise for these; give the device, "cpu" or "cuda"."""
    try:
        import torch
        import transformers  # noqa: F401 - what is missing is said before anything is read
    except ImportError as error:
        raise MissingExtra("train", "fine-tuning an encoder", "torch and transformers") from error
    there = torch.cuda.is_available()
    if options.device == "cuda" and not there:
        raise InputError("device='cuda' needs an NVIDIA GPU that PyTorch can use; device='auto' takes one if there is")
    export.refuse(out, "cuda" if options.precision == "fp16" else "cpu", options.precision)
    encoder.find(base)
    return "cuda" if there and options.device != "cpu" else "cpu"


def _run(source: EncoderSource, examples: Sequence[Example], options: FinetuneSettings) -> str:
    """Name the training by all that its outcome depends on, so that it never goes on from another one's checkpoint."""
    digest = hashlib.sha256(json.dumps([encoder_files.digest(source), options.deciding()]).encode())
    for example in examples:
        digest.update(repr(example).encode(errors="surrogatepass"))
    return digest.hexdigest()


def _blend(module: Any, source: EncoderSource, share: float) -> None:
    """Go back part of the way to the old weights.

    Wortsman et al., "Robust fine-tuning of zero-shot models", 2022 (WiSE-FT): the weights in between keep most of what
    was known and most of what was learned.
    """
    if share == 1.0:
        return
    import torch

    old = encoder.load(source, next(module.parameters()).device)
    with torch.no_grad():
        for new, begun in zip(module.parameters(), old.parameters(), strict=True):
            new.copy_(begun + share * (new - begun))


def _export(
    module: Any, source: EncoderSource, work: Path, options: FinetuneSettings, say: Callable[[str], None]
) -> export.ExportReport:
    """Make the whole folder, weights and all, in the folder `work`."""
    for left in ("weights", "made"):
        shutil.rmtree(work / left, ignore_errors=True)
    name = source.name if source.name.endswith("-tuned") else f"{source.name}-tuned"
    written = encoder_files.write(module.cpu(), source, name, work / "weights")
    device = "cuda" if options.precision == "fp16" else "cpu"
    report = export.export(written, work / "made", device=device, precision=options.precision, progress=say)
    (work / "weights").rename(report.out / encoder.WEIGHTS)
    return report


def _curve(trained: Trained) -> tuple[float, ...]:
    pieces = np.array_split(np.array(trained.losses), min(_CURVE, len(trained.losses)))
    return tuple(round(float(piece.mean()), 6) for piece in pieces)
