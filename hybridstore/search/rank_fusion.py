"""Rank fusion: the weights of the legs, the formulas that make one ranking of two, and those that a request names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import K1
from hybridstore.backends.protocols import Backend, SearchState
from hybridstore.backends.values import Restriction
from hybridstore.errors import InputError
from hybridstore.records import FULL_Z_SCORE, Evidence, Ranking, Term, Trace
from hybridstore.search.evidence import USUAL_POWER, EvidenceCollector, KeywordEvidence
from hybridstore.search.neighbours import with_neighbours
from hybridstore.search.provisional import FEWEST
from hybridstore.search.request import Request
from hybridstore.search.vector_legs import AddedLeg

_KEYWORD, _VECTOR = 0.429, 0.768  # at a power of 4
_STEEPNESS = 2
_LEAST_TRUST, _MOST_TRUST = 0.05, 1.6  # of the power over 4: no leg is trusted blindly, none is silenced
_LONG_QUERY = 50  # words above which the published weighting gives the vectors nine tenths
RRF_K = 60  # the constant of the paper; its authors found results hardly sensitive to it

EMPTY = Ranking(np.empty(0, np.int64), np.empty(0, np.float64))

Weights = tuple[float, float]
"""The weights of the keyword and the vector leg."""


def by_power(power: float | None, made: float = 1.0) -> Weights:
    """Return weights that follow the `power` of the store's Calibration (None if unknown) and add up to 1.

    While only a share of the store's vectors is `made`, the vector leg counts for less, down to half: what has a vector
    would displace what has none, whatever is expected of it.

    Vectors that separate nothing (another language, half-read texts, lists of unrelated things) hardly count; those
    that recognise every passage by a fragment count most. All queries of a store get the same weights, so that their
    scores can be compared.
    """
    trust = 1.0 if power is None else min(max(power / USUAL_POWER, _LEAST_TRUST), _MOST_TRUST) ** _STEEPNESS
    vector = _VECTOR * trust * (1.0 + math.sqrt(made)) / 2
    return _KEYWORD / (_KEYWORD + vector), vector / (_KEYWORD + vector)


def by_idf(terms: Sequence[Term], chunks: int, words: int) -> Weights:
    """Return weights by the query's mean IDF, as published for "adaptive RRF"; a baseline.

    The keyword leg gets 0.1 + 0.5 · sigmoid(2 · (mean IDF - ln(N) / 2)), IDF = ln(N / df), ln(N) for an unknown word;
    0.1 for a query of more than fifty words, 0.4 without words or in a store of fewer than two chunks. Source: the
    package vstash 0.39, `_compute_adaptive_rrf_params`.
    """
    keyword = 0.4
    if words > _LONG_QUERY:
        keyword = 0.1
    elif chunks >= 2 and terms:
        highest = math.log(chunks)
        idf = [math.log(chunks / term.document_frequency) if term.document_frequency else highest for term in terms]
        keyword = 0.1 + 0.5 / (1 + math.exp(-2 * (sum(idf) / len(idf) - highest / 2)))
    return keyword, 1 - keyword


def adaptive(evidence: Evidence, weights: Weights) -> Ranking:
    """Fuse by the evidence for each candidate: score = weight · keyword + weight · vector / 12, from 0 to 1.

    Both parts, and so the scores, are on one scale for all queries of a store: 0 is what any chunk has, and a passage
    searched for by its own text has about 0.55. Ties go to the smaller chunk id.
    """
    scores = weights[0] * evidence.keyword + weights[1] * evidence.vector / FULL_Z_SCORE
    best = (-scores).argsort(kind="stable")
    return Ranking(evidence.chunks[best], scores[best].clip(0.0, 1.0))


def scaled(ranking: Ranking, highest: float) -> Ranking:
    """Return one leg's ranking with its scores as shares of the highest possible score, from 0 to 1."""
    return Ranking(ranking.chunks, (ranking.scores / (highest or 1.0)).clip(0.0, 1.0))


