"""Confidence: separating answerable from foreign queries, and reliability."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.errors import InputError
from hybridstore.evaluation.judgments import Qrels, Run
from hybridstore.evaluation.metrics import (
    Bin,
    auroc,
    balanced_accuracy,
    expected_calibration_error,
    judged_hits,
    reliability,
)


def run_of(rankings):
    """A run with these rankings: n documents with the scores n, n - 1, … 1."""
    return Run.from_ranked(
        {query: [(document, float(len(ids) - n)) for n, document in enumerate(ids)] for query, ids in rankings.items()}
    )


confidences = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=30)


@given(answerable=confidences, foreign=confidences)
def test_auroc_is_the_share_of_pairs_in_the_right_order_and_half_of_the_ties(answerable, foreign):
    right = sum((ours > theirs) + (ours == theirs) / 2 for ours in answerable for theirs in foreign)
    assert auroc(answerable, foreign) == pytest.approx(right / (len(answerable) * len(foreign)))


@given(answerable=confidences, foreign=confidences)
def test_auroc_of_exchanged_sides_is_the_rest(answerable, foreign):
    assert auroc(answerable, foreign) + auroc(foreign, answerable) == pytest.approx(1)


def test_auroc_of_what_is_told_apart_mixed_up_and_all_the_same():
    assert auroc([0.8, 0.9], [0.1, 0.7]) == 1
    assert auroc([0.1, 0.2], [0.3]) == 0
    assert auroc([0.5, 0.5], [0.5]) == 0.5
    assert auroc([float("inf"), 0.2], [0.3]) == 0.5


def test_balanced_accuracy_is_the_mean_of_both_shares_and_answers_at_the_threshold():
    answerable, foreign = [0.9, 0.5, 0.4, 0.1], [0.5, 0.2]
    assert balanced_accuracy(answerable, foreign, 0.5) == (2 / 4 + 1 / 2) / 2
    assert balanced_accuracy(answerable, foreign, 0.51) == (1 / 4 + 2 / 2) / 2
    assert balanced_accuracy(answerable, foreign, 0.0) == 0.5


def test_a_side_without_queries_and_what_is_no_number_are_refused():
    for measure in (auroc, lambda a, b: balanced_accuracy(a, b, 0.5)):
        with pytest.raises(InputError, match="no answerable query"):
            measure([], [0.1])
        with pytest.raises(InputError, match="no foreign query"):
            measure([0.1], [])
        with pytest.raises(InputError, match="a confidence of the foreign queries is not a number"):
            measure([0.1], [float("nan")])


pairs = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=50)


@given(pairs=pairs, bins=st.integers(1, 15))
def test_every_hit_is_in_the_bin_its_relevance_belongs_to(pairs, bins):
    bins_ = reliability([said for said, _ in pairs], [relevant for _, relevant in pairs], bins)
    assert len(bins_) == bins
    assert sum(bin_.count for bin_ in bins_) == len(pairs)
    assert sum(bin_.count * bin_.observed for bin_ in bins_) == pytest.approx(sum(relevant for _, relevant in pairs))
    for bin_ in bins_:
        assert not bin_.count or bin_.low - 1e-9 <= bin_.predicted <= bin_.high + 1e-9


@given(pairs=pairs.filter(bool), bins=st.integers(1, 15))
def test_the_error_is_the_mean_gap_of_the_bins_by_hits(pairs, bins):
    chosen: dict[int, list[tuple[float, bool]]] = {}
    for said, relevant in pairs:
        chosen.setdefault(min(int(said * bins), bins - 1), []).append((said, relevant))
    gap = sum(abs(sum(said - relevant for said, relevant in group)) for group in chosen.values())
    bins_ = reliability([said for said, _ in pairs], [relevant for _, relevant in pairs], bins)
    assert expected_calibration_error(bins_) == pytest.approx(gap / len(pairs), abs=1e-9)


def test_what_comes_out_as_said_has_no_error_and_what_never_does_the_whole():
    assert expected_calibration_error(reliability([0.5, 0.5], [True, False])) == 0
    assert expected_calibration_error(reliability([1.0, 1.0], [False, False])) == 1
    assert expected_calibration_error(reliability([], [])) == 0
    assert reliability([1.0, 0.95], [True, False], bins=2)[1] == Bin(0.5, 1.0, 2, 0.975, 0.5)


def test_numbers_that_are_no_relevance_are_refused():
    for said in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match=r"must lie in \[0, 1\]"):
            reliability([said], [True])
    with pytest.raises(InputError, match="2 relevances but 1 judgments"):
        reliability([0.1, 0.2], [True])
    with pytest.raises(InputError, match="bins must be at least 1"):
        reliability([], [], bins=0)


def test_the_first_hits_are_judged_and_unjudged_ones_count_as_not_relevant():
    run = run_of({"q": ["a", "b", "c", "d"], "bare": ["a"]})
    relevance = {"q": {"a": 0.9, "b": 0.5, "d": 0.1}}
    assert judged_hits(run, relevance, Qrels({"q": {"a": 2, "c": 1, "d": 1}}), depth=3) == ([0.9, 0.5], [True, False])
