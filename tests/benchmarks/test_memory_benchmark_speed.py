"""The speed benchmark of memories runs on a few notes, and its page follows its results."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hybridstore.embedders.hashing import HashingEmbedder

MEMORY = Path(__file__).parents[2] / "benchmarks" / "memory"
SYSTEMS = ("hybridstore", "naive", "vstash")
TINY = ("--rounds", 2, "--count", 6, "--pairs", 2, "--colds", 1, "--embedder", "hashing", "--seconds", 60)


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(MEMORY.parent / "quality"))  # what its pages are made of
    monkeypatch.syspath_prepend(str(MEMORY))


def run(script, *arguments):
    command = [sys.executable, str(MEMORY / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_notes_and_questions_differ_and_are_the_same_for_a_seed():
    from synthetic_notes import notes, questions

    for make in (notes, questions):
        made = make(500, 1)
        assert len(set(made)) == 500
        assert make(20, 1) == made[:20]
        assert make(20, 2) != made[:20]


def test_cached_vectors_equal_those_of_the_model(tmp_path):
    from cached_vectors import CachedEmbedder, embedded

    model = HashingEmbedder()
    embedded(tmp_path, model, ["a note", "another"], ["a question"])
    known = CachedEmbedder(tmp_path, model)
    for texts in (["another", "a note"], ["another", "new"]):
        np.testing.assert_array_equal(known.embed_documents(texts), model.embed_documents(texts))
    for text in ("a question", "new"):
        np.testing.assert_array_equal(known.embed_query(text), model.embed_query(text))
        np.testing.assert_array_equal(known.embed_queries([text]), [model.embed_query(text)])
    assert known.fingerprint == model.fingerprint
    assert known.token_starts("a note") == model.token_starts("a note")


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_reopened_system_recalls_its_notes(tmp_path, name):
    from keepers import by_name, missing

    if why := missing(name):
        pytest.skip(why)
    for note in ("The kayak leaks at its stern.", "Anna prefers oat milk."):
        keeper = by_name(name)(tmp_path, HashingEmbedder())
        keeper.remember(note)
        keeper.close()
    keeper = by_name(name)(tmp_path, HashingEmbedder())
    assert keeper.recall("where does the kayak leak")[0] == "The kayak leaks at its stern."
    assert keeper.recall("what does Anna prefer")[0] == "Anna prefers oat milk."
    keeper.close()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    found = run("speed.py", "--json", folder / "speed.json", "--sizes", 12, 5, *TINY)
    assert found.returncode == 0, found.stderr
    return folder, found


def test_a_run_reports_all_figures_of_every_system_and_size(results):
    folder, found = results
    result = json.loads((folder / "speed.json").read_text())
    assert list(result["sizes"]) == ["5", "12"]
    assert result["embedder"] == HashingEmbedder().fingerprint
    assert {"load", "note", "question"} == set(result["model"])
    for systems in result["sizes"].values():
        assert list(systems)[:2] == ["hybridstore", "naive"]
        for row in systems.values():
            for name, laps in (("remember", 12), ("recall", 12), ("after", 4)):
                assert 0 < row[name]["p50"] <= row[name]["p95"] <= row[name]["longest"]
                assert row[name]["n"] == laps
                assert len(row[name]["rounds"]) == 2
            assert row["cold"] > max(row["recall"]["p50"], 1)
            assert row["disk"] > 0
            assert row["fill_per_second"] > 0
            assert row["items"] >= 4
            assert row["seen"] == 1
    assert result["sizes"]["12"]["naive"]["items"] == 12
    if find_spec("vstash") is None:
        assert result["not_measured"]["vstash"] == "vstash is not installed"
        assert "vstash is left out: vstash is not installed" in found.stderr
    else:
        assert "vstash" in {*result["not_measured"], *result["systems"]}


def test_the_page_shows_the_results_of_a_run(results, tmp_path):
    folder, _ = results
    page = tmp_path / "README.md"
    assert run("page.py", "--results", folder, "--page", page).returncode == 0
    text = page.read_text()
    assert "## What it costs" in text
    assert "| 12 notes, ms | remember p50 | p95 | recall p50 |" in text
    assert "| naive FTS5 + vec0 + RRF | " in text
    assert run("page.py", "--check", "--results", folder, "--page", page).returncode == 0


def test_a_cell_has_a_ratio_and_a_rivals_win_is_bold():
    import speed_report

    ours = {"recall": {"p50": 2.0}, "fill_per_second": 300.0}
    theirs = {"recall": {"p50": 5.0}, "fill_per_second": 400.0}
    assert speed_report._cell("hybridstore", ours, ours, "recall.p50", more=False) == "2.00"
    assert speed_report._cell("naive", theirs, ours, "recall.p50", more=False) == "5.00 (2.50×)"
    assert speed_report._cell("naive", theirs, ours, "fill_per_second", more=True) == "**400 (0.75×)**"
    assert speed_report._cell("naive", {}, ours, "recall.p50", more=False) == "–"


def test_a_mistake_is_reported_in_one_sentence(tmp_path):
    found = run("speed.py", "--json", tmp_path / "out.json", "--sizes", 0)
    assert found.returncode == 2
    assert "sizes and counts are whole numbers from 1" in found.stderr
    found = run("speed.py", "--json", tmp_path / "out.json", "--sizes", 3, *TINY, "--embedder", tmp_path / "gone")
    assert found.returncode == 1
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "out.json").exists()
