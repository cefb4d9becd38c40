"""Fusion strategies: the evidence each one needs, its weights, and the cut by relevance."""

import dataclasses

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Restriction
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.records import Evidence, KeywordQuery, Ranking
from hybridstore.search import rank_fusion
from hybridstore.search.rank_fusion import Fused, LegResults, relevant
from hybridstore.search.request import FUSIONS, Request
from hybridstore.search.selection import SelectionRequest

TEXTS = [f"{word} number {n} in the hall" for n, word in enumerate(["valve", "pump", "pressure", "inlet"] * 5)]


@pytest.fixture
def backend():
    with hs.open(":memory:", embedder=HashingEmbedder()) as store:
        store.add(TEXTS)
        yield store._backend


@pytest.fixture
def legs(backend):
    """The results of both legs for a query of two words."""
    vector = HashingEmbedder().embed_query("valve pump")
    keyword, terms = backend.match(KeywordQuery(("valv", "pump")), 8, Restriction())
    return LegResults("valve pump", keyword, backend.nearest(vector, 8, Restriction()), terms, vector)


def request(fusion: str = "adaptive", mode: str = "hybrid", least: float | None = None) -> Request:
    return Request(
        query="valve pump",
        limit=5,
        mode=mode,
        fusion=fusion,
        where=None,
        embed=lambda _: None,
        selection=SelectionRequest(),
        min_relevance=least,
    )


def fuse(backend: Backend, request: Request, legs: LegResults) -> Fused:
    return rank_fusion.fuse(backend, request, backend.state(), legs)


def same(a: Ranking, b: Ranking) -> bool:
    return np.array_equal(a.chunks, b.chunks) and np.array_equal(a.scores, b.scores)


def test_the_words_alone_decide_while_fewer_vectors_are_there_than_missing(backend, legs):
    half, most = (fuse(backend, request(), dataclasses.replace(legs, missing=np.arange(n))) for n in (10, 11))
    assert half.evidence is not None
    assert (most.evidence, same(most.ranking, legs.keyword)) == (None, False)
    assert most.ranking.chunks.tolist() == legs.keyword.chunks.tolist()


def test_adaptive_weighs_the_legs_by_the_power_of_the_calibration(backend, legs):
    power = backend.state().calibration.power
    fused = fuse(backend, request(), legs)
    assert (fused.power, fused.weights) == (power, rank_fusion.by_power(power))
    assert same(fused.ranking, rank_fusion.adaptive(fused.evidence, fused.weights))
    backend.calibrate(dataclasses.replace(backend.state().calibration, power=1.0))
    weaker = fuse(backend, request(), legs)
    assert weaker.weights == rank_fusion.by_power(1.0)
    assert weaker.weights[0] > fused.weights[0]


def test_adaptive_uses_the_usual_weights_without_a_calibration(backend, legs):
    backend.calibrate(dataclasses.replace(backend.state().calibration, fingerprint="another"))
    fused = fuse(backend, request(), legs)
    assert (fused.power, fused.weights) == (None, rank_fusion.by_power(None))
    assert fused.evidence.relevance is None


def test_adaptive_is_the_default_and_every_fusion_keeps_all_candidates(backend, legs):
    assert FUSIONS[0] == "adaptive"
    for name in FUSIONS:
        fused = fuse(backend, request(name), legs)
        both = {*legs.keyword.chunks.tolist(), *legs.vector.chunks.tolist()}
        assert set(fused.ranking.chunks.tolist()) == both
        assert (fused.evidence is not None) == (name == "adaptive")


def test_the_other_fusions_are_the_formulas_they_are_named_after(backend, legs):
    assert same(fuse(backend, request("rrf"), legs).ranking, rank_fusion.rrf(legs.keyword, legs.vector))
    assert fuse(backend, request("rrf"), legs).weights == (1.0, 1.0)
    assert same(fuse(backend, request("convex"), legs).ranking, rank_fusion.convex(legs.keyword, legs.vector))
    assert fuse(backend, request("convex"), legs).weights == (0.5, 0.5)
    weights = rank_fusion.by_idf(legs.terms, 20, 2)
    by_idf = fuse(backend, request("idf-rrf"), legs)
    assert by_idf.weights == weights
    assert same(by_idf.ranking, rank_fusion.rrf(legs.keyword, legs.vector, weights))


