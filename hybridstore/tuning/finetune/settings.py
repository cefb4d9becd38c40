"""Settings of a fine-tune, with their defaults and limits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hybridstore.errors import InputError

LOSSES = ("softmax", "listwise", "sigmoid")
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("fp32", "int8", "fp16")
_CHOICES = {"loss": LOSSES, "device": DEVICES, "precision": PRECISIONS}
_TINY, _MANY = 1e-12, 2**31
_LIMITS: dict[str, tuple[float, float, str]] = {
    **dict.fromkeys(("epochs", "layers", "threads", "checkpoint_every"), (1, _MANY, "at least 1")),
    "batch": (2, _MANY, "at least 2, since the other questions' answers serve as negatives"),
    "negatives": (0, _MANY, "at least 0"),
    "max_tokens": (8, _MANY, "at least 8"),
    **dict.fromkeys(("rate", "temperature", "clip"), (_TINY, _MANY, "a number above 0")),
    **dict.fromkeys(("warmup", "blend"), (0, 1, "from 0 to 1")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneSettings:
    """How an encoder is fine-tuned. Raises InputError for values that make no sense.

    `epochs` passes over the examples, `batch` of them a step, each with at most `negatives` of its negatives, texts cut
    to `max_tokens`. `rate` is the highest learning rate, reached after the share `warmup` of the steps and then falling
    to nothing. `loss` is "softmax", "listwise" or "sigmoid" (see `training`), over cosines divided by `temperature`.
    `layers` is how many of the last layers are trained (None: all), `embeddings` whether the word vectors are too: they
    are half of a small model's weights, and its memory. `blend` interpolates from the old weights (0) to the trained
    ones (1): below 1 the model forgets less of what it knew. `clip` is the largest gradient norm.

    `precision` is that of the exported model: "fp32", "int8" for CPUs, "fp16" for GPUs. `device` "auto" is a GPU where
    there is one. `threads` None uses PyTorch's default. A checkpoint is written every `checkpoint_every` steps.
    """

    epochs: int = 2
    batch: int = 32
    negatives: int = 2
    max_tokens: int = 128
    rate: float = 2e-5
    warmup: float = 0.1
    loss: str = "softmax"
    temperature: float = 0.05
    layers: int | None = None
    embeddings: bool = False
    blend: float = 1.0
    clip: float = 1.0
    seed: int = 0
    precision: str = "fp32"
    device: str = "auto"
    threads: int | None = None
    checkpoint_every: int = 50

    def __post_init__(self) -> None:
        for name, values in _CHOICES.items():
            if getattr(self, name) not in values:
                raise InputError(f"{name} must be one of {', '.join(values)}, not {getattr(self, name)!r}")
        for name, (least, most, words) in _LIMITS.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and least <= value <= most):
                raise InputError(f"{name} must be {words}, not {value!r}")
        if self.loss == "listwise" and self.negatives == 0:
            raise InputError("loss='listwise' compares a positive with its negatives; allow some with negatives=")

    def identity(self) -> dict[str, Any]:
        """Return the settings that the trained weights depend on; a checkpoint is reused only where they are equal."""
        irrelevant = ("precision", "blend", "threads", "checkpoint_every", "device")
        return {name: value for name, value in asdict(self).items() if name not in irrelevant}
