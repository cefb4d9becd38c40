"""Forks: two devices that corrected the same note; both corrections are recalled until one is chosen."""

import pytest

import hybridstore as hs
from hybridstore.errors import InputError
from hybridstore.memory import Memory

START = 1_700_000_000


@pytest.fixture
def devices(tmp_path):
    """Two memories in files of their own, at the same time."""
    with hs.open(tmp_path / "a.db", embedder="none") as a, hs.open(tmp_path / "b.db", embedder="none") as b:
        yield Memory(a, "anna", clock=lambda: START), Memory(b, "anna", clock=lambda: START)


def merge(a, b):
    a.store.merge(b.store)
    b.store.merge(a.store)


def recalled(memory, query="where does Anna live"):
    return {item.text: item.disputed_by for item in memory.recall(query)}


def test_two_successors_of_one_note_are_both_recalled_and_say_so(devices):
    a, b = devices
    old = a.remember("Anna lives in Paris").id
    merge(a, b)
    assert recalled(b) == {"Anna lives in Paris": ()}
    rome = a.remember("Anna lives in Rome", supersedes=old).id
    oslo = b.remember("Anna lives in Oslo", supersedes=old).id
    merge(a, b)
    for memory in devices:
        assert recalled(memory) == {"Anna lives in Rome": (oslo,), "Anna lives in Oslo": (rome,)}
        text = str(memory.recall("where does Anna live"))
        assert f'disputed-by="{oslo}"' in text
        assert "changed on two devices" in text
        assert memory.recall("where does Anna live")[0].to_dict()["disputed_by"]
        assert f"disputed-by={rome}" in str(memory.recall("where does Anna live", max_tokens=120))
    (notes,) = a.forks()
    assert {note.id for note in notes} == {oslo, rome}
    b.choose(oslo)
    merge(a, b)
    assert a.forks() == b.forks() == []
    with pytest.raises(InputError, match="no other note disputes"):
        a.choose(oslo)
    assert recalled(a) == recalled(b) == {"Anna lives in Oslo": ()}
    assert [note.text for note in a.history(oslo)] == [
        "Anna lives in Paris",
        "Anna lives in Rome",
        "Anna lives in Oslo",
    ]


def test_one_id_with_a_text_on_each_device_becomes_a_note_and_a_copy(devices):
    a, b = devices
    a.remember("Anna works at the harbour", id="job")
    merge(a, b)
    a.remember("Anna works at the station", id="job")
    b.remember("Anna works at the airport", id="job")
    merge(a, b)
    for memory in devices:
        found = recalled(memory, "where does Anna work")
        assert set(found) == {"Anna works at the station", "Anna works at the airport"}
        assert all(found.values())
        assert {note.text for note in memory.history("job")} >= {"Anna works at the harbour"}
    ((_, copy),) = a.store.conflicts()
    kept = a.store.get(copy).text
    a.store.keep_version(copy)
    merge(a, b)
    assert recalled(b, "where does Anna work") == {kept: ()}
    assert b.get("job").copy_of is None


def test_a_note_that_was_changed_while_it_was_superseded_is_disputed(devices):
    a, b = devices
    a.remember("Anna likes tea", id="drink")
    merge(a, b)
    a.remember("Anna prefers coffee to all", supersedes="drink")
    b.remember("Anna likes tea", id="drink", metadata={"asked": True})
    merge(a, b)
    found = recalled(a, "what does Anna like, tea or coffee")
    assert found == recalled(b, "what does Anna like, tea or coffee")
    assert "Anna prefers coffee to all" in found


def test_turns_of_one_number_are_both_kept(devices):
    a, b = devices
    a.remember([{"role": "user", "content": "the harbour opens at six"}], session="s")
    b.remember([{"role": "user", "content": "the station opens at five"}], session="s")
    merge(a, b)
    for memory in devices:
        notes = memory.notes()
        assert {note.text for note in notes} == {"the harbour opens at six", "the station opens at five"}
        assert sorted(note.kind for note in notes) == ["note", "turn"]
        assert {note.session for note in notes} == {"s"}
    a.remember([{"role": "user", "content": "and closes at nine"}], session="s")
    merge(a, b)
    assert len(b.notes(session="s")) == 3


def test_a_store_that_was_never_merged_looks_for_no_forks(devices):
    a, b = devices
    assert not a.store.merged
    merge(a, b)
    assert a.store.merged
    assert b.store.merged


def test_what_was_purged_on_one_device_is_recalled_on_none(devices, tmp_path):
    a, b = devices
    a.remember("the zeppelin lands at noon", id="plan")
    merge(a, b)
    b.remember("the zeppelin lands at midnight", id="plan")
    a.purge("plan")
    merge(a, b)
    assert a.notes() == b.notes() == []
    b.store.close()
    assert not [file for file in tmp_path.glob("b.db*") if b"zeppelin lands at noon" in file.read_bytes()]
