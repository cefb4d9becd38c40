"""The range of weights at which a document would be shown, held against trying all weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.records import FULL_Z_SCORE, Evidence, Ranking, Trace
from hybridstore.search.rank_fusion import adaptive
from hybridstore.search.remedies import weights


def traced(keyword, vector, *, weight=0.5, limit=1, relevance=None):
    count = len(keyword)
    evidence = Evidence(
        chunks=np.arange(1, count + 1),
        keyword=np.array(keyword, np.float64),
        coverage=np.zeros(count),
        vector=np.array(vector, np.float64) * FULL_Z_SCORE,
        relevance=None if relevance is None else np.array(relevance),
    )
    empty = Ranking(np.empty(0, np.int64), np.empty(0))
    return Trace(
        query="",
        mode="hybrid",
        fusion="adaptive",
        limit=limit,
        depth=200,
        terms=(),
        phrases=(),
        excluded=(),
        keyword=empty,
        vector=empty,
        weights=(weight, 1 - weight),
        fused=adaptive(evidence, (weight, 1 - weight)),
        hits=(),
        timings={},
        evidence=evidence,
    )


def test_the_words_must_weigh_enough_for_what_only_they_speak_for():
    # Even at w · 1 + (1 - w) · 0 = w · 0 + (1 - w) · 0.5, which is w = 1/3.
    assert weights(traced([1.0, 0.0], [0.0, 0.5], weight=0.2), {1}, None) == (0.34, 1.0)
    assert weights(traced([1.0, 0.0], [0.0, 0.5], weight=0.6), {2}, None) == (0.0, 0.33)


def test_what_is_beaten_in_both_legs_is_shown_at_no_weight():
    assert weights(traced([1.0, 0.5], [0.8, 0.5]), {2}, None) is None
    assert weights(traced([1.0, 0.5], [0.8, 0.5], limit=2), {2}, None) == (0.0, 1.0)


def test_what_is_second_in_both_legs_may_be_first_between():
    low, high = weights(traced([1.0, 0.0, 0.6], [0.0, 1.0, 0.6], weight=0.9), {3}, None)
    assert (low, high) == (0.4, 0.6)


def test_irrelevant_candidates_do_not_count_against_the_limit():
    assert weights(traced([1.0, 0.5], [0.8, 0.5], relevance=[0.1, 0.7]), {2}, 0.5) == (0.0, 1.0)
    assert weights(traced([1.0, 0.5], [0.8, 0.5], relevance=[0.9, 0.2]), {2}, 0.5) is None


def test_a_narrow_range_has_as_many_digits_as_it_needs():
    low, high = weights(traced([1.0, 0.0, 0.5005], [0.0, 1.0, 0.5001], weight=0.9), {3}, None)
    assert 0.4995 <= low < high <= 0.5005


def test_without_evidence_there_is_nothing_to_weigh():
    trace = traced([1.0], [1.0])
    assert weights(Trace(**{f: getattr(trace, f) for f in Trace.__slots__} | {"evidence": None}), {1}, None) is None


@given(st.integers(0, 10**9), st.integers(2, 30), st.integers(1, 4), st.integers(1, 3))
def test_within_the_range_it_is_shown_and_between_it_and_now_it_is_not(seed, count, limit, wanted):
    rng = np.random.default_rng(seed)
    keyword, vector, weight = rng.random(count), rng.random(count), rng.random()
    trace, chunks = traced(keyword, vector, weight=weight, limit=limit), set(range(1, wanted + 1))

    def shown(at):
        return bool(chunks.intersection(adaptive(trace.evidence, (at, 1 - at)).chunks[:limit].tolist()))

    found = weights(trace, chunks, None)
    tried = np.linspace(0, 1, 101)
    if found is None:
        assert not any(map(shown, tried))
        return
    low, high = found
    if high - low > 1e-4:
        assert all(map(shown, np.linspace(low + 1e-9, high - 1e-9, 30)))
    between = tried[((tried > weight) & (tried < low - 0.01)) | ((tried < weight) & (tried > high + 0.01))]
    # A range is nearest by its end, so nothing lies between; ranges of another chunk may lie beyond on the other side.
    assert not any(map(shown, between))
    assert not shown(weight) or low - 0.01 <= weight <= high + 0.01


@pytest.mark.parametrize("limit", [1, 2])
def test_of_several_passages_any_will_do(limit):
    assert weights(traced([0.9, 1.0, 0.0], [0.9, 0.0, 1.0], weight=0.5, limit=limit), {2, 3}, None) is not None
