"""Harvesting of the log, feedback, text and judgments, and which earlier triples stay."""

import json

import pytest

import hybridstore as hs
from hybridstore.backends.learning import Triple
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.tuning import user_questions
from hybridstore.tuning.user_questions import harvest_sources

PARTS = ("valve", "gasket", "flange", "bearing", "piston", "rotor", "stator", "bushing")


def document(part, place):
    return hs.Document(
        id=f"{part}-{place}",
        title=f"The {part} in the {place}",
        text=f"Every {part} of the {place} is inspected in autumn and greased with lithium soap afterwards. "
        f"A worn {part} hums at low speed; then the crew of the {place} takes it apart on a bench.",
    )


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(user_questions, "CORPUS", 12)
    with hs.open(tmp_path / "parts.db", embedder=HashingEmbedder()) as store:
        store.add([document(part, place) for part in PARTS for place in ("workshop", "shed", "foundry")])
        yield store


@pytest.fixture
def judged(tmp_path):
    def write(*rows):
        path = tmp_path / "judged.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


def kept(store):
    return sorted((triple.kind, triple.query) for triple in store.learning.triples())


def test_own_sources_are_the_log_feedback_and_text(store):
    store.learning.log_queries(["who greases the valve of the shed"])
    store.feedback("what hums", store.search("worn rotor shed")[0])
    progress = []
    summary = harvest_sources(store, own=True, progress=lambda *each: progress.append(each))
    assert summary.questions["log"] == summary.questions["feedback"] == 1
    assert sum(summary.questions.values()) == 14
    assert summary.triples == summary.kept == len(kept(store))
    assert 0 <= summary.disagreement <= 1
    assert progress == [(number, 14) for number in range(1, 15)]


def test_a_second_harvest_replaces_the_first(store):
    harvest_sources(store, own=True)
    before = kept(store)
    assert harvest_sources(store, own=True).kept == len(before)
    assert kept(store) == before
    harvest_sources(store, own=True, seed=8)
    assert kept(store) != before


def test_what_cannot_be_made_again_stays_and_what_is_judged_anew_is_replaced(store, judged):
    chunk = store.search("valve shed")[0].chunk_id
    written = [
        Triple(query=query, kind=kind, positive=chunk, score=0.5)
        for query, kind in (("q one", "endpoint"), ("q two", "labelled"), ("valve foundry", "labelled"), ("q", "log"))
    ]
    store.learning.add_triples(written)
    summary = harvest_sources(store, labelled=judged({"query": "valve foundry", "document": "valve-foundry"}), own=True)
    stored = kept(store)
    assert ("endpoint", "q one") in stored
    assert ("labelled", "q two") in stored
    assert stored.count(("labelled", "valve foundry")) == 1
    assert ("log", "q") not in stored
    assert summary.questions["labelled"] == 1
    assert summary.kept == len(stored) == summary.triples + 2


def test_judgments_alone_are_added_to_the_existing_triples(store, judged):
    harvest_sources(store, own=True)
    before = kept(store)
    summary = harvest_sources(store, labelled=judged({"query": "valve foundry", "document": "valve-foundry"}))
    assert kept(store) == sorted([*before, ("labelled", "valve foundry")])
    assert (summary.questions, summary.triples) == ({"labelled": 1}, 1)


def test_judgments_that_name_no_answer_are_rejected(store, judged):
    path = judged({"query": "valve foundry", "document": "valve-foundry", "relevant": False})
    with pytest.raises(InputError, match="no document of the store answers a question there"):
        harvest_sources(store, labelled=path)


def test_without_sources_nothing_is_harvested(store):
    summary = harvest_sources(store)
    assert (summary.questions, summary.triples, summary.kept, summary.disagreement) == ({}, 0, 0, None)
