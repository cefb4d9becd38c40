"""The commands `evaluate` and `compare`."""

import json

import pytest
from click.testing import CliRunner

from hybridstore.cli.evaluate import compare, evaluate
from hybridstore.errors import InputError
from hybridstore.evaluation import Run, read_run, write_run


def run(command, *arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_evaluate_prints_json_with_the_promised_names(folder):
    found = json.loads(run(evaluate, folder, "--embedder", "none", "--json").stdout)
    assert (found["collection"], found["split"], found["n"]) == ("kitchen", "test", 3)
    assert found["keyword"]["mrr@10"] == pytest.approx(2 / 3)
    assert {"ndcg@10", "recall@100", "mrr@10"} <= found["keyword"].keys()
    assert "vector" not in found  # there is no embedder
    assert found["documents"]["added"] == 5


def test_evaluate_prints_a_table_with_what_was_left_out(folder):
    printed = run(evaluate, folder, "--embedder", "none", "--mode", "keyword").stdout
    assert "nDCG@10" in printed
    assert "0.6667" in printed
    assert "n = 3 queries" in printed
    assert "1 judged queries have no relevant document and are left out" in printed
    assert "1 judged documents are not in the corpus and count as not found" in printed


def test_progress_never_reaches_standard_output(folder):
    json.loads(run(evaluate, folder, "--embedder", "none", "--json").stdout)


def test_a_kept_file_is_filled_once(tmp_path, folder):
    options = (folder, "--embedder", "none", "--keep", tmp_path / "kept.db", "--json")
    first, second = (json.loads(run(evaluate, *options).stdout) for _ in range(2))
    assert first["documents"]["added"] == 5
    assert (second["documents"]["added"], second["documents"]["unchanged"]) == (0, 5)
    assert second["keyword"]["ndcg@10"] == first["keyword"]["ndcg@10"]


def test_a_kept_file_of_another_collection_is_refused(tmp_path, folder, write):
    other = write(tmp_path / "other", corpus=[{"_id": "alien", "text": "from elsewhere"}])
    run(evaluate, other, "--embedder", "none", "--keep", tmp_path / "kept.db")
    with pytest.raises(InputError, match="1 documents that are not in this collection"):
        run(evaluate, folder, "--embedder", "none", "--keep", tmp_path / "kept.db")


def test_an_unknown_split_is_told_before_anything_is_indexed(tmp_path, folder):
    with pytest.raises(InputError, match="splits there are: test"):
        run(evaluate, folder, "--split", "dev", "--embedder", "none", "--keep", tmp_path / "kept.db")
    assert not (tmp_path / "kept.db").exists()


def test_a_run_that_was_written_gives_the_same_metrics_again(tmp_path, folder):
    options = ("--embedder", "none", "--run-out", tmp_path / "runs", "--json")
    found = json.loads(run(evaluate, folder, *options).stdout)
    written = tmp_path / "runs" / "kitchen-test-keyword.run"
    assert read_run(written).documents("q2") == ("cheese", *read_run(written).documents("q2")[1:])
    compared = run(compare, written, written, "--qrels", folder / "qrels" / "test.tsv", "--json").stdout
    # the judgments also hold the query without text, which `evaluate` could not ask and `compare` counts as 0
    assert json.loads(compared)["mean_a"] == pytest.approx(found["keyword"]["ndcg@10"] * 3 / 4)


def test_only_the_querys_group_is_searched(folder):
    found = json.loads(run(evaluate, folder, "--embedder", "none", "--group", "g", "--json").stdout)
    assert found["keyword"]["recall@100"] == pytest.approx((1 / 2 + 0 + 0) / 3)  # bread is in another group


@pytest.fixture
def two_runs(tmp_path):
    queries = [f"[q{i}]" for i in range(20)]
    write_run(Run.from_rankings({q: ["wrong", "right"] for q in queries}), tmp_path / "a.run")
    better = {q: ["right"] if i < 15 else ["wrong", "right"] for i, q in enumerate(queries[:19])}
    write_run(Run.from_rankings(better), tmp_path / "b.run")
    (tmp_path / "qrels.txt").write_text("".join(f"{q} 0 right 1\n" for q in queries))
    return tmp_path / "a.run", tmp_path / "b.run", "--qrels", tmp_path / "qrels.txt", "--metric", "mrr@10"


def test_compare_gives_the_interval_and_the_largest_differences(two_runs):
    found = json.loads(run(compare, *two_runs, "--json").stdout)
    assert (found["metric"], found["n"], found["wins"], found["losses"], found["ties"]) == ("mrr@10", 20, 15, 1, 4)
    assert found["difference"] == pytest.approx((15 * 0.5 - 0.5) / 20)
    assert found["low"] < found["difference"] < found["high"]
    assert len(found["largest"]) == 10
    assert found["largest"][0] == {"query": "[q0]", "a": 0.5, "b": 1.0, "difference": 0.5}
    assert found["no_results"] == {"a": 0, "b": 1}


def test_compare_prints_a_verdict(two_runs):
    printed = run(compare, *two_runs).stdout
    assert "mrr@10: A 0.5000, B 0.8500, B - A +0.3500" in printed
    assert "B is better on 15, worse on 1, equal on 4." in printed
    assert "The difference is more than luck with the queries." in printed
    assert "[q0]" in printed  # an id that looks like markup
    assert "B has no results for 1 of the queries" in printed
