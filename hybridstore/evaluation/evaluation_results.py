"""Results of an evaluation: rankings, scores, metrics and times by search method, and what each leg contributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridstore.errors import InputError
from hybridstore.evaluation.metrics import (
    STANDARD,
    Scores,
    expected_calibration_error,
    judged_hits,
    mean,
    per_query,
    reliability,
)
from hybridstore.evaluation.significance import RunComparison, paired_bootstrap

if TYPE_CHECKING:
    from hybridstore.evaluation.judgments import Qrels, Run
    from hybridstore.evaluation.metrics import Bin

LEGS = ("keyword", "vector")


@dataclass(frozen=True, slots=True)
class Measured:
    """One search method: its run, its metrics, and how long each search took, in seconds, in the queries' order.

    `run` holds the scores the search gave, lowered by a hair where two tie, so that its order is read from them.
    `fusion` is how the legs were joined, as the search reported. `relevance` is query id → document id → the calibrated
    relevance in [0, 1] of its best chunk; empty where the search gives none.
    """

    run: Run
    scores: Scores
    seconds: tuple[float, ...]
    fusion: str | None = None
    relevance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def confidence(self) -> dict[str, float]:
        """The relevance of each query's first document; queries without one are left out."""
        firsts = {query: ranked[0][0] for query, ranked in self.run.ranked.items() if ranked}
        relevances = ((query, self.relevance.get(query, {}).get(first)) for query, first in firsts.items())
        return {query: relevance for query, relevance in relevances if relevance is not None}

    def latency(self, percent: float) -> float:
        """Return a percentile of the time of one search, in seconds; 0 where there was no query."""
        return float(np.percentile(self.seconds, percent)) if self.seconds else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The results of an evaluation by search method.

    The names are "hybrid", "keyword" and "vector", or "hybrid (rrf)" and so on where fusions were named; "hybrid"
    then stands for the first of them. Chosen legs, "keyword + NAME", are compared with the modes as hybrids are.
    `judged` are the judgments of the `n` queries that took part, `texts` these queries' texts. `left_out` are judged
    queries without any relevant document, `unknown_queries` judged queries that the collection has no text of: neither
    takes part. `unknown_documents` are judged documents the collection does not have; the relevant ones among them
    count as not found.
    """

    collection: str
    split: str
    limit: int
    n: int
    modes: Mapping[str, Measured]
    judged: Qrels
    texts: Mapping[str, str]
    metrics: tuple[str, ...] = STANDARD
    left_out: tuple[str, ...] = ()
    unknown_queries: tuple[str, ...] = ()
    unknown_documents: tuple[str, ...] = ()

    @property
    def hybrids(self) -> tuple[str, ...]:
        """The names of the search methods that join both legs, in the order measured."""
        return tuple(name for name in self.modes if name not in LEGS)

    @property
    def legs(self) -> tuple[str, ...]:
        """The legs that were measured by themselves."""
        return tuple(name for name in LEGS if name in self.modes)

    def measured(self, mode: str) -> Measured:
        """Return all that was measured of a search method; an unknown one is an InputError."""
        name = self.hybrids[0] if mode == "hybrid" and self.hybrids else mode
        if name not in self.modes:
            raise InputError(f"mode {mode!r} was not evaluated; there is {', '.join(self.modes) or 'none'}")
        return self.modes[name]

    def run(self, mode: str) -> Run:
        """Return the rankings of a search method, in documents."""
        return self.measured(mode).run

    def values(self, mode: str, metric: str = "ndcg@10") -> Mapping[str, float]:
        """Return a metric query by query: what `paired_bootstrap` compares."""
        measured = self.measured(mode)
        known = measured.scores.values.get(metric)
        return per_query(measured.run, self.judged, metric) if known is None else known

    def mean(self, mode: str, metric: str = "ndcg@10") -> float:
        """Return a metric's mean over the queries."""
        return mean(self.values(mode, metric).values())

    def worst(self, mode: str = "hybrid", metric: str = "ndcg@10", count: int = 10) -> tuple[str, ...]:
        """Return the ids of the queries with the lowest values, lowest first, equals by id."""
        values = self.values(mode, metric)
        return tuple(sorted(values, key=lambda query: (values[query], query))[:count])

    def reliability(self, mode: str = "hybrid", depth: int = 10) -> tuple[Bin, ...] | None:
        """Return the first `depth` hits of each query binned by their relevance; None where the search has none."""
        measured = self.measured(mode)
        predicted, relevant = judged_hits(measured.run, measured.relevance, self.judged, depth)
        return reliability(predicted, relevant) if predicted else None

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the rankings as JSON types; latencies in milliseconds.

        Where fusions were named, the first one's numbers are also under "hybrid".
        """
        result: dict[str, Any] = {
            "collection": self.collection,
            "split": self.split,
            "n": self.n,
            "limit": self.limit,
            "left_out": len(self.left_out),
            "unknown_queries": len(self.unknown_queries),
            "unknown_documents": len(self.unknown_documents),
        }
        for name in dict.fromkeys(("hybrid", *self.modes) if self.hybrids else self.modes):
            result[name] = self._summary(name)
        return result

    def _summary(self, name: str) -> dict[str, Any]:
        measured, bins = self.measured(name), self.reliability(name)
        summary: dict[str, Any] = {metric: self.mean(name, metric) for metric in self.metrics}
        if name not in LEGS and measured.fusion is not None:
            summary["fusion"] = measured.fusion
        if bins is not None:
            summary["confidence"] = mean(measured.confidence.values())
            summary["calibration_error"] = expected_calibration_error(bins)
        return summary | {
            "p50_ms": 1000 * measured.latency(50),
            "p95_ms": 1000 * measured.latency(95),
            "no_results": len(measured.scores.empty),
            "worst": list(self.worst(name, self.metrics[0])),
        }


@dataclass(frozen=True, slots=True)
class Pair:
    """How `b`, a search method, compares with `a` by a metric."""

    a: str
    b: str
    metric: str
    comparison: RunComparison


@dataclass(frozen=True, slots=True)
class LegFindings:
    """How many relevant documents are in the top `k` of both legs, of only one, and of neither."""

    k: int
    both: int
    keyword: int
    vector: int
    neither: int

    @property
    def total(self) -> int:
        """How many relevant documents there are."""
        return self.both + self.keyword + self.vector + self.neither


def pairs(
    evaluation: Evaluation, metrics: Sequence[str], *, resamples: int = 10_000, seed: int = 0
) -> tuple[Pair, ...]:
    """Compare every hybrid with each leg, by each metric; none where no query, no hybrid or no leg was measured."""
    return tuple(
        Pair(
            leg,
            hybrid,
            metric,
            paired_bootstrap(
                evaluation.values(leg, metric), evaluation.values(hybrid, metric), resamples=resamples, seed=seed
            ),
        )
        for metric in metrics
        for hybrid in evaluation.hybrids
        for leg in evaluation.legs
        if evaluation.n
    )


def better_leg(evaluation: Evaluation, metric: str) -> dict[str, float]:
    """Return each query's value in the leg that did better on it: an oracle's choice."""
    legs = [evaluation.values(leg, metric) for leg in evaluation.legs]
    return {query: max(leg[query] for leg in legs) for query in evaluation.judged.answerable} if legs else {}


def shared(a: Run, b: Run, queries: Sequence[str], k: int = 10) -> tuple[int, ...]:
    """Count queries by how many documents the top `k` of both runs share: int (k + 1,)."""
    counts = [0] * (k + 1)
    for query in queries:
        counts[len({*a.documents(query)[:k]} & {*b.documents(query)[:k]})] += 1
    return tuple(counts)


def leg_findings(keyword: Run, vector: Run, qrels: Qrels, k: int) -> LegFindings:
    """Count the relevant documents by which leg has them in its top `k`."""
    counts = {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
    for query in qrels.answerable:
        by_keyword, by_vector = {*keyword.documents(query)[:k]}, {*vector.documents(query)[:k]}
        for document, grade in qrels.of(query).items():
            if grade > 0:
                counts[document in by_keyword, document in by_vector] += 1
    return LegFindings(k, counts[True, True], counts[True, False], counts[False, True], counts[False, False])


def relevant_found(run: Run, qrels: Qrels, k: int) -> int:
    """Count the relevant documents that a run has among its first `k`."""
    return sum(
        qrels.of(query).get(document, 0) > 0 for query in qrels.answerable for document in run.documents(query)[:k]
    )
