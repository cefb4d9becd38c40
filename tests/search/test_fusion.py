"""Reciprocal rank fusion, spelled out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.records import Ranking
from hybridstore.search.fusion import RRF_K, rrf


def ranking(*chunks: int) -> Ranking:
    return Ranking(np.array(chunks, np.int64), np.linspace(1, 0, len(chunks)))


def fused(*arguments, **options) -> dict[int, float]:
    result = rrf(*arguments, **options)
    return dict(zip(result.chunks.tolist(), result.scores.tolist(), strict=True))


def test_a_score_is_the_sum_of_reciprocal_ranks():
    scores = fused(ranking(7, 3, 9), ranking(3, 8))
    assert scores == pytest.approx({3: 1 / 62 + 1 / 61, 7: 1 / 61, 8: 1 / 62, 9: 1 / 63})
    assert list(scores) == [3, 7, 8, 9]
    assert RRF_K == 60


def test_weights_and_k_count():
    scores = fused(ranking(7, 3), ranking(3), weights=(0.5, 2.0), k=1)
    assert scores == pytest.approx({3: 0.5 / 3 + 2.0 / 2, 7: 0.5 / 2})


def test_a_tie_goes_to_the_smaller_id():
    assert list(fused(ranking(9), ranking(2))) == [2, 9]


def test_nothing_and_nothing_is_nothing():
    assert len(rrf(ranking(), ranking())) == 0
    assert list(fused(ranking(), ranking(5, 4))) == [5, 4]


rankings = st.lists(st.integers(1, 30), unique=True, max_size=15).map(lambda chunks: ranking(*chunks))


@given(rankings, rankings)
def test_it_is_the_formula(keyword, vector):
    expected: dict[int, float] = {}
    for leg in (keyword, vector):
        for chunk, rank in leg.ranks().items():
            expected[chunk] = expected.get(chunk, 0.0) + 1 / (60 + rank)
    result = rrf(keyword, vector)
    assert dict(zip(result.chunks.tolist(), result.scores.tolist(), strict=True)) == pytest.approx(expected)
    order = list(zip((-result.scores).tolist(), result.chunks.tolist(), strict=True))
    assert [chunk for _, chunk in order] == [c for _, c in sorted((round(s, 12), c) for s, c in order)]
