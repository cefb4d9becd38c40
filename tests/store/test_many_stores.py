"""search_many: several stores rank as one store with everything, and each hit names its store."""

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.store import many_stores
from hybridstore.store.calibration import measure

EMBEDDER = HashingEmbedder(64)
SUBJECTS = ("pump", "valve", "hall", "inlet", "gasket", "bearing", "motor", "filter", "hose", "sensor")
VERBS = ("leaks", "fails", "overheats", "rattles", "stops", "drips")


def _sentence(rng: np.random.Generator, third: int) -> str:
    one, other = rng.choice(SUBJECTS), rng.choice(SUBJECTS[third : 4 + 3 * third])
    return f"The {one} {rng.choice(VERBS)} when the {other} {rng.choice(VERBS)} at {rng.integers(1, 40)} bar."


def documents(count: int = 600) -> list[hs.Document]:
    """Return documents of which each third has other common words."""
    rng = np.random.default_rng(3)
    return [
        hs.Document(
            id=f"d{n}",
            title=f"Report {n}" if n % 3 else "",
            text=" ".join(_sentence(rng, n // 200) for _ in range(int(rng.integers(1, 5)))),
            metadata={"year": 2000 + n % 20, "even": n % 2 == 0},
        )
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Return one store with everything, and three with parts of different sizes."""
    folder, everything = tmp_path_factory.mktemp("many"), documents()
    parts = {"a": everything[:350], "b": everything[350:360], "c": everything[360:]}
    opened = {name: hs.open(folder / f"{name}.db", embedder=EMBEDDER) for name in parts}
    for name, part in parts.items():
        opened[name].add(part)
    with hs.open(folder / "whole.db", embedder=EMBEDDER) as whole:
        whole.add(everything)
        yield whole, opened
    for store in opened.values():
        store.close()


# Beyond a store's 64 best cosines are of codes, so those of several stores are exact further down.
TOLERANCES = {"keyword_score": 2e-4, "vector_score": 5e-3, "score": 2e-3, "relevance": 5e-2, "keyword_rank": 0}
QUERIES = [
    ("why does the pump overheat", {}),
    ("valve leaks at 12 bar", {"where": {"year": {"$gte": 2010}}}),
    ('"gasket drips" hose', {}),
    ("title:report motor rattles", {"limit": 20}),
    ("rattl* AND sensor", {"syntax": "advanced"}),
    ("hose", {"where": {"even": True}, "min_relevance": 0.01}),
    ("pump valve filter", {"fusion": "rrf"}),
    ("pump valve filter", {"fusion": "convex"}),
    ('inlet -"pump"', {"mode": "keyword"}),
    ("bearing stops", {"mode": "vector"}),
    ("sensor fails", {"per_document": 1, "unique": True, "diversity": 0.2}),
    ("sensor fails", {"vector": EMBEDDER.embed_query("hose drips")}),
    ("unknownword", {}),
    ("motor", {"legs": ["keyword"]}),
    (hs.about("the pump overheats") & ~hs.words("gasket") & hs.where({"even": True}), {}),
]  # fmt: skip


@pytest.mark.parametrize(("query", "options"), QUERIES)
def test_several_stores_rank_as_one(stores, query, options):
    whole, opened = stores
    expected, found = whole.search(query, **options), hs.search_many(opened, query, **options)
    assert [(hit.document_id, hit.text) for hit in found] == [(hit.document_id, hit.text) for hit in expected]
    for name, tolerance in TOLERANCES.items():
        scores = [[getattr(hit, name) or 0.0 for hit in results] for results in (found, expected)]
        assert scores[0] == pytest.approx(scores[1], abs=tolerance), name
    assert found.trace.terms == expected.trace.terms
    assert found.confidence == pytest.approx(expected.confidence, abs=1e-4)
    assert found.notes == expected.notes
    for hit in found:
        assert opened[hit.store].chunks.passages([hit.chunk_id])[0].document_id == hit.document_id


def test_the_whole_ranking_is_the_same(stores):
    whole, opened = stores
    for subject in SUBJECTS:
        query = f"which {subject} {VERBS[len(subject) % 6]}"
        expected, found = whole.search(query, limit=100), hs.search_many(opened, query, limit=100)
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=TOLERANCES["score"])
        for name in ("keyword", "vector"):
            of_one, of_many = getattr(expected.trace, name), getattr(found.trace, name)
            assert of_many.scores == pytest.approx(of_one.scores, abs=TOLERANCES[f"{name}_score"])


def test_the_stores_are_measured_together_once(stores, monkeypatch):
    whole, opened = stores
    many_stores._calibrations.clear()
    calls = []
    monkeypatch.setattr(many_stores.calibration, "measure", lambda *of: calls.append(of) or measure(*of))
    results = [hs.search_many(opened, "pump leaks", limit=1) for _ in range(3)]
    assert len(calls) == 1
    own, (calibration, *_) = whole.state().calibration, many_stores._calibrations.values()
    for name in ("chunks", "power", "chance", "spread", "foreign"):
        assert getattr(calibration, name) == pytest.approx(getattr(own, name), abs=1e-5), name
    assert results[0].trace.power == pytest.approx(own.power, abs=1e-5)
    assert hs.search_many([opened["a"]], "pump").trace.power == opened["a"].state().calibration.power
    monkeypatch.setattr(many_stores, "_REMEMBERED", 0)
    hs.search_many([opened["b"], opened["a"]], "pump leaks")
    assert not many_stores._calibrations


def test_stores_of_a_list_are_named_by_their_place_and_results_are_a_table(stores):
    _, opened = stores
    found = hs.search_many(opened.values(), "pump", limit=30)
    assert {hit.store for hit in found} <= {store.location for store in opened.values()}
    assert found[:2].to_dicts()[0]["store"] == found[0].store
    assert [hit.rank for hit in found] == list(range(1, 31))
    assert found[0].to_dict()["chunk_id"] == found[0].chunk_id
    assert str(found.trace.query) == "pump"


def test_kinds_of_stores_are_mixed_and_empty_ones_change_nothing(stores):
    _, opened = stores
    part = documents()[350:360]
    with hs.open(":memory:", embedder=EMBEDDER) as memory, hs.open(":memory:") as empty:
        memory.add(part)
        expected = hs.search_many([opened["a"], opened["b"]], "hose drips", limit=20)
        found = hs.search_many([opened["a"], empty, memory], "hose drips", limit=20)
        assert [hit.document_id for hit in found] == [hit.document_id for hit in expected]
        assert list(hs.search_many([empty], "hose")) == []
        assert list(hs.search_many([empty], "hose", mode="vector")) == []


def test_vectors_that_are_still_to_be_made_are_estimated(tmp_path):
    with hs.open(tmp_path / "a.db", embedder=EMBEDDER) as one, hs.open(tmp_path / "b.db", embedder=EMBEDDER) as other:
        one.add(documents(120))
        other.add(documents(200)[120:], vectors="later")
        found = hs.search_many({"one": one, "other": other}, "hose drips at 12 bar", limit=50)
        assert {hit.store for hit in found} == {"one", "other"}
        assert found.trace.filled == pytest.approx(0.6)


def test_neighbours_of_another_store_are_neighbours(stores):
    _, opened = stores
    found = hs.search_many(opened, "pump leaks", around=lambda id_: [f"d{int(id_[1:]) + n}" for n in range(-2, 3)])
    assert len(found) == 10


def test_a_word_that_no_store_has_is_told_with_one_that_some_have(stores):
    _, opened = stores
    assert any("did you mean" in note for note in hs.search_many(opened, "sensr").notes)
    assert any("No document has the field" in note for note in hs.search_many(opened, "pump", where={"yaer": 1}).notes)


def test_stores_that_cannot_rank_as_one_are_refused(stores):
    _, opened = stores
    one, two = opened["a"], opened["b"]
    with pytest.raises(hs.InputError, match="at least one store"):
        hs.search_many([], "pump")
    with pytest.raises(hs.InputError, match="named twice"):
        hs.search_many([one, two, one], "pump")
    with pytest.raises(hs.InputError, match="open stores, not str"):
        hs.search_many(["a.db"], "pump")
    with pytest.raises(hs.EmptyQuery):
        hs.search_many([one, two], "  ")
    with pytest.raises(hs.InputError, match="limit="):
        hs.search_many([one, two], "pump", top_k=3)
    german = hs.open(":memory:", language="german", embedder=EMBEDDER)
    with german, pytest.raises(hs.InputError, match="analysed differently: english"):
        hs.search_many([one, german], "pump")
    with hs.open(":memory:", embedder=HashingEmbedder(32)) as other, hs.open(":memory:", embedder="none") as plain:
        other.add("the pump")
        plain.add("the pump")
        with pytest.raises(hs.EmbedderMismatch, match="different embedders"):
            hs.search_many([one, other], "pump")
        with pytest.raises(hs.InputError, match="has no vectors"):
            hs.search_many([one, plain], "pump")
        for stores_ in ([one, other], [one, plain]):
            assert hs.search_many(stores_, "pump", mode="keyword")
            assert hs.search_many(stores_, "pump", legs="keyword")
        assert hs.search_many([plain], "pump")[0].vector_rank is None
    with pytest.raises(hs.HybridstoreError, match="closed"):
        hs.search_many([one, other], "pump")
