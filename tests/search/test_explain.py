"""A search told: what it did, why each hit is where it is, and where an expected document got lost."""

import dataclasses

import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import NotFound
from hybridstore.records import Trace

CROWD = [hs.Document(id=f"c{n}", text=f"the river flows past stone number {n}") for n in range(40)]
ODD = [
    hs.Document(id="castle", title="A castle", text="a castle stands by the river", metadata={"lang": "en"}),
    hs.Document(id="burg", text="eine Burg", metadata={"lang": "de"}),
    hs.Document(id="far", text="quantum chromodynamics"),
]


@pytest.fixture
def store(tmp_path):
    with hs.open(tmp_path / "store.db", embedder=HashingEmbedder(64)) as store:
        store.add(CROWD + ODD)
        yield store


def test_the_story_tells_the_search(store):
    explanation = store.explain('castle -stone "the river"')
    story = str(explanation)
    for part in (
        'Query: castle -stone "the river"',
        "both legs",
        'Must hold: "the river"',
        "Must not hold: stone",
        "castl (in 1, idf ",
        "Keyword leg: 1 candidates, BM25 ",
        "Vector leg: 1 candidates, cosine ",
        "Fused by rrf, weights 1 and 1; the legs share 1 of their top 10.",
        "1. castle  A castle  [0:28]",
        "keyword rank 1 (BM25 ",
        "vector rank 1 (cosine ",
        "Milliseconds: plan ",
    ):
        assert part in story, part


def test_an_explanation_is_the_trace_of_the_same_search(store):
    explanation = store.explain("castle river", limit=3)
    trace = store.search("castle river", limit=3).trace
    assert isinstance(explanation, Trace)
    told = {f.name: getattr(explanation, f.name) for f in dataclasses.fields(Trace)}
    for name in ("query", "mode", "terms", "hits", "weights", "limit", "depth", "revision", "notes"):
        assert told[name] == getattr(trace, name)
    assert explanation.fused.chunks.tolist() == trace.fused.chunks.tolist()


def test_terms_say_what_was_searched_for(store):
    terms = {term.text: term for term in store.search('castle castles "the river" zebra').trace.terms}
    assert (terms["castl"].count, terms["castl"].document_frequency, terms["castl"].used) == (2, 1, True)
    assert terms["zebra"].document_frequency == 0
    assert (terms["river"].document_frequency, terms["river"].used) == (41, False)  # in the phrase alone
    assert terms["castl"].idf > terms["river"].idf


def test_many_terms_are_summed_up(store):
    story = str(store.explain(" ".join(f"word{n}" for n in range(20)), mode="keyword"))
    assert "and 8 more" in story


def expect(store, query, document_id, **options):
    return store.explain(query, expect=document_id, **options).expected


def test_a_document_that_was_found(store):
    expected = expect(store, "castle", "castle")
    assert (expected.lost, expected.rank) == (None, 1)
    assert "at rank 1" in expected.story


def test_an_unknown_document(store):
    with pytest.raises(NotFound, match="nobody"):
        store.explain("castle", expect="nobody")


def test_a_document_the_filter_kept_out(store):
    expected = expect(store, "castle", "castle", where={"lang": "de"})
    assert expected.lost == "restricted"
    assert "does not pass the filter" in expected.story


def test_a_document_without_the_phrase(store):
    expected = expect(store, '"the river"', "burg")
    assert expected.lost == "restricted"
    assert "quoted phrase" in expected.story


def test_a_document_with_an_excluded_word(store):
    expected = expect(store, "castle -river", "castle")
    assert expected.lost == "restricted"
    assert "excluded word" in expected.story


def test_a_phrase_that_is_nowhere_keeps_nobody_out(store):
    assert expect(store, '"river the castle"', "castle", limit=50).lost is None


def test_a_document_below_the_limit(store):
    expected = expect(store, "river stone", "castle", limit=3)
    assert expected.lost == "fusion"
    assert expected.rank > 3
    assert f"limit={expected.rank}" in expected.story
    rank = expected.rank
    assert store.search("river stone", limit=rank, depth=200)[rank - 1].document_id == "castle"


def test_a_document_below_the_depth(store):
    expected = expect(store, "river stone", "castle", mode="keyword", limit=2, depth=2)
    assert expected.lost == "legs"
    assert f"depth={expected.keyword_rank}" in expected.story
    deeper = store.explain("river stone", expect="castle", mode="keyword", limit=2, depth=expected.keyword_rank)
    assert deeper.expected.lost == "fusion"


def test_a_document_that_shares_no_word(store):
    expected = expect(store, "river stone", "far", mode="keyword")
    assert expected.lost == "legs"
    assert "shares no word" in expected.story
    assert expected.keyword_rank is None


def test_a_document_that_is_far_in_meaning(store):
    expected = expect(store, "river stone", "far", mode="vector", limit=2, depth=5)
    assert expected.lost == "legs"
    assert "below its first 5" in expected.story


def test_with_a_phrase_the_ranks_told_are_those_of_the_search(store):
    """The words of a phrase must not be searched for alone when a document is followed deeper."""
    store.add([hs.Document(id=f"x{n}", text="the river " * (n + 1) + "stone " * (20 - n)) for n in range(20)])
    ranking = store.search('"the river" stone', mode="keyword", limit=100, depth=200)
    last = ranking[len(ranking) - 1]
    followed = expect(store, '"the river" stone', last.document_id, mode="keyword", limit=1, depth=1)
    assert followed.keyword_rank == last.rank


def test_every_story_can_be_told_in_every_mode(store):
    for mode in ("hybrid", "keyword", "vector"):
        for document in (*ODD, CROWD[0]):
            assert document.id in str(store.explain("river castle", mode=mode, limit=1, depth=2, expect=document.id))
