"""The fused ranking as a teacher: what a search finds by words and meaning together, as soft labels for the vectors.

A question made of a passage has that passage for its answer, and nothing else is said about it. Other passages answer
it too, more or less, and the fused scores are the best guess at how much (listwise distillation: Cao et al., "Learning
to Rank: From Pairwise Approach to Listwise Approach", ICML 2007).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hybridstore.store import Store

_TAUGHT = 16  # passages a question: those below have next to no share
_SOFTNESS = 0.05  # fused score that is worth a factor of e
_DEPTH = 50  # candidates of each leg


@dataclass(frozen=True, slots=True)
class Taught:
    """For each question the chunks that it finds first, (n, k), and the share of its answer each has, (n, k).

    Where it finds fewer, chunks are -1 and their shares 0; else a question's shares add up to 1.
    """

    chunks: NDArray[np.int64]
    shares: NDArray[np.float32]

    def of(self, places: Sequence[int]) -> Taught:
        """Give what is said about the questions at these places."""
        return Taught(self.chunks[places], self.shares[places])


def teach(
    store: Store,
    texts: Sequence[str],
    vectors: NDArray[np.float32],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Taught:
    """Search for every question with its vector (n, d), with the plain embedder, and read what it finds."""
    chunks = np.full((len(texts), _TAUGHT), -1, np.int64)
    shares = np.zeros((len(texts), _TAUGHT), np.float32)
    trial = store.trial(None)
    for place, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
        ranking = trial.search(text, vector, limit=1, depth=_DEPTH).fused
        found = min(len(ranking), _TAUGHT)
        if found:
            chunks[place, :found] = ranking.chunks[:found]
            shares[place, :found] = _shares(ranking.scores[:found])
        if progress and (place % 20 == 19 or place + 1 == len(texts)):
            progress(place + 1, len(texts))
    return Taught(chunks, shares)


def _shares(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give softmax(score / softness)."""
    shares = np.exp((scores - scores.max()) / _SOFTNESS)
    return np.asarray(shares / shares.sum())
