"""The command `evaluate`."""

import json

import pytest
from click.testing import CliRunner

from hybridstore import __version__
from hybridstore.cli.compare_commands import compare
from hybridstore.cli.evaluate_command import evaluate
from hybridstore.cli.shared_options import FUSIONS
from hybridstore.errors import FileRefused, InputError
from hybridstore.evaluation import read_run
from hybridstore.evaluation.kept_reports import kept_reports


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
    kept = kept_reports(str(tmp_path / "kept.db"))
    assert [report["title"] for report in kept] == ["kitchen, test"] * 2
    assert kept[0]["modes"]["keyword"][kept[0]["metrics"].index("ndcg@10")] == first["keyword"]["ndcg@10"]
    assert kept[0]["about"]["embedder"] == "none"
    assert (tmp_path / "kept.db-evaluations").stat().st_mode & 0o777 == 0o600


def test_a_report_that_cannot_be_kept_is_one_sentence(tmp_path, folder):
    (tmp_path / "kept.db-evaluations").mkdir()
    with pytest.raises(FileRefused, match="report cannot be kept"):
        run(evaluate, folder, "--embedder", "none", "--keep", tmp_path / "kept.db")


def test_a_kept_file_of_another_collection_is_refused(tmp_path, folder, write):
    other = write(tmp_path / "other", corpus=[{"_id": "alien", "text": "from elsewhere"}])
    run(evaluate, other, "--embedder", "none", "--keep", tmp_path / "kept.db")
    with pytest.raises(InputError, match="1 documents that are not in this collection"):
        run(evaluate, folder, "--embedder", "none", "--keep", tmp_path / "kept.db")


def test_an_unknown_split_is_told_before_anything_is_indexed(tmp_path, folder):
    with pytest.raises(InputError, match="its splits are: test"):
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


def test_judgments_from_elsewhere_take_the_place_of_the_collections(tmp_path, folder):
    (tmp_path / "mine.txt").write_text("unjudged 0 wine 1\n")
    found = json.loads(run(evaluate, folder, "--embedder", "none", "--qrels", tmp_path / "mine.txt", "--json").stdout)
    assert (found["split"], found["n"], found["keyword"]["mrr@10"]) == ("mine.txt", 1, 1)
    (folder / "qrels" / "test.tsv").unlink()
    run(evaluate, folder, "--embedder", "none", "--qrels", tmp_path / "mine.txt")
    with pytest.raises(InputError, match=r"none\.tsv cannot be read"):
        run(evaluate, folder, "--embedder", "none", "--qrels", tmp_path / "none.tsv")


def test_the_metrics_asked_for_are_printed(folder):
    options = (folder, "--embedder", "none", "--metric", "map", "--metric", "p@1")
    printed = run(evaluate, *options).stdout
    assert "MAP" in printed
    assert "nDCG@10" not in printed
    assert json.loads(run(evaluate, *options, "--json").stdout)["keyword"]["p@1"] == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="unknown metric 'best'"):
        run(evaluate, folder, "--metric", "best")


def test_every_fusion_named_has_its_row_and_its_run(tmp_path, folder):
    options = [folder, "--embedder", "none", "--mode", "hybrid", "--mode", "keyword"]
    for name in FUSIONS:
        options += ["--fusion", name]
    found = json.loads(run(evaluate, *options, "--run-out", tmp_path / "runs", "--json").stdout)
    for name in FUSIONS:
        assert found[f"hybrid ({name})"]["fusion"] == name
        assert (tmp_path / "runs" / f"kitchen-test-hybrid-{name}.run").exists()
    assert found["hybrid"] == found[f"hybrid ({FUSIONS[0]})"]
    compared = [(each["a"], each["b"], each["metric"], each["n"]) for each in found["differences"]]
    assert compared == [("keyword", f"hybrid ({name})", "ndcg@10", 3) for name in FUSIONS]
    printed = run(evaluate, *options).stdout
    assert f"hybrid ({FUSIONS[-1]})" in printed
    assert f"nDCG@10, hybrid ({FUSIONS[0]}) - keyword: " in printed
    assert "it may be chance" in printed


def test_two_evaluations_differ_in_nothing_but_their_times(folder):
    def without_times(found):
        del found["seconds"]
        for mode in ("hybrid", "keyword"):
            del found[mode]["p50_ms"], found[mode]["p95_ms"]
        return found

    options = (folder, "--embedder", "none", "--mode", "hybrid", "--mode", "keyword", "--json")
    first, second = (without_times(json.loads(run(evaluate, *options).stdout)) for _ in range(2))
    assert first == second
    assert list(first) == list(second)


def test_queries_that_are_documents_can_be_kept_from_finding_themselves(tmp_path, write):
    """As in ArguAna: each query is an argument of the corpus, and its counter-argument is what is wanted."""
    arguments = {
        "pro": "zoos protect rare animals because they breed them",
        "con": "zoos harm rare animals because they cage them",
    }
    corpus = [{"_id": name, "text": text} for name, text in arguments.items()]
    corpus.append({"_id": "copy", "text": arguments["pro"]})
    queries = [{"_id": name, "text": text} for name, text in arguments.items()]
    collection = write(tmp_path / "arguments", corpus, queries, [("pro", "con", 1), ("con", "pro", 1)])
    options = (collection, "--embedder", "none", "--json", "--run-out", tmp_path / "runs")
    assert json.loads(run(evaluate, *options).stdout)["keyword"]["mrr@10"] < 0.6  # each finds itself first
    assert json.loads(run(evaluate, *options, "--leave-out-identical").stdout)["keyword"]["mrr@10"] >= 0.75
    found = read_run(tmp_path / "runs" / "arguments-test-keyword.run")
    assert found.documents("pro") == ("con",)  # neither itself nor its copy
    assert set(found.documents("con")) == {"pro", "copy"}


def test_a_report_opens_offline_and_holds_what_was_measured(tmp_path, folder):
    page = tmp_path / "report.html"
    options = ("--embedder", "none", "--mode", "hybrid", "--mode", "keyword", "--report", page)
    told = run(evaluate, folder, *options)
    assert "report.html" in told.stderr
    text = page.read_text()
    for word in ("kitchen, test", "n = 3 queries", __version__, "zeppelin", "hybrid − keyword", "MRR@10"):
        assert word in text
    assert "Wine Grapes ferment" in text  # what was expected, by title and text
    with pytest.raises(InputError, match="cannot be written"):
        run(evaluate, folder, "--embedder", "none", "--report", tmp_path / "no" / "report.html")


def test_chosen_legs_have_their_row_and_their_run(tmp_path, folder):
    options = [folder, "--embedder", "none", "--mode", "hybrid", "--legs"]
    found = json.loads(run(evaluate, *options, "keyword", "--run-out", tmp_path / "runs", "--json").stdout)
    assert found["keyword"]["ndcg@10"] == found["hybrid"]["ndcg@10"]  # without vectors they are the same
    assert (tmp_path / "runs" / "kitchen-test-keyword.run").exists()
    with pytest.raises(InputError, match="this store has no leg 'meaning'; its legs are keyword"):
        run(evaluate, *options, "keyword, meaning")
