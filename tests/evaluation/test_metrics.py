"""The metrics, as formulas and against trec_eval."""

import math

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.errors import InputError
from hybridstore.evaluation.judgments import Qrels, Run
from hybridstore.evaluation.metrics import heading, metric, per_query, score


def run_of(rankings):
    """A run with these rankings: n documents with the scores n, n - 1, … 1."""
    return Run.from_ranked(
        {query: [(document, float(len(ids) - n)) for n, document in enumerate(ids)] for query, ids in rankings.items()}
    )


TREC_NAMES = {
    "ndcg@5": "ndcg_cut_5",
    "ndcg@10": "ndcg_cut_10",
    "ndcg": "ndcg",
    "map": "map",
    "map@10": "map_cut_10",
    "mrr": "recip_rank",
    "recall@10": "recall_10",
    "recall@100": "recall_100",
    "p@5": "P_5",
    "p@10": "P_10",
}
MEASURES = {"ndcg_cut", "ndcg", "map", "map_cut", "recip_rank", "recall", "P"}


def trec(qrels: Qrels, scores: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    # only queries with a relevant document: pytrec_eval can loop for ever over one that has negative grades alone
    judged = {query: dict(qrels.of(query)) for query in qrels.answerable}
    return pytrec_eval.RelevanceEvaluator(judged, MEASURES).evaluate(scores)


def compared(qrels: Qrels, scores: dict[str, dict[str, float]]) -> int:
    run, expected = Run.from_scores(scores), trec(qrels, scores)
    checked = 0
    for ours, theirs in TREC_NAMES.items():
        for query, value in per_query(run, qrels, ours).items():
            if query in expected:
                assert value == pytest.approx(expected[query][theirs], abs=1e-6), (query, ours)
            else:  # trec_eval says nothing of a query without results; here it counts as 0
                assert value == 0
            checked += 1
    return checked


def test_every_metric_equals_trec_eval_on_random_runs_with_ties():
    rng = np.random.default_rng(7)
    grades, scores = {}, {}
    for number in range(200):
        documents = [f"d{i}" for i in range(int(rng.integers(1, 300)))]
        judged = rng.choice(documents, size=int(rng.integers(1, len(documents) + 1)), replace=False)
        grades[f"q{number}"] = {str(d): int(rng.integers(-1, 4)) for d in judged}
        found = rng.choice(documents, size=int(rng.integers(0, len(documents) + 1)), replace=False)
        # few different scores, so that most of them tie
        scores[f"q{number}"] = {str(d): float(rng.integers(0, 8)) / 3 for d in found}
    assert compared(Qrels(grades), scores) > 1500


document_ids = st.text(alphabet="abéZ中0", min_size=1, max_size=3)
near_ties = st.sampled_from([0.0, -1.5, 1.0, 1.0 + 1e-12, 1.0 + 1e-6, 3e38, 16777216.0, 16777217.0])


@given(
    grades=st.dictionaries(document_ids, st.integers(-2, 5), min_size=1),
    scores=st.dictionaries(document_ids, near_ties, min_size=1),
)
def test_ids_of_any_script_and_scores_beyond_single_precision_are_ordered_as_in_trec_eval(grades, scores):
    compared(Qrels({"q": grades}), {"q": scores})


def test_mrr_at_10_is_trec_evals_reciprocal_rank_of_the_first_ten():
    rng = np.random.default_rng(1)
    scores = {f"q{q}": {f"d{d}": float(rng.random()) for d in range(30)} for q in range(50)}
    qrels = Qrels({query: {f"d{int(rng.integers(30))}": 1} for query in scores})
    cut = {q: dict(sorted(s.items(), key=lambda item: -item[1])[:10]) for q, s in scores.items()}
    expected = {q: values["recip_rank"] for q, values in trec(qrels, cut).items()}
    assert per_query(Run.from_scores(scores), qrels, "mrr@10") == pytest.approx(expected, abs=1e-6)
    assert 0 in expected.values()
    assert max(expected.values()) > 0


def test_the_formulas_on_one_ranking():
    ranked, grades = ("a", "x", "b", "y"), {"a": 1, "b": 3, "c": 2, "x": 0, "y": -1}
    gain = 1 / math.log2(2) + 3 / math.log2(4)
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert metric("ndcg@10")(ranked, grades) == pytest.approx(gain / ideal)
    assert metric("ndcg@1")(ranked, grades) == pytest.approx(1 / 3)
    assert metric("map")(ranked, grades) == pytest.approx((1 / 1 + 2 / 3) / 3)
    assert metric("mrr@10")(("x", "b"), grades) == 1 / 2
    assert metric("mrr@1")(("x", "b"), grades) == 0
    assert metric("recall@3")(ranked, grades) == pytest.approx(2 / 3)
    assert metric("p@10")(ranked, grades) == pytest.approx(2 / 10)


def test_a_query_without_results_counts_as_zero_and_one_without_relevant_documents_not_at_all():
    qrels = Qrels({"found": {"d": 1}, "empty": {"d": 1}, "unanswerable": {"d": 0}})
    scores = score(run_of({"found": ["d"], "unanswerable": ["d"]}), qrels)
    assert scores.values["ndcg@10"] == {"found": 1.0, "empty": 0.0}
    assert scores.means() == {"ndcg@10": 0.5, "recall@100": 0.5, "mrr@10": 0.5}
    assert (scores.n, scores.left_out, scores.empty) == (2, ("unanswerable",), ("empty",))


def test_no_queries_give_means_of_zero():
    assert score(Run({}), Qrels({})).means()["ndcg@10"] == 0


@pytest.mark.parametrize("name", ["ndgc@10", "ndcg@", "ndcg@0", "ndcg@-1", "ndcg@ten", "@10", ""])
def test_a_metric_that_does_not_exist_is_refused_with_those_that_do(name):
    with pytest.raises(InputError, match="ndcg, map, mrr, recall, p"):
        metric(name)


def test_a_heading_is_the_name_as_papers_write_it():
    names = {"ndcg@10": "nDCG@10", "MRR@5": "MRR@5", "map": "MAP", "p@1": "P@1", "recall@100": "recall@100"}
    assert {name: heading(name) for name in names} == names
