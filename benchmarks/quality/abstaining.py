"""Abstention: whether a store knows that it has no answer, by its own questions and those of another collection.

A signal is a number of the default search that should be high where there is an answer. AUROC tells whether it orders
the two kinds of questions, balanced accuracy whether its threshold parts them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

from sample_stores import SampleStore

import hybridstore as hs
from hybridstore.evaluation import auroc, balanced_accuracy
from hybridstore.records import Results

QUESTIONS = 100  # of each collection at most
HALF = 0.5  # of relevance: the threshold for an answer

# The tiers of a well-known hybrid store that abstains by a fixed cosine distance: high, medium, else low.
_HIGH, _MEDIUM = 0.45, 0.48

Signal = Callable[[Results], float]


def _relevance(results: Results) -> float:
    """Return the best hit's relevance; NaN without a calibration."""
    if not len(results):
        return 0.0
    found = getattr(results[0], "relevance", None)
    return math.nan if found is None else float(found)


def _confidence(results: Results) -> float:
    """Return the highest relevance of any candidate, which may not be the first hit; NaN without a calibration."""
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
    """Return the signals: name → function that reads it, and the threshold for an answer if there is one."""
    return {
        "relevance": (_relevance, HALF),
        "confidence": (_confidence, HALF),
        "best cosine": (_cosine, 1 - _MEDIUM),
        "fixed tiers": (_tier, 1.0),
        "best BM25": (_bm25, None),
    }


def abstention(samples: Sequence[SampleStore], seed: int) -> dict[str, Any]:
    """Search each store for the questions of every other one and for its own; return the results as JSON."""
    asked = {
        sample.name: random.Random(f"abstention {sample.name} {seed}").sample(
            sample.asked, min(QUESTIONS, len(sample.asked))
        )
        for sample in samples
        if sample.asked
    }
    known = signals()
    values: dict[tuple[str, str], dict[str, list[float]]] = {}
    for sample in samples:
        if sample.name not in asked:
            continue
        with hs.open(sample.file, create=False, **sample.options) as store:
            for other, questions in asked.items():
                found = [store.search(question) for question, _ in questions]
                values[sample.name, other] = {
                    name: [read(results) for results in found] for name, (read, _) in known.items()
                }
    rows = []
    for store_name, other in permutations(asked, 2):
        own, foreign = values[store_name, store_name], values[store_name, other]
        result = {name: _parted(own[name], foreign[name], threshold) for name, (_, threshold) in known.items()}
        counts = {"own": len(asked[store_name]), "foreign": len(asked[other])}
        rows.append({"store": store_name, "foreign": other, "n": counts, "signals": result})
    thresholds = {name: threshold for name, (_, threshold) in known.items()}
    return {"thresholds": thresholds, "pairs": rows}


def _parted(own: Sequence[float], foreign: Sequence[float], threshold: float | None) -> dict[str, float | None] | str:
    if any(map(math.isnan, (*own, *foreign))):
        return "not available"
    accuracy = None if threshold is None else round(balanced_accuracy(own, foreign, threshold), 4)
    return {"auroc": round(auroc(own, foreign), 4), "balanced_accuracy": accuracy}
