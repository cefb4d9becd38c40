"""Metrics: of rankings, equal to trec_eval's, and of confidence, which tells answerable from foreign queries.

Every metric of rankings takes the ranking (document ids, best first) and the grades of the judged documents, and
returns a number from 0 to 1. A document is relevant if its grade is above 0; an unjudged one is not. Where no judged
document is relevant the metrics are 0; `score` leaves such queries out of every mean instead. The numbers equal
trec_eval's (https://github.com/usnistgov/trec_eval), which the tests check.

A query is foreign where the store holds no answer to it. A confidence is a number such as the relevance of the best
hit: the higher it is, the surer the search is that there is an answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hybridstore.evaluation.judgments import Qrels, Run

    Metric = Callable[[Sequence[str], Mapping[str, int], int | None], float]

STANDARD = ("ndcg@10", "recall@100", "mrr@10")
"""What an evaluation reports by default."""


def ndcg(ranked: Sequence[str], grades: Mapping[str, int], k: int | None = None) -> float:
    """Return the discounted cumulated gain of the first k over that of the best ranking possible.

    The gain is the grade (0 if negative), the discount log2(1 + rank): Järvelin and Kekäläinen, "Cumulated
    gain-based evaluation of IR techniques", ACM TOIS 20(4), 2002, with the discount of Burges et al., "Learning
    to rank using gradient descent", ICML 2005; trec_eval's `ndcg_cut`, and `ndcg` where k is None.
    """
    ideal = _discounted(sorted(grades.values(), reverse=True)[:k])
    return _discounted(grades.get(document, 0) for document in ranked[:k]) / ideal if ideal else 0.0


def average_precision(ranked: Sequence[str], grades: Mapping[str, int], k: int | None = None) -> float:
    """Return the mean over all relevant documents of the precision at each one's rank, 0 for one not retrieved.

    Buckley and Voorhees, "Retrieval System Evaluation", in TREC: Experiment and Evaluation in Information
    Retrieval, MIT Press, 2005; trec_eval's `map`, and `map_cut` where k is given.
    """
    hits, total = 0, 0.0
    for rank, document in enumerate(ranked[:k], start=1):
        if grades.get(document, 0) > 0:
            hits += 1
            total += hits / rank
    relevant = _relevant(grades)
    return total / relevant if relevant else 0.0


def reciprocal_rank(ranked: Sequence[str], grades: Mapping[str, int], k: int | None = None) -> float:
    """Return 1 / the rank of the first relevant document, 0 where none is among the first k.

    Voorhees, "The TREC-8 Question Answering Track Report", TREC 1999; trec_eval's `recip_rank`.
    """
    ranks = (rank for rank, document in enumerate(ranked[:k], start=1) if grades.get(document, 0) > 0)
    return 1 / next(ranks, math.inf)


def recall(ranked: Sequence[str], grades: Mapping[str, int], k: int | None = None) -> float:
    """Return the share of the relevant documents in the top k.

    Cleverdon, "The Cranfield tests on index language devices", Aslib Proceedings 19(6), 1967; trec_eval's
    `recall`.
    """
    relevant = _relevant(grades)
    return _found(ranked[:k], grades) / relevant if relevant else 0.0


def precision(ranked: Sequence[str], grades: Mapping[str, int], k: int | None = None) -> float:
    """Return the share of the first k that is relevant; a ranking shorter than k counts as if filled up.

    Cleverdon 1967, as for `recall`; trec_eval's `P`. With k None the share of the whole ranking, 0 if empty.
    """
    places = len(ranked) if k is None else k
    return _found(ranked[:k], grades) / places if places else 0.0


_METRICS: Mapping[str, Metric] = {
    "ndcg": ndcg,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "recall": recall,
    "p": precision,
}


def metric(name: str) -> Callable[[Sequence[str], Mapping[str, int]], float]:
    """Return the metric a name stands for: ndcg, map, mrr, recall or p, alone or cut as in "ndcg@10"."""
    word, at, cut = name.lower().partition("@")
    if word not in _METRICS or bool(at) != bool(cut) or (at and not (cut.isdecimal() and int(cut) > 0)):
        raise InputError(
            f"unknown metric {name!r}; choose from {', '.join(_METRICS)}, each alone or with a cutoff as in ndcg@10"
        )
    measure, k = _METRICS[word], int(cut) if at else None
    return lambda ranked, grades: measure(ranked, grades, k)


def heading(name: str) -> str:
    """Return a metric's name as papers write it: nDCG@10, MRR@10, MAP, P@10, recall@100."""
    word, at, cut = name.lower().partition("@")
    return {"ndcg": "nDCG", "map": "MAP", "mrr": "MRR", "p": "P"}.get(word, word) + at + cut


def per_query(run: Run, qrels: Qrels, name: str = "ndcg@10") -> dict[str, float]:
    """Return the metric for each query that has a relevant document; 0 where the run has no results for it."""
    measure = metric(name)
    return {query: measure(run.documents(query), qrels.of(query)) for query in qrels.answerable}


@dataclass(frozen=True, slots=True)
class Scores:
    """A run's metrics: `values` is metric → query id → number.

    `left_out` are the judged queries without any relevant document, which take no part; `empty` those for
    which the run had no result, which count as 0.
    """

    values: Mapping[str, Mapping[str, float]]
    left_out: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """How many queries the means are taken over."""
        return max((len(values) for values in self.values.values()), default=0)

    def mean(self, name: str) -> float:
        """Return the metric's mean over the queries; 0 where there is no query."""
        return mean(self.values[name].values())

    def means(self) -> dict[str, float]:
        """Return each metric's mean over the queries."""
        return {name: self.mean(name) for name in self.values}


