"""Significance: the paired bootstrap over queries, and differences query by query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.errors import InputError
from hybridstore.evaluation.metrics import per_query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hybridstore.evaluation.judgments import Qrels, Run

_BLOCK = 1 << 20  # resampled values at a time, so that memory (8 MB per array) does not grow with the queries
_TIE = 1e-9  # smaller differences are rounding


@dataclass(frozen=True, slots=True)
class RunComparison:
    """How b compares with a, query by query: `difference` is `mean_b - mean_a`.

    [`low`, `high`] is its confidence interval; if it excludes 0, the difference is significant. `wins` counts the
    queries where b is better.
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
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class QueryDifference:
    """One query's values in two runs."""

    query: str
    a: float
    b: float

    @property
    def difference(self) -> float:
        """How much better b is."""
        return self.b - self.a


@dataclass(frozen=True, slots=True)
class QueryDifferences:
    """Two runs query by query, the greatest gain of b first, equals by query id."""

    rows: tuple[QueryDifference, ...]

    @classmethod
    def of(cls, a: Mapping[str, float], b: Mapping[str, float]) -> QueryDifferences:
        """Pair two runs' values (query id → metric); differing queries are an InputError."""
        _check_same_queries(a, b)
        paired = (QueryDifference(query, value, b[query]) for query, value in a.items())
        return cls(tuple(sorted(paired, key=lambda row: (-row.difference, row.query))))

    def wins(self, count: int = 10) -> tuple[QueryDifference, ...]:
        """Return the queries where b is better, most first."""
        return tuple(row for row in self.rows if row.difference > _TIE)[:count]

    def losses(self, count: int = 10) -> tuple[QueryDifference, ...]:
        """Return the queries where b is worse, most first, equals by query id."""
        worse = (row for row in self.rows if row.difference < -_TIE)
        return tuple(sorted(worse, key=lambda row: (row.difference, row.query))[:count])

    def worst(self, count: int = 10) -> tuple[QueryDifference, ...]:
        """Return the queries with b's lowest values, lowest first, equals by query id."""
        return tuple(sorted(self.rows, key=lambda row: (row.b, row.query))[:count])


def paired_bootstrap(
    a: Mapping[str, float], b: Mapping[str, float], *, resamples: int = 10_000, confidence: float = 0.95, seed: int = 0
) -> RunComparison:
    """Compare two runs' values (query id → metric) by resampling the queries with replacement.

    The interval is the percentile interval of the difference of means: Efron and Tibshirani, "An Introduction
    to the Bootstrap", 1993, chapter 13; for rankings Sakai, "Evaluating evaluation metrics based on the
    bootstrap", SIGIR 2006. The same seed gives the same interval, and exchanging a and b mirrors it. Two
    runs that differ by 1e-9 or less on a query tie there. Differing queries, none at all, and a confidence
    outside (0, 1) are InputErrors.
    """
    _check_same_queries(a, b)
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
    wins, losses = int((differences > _TIE).sum()), int((differences < -_TIE).sum())
    return RunComparison(
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


@dataclass(frozen=True, slots=True)
class Compared:
    """How run b compares with run a by one metric, in the mean and query by query."""

    metric: str
    comparison: RunComparison
    rows: QueryDifferences


def compared(
    a: Run, b: Run, qrels: Qrels, metrics: Sequence[str], *, resamples: int = 10_000, seed: int = 0
) -> tuple[Compared, ...]:
    """Compare two runs by each metric, over all queries that have a relevant document; no results count as 0.

    An unknown metric and judgments without such a query are InputErrors.
    """
    results = []
    for metric in dict.fromkeys(metrics):
        values = per_query(a, qrels, metric), per_query(b, qrels, metric)
        comparison = paired_bootstrap(*values, resamples=resamples, seed=seed)
        results.append(Compared(metric, comparison, QueryDifferences.of(*values)))
    return tuple(results)


def _check_same_queries(a: Mapping[str, float], b: Mapping[str, float]) -> None:
    if a.keys() != b.keys():
        alone = sorted(a.keys() ^ b.keys())
        raise InputError(
            f"a paired comparison needs the same queries on both sides; {len(alone)} occur on one side only, "
            f"for instance {alone[0]!r}"
        )


def _resampled_means(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    rows = max(1, _BLOCK // len(values))
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        means[start:stop] = values[generator.integers(len(values), size=(stop - start, len(values)))].mean(axis=1)
    return means
