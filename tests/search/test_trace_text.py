"""Sentences about a Trace."""

import numpy as np
import pytest

from hybridstore.records import Evidence, Term
from hybridstore.search.evidence import USUAL_POWER
from hybridstore.search.rank_fusion import by_power
from hybridstore.search.trace_text import describe_confidence, describe_parts, describe_terms, describe_weights


def evidence(relevance=None, **parts):
    made = {"keyword": [0.5], "coverage": [0.625], "vector": [6.0]} | parts
    arrays = {name: np.array(values) for name, values in made.items()}
    return Evidence(chunks=np.array([7]), relevance=None if relevance is None else np.array(relevance), **arrays)


@pytest.mark.parametrize(
    ("confidence", "said"),
    [
        (
            0.98,
            "Confident that the store has an answer: 0.98 (of what is at least as sure, 2% at most should have none).",
        ),
        (0.5, "The store probably has an answer: 0.50 (of what is at least as sure, 10% at most should have none)."),
        (0.03, "Probably nothing here answers this: 0.03."),
    ],
)
def test_confidence_is_put_into_words(confidence, said):
    assert describe_confidence(evidence([confidence]).confidence) == said


def test_an_unknown_confidence_is_left_out():
    assert describe_confidence(None) is None
    assert describe_confidence(evidence().confidence) is None


def test_the_usual_power_gives_the_weights_of_an_unmeasured_store():
    assert by_power(USUAL_POWER) == by_power(None)


def test_weights_come_with_the_measurement_they_are_based_on(made):
    weights, why = describe_weights(made(power=3.7, weights=(0.43, 0.57)))
    assert (
        weights
        == "Fused by adaptive: the keyword leg weighs 0.43, the vector leg 0.57; the legs share 1 of their top 10."
    )
    assert "by 3.7 standard deviations (power); 4 is usual and gives them 0.64." in why
    assert "is unknown" in describe_weights(made(power=None))[1]
    assert describe_weights(made(fusion="idf-rrf", weights=(0.3456, 0.6544))) == [
        "Fused by idf-rrf, weights 0.346 and 0.654; the legs share 1 of their top 10."
    ]
    assert describe_weights(made(vector=None)) == []


def test_legs_share_what_is_among_the_ten_best_of_both(made):
    ids, scores = list(range(1, 12)), list(range(11, 0, -1))
    for keyword, vector, shared in ((ids, [11, *range(21, 31)], 0), ([*range(21, 31), 1], ids, 0), (ids, ids, 10)):
        weights, *_ = describe_weights(made(keyword=(keyword, scores), vector=(vector, scores)))
        assert f"share {shared} of their top 10" in weights


def test_an_empty_vector_leg_leaves_the_words_to_decide(made):
    assert describe_weights(made(vector=([], []))) == ["The vector leg found nothing, so the words alone decide."]


def test_a_score_is_taken_apart(made):
    # 0.4 · 0.5 + 0.6 · 6 / 12
    assert describe_parts(made(evidence=evidence()), 7) == (
        "0.400 × 0.500 (words: 62 % of the query's, by weight) + "
        "0.600 × 0.500 (cosine 0.700, 6.0 standard deviations above the average chunk)"
    )
    below = describe_parts(made(evidence=evidence(vector=[-3.0], keyword=[0.0]), vector=([8], [0.2])), 7)
    assert below.endswith("-0.250 (3.0 standard deviations below the average chunk), limited to 0 to 1")
    assert describe_parts(made(evidence=evidence()), 8) is None
    assert describe_parts(made(evidence=evidence(), fusion="rrf"), 7) is None
    assert describe_parts(made(), 7) is None


def test_terms_are_grouped_by_how_they_were_used(made):
    terms = (Term("the", 90, 0.1, used=False), Term("pump", 3, 3.0), Term("valv", 2, 4.0), Term("zebra", 0, 6.0))
    assert describe_terms(made(terms=terms, ignored=("how", "is"))) == [
        "Terms, rarest first: valv (in 2, idf 4.00), pump (in 3, idf 3.00).",
        "Left out, because they are too common to add much: the (in 90, idf 0.10).",
        "In no passage: zebra.",
        "Ignored, because they only carry the grammar: how, is.",
    ]
    assert describe_terms(made(terms=terms, phrases=("the pump",)))[1].startswith("Not searched for on their own")
    assert describe_terms(made(keyword=None)) == []


@pytest.fixture
def made():
    """Make a Trace; rankings are pairs of ids and scores."""
    from hybridstore.records import Ranking, Trace

    def ranking(pair):
        return None if pair is None else Ranking(np.array(pair[0], np.int64), np.array(pair[1], np.float64))

    def make(*, keyword=([7], [2.0]), vector=([7], [0.7]), weights=(0.4, 0.6), fusion="adaptive", **more):
        return Trace(
            **{"query": "", "mode": "hybrid", "limit": 10, "depth": 200, "terms": (), "phrases": (), "excluded": ()}
            | {"hits": (), "timings": {}, "fused": ranking(([7], [0.5]))}
            | {"keyword": ranking(keyword), "vector": ranking(vector), "weights": weights, "fusion": fusion}
            | more
        )

    return make
