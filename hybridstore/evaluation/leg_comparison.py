"""Contribution of each leg: where both agree, which one finds the relevant documents, and what fusion gains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridstore.evaluation.significance import RunComparison, paired_bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybridstore.evaluation.evaluation_results import Evaluation
    from hybridstore.evaluation.judgments import Qrels, Run


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
