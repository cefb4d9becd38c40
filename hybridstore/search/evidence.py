"""Evidence for each candidate from both legs, on scales comparable between the queries of a store.

A leg's ranking has no score for what only the other leg found. Here every candidate gets both: how much of the query's
words it contains, and how many standard deviations its cosine lies above those of a sample of the store's chunks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Calibration
from hybridstore.records import CosineScale, Evidence, Ranking, Term, WordParts
from hybridstore.search.provisional import Estimator
from hybridstore.search.vector_legs import AddedLeg, combined, shares

_COVERAGE = 0.3  # weight of the share of the query's words that a chunk contains, where BM25 weighs 1
_IDF_EXPONENT = 1.25  # how much one rare word is worth compared with several common ones
# A part number or the name of a function is rarely typed by chance: a digit next to something else, or an underscore.
_IDENTIFIER = re.compile(r"_|\d[^\d.,]|[^\d.,]\d")
_IDENTIFIER_WEIGHT = 2.0
_NO_WORDS = 0.5  # nats that a query must weigh before its words count: one of stop words alone has next to none
# What a store's vectors are worth compared with its words: at a power of 4 the vector leg weighs 0.64. On sixteen
# collections of people's questions the best weight is between 0.25 and 0.8 and follows the power (docs/experiments.md).
USUAL_POWER = 4.0
_USUAL_AGREEMENT = 0.5
_LEAST_IDF = 1e-5  # BM25's IDF is below it for words in more than half of the chunks
# Prior for a query's cosines to a sample: mean and standard deviation of sentence embedders, and how many observations
# each is worth. It matters only in stores of a few dozen chunks.
_MEAN, _MEAN_OBSERVATIONS = 0.1, 4
_DEVIATION, _DEVIATION_OBSERVATIONS = 0.1, 16
_USUAL_CHANCE = 3.0  # deviations
# Logistic regression on sixteen collections' own queries against those of the others (docs/experiments.md).
_INTERCEPT, _SLOPE, _WORDS = 2.4, 1.35, 3.0
_ENOUGH = 64  # chunks from which on relevance is measured as in those collections


def few(chunks: int) -> float:
    """Return how few chunks a store has, from 1 for none to 0 for as many as a calibration measures."""
    return max(1.0 - chunks / _ENOUGH, 0.0)


def cosine_statistics(cosines: NDArray[np.float32], scale: tuple[float, float] | None = None) -> tuple[float, float]:
    """Return mean and standard deviation of a query's cosines to a sample (n,), shrunk to usual values if n is low.

    `scale` are those of an embedder that has its own; see Calibration.
    """
    count, (usual_mean, usual_deviation) = len(cosines), scale or (_MEAN, _DEVIATION)
    if not count:
        return usual_mean, usual_deviation
    average = float(np.add.reduce(cosines)) / count
    off = cosines - np.float32(average)
    mean = (count * average + _MEAN_OBSERVATIONS * usual_mean) / (count + _MEAN_OBSERVATIONS)
    prior = _DEVIATION_OBSERVATIONS * usual_deviation**2
    variance = (float(off @ off) + prior) / (count + _DEVIATION_OBSERVATIONS)
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
        highest = math.log1p(max(total, 1))
        weighed: list[tuple[Term, float]] = []  # in Python: arrays of ten numbers take longer to make than to use
        for term in terms:
            if term.used or term.idf > _LEAST_IDF:
                frequency, text = term.document_frequency, term.text
                idf = math.log1p((total - frequency + 0.5) / (frequency + 0.5))
                weight = highest * (idf / highest) ** _IDF_EXPONENT
                named = not text.isalpha() and _IDENTIFIER.search(text)
                weighed.append((term, weight * _IDENTIFIER_WEIGHT if named else weight))
        present = [(term, weight) for term, weight in weighed if term.document_frequency]
        self.terms = [term for term, _ in present]
        self._weight = np.array([weight for _, weight in present])
        self._counted = np.array([weight * term.count for term, weight in present])
        self._total_weight = sum(weight for _, weight in weighed) + _NO_WORDS
        self._highest_sum = sum(weight * term.count for term, weight in weighed) + _NO_WORDS
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

    def parts(self, impacts: NDArray[np.float32]) -> WordParts | None:
        """Return what each word adds to the scores just made of these impacts (n, t); None without any word."""
        if not impacts.size:
            return None
        strength = self._counted / np.sqrt(self._best_sum * self._highest_sum) / (1 + _COVERAGE)
        covering = _COVERAGE * self._weight / self._total_weight / (1 + _COVERAGE)
        return WordParts(tuple(self.terms), impacts, strength, covering)


OWN = "the store's own vectors"  # their name where nothing was measured of them


@dataclass(frozen=True)
class Scale:
    """The scale of a query's cosines in one of several vector legs: how far above the average chunk each is.

    `leg` is how the backend calls it, None for the store's own.
    """

    backend: Backend
    fingerprint: str
    query: NDArray[np.float32]
    calibration: Calibration | None
    leg: str | None

    @property
    def power(self) -> float:
        """The leg's power, the usual one where it was not measured."""
        return USUAL_POWER if self.calibration is None else self.calibration.power

    def agreement(self, other: Scale) -> float:
        """Return how this leg's deviations correlate with another's, 0.5 where that was not measured."""
        for one, two in ((self, other), (other, self)):
            if one.calibration is not None and two.fingerprint in one.calibration.agreement:
                return one.calibration.agreement[two.fingerprint]
        return 1.0 if self is other else _USUAL_AGREEMENT

    @cached_property
    def _statistics(self) -> tuple[float, float]:
        scale = None if self.calibration is None else self.calibration.scale
        return cosine_statistics(self.backend.sample(self.leg)[1] @ self.query, scale)

    def deviations(self, cosines: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standard deviations of cosines (n,) above those of a sample of the store; NaN stays."""
        mean, deviation = self._statistics
        return np.asarray((cosines - mean) / deviation, np.float64)

    def cosines(self, deviations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the cosines (n,) that have these deviations."""
        mean, deviation = self._statistics
        return mean + deviation * deviations


class EvidenceCollector:
    """Collects the evidence of chunks for one query; `query` is its vector (dim,), None without.

    `added` are the vector legs beside the store's own. Without a `calibration` there is no relevance. The cosines of
    chunks whose vectors are `missing` are estimated.
    """

    def __init__(  # noqa: PLR0917 - what a query is, then what the store lacks and has besides
        self,
        backend: Backend,
        words: KeywordEvidence,
        query: NDArray[np.float32] | None,
        calibration: Calibration | None,
        missing: NDArray[np.int64] | None = None,
        added: Sequence[AddedLeg] = (),
    ) -> None:
        self.backend, self.query = backend, query
        self._words, self._calibration, self._added = words, calibration, added
        self._missing = np.empty(0, np.int64) if missing is None else missing
        self._estimator = Estimator(backend, query)

    def of_legs(self, keyword: Ranking, vector: Ranking) -> Evidence:
        """Return the evidence of every candidate of any leg."""
        legs = (keyword, vector, *(leg.ranking for leg in self._added))
        chunks = np.concatenate([leg.chunks for leg in legs])
        chunks.sort()  # four times as fast as `unique`
        first = np.ones(len(chunks), np.bool_)
        np.not_equal(chunks[1:], chunks[:-1], out=first[1:])
        return self.of_chunks(chunks[first], vector, keyword)

    def of_chunks(
        self, chunks: NDArray[np.int64], vector: Ranking | None = None, words: Ranking | None = None
    ) -> Evidence:
        """Return the evidence of ascending chunks; cosines in the `vector` leg's ranking are taken from it.

        From those of the ranking by `words`, what is missing is estimated, in later calls too.
        """
        impacts, cosines = self.backend.evidence(chunks, self._words.terms, self.query)
        keyword, coverage = self._words.scores(impacts)
        if self._added and len(chunks):
            several = self._of_several(chunks, keyword, coverage, cosines, vector, words)
            return replace(several, words=self._words.parts(impacts), cosines=self._scale)
        z_scores, relevance, estimated = np.zeros(len(chunks)), None, None
        if cosines is not None and len(chunks):
            if vector is not None:
                cosines[chunks.searchsorted(vector.chunks)] = vector.scores  # the leg's own are more exact
            if len(self._missing) and (lacking := np.isin(chunks, self._missing)).any():
                estimated = lacking
                mean, deviation = self._cosine_statistics
                expected = self._estimator(chunks, keyword, self.z_scores(cosines), lacking, words)
                cosines[lacking] = mean + deviation * expected
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
            words=self._words.parts(impacts),
            cosines=self._scale,
        )

    def _of_several(  # noqa: PLR0917 - evidence, then rankings
        self,
        chunks: NDArray[np.int64],
        keyword: NDArray[np.float64],
        coverage: NDArray[np.float64],
        own: NDArray[np.float64] | None,
        vector: Ranking | None,
        words: Ranking | None,
    ) -> Evidence:
        """Return the evidence where there are several vector legs; `own` are the cosines of the store's own."""
        cosines = [] if own is None else [own]
        if own is not None and vector is not None:
            own[chunks.searchsorted(vector.chunks)] = vector.scores
        for leg in self._added:
            found = self.backend.cosines(chunks, leg.query, leg.fingerprint)
            if vector is not None:
                found[chunks.searchsorted(leg.ranking.chunks)] = leg.ranking.scores
            cosines.append(found)
        deviations = [scale.deviations(found) for scale, found in zip(self.scales, cosines, strict=True)]
        total, above = self.combined(deviations), self._above_chance(cosines)
        lacking: NDArray[np.bool_] = np.logical_and.reduce(np.isnan(np.array(deviations)))
        if lacking.any():
            total[lacking] = self._estimator(chunks, keyword, total, lacking, words)
            # Every leg is expected to contribute by its power, and its own scale leads back to a cosine.
            parts = [total[lacking] * scale.power / max(self._shares[1], 1e-12) for scale in self.scales]
            expected = [scale.cosines(part) for scale, part in zip(self.scales, parts, strict=True)]
            if above is not None:
                above[lacking] = self._above_chance(expected)
        return Evidence(
            chunks=chunks,
            keyword=keyword,
            coverage=coverage,
            vector=total,
            relevance=None if above is None else _probability(above, coverage, self._few),
            estimated=lacking if lacking.any() else None,
            legs={scale.fingerprint: each for scale, each in zip(self.scales, deviations, strict=True)},
        )

    def combined(self, deviations: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the combined deviation of chunks (n,) from those in each of the vector legs, NaN without a vector."""
        return combined(deviations, self.shares, [scale.power for scale in self.scales])

    @cached_property
    def scales(self) -> list[Scale]:
        """The vector legs of the search, the store's own first."""
        legs = [
            Scale(self.backend, leg.fingerprint, leg.query, leg.calibration, leg.fingerprint) for leg in self._added
        ]
        if self.query is None:
            return legs
        name = OWN if self._calibration is None else self._calibration.fingerprint
        return [Scale(self.backend, name, self.query, self._calibration, None), *legs]

    @property
    def shares(self) -> tuple[float, ...]:
        """Each vector leg's share of the combined deviation."""
        return self._shares[0]

    @property
    def power(self) -> float | None:
        """The power of the vector legs together; None where it is unknown."""
        if self._added:
            return self._shares[1]
        return None if self._calibration is None else self._calibration.power

    @cached_property
    def _shares(self) -> tuple[tuple[float, ...], float]:
        return shares(
            tuple(scale.power for scale in self.scales),
            tuple(tuple(a.agreement(b) for b in self.scales) for a in self.scales),
        )

    def _above_chance(self, cosines: Sequence[NDArray[np.float64]]) -> NDArray[np.float64] | None:
        """Return how far the legs' cosines (n,) are above chance, in spreads and in the proportion of their shares.

        None where no leg was measured.
        """
        measured = [
            (share, (found - scale.calibration.chance) / scale.calibration.spread)
            for share, scale, found in zip(self.shares, self.scales, cosines, strict=True)
            if scale.calibration is not None and share > 0.0
        ]
        if not measured:
            return None
        weight = np.array([share for share, _ in measured])[:, None]
        above = np.array([each for _, each in measured])
        there = ~np.isnan(above)
        total = (np.where(there, above, 0.0) * weight).sum(axis=0)
        return np.asarray(total / np.maximum((there * weight).sum(axis=0), 1e-12), np.float64)

    @property
    def chance(self) -> float:
        """The best deviation that an unrelated query gets on average; the usual one where that was not measured."""
        legs = [scale for scale in self.scales if scale.calibration is not None]
        if not legs:
            return _USUAL_CHANCE
        if not self._added:
            known = legs[0].calibration
            return float(self.z_scores(np.array([known.chance]))[0]) if known is not None else _USUAL_CHANCE
        parts = [
            scale.deviations(np.array([np.nan if scale.calibration is None else scale.calibration.chance]))
            for scale in self.scales
        ]
        return float(self.combined(parts)[0])

    @property
    def _few(self) -> float:
        """How much the store counts as one of a few chunks; see `relevance_of`."""
        counts = [scale.calibration.chunks for scale in self.scales if scale.calibration is not None]
        return few(max(counts)) if counts else 0.0

    def z_scores(self, cosines: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how many standard deviations cosines to the query lie above those of a sample of the store, (n,)."""
        mean, deviation = self._cosine_statistics
        return _without_nan((cosines - mean) / deviation)

    @property
    def _cosine_statistics(self) -> tuple[float, float]:
        return (_MEAN, _DEVIATION) if self._scale is None else (self._scale.mean, self._scale.deviation)

    @cached_property
    def _scale(self) -> CosineScale | None:
        """The scale of the query's cosines to the store's own vectors; None without them."""
        if self.query is None:
            return None
        known = self._calibration
        sample = self.backend.sample()[1] @ self.query
        mean, deviation = cosine_statistics(sample, None if known is None else known.scale)
        chance, spread = (None, None) if known is None else (known.chance, known.spread)
        return CosineScale(mean, deviation, sample, chance, spread)


def relevance_of(
    cosines: NDArray[np.float64], coverage: NDArray[np.float64], calibration: Calibration
) -> NDArray[np.float64]:
    """Return the probability, (n,), that a query with such evidence has an answer in the store.

    Among a few notes most that share a name with the query are far above chance ("Anna is allergic to nuts" for "Which
    city does Anna live in?"), so there what a chunk is short of the best counts once more.
    """
    above = _without_nan((cosines - calibration.chance) / calibration.spread)
    return _probability(above, coverage, few(calibration.chunks))


def _without_nan(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values with 0 in place of NaN, in a quarter of the time of `nan_to_num`."""
    return np.where(np.isnan(values), 0.0, values)


def _probability(above: NDArray[np.float64], coverage: NDArray[np.float64], among_few: float) -> NDArray[np.float64]:
    evidence = above + _WORDS * coverage
    evidence = evidence - among_few * (evidence.max(initial=0.0) - evidence)
    # Where all vectors are nearly one, a cosine can be any number of deviations away, further than an exponent goes.
    probability: NDArray[np.float64] = 1 / (1 + np.exp(np.clip(_SLOPE * (_INTERCEPT - evidence), -700, 700)))
    return probability
