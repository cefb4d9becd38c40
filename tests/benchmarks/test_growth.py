"""The benchmark of growth: the same passages at every size, and figures of a process of its own."""

import json
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def growth(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import growth

    return growth


def test_a_larger_store_begins_with_the_passages_of_a_smaller_one(growth):
    small, large = (list(growth.passages(size, 1, 400)) for size in (600, 1000))
    assert [len(texts) for texts, _ in small] == [400, 200]
    assert small[1][0] == large[1][0][:200]
    assert np.array_equal(small[1][1], large[1][1][:200])


def test_a_question_is_near_a_passage_but_not_at_it(growth):
    _, vectors = next(growth.passages(400, 1, 400))
    best = (growth.questions(1, 400)[1] @ vectors.T).max(axis=1)
    assert 0.6 < best.min() <= best.max() < 0.95


def test_filling_yields_the_nearest_rows_of_all_so_far(growth, tmp_path):
    vectors = np.concatenate([block for _, block in growth.passages(800, 2, 400)])
    for filled, _, rows in growth.fill(tmp_path / "store.db", [400, 800], "int8", 2, 400):
        near = growth.questions(2, 400)[1] @ vectors[:filled].T
        assert np.array_equal(np.sort(rows, axis=1), np.sort(np.argsort(-near, axis=1)[:, :10], axis=1))


def test_each_size_is_measured_with_much_and_with_little_memory(growth, tmp_path, capsys):
    out = tmp_path / "out.json"
    growth.main(f"--sizes 200,600 --block 200 --store {tmp_path / 'store.db'} --json {out} --codec int8".split())
    rows = json.loads(out.read_text())["rows"]
    assert [row["passages"] for row in rows] == [200, 600]
    for row in rows:
        for own in (row["all"], row["little"]):
            assert own["recall"] > 0.9
            assert own["hybrid"]["n"] == growth.QUESTIONS
    assert "| the same, 200 MiB |" in capsys.readouterr().out
    for refused in (f"--store {tmp_path / 'store.db'}", f"--store {tmp_path / 'new.db'} --sizes 300 --block 200"):
        with pytest.raises(SystemExit):
            growth.main(f"{refused} --json {out}".split())
