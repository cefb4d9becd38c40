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
    loss of ln(passages): more is safer and gains less. `soft` is the share of the labels that the fused ranking gives.
    `passages` is how many a question is told apart from at a step, drawn by lot beside its batch's answers.
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
        """Raise InputError, saying what would do."""
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
class Lessons:
    """What an adapter is trained on: questions (n, d), passages (m, d), and which passage answers which question.

    `answers` (n,) are rows of `passages`. `documents` (m,) number the passages' documents: a question is not told apart
    from other passages of its answer's document, nor from those of `ignored` (k, 2), pairs of a question's row and a
    passage's, because these may answer it as well. `taught` (n, k) are the passages that a teacher names for each
    question, -1 for none, and `shares` (n, k) how much of the answer each is, together at most 1.
    """

    questions: NDArray[np.float32]
    passages: NDArray[np.float32]
    answers: NDArray[np.int64]
    documents: NDArray[np.int64]
    ignored: NDArray[np.int64]
    taught: NDArray[np.int64] | None = None
    shares: NDArray[np.float32] | None = None


def train(lessons: Lessons, source: str, *, settings: AdapterSettings, progress: Progress | None = None) -> Adapter:
    """Train an adapter for the embedder with the fingerprint `source`; the same every time on one machine.

    The loss is the cross-entropy of the softmax over passages of cosine / temperature (InfoNCE: van den Oord, Li &
    Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018) with the answer, or in the share `soft`
    with what the teacher names, plus anchor · (1 - cosine to where the question was). Raises InputError without
    questions.
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
    shown = np.union1d(lessons.answers[rows], rng.integers(len(lessons.passages), size=most))
    if lessons.taught is not None:
        shown = np.union1d(shown, lessons.taught[rows])
    return shown[shown >= 0]


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
    every, answers = np.arange(len(rows)), shown.searchsorted(lessons.answers[rows])
    alike = lessons.documents[shown] == lessons.documents[lessons.answers[rows], None]
    _mark(alike, rows, shown, ignored)
    alike[every, answers] = False
    logits[alike] = -np.inf
    logits -= logits.max(axis=1, keepdims=True)
    shares = np.exp(logits)
    shares /= shares.sum(axis=1, keepdims=True)
    wanted = _wanted(lessons, rows, shown, answers, alike, settings.soft)
    loss = -float((wanted * np.log(np.maximum(shares, _TINY))).sum(axis=1).mean())
    loss += settings.anchor * float(1 - (after * before).sum(axis=1).mean())
    shares -= wanted
    # Backwards: through the softmax, the norm, and the two matrices.
    of_after = (shares @ passages) / settings.temperature - settings.anchor * before
    of_moved = (of_after - after * (of_after * after).sum(axis=1, keepdims=True)) / norms / len(rows)
    return loss, [before.T @ (of_moved @ up.T), inside.T @ of_moved]


def _wanted(  # noqa: PLR0917
    lessons: Lessons,
    rows: NDArray[np.int64],
    shown: NDArray[np.int64],
    answers: NDArray[np.int64],
    alike: NDArray[np.bool_],
    soft: float,
) -> NDArray[np.float32]:
    """Give what each shown passage ought to have of the softmax, (batch, shown): rows add up to 1."""
    wanted = np.zeros((len(rows), len(shown)), np.float32)
    if lessons.taught is not None and lessons.shares is not None and soft:
        taught, shares = lessons.taught[rows], lessons.shares[rows]
        at = np.minimum(shown.searchsorted(taught), len(shown) - 1)
        question = np.broadcast_to(np.arange(len(rows))[:, None], taught.shape)
        here = (taught >= 0) & (shown[at] == taught) & ~alike[question, at]
        wanted[question[here], at[here]] = soft * shares[here]
    wanted[np.arange(len(rows)), answers] += 1 - wanted.sum(axis=1)
    return wanted


def _mark(
    alike: NDArray[np.bool_],
    rows: NDArray[np.int64],
    shown: NDArray[np.int64],
    ignored: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> None:
    """Mark, in (batch, shown), the passages that a question ignores."""
    passages, starts = ignored
    for place in np.flatnonzero(starts[rows + 1] > starts[rows]).tolist():
        left = passages[starts[rows[place]] : starts[rows[place] + 1]]
        at = np.minimum(shown.searchsorted(left), len(shown) - 1)
        alike[place, at[shown[at] == left]] = True


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
