"""The paired bootstrap, and the queries one by one."""

import numpy as np
import pytest

from hybridstore.errors import InputError
from hybridstore.evaluation.judgments import Qrels, Run
from hybridstore.evaluation.significance import QueryDifference, QueryDifferences, compared, paired_bootstrap


def run_of(rankings):
    """A run with these rankings: n documents with the scores n, n - 1, … 1."""
    return Run.from_ranked(
        {query: [(document, float(len(ids) - n)) for n, document in enumerate(ids)] for query, ids in rankings.items()}
    )


def values(numbers) -> dict[str, float]:
    return {f"q{i:04}": float(number) for i, number in enumerate(numbers)}


def test_a_constant_gain_has_an_interval_of_one_point():
    comparison = paired_bootstrap(values([0.25, 0.5, 0.75]), values([0.5, 0.75, 1.0]))
    assert comparison.mean_a == pytest.approx(0.5)
    assert comparison.mean_b == pytest.approx(0.75)
    assert (comparison.difference, comparison.low, comparison.high) == pytest.approx((0.25, 0.25, 0.25))
    assert (comparison.n, comparison.wins, comparison.losses, comparison.ties) == (3, 3, 0, 0)
    assert comparison.significant


def test_a_run_compared_with_itself_differs_by_nothing():
    same = values(np.random.default_rng(0).random(40))
    comparison = paired_bootstrap(same, same)
    assert (comparison.difference, comparison.low, comparison.high, comparison.ties) == (0, 0, 0, 40)
    assert not comparison.significant


def test_the_interval_agrees_with_the_normal_one_where_queries_are_many():
    rng = np.random.default_rng(3)
    a = rng.random(2000)
    differences = rng.normal(0.02, 0.1, 2000)
    comparison = paired_bootstrap(values(a), values(a + differences))
    half = 1.96 * differences.std() / np.sqrt(2000)
    assert comparison.low == pytest.approx(differences.mean() - half, abs=half / 10)
    assert comparison.high == pytest.approx(differences.mean() + half, abs=half / 10)
    assert comparison.wins == int((differences > 0).sum())
    assert comparison.wins + comparison.losses + comparison.ties == comparison.n


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(11)
    held = 0
    for seed in range(200):
        a = rng.random(60)
        b = a + rng.normal(0.05, 0.2, 60)
        comparison = paired_bootstrap(values(a), values(b), resamples=500, confidence=0.9, seed=seed)
        held += comparison.low <= 0.05 <= comparison.high
    assert 165 <= held <= 194  # 180 expected, its standard deviation is 4.2


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    rng = np.random.default_rng(5)
    a, b = values(rng.random(30)), values(rng.random(30))
    backwards = dict(reversed(a.items()))
    assert paired_bootstrap(a, b, seed=1) == paired_bootstrap(backwards, b, seed=1)
    assert paired_bootstrap(a, b, seed=1).low != paired_bootstrap(a, b, seed=2).low


def test_exchanging_the_two_sides_turns_the_interval_round():
    rng = np.random.default_rng(6)
    a, b = values(rng.random(30)), values(rng.random(30))
    there, back = paired_bootstrap(a, b), paired_bootstrap(b, a)
    assert (back.difference, back.low, back.high) == pytest.approx((-there.difference, -there.high, -there.low))
    assert (back.wins, back.losses) == (there.losses, there.wins)


def test_memory_does_not_grow_with_queries_times_resamples():
    # more than one block of resamples: 10,000 x 3,000 values at once would be 240 MB
    rng = np.random.default_rng(8)
    differences = rng.normal(0, 1, 3000)
    comparison = paired_bootstrap(values(np.zeros(3000)), values(differences))
    assert comparison.low < differences.mean() < comparison.high


def test_runs_over_different_queries_are_refused_by_name():
    with pytest.raises(InputError, match="2 occur on one side only, for instance 'q0002'"):
        paired_bootstrap(values([1, 1]), values([1, 1, 1, 1]))


def test_nothing_to_compare_and_impossible_settings_are_refused():
    with pytest.raises(InputError, match="no query"):
        paired_bootstrap({}, {})
    for settings in ({"resamples": 0}, {"confidence": 1.0}, {"confidence": 0.0}):
        with pytest.raises(InputError, match="resamples must be at least 1"):
            paired_bootstrap(values([1]), values([1]), **settings)


def test_rows_tell_wins_losses_and_the_worst_in_both_directions():
    a = {"up": 0.1, "down": 0.9, "same": 0.5, "alike": 0.5, "far": 0.0, "deep": 1.0}
    b = {"up": 0.3, "down": 0.8, "same": 0.5, "alike": 0.5 + 1e-12, "far": 0.9, "deep": 0.2}
    rows = QueryDifferences.of(a, b)
    assert [row.query for row in rows.wins()] == ["far", "up"]
    assert [row.query for row in rows.losses()] == ["deep", "down"]
    assert [row.query for row in rows.worst(3)] == ["deep", "up", "same"]
    assert rows.wins(1) == (QueryDifference("far", 0.0, 0.9),)
    assert rows.losses(1)[0].difference == pytest.approx(-0.8)
    with pytest.raises(InputError, match="occur on one side only"):
        QueryDifferences.of(a, {})


def test_two_runs_are_compared_by_each_metric_once():
    qrels = Qrels({"q1": {"d": 1}, "q2": {"d": 1}, "none": {"d": 0}})
    a, b = run_of({"q1": ["x", "d"], "q2": ["d"]}), run_of({"q1": ["d"]})
    by_rank, by_recall = compared(a, b, qrels, ["mrr@10", "recall@1", "mrr@10"], resamples=50)
    assert (by_rank.metric, by_recall.metric) == ("mrr@10", "recall@1")
    assert (by_rank.comparison.mean_a, by_rank.comparison.mean_b) == (0.75, 0.5)
    assert by_rank.rows.rows == (QueryDifference("q1", 0.5, 1.0), QueryDifference("q2", 1.0, 0.0))
    assert by_recall.comparison.ties == 0
    assert compared(a, b, qrels, ["mrr@10"], resamples=50) == (by_rank,)
