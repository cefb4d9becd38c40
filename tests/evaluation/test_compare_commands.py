"""The commands `judge` and `compare`."""

import json
import re

import pytest
from click.testing import CliRunner

from hybridstore.cli.compare_commands import compare, judge
from hybridstore.errors import InputError
from hybridstore.evaluation import Run, write_run


def run_of(rankings):
    """A run with these rankings: n documents with the scores n, n - 1, … 1."""
    return Run.from_ranked(
        {query: [(document, float(len(ids) - n)) for n, document in enumerate(ids)] for query, ids in rankings.items()}
    )


def run(command, *arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def two_runs(tmp_path):
    queries = [f"[q{i}]" for i in range(20)]
    write_run(run_of({q: ["wrong", "right"] for q in queries}), tmp_path / "a.run")
    better = {q: ["right"] if i < 15 else ["wrong", "right"] for i, q in enumerate(queries[:19])}
    write_run(run_of(better), tmp_path / "b.run")
    (tmp_path / "qrels.txt").write_text("".join(f"{q} 0 right 1\n" for q in queries))
    (tmp_path / "queries.tsv").write_text("".join(f"{q}\twhat is <b>{q}</b>?\n" for q in queries[1:]))
    return tmp_path / "a.run", tmp_path / "b.run", "--qrels", tmp_path / "qrels.txt"


@pytest.fixture
def texts(tmp_path):
    return "--queries", tmp_path / "queries.tsv"


def test_compare_gives_the_interval_and_the_queries_that_stand_out(two_runs):
    found = json.loads(run(compare, *two_runs, "--metric", "mrr@10", "--json").stdout)
    assert (found["metric"], found["n"], found["wins"], found["losses"], found["ties"]) == ("mrr@10", 20, 15, 1, 4)
    assert found["difference"] == pytest.approx((15 * 0.5 - 0.5) / 20)
    assert found["low"] < found["difference"] < found["high"]
    assert len(found["queries"]["wins"]) == 10
    assert found["queries"]["wins"][0] == {"query": "[q0]", "a": 0.5, "b": 1.0, "difference": 0.5}
    assert found["queries"]["losses"] == [{"query": "[q19]", "a": 0.5, "b": 0.0, "difference": -0.5}]
    assert [row["query"] for row in found["queries"]["worst"]][:2] == ["[q19]", "[q15]"]
    assert found["no_results"] == {"a": 0, "b": 1}


def test_compare_takes_several_metrics_and_each_has_its_interval(two_runs):
    found = json.loads(run(compare, *two_runs, "--metric", "mrr@10", "--metric", "recall@1", "--json").stdout)
    assert list(found["metrics"]) == ["mrr@10", "recall@1"]
    assert found["metrics"]["mrr@10"]["low"] == found["low"]
    assert found["metrics"]["recall@1"]["difference"] == pytest.approx(15 / 20)


def test_compare_is_the_same_with_the_same_seed_and_another_with_another(two_runs):
    first, again, other = (
        run(compare, *two_runs, "--resamples", 50, "--seed", seed, "--json").stdout for seed in (7, 7, 8)
    )
    assert first == again
    assert json.loads(first)["low"] != json.loads(other)["low"]


def test_compare_prints_a_verdict_and_the_texts(two_runs, texts):
    printed = run(compare, *two_runs, "--metric", "mrr@10", "--metric", "map", *texts).stdout
    assert "mrr@10: A 0.5000, B 0.8500, B - A +0.3500" in printed
    assert "map: A 0.5000" in printed
    assert "B is better on 15, worse on 1, equal on 4." in printed
    assert "The difference is more than chance." in printed
    for title in ("greatest gains of B, mrr@10", "greatest losses of B, mrr@10", "worst queries of B, mrr@10"):
        assert title in printed
    assert "what is <b>[q1]</b>?" in printed  # an id and a text that look like markup
    assert "B has no results for 1 of the queries" in printed


def test_compare_writes_a_report(tmp_path, two_runs, texts):
    page = tmp_path / "report.html"
    run(compare, *two_runs, *texts, "--report", page)
    first = page.read_bytes()
    run(compare, *two_runs, *texts, "--report", page)
    assert page.read_bytes() == first
    assert "what is &lt;b&gt;[q19]&lt;/b&gt;?" in first.decode()
    assert "seed 0" in first.decode()


def test_a_run_is_judged_alone(two_runs, texts):
    _, alone, *qrels = two_runs
    found = json.loads(run(judge, alone, *qrels, "--metric", "mrr@10", "--metric", "p@1", *texts, "--json").stdout)
    assert (found["n"], found["mrr@10"], found["p@1"]) == (20, pytest.approx(0.85), pytest.approx(0.75))
    assert (found["left_out"], found["no_results"]) == (0, 1)
    assert found["worst"][0] == {"query": "[q19]", "mrr@10": 0.0, "text": "what is <b>[q19]</b>?"}
    assert "ndcg@10" in json.loads(run(judge, alone, *qrels, "--json").stdout)


def test_a_run_that_is_judged_is_told_in_a_table(two_runs, texts):
    _, alone, *qrels = two_runs
    printed = run(judge, alone, *qrels).stdout
    assert re.search(r"b\.run .* 0\.8\d+ .* 0\.8500", printed)
    assert "n = 20 queries" in printed
    assert "1 queries have no results; they count as 0." in printed
    assert "<b>" not in printed
    assert "what is <b>[q19]</b>?" in run(judge, alone, *qrels, *texts).stdout


def test_files_that_are_not_there_and_judgments_without_a_query_are_told(tmp_path, two_runs):
    a, b, *qrels = two_runs
    with pytest.raises(InputError, match=r"none\.run cannot be read"):
        run(judge, tmp_path / "none.run", *qrels)
    with pytest.raises(InputError, match=r"none\.jsonl cannot be read"):
        run(compare, a, b, *qrels, "--queries", tmp_path / "none.jsonl")
    (tmp_path / "bare.txt").write_text("q 0 d 0\n")
    with pytest.raises(InputError, match="no query to compare"):
        run(compare, a, b, "--qrels", tmp_path / "bare.txt")
    printed = run(judge, a, "--qrels", tmp_path / "bare.txt").stdout
    assert "1 judged queries have no relevant document and are left out" in printed