def convex(keyword: Ranking, vector: Ranking, weights: Weights = (0.5, 0.5), added: Sequence[Ranking] = ()) -> Ranking:
    """Fuse by scores: weight · BM25 / highest BM25 + weight · cosine between the leg's lowest (0) and highest (1).

    With `added` vector legs, each has an equal part of the vector leg's weight. A chunk missing from a leg has 0 there;
    ties go to the smaller chunk id. Source: Bruch, Gai & Ingber, "An Analysis
    of Fusion Functions for Hybrid Retrieval", ACM TOIS 42(1), 2023.
    """
    words = _of_best(keyword)
    each = weights[1] / (1 + len(added))
    vectors = (vector, *added)
    return _summed((keyword, *vectors), [weights[0] * words, *(each * _between(leg) for leg in vectors)])


def with_estimates(vector: Ranking, evidence: Evidence | None) -> Ranking:
    """Return a vector leg's ranking with the candidates whose vectors are still to be made, by their expected cosines.

    Without them a chunk would be fused as if it were far from the query: with a quarter of the vectors rrf has .225
    nDCG@10 instead of .434 on Cranfield (docs/experiments.md). Ties go to the smaller chunk id.
    """
    if evidence is None or evidence.estimated is None or evidence.cosines is None:
        return vector
    scale, lacking = evidence.cosines, evidence.estimated
    chunks = np.concatenate([vector.chunks, evidence.chunks[lacking]])
    scores = np.concatenate([vector.scores, scale.mean + scale.deviation * evidence.vector[lacking]])
    best = np.lexsort((chunks, -scores))
    return Ranking(chunks[best], scores[best])


def _of_best(keyword: Ranking) -> NDArray[np.float64]:
    """Return BM25 scores as shares of the highest."""
    return keyword.scores / max(float(keyword.scores.max(initial=0.0)), 1e-12)


def _between(vector: Ranking) -> NDArray[np.float64]:
    """Return the cosines of a leg's ranking between its lowest (0) and its highest (1)."""
    low, high = (float(vector.scores[-1]), float(vector.scores[0])) if len(vector) else (0.0, 0.0)
    return (vector.scores - low) / (high - low) if high > low else np.ones(len(vector))


def rrf(
    keyword: Ranking,
    vector: Ranking,
    weights: Weights = (1.0, 1.0),
    k: int = RRF_K,
    added: Sequence[Ranking] = (),
) -> Ranking:
    """Fuse by reciprocal ranks: score = Σ weight / (k + rank) over the rankings that contain the chunk.

    An `added` vector leg has the weight of the vector leg. Ties go to the smaller chunk id. Source: Cormack, Clarke &
    Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual rank learning methods", SIGIR 2009.
    """
    rankings = (keyword, vector, *added)
    each = (weights[0], *([weights[1]] * (1 + len(added))))
    parts = [weight * _reciprocal_ranks(k, len(leg)) for weight, leg in zip(each, rankings, strict=True)]
    return _summed(rankings, parts)


def _summed(rankings: Sequence[Ranking], parts: Sequence[NDArray[np.float64]]) -> Ranking:
    """Rank by the sum of the parts that each chunk has in the rankings."""
    chunks: NDArray[np.int64] = np.concatenate([leg.chunks for leg in rankings])
    scores: NDArray[np.float64] = np.concatenate(parts)
    if len(rankings) > 2:
        chunks, place = np.unique(chunks, return_inverse=True)
        scores = np.bincount(place, scores, len(chunks)).astype(np.float64)
    order = chunks.argsort(kind="stable")
    chunks, scores = chunks[order], scores[order]
    # A chunk occurs once in a ranking, so one that both contain is now a pair of adjacent entries.
    twice = np.flatnonzero(chunks[1:] == chunks[:-1])
    if len(twice):
        scores[twice] += scores[twice + 1]
        first = np.ones(len(chunks), np.bool_)
        first[twice + 1] = False
        chunks, scores = chunks[first], scores[first]
    best = (-scores).argsort(kind="stable")
    return Ranking(chunks[best], scores[best])


@dataclass(frozen=True, slots=True)
class Parts:
    """A fusion as the sum that it is: a chunk's score = Σ weight · value / scale, over the legs in their order.

    `chunks` (n,) are ascending, `values` (n, m) are theirs in each leg, `scales` and `weights` (m,) those of the legs:
    the words, then the vectors.
    """

    chunks: NDArray[np.int64]
    values: NDArray[np.float64]
    scales: tuple[float, ...]
    weights: tuple[float, ...]

    def ranking(self, weights: Sequence[float]) -> Ranking:
        """Fuse with other weights (m,); ties go to the smaller chunk id. Scores are not limited to 0 to 1."""
        scores = np.zeros(len(self.chunks))
        for weight, column, scale in zip(weights, self.values.T, self.scales, strict=True):
            scores += weight * column / scale
        best = (-scores).argsort(kind="stable")
        return Ranking(self.chunks[best], scores[best])

    def shared(self, keyword: float) -> tuple[float, ...]:
        """Return weights with the same sum, of which the words have this share and the vectors the rest."""
        total, vectors = sum(self.weights), sum(self.weights[1:])
        return (keyword * total, *((1.0 - keyword) * total * weight / vectors for weight in self.weights[1:]))


