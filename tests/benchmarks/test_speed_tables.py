"""The speed benchmark runs on a tiny corpus, and its pages follow its results."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CHUNKS = 200


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def run(script, *arguments):
    command = [sys.executable, str(BENCHMARKS / script), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench") / "corpus"
    run("corpus.py", "--made-up", "--size", CHUNKS, "--count", 20, "--out", folder)
    return folder


@pytest.fixture(scope="module")
def results(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    file = folder / "speed-tiny.json"
    run("speed.py", "--corpus", corpus, "--json", file, "--rivals", "naive", "--seconds", 0.03, "--colds", 1)
    return file


def test_a_run_measures_hybridstore_and_the_naive_script(results):
    result = json.loads(results.read_text())
    assert result["corpus"]["size"] == CHUNKS
    (go,) = result["goes"]
    assert list(go["rivals"]) == ["hybridstore", "naive"]
    for row in go["rivals"].values():
        assert row["errors"] == {}
        for figure in ("warm", "first_touch", "keyword", "vector", "long", "while_writing"):
            assert 0 < row[figure]["p50"] <= row[figure]["p95"] <= row[figure]["p99"]
        for figure in ("ingest", "disk", "cold"):
            assert row[figure] > 0
        assert row["cold"] < row["cold_imports"]
        assert list(row["filtered"]) == ["permille", "percent", "tenth", "half"]
        assert row["recall"] == 1
        assert all(one["recall"] == 1 for one in row["filtered"].values())
        assert list(row["threads"]) == ["1", "2", "4", "8"]
        assert row["own_write"]["seen"]
        assert row["other_write"]["seen"]


def test_a_later_run_is_added_and_shown_instead_of_the_first(results, tmp_path, monkeypatch):
    import speed_tables

    result = json.loads(results.read_text())
    again = json.loads(results.read_text())["goes"][0]
    again["rivals"]["naive"]["warm"]["p50"] = 4 * again["rivals"]["hybridstore"]["warm"]["p50"]
    result["goes"].append(again)
    (tmp_path / "speed-two.json").write_text(json.dumps(result))
    (size,) = speed_tables.load(tmp_path)
    assert [entry.name for entry in size.entries] == ["hybridstore", "naive"]
    assert speed_tables.cell(size.entries[1], "warm.p50").endswith("(4.00×)")


def test_pages_and_plots_are_written_from_the_results_and_checked(results, tmp_path):
    result = json.loads(results.read_text())
    (tmp_path / "speed-a.json").write_text(json.dumps(result))
    result["corpus"]["size"] = 10 * CHUNKS
    (tmp_path / "speed-b.json").write_text(json.dumps(result))
    where = ("--results", tmp_path, "--page", tmp_path / "page.md")
    run("tables.py", *where)
    page = (tmp_path / "page.md").read_text()
    assert "### 200 passages (made up)" in page
    assert "### 2,000 passages (made up)" in page
    assert "| naive FTS5 + vec0 + RRF |" in page
    for plot in ("speed-bars.svg", "speed-growth.svg"):
        assert (tmp_path / plot).read_text().startswith("<svg")
        assert plot in page
    run("tables.py", *where, "--check")
    (tmp_path / "speed-bars.svg").write_text("old")
    with pytest.raises(AssertionError, match=r"stale: speed-bars\.svg"):
        run("tables.py", *where, "--check")


def test_a_better_figure_of_a_rival_is_bold():
    from speed_tables import Entry, cell

    ours = {"warm": {"p50": 2.0}, "ingest": 100.0}
    theirs = {"warm": {"p50": 1.0}, "ingest": 50.0}
    rival = Entry("rival", theirs, ours)
    assert cell(rival, "warm.p50") == "**1.00 (0.50×)**"
    assert cell(rival, "ingest", more_is_better=True) == "50.0 (2.00×)"
    assert cell(rival, "filtered.half.p50") == "–"


def test_the_exponent_of_growth_is_the_slope_of_the_logarithms():
    from speed_tables import exponent

    assert exponent({1_000: 2.0, 4_000: 4.0}) == pytest.approx(math.log(2) / math.log(4))
    assert exponent({1_000: 2.0}) is None


def test_recall_is_measured_against_the_exact_neighbours(corpus):
    import corpus as corpora
    import exact

    opened = corpora.load(corpus)
    queries = corpora.load_queries(corpus)
    nearest = exact.nearest(corpus)
    scores = opened.vectors @ queries[3][1]
    best = np.argsort(-scores)[:10].tolist()
    assert set(nearest["all"][3].tolist()) - {-1} == set(best)
    passing = np.flatnonzero(opened.metadata["percent"])
    assert set(nearest["percent"][3].tolist()) - {-1} == set(passing.tolist())
    assert exact.recall([f"p{row}" for row in best[:5]], nearest["all"][3]) == 0.5


def test_a_corpus_is_the_same_for_the_same_seed_and_its_filters_select_their_share(corpus, tmp_path):
    import corpus as corpora

    run("corpus.py", "--made-up", "--size", CHUNKS, "--count", 20, "--out", tmp_path / "again")
    for file in ("texts.bin", "vectors.npy", "metadata.npy", "queries.json", "queries.npy"):
        assert (tmp_path / "again" / file).read_bytes() == (corpus / file).read_bytes()
    (batch,) = corpora.load(corpus).batches()
    ids, texts, vectors, fields = batch
    assert len(ids) == len(texts) == len(vectors) == CHUNKS
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert {name: sum(one[name] for one in fields) for name in corpora.SHARES} == {
        "permille": 1, "percent": 2, "tenth": 20, "half": 100,
    }  # fmt: skip


def test_recombined_passages_have_real_sentences_and_nearby_vectors():
    import passages

    random = np.random.default_rng(0)
    vectors = random.standard_normal((50, passages.DIM)).astype(np.float32) + 3
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [" ".join(f"Passage {n} has this for its sentence {k}." for k in range(12)) for n in range(50)]
    source = passages.Source(texts, [passages.sentences(text) for text in texts], vectors)
    blocks = list(passages.drawn([source], 80, seed=1))
    assert sorted(blocks[0][0]) == sorted(texts)
    made, near = blocks[1]
    assert len(made) == 30
    known = {sentence for sentences in source.sentences for sentence in sentences}
    for text, vector in zip(made, near, strict=True):
        assert set(passages.sentences(text)) <= known
        assert len({sentence.split()[1] for sentence in passages.sentences(text)}) in {2, 3, 4}
        assert (vectors @ vector).max() > 0.8


def test_every_baseline_implements_the_interface():
    import baselines

    for name in (*baselines.NAMES, *baselines.SERVERS):
        kind = baselines.by_name(name)
        assert issubclass(kind, baselines.Baseline)
        assert not kind.__abstractmethods__
        assert kind.name
        assert kind.packages
