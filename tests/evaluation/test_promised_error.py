"""What share of errors a confidence promises, and how the benchmark of it counts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.records import expected_error, least_confidence
from hybridstore.search.trace_text import ANSWERED

QUALITY = Path(__file__).parents[2] / "benchmarks" / "quality"


@given(st.floats(0.02, 0.999))
def test_the_confidence_of_an_error_promises_that_error(error):
    assert expected_error(least_confidence(error)) == pytest.approx(error)


@given(st.floats(1e-9, 1 - 1e-9))
def test_a_lower_error_needs_a_higher_confidence(error):
    assert least_confidence(error / 2) >= least_confidence(error) > 0.0


def test_one_error_in_ten_is_the_usual_confidence():
    assert least_confidence() == ANSWERED == 0.5


@pytest.mark.parametrize("error", [0, 1, -0.1, float("nan"), float("inf")])
def test_a_share_outside_of_0_to_1_is_refused(error):
    with pytest.raises(hs.InputError, match="max_error"):
        least_confidence(error)


def test_a_search_without_calibration_does_not_know_whether_it_is_answered():
    with hs.open(":memory:", embedder="none") as store:
        store.add("an onion soup")
        assert store.search("onion").answered() is None


def test_the_benchmark_counts_errors_of_what_is_shown(monkeypatch):
    monkeypatch.syspath_prepend(str(QUALITY))
    import promise

    answers = {("a", "a"): [0.9, 0.9, 0.9, 0.1], ("a", "b"): [0.9, 0.1, 0.1, 0.1], ("a", "c"): [1.0]}
    answers |= {("b", "b"): [1.0], ("c", "c"): [1.0], ("b", "a"): [0.0], ("c", "a"): [0.0]}
    answers |= {("b", "c"): [0.0], ("c", "b"): [0.0]}
    result = promise.judged(answers, [{"a", "c"}])
    assert result["stores"]["a"]["0.1"] == {"coverage": 0.75, "error": 0.25, "needed": 1.0}
    assert [pair["related"] for pair in result["pairs"][:2]] == [False, True]
    assert promise.needed([0.9, 0.8], [0.3], 0.1) == 0.8
    assert "| a | c (one subject) |" in "\n".join(promise.page(result))
