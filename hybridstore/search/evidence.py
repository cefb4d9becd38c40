"""Evidence for each candidate from both legs, on scales comparable between the queries of a store.

A leg's ranking has no score for what only the other leg found. Here every candidate gets both: how much of the query's
words it contains, and how many standard deviations its cosine lies above those of a sample of the store's chunks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Calibration
from hybridstore.records import Evidence, Ranking, Term

_COVERAGE = 0.3  # weight of the share of the query's words that a chunk contains, where BM25 weighs 1
_IDF_EXPONENT = 1.25  # how much one rare word is worth compared with several common ones
# A part number or the name of a function is rarely typed by chance: a digit next to something else, or an underscore.
_IDENTIFIER = re.compile(r"_|\d[^\d.,]|[^\d.,]\d")
_IDENTIFIER_WEIGHT = 2.0
_NO_WORDS = 0.5  # nats that a query must weigh before its words count: one of stop words alone has next to none
_LEAST_IDF = 1e-5  # BM25's IDF is below it for words in more than half of the chunks
# Prior for a query's cosines to a sample: mean and standard deviation of sentence embedders, and how many observations
# each is worth. It matters only in stores of a few dozen chunks.
_MEAN, _MEAN_OBSERVATIONS = 0.1, 4
_DEVIATION, _DEVIATION_OBSERVATIONS = 0.1, 16
# Logistic regression on sixteen collections' own queries against those of the others (docs/experiments.md).
_INTERCEPT, _SLOPE, _WORDS = 2.4, 1.35, 3.0
# The line by which a missing vector's z-score is estimated from keyword evidence k: usual slope and intercept, and as
# how many candidates they count, by the second moments of those of a query: mean k² and k (docs/experiments.md).
_USUAL_LINE = (5.0, 0.0)
_LINE_OBSERVATIONS = 8 * np.array([[0.05, 0.18], [0.18, 1.0]])
_ENOUGH = 64  # chunks from which on relevance is measured as in those collections


def few(chunks: int) -> float:
    """Return how few chunks a store has, from 1 for none to 0 for as many as a calibration measures."""
    return max(1.0 - chunks / _ENOUGH, 0.0)


def cosine_statistics(cosines: NDArray[np.float32]) -> tuple[float, float]:
    """Return mean and standard deviation of a query's cosines to a sample (n,), shrunk to usual values if n is low."""
    count = len(cosines)
    if not count:
        return _MEAN, _DEVIATION
    mean = (count * float(cosines.mean()) + _MEAN_OBSERVATIONS * _MEAN) / (count + _MEAN_OBSERVATIONS)
    prior = _DEVIATION_OBSERVATIONS * _DEVIATION**2
    variance = (count * float(cosines.var()) + prior) / (count + _DEVIATION_OBSERVATIONS)
    return mean, variance**0.5


