"""Following a question from passage to passage."""

import re

import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder

TEXTS = {
    "brand": "The Larkfield lamp is made by Tolvanen Works in the north.",
    "firm": "Tolvanen Works was founded by Aino Rask, a smith.",
    "noise": "Who founded a company that makes lamps? A riddle for children.",
}


@pytest.fixture
def store():
    with hs.open(":memory:", embedder=HashingEmbedder(64)) as store:
        store.add([hs.Document(id=name, text=text) for name, text in TEXTS.items()])
        store.add([hs.Document(id=f"{n}", text=f"Some table and chair {n} stood in the hall.") for n in range(40)])
        yield store


def test_a_passage_leads_to_the_next_by_the_names_in_it(store):
    question = "Who began the maker of the Larkfield lamp?"
    plain = [hit.document_id for hit in store.search(question, limit=50)]
    results = store.follow(question, limit=50)
    followed = [hit.document_id for hit in results]
    assert followed.index("firm") < plain.index("firm") / 2
    first = results.trace.path[0]
    assert (first.number, first.document_id) == (2, "brand")
    assert "Tolvanen Works" in first.query
    assert [hit.score for hit in results] == sorted((hit.score for hit in results), reverse=True)
    assert all(0 < hit.score <= 1 for hit in results)
    assert results.trace.to_dict()["path"][0]["document_id"] == "brand"


def test_one_hop_is_a_plain_search_and_more_are_bounded(store):
    question = "Who began the maker of the Larkfield lamp?"
    assert [hit.chunk_id for hit in store.follow(question, hops=1)] == [hit.chunk_id for hit in store.search(question)]
    assert store.follow(question, hops=1).trace.path == ()
    assert {hop.number for hop in store.follow(question, hops=3).trace.path} <= {2, 3}
    for hops in (0, 5, True, 2.0):
        with pytest.raises(hs.InputError, match="hops"):
            store.follow(question, hops=hops)
    with pytest.raises(hs.EmptyQuery):
        store.follow("?")


def test_words_alone_can_be_followed():
    with hs.open(":memory:", embedder="none") as store:
        store.add([hs.Document(id=name, text=text) for name, text in TEXTS.items()])
        assert "firm" in store.follow("the maker of the Larkfield lamp", limit=3)
        assert store.follow("nothing of that kind", limit=3).trace.path == ()


def test_names_across_lines_are_asked_for_on_one():
    with hs.open(":memory:", embedder="none") as store:
        store.add(["# Larkfield\nLamp Works makes the lamp.", "Larkfield Lamp Works was founded by Ada."])
        (hop, *_) = store.search("who makes the lamp", hops=2).trace.path
        assert hop.query.startswith("Larkfield Lamp Works")


def test_a_filter_holds_for_every_hop(store):
    assert "firm" not in store.follow("Larkfield lamp", where={"@id": {"$ne": "firm"}}, limit=50)


def test_an_explanation_says_which_passage_led_where_and_draws_no_sums(store):
    explained = store.explain("Who began the maker of the Larkfield lamp?", hops=2, limit=5)
    written = str(explained)
    assert "2 searches deep; scores are made of ranks." in written
    assert re.search(r"brand \(passage \d+\) led to search 2, for: .*Tolvanen Works", written)
    assert "rank 1 of what brand led to" in written
    assert explained.other_weights is None
    assert "parts" not in explained.to_dict()["evidence"][0]
    lost = store.explain("Who began the maker of the Larkfield lamp?", hops=2, limit=1, expect="firm").expected
    assert (lost.lost, lost.weights) == ("fusion", None)
    assert {"limit": lost.rank} in lost.remedies


def test_options_of_a_search_hold_when_passages_are_followed(store):
    class Backwards:
        name = "backwards"

        def score(self, _, texts):
            return [1.0 if "table" in text else 0.0 for text in texts]

    question = "Who began the maker of the Larkfield lamp?"
    assert "table" in store.follow(question, rerank=Backwards())[0].text
    assert "firm" not in store.follow(question, exclude=["smith"], limit=50)
    assert store.follow(question, per_document=1, limit=50).trace.selection.per_document == 1
    for wrong in ({"min_relevance": 0.5}, {"syntax": "algebra"}):
        with pytest.raises(hs.InputError, match="hops"):
            store.follow("the Larkfield lamp", **wrong)


def test_where_no_passage_leads_on_the_search_is_a_plain_one():
    with hs.open(":memory:", embedder=HashingEmbedder(64)) as store:
        store.add(["lower case words about lamps", "and some about tables"])
        plain, followed = store.search("lamps"), store.search("lamps", hops=3)
        assert list(followed) == list(plain)
        assert followed.trace.evidence is not None
