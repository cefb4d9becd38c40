"""Rank fusion: each formula, spelled out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.records import FULL_Z_SCORE, Evidence, Ranking, Term
from hybridstore.search.rank_fusion import RRF_K, adaptive, by_idf, by_power, convex, rrf, scaled


def ranking(*chunks: int) -> Ranking:
    return Ranking(np.array(chunks, np.int64), np.linspace(1, 0, len(chunks)))


def scored(scores: dict[int, float]) -> Ranking:
    """Return a ranking of chunks with these scores, in a leg's order: descending, ties by id."""
    best = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
    return Ranking(np.array([chunk for chunk, _ in best], np.int64), np.array([points for _, points in best], float))


def evidence(parts: dict[int, tuple[float, float]]) -> Evidence:
    """Return the evidence of {chunk: (keyword, vector)}."""
    both = np.array([parts[chunk] for chunk in sorted(parts)], float).reshape(-1, 2)
    chunks = np.array(sorted(parts), np.int64)
    return Evidence(chunks=chunks, keyword=both[:, 0], coverage=both[:, 0], vector=both[:, 1])


def as_dict(result: Ranking) -> dict[int, float]:
    return dict(zip(result.chunks.tolist(), result.scores.tolist(), strict=True))


def fused(*arguments, **options) -> dict[int, float]:
    return as_dict(rrf(*arguments, **options))


# adaptive


def test_an_adaptive_score_is_the_weighted_sum_of_the_evidence():
    scores_by_chunk = as_dict(adaptive(evidence({3: (0.5, 6.0), 5: (1.0, 0.0), 8: (0.0, 9.0)}), (0.4, 0.6)))
    assert scores_by_chunk == pytest.approx({3: 0.4 * 0.5 + 0.6 * 6 / 12, 8: 0.6 * 9 / 12, 5: 0.4})
    assert list(scores_by_chunk) == [3, 8, 5]
    assert FULL_Z_SCORE == 12.0


def test_an_adaptive_score_is_clipped_to_0_and_1_in_the_order_of_the_unclipped_scores():
    scores_by_chunk = as_dict(
        adaptive(evidence({1: (1.0, 20.0), 2: (1.0, 30.0), 3: (0.0, -9.0), 4: (0.0, -1.0)}), (0.4, 0.6))
    )
    assert list(scores_by_chunk.items()) == [(2, 1.0), (1, 1.0), (4, 0.0), (3, 0.0)]


def test_equal_adaptive_scores_go_to_the_smaller_id():
    assert list(as_dict(adaptive(evidence({9: (0.5, 3.0), 2: (0.5, 3.0), 4: (0.5, 3.0)}), (0.5, 0.5)))) == [2, 4, 9]


def test_no_evidence_is_no_ranking():
    assert len(adaptive(evidence({}), (0.5, 0.5))) == 0


@given(
    st.dictionaries(st.integers(1, 40), st.tuples(st.floats(0, 1), st.floats(-15, 15)), max_size=15),
    st.floats(0, 10).map(by_power),
)
def test_an_adaptive_ranking_is_the_formula(parts, weights):
    result = adaptive(evidence(parts), weights)
    sums = {chunk: weights[0] * words + weights[1] * meaning / 12 for chunk, (words, meaning) in parts.items()}
    assert as_dict(result) == pytest.approx({chunk: min(max(points, 0.0), 1.0) for chunk, points in sums.items()})
    assert result.chunks.tolist() == sorted(sums, key=lambda chunk: (-sums[chunk], chunk))
    assert (np.diff(result.scores) <= 0).all()


@given(
    st.dictionaries(st.integers(1, 40), st.tuples(st.floats(0, 1), st.floats(0, 11)), min_size=1, max_size=15),
    st.integers(1, 40),
)
def test_an_adaptive_score_does_not_depend_on_the_other_candidates(parts, left):
    weights = (0.4, 0.6)
    some = {chunk: pair for chunk, pair in parts.items() if chunk != left}
    whole = as_dict(adaptive(evidence(parts), weights))
    assert all(whole[chunk] == points for chunk, points in as_dict(adaptive(evidence(some), weights)).items())


# scaled


