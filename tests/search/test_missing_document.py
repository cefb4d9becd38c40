"""An expected document is followed to the stage that lost it; what is said to bring it back does so when tried."""

from dataclasses import replace

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import NotFound
from hybridstore.search import missing_document
from hybridstore.search.missing_document import follow
from hybridstore.search.rank_fusion import adaptive
from hybridstore.search.remedies import FailedSearch
from hybridstore.text.analysis import Analyser


def shows(store, query, document_id, **options):
    return document_id in [hit.document_id for hit in store.search(query, **options)]


def expect(store, query, document_id, **options):
    """Follow a document, and try everything that is said to show it."""
    expected = store.explain(query, expect=document_id, **options).expected
    assert (expected.lost is None) == shows(store, query, document_id, **options)
    for remedy in expected.remedies:
        assert shows(store, query, document_id, **options | remedy), remedy
        for name, value in remedy.items():
            assert f"{name}={value!r}" in expected.story or name == "where"
    return expected


def test_a_document_that_was_found(store):
    expected = expect(store, "castle", "castle")
    assert (expected.lost, expected.rank, expected.remedies) == (None, 1, ())
    assert "at rank 1" in expected.story


def test_an_unknown_document(store):
    with pytest.raises(NotFound, match="nobody"):
        store.explain("castle", expect="nobody")


def test_a_document_the_filter_kept_out(store):
    expected = expect(store, "castle", "castle", where={"lang": "de"})
    assert expected.lost == "restricted"
    assert expected.story.endswith("it does not pass the filter. Without the filter it is shown.")
    assert expected.remedies == ({"where": None},)
    low = expect(store, "river stone", "castle", where={"lang": "de"}, limit=2)
    assert low.remedies[0]["limit"] > 2
    assert "Without the filter it is shown with limit=" in low.story


def test_a_document_without_the_phrase(store):
    expected = expect(store, '"the river"', "burg")
    assert expected.lost == "restricted"
    assert "quoted phrase" in expected.story


def test_a_document_with_an_excluded_word(store):
    expected = expect(store, 'castle -"river"', "castle")
    assert expected.lost == "restricted"
    assert "excluded word" in expected.story


def test_a_phrase_that_occurs_nowhere_excludes_nothing(store):
    assert expect(store, '"river the castle"', "castle", limit=50).lost is None


@pytest.mark.parametrize("fusion", ["adaptive", "rrf", "convex"])
def test_a_document_below_the_limit_enters_with_the_suggested_limit_and_no_lower(store, fusion):
    expected = expect(store, "river stone", "castle", limit=3, fusion=fusion)
    assert expected.lost == "fusion"
    assert expected.remedies[0] == {"limit": expected.rank}
    assert not shows(store, "river stone", "castle", limit=expected.rank - 1, fusion=fusion)


def test_a_limit_above_the_depth_comes_with_the_depth_it_needs(store, crowd, odd):
    lost = [expect(store, "castle flows past number 7", document.id, limit=3, depth=3) for document in (*crowd, odd[0])]
    deeper = [each.remedies[0] for each in lost if each.lost == "fusion" and each.rank > 3]
    assert any("depth" in remedy for remedy in deeper)


def test_a_leg_that_has_the_document_at_its_top_is_named():
    with hs.open(":memory:", embedder="none") as store:
        documents = [{"id": f"d{n}", "text": "valve " * (n == 9) + f"word{n} pump" + " more" * n} for n in range(10)]
        store.add(documents, vectors=[[1, 0.1 * n] for n in range(10)])
        options = {"vector": np.array([1.0, 0.0]), "limit": 1, "fusion": "convex"}
        told = {n: expect(store, "valve", f"d{n}", **options) for n in (0, 9)}
    lost = next(each for each in told.values() if each.lost)
    assert {"mode": "keyword"} in lost.remedies or {"mode": "vector"} in lost.remedies