class KeywordEvidence:
    """How strongly chunks match a query's words, relative to the best candidate.

    `total` is the number of chunks in the store; `terms` are the query terms whose impacts count.

    With s = Σ count · weight · impact, the score is s / √(the best s · the highest possible s); the share of words
    contained makes up three thirteenths of it. The geometric mean of best and highest possible keeps a weak best match
    weak, but still scores long queries. A word that no chunk contains counts in the highest possible sum, so a typo
    lowers the words' weight. A word's weight grows faster than its IDF, ln(1 + (N - df + 0.5) / (df + 0.5)), which is
    above 0 for any word (Lucene's BM25; Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond",
    2009), and that of an identifier is doubled.
    """

    def __init__(self, terms: Sequence[Term], total: int) -> None:
        counting = [term for term in terms if term.used or term.idf > _LEAST_IDF]
        frequencies = [term.document_frequency for term in counting]
        idf = np.array([math.log1p((total - frequency + 0.5) / (frequency + 0.5)) for frequency in frequencies])
        highest = math.log1p(max(total, 1))
        weight = highest * (idf / highest) ** _IDF_EXPONENT
        weight *= np.array([_IDENTIFIER_WEIGHT if _IDENTIFIER.search(term.text) else 1.0 for term in counting])
        counted = weight * np.array([term.count for term in counting])
        present = [n for n, frequency in enumerate(frequencies) if frequency]
        self.terms = [counting[n] for n in present]
        self._weight, self._counted = weight[present], counted[present]
        self._total_weight, self._highest_sum = weight.sum() + _NO_WORDS, counted.sum() + _NO_WORDS
        self._best_sum = 0.0

    def scores(self, impacts: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return how strongly chunks match the words, from the impacts (n, t) of `terms`, and their coverage, (n,).

        Both from 0 to 1. The best chunk is the best of all calls so far, so begin with the candidates.
        """
        if not impacts.size:
            return np.zeros(len(impacts)), np.zeros(len(impacts))
        sums = impacts @ self._counted
        self._best_sum = max(self._best_sum, float(sums.max()), 1e-12)
        coverage = (impacts > 0) @ self._weight / self._total_weight
        scores = sums / np.sqrt(self._best_sum * self._highest_sum)
        return (scores + _COVERAGE * coverage) / (1 + _COVERAGE), coverage


class EvidenceCollector:
    """Collects the evidence of chunks for one query; `query` is its vector (dim,), None without.

    Without a `calibration` there is no relevance. The cosines of chunks whose vectors are `missing` are estimated: what
    chunks with vectors and as many of the query's words have.
    """

    def __init__(
        self,
        backend: Backend,
        words: KeywordEvidence,
        query: NDArray[np.float32] | None,
        calibration: Calibration | None,
        missing: NDArray[np.int64] | None = None,
    ) -> None:
        self.backend, self.query = backend, query
        self._words, self._calibration = words, calibration
        self._missing = np.empty(0, np.int64) if missing is None else missing
        self._expected = _USUAL_LINE

    def of_legs(self, keyword: Ranking, vector: Ranking) -> Evidence:
        """Return the evidence of every candidate of either leg."""
        return self.of_chunks(np.union1d(keyword.chunks, vector.chunks), vector, keyword)

    def of_chunks(
        self, chunks: NDArray[np.int64], vector: Ranking | None = None, words: Ranking | None = None
    ) -> Evidence:
        """Return the evidence of ascending chunks; cosines in the `vector` leg's ranking are taken from it.

        From those of the ranking by `words`, what is missing is estimated, in later calls too.
        """
        impacts, cosines = self.backend.evidence(chunks, self._words.terms, self.query)
        keyword, coverage = self._words.scores(impacts)
        z_scores, relevance, estimated = np.zeros(len(chunks)), None, None
        if cosines is not None and len(chunks):
            if vector is not None:
                cosines[chunks.searchsorted(vector.chunks)] = vector.scores  # the leg's own are more exact
            if len(self._missing) and (lacking := np.isin(chunks, self._missing)).any():
                estimated = lacking
                if words is not None:  # not those of the vector leg, which are in it for their cosines
                    known = ~lacking & np.isin(chunks, words.chunks)
                    self._expected = _fitted_line(keyword[known], self.z_scores(cosines[known]))
                mean, deviation = self._cosine_statistics
                slope, intercept = self._expected
                cosines[lacking] = mean + deviation * (intercept + slope * keyword[lacking])
            z_scores = self.z_scores(cosines)
            if self._calibration is not None:
                relevance = relevance_of(cosines, coverage, self._calibration)
        return Evidence(
            chunks=chunks,
            keyword=keyword,
            coverage=coverage,
            vector=z_scores,
            relevance=relevance,
            estimated=estimated,
        )

    def z_scores(self, cosines: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how many standard deviations cosines to the query lie above those of a sample of the store, (n,)."""
        mean, deviation = self._cosine_statistics
        return np.asarray(np.nan_to_num((cosines - mean) / deviation), np.float64)

    @cached_property
    def _cosine_statistics(self) -> tuple[float, float]:
        if self.query is None:
            return _MEAN, _DEVIATION
        return cosine_statistics(self.backend.sample()[1] @ self.query)


def _fitted_line(keyword: NDArray[np.float64], z_scores: NDArray[np.float64]) -> tuple[float, float]:
    """Return slope and intercept of the z-scores (n,) by keyword evidence (n,): least squares, shrunk to the usual."""
    slope, intercept = _USUAL_LINE
    rows = np.stack([keyword, np.ones(len(keyword))], axis=1)
    gram = rows.T @ rows + _LINE_OBSERVATIONS
    residual = rows.T @ (z_scores - slope * keyword - intercept)
    change = np.linalg.solve(gram, residual)
    return slope + float(change[0]), intercept + float(change[1])


def relevance_of(
    cosines: NDArray[np.float64], coverage: NDArray[np.float64], calibration: Calibration
) -> NDArray[np.float64]:
    """Return the probability, (n,), that a query with such evidence has an answer in the store.

    Among a few notes most that share a name with the query are far above chance ("Anna is allergic to nuts" for "Which
    city does Anna live in?"), so there what a chunk is short of the best counts once more.
    """
    above = np.nan_to_num((cosines - calibration.chance) / calibration.spread)
    above -= few(calibration.chunks) * (above.max(initial=0.0) - above)
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-_SLOPE * (above + _WORDS * coverage - _INTERCEPT)))
    return probability
