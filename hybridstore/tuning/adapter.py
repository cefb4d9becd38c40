"""Adapter training: a low-rank residual on query vectors, trained in seconds on a CPU; stored vectors never change.

Questions are not written like the passages that answer them, and a general embedder does not know what distinguishes
this store's passages. The adapter moves a question's vector towards its answers and away from other passages, within
the limits that `anchor` sets.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.errors import InputError
from hybridstore.search.transforms import Adapter

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Adam's constants (Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015).
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8
_WARMUP_STEPS = 10
_FINAL_RATE = 0.1  # share of the learning rate that is left at the end

Progress = Callable[[int, int, float, float], None]
"""Called with steps done, steps in all, the loss, and the seconds left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSettings:
    """How an adapter is trained. The defaults suit every store; docs/experiments.md has what other values did.

    `temperature` divides the cosines in the softmax. `anchor` penalises a question for moving (the main loss is about
    ln(passages)): more is safer and gains less. `soft` is the share of the labels that comes from the fused ranking.
    `passages` is how many random passages a step contrasts a question with, besides the answers of its batch.
    """

    rank: int = 64
    epochs: int = 4
    batch: int = 256
    rate: float = 2e-3
    temperature: float = 0.05
    anchor: float = 2.0
    soft: float = 0.5
    passages: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise InputError for a value out of range."""
        for name, least in (("rank", 1), ("epochs", 1), ("batch", 1), ("passages", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InputError(f"{name} must be a whole number of at least {least}, not {value!r}")
        for name in ("rate", "temperature"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise InputError(f"{name} must be a number above 0, not {value!r}")
        if not isinstance(self.soft, int | float) or not 0 <= self.soft <= 1:
            raise InputError(f"soft must be a share from 0 to 1, not {self.soft!r}")
        if not isinstance(self.anchor, int | float) or not 0 <= self.anchor < float("inf"):
            raise InputError(f"anchor must be a number of at least 0, not {self.anchor!r}")


@dataclass(frozen=True, slots=True)
class TrainingExamples:
    """What an adapter is trained on: question vectors (n, d), passage vectors (m, d), and which answers which.

    `answers` (n,) are rows of `passages`. `documents` (m,) number the passages' documents. Other passages of the
    answer's document are no negatives, nor are those of `ignored` (k, 2), pairs of a question's row and a passage's
    row: they may answer as well. `soft_passages` (n, k) are the passages with soft labels for each question, -1 for
    none, and `soft_weights` (n, k) the labels, which sum to at most 1 for each question.
    """

    questions: NDArray[np.float32]
    passages: NDArray[np.float32]
    answers: NDArray[np.int64]
    documents: NDArray[np.int64]
    ignored: NDArray[np.int64]
    soft_passages: NDArray[np.int64] | None = None
    soft_weights: NDArray[np.float32] | None = None


def train(
    examples: TrainingExamples, source: str, *, settings: AdapterSettings, progress: Progress | None = None
) -> Adapter:
    """Train an adapter for the embedder with the fingerprint `source`; deterministic on one machine.

    The loss is the cross-entropy of the softmax over passages of cosine / temperature (InfoNCE: van den Oord, Li &
    Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018), whose target is the answer, or in the
    share `soft` the soft labels, plus anchor · (1 - cosine to the untrained question). Raises InputError without
    questions.
    """
    count, dim = examples.questions.shape
    if not count:
        raise InputError("there is nothing to train on: no question has a known answer")
    rng = np.random.default_rng(settings.seed)
    rank = min(settings.rank, dim)
    weights = [(rng.standard_normal((dim, rank)) / np.sqrt(dim)).astype(np.float32), np.zeros((rank, dim), np.float32)]
    optimiser = _Adam(weights)
    steps, step, began = settings.epochs * -(-count // settings.batch), 0, time.perf_counter()
    ignored = _by_question(examples.ignored, count)
    for _ in range(settings.epochs):
        order = rng.permutation(count)
        for first in range(0, count, settings.batch):
            rows = order[first : first + settings.batch]
            pool = _pool(examples, rows, settings.passages, rng)
            loss, gradients = _step(examples, rows, pool, ignored, weights, settings)
            step += 1
            share = min(1.0, step / _WARMUP_STEPS) * (1 - (1 - _FINAL_RATE) * step / steps)
            optimiser.update(gradients, settings.rate * share)
            if progress and (step == steps or step % 8 == 0):
                progress(step, steps, loss, (time.perf_counter() - began) / step * (steps - step))
    return Adapter(source, *weights)


def _pool(
    examples: TrainingExamples, rows: NDArray[np.int64], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the passages, ascending, that a batch is contrasted with: its own answers and random others."""
    if len(examples.passages) <= count:
        return np.arange(len(examples.passages))
    pool = np.union1d(examples.answers[rows], rng.integers(len(examples.passages), size=count))
    if examples.soft_passages is not None:
        pool = np.union1d(pool, examples.soft_passages[rows])
    return pool[pool >= 0]