def test_the_keyword_leg_is_said_to_need_as_much_weight_as_it_does():
    told = {}
    with hs.open(":memory:", embedder="none") as store:
        texts = {f"meaning{n}": (f"something else {n}", [1.0, 0.2 * n]) for n in range(3)}
        texts |= {
            "words": ("valve", [-0.2, 1.0]),
            "some": ("valve" + " more" * 9, [-0.3, 1.0]),
        }
        texts |= {f"crowd{n}": ("what else there is", [0.002 * n, 1.0]) for n in range(60)}
        ids = list(texts)
        store.add([{"id": id_, "text": texts[id_][0]} for id_ in ids], vectors=[texts[id_][1] for id_ in ids])
        options = {"vector": np.array([1.0, 0.0]), "limit": 1}
        trace = store.search("valve", **options).trace
        for id_ in ("words", "some"):
            told[id_] = expect(store, "valve", id_, **options)
    found = told["words"]
    assert found.lost == "fusion"
    low, high = found.weights
    assert high == 1.0
    assert f"if the keyword leg weighed at least {low:g} instead of {trace.weights[0]:.2f}." in found.story
    first = [adaptive(trace.evidence, (weight, 1 - weight)).chunks[0] for weight in (low - 0.01, low, high)]
    assert [chunk == trace.fused.chunks[found.rank - 1] for chunk in first] == [False, True, True]
    assert told["some"].weights is None
    assert "No weights of the legs put it among the first 1." in told["some"].story


def test_a_document_below_the_depth(store):
    expected = expect(store, "river stone", "castle", mode="keyword", limit=2, depth=2)
    assert expected.lost == "legs"
    assert f"candidate with depth={expected.keyword_rank}," in expected.story
    assert expected.remedies == ({"depth": expected.keyword_rank, "limit": expected.keyword_rank},)
    deeper = store.explain("river stone", expect="castle", mode="keyword", limit=2, depth=expected.keyword_rank)
    assert deeper.expected.lost == "fusion"


def test_a_document_too_deep_to_be_ranked_is_not_said_to_lack_the_words(monkeypatch):
    monkeypatch.setattr(missing_document, "DEEP", 5)
    with hs.open(":memory:", embedder="none") as store:
        store.add([{"id": f"d{n}", "text": "pump " + "more " * n} for n in range(9)] + [{"id": "none", "text": "more"}])
        deep, lacking = (expect(store, "pump", id_, limit=2, depth=2) for id_ in ("d8", "none"))
        monkeypatch.setattr(missing_document, "DEEP", 50)
        alone = expect(store, "pump", "none", limit=2, depth=2)
    assert "the keyword leg does not have it among its first 5" in deep.story
    assert "the keyword leg does not have it among its first 5" in lacking.story
    assert "it contains none of the words searched for" in alone.story


def test_a_document_that_both_legs_have_just_below_the_depth_needs_nothing_but_depth():
    with hs.open(":memory:", embedder="none") as store:
        texts = {"words": "pump pump pump", "meaning": "valve", "both": "pump pump of some"}
        vectors = [[0.0, 1.0], [1.0, 0.0], [1.0, 0.1]]
        store.add([{"id": id_, "text": text} for id_, text in texts.items()], vectors=vectors)
        store.add([{"text": f"other {n}"} for n in range(9)], vectors=[[-1.0, 0.1 * n] for n in range(9)])
        expected = expect(store, "pump", "both", vector=np.array([1.0, 0.0]), limit=1, depth=1)
    assert (expected.lost, expected.keyword_rank, expected.vector_rank) == ("legs", 2, 2)
    assert expected.remedies == ({"depth": 2},)
    assert expected.story.endswith("It becomes a candidate with depth=2, ranked at 1, and is shown.")


def test_a_document_that_holds_no_word_of_the_query(store):
    expected = expect(store, "river stone", "far", mode="keyword")
    assert (expected.lost, expected.keyword_rank, expected.remedies) == ("legs", None, ())
    assert "contains none of the words searched for" in expected.story


def test_a_document_that_is_far_in_meaning_is_followed_down(store):
    expected = expect(store, "river stone", "far", mode="vector", limit=2, depth=5)
    everything = [hit.document_id for hit in store.search("river stone", mode="vector", limit=43)]
    assert (expected.lost, expected.vector_rank) == ("legs", everything.index("far") + 1)
    assert "depth" in expected.remedies[0]


def test_a_document_without_a_vector_is_said_to_have_none(crowd, tmp_path):
    path = tmp_path / "store.db"
    with hs.open(path, embedder=HashingEmbedder(64)) as store, hs.open(path, embedder="none") as plain:
        store.add(crowd)
        plain.add(hs.Document(id="zero", text="nothing"))
        expected = expect(store, "river", "zero", mode="vector")
    assert (expected.lost, expected.vector_rank) == ("legs", None)
    assert expected.story == "zero was no candidate: it has no vector."


