"""Reliability and its error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.errors import InputError
from hybridstore.evaluation.judgments import Qrels, Run
from hybridstore.evaluation.reliability import Bin, expected_calibration_error, judged_hits, reliability

pairs = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=50)


@given(pairs=pairs, bins=st.integers(1, 15))
def test_every_hit_is_in_the_bin_its_relevance_belongs_to(pairs, bins):
    found = reliability([said for said, _ in pairs], [relevant for _, relevant in pairs], bins)
    assert len(found) == bins
    assert sum(each.count for each in found) == len(pairs)
    assert sum(each.count * each.found for each in found) == pytest.approx(sum(relevant for _, relevant in pairs))
    for each in found:
        assert not each.count or each.low - 1e-9 <= each.said <= each.high + 1e-9


@given(pairs=pairs.filter(bool), bins=st.integers(1, 15))
def test_the_error_is_the_mean_gap_of_the_bins_by_hits(pairs, bins):
    chosen: dict[int, list[tuple[float, bool]]] = {}
    for said, relevant in pairs:
        chosen.setdefault(min(int(said * bins), bins - 1), []).append((said, relevant))
    gap = sum(abs(sum(said - relevant for said, relevant in group)) for group in chosen.values())
    found = reliability([said for said, _ in pairs], [relevant for _, relevant in pairs], bins)
    assert expected_calibration_error(found) == pytest.approx(gap / len(pairs), abs=1e-9)


def test_what_comes_out_as_said_has_no_error_and_what_never_does_the_whole():
    assert expected_calibration_error(reliability([0.5, 0.5], [True, False])) == 0
    assert expected_calibration_error(reliability([1.0, 1.0], [False, False])) == 1
    assert expected_calibration_error(reliability([], [])) == 0
    assert reliability([1.0, 0.95], [True, False], bins=2)[1] == Bin(0.5, 1.0, 2, 0.975, 0.5)


def test_numbers_that_are_no_relevance_are_refused():
    for said in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match=r"lies in \[0, 1\]"):
            reliability([said], [True])
    with pytest.raises(InputError, match="2 relevances but 1 judgments"):
        reliability([0.1, 0.2], [True])
    with pytest.raises(InputError, match="bins must be at least 1"):
        reliability([], [], bins=0)


def test_the_first_hits_are_judged_and_unjudged_ones_count_as_not_relevant():
    run = Run.from_rankings({"q": ["a", "b", "c", "d"], "bare": ["a"]})
    relevance = {"q": {"a": 0.9, "b": 0.5, "d": 0.1}}
    assert judged_hits(run, relevance, Qrels({"q": {"a": 2, "c": 1, "d": 1}}), depth=3) == ([0.9, 0.5], [True, False])
