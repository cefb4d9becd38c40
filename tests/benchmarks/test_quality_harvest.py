"""The harvest benchmark: false negatives are counted by the judgments, and a search is made once."""

import json
from pathlib import Path

import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.evaluation import Collection

QUALITY = Path(__file__).parents[2] / "benchmarks" / "quality"
TOPICS = ("sail", "anchor", "mast", "deck", "rudder", "keel", "bow", "stern", "hull", "galley", "cabin", "winch")


@pytest.fixture
def harbour(tmp_path, monkeypatch):
    """Return a collection and a store of it; every question is answered by two documents."""
    monkeypatch.syspath_prepend(str(QUALITY))
    folder = tmp_path / "harbour"
    (folder / "qrels").mkdir(parents=True)
    documents = {
        f"{topic}-{n}": f"The {topic} of the {place} boat is painted in spring when the {topic} is dry; a second coat "
        f"follows in {month} before the crew of the {place} boat goes out to fish again along the coast."
        for topic in TOPICS
        for n, (place, month) in enumerate((("northern", "May"), ("southern", "June"), ("old", "July")))
    }
    rows = [json.dumps({"_id": name, "text": text}) for name, text in documents.items()]
    (folder / "corpus.jsonl").write_text("\n".join(rows))
    rows = [json.dumps({"_id": topic, "text": f"when is the {topic} of the boat painted"}) for topic in TOPICS]
    (folder / "queries.jsonl").write_text("\n".join(rows))
    judged = [f"{topic}\t{topic}-{n}\t1" for topic in TOPICS for n in (0, 1)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]))
    with hs.open(tmp_path / "harbour.db", embedder=HashingEmbedder()) as store:
        store.add([hs.Document(id=name, text=text) for name, text in documents.items()])
        yield store, Collection(folder)


def test_guards_are_compared_on_the_same_search(harbour, monkeypatch):
    import harvest

    store, collection = harbour
    asked = []
    search = hs.Store.search
    monkeypatch.setattr(
        hs.Store, "search", lambda self, query, **more: asked.append(query) or search(self, query, **more)
    )
    result = harvest.measured(store, collection, queries=10, made=5, seed=0)
    assert result["chunks"] == 36
    assert result["log"]["questions"] == 10
    assert result["corpus"]["questions"] == 5
    assert len(asked) == 10 + 5
    assert list(result["guards"]) == ["no guard", "margin", "judge", "both"]
    without, both = result["guards"]["no guard"], result["guards"]["both"]
    assert without["excluded"] == {"margin": 0, "judge": 0}
    assert both["relevant"] <= without["relevant"]
    assert both["share"] == pytest.approx(both["relevant"] / max(both["negatives"], 1), abs=1e-5)


def test_the_page_has_a_row_for_each_collection_and_one_for_all(harbour):
    import harvest
    from harvest_report import harvest_page

    store, collection = harbour
    row = harvest.measured(store, collection, queries=4, made=3, seed=0)
    result = {
        **dict.fromkeys(("hybridstore", "embedder", "seed", "margin", "queries", "made"), 0),
        "collections": {"harbour": row, "quay": row},
        "macro": harvest.summed_up({"harbour": row, "quay": row}),
    }
    lines = [line for line in harvest_page(result) if line.startswith("|")]
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| harbour", "| quay", "| mean of the collections"]
    assert len({line.count("|") for line in lines}) == 1
    assert result["macro"]["share"]["both"] == row["guards"]["both"]["share"]
    assert [line.count(f"| {row['guards']['both']['share']:.2%} |") > 0 for line in lines[2:]] == [True] * 3


def test_committed_results_have_no_texts_and_half_the_false_negatives():
    result = json.loads((QUALITY / "results" / "harvest.json").read_text(encoding="utf-8"))
    assert len(result["collections"]) == 13
    assert result["macro"]["left"]["both"] <= 0.5
    assert result["macro"]["each"]["both"] >= 5
    texts = [value for value in _leaves(result) if isinstance(value, str)]
    assert all(len(text) < 100 for text in texts)


def _leaves(value):
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    else:
        yield value