def _by_question(ignored: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ignored passages sorted by question, and where each question's begin, (n + 1,)."""
    pairs = ignored.reshape(-1, 2)
    pairs = pairs[pairs[:, 0].argsort(kind="stable")]
    return pairs[:, 1], pairs[:, 0].searchsorted(np.arange(count + 1))


def _step(  # noqa: PLR0917 - what one step needs
    examples: TrainingExamples,
    rows: NDArray[np.int64],
    pool: NDArray[np.int64],
    ignored: tuple[NDArray[np.int64], NDArray[np.int64]],
    weights: list[NDArray[np.float32]],
    settings: AdapterSettings,
) -> tuple[float, list[NDArray[np.float32]]]:
    """Return a batch's mean loss and the gradients of `down` and `up`."""
    down, up = weights
    before, passages = examples.questions[rows], examples.passages[pool]
    inside = before @ down
    moved = before + inside @ up
    norms = np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), _EPSILON)
    after = moved / norms
    logits = (after @ passages.T) / settings.temperature
    answers = pool.searchsorted(examples.answers[rows])
    masked = examples.documents[pool] == examples.documents[examples.answers[rows], None]
    _mask_ignored(masked, rows, pool, ignored)
    masked[np.arange(len(rows)), answers] = False
    logits[masked] = -np.inf
    logits -= logits.max(axis=1, keepdims=True)
    predicted = np.exp(logits)
    predicted /= predicted.sum(axis=1, keepdims=True)
    target = _target(examples, rows, pool, answers, masked, settings.soft)
    loss = -float((target * np.log(np.maximum(predicted, _EPSILON))).sum(axis=1).mean())
    loss += settings.anchor * float(1 - (after * before).sum(axis=1).mean())
    # Backwards: through the softmax, the norm, and the two matrices.
    d_after = ((predicted - target) @ passages) / settings.temperature - settings.anchor * before
    d_moved = (d_after - after * (d_after * after).sum(axis=1, keepdims=True)) / norms / len(rows)
    return loss, [before.T @ (d_moved @ up.T), inside.T @ d_moved]


def _target(  # noqa: PLR0917
    examples: TrainingExamples,
    rows: NDArray[np.int64],
    pool: NDArray[np.int64],
    answers: NDArray[np.int64],
    masked: NDArray[np.bool_],
    soft: float,
) -> NDArray[np.float32]:
    """Return the target distribution over the pool, (batch, pool): rows sum to 1."""
    target = np.zeros((len(rows), len(pool)), np.float32)
    if examples.soft_passages is not None and examples.soft_weights is not None and soft:
        passages, weights = examples.soft_passages[rows], examples.soft_weights[rows]
        at = np.minimum(pool.searchsorted(passages), len(pool) - 1)
        question = np.broadcast_to(np.arange(len(rows))[:, None], passages.shape)
        present = (passages >= 0) & (pool[at] == passages) & ~masked[question, at]
        target[question[present], at[present]] = soft * weights[present]
    target[np.arange(len(rows)), answers] += 1 - target.sum(axis=1)
    return target


def _mask_ignored(
    masked: NDArray[np.bool_],
    rows: NDArray[np.int64],
    pool: NDArray[np.int64],
    ignored: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> None:
    """Mask, in (batch, pool), the passages that a question ignores."""
    passages, starts = ignored
    for place in np.flatnonzero(starts[rows + 1] > starts[rows]).tolist():
        own = passages[starts[rows[place]] : starts[rows[place] + 1]]
        at = np.minimum(pool.searchsorted(own), len(pool) - 1)
        masked[place, at[pool[at] == own]] = True


class _Adam:
    """Adam over a list of arrays, which it changes in place."""

    def __init__(self, weights: list[NDArray[np.float32]]) -> None:
        self._weights = weights
        self._means = [np.zeros_like(array) for array in weights]
        self._squares = [np.zeros_like(array) for array in weights]
        self._step = 0

    def update(self, gradients: list[NDArray[np.float32]], rate: float) -> None:
        self._step += 1
        mean_bias, square_bias = 1 - _BETA1**self._step, 1 - _BETA2**self._step
        for place, gradient in enumerate(gradients):
            self._means[place] = _BETA1 * self._means[place] + (1 - _BETA1) * gradient
            self._squares[place] = _BETA2 * self._squares[place] + (1 - _BETA2) * gradient * gradient
            direction = self._means[place] / mean_bias
            self._weights[place] -= rate * direction / (np.sqrt(self._squares[place] / square_bias) + _EPSILON)
