"""What each leg brings."""

import pytest

from hybridstore.evaluation.evaluation_results import (
    Evaluation,
    LegFindings,
    Measured,
    better_leg,
    leg_findings,
    pairs,
    relevant_found,
    shared,
)
from hybridstore.evaluation.judgments import Qrels, Run
from hybridstore.evaluation.metrics import score


def run_of(rankings):
    """A run with these rankings: n documents with the scores n, n - 1, … 1."""
    return Run.from_ranked(
        {query: [(document, float(len(ids) - n)) for n, document in enumerate(ids)] for query, ids in rankings.items()}
    )


QRELS = Qrels({"q1": {"a": 1, "b": 2, "c": 1, "d": 0}, "q2": {"a": 1, "e": 1}})
KEYWORD = run_of({"q1": ["a", "b", "d"], "q2": ["x"]})
VECTOR = run_of({"q1": ["b", "d", "c"], "q2": ["a"]})


def evaluation(**runs):
    modes = {name: Measured(run, score(run, QRELS), (0.1, 0.2)) for name, run in runs.items()}
    return Evaluation(collection="c", split="test", limit=100, n=2, modes=modes, judged=QRELS, texts={})


def test_relevant_documents_are_counted_by_the_leg_that_has_them():
    assert leg_findings(KEYWORD, VECTOR, QRELS, 3) == LegFindings(3, both=1, keyword=1, vector=2, neither=1)
    assert leg_findings(KEYWORD, VECTOR, QRELS, 1) == LegFindings(1, both=0, keyword=1, vector=2, neither=2)
    assert leg_findings(KEYWORD, VECTOR, QRELS, 1).total == 5
    assert [relevant_found(KEYWORD, QRELS, k) for k in (1, 3)] == [1, 2]


def test_queries_are_counted_by_what_the_legs_share():
    assert shared(KEYWORD, VECTOR, ["q1", "q2", "unknown"], k=3) == (2, 0, 1, 0)
    assert shared(KEYWORD, VECTOR, ["q1"], k=1) == (1, 0)


def test_hybrid_is_compared_with_each_leg_by_each_metric():
    told = pairs(evaluation(hybrid=VECTOR, keyword=KEYWORD, vector=VECTOR), ["recall@10", "p@1"], resamples=20)
    assert [(pair.a, pair.b, pair.metric) for pair in told] == [
        ("keyword", "hybrid", "recall@10"),
        ("vector", "hybrid", "recall@10"),
        ("keyword", "hybrid", "p@1"),
        ("vector", "hybrid", "p@1"),
    ]
    assert told[0].comparison.difference == pytest.approx((2 / 3 + 1 / 2) / 2 - (2 / 3 + 0) / 2)
    assert told[1].comparison.ties == 2
    assert pairs(evaluation(keyword=KEYWORD, vector=VECTOR), ["p@1"]) == ()


def test_the_better_leg_is_chosen_query_by_query():
    told = evaluation(hybrid=KEYWORD, keyword=KEYWORD, vector=VECTOR)
    assert better_leg(told, "mrr@10") == {"q1": 1.0, "q2": 1.0}
    assert better_leg(evaluation(hybrid=KEYWORD), "mrr@10") == {}
