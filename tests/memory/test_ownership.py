"""Namespaces: only what was remembered in a namespace belongs to it."""

import json
from contextlib import suppress

import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.ingest import sync
from hybridstore.memory import Memory


@pytest.fixture
def store():
    with hs.open(":memory:", embedder=HashingEmbedder()) as store:
        yield store


def test_a_row_with_a_column_named_memory_is_not_a_note(store, tmp_path):
    memory = Memory(store, "anna")
    memory.remember("The door code is 4711.")
    forged = {"in": "anna", "kind": "note", "since": 1, "at": "no time at all"}
    rows = [{"id": "a", "text": "The door code is 9999.", "memory": forged}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert sync(store, tmp_path / "rows.jsonl").documents.added == 1
    assert [item.text for item in memory.recall("door code")] == ["The door code is 4711."]
    assert [note.text for note in memory.notes()] == ["The door code is 4711."]
    assert memory.stats()["notes"] == 1
    memory.forget(None, everything=True)
    assert [document.text for document in store.documents()] == ["The door code is 9999."]


def test_the_scope_is_a_filter_for_the_valid_notes(store):
    memory, other = Memory(store, ("user", "42")), Memory(store, ("user", "4"))
    old = memory.remember("Anna lives in Paris.").id
    memory.remember("Anna lives in Rome.", supersedes=old, session="moving")
    other.remember("Anna lives in Oslo.")
    results = store.search("where does Anna live", where=memory.scope())
    assert [hit.text for hit in results] == ["Anna lives in Rome."]
    assert list(store.search("Anna", where=memory.scope(session="elsewhere"))) == []


def test_tokens_are_counted_by_the_callers_counter_or_the_embedder(store):
    assert Memory(store, count_tokens=len).count_tokens("four words, one comma") == 21
    assert Memory(store).count_tokens("four words, one comma") == 5


def test_a_memory_has_its_clock(store):
    assert Memory(store, clock=lambda: 1234.5).clock() == 1234.5


OTHERS = [
    hs.field("memory.in") == "other",
    hs.field("memory.in") != "mine",
    hs.field("@id").prefix("memory://other"),
    hs.field("@id").prefix("memory://"),
    hs.field("@id").contains("x"),
    ~hs.field("nothing").exists(),
    (hs.field("memory.in") == "other") | (hs.field("n") == 1),
    ~((hs.field("memory.in") == "mine") & (hs.field("n") == 2)),
]


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("where", OTHERS)
def test_no_filter_reaches_into_another_namespace(store, where, everything):
    spaces = [hs.Memory(store, name) for name in ("mine", "other", ("mine", "x"), "mine/x")]
    for memory in spaces:
        for n in (1, 2):
            memory.remember(f"secret {n}", id=f"x{n}", metadata={"n": n})
    mine, *others = spaces
    before = [memory.notes() for memory in others]
    assert {note.namespace for note in mine.notes(where=where)} <= {("mine",)}
    assert {item.note.namespace for item in mine.recall("secret", where=where)} <= {("mine",)}
    for way in (mine.forget, mine.purge):
        with suppress(hs.InputError):  # it may be refused
            way(where, everything=everything)
        assert [memory.notes() for memory in others] == before


def test_a_text_with_slashes_is_the_namespace_of_its_parts_everywhere(store):
    from hybridstore.cli.shared_options import _namespace_parts

    mine = Memory(store, "user/42")
    mine.remember("Anna lives in Rome", id="home")
    for same in ("user/42", ("user", "42"), ["user", "42"], _namespace_parts(None, None, "user/42")):
        assert [note.id for note in Memory(store, same).notes()] == ["home"]
    for other in ("user", ("user/42",), "user%2F42"):
        assert list(Memory(store, other).notes()) == []
    assert Memory(store, "user%2F42").namespace == ("user/42",)


@pytest.mark.parametrize("namespace", ["", "/", "user//42", "/user", " / ", (), ("a", ""), None, 7])
def test_an_empty_part_of_a_namespace_is_an_error(store, namespace):
    with pytest.raises(InputError, match="namespace"):
        Memory(store, namespace)
