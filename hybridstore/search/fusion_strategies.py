"""The ways to make one ranking of what the legs found: which evidence each asks for, and how it weighs the legs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.backends.keyword_scoring import K1
from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Restriction, SearchState
from hybridstore.errors import InputError
from hybridstore.records import Evidence, Ranking, Term
from hybridstore.search import leg_weights, neighbours, rank_fusion
from hybridstore.search.evidence import KeywordEvidence, gather
from hybridstore.search.leg_weights import Weights
from hybridstore.search.request import Request

if TYPE_CHECKING:
    from numpy.typing import NDArray

EMPTY = Ranking(np.empty(0, np.int64), np.empty(0, np.float64))


@dataclass(frozen=True, slots=True)
class LegResults:
    """What both legs found for a query's `text` within a restriction; None for a leg that was not asked.

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
    """One ranking, and what it went by; see Trace."""

    ranking: Ranking
    weights: Weights
    evidence: Evidence | None = None
    power: float | None = None


def fuse(backend: Backend, request: Request, state: SearchState, found: LegResults) -> Fused:
    """Make one ranking of two, or give the only one."""
    keyword, vector = found.keyword, found.vector
    if request.mode != "hybrid":
        return Fused(keyword or vector or EMPTY, (float(keyword is not None), float(vector is not None)))
    if keyword is None or vector is None or not len(vector):
        return _words_alone(request, keyword or EMPTY, found.terms)
    evidence, background = None, state.calibration
    if request.fusion == "adaptive" or request.min_relevance is not None:
        words = KeywordEvidence(found.terms, state.chunks)
        evidence = gather(backend, keyword, vector, words, found.query, background)
    if request.fusion == "adaptive" and evidence is not None:
        power = None if background is None else background.power
        weights = leg_weights.by_power(power)
        if request.around is not None and found.query is not None:
            best = rank_fusion.adaptive(evidence, weights).chunks
            evidence = neighbours.read(
                backend, evidence, best, words, found.query, background, request.around, found.restriction
            )
        return Fused(rank_fusion.adaptive(evidence, weights), weights, evidence, power)
    if request.fusion == "convex":
        weights = (0.5, 0.5)
        return Fused(rank_fusion.convex(keyword, vector, weights), weights, evidence)
    weights = (1.0, 1.0)
    if request.fusion == "idf-rrf":
        used = [term for term in found.terms if term.used]
        weights = leg_weights.by_idf(used, state.chunks, len(found.text.split()))
    return Fused(rank_fusion.rrf(keyword, vector, weights), weights, evidence)


def _words_alone(request: Request, keyword: Ranking, terms: tuple[Term, ...]) -> Fused:
    """Give the keyword leg's order; for "adaptive" its scores as shares of √(the best · the most there could be)."""
    if request.fusion == "adaptive" and len(keyword):
        most = sum(term.idf * term.count for term in terms) * (K1 + 1)  # were each term without end
        keyword = rank_fusion.alone(keyword, (float(keyword.scores[0]) * most) ** 0.5)
    return Fused(keyword, (1.0, 0.0))


def relevant(fused: Fused, least: float | None, notes: list[str]) -> Ranking:
    """Give what of the fused ranking is relevant enough to be shown, and say where that is nothing."""
    if least is None or not len(fused.ranking):
        return fused.ranking
    evidence = fused.evidence
    if evidence is None:
        raise InputError(
            "min_relevance goes by what both legs say, and only keywords could be searched here: open the store with "
            "its embedder, or make the vectors that are missing with `hybridstore reembed`"
        )
    if evidence.relevance is None:
        raise InputError(
            "min_relevance needs what a store measures about its vectors when text is added with an embedder, and this "
            "one has measured nothing; `hybridstore reembed` makes up for it"
        )
    passed = evidence.relevance[evidence.chunks.searchsorted(fused.ranking.chunks)] >= least
    if not passed.any():
        best = float(evidence.relevance.max())
        notes.append(f"Nothing here seems to answer this: the most relevant passage has {best:.2f} of {least:.2f}.")
    return Ranking(fused.ranking.chunks[passed], fused.ranking.scores[passed])
