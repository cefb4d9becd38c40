"""How much each leg counts, worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.records import Term
from hybridstore.search.leg_weights import by_idf, by_power

powers = st.floats(-100, 100)


def term(frequency: int) -> Term:
    return Term("word", frequency, idf=99.0)  # FTS5's idf is not what this weighting goes by


def test_a_power_of_four_weighs_the_vector_leg_as_it_was_tuned():
    assert by_power(4.0) == pytest.approx((0.429 / 1.197, 0.768 / 1.197))
    assert by_power(None) == by_power(4.0)


def test_the_vector_legs_weight_goes_with_the_square_of_the_power():
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
def test_more_power_never_gives_the_vectors_less(one, other):
    low, high = sorted((one, other))
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


def test_in_the_published_weighting_long_queries_are_the_vectors():
    assert by_idf([term(1)], 100, 51) == pytest.approx((0.1, 0.9))
    assert by_idf([term(1)], 100, 50)[0] > 0.5
    assert by_idf([], 100, 51) == pytest.approx((0.1, 0.9))


@pytest.mark.parametrize(("terms", "chunks"), [([], 100), ([term(1)], 1), ([term(0)], 0), ([], 0)])
def test_in_the_published_weighting_there_is_a_middle_where_nothing_is_known(terms, chunks):
    assert by_idf(terms, chunks, 3) == pytest.approx((0.4, 0.6))


@given(st.integers(2, 10_000), st.lists(st.integers(0, 10_000), min_size=1, max_size=8), st.integers(0, 80))
def test_the_published_weights_stay_between_a_tenth_and_six_tenths(chunks, frequencies, words):
    keyword, vector = by_idf([term(min(each, chunks)) for each in frequencies], chunks, words)
    assert 0.1 <= keyword <= 0.6
    assert keyword + vector == pytest.approx(1.0)
