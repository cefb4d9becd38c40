"""Feedback on recalled notes survives changes of their facts."""

import pytest

import hybridstore as hs


def words(memory):
    return [(word.query, word.document_id, word.used) for word in memory.store.learning.feedback()]


@pytest.fixture
def told(memory):
    memory.remember("Anna lives in Paris", id="home")
    memory.remember("Ben likes tea", id="tea")
    recall = memory.recall("where does Anna live")
    memory.feedback(recall, used="home", unused=["tea"])
    return recall


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda memory: memory.remember("Anna lives in Paris", id="home", metadata={"new": 1}),
        lambda memory: memory.remember("Anna moved to Rome", supersedes="home"),
        lambda memory: memory.remember("Anna lives in Paris, France", on_similar="link", similarity=0.3),
    ],
    ids=["updated", "superseded", "linked"],
)
def test_feedback_survives_a_change_of_a_notes_facts(memory, told, rewrite):
    before = words(memory)
    assert len(before) == 2
    assert rewrite(memory).status in {"updated", "superseded", "added"}
    assert words(memory) == before


def test_feedback_may_come_after_the_notes_facts_changed(memory):
    memory.remember("Anna lives in Paris", id="home")
    recall = memory.recall("where does Anna live")
    memory.remember("Anna moved to Rome", id="move", supersedes="home")
    memory.feedback(recall, used=["home"])
    assert words(memory) == [("where does Anna live", memory.get("home").uri, True)]


@pytest.mark.parametrize("way", ["forgotten", "changed"])
def test_feedback_on_a_forgotten_note_is_rejected_as_a_whole(memory, told, way):
    before = words(memory)
    if way == "forgotten":
        memory.forget("home")
    else:
        memory.remember("Anna lives in Rome", id="home")
    left = words(memory)
    assert left == [word for word in before if not word[1].endswith("/home")]
    with pytest.raises(hs.NotFound, match="forgotten or changed"):
        memory.feedback(told, used=["tea", "home"])
    assert words(memory) == left


def test_an_id_that_was_not_recalled_is_rejected_before_anything_is_recorded(memory):
    memory.remember("Anna lives in Paris", id="home")
    recall = memory.recall("where does Anna live")
    with pytest.raises(hs.InputError, match="not among what was recalled"):
        memory.feedback(recall, used=["home", "away"])
    assert words(memory) == []


def test_forgotten_feedback_leaves_nothing_behind(memory, told):
    memory.remember("Anna moved to Rome", id="move", supersedes="home")
    memory.forget("move")
    assert [word[1] for word in words(memory)] == [memory.get("tea").uri]
    assert memory.store._backend.check() == []
