"""Is one ranking better than another, or was it luck with the queries? The paired bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_BLOCK = 1 << 20  # resampled values at a time, so that memory (8 MB an array) does not grow with the queries


@dataclass(frozen=True, slots=True)
class Comparison:
    """How b compares with a, query by query: `difference` is `mean_b - mean_a`.

    [`low`, `high`] is the interval that holds the true difference with the confidence asked for; where it
    leaves 0 out the difference is more than luck with the queries. `wins` counts the queries where b is better.
    """

    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    n: int
    wins: int
    losses: int
    ties: int

    @property
    def significant(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    a: Mapping[str, float],
    b: Mapping[str, float],
    *,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two runs' values (query id → metric) by resampling the queries with replacement.

    The interval is the percentile interval of the difference of means: Efron and Tibshirani, "An Introduction
    to the Bootstrap", 1993, chapter 13; for rankings Sakai, "Evaluating evaluation metrics based on the
    bootstrap", SIGIR 2006. The same seed gives the same interval, and exchanging a and b turns it round. Two
    runs that differ by 1e-9 or less on a query tie there. Differing queries, none at all, and a confidence
    outside (0, 1) are InputErrors.
    """
    if a.keys() != b.keys():
        alone = sorted(a.keys() ^ b.keys())
        raise InputError(
            f"a paired comparison needs the same queries on both sides; {len(alone)} stand on one side only, "
            f"for instance {alone[0]!r}"
        )
    if not a:
        raise InputError("there is no query to compare; the judgments name none with a relevant document")
    if resamples < 1 or not 0 < confidence < 1:
        raise InputError("resamples must be at least 1, and confidence between 0 and 1, as in 0.95")
    queries = sorted(a)  # the order of the mappings must not change the interval
    first = np.array([a[query] for query in queries], dtype=np.float64)
    second = np.array([b[query] for query in queries], dtype=np.float64)
    differences = second - first
    means = _resampled_means(differences, resamples, seed)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    wins, losses = int((differences > 1e-9).sum()), int((differences < -1e-9).sum())
    return Comparison(
        mean_a=float(first.mean()),
        mean_b=float(second.mean()),
        difference=float(differences.mean()),
        low=float(low),
        high=float(high),
        n=len(queries),
        wins=wins,
        losses=losses,
        ties=len(queries) - wins - losses,
    )


def _resampled_means(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    rows = max(1, _BLOCK // len(values))
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        means[start:stop] = values[generator.integers(len(values), size=(stop - start, len(values)))].mean(axis=1)
    return means