def score(run: Run, qrels: Qrels, names: Sequence[str] = STANDARD) -> Scores:
    """Measure a run against judgments, query by query."""
    return Scores(
        values={name: per_query(run, qrels, name) for name in names},
        left_out=qrels.unanswerable,
        empty=tuple(query for query in qrels.answerable if not run.documents(query)),
    )


def mean(values: Iterable[float]) -> float:
    """Return the arithmetic mean; 0 of nothing."""
    numbers = list(values)
    return math.fsum(numbers) / len(numbers) if numbers else 0.0


def _discounted(grades: Iterable[int]) -> float:
    return sum(max(grade, 0) / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1))


def _relevant(grades: Mapping[str, int]) -> int:
    return sum(grade > 0 for grade in grades.values())


def _found(ranked: Sequence[str], grades: Mapping[str, int]) -> int:
    return sum(grades.get(document, 0) > 0 for document in ranked)


@dataclass(frozen=True, slots=True)
class Bin:
    """The hits whose relevance lies in [low, high), in the last bin [low, 1].

    `predicted` is their mean relevance, `observed` the share of them judged relevant; both are 0 if `count` is 0.
    """

    low: float
    high: float
    count: int
    predicted: float
    observed: float


def auroc(answerable: Sequence[float], foreign: Sequence[float]) -> float:
    """Return the probability that an answerable query has a higher confidence than a foreign one; ties count half.

    1 is perfect separation, 0.5 is guessing. It is the area under the ROC curve, and the Mann-Whitney
    statistic over the number of pairs: Hanley and McNeil, "The meaning and use of the area under a receiver
    operating characteristic (ROC) curve", Radiology 143(1), 1982. No query on a side, and NaN, are InputErrors.
    """
    ours, theirs = _confidences(answerable, "answerable"), np.sort(_confidences(foreign, "foreign"))
    below = np.searchsorted(theirs, ours, side="left")
    not_above = np.searchsorted(theirs, ours, side="right")
    return float((below + not_above).sum() / 2 / (len(ours) * len(theirs)))


def balanced_accuracy(answerable: Sequence[float], foreign: Sequence[float], threshold: float) -> float:
    """Return the mean of two shares: of answerable queries at or above the threshold, of foreign ones below it.

    0.5 is what answering everything gives, or nothing, however many queries there are of either kind: Brodersen
    et al., "The balanced accuracy and its posterior distribution", ICPR 2010. The errors are those of `auroc`.
    """
    answered = _confidences(answerable, "answerable") >= threshold
    refused = _confidences(foreign, "foreign") < threshold
    return float((answered.mean() + refused.mean()) / 2)


def _confidences(values: Sequence[float], kind: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        raise InputError(f"there is no {kind} query; at least one of each kind is needed")
    if np.isnan(array).any():
        raise InputError(f"a confidence of the {kind} queries is not a number")
    return array


def reliability(relevance: Sequence[float], judged: Sequence[bool], bins: int = 10) -> tuple[Bin, ...]:
    """Sort hits by their relevance into bins of equal width; empty bins stay in.

    Murphy and Winkler, "Reliability of subjective probability forecasts of precipitation and temperature", Applied
    Statistics 26(1), 1977. A relevance outside [0, 1], lengths that differ and fewer than one bin are InputErrors.
    """
    if bins < 1:
        raise InputError(f"bins must be at least 1, not {bins}")
    if len(relevance) != len(judged):
        raise InputError(f"there are {len(relevance)} relevances but {len(judged)} judgments; give as many of each")
    binned: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for predicted, relevant in zip(relevance, judged, strict=True):
        if not 0 <= predicted <= 1:
            raise InputError(f"a relevance must lie in [0, 1], not {predicted}")
        binned[min(int(predicted * bins), bins - 1)].append((predicted, relevant))
    return tuple(
        Bin(
            low=number / bins,
            high=(number + 1) / bins,
            count=len(pairs),
            predicted=sum(predicted for predicted, _ in pairs) / max(1, len(pairs)),
            observed=sum(relevant for _, relevant in pairs) / max(1, len(pairs)),
        )
        for number, pairs in enumerate(binned)
    )


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Return the mean gap between predicted and observed relevance, bins weighted by their hits; 0 without hits.

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    """
    total = sum(bin_.count for bin_ in bins)
    return sum(bin_.count * abs(bin_.predicted - bin_.observed) for bin_ in bins) / total if total else 0.0


def judged_hits(
    run: Run, relevance: Mapping[str, Mapping[str, float]], qrels: Qrels, depth: int = 10
) -> tuple[list[float], list[bool]]:
    """Return the relevance of the first `depth` documents of each query, and whether each was judged relevant.

    An unjudged document counts as not relevant, so with few judgments the observed share is too low.
    Documents without a relevance are left out.
    """
    predicted, relevant = [], []
    for query in run.ranked:
        known, grades = relevance.get(query, {}), qrels.of(query)
        for document in run.documents(query)[:depth]:
            if document in known:
                predicted.append(known[document])
                relevant.append(grades.get(document, 0) > 0)
    return predicted, relevant
