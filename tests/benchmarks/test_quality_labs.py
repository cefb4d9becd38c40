"""Second looks: settings come from other collections, ideas move what they say; the page of labs follows its files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

QUALITY = Path(__file__).parents[2] / "benchmarks" / "quality"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(QUALITY))


def question(seed=0, **changes):
    """Twelve candidates in sixteen dimensions; the query lies near the first three, of which one is relevant."""
    import second_looks

    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(12, 16)).astype(np.float32)
    vectors[:3] = vectors[0] + 0.3 * generator.normal(size=(3, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query = vectors[:3].mean(axis=0) + 0.2 * generator.normal(size=16).astype(np.float32)
    facts = {
        "documents": [f"d{n}" for n in range(12)],
        "grades": {"d1": 1},
        "keyword": np.array([0.2, 0.5] + [0.1] * 10),
        "deviations": np.zeros(12),
        "relevance": np.full(12, 0.5),
        "vectors": vectors,
        "query": query / np.linalg.norm(query),
        "idf": np.array([1.0, 3.0]),
        "words": vectors[:2],
        "readings": vectors[:3],
        "weights": (0.4, 0.6),
        "sample": vectors,
        "scale": None,
    }
    asked = second_looks.Asked(**(facts | changes))
    return second_looks.Asked(**(facts | {"deviations": asked.above(asked.query)} | changes))


def test_every_idea_leaves_a_question_whose_vector_counts_nothing_as_it_was():
    import second_looks

    asked = question(weights=(1.0, 0.0))
    for idea, settings in second_looks.IDEAS.values():
        for setting in settings:
            assert idea(asked, *setting) == pytest.approx(asked.fused())


def test_refinement_and_the_best_passages_move_the_query_to_what_words_found():
    import second_looks

    asked = question()
    for after in (
        second_looks.refined(asked, 0.2, 0.1, 0.03, "words"),
        second_looks.towards_best(asked, 3, 0.4, "no", 0.0),
    ):
        assert after[1] - after[3:].mean() > asked.fused()[1] - asked.fused()[3:].mean()


def test_settings_for_a_collection_are_those_that_are_best_on_the_others(monkeypatch):
    import second_looks

    def idea(asked, document):
        return np.array([float(name == document) for name in asked.documents])

    monkeypatch.setattr(second_looks, "IDEAS", {"told": (idea, [("d1",), ("d2",)])})
    collections = {"one": [question()], "two": [question()], "three": [question(grades={"d2": 1})]}
    row = second_looks.measured(collections, resamples=100)["ideas"]["told"]
    # For "three" the others say d1, which is wrong there; for "one" and "two" they are divided, and the first wins.
    assert row["settings"] == {"one": ["d1"], "two": ["d1"], "three": ["d1"]}
    before = {name: asked[0].quality(asked[0].fused()) for name, asked in collections.items()}
    assert row["collections"]["one"] == pytest.approx(1 - before["one"], abs=1e-5)
    assert row["collections"]["three"] == pytest.approx(0.5 - before["three"], abs=1e-5)  # d1, d0, d2: ranks by place
    assert row["difference"] == pytest.approx(np.mean(list(row["collections"].values())), abs=1e-5)


def test_the_page_takes_figures_from_where_they_are_and_says_what_they_mean(tmp_path):
    shared = {"paper": "A Paper", "switch": "—", "measured": "here", "date": "2026-01-02"}
    ideas = [
        {"idea": "first", "state": "on", "from": ["other.json", "deep", "er"], **shared},
        {"idea": "second", "state": "not built", "difference": -0.02, "low": -0.03, "high": -0.01, **shared},
        {"idea": "third", "state": "not built", "difference": 0.001, "low": -0.03, "high": 0.02, **shared},
        {"idea": "fourth", "state": "switch", "told": ".5 | .6", "verdict": "as good", **shared},
    ]
    (tmp_path / "labs.json").write_text(json.dumps(ideas))
    (tmp_path / "other.json").write_text(json.dumps({"deep": {"er": {"difference": 0.1, "low": 0.05, "high": 0.2}}}))
    page = tmp_path / "labs.md"

    def script(*options):
        command = [sys.executable, QUALITY / "labs_page.py", "--results", tmp_path, "--page", page, *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert script().returncode == 0
    rows = [line for line in page.read_text().splitlines() if line.endswith("2026-01-02 |")]
    assert rows == [
        "| first | A Paper | — | here | **+0.1000 (+0.0500 to +0.2000)** | better | 2026-01-02 |",
        "| fourth | A Paper | — | here | .5 \\| .6 | as good | 2026-01-02 |",
        "| second | A Paper | — | here | **-0.0200 (-0.0300 to -0.0100)** | worse | 2026-01-02 |",
        "| third | A Paper | — | here | +0.0010 (-0.0300 to +0.0200) | no difference | 2026-01-02 |",
    ]
    assert script("--check").returncode == 0
    page.write_text("old")
    assert "stale" in script("--check").stderr


def test_the_committed_page_is_that_of_the_committed_results():
    import labs_page

    assert labs_page.PAGE.read_text(encoding="utf-8") == labs_page.page(QUALITY / "results")
