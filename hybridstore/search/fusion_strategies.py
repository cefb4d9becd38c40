"""Fusion strategies: the evidence and the weights by which a request's fusion makes one ranking of the two legs'."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.backends.keyword_scoring import K1
from hybridstore.backends.protocols import Backend, SearchState
from hybridstore.backends.values import Restriction
from hybridstore.errors import InputError
from hybridstore.records import Evidence, Ranking, Term
from hybridstore.search import rank_fusion
from hybridstore.search.evidence import EvidenceCollector, KeywordEvidence
from hybridstore.search.neighbours import with_neighbours
from hybridstore.search.rank_fusion import Weights
from hybridstore.search.request import Request

if TYPE_CHECKING:
    from numpy.typing import NDArray

EMPTY = Ranking(np.empty(0, np.int64), np.empty(0, np.float64))


@dataclass(frozen=True, slots=True)
class LegResults:
    """The results of both legs for a query's `text` within a restriction; None for a leg that did not run.

    `query` is the text's vector (dim,).
    """

    text: str
    keyword: Ranking | None
    vector: Ranking | None
    terms: tuple[Term, ...]
    query: NDArray[np.float32] | None
    restriction: Restriction = field(default_factory=Restriction)


@dataclass(frozen=True, slots=True)
class Fused:
    """The fused ranking, with the weights, the evidence and the power behind it; see Trace."""

    ranking: Ranking
    weights: Weights
    evidence: Evidence | None = None
    power: float | None = None


def fuse(backend: Backend, request: Request, state: SearchState, legs: LegResults) -> Fused:
    """Fuse the rankings of both legs, or return the only one."""
    keyword, vector = legs.keyword, legs.vector
    if request.mode != "hybrid":
        return Fused(keyword or vector or EMPTY, (float(keyword is not None), float(vector is not None)))
    if keyword is None or vector is None or not len(vector):
        return _keyword_only(request, keyword or EMPTY, legs.terms)
    words = KeywordEvidence(legs.terms, state.chunks)
    collector = EvidenceCollector(backend, words, legs.query, state.calibration)
    if request.fusion == "adaptive":
        return _adaptive(collector, request, state, legs, collector.of_legs(keyword, vector))
    evidence = None if request.min_relevance is None else collector.of_legs(keyword, vector)
    if request.fusion == "convex":
        weights = (0.5, 0.5)
        return Fused(rank_fusion.convex(keyword, vector, weights), weights, evidence)
    weights = (1.0, 1.0)
    if request.fusion == "idf-rrf":
        used = [term for term in legs.terms if term.used]
        weights = rank_fusion.by_idf(used, state.chunks, len(legs.text.split()))
    return Fused(rank_fusion.rrf(keyword, vector, weights), weights, evidence)


def _adaptive(
    collector: EvidenceCollector, request: Request, state: SearchState, legs: LegResults, evidence: Evidence
) -> Fused:
    power = None if state.calibration is None else state.calibration.power
    weights = rank_fusion.by_power(power)
    ranking = rank_fusion.adaptive(evidence, weights)
    if request.around is not None and legs.query is not None:
        evidence = with_neighbours(collector, evidence, ranking.chunks, request.around, legs.restriction)
        ranking = rank_fusion.adaptive(evidence, weights)
    return Fused(ranking, weights, evidence, power)


def _keyword_only(request: Request, keyword: Ranking, terms: tuple[Term, ...]) -> Fused:
    """Return the keyword leg's ranking; for "adaptive" with scores as shares of √(the best · the highest possible)."""
    if request.fusion == "adaptive" and len(keyword):
        highest = sum(term.idf * term.count for term in terms) * (K1 + 1)  # the limit for infinitely frequent terms
        keyword = rank_fusion.scaled(keyword, (float(keyword.scores[0]) * highest) ** 0.5)
    return Fused(keyword, (1.0, 0.0))


def relevant(fused: Fused, min_relevance: float | None, notes: list[str]) -> Ranking:
    """Return the part of the fused ranking that is relevant enough to be shown, with a note if that is nothing."""
    if min_relevance is None or not len(fused.ranking):
        return fused.ranking
    evidence = fused.evidence
    if evidence is None:
        raise InputError(
            "min_relevance needs the evidence of both legs, and only keywords could be searched here: open the store "
            "with its embedder, or make the vectors that are missing with `hybridstore reembed`"
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
