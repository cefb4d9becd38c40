"""Does a store know when it has no answer? Its own questions against those of another collection.

A signal is a number of the default search that should be high where there is an answer. AUROC tells whether it orders
the two kinds of questions, balanced accuracy whether its threshold parts them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

from grounds import Ground

import hybridstore as hs
from hybridstore.evaluation import auroc, balanced_accuracy
from hybridstore.records import Results

QUESTIONS = 100  # of each collection at most
HALF = 0.5  # of relevance: the least that a search is told to take as an answer

# The tiers of a well-known hybrid store that abstains by a fixed cosine distance: high, medium, else low.
_HIGH, _MEDIUM = 0.45, 0.48

Signal = Callable[[Results], float]


def _relevance(results: Results) -> float:
    """Give the best hit's relevance; NaN where the store measured nothing."""
    if not len(results):
        return 0.0
    found = getattr(results[0], "relevance", None)
    return math.nan if found is None else float(found)


def _confidence(results: Results) -> float:
    """Give the highest relevance of a candidate, which need not be the first hit's; NaN as above."""
    found = getattr(getattr(results.trace, "evidence", None), "confidence", None)
    return math.nan if found is None else float(found)


def _cosine(results: Results) -> float:
    ranking = results.trace.vector
    return float(ranking.scores[0]) if ranking is not None and len(ranking) else -1.0


def _tier(results: Results) -> float:
    distance = 1 - _cosine(results)
    return 2.0 if distance < _HIGH else 1.0 if distance < _MEDIUM else 0.0


def _bm25(results: Results) -> float:
    ranking = results.trace.keyword
    return float(ranking.scores[0]) if ranking is not None and len(ranking) else 0.0


def signals() -> dict[str, tuple[Signal, float | None]]:
    """Give the signals: name → how it is read, and the threshold for an answer where there is one."""
    return {
        "relevance": (_relevance, HALF),
        "confidence": (_confidence, HALF),
        "best cosine": (_cosine, 1 - _MEDIUM),
        "fixed tiers": (_tier, 1.0),
        "best BM25": (_bm25, None),
    }


def abstention(grounds: Sequence[Ground], seed: int) -> dict[str, Any]:
    """Put each ground's questions to every other's store, and its own to its own; tell it as JSON."""
    asked = {
        ground.name: random.Random(f"abstention {ground.name} {seed}").sample(
            ground.asked, min(QUESTIONS, len(ground.asked))
        )
        for ground in grounds
        if ground.asked
    }
    known = signals()
    values: dict[tuple[str, str], dict[str, list[float]]] = {}
    for ground in grounds:
        if ground.name not in asked:
            continue
        with hs.open(ground.file, create=False, **ground.options) as store:
            for other, questions in asked.items():
                found = [store.search(question) for question, _ in questions]
                values[ground.name, other] = {
                    name: [read(results) for results in found] for name, (read, _) in known.items()
                }
    rows = []
    for store_name, other in permutations(asked, 2):
        own, foreign = values[store_name, store_name], values[store_name, other]
        told = {name: _parted(own[name], foreign[name], threshold) for name, (_, threshold) in known.items()}
        counts = {"own": len(asked[store_name]), "foreign": len(asked[other])}
        rows.append({"store": store_name, "foreign": other, "n": counts, "signals": told})
    thresholds = {name: threshold for name, (_, threshold) in known.items()}
    return {"thresholds": thresholds, "pairs": rows}


def _parted(own: Sequence[float], foreign: Sequence[float], threshold: float | None) -> dict[str, float | None] | str:
    if any(map(math.isnan, (*own, *foreign))):
        return "not available"
    accuracy = None if threshold is None else round(balanced_accuracy(own, foreign, threshold), 4)
    return {"auroc": round(auroc(own, foreign), 4), "balanced_accuracy": accuracy}
