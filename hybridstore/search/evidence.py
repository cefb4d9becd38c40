"""What speaks for each candidate, from both legs, on scales that all queries of a store share.

A leg's own ranking lacks what only the other one found. Here every candidate gets both: how much of the query's words
it holds, and how far its cosine stands above those of chunks at large.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Calibration
from hybridstore.records import Evidence, Ranking, Term

_COVERED = 0.3  # what holding all words of a query is worth beside BM25
_RARER = 1.25  # exponent of IDF: what one rare word is worth beside several common ones
# Whoever types a part number or a function's name means it: a digit beside something else, or an underscore.
_IDENTIFIER = re.compile(r"_|\d[^\d.,]|[^\d.,]\d")
_MEANT = 2.0  # times an identifier's weight
_NO_WORDS = 0.5  # nats that a query must weigh before its words count: one of stop words alone has next to none
_LEAST_IDF = 1e-5  # BM25's IDF is below it for words in more than half of the chunks
# A question's cosines to chunks at large, before any were seen: mean and standard deviation of sentence embedders, and
# how many seen ones that is worth. Only stores of a few dozen chunks feel it.
_MEAN, _SEEN_MEAN = 0.1, 4
_DEVIATION, _SEEN_DEVIATION = 0.1, 16
# Logistic calibration on sixteen collections' own questions against those of the others (docs/experiments.md).
_HALF, _SLOPE, _WORDS = 2.4, 1.35, 3.0


def gather(  # noqa: PLR0917 - all that the legs found out
    backend: Backend,
    keyword: Ranking,
    vector: Ranking,
    words: KeywordEvidence,
    query: NDArray[np.float32] | None,
    background: Calibration | None,
) -> Evidence:
    """Collect the evidence for every candidate of either leg; `query` is the query's vector (dim,), None without.

    `background` is what the store measured about its vectors; without it there is no relevance.
    """
    chunks = np.union1d(keyword.chunks, vector.chunks)
    impacts, cosines = backend.evidence(chunks, words.terms, query)
    held, covered = words.held(impacts)
    deviations, relevance = np.zeros(len(chunks)), None
    if query is not None and cosines is not None and len(chunks):
        cosines[chunks.searchsorted(vector.chunks)] = vector.scores  # the leg's own are the more exact ones
        mean, deviation = at_large(backend.sample()[1] @ query)
        deviations = np.nan_to_num((cosines - mean) / deviation)
        if background is not None:
            relevance = relevance_of(cosines, covered, background)
    return Evidence(chunks=chunks, keyword=held, coverage=covered, vector=deviations, relevance=relevance)


def at_large(cosines: NDArray[np.float32]) -> tuple[float, float]:
    """Give mean and standard deviation of a question's cosines to a sample (n,); if n is low, nearer the usual."""
    count = len(cosines)
    if not count:
        return _MEAN, _DEVIATION
    mean = (count * float(cosines.mean()) + _SEEN_MEAN * _MEAN) / (count + _SEEN_MEAN)
    variance = (count * float(cosines.var()) + _SEEN_DEVIATION * _DEVIATION**2) / (count + _SEEN_DEVIATION)
    return mean, variance**0.5


class KeywordEvidence:
    """How strongly chunks hold a query's words, measured by the best of the candidates.

    `total` is how many chunks the store has; `terms` are those of the query whose impacts count.

    With s = Σ count · weight · impact: s / √(the best s · the most it could be), of which three thirteenths are the
    share. The geometric mean of best and most keeps a weak best match weak without leaving long questions nothing. A
    word that is in no chunk counts into the most, so that a typo takes weight from the words. A word's weight grows
    faster than its IDF, ln(1 + (N - df + 0.5) / (df + 0.5)), which is above 0 for any word (Lucene's BM25; Robertson &
    Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009), and an identifier's counts twice.
    """

    def __init__(self, terms: Sequence[Term], total: int) -> None:
        asked = [term for term in terms if term.used or term.idf > _LEAST_IDF]
        idf = np.array(
            [math.log1p((total - each.document_frequency + 0.5) / (each.document_frequency + 0.5)) for each in asked]
        )
        rarest = math.log1p(max(total, 1))
        weight = rarest * (idf / rarest) ** _RARER
        weight *= np.array([_MEANT if _IDENTIFIER.search(term.text) else 1.0 for term in asked])
        counted = weight * np.array([term.count for term in asked])
        found = [n for n, term in enumerate(asked) if term.document_frequency]
        self.terms = [asked[n] for n in found]
        self._weight, self._counted = weight[found], counted[found]
        self._all, self._most, self._best = weight.sum() + _NO_WORDS, counted.sum() + _NO_WORDS, 0.0

    def held(self, impacts: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return how strongly chunks hold the words, by the impacts (n, t) of `terms`, and the share they hold, (n,).

        Both from 0 to 1. The best is the best of all chunks of all calls so far, so begin with the candidates.
        """
        if not impacts.size:
            return np.zeros(len(impacts)), np.zeros(len(impacts))
        sums = impacts @ self._counted
        self._best = max(self._best, float(sums.max()), 1e-12)
        covered = (impacts > 0) @ self._weight / self._all
        return (sums / np.sqrt(self._best * self._most) + _COVERED * covered) / (1 + _COVERED), covered


def relevance_of(
    cosines: NDArray[np.float64], covered: NDArray[np.float64], background: Calibration
) -> NDArray[np.float64]:
    """Give the probability, (n,), that a question with such evidence was put to a store that can answer it."""
    above = np.nan_to_num((cosines - background.chance) / background.spread)
    evidence: NDArray[np.float64] = 1 / (1 + np.exp(-_SLOPE * (above + _WORDS * covered - _HALF)))
    return evidence
