"""Intervals for figures, which account for questions about the same conversation not being independent.

A bootstrap that draws questions takes ten conversations with 150 questions each for 1,500 independent ones. Drawing
whole conversations, with all their questions, does not; where each question has a conversation of its own the two are
the same. Of few conversations few different draws can be made, so the intervals are rough, and of fewer than `LEAST`
none are made: questions are drawn then. See Cameron, Gelbach and Miller,
"Bootstrap-Based Improvements for Inference with Clustered Errors", Review of Economics and Statistics 90(3), 2008.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hybridstore.evaluation import auroc, paired_bootstrap

RESAMPLES = 10_000
LEAST = 5  # conversations
_AREAS = 1_000  # resamples of an AUROC, each of which sorts all confidences
_TAILS = (0.025, 0.975)
_AT_ONCE = 500  # resamples, so that memory does not grow with the conversations


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure, and between which it lies with 95 % confidence."""

    value: float
    low: float
    high: float

    def to_dict(self, name: str = "mean") -> dict[str, float]:
        return {name: round(self.value, 5), "low": round(self.low, 5), "high": round(self.high, 5)}


def mean(values: Mapping[str, float], groups: Mapping[str, str], *, seed: int, resamples: int = RESAMPLES) -> Interval:
    """Return the mean over questions with its percentile interval, resampling conversations (question → group)."""
    rows = [each for _, each in sorted(_by_group(values, _drawn(values, groups)).items())]
    sums, counts = np.array([sum(row) for row in rows]), np.array([float(len(row)) for row in rows])
    generator = np.random.default_rng(seed)
    means = []
    for first in range(0, resamples, _AT_ONCE):
        drawn = generator.integers(len(sums), size=(min(_AT_ONCE, resamples - first), len(sums)))
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    low, high = np.quantile(np.concatenate(means), _TAILS)
    return Interval(float(sums.sum() / counts.sum()), float(low), float(high))


def difference(
    a: Mapping[str, float],
    b: Mapping[str, float],
    groups: Mapping[str, str],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> dict[str, dict[str, float]]:
    """Return b's mean minus a's, "by question" as `hybridstore.evaluation` does, and "by conversation" as above.

    The second is left out where it would tell nothing else: with a question a conversation, or too few of them.
    """
    paired = paired_bootstrap(a, b, seed=seed, resamples=resamples)
    result = {"by question": Interval(paired.difference, paired.low, paired.high).to_dict("difference")}
    if LEAST <= len({groups[each] for each in a}) < len(a):
        differences = {each: b[each] - a[each] for each in a}
        result["by conversation"] = mean(differences, groups, seed=seed, resamples=resamples).to_dict("difference")
    return result


def area(
    answerable: Mapping[str, float],
    unanswerable: Mapping[str, float],
    groups: Mapping[str, str],
    *,
    seed: int,
    resamples: int = _AREAS,
) -> Interval:
    """Return the AUROC of confidences (question → number) with its percentile interval, resampling conversations.

    Draws without a question of either kind are drawn again; both kinds must be there, else an InputError.
    """
    value = auroc([*answerable.values()], [*unanswerable.values()])
    groups = _drawn({**answerable, **unanswerable}, groups)
    names = sorted({groups[each] for each in (*answerable, *unanswerable)})
    kinds = [_by_group(kind, groups) for kind in (answerable, unanswerable)]
    generator = np.random.default_rng(seed)
    areas: list[float] = []
    while len(areas) < resamples:
        drawn = generator.integers(len(names), size=len(names))
        ours, theirs = ([each for place in drawn for each in kind.get(names[place], ())] for kind in kinds)
        if ours and theirs:
            areas.append(auroc(ours, theirs))
    low, high = np.quantile(areas, _TAILS)
    return Interval(value, float(low), float(high))


def _drawn(values: Mapping[str, float], groups: Mapping[str, str]) -> Mapping[str, str]:
    """Return the groups to resample: conversations, or single questions if there are too few conversations."""
    return groups if len({groups[each] for each in values}) >= LEAST else {each: each for each in values}


def _by_group(values: Mapping[str, float], groups: Mapping[str, str]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for each, value in values.items():
        found.setdefault(groups[each], []).append(value)
    return found