def test_the_published_weighting_depends_on_the_terms_used_and_on_the_querys_length(backend, legs):
    first, second = legs.terms
    unused = dataclasses.replace(legs, terms=(first, dataclasses.replace(second, used=False, document_frequency=19)))
    assert fuse(backend, request("idf-rrf"), unused).weights == rank_fusion.by_idf([first], 20, 2)
    long = dataclasses.replace(legs, text="valve " * 51)
    assert fuse(backend, request("idf-rrf"), long).weights == pytest.approx((0.1, 0.9))


@pytest.mark.parametrize("name", FUSIONS)
def test_one_leg_alone_keeps_its_ranking_and_its_scores(backend, legs, name):
    words = fuse(backend, request(name, "keyword"), dataclasses.replace(legs, vector=None))
    assert words == Fused(legs.keyword, (1.0, 0.0))
    meaning = fuse(backend, request(name, "vector"), dataclasses.replace(legs, keyword=None))
    assert meaning == Fused(legs.vector, (0.0, 1.0))
    nothing = fuse(backend, request(name, "vector"), LegResults("", None, None, (), None))
    assert (len(nothing.ranking), nothing.weights) == (0, (0.0, 0.0))


def test_without_vectors_the_words_order_stays_and_the_scores_are_shares(backend, legs):
    """Score = BM25 / √(the best · Σ IDF · count · 2.2)."""
    most = sum(term.idf * term.count for term in legs.terms) * 2.2
    for vector in (None, Ranking(np.empty(0, np.int64), np.empty(0))):
        fused = fuse(backend, request(), dataclasses.replace(legs, vector=vector))
        assert fused.weights == (1.0, 0.0)
        assert fused.evidence is None
        assert np.array_equal(fused.ranking.chunks, legs.keyword.chunks)
        best = legs.keyword.scores[0]
        assert fused.ranking.scores == pytest.approx(legs.keyword.scores / (best * most) ** 0.5)
        assert 0 < fused.ranking.scores.max() <= 1
        assert same(fuse(backend, request("rrf"), dataclasses.replace(legs, vector=vector)).ranking, legs.keyword)


def test_without_candidates_the_fused_ranking_is_empty(backend):
    for name in FUSIONS:
        assert len(fuse(backend, request(name), LegResults("", None, None, (), None)).ranking) == 0


def test_evidence_is_there_for_any_fusion_that_is_cut_by_relevance(backend, legs):
    for name in FUSIONS:
        fused = fuse(backend, request(name, least=0.5), legs)
        assert fused.evidence.relevance is not None
        assert len(relevant(fused, 1e-9, [])) == len(fused.ranking)


# relevant


def judged(relevance: list[float] | None) -> Fused:
    """Return a ranking of chunks 3, 2, 1 with the relevance of 1, 2, 3."""
    ones = np.ones(3)
    evidence = Evidence(
        chunks=np.array([1, 2, 3], np.int64),
        keyword=ones,
        coverage=ones,
        vector=ones,
        relevance=None if relevance is None else np.array(relevance),
    )
    return Fused(Ranking(np.array([3, 2, 1], np.int64), np.array([0.9, 0.5, 0.2])), (0.5, 0.5), evidence)


def test_less_relevant_chunks_are_left_out_and_the_order_stays():
    notes: list[str] = []
    shown = relevant(judged([0.8, 0.2, 0.5]), 0.5, notes)
    assert (shown.chunks.tolist(), shown.scores.tolist(), notes) == ([3, 1], [0.9, 0.2], [])


def test_if_nothing_is_relevant_a_note_tells_the_highest_relevance():
    notes: list[str] = []
    assert len(relevant(judged([0.1, 0.314, 0.2]), 0.6, notes)) == 0
    assert notes == ["Nothing here seems to answer this: the most relevant passage has 0.31 of 0.60."]


def test_without_min_relevance_all_chunks_stay():
    assert len(relevant(judged([0.1, 0.2, 0.3]), None, [])) == 3
    assert len(relevant(judged(None), None, [])) == 3
    assert len(relevant(judged([0.0, 0.0, 0.0]), 0.0, [])) == 3


def test_unknown_relevance_is_an_error_with_a_remedy():
    with pytest.raises(InputError, match="has none; run `hybridstore reembed`"):
        relevant(judged(None), 0.5, [])
    words = Fused(Ranking(np.array([1], np.int64), np.ones(1)), (1.0, 0.0))
    with pytest.raises(InputError, match="only keywords could be searched here: open the store with its embedder"):
        relevant(words, 0.5, [])
    assert len(relevant(Fused(rank_fusion.EMPTY, (1.0, 0.0)), 0.5, [])) == 0
