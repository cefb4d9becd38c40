"""Words that are completed while a query is typed, and queries that are corrected."""

import pytest

import hybridstore as hs
from hybridstore.search.completion import completed
from hybridstore.search.spelling import corrected


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    with hs.open(":memory:" if request.param == "memory" else tmp_path / "s.db", embedder="none") as opened:
        opened.add(
            [
                "Valves and a valve: the configuration of the Valencia plant.",
                "The valve leaks. Configurations vary.",
                "Straßenbahn, <script>, Паспорт.",
            ]
        )
        yield opened


def test_words_of_other_documents_are_not_offered(store):
    store.add(hs.Document(text="The valkyrie rides.", metadata={"secret": True}))
    assert "valkyrie" in store.complete("val")
    assert "valkyrie" not in store.complete("val", where={"secret": {"$ne": True}})


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("val", ["valve", "valves", "valencia"]),
        ("the VALE", ["valencia"]),
        ("configurati", ["configuration"]),  # its stem is shorter than what is typed
        ("Паср", []),
        ("пасп", ["паспорт"]),
        ("v", []),
        ("valve ", []),
        ("", []),
        ("E40", []),
        ("zzz", []),
    ],
)
def test_the_last_word_is_completed_from_the_vocabulary(store, query, words):
    assert set(store.complete(query)) >= set(words)
    assert bool(store.complete(query)) == bool(words)


def test_no_more_words_than_wanted_are_returned(store):
    assert len(store.complete("va", limit=2)) == 2
    assert store.complete("va", limit=0) == []


@pytest.mark.parametrize(
    ("query", "word", "whole"),
    [("water esc", "escapes", "water escapes"), ('"wat', "water", '"water'), ("title:pu", "pump", "title:pump")],
)
def test_a_query_is_completed_in_its_last_word_alone(query, word, whole):
    assert completed(query, word) == whole


def test_a_corrected_query_has_the_words_that_were_suggested(store):
    assert corrected("Leaks valencai", store.search("Leaks valencai").notes) == "Leaks valencia"
    assert corrected("valve", store.search("valve").notes) is None
