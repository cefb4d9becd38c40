"""The memory benchmark: metrics as defined by the authors of the data sets, with explicit figures."""

import math
from pathlib import Path

import numpy as np
import pytest

from hybridstore.errors import InputError

MEMORY = Path(__file__).parents[2] / "benchmarks" / "memory"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(MEMORY))


RANKED = ["a", "b", "c", "d", "e", "f"]


def test_any_takes_one_turn_of_the_evidence_and_all_takes_every_one():
    import scoring

    evidence = ["c", "f"]
    assert [scoring.recall_any(RANKED, evidence, k) for k in (2, 3, 6)] == [0, 1, 1]
    assert [scoring.recall_all(RANKED, evidence, k) for k in (2, 3, 5, 6)] == [0, 0, 0, 1]
    assert [scoring.recall(RANKED, evidence, k) for k in (2, 3, 6)] == [0, 1 / 2, 2 / 2]


def test_all_is_zero_with_more_evidence_than_k():
    import scoring

    assert scoring.recall_all(RANKED, RANKED, 5) == 0
    assert scoring.recall(RANKED, RANKED, 5) == 5 / 6


def test_ndcg_has_longmemevals_discount():
    import scoring

    # Gains at ranks 2, 3 and 6; the best order would have them at 1, 2 and 3.
    evidence = ["b", "c", "f"]
    best = 1 + 1 / math.log2(2) + 1 / math.log2(3)
    assert scoring.ndcg(RANKED, evidence, 6) == pytest.approx(
        (1 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(6)) / best
    )
    assert scoring.ndcg(RANKED, evidence, 5) == pytest.approx((1 / math.log2(2) + 1 / math.log2(3)) / best)
    assert scoring.ndcg(RANKED, evidence, 1) == 0
    assert scoring.ndcg(RANKED, ["b"], 5) == 1  # the second rank is as good as the first
    assert scoring.ndcg(RANKED, ["c"], 5) == pytest.approx(1 / math.log2(3))
    assert scoring.ndcg(RANKED, RANKED, 2) == 1  # only k gains are possible among k
    assert scoring.ndcg([], ["a"], 5) == 0


def test_ndcg_equals_that_of_the_authors_code():
    import scoring

    def theirs(gains):
        # r[0] + sum(r[1:] / log2(2 .. n)), over the first k
        gains = np.asarray(gains, float)
        return gains[0] + np.sum(gains[1:] / np.log2(np.arange(2, gains.size + 1)))

    random = np.random.default_rng(5)
    for _ in range(200):
        names = [str(n) for n in random.permutation(20)]
        evidence = {str(n) for n in random.choice(20, random.integers(1, 8), replace=False)}
        k = int(random.integers(1, 15))
        gains = [int(name in evidence) for name in names]
        expected = theirs(gains[:k]) / theirs(sorted(gains, reverse=True)[:k])
        assert scoring.ndcg(names, sorted(evidence), k) == pytest.approx(expected)


def test_a_session_has_the_rank_of_its_first_turn():
    import scoring

    homes = {"a": "two", "b": "one", "c": "two", "d": "three"}
    assert scoring.sessions_of(["c", "a", "d", "b"], homes) == ["two", "three", "one"]


def asked(**evidence):
    from conversations import Question

    return Question(id="q", text="?", group="g", category="c", **evidence)


def test_the_first_k_sessions_come_from_as_many_turns_as_needed():
    import scoring

    homes = dict.fromkeys(["a", "b", "c"], "one") | {"d": "two", "e": "three"}
    question = asked(evidence_turns=("d",), evidence_sessions=("two",))
    found = scoring.scores(question, ["a", "b", "c", "d", "e"], homes, [2])
    assert found["turn"]["recall_any@2"] == 0
    assert found["session"]["recall_any@2"] == 1
    assert list(found["turn"]) == ["recall_any@2", "recall_all@2", "recall@2", "ndcg@2"]


def test_a_level_without_marked_evidence_is_not_scored():
    import scoring

    assert list(scoring.scores(asked(evidence_sessions=("one",)), ["a"], {"a": "one"}, [5])) == ["session"]


# Intervals


def test_the_mean_counts_every_question_once_however_many_a_conversation_has():
    import intervals

    values = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 0.0, "e": 0.0, "f": 0.0, "g": 0.0}
    groups = dict(zip(values, ["x", "x", "x", "y", "z", "v", "w"], strict=True))
    found = intervals.mean(values, groups, seed=1)
    assert found.value == pytest.approx(3 / 7)
    assert 0 <= found.low < found.value < found.high <= 1


def test_correlated_questions_widen_the_interval():
    import intervals

    values = {f"{group}-{n}": float(group % 2) for group in range(10) for n in range(30)}
    groups = {name: name.partition("-")[0] for name in values}
    alone = {name: name for name in values}
    together, apart = (intervals.mean(values, each, seed=0) for each in (groups, alone))
    # The share of 10 conversations has a standard deviation of √(.25 / 10), that of 300 questions one of √(.25 / 300).
    assert together.high - together.low == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 10), rel=0.1)
    assert apart.high - apart.low == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 300), rel=0.1)


def test_with_fewer_than_five_conversations_questions_are_resampled():
    import intervals

    values = {f"q{n}": float(n % 2) for n in range(40)}
    one, alone = dict.fromkeys(values, "only"), {name: name for name in values}
    assert intervals.mean(values, one, seed=3) == intervals.mean(values, alone, seed=3)


def test_a_difference_is_reported_by_question_and_by_conversation():
    import intervals

    a = {f"{group}-{n}": 0.0 for group in range(6) for n in range(5)}
    b = {name: float(name.startswith("0")) for name in a}
    groups = {name: name.partition("-")[0] for name in a}
    found = intervals.difference(a, b, groups, seed=0)
    assert found["by question"]["difference"] == found["by conversation"]["difference"] == round(1 / 6, 5)
    assert found["by question"]["low"] > 0 == found["by conversation"]["low"]
    assert list(intervals.difference(a, b, {name: name for name in a}, seed=0)) == ["by question"]
    assert list(intervals.difference(a, b, dict.fromkeys(a, "only"), seed=0)) == ["by question"]


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    import intervals

    answerable, foreign = {"a": 0.9, "b": 0.4}, {"c": 0.4, "d": 0.1}
    groups = dict(zip("abcd", "wxyz", strict=True))
    found = intervals.area(answerable, foreign, groups, seed=0, resamples=200)
    assert found.value == (1 + 1 + 0.5 + 1) / 4  # a > c, a > d, b = c, b > d
    assert found.low < found.value <= found.high
    with pytest.raises(InputError, match="no foreign query"):
        intervals.area(answerable, {}, groups, seed=0)
