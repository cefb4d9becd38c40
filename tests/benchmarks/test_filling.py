"""The benchmark of filling runs on a small collection, both ways, and its figures fit each other."""

import json
import sys
from pathlib import Path

import pytest

from hybridstore.embedders.hashing import HashingEmbedder

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "fruit"
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": f"d{n}", "title": "", "text": f"Fruit number {n} is from orchard {n % 7}."} for n in range(300)]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asked = [{"_id": f"q{n}", "text": f"fruit number {n}"} for n in range(20)]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, asked)))
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(20))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder


@pytest.mark.parametrize("how", ["later", "now"])
def test_the_figures_of_a_filling_fit_each_other(folder, tmp_path, monkeypatch, how):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import filling

    monkeypatch.setattr(filling.embedders, "load", lambda **_: HashingEmbedder())
    out = tmp_path / "out.json"
    monkeypatch.setattr(sys, "argv", ["filling.py", str(folder), "--size", "250", "--how", how, "--json", str(out)])
    filling.main()
    written = json.loads(out.read_text())
    about, results = written["about"], written["results"]
    assert (about["passages"], about["documents"], about["folders"]) == (250, 250, ["fruit"])
    assert 0 < about["questions"] <= 20
    assert [point["share"] for point in results["points"]] == sorted(point["share"] for point in results["points"])
    assert results["points"][-1]["share"] == 1.0
    assert 0 < results["first_answer_seconds"] <= results["end_seconds"] + 0.5
    assert results["searchable_by_words_seconds"] <= results["end_seconds"]
    assert results["good_seconds"] <= results["end_seconds"]
    assert 0 < results["final_quality"] <= 1