def test_scaled_scores_are_shares_of_the_highest_possible():
    result = scaled(scored({7: 4.0, 3: 2.0, 9: 1.0}), 8.0)
    assert list(as_dict(result).items()) == [(7, 0.5), (3, 0.25), (9, 0.125)]
    assert as_dict(scaled(scored({7: 4.0, 3: 2.0}), 3.0)) == pytest.approx({7: 1.0, 3: 2 / 3})
    assert len(scaled(ranking(), 0.0)) == 0
    assert as_dict(scaled(scored({7: 0.5}), 0.0)) == {7: 0.5}  # no highest score to divide by


# convex


def test_a_convex_score_is_the_weighted_sum_of_both_legs_scaled_scores():
    scores_by_chunk = as_dict(convex(scored({1: 8.0, 2: 4.0}), scored({2: 0.9, 3: 0.6, 4: 0.5}), (0.25, 0.75)))
    expected = {1: 0.25, 2: 0.25 * 4 / 8 + 0.75, 3: 0.75 * (0.6 - 0.5) / (0.9 - 0.5), 4: 0.0}
    assert scores_by_chunk == pytest.approx(expected)
    assert list(scores_by_chunk) == [2, 1, 3, 4]


def test_convex_weighs_both_legs_equally_by_default():
    keyword, vector = scored({1: 2.0, 2: 1.0}), scored({2: 0.5, 1: 0.1})
    assert as_dict(convex(keyword, vector)) == as_dict(convex(keyword, vector, (0.5, 0.5)))


def test_convex_scores_equal_cosines_as_1():
    assert as_dict(convex(ranking(), scored({5: 0.3}))) == {5: 0.5}
    assert list(as_dict(convex(ranking(), scored({9: 0.3, 5: 0.3}))).items()) == [(5, 0.5), (9, 0.5)]


def test_convex_with_an_empty_leg_is_the_other_leg():
    assert as_dict(convex(scored({5: 3.0, 4: 1.5}), ranking())) == {5: 0.5, 4: 0.25}
    assert len(convex(ranking(), ranking())) == 0


legs = st.dictionaries(st.integers(1, 30), st.floats(0.01, 50), max_size=15)


@given(legs, legs)
def test_a_convex_ranking_is_the_formula(keyword, vector):
    cosines = {chunk: points / 50 for chunk, points in vector.items()}
    low, high = min(cosines.values(), default=0), max(cosines.values(), default=0)
    expected: dict[int, float] = {}
    for chunk in keyword | vector:
        words = keyword.get(chunk, 0) / max(keyword.values(), default=1)
        scale = (cosines[chunk] - low) / (high - low) if chunk in cosines and high > low else float(chunk in cosines)
        expected[chunk] = 0.5 * words + 0.5 * scale
    result = convex(scored(keyword), scored(cosines))
    assert as_dict(result) == pytest.approx(expected)
    assert ((result.scores >= 0) & (result.scores <= 1 + 1e-12)).all()
    assert np.array_equal(result.chunks, result.chunks[np.lexsort((result.chunks, -result.scores))])


# rrf


def test_an_rrf_score_is_the_sum_of_reciprocal_ranks():
    scores = fused(ranking(7, 3, 9), ranking(3, 8))
    assert scores == pytest.approx({3: 1 / 62 + 1 / 61, 7: 1 / 61, 8: 1 / 62, 9: 1 / 63})
    assert list(scores) == [3, 7, 8, 9]
    assert RRF_K == 60


def test_rrf_applies_weights_and_k():
    scores = fused(ranking(7, 3), ranking(3), weights=(0.5, 2.0), k=1)
    assert scores == pytest.approx({3: 0.5 / 3 + 2.0 / 2, 7: 0.5 / 2})


def test_an_rrf_tie_goes_to_the_smaller_id():
    assert list(fused(ranking(9), ranking(2))) == [2, 9]


def test_rrf_accepts_empty_rankings():
    assert len(rrf(ranking(), ranking())) == 0
    assert list(fused(ranking(), ranking(5, 4))) == [5, 4]


rankings = st.lists(st.integers(1, 30), unique=True, max_size=15).map(lambda chunks: ranking(*chunks))


@given(rankings, rankings)
def test_an_rrf_ranking_is_the_formula(keyword, vector):
    expected: dict[int, float] = {}
    for leg in (keyword, vector):
        for chunk, rank in leg.ranks().items():
            expected[chunk] = expected.get(chunk, 0.0) + 1 / (60 + rank)
    result = rrf(keyword, vector)
    assert dict(zip(result.chunks.tolist(), result.scores.tolist(), strict=True)) == pytest.approx(expected)
    order = list(zip((-result.scores).tolist(), result.chunks.tolist(), strict=True))
    assert [chunk for _, chunk in order] == [c for _, c in sorted((round(s, 12), c) for s, c in order)]