def parts_of(trace: Trace) -> Parts | None:
    """Return what the fused ranking of a hybrid search is the sum of; None where one leg, or several searches, did."""
    keyword, vector, evidence = trace.keyword, trace.vector, trace.evidence
    if keyword is None or trace.path or not (trace.weights[0] and trace.weights[1]):
        return None
    if trace.fusion == "adaptive":
        if evidence is None:
            return None
        values = np.stack([evidence.keyword, evidence.vector], axis=1)
        return Parts(evidence.chunks, values, (1.0, FULL_Z_SCORE), trace.weights)
    if vector is not None and not trace.added:
        vector = with_estimates(vector, evidence)
    vectors = [*([] if vector is None else [vector]), *(leg.ranking for leg in trace.added)]
    if trace.fusion == "convex":
        weights = (trace.weights[0], *([trace.weights[1] / len(vectors)] * len(vectors)))
        columns = [_of_best(keyword), *map(_between, vectors)]
    else:
        weights = (trace.weights[0], *([trace.weights[1]] * len(vectors)))
        columns = [_reciprocal_ranks(RRF_K, len(leg)) for leg in (keyword, *vectors)]
    chunks = np.unique(np.concatenate([leg.chunks for leg in (keyword, *vectors)]))
    values = np.zeros((len(chunks), len(columns)))
    for place, (leg, column) in enumerate(zip((keyword, *vectors), columns, strict=True)):
        values[chunks.searchsorted(leg.chunks), place] = column
    return Parts(chunks, values, (1.0,) * len(columns), weights)


@lru_cache(maxsize=8)
def _reciprocal_ranks(k: int, count: int) -> NDArray[np.float64]:
    return 1 / (k + np.arange(1.0, count + 1))


@dataclass(frozen=True, slots=True)
class LegResults:
    """The results of both legs for a query's `text` within a restriction; None for a leg that did not run.

    `query` is the text's vector (dim,), `missing` are the chunks of the store that have no vector yet, ascending.
    `added` are the vector legs beside the store's own.
    """

    text: str
    keyword: Ranking | None
    vector: Ranking | None
    terms: tuple[Term, ...]
    query: NDArray[np.float32] | None
    restriction: Restriction = field(default_factory=Restriction)
    missing: NDArray[np.int64] = field(default_factory=lambda: EMPTY.chunks)
    added: tuple[AddedLeg, ...] = ()


@dataclass(frozen=True, slots=True)
class Fused:
    """The fused ranking, with the weights, the evidence and the power behind it; see Trace.

    `shares` are those of several vector legs in the vector part, the store's own first, if it was searched.
    """

    ranking: Ranking
    weights: Weights
    evidence: Evidence | None = None
    power: float | None = None
    shares: tuple[float, ...] = ()


def fuse(backend: Backend, request: Request, state: SearchState, legs: LegResults) -> Fused:
    """Fuse the rankings of both legs, or return the only one."""
    keyword, vector, added = legs.keyword, legs.vector, [leg.ranking for leg in legs.added]
    if request.mode == "vector" and (len(added) > 1 or (added and vector is not None)):
        return _several_vectors(backend, request, state, legs)
    if request.mode != "hybrid":
        vector = vector or (added[0] if added else None)
        return Fused(keyword or vector or EMPTY, (float(keyword is not None), float(vector is not None)))
    found = any(len(leg) for leg in (vector or EMPTY, *added))
    if keyword is None or not found or _barely_begun(request, state, legs):
        return _keyword_only(request, keyword or EMPTY, legs.terms)
    words = KeywordEvidence(legs.terms, state.chunks)
    collector = EvidenceCollector(backend, words, legs.query, state.calibration, legs.missing, legs.added)
    vectors = [vector, *added] if vector is not None else added
    if request.fusion == "adaptive":
        return _adaptive(collector, request, state, legs, collector.of_legs(keyword, vector or EMPTY))
    evidence = None
    if request.min_relevance is not None or len(legs.missing):
        evidence = collector.of_legs(keyword, vector or EMPTY)
    if vector is not None:
        vectors[0] = with_estimates(vector, None if added else evidence)
    if request.fusion == "convex":
        weights = (0.5, 0.5)
        return Fused(convex(keyword, vectors[0], weights, vectors[1:]), weights, evidence)
    weights = (1.0, 1.0)
    if request.fusion == "idf-rrf":
        used = [term for term in legs.terms if term.used]
        weights = by_idf(used, state.chunks, len(legs.text.split()))
    return Fused(rrf(keyword, vectors[0], weights, added=vectors[1:]), weights, evidence)