def test_a_document_that_is_not_relevant_enough_enters_with_the_relevance_it_names(store):
    expected = expect(store, "castle by the river", "burg", min_relevance=0.9, limit=50)
    assert expected.lost == "relevance"
    assert expected.relevance < 0.9
    assert f"its relevance is {expected.relevance:.2f}, below the required 0.90" in expected.story
    assert expected.remedies[0]["min_relevance"] == pytest.approx(expected.relevance, abs=0.01)


def test_a_threshold_and_a_limit_in_the_way_are_both_named(store):
    expected = expect(store, "castle by the river", "far", min_relevance=0.9, limit=1)
    assert expected.lost == "relevance"
    assert expected.remedies[0].keys() == {"min_relevance", "limit"}


def test_of_a_document_whose_best_passage_is_irrelevant_the_relevant_one_is_followed(store):
    text = "\n\n".join(("quantum physics " * 200, "the river " + "unlike any other " * 80))
    store.add(hs.Document(id="two", text=text))
    trace = store.search("castle by the river", limit=1, min_relevance=0.0).trace
    chunks = store.chunks.of(["two"])["two"]
    first, *_, last = [n for n, chunk in enumerate(trace.fused.chunks.tolist(), start=1) if chunk in chunks]
    relevance = np.full(len(trace.evidence.chunks), 0.9)
    relevance[np.isin(trace.evidence.chunks, chunks)] = 0.1
    relevance[trace.evidence.at(int(trace.fused.chunks[last - 1]))] = 0.9
    trace = replace(trace, evidence=replace(trace.evidence, relevance=relevance))
    search = FailedSearch(where=None, depth=None, min_relevance=0.5, again=lambda **_: trace)
    expected = follow(trace, store._backend, Analyser(), search, "two")
    assert 1 < first < last
    assert (expected.lost, expected.rank, expected.relevance) == ("fusion", last, 0.9)


def test_a_document_that_was_folded_or_passed_over_enters_without_that():
    with hs.open(":memory:", embedder=HashingEmbedder(64)) as store:
        store.add([hs.Document(id=f"copy{n}", text="The pump runs dry" + " " * n) for n in range(2)])
        store.add([hs.Document(id=f"d{n}", text=f"A pump with inlet {n} runs") for n in range(9)])
        kept, gone = (hit.document_id for hit in store.search("pump runs dry", limit=2))
        folded = expect(store, "pump runs dry", gone, unique=True)
        assert folded.lost == "selection"
        assert f"folded into {kept}" in folded.story
        assert folded.remedies[0]["unique"] is False
        passed = expect(store, "pump runs dry", gone, diversity=1.0, limit=2)
        assert (passed.lost, passed.remedies) == ("selection", ({"diversity": 0.0},))


def test_near_copies_above_a_document_do_not_count_into_its_limit():
    with hs.open(":memory:", embedder="none") as store:
        store.add([hs.Document(id=f"copy{n}", text="pump " * 3 + " " * n) for n in range(20)])
        store.add([hs.Document(id=id_, text=f"pump {id_} " + "word " * n) for n, id_ in ((5, "second"), (9, "third"))])
        expected = expect(store, "pump", "third", unique=True, limit=1)
    assert expected.rank == 22
    assert expected.remedies == ({"limit": 3},)


def test_with_a_phrase_the_ranks_are_those_of_the_search(store):
    """The words of a phrase must not be searched for alone when a document is followed deeper."""
    store.add([hs.Document(id=f"x{n}", text="the river " * (n + 1) + "stone " * (20 - n)) for n in range(20)])
    ranking = store.search('"the river" stone', mode="keyword", limit=100, depth=200)
    last = ranking[len(ranking) - 1]
    followed = expect(store, '"the river" stone', last.document_id, mode="keyword", limit=1, depth=1)
    assert followed.keyword_rank == last.rank


def test_an_id_with_braces_is_an_id(store):
    store.add(hs.Document(id="{a}{}", text="river of stone and more words than others have"))
    assert expect(store, "river stone", "{a}{}", limit=1).story.startswith("{a}{} was ranked at")


def test_every_mode_has_a_story(store, crowd, odd):
    for mode in ("hybrid", "keyword", "vector"):
        for document in (*odd, crowd[0]):
            expected = expect(store, "river castle", document.id, mode=mode, limit=1, depth=2)
            assert document.id in expected.story
