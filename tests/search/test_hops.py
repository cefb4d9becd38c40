"""Following a question from passage to passage."""

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


def test_a_filter_holds_for_every_hop(store):
    assert "firm" not in store.follow("Larkfield lamp", where={"@id": {"$ne": "firm"}}, limit=50)
