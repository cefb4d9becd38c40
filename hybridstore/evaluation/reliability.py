"""Do hits that are said to be relevant with 70 % turn out relevant seven times in ten? Reliability and its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridstore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hybridstore.evaluation.judgments import Qrels, Run


@dataclass(frozen=True, slots=True)
class Bin:
    """The hits whose relevance lies in [low, high), the last bin's in [low, 1].

    `said` is their mean relevance, `found` the share of them that was judged relevant; both 0 where `count` is 0.
    """

    low: float
    high: float
    count: int
    said: float
    found: float


def reliability(relevance: Sequence[float], judged: Sequence[bool], bins: int = 10) -> tuple[Bin, ...]:
    """Sort hits by their relevance into bins of equal width; empty bins stay in.

    Murphy and Winkler, "Reliability of subjective probability forecasts of precipitation and temperature", Applied
    Statistics 26(1), 1977. A relevance outside [0, 1], lengths that differ and fewer than one bin are InputErrors.
    """
    if bins < 1:
        raise InputError(f"bins must be at least 1, not {bins}")
    if len(relevance) != len(judged):
        raise InputError(f"there are {len(relevance)} relevances but {len(judged)} judgments; give one for each")
    parted: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for said, found in zip(relevance, judged, strict=True):
        if not 0 <= said <= 1:
            raise InputError(f"a relevance lies in [0, 1], not at {said}")
        parted[min(int(said * bins), bins - 1)].append((said, found))
    return tuple(
        Bin(
            low=number / bins,
            high=(number + 1) / bins,
            count=len(pairs),
            said=sum(said for said, _ in pairs) / max(1, len(pairs)),
            found=sum(found for _, found in pairs) / max(1, len(pairs)),
        )
        for number, pairs in enumerate(parted)
    )


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Give the mean gap between what was said and what was found, bins weighed by their hits; 0 without hits.

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    """
    total = sum(each.count for each in bins)
    return sum(each.count * abs(each.said - each.found) for each in bins) / total if total else 0.0


def judged_hits(
    run: Run, relevance: Mapping[str, Mapping[str, float]], qrels: Qrels, depth: int = 10
) -> tuple[list[float], list[bool]]:
    """Give the relevance of the first `depth` documents of each query, and whether each was judged relevant.

    A document that nobody judged counts as not relevant, so where few were judged, what is found is too low.
    Documents without a relevance are left out.
    """
    said, found = [], []
    for query in run.ranked:
        known, grades = relevance.get(query, {}), qrels.of(query)
        for document in run.documents(query)[:depth]:
            if document in known:
                said.append(known[document])
                found.append(grades.get(document, 0) > 0)
    return said, found
