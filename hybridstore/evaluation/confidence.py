"""Confidence: whether it separates answerable from foreign queries, and whether a relevance of 0.7 means 70 %.

A query is foreign where the store holds no answer to it. A confidence is a number such as the relevance of the best
hit: the higher it is, the surer the search is that there is an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hybridstore.evaluation.judgments import Qrels, Run


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
