"""How well a confidence tells answerable queries from foreign ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.errors import InputError
from hybridstore.evaluation.abstention import auroc, balanced_accuracy

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
        with pytest.raises(InputError, match="among the foreign queries' confidences"):
            measure([0.1], [float("nan")])
