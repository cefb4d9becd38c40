"""Forgetting removes the right notes, purging leaves no byte, and an empty target never means everything."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

import hybridstore as hs
from hybridstore.backends.learning import Triple
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.memory import history


@pytest.fixture
def three(memory):
    memory.remember("The kettle whistles.", id="kettle", metadata={"room": "kitchen"})
    memory.remember("The pan is hot.", id="pan", metadata={"room": "kitchen"})
    memory.remember("The bed is soft.", id="bed", metadata={"room": "bedroom"})
    return memory


def ids(memory):
    return {note.id for note in memory.notes()}


def test_forgetting_removes_only_the_named_notes(three):
    assert three.forget("pan").ids == ("pan",)
    assert ids(three) == {"kettle", "bed"}
    assert three.forget(["bed"]).ids == ("bed",)
    assert three.forget({"room": "kitchen"}, everything=True).ids == ("kettle",)


def test_a_dry_run_only_reports(three):
    outcome = three.forget({"room": "kitchen"}, dry_run=True)
    assert (set(outcome.ids), outcome.dry_run) == ({"kettle", "pan"}, True)
    assert [note.text for note in outcome.notes if note.id == "pan"] == ["The pan is hot."]
    assert len(ids(three)) == 3


@pytest.mark.parametrize(
    "nothing",
    [
        "",
        "  ",
        None,
        {},
        [],
        [""],
        hs.field("@id").prefix(""),
        hs.field("room").contains(""),
        {"@id": {"$prefix": ""}},
        {"$and": []},
        {"$or": [{"room": "kitchen"}, {"$and": []}]},
        {"$not": {"$or": []}},
        {"room": {"$nin": []}},
        {"$not": {"room": {"$in": []}}},
    ],
)
@pytest.mark.parametrize("way", ["forget", "purge"])
def test_an_empty_target_never_removes_everything(three, nothing, way):
    with pytest.raises(hs.InputError):
        getattr(three, way)(nothing)
    assert ids(three) == {"kettle", "pan", "bed"}


def test_a_filter_that_all_notes_pass_must_be_confirmed(three):
    with pytest.raises(hs.InputError, match=r"takes every one of the 3 notes .*everything=True"):
        three.forget(hs.field("room").exists())
    with pytest.raises(hs.InputError, match="takes every one"):
        three.forget(hs.field("nothing") != 1)
    assert len(three.forget(hs.field("room").exists(), everything=True).ids) == 3


def test_everything_means_the_namespace_alone(path):
    with hs.open(path, embedder=HashingEmbedder(64)) as store:
        one, other = hs.Memory(store, "one"), hs.Memory(store, "other")
        for memory in (one, other):
            memory.remember("tea")
            memory.remember("milk")
        store.add("A document that is no note.")
        assert len(one.forget(None, everything=True).ids) == 2
        assert len(other.notes()) == 2
        assert store.count() == 3


def test_unknown_ids_raise_and_nothing_is_removed(three):
    with pytest.raises(hs.NotFound, match="'cup'"):
        three.forget(["pan", "cup"])
    assert len(ids(three)) == 3


def test_older_versions_are_removed_with_a_note(three, clock):
    clock.wind(days=1)
    three.remember("The kettle is silent.", id="kettle")
    three.remember("The kettle is broken.", id="broken", supersedes="kettle")
    assert set(three.forget("broken").ids) == {"broken", "kettle", "kettle~1"}
    assert three.recall("kettle", as_of="2026-01-01T12:00:00").items == () or "kettle" not in str(
        [item.text for item in three.recall("kettle", as_of="2026-01-01T12:00:00")]
    )


CANARIES = ("xylographQ7", "quetzalK9", "zymurgyV3", "papyrusW5", "obsidianT2")


def readable(path, needles):
    data = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*") if not file.name.endswith("-shm"))
    return {needle for needle in needles if needle.encode() in data or needle.lower().encode() in data}


def test_after_a_purge_no_byte_of_it_is_in_the_file_or_its_log(path, clock):
    choose = random.Random(7)
    words = ["boat", "mast", "rope", "sail", "keel", "harbour", "wind", "wave", "anchor", "deck"]
    text, tag, session, name, question = CANARIES
    with hs.open(path, embedder=HashingEmbedder(64), log_queries=True) as store:
        memory = hs.Memory(store, ("user", "42"), clock=clock)
        for n in range(150):
            memory.remember(" ".join(choose.choices(words, k=20)), id=f"n{n}")
        memory.remember(f"The first secret is {text} {text}x.", id="secret", metadata={"tag": tag})
        clock.wind(days=1)
        memory.remember(f"The second secret is {text}.", id="secret", metadata={"tag": tag})
        memory.remember([{"role": "user", "name": name, "content": f"My {text}"}], session=session)
        for n in range(60):
            memory.remember(" ".join(choose.choices(words, k=25)), id=f"n{n}")
        recall = memory.recall(f"what is {question} {text}")
        memory.feedback(recall, used=[recall[0].id])
        chunk = recall[0].chunk_id
        store.learning.add_triples([Triple(query=f"{text}?", kind="log", positive=chunk, score=0.5)])
        assert readable(path, CANARIES[:4]) == set(CANARIES[:4])
        before = {item.id for item in memory.recall("boat mast rope", max_tokens=100_000)}
        report = memory.purge(["secret", f"{session}/000001"])
        assert report.clean is True
        assert report.wal_clean is True
        assert (report.documents, report.residues) == (3, ())
        assert report.needles > 0
        assert readable(path, CANARIES) == set()
        assert store.check() == []
        after = {item.id for item in memory.recall("boat mast rope", max_tokens=100_000)}
        assert after == before - {"secret", f"{session}/000001"}
        assert store.query_log() == [] or all(text not in entry.query for entry in store.query_log())
    assert readable(path, CANARIES) == set()


def test_what_was_forgotten_before_can_be_purged_by_its_id(path, clock):
    with hs.Memory(path, embedder=HashingEmbedder(64), clock=clock) as memory:
        memory.remember("xylographQ7 is the word.", id="secret")
        for n in range(50):
            memory.remember(f"other {n}")
        memory.forget("secret")
        report = memory.purge(["secret"])
        assert (report.documents, report.clean) == (0, True)
        assert readable(path, CANARIES) == set()


def test_without_verification_a_purge_claims_nothing(three):
    assert three.purge("pan", verify=False).clean is None


@pytest.mark.parametrize("way", ["forget", "purge"])
@pytest.mark.parametrize("nothing", [5, 1.5, True])
def test_values_other_than_ids_are_rejected(three, way, nothing):
    with pytest.raises(hs.InputError, match="notes are named by an id, several, or a filter"):
        getattr(three, way)(nothing)
    assert len(ids(three)) == 3


def test_an_empty_filter_can_mean_everything(three):
    with pytest.raises(hs.InputError, match="restricts nothing"):
        three.forget({})
    assert len(three.forget(hs.field("@id").prefix(""), everything=True).ids) == 3


def test_a_filter_that_takes_all_notes_with_their_history_must_be_confirmed(three, clock):
    clock.wind(days=1)
    three.remember("The pan is cold.", id="pan")
    three.remember("The lamp is lit.", id="lamp", ttl=60)
    clock.wind(seconds=61)
    for current in (~hs.field("memory.superseded_by").exists(), ~hs.field("memory.expires").exists()):
        with pytest.raises(hs.InputError, match="takes every one"):
            three.forget(current)
    assert ids(three) == {"kettle", "pan", "bed"}


def test_one_fact_can_be_forgotten_with_its_history_by_a_filter(memory, clock):
    memory.remember("Paris", id="home", metadata={"topic": "home"})
    clock.wind(days=1)
    memory.remember("Rome", id="home", metadata={"topic": "home"})
    assert memory.forget({"topic": "home"}).ids == ("home~1", "home")


def test_a_note_that_is_valid_again_is_not_forgotten_with_its_former_successor(memory, clock):
    memory.remember("Anna lives in Paris", id="home")
    clock.wind(days=1)
    memory.remember("Anna moved to Rome", id="move", supersedes="home")
    clock.wind(days=1)
    memory.remember("Anna lives in Oslo", id="home")
    assert memory.forget("move").ids == ("move",)
    assert [note.text for note in memory.history("home")] == ["Anna lives in Paris", "Anna lives in Oslo"]


@pytest.mark.parametrize("way", ["forget", "purge"])
def test_older_versions_are_removed_with_a_swept_note(memory, clock, way):
    memory.remember("Paris", id="home")
    memory.remember("Rome", id="home", ttl=60)
    clock.wind(seconds=60)
    assert memory.sweep() == 1
    assert memory.store.count() == 1
    getattr(memory, way)("home")
    assert memory.store.count() == 0


def test_notes_that_change_while_being_forgotten_are_read_again(three, monkeypatch):
    read, done = history.targeted, []

    def changed_meanwhile(place, target, *, everything):
        there = read(place, target, everything=everything)
        if not done:
            with ThreadPoolExecutor(1) as another:
                moved = {"what": "The pan is hot.", "id": "pan", "metadata": {"room": "bedroom"}}
                done.append(another.submit(three.remember, **moved).result().status)
        return there

    monkeypatch.setattr(history, "targeted", changed_meanwhile)
    assert three.forget({"room": "kitchen"}).ids == ("kettle",)
    assert done == ["updated"]
    assert ids(three) == {"pan", "bed"}


def test_ids_may_come_from_an_iterator(three):
    assert set(three.forget(id_ for id_ in ("pan", "bed")).ids) == {"pan", "bed"}
