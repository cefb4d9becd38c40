"""How much each leg counts. Pure functions; each names where it comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hybridstore.records import Term

# What a store's vectors are worth beside its words: at a power of 4 the vector leg weighs 0.64. On sixteen collections
# of people's questions the best weight lies between 0.25 and 0.8 and follows the power (docs/experiments.md).
USUAL_POWER = 4.0
_KEYWORD, _VECTOR = 0.429, 0.768
_STEEPNESS = 2
_LEAST, _MOST = 0.05, 1.6  # of the power over 4: no leg is trusted blindly, none is silenced

_LONG = 50  # words of a query from which on the published weighting gives the vectors nine tenths

Weights = tuple[float, float]
"""Of the keyword and the vector leg; they add up to 1."""


def by_power(power: float | None) -> Weights:
    """Weigh the legs by what the store measured about its vectors: the `power` of its Background, None if unknown.

    A leg that separates nothing (another language, half-read texts, lists of unrelated things) hardly counts, one that
    knows every passage by a fragment counts most. The same for all queries of a store, so that scores compare.
    """
    trust = 1.0 if power is None else min(max(power / USUAL_POWER, _LEAST), _MOST) ** _STEEPNESS
    vector = _VECTOR * trust
    return _KEYWORD / (_KEYWORD + vector), vector / (_KEYWORD + vector)


def by_idf(terms: Sequence[Term], chunks: int, words: int) -> Weights:
    """Weigh the legs by the query's mean IDF, as published for "adaptive RRF"; kept to be compared with.

    The keyword leg gets 0.1 + 0.5 · sigmoid(2 · (mean IDF - ln(N) / 2)), IDF = ln(N / df), ln(N) for an unknown word;
    0.1 for a query of more than fifty words, 0.4 without words or in a store of fewer than two chunks. Source: the
    package vstash 0.39, `_compute_adaptive_rrf_params`.
    """
    keyword = 0.4
    if words > _LONG:
        keyword = 0.1
    elif chunks >= 2 and terms:
        most = math.log(chunks)
        idf = [math.log(chunks / term.document_frequency) if term.document_frequency else most for term in terms]
        keyword = 0.1 + 0.5 / (1 + math.exp(-2 * (sum(idf) / len(idf) - most / 2)))
    return keyword, 1 - keyword
