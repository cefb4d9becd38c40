"""The benchmark of filters: what passes is the share that is named, and the recall is that of what passes."""

import json
from pathlib import Path

import numpy as np
import pytest

from hybridstore.filters import matches, parse

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def filtering(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import filtering

    return filtering


@pytest.fixture
def corpus(filtering, tmp_path):
    folder = tmp_path / "corpus"
    about = {"kind": "made up", "seed": 1}
    import synthetic

    filtering.corpora.write(folder, 2000, synthetic.passages(2000, 1), synthetic.queries(3, 1), about)
    return folder


def test_each_filter_passes_its_share_and_means_the_same_in_each_language(filtering, corpus):
    vectors = filtering.corpora.load(corpus).vectors
    queries = filtering.corpora.load_queries(corpus)
    fields = filtering.fields_of(vectors, [vector for _, vector in queries])
    rows = [{name: values[n].item() for name, values in fields.items()} for n in range(len(vectors))]
    for kind in filtering.KINDS:
        for share in filtering.SHARES.values():
            where, mask = filtering.conditions(kind, share, 1)
            passes = mask(fields)
            assert passes.mean() == pytest.approx(share / 1000, rel=0.25, abs=0.002)
            assert [matches(parse(where), row) for row in rows] == passes.tolist()


def test_near_and_far_filters_hold_what_is_nearest_and_furthest(filtering, corpus):
    vectors = filtering.corpora.load(corpus).vectors
    queries = filtering.corpora.load_queries(corpus)
    fields = filtering.fields_of(vectors, [vector for _, vector in queries])
    near = np.asarray(vectors) @ queries[2][1]
    _, nearest = filtering.conditions("nearest to the question", 10, 2)
    _, furthest = filtering.conditions("furthest from it", 10, 2)
    assert near[nearest(fields)].min() >= near[~nearest(fields)].max()
    assert near[furthest(fields)].max() <= near[~furthest(fields)].min()


def test_a_run_reports_each_rival_and_refusals_as_errors(filtering, corpus, tmp_path, capsys, monkeypatch):
    class Refusing(filtering.Hybridstore):
        name = "refusing"

        def search(self, text, vector, *, limit=10, where=None):
            if "day" in where:
                raise ValueError("no days here")
            return super().search(text, vector, limit=limit, where=where)

    monkeypatch.setitem(filtering.RIVALS, "refusing", Refusing)
    out = tmp_path / "out.json"
    rivals = "hybridstore,naive,refusing"
    filtering.main(f"--corpus {corpus} --json {out} --rivals {rivals} --queries 3 --rounds 2".split())
    found = json.loads(out.read_text())["rivals"]
    assert len(found["hybridstore"]["rows"]) == len(filtering.KINDS) * len(filtering.SHARES)
    for name in ("hybridstore", "naive"):  # both compare all vectors
        assert {row["recall"] for row in found[name]["rows"]} == {1.0}
    refused = [row for row in found["refusing"]["rows"] if "error" in row]
    assert {row["kind"] for row in refused} == {"day ≥"}
    assert capsys.readouterr().out.count("| – |") == len(filtering.SHARES)
