"""A low-rank residual for questions, trained on the vectors a store has: seconds on a CPU, and no vector changes.

Questions are not written like the passages that answer them, and an embedder made for everything does not know what
tells this store's passages apart. The adapter moves a question's vector toward those of its answers and away from all
others', as far as `anchor` lets it.
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
_MOMENT, _SQUARES, _TINY = 0.9, 0.999, 1e-8
_WARM = 10  # steps until the rate is full
_LAST = 0.1  # share of the rate that is left at the end

Progress = Callable[[int, int, float, float], None]
"""Gets steps done, of how many, the loss, and the seconds left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSettings:
    """How an adapter is trained. The defaults serve every store; what others did is in docs/experiments.md.

    `temperature` divides the cosines in the softmax. `anchor` is what a question loses for leaving its place, beside a
    loss of ln(passages): more is safer and gains less. `passages` is how many a question is told apart from at a step.
    """

    rank: int = 64
    epochs: int = 8
    batch: int = 256
    rate: float = 2e-3
    temperature: float = 0.05
    anchor: float = 3.0
    passages: int = 2048
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise InputError, saying what would do."""
        whole = ("rank", "epochs", "batch", "passages")
        for name in whole:
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} must be a whole number of at least 1, not {value!r}")
        for name in ("rate", "temperature"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise InputError(f"{name} must be a number above 0, not {value!r}")
        if not isinstance(self.anchor, int | float) or not 0 <= self.anchor < float("inf"):
            raise InputError(f"anchor must be a number of at least 0, not {self.anchor!r}")


@dataclass(frozen=True, slots=True)
class Lessons:
    """What an adapter is trained on: questions (n, d), passages (m, d), and which passage answers which question.

    `answers` (n,) are rows of `passages`. `ignored` (k, 2) are pairs of a question's row and a passage's that are not
    told apart, because the passage may answer it as well.
    """

    questions: NDArray[np.float32]
    passages: NDArray[np.float32]
    answers: NDArray[np.int64]
    ignored: NDArray[np.int64]


def train(lessons: Lessons, source: str, *, settings: AdapterSettings, progress: Progress | None = None) -> Adapter:
    """Train an adapter for the embedder with the fingerprint `source`; the same every time on one machine.

    The loss is the softmax over passages of cosine / temperature (InfoNCE: van den Oord, Li & Vinyals,
    "Representation Learning with Contrastive Predictive Coding", 2018), plus anchor · (1 - cosine to where the question
    was). Raises InputError without questions.
    """
    count, dim = lessons.questions.shape
    if not count:
        raise InputError("there is nothing to train on: no question has a known answer")
    rng = np.random.default_rng(settings.seed)
    rank = min(settings.rank, dim)
    weights = [
        (rng.standard_normal((dim, rank)) / np.sqrt(dim)).astype(np.float32),
        np.zeros((rank, dim), np.float32),
    ]
    optimiser = _Adam(weights)
    batches = -(-count // settings.batch)
    steps, step, began = settings.epochs * batches, 0, time.perf_counter()
    ignored = _by_question(lessons.ignored, count)
    for _ in range(settings.epochs):
        order = rng.permutation(count)
        for first in range(0, count, settings.batch):
            rows = order[first : first + settings.batch]
            shown = _shown(lessons, rows, settings.passages, rng)
            loss, gradients = _step(lessons, rows, shown, ignored, weights, settings)
            step += 1
            share = min(1.0, step / _WARM) * (1 - (1 - _LAST) * step / steps)
            optimiser.update(gradients, settings.rate * share)
            if progress and (step == steps or step % 8 == 0):
                progress(step, steps, loss, (time.perf_counter() - began) / step * (steps - step))
    return Adapter(source, *weights)


def _shown(lessons: Lessons, rows: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Give the passages, ascending, that a batch is told apart from: its own answers and others."""
    if len(lessons.passages) <= most:
        return np.arange(len(lessons.passages))
    return np.union1d(lessons.answers[rows], rng.integers(len(lessons.passages), size=most))


def _by_question(ignored: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the ignored passages sorted by question, and where each question's begin, (n + 1,)."""
    pairs = ignored.reshape(-1, 2)
    pairs = pairs[pairs[:, 0].argsort(kind="stable")]
    return pairs[:, 1], pairs[:, 0].searchsorted(np.arange(count + 1))


def _step(  # noqa: PLR0917 - what one step needs
    lessons: Lessons,
    rows: NDArray[np.int64],
    shown: NDArray[np.int64],
    ignored: tuple[NDArray[np.int64], NDArray[np.int64]],
    weights: list[NDArray[np.float32]],
    settings: AdapterSettings,
) -> tuple[float, list[NDArray[np.float32]]]:
    """Give a batch's mean loss and the gradients of `down` and `up`."""
    down, up = weights
    before, passages = lessons.questions[rows], lessons.passages[shown]
    inside = before @ down
    moved = before + inside @ up
    norms = np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), _TINY)
    after = moved / norms
    logits = (after @ passages.T) / settings.temperature
    answers = shown.searchsorted(lessons.answers[rows])
    _leave_out(logits, rows, shown, ignored, answers)
    logits -= logits.max(axis=1, keepdims=True)
    shares = np.exp(logits)
    shares /= shares.sum(axis=1, keepdims=True)
    every = np.arange(len(rows))
    loss = -float(np.log(np.maximum(shares[every, answers], _TINY)).mean())
    loss += settings.anchor * float(1 - (after * before).sum(axis=1).mean())
    shares[every, answers] -= 1
    # Backwards: through the softmax, the norm, and the two matrices.
    of_after = (shares @ passages) / settings.temperature - settings.anchor * before
    of_moved = (of_after - after * (of_after * after).sum(axis=1, keepdims=True)) / norms / len(rows)
    return loss, [before.T @ (of_moved @ up.T), inside.T @ of_moved]


def _leave_out(
    logits: NDArray[np.float32],
    rows: NDArray[np.int64],
    shown: NDArray[np.int64],
    ignored: tuple[NDArray[np.int64], NDArray[np.int64]],
    answers: NDArray[np.int64],
) -> None:
    """Make what is ignored count as nothing in the softmax."""
    passages, starts = ignored
    if not len(passages):
        return
    for place, row in enumerate(rows.tolist()):
        left = passages[starts[row] : starts[row + 1]]
        if len(left):
            at = shown.searchsorted(left)
            at = at[(at < len(shown)) & (shown[np.minimum(at, len(shown) - 1)] == left)]
            logits[place, at[at != answers[place]]] = -np.inf


class _Adam:
    """Adam over a list of arrays, which it changes in place."""

    def __init__(self, weights: list[NDArray[np.float32]]) -> None:
        self._weights = weights
        self._means = [np.zeros_like(each) for each in weights]
        self._squares = [np.zeros_like(each) for each in weights]
        self._step = 0

    def update(self, gradients: list[NDArray[np.float32]], rate: float) -> None:
        self._step += 1
        of_mean, of_square = 1 - _MOMENT**self._step, 1 - _SQUARES**self._step
        for place, gradient in enumerate(gradients):
            self._means[place] = _MOMENT * self._means[place] + (1 - _MOMENT) * gradient
            self._squares[place] = _SQUARES * self._squares[place] + (1 - _SQUARES) * gradient * gradient
            towards = self._means[place] / of_mean
            self._weights[place] -= rate * towards / (np.sqrt(self._squares[place] / of_square) + _TINY)
