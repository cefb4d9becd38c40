"""The results of the quality suites as JSON and on a page: abstention, collections, commands."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.search.request import FUSIONS

QUALITY = Path(__file__).parents[2] / "benchmarks" / "quality"
STRATEGIES = ["vector", "keyword", *(f"hybrid ({name})" for name in FUSIONS)]


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(QUALITY))


def collection(folder, documents, queries):
    (folder / "qrels").mkdir(parents=True)
    rows = [json.dumps({"_id": name, "text": text}) for name, text in documents.items()]
    (folder / "corpus.jsonl").write_text("\n".join(rows))
    rows = [json.dumps({"_id": name, "text": text}) for name, (text, _) in queries.items()]
    (folder / "queries.jsonl").write_text("\n".join(rows))
    judged = [f"{name}\t{document}\t1" for name, (_, document) in queries.items()]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]))
    return folder


# Abstention


def test_signals_separate_own_questions_from_foreign_ones(tmp_path):
    import abstaining
    import sample_stores

    words = {
        "ships": ("sail", "anchor", "harbour", "mast", "deck"),
        "soups": ("onion", "leek", "broth", "barley", "roux"),
    }
    samples = []
    for name, topics in words.items():
        documents = {
            f"{name}-{n}": f"The {topic} {topic} is described here at length." for n, topic in enumerate(topics)
        }
        queries = {f"q{n}": (f"where is the {topic}", f"{name}-{n}") for n, topic in enumerate(topics)}
        folder = collection(tmp_path / name, documents, queries)
        samples.append(sample_stores.of_collection(folder, tmp_path, embedder=HashingEmbedder()))
    result = abstaining.abstention(samples, seed=0)
    assert [(row["store"], row["foreign"]) for row in result["pairs"]] == [("ships", "soups"), ("soups", "ships")]
    for row in result["pairs"]:
        assert row["n"] == {"own": 5, "foreign": 5}
        assert row["signals"]["best BM25"]["auroc"] == 1
        assert row["signals"]["best cosine"]["auroc"] > 0.6
        assert list(row["signals"]) == ["relevance", "confidence", "best cosine", "fixed tiers", "best BM25"]


def test_a_signal_needs_a_calibration():
    from abstaining import _parted

    assert _parted([0.9, float("nan")], [0.1], 0.5) == "not available"
    assert _parted([0.9, 0.4], [0.1], 0.5) == {"auroc": 1.0, "balanced_accuracy": 0.75}


# Whole collections


def test_the_mean_of_collections_has_equal_weights_and_lies_in_its_interval():
    from over_collections import macro_bootstrap

    random = np.random.default_rng(1)
    values = [random.normal(0.1, 0.2, 400), random.normal(-0.02, 0.1, 50)]
    found = macro_bootstrap(values, seed=2, resamples=2_000)
    assert found["difference"] == pytest.approx((values[0].mean() + values[1].mean()) / 2, abs=1e-5)
    error = (values[0].var() / 400 + values[1].var() / 50) ** 0.5 / 2
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert found["low"] < found["difference"] < found["high"]
    assert found == macro_bootstrap(values, seed=2, resamples=2_000)


def test_collections_are_measured_and_shown(tmp_path):
    import over_collections
    from collections_report import collections_page

    from hybridstore.evaluation import Collection, index

    measures = {}
    for name in ("one", "two"):
        documents = {f"d{n}": f"Passage {name} about subject{n} and its upkeep." for n in range(12)}
        queries = {f"q{n}": (f"upkeep of subject{n}", f"d{n}") for n in range(6)}
        with hs.open(tmp_path / f"{name}.db", embedder=HashingEmbedder()) as store:
            index(store, found := Collection(collection(tmp_path / name, documents, queries)))
            measures[name] = over_collections.measured(store, found)
    result = over_collections.summed_up(measures, seed=0, resamples=200)
    assert result["default"] in STRATEGIES
    assert result["macro"]["n"] == 12
    for row in (*result["collections"].values(), result["macro"]):
        assert row["means"]["keyword"]["ndcg@10"] == 1
        against = row["against"]["vector"]["ndcg@10"]
        difference = row["means"][result["default"]]["ndcg@10"] - row["means"]["vector"]["ndcg@10"]
        assert against["difference"] == pytest.approx(difference, abs=2e-5)
        assert against["low"] <= against["difference"] <= against["high"]
    text = "\n".join(collections_page(result))
    assert text.count("| mean of the collections |") == 2 * len(result["metrics"])
    assert "| one | 6 |" in text
    assert all(way in text for way in STRATEGIES)


# The command and the page


def test_the_command_writes_json_and_the_page_is_made_from_it(tmp_path):
    with hs.open(tmp_path / "pumps.db", embedder="none") as store:
        store.add([{"id": f"d{n}", "text": f"Passage {n}: valve V{n}00 | needs <oil>."} for n in range(12)])
    results = tmp_path / "results"
    results.mkdir()

    def script(name, *arguments):
        command = [sys.executable, str(QUALITY / name), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    chosen = ("--suite", "odd questions", "--suite", "identifiers")
    ran = script("run.py", *chosen, "--stores", tmp_path / "pumps.db", "--json", results / "suites.json")
    assert ran.returncode == 0, ran.stderr
    result = json.loads((results / "suites.json").read_text())
    assert list(result["suites"]) == ["odd questions", "identifiers"]
    assert result["suites"]["identifiers"]["pumps"]["strategies"]["keyword"]["passed"] > 0.5
    where = ("--results", results, "--page", tmp_path / "page.md")
    assert script("page.py", *where).returncode == 0
    page = (tmp_path / "page.md").read_text()
    assert "## identifiers, pumps" in page
    rows = [line for line in page.splitlines() if line.startswith("| as it is |")]
    assert rows
    assert all(line.endswith(("| pass |", "| **fail** |")) for line in rows)
    assert script("page.py", *where, "--check").returncode == 0
    (tmp_path / "page.md").write_text("old")
    assert "stale" in script("page.py", *where, "--check").stderr


def test_the_command_reports_missing_files(tmp_path):
    result = subprocess.run(
        [sys.executable, str(QUALITY / "run.py"), "--stores", str(tmp_path / "none.db")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "none.db is not there" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_cell_stays_in_its_row():
    from cells import cell

    assert cell("a|b\nc <d>\ud800".replace("\ud800", "\x00")) == r"a\|b\nc &lt;d>\x00"


def test_a_page_without_results_is_its_introduction(tmp_path):
    from page import written

    assert written(tmp_path).count("#") == 2  # the heading, and the guide's anchor
    assert "# Quality" in written(tmp_path)


def test_the_committed_page_follows_the_committed_results():
    from page import PAGE, written

    assert PAGE.read_text(encoding="utf-8") == written(QUALITY / "results")
