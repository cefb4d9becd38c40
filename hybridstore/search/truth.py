"""Truth: to what degree a passage is what a structured query asks for, from 0 to 1.

A leaf's truth is made of its fused evidence, which lies on one scale for all queries of a store; how truths are joined
is a t-norm's matter, with its dual for alternatives, as in FIT ("Rethinking Complex Queries on Knowledge Graphs with
Neural Link Predictors").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hybridstore.records import FULL_Z_SCORE, Evidence
from hybridstore.search.algebra import Conjunction, Disjunction, Negation, StructuredQuery
from hybridstore.search.rank_fusion import Weights

Truth = NDArray[np.float64]

# Logistic regression on eight collections' own questions against those of the others, by the score of the best passage
# (docs/experiments.md); the same with the two parts of the score by themselves gives the weights of `Hit.relevance`.
_STEEPNESS, _MIDDLE = 22.0, 0.55
# The rank from which on a passage is noise rather than an answer. From 5 to 50 alternatives gain .02 to .03 nDCG@10 on
# average by being aligned there (docs/experiments.md).
_NOISE = 30
_LEAST = 1e-12


def fused(evidence: Evidence, weights: Weights, chance: float) -> Truth:
    """Return the score (n,) of the adaptive fusion above chance: weight · keyword + weight · (vector - chance) / 12.

    `chance` is the z-score of the best cosine that an unrelated query gets.
    """
    scores: Truth = weights[0] * evidence.keyword + weights[1] * (evidence.vector - chance) / FULL_Z_SCORE
    return scores


def truth_of(scores: Truth, weights: Weights) -> Truth:
    """Return the truth (n,) of `about`: 1 / (1 + exp(-22 · (score - 0.55 · keyword weight))), of scores above chance.

    So one `about` alone ranks as its text does, and those of a query compare: the truth is ½ where a store has an
    answer as often as not, such as where most of the words are there and the cosine is that of chance.
    """
    truth: Truth = 1.0 / (1.0 + np.exp(np.clip(_STEEPNESS * (_MIDDLE * weights[0] - scores), -700, 700)))
    return truth


def aligned(truths: Sequence[Truth]) -> list[Truth]:
    """Return truths (n,) of alternatives, each moved along its logistic so that all have the same 30th best.

    Evidence is on one scale for all questions, but of two alternatives one may still have passages that are alike to it
    in general, and those would stand before all answers to the other. The common 30th best has the mean of their
    logits. Fewer than 60 candidates are left as they are: among few, the 30th says nothing about the best.
    """
    if len(truths) < 2 or len(truths[0]) < 2 * _NOISE:
        return list(truths)
    logits = np.array(
        [np.log(np.clip(each, _LEAST, None)) - np.log(np.clip(1.0 - each, _LEAST, None)) for each in truths]
    )
    usual = np.sort(logits, axis=1)[:, -_NOISE, None]
    return list(1.0 / (1.0 + np.exp(np.clip(usual - usual.mean() - logits, -700, 700))))


def conjunction(truths: Sequence[Truth], norm: str) -> Truth:
    """Return the t-norm of truths (n,): their product, max(0, Σ t - (m - 1)) (Łukasiewicz), or the least (Gödel)."""
    rows = np.array(truths)
    if norm == "product":
        return np.asarray(rows.prod(axis=0), np.float64)
    if norm == "lukasiewicz":
        return np.asarray((rows.sum(axis=0) - (len(rows) - 1)).clip(0.0), np.float64)
    return np.asarray(rows.min(axis=0), np.float64)


def disjunction(truths: Sequence[Truth], norm: str) -> Truth:
    """Return the dual of the t-norm: 1 - conjunction(1 - t)."""
    return 1.0 - conjunction([1.0 - truth for truth in truths], norm)


def evaluate(query: StructuredQuery, leaf: Callable[[StructuredQuery], Truth], norm: str) -> list[Truth]:
    """Return the truth (n,) of a query and of all its parts, in the order of `parts()`, bottom-up.

    `leaf` returns that of About, Words and Where. Weights are exponents, see `StructuredQuery.__mul__`.
    """
    return list(_evaluated(query, leaf, norm))


def _evaluated(query: StructuredQuery, leaf: Callable[[StructuredQuery], Truth], norm: str) -> Iterator[Truth]:
    if not query.members:
        yield leaf(query)
        return
    below = [list(_evaluated(member, leaf, norm)) for member in query.members]
    weighed = [(truths[0], member.weight) for truths, member in zip(below, query.members, strict=True)]
    match query:
        case Conjunction():
            yield conjunction([truth**weight for truth, weight in weighed], norm)
        case Disjunction():
            yield disjunction([1.0 - (1.0 - truth) ** weight for truth, weight in weighed], norm)
        case Negation():
            yield 1.0 - weighed[0][0]
    for truths in below:
        yield from truths