# by_power and by_idf

powers = st.floats(-100, 100)


def term(frequency: int) -> Term:
    return Term("word", frequency, idf=99.0)  # FTS5's idf is not what this weighting goes by


def test_a_power_of_four_weighs_the_vector_leg_as_it_was_tuned():
    assert by_power(4.0) == pytest.approx((0.429 / 1.197, 0.768 / 1.197))
    assert by_power(None) == by_power(4.0)


def test_the_vectors_weigh_half_as_much_when_none_is_made_and_more_with_each():
    made = [by_power(4.0, share)[1] / by_power(4.0, share)[0] for share in (0.0, 0.01, 0.25, 0.81, 1.0)]
    assert made == pytest.approx([0.768 / 0.429 * factor for factor in (0.5, 0.55, 0.75, 0.95, 1.0)])


def test_the_vector_legs_weight_grows_with_the_square_of_the_power():
    assert by_power(2.0) == pytest.approx((0.429 / (0.429 + 0.768 / 4), 0.192 / (0.429 + 0.192)))
    assert by_power(5.0)[1] / by_power(5.0)[0] == pytest.approx(0.768 / 0.429 * 1.25**2)


def test_no_leg_is_silenced_and_none_is_trusted_blindly():
    assert by_power(-5.0) == by_power(0.0) == by_power(0.2)
    assert by_power(0.2)[1] == pytest.approx(0.768 * 0.0025 / (0.429 + 0.768 * 0.0025))
    assert by_power(6.4) == by_power(50.0)
    assert by_power(6.4)[0] == pytest.approx(0.429 / (0.429 + 0.768 * 2.56))
    assert 0 < by_power(0.0)[1] < 0.01
    assert 0.1 < by_power(50.0)[0] < 0.2


@given(powers, powers)
def test_more_power_never_gives_the_vectors_less_weight(a, b):
    low, high = sorted((a, b))
    assert by_power(low)[1] <= by_power(high)[1]
    for keyword, vector in (by_power(low), by_power(high)):
        assert keyword + vector == pytest.approx(1.0)
        assert keyword > 0
        assert vector > 0


def test_the_published_weighting_by_hand():
    """N = 100: ln(100/10) = ln(100)/2, so a word in ten chunks lies in the middle of the sigmoid."""
    assert by_idf([term(10)], 100, 1) == pytest.approx((0.1 + 0.5 / 2, 0.65))
    rare = 0.1 + 0.5 / (1 + math.exp(-2 * (math.log(100) - math.log(100) / 2)))
    assert by_idf([term(1)], 100, 1) == pytest.approx((rare, 1 - rare))
    mean = (math.log(100 / 1) + math.log(100 / 50)) / 2
    both = 0.1 + 0.5 / (1 + math.exp(-2 * (mean - math.log(100) / 2)))
    assert by_idf([term(1), term(50)], 100, 2) == pytest.approx((both, 1 - both))


def test_in_the_published_weighting_an_unknown_word_is_the_rarest():
    assert by_idf([term(0)], 100, 1) == by_idf([term(1)], 100, 1)
    assert by_idf([term(10), term(0)], 100, 2)[0] > by_idf([term(10)], 100, 1)[0]


def test_in_the_published_weighting_long_queries_favour_the_vectors():
    assert by_idf([term(1)], 100, 51) == pytest.approx((0.1, 0.9))
    assert by_idf([term(1)], 100, 50)[0] > 0.5
    assert by_idf([], 100, 51) == pytest.approx((0.1, 0.9))


@pytest.mark.parametrize(("terms", "chunks"), [([], 100), ([term(1)], 1), ([term(0)], 0), ([], 0)])
def test_the_published_weights_have_a_default_without_terms_or_chunks(terms, chunks):
    assert by_idf(terms, chunks, 3) == pytest.approx((0.4, 0.6))


@given(st.integers(2, 10_000), st.lists(st.integers(0, 10_000), min_size=1, max_size=8), st.integers(0, 80))
def test_the_published_weights_stay_between_a_tenth_and_six_tenths(chunks, frequencies, words):
    keyword, vector = by_idf([term(min(frequency, chunks)) for frequency in frequencies], chunks, words)
    assert 0.1 <= keyword <= 0.6
    assert keyword + vector == pytest.approx(1.0)