def _barely_begun(request: Request, state: SearchState, legs: LegResults) -> bool:
    """Return whether most vectors are missing, and those there are too few to estimate the others by.

    Words alone are better then, by up to .035 nDCG@10; the request must need no evidence (docs/experiments.md).
    """
    there = state.chunks - len(legs.missing)
    needed = request.fusion != "adaptive" or request.around is not None or request.min_relevance is not None
    found = legs.keyword is not None and len(legs.keyword) > 0
    return there < min(FEWEST, len(legs.missing)) and found and not needed and not legs.added


def _adaptive(
    collector: EvidenceCollector, request: Request, state: SearchState, legs: LegResults, evidence: Evidence
) -> Fused:
    power = collector.power
    weights = by_power(power, state.filled(len(legs.missing)))
    ranking = adaptive(evidence, weights)
    if request.around is not None and (legs.query is not None or legs.added):
        evidence = with_neighbours(collector, evidence, ranking.chunks, request.around, legs.restriction)
        ranking = adaptive(evidence, weights)
    return Fused(ranking, weights, evidence, power, collector.shares if legs.added else ())


def _several_vectors(backend: Backend, request: Request, state: SearchState, legs: LegResults) -> Fused:
    """Fuse several vector legs without the words."""
    weights, vectors = (0.0, 1.0), [*filter(None, [legs.vector]), *(leg.ranking for leg in legs.added)]
    if request.fusion != "adaptive":
        fused = convex if request.fusion == "convex" else rrf
        return Fused(fused(EMPTY, vectors[0], weights, added=vectors[1:]), weights)
    collector = EvidenceCollector(
        backend, KeywordEvidence((), state.chunks), legs.query, state.calibration, legs.missing, legs.added
    )
    evidence = collector.of_legs(EMPTY, legs.vector or EMPTY)
    return Fused(adaptive(evidence, weights), weights, evidence, collector.power, collector.shares)


def _keyword_only(request: Request, keyword: Ranking, terms: tuple[Term, ...]) -> Fused:
    """Return the keyword leg's ranking; for "adaptive" with scores as shares of √(the best · the highest possible)."""
    if request.fusion == "adaptive" and len(keyword):
        highest = sum(term.idf * term.count for term in terms) * (K1 + 1)  # the limit for infinitely frequent terms
        keyword = scaled(keyword, (float(keyword.scores[0]) * highest) ** 0.5)
    return Fused(keyword, (1.0, 0.0))


def relevant(fused: Fused, min_relevance: float | None, notes: list[str]) -> Ranking:
    """Return the part of the fused ranking that is relevant enough to be shown, with a note if that is nothing."""
    if min_relevance is None or not len(fused.ranking):
        return fused.ranking
    evidence = fused.evidence
    if evidence is None:
        raise InputError(
            "min_relevance needs the evidence of both legs, and only keywords could be searched here: open the store "
            "with its embedder, or make the vectors that are missing with `hybridstore embed` "
            "(`hybridstore reembed` where there are none)"
        )
    if evidence.relevance is None:
        raise InputError(
            "min_relevance needs a calibration, which is measured when text is added with an embedder, and this store "
            "has none; run `hybridstore reembed` to measure it"
        )
    passed = evidence.relevance[evidence.chunks.searchsorted(fused.ranking.chunks)] >= min_relevance
    if not passed.any():
        best = float(evidence.relevance.max())
        notes.append(
            f"Nothing here seems to answer this: the most relevant passage has {best:.2f} of {min_relevance:.2f}."
        )
    return Ranking(fused.ranking.chunks[passed], fused.ranking.scores[passed])
