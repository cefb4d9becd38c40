"""Merging stores: they come to hold the same, whatever was done in them, in any order and under any clocks."""

import importlib.util
import random
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.backends.batches import timestamp
from hybridstore.backends.versions import Version, copy_id, original_id
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import FileRefused, InputError

_spec = importlib.util.spec_from_file_location("merging_world", Path(__file__).parent / "merging_world.py")
merging_world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(merging_world)
World, state = merging_world.World, merging_world.state

ARCHIVE = Path(__file__).parents[1] / "archive"
FEW = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def in_memory(_number=0):
    return hs.open(":memory:", embedder="none")


@pytest.fixture
def two(tmp_path):
    with hs.open(tmp_path / "a.db", embedder="none") as a, hs.open(tmp_path / "b.db", embedder="none") as b:
        yield a, b


def texts(store):
    return {document.id: document.text for document in store.documents()}


def quiet(report):
    changes = (report.added, report.replaced, report.removed, report.purged, report.conflicts, report.queries)
    return not any((*changes, report.feedback, report.expectations, report.purge))


# convergence


@FEW
@example(seed=10**9, stores=2)  # an expectation of a document that was purged, written again, and removed
@example(seed=12467, stores=5)  # two removals in one second, of different versions
@given(seed=st.integers(0, 10**9), stores=st.integers(2, 5))
def test_stores_that_were_changed_apart_come_to_hold_the_same(seed, stores):
    with pytest.MonkeyPatch.context() as patch:
        world = World(seed, stores, in_memory, patch)
        for _ in range(30):
            world.step()
        world.settle()
        first, *others = map(state, world.stores)
        for other in others:
            assert other == first
        for store in world.stores:
            assert store.check() == []
            assert all(quiet(store.merge(other)) for other in world.stores if other is not store)


@pytest.mark.parametrize("seed", [0, 3])
def test_files_come_to_hold_the_same_and_nothing_that_was_purged(seed, tmp_path, monkeypatch):
    world = World(seed, 3, lambda number: hs.open(tmp_path / f"{number}.db", embedder="none"), monkeypatch)
    for _ in range(60):
        world.step()
    world.settle()
    assert state(world.stores[0]) == state(world.stores[1]) == state(world.stores[2])
    for store in world.stores:
        assert store.check() == []
        store.close()
    canaries = {text.rpartition(" ")[2] for text in world.purged}
    assert canaries
    for file in tmp_path.iterdir():
        assert not [canary for canary in canaries if re.search(rb"\b%b\b" % canary.encode(), file.read_bytes())]


@pytest.mark.parametrize("seed", range(6))
def test_a_merge_is_idempotent_commutative_and_associative(seed, tmp_path, monkeypatch):
    world = World(seed, 3, lambda number: hs.open(tmp_path / f"{number}.db", embedder="none"), monkeypatch)
    world.merge = world.add  # so that all three have much to tell
    for _ in range(30):
        world.step()
    for store in world.stores:
        store.close()

    def merged(*names):
        folder = Path(shutil.copytree(tmp_path, tmp_path.with_name("copy"), dirs_exist_ok=True))
        with hs.open(folder / f"{names[0]}.db", embedder="none") as store:
            for name in names[1:]:
                store.merge(folder / f"{name}.db")
            found = state(store)
            (folder / "merged.db").unlink(missing_ok=True)
            store.backup(folder / "merged.db")
        return found, folder / "merged.db"

    def with_merged(name, *names):
        _, path = merged(*names)
        with hs.open(path, embedder="none") as other, hs.open(tmp_path / f"{name}.db", embedder="none") as store:
            store.merge(other)
            return state(store)

    assert merged(0, 1)[0] == merged(0, 1, 1)[0]
    assert merged(0, 1)[0] == merged(1, 0)[0]
    assert merged(0, 1, 2)[0] == with_merged(0, 1, 2)


@FEW
@given(seed=st.integers(0, 10**9))
def test_no_write_is_lost_but_by_a_later_one_that_knew_of_it(seed):
    """What each store held before the merge is found after it, under its id or beside it."""
    chance = random.Random(seed)
    with in_memory() as a, in_memory() as b:
        for store in (a, b, a, b):
            for _ in range(chance.randrange(6)):
                store.add({"id": chance.choice("xyz"), "text": f"text {chance.random()}"})
        held = {*texts(a).values(), *texts(b).values()}
        a.merge(b)
        b.merge(a)
        assert texts(a) == texts(b)
        assert set(texts(a).values()) == held


# documents


def test_what_was_changed_on_one_side_alone_is_no_conflict(two):
    a, b = two
    a.add({"id": "x", "text": "one"})
    assert b.merge(a).added == ["x"]
    for text in ("two", "three", "four"):
        b.add({"id": "x", "text": text})
    report = a.merge(b)
    assert (report.replaced, report.conflicts) == (["x"], [])
    assert texts(a) == {"x": "four"}
    assert b.merge(a).unchanged == 1


def test_what_was_changed_on_both_sides_stays_until_one_is_kept(two):
    a, b = two
    a.add({"id": "x", "text": "one"})
    b.merge(a)
    a.add({"id": "x", "text": "here", "metadata": {"side": "a"}})
    b.add({"id": "x", "text": "there"})
    foreseen, done = a.merge(b, dry_run=True), a.merge(b)
    assert foreseen.conflicts == done.conflicts
    b.merge(a)
    ((id_, copy),) = a.conflicts()
    assert (a.conflicts(), texts(a)) == (b.conflicts(), texts(b))
    assert {a.get(id_).text, a.get(copy).text} == {"here", "there"}
    assert {hit.document_id for hit in a.search("here there", mode="keyword")} == {id_, copy}
    kept = a.get(copy)
    a.keep_version(copy)
    assert (a.get("x").text, a.get("x").metadata, a.conflicts()) == (kept.text, kept.metadata, [])
    assert b.merge(a).conflicts == []
    assert texts(b) == texts(a) == {"x": kept.text}
    with pytest.raises(InputError):
        a.keep_version("x")


def test_the_first_version_is_kept_by_its_id(two):
    a, b = two
    a.add({"id": "x", "text": "here"})
    b.add({"id": "x", "text": "there"})
    a.merge(b)
    winner = a.get("x").text
    a.keep_version("x")
    b.merge(a)
    assert texts(a) == texts(b) == {"x": winner}


def test_removals_travel_and_leave_no_text(two):
    a, b = two
    a.add([{"id": "x", "text": "zeppelin"}, {"id": "y", "text": "stays"}])
    b.merge(a)
    b.remove("x")
    assert a.merge(b).removed == ["x"]
    assert quiet(b.merge(a))
    assert texts(a) == texts(b) == {"y": "stays"}
    assert all(b"zeppelin" not in key for key in a._backend.removals())
    b.add({"id": "x", "text": "again"})
    a.merge(b)
    assert texts(a)["x"] == "again"


def test_an_old_copy_does_not_bring_back_what_was_purged_nor_keep_it(two, tmp_path):
    a, b = two
    a.add([{"id": "x", "text": "the zeppelin lands"}, {"id": "y", "text": "stays"}])
    old = tmp_path / "old.db"
    a.backup(old)
    b.merge(a)
    b.remove("x")  # so that b only has its bytes
    assert a.purge("x").clean
    assert quiet(a.merge(old))
    with hs.open(old, embedder="none") as copy:
        report = copy.merge(a)
        assert (report.purged, report.purge.clean, report.purge.residues) == (["x"], True, ())
        assert copy.conflicts() == []
    report = b.merge(a)
    assert report.purged == []
    assert report.purge.clean
    for store in two:
        store.close()
    for file in tmp_path.iterdir():
        assert b"zeppelin" not in file.read_bytes()


def test_a_purge_beats_a_change_by_a_clock_that_is_ahead_until_someone_writes_it_again(two, monkeypatch):
    a, b = two
    a.add({"id": "x", "text": "secret"})
    b.merge(a)
    monkeypatch.setattr("hybridstore.backends.versions.timestamp", lambda: "2099-01-01T00:00:00Z")
    b.add({"id": "x", "text": "secret and more"})
    monkeypatch.undo()
    a.purge("x")
    assert b.merge(a).purged == ["x"]
    b.add({"id": "x", "text": "harmless"})
    assert a.merge(b).added == ["x"]
    assert quiet(b.merge(a))


def test_a_purge_takes_the_copies_along_that_a_merge_kept(two):
    a, b = two
    a.add({"id": "x", "text": "here"})
    b.add({"id": "x", "text": "there"})
    a.merge(b)
    b.purge("x")
    assert len(a.merge(b).purged) == 2
    assert texts(a) == {}
    c, d = in_memory(), in_memory()
    c.add({"id": "x", "text": "here"})
    d.add({"id": "x", "text": "there"})
    c.merge(d)
    c.purge("x")
    assert texts(c) == {}


def test_a_clock_that_is_wrong_is_seen_and_a_later_change_wins_all_the_same(two, monkeypatch):
    a, b = two
    monkeypatch.setattr("hybridstore.backends.versions.timestamp", lambda: "2099-01-01T00:00:00Z")
    b.add({"id": "x", "text": "from the future"})
    monkeypatch.undo()
    report = a.merge(b)
    assert report.ahead > 86_400
    a.add({"id": "x", "text": "corrected"})
    assert (b.merge(a).replaced, texts(b)) == (["x"], {"x": "corrected"})


def test_files_are_each_devices_own(two, tmp_path):
    a, b = two
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "n.md").write_text("# Notes\n\nof a file")
    a.add_folder(tmp_path / "notes")
    b.merge(a)
    assert (b.sources(), b.folders()) == ({}, [])
    assert [stored.source for stored in b.scan()] == [None]
    assert set(texts(a)) == set(texts(b))
    b.add_folder(tmp_path / "notes")
    assert a.merge(b).conflicts == []
    assert len(a.sources()) == 1


# vectors, languages, kinds of stores


def test_vectors_are_never_made_twice_and_others_are_left(path, tmp_path, counting):
    embedder, other = counting(), counting("other", dim=16)
    with hs.open(path, embedder=embedder) as a, hs.open(tmp_path / "b.db", embedder=counting()) as b:
        a.add([{"id": str(n), "text": f"a passage about {n}"} for n in range(5)])
        made = len(embedder.documents)
        with hs.open(":memory:", embedder="none") as empty:
            empty.merge(a)
            assert empty.stats().vectors == 5
        assert b.merge(a).pending == 0
        assert b.stats().vectors == 5
        assert b.search("a passage about 3", mode="vector")[0].document_id == "3"
        b.add({"id": "new", "text": "made here"})
        a.merge(b)
        assert (a.stats().vectors, len(embedder.documents)) == (6, made)
        with hs.open(tmp_path / "c.db", embedder=other) as c:
            c.add("own")
            report = c.merge(a)
            assert report.pending == 6
            assert any("vectors of" in note for note in report.notes)
            assert c.embed() == 6


def test_vectors_that_were_made_after_a_merge_come_along_with_the_next(path, tmp_path, counting):
    with hs.open(path, embedder=counting()) as a, hs.open(tmp_path / "b.db", embedder=counting()) as b:
        a.add({"id": "first", "text": "a passage"})
        a.add([{"id": str(n), "text": f"a passage about {n}"} for n in range(3)], vectors="later")
        assert b.merge(a).pending == 3
        a.embed()
        assert (b.merge(a).unchanged, b.merge(a).pending, b.stats().vectors) == (4, 0, 4)


def test_a_store_of_another_language_is_indexed_in_this_ones(tmp_path):
    with (
        hs.open(tmp_path / "en.db", embedder="none") as english,
        hs.open(tmp_path / "de.db", embedder="none", language="german") as german,
    ):
        german.add({"id": "x", "text": "running dogs"})
        assert any("german" in note for note in english.merge(german).notes)
        assert english.search("run dog", mode="keyword")[0].document_id == "x"


def test_a_store_in_memory_a_file_and_a_path_merge(tmp_path):
    with hs.open(tmp_path / "a.db", embedder="none") as a, in_memory() as b:
        a.add({"id": "x", "text": "one"})
        b.merge(tmp_path / "a.db")
        b.add({"id": "x", "text": "two"})
        a.merge(b)
        assert texts(a) == {"x": "two"}
        b.remove("x")
        b.backup(tmp_path / "b.db")
        assert a.merge(tmp_path / "b.db").removed == ["x"]


@pytest.mark.parametrize("name", ["v1", "v4", "v5"])
def test_a_store_of_an_earlier_version_merges(name, tmp_path):
    shutil.copy(ARCHIVE / f"{name}.db", tmp_path)
    with in_memory() as store:
        report = store.merge(tmp_path / f"{name}.db")
        assert len(report.added) == 12
        assert report.pending == 0
        assert quiet(store.merge(tmp_path / f"{name}.db"))


def test_the_other_store_is_only_read_even_where_nothing_can_be_written(tmp_path):
    (stick := tmp_path / "stick").mkdir()
    for name in ("v6.db", "v7.db"):
        shutil.copy(ARCHIVE / name, stick)
    before = {path.name: path.read_bytes() for path in stick.iterdir()}
    for mode in (0o700, 0o500):  # a folder without permission to write is left alone by its owner and the superuser too
        stick.chmod(mode)
        for name in before:
            with in_memory() as own:
                assert own.merge(stick / name).added
        left = {path.name: path.read_bytes() for path in stick.iterdir() if path.suffix == ".db"}
        assert left == before
    stick.chmod(0o700)


def test_what_cannot_be_merged_is_refused(two, tmp_path):
    a, _ = two
    (tmp_path / "link.db").symlink_to(tmp_path / "a.db")
    for itself in (a, tmp_path / "a.db", tmp_path / "link.db"):
        with pytest.raises(InputError, match="itself"):
            a.merge(itself)
    for wrong in (tmp_path / "nothing.db", __file__):
        with pytest.raises(FileRefused):
            a.merge(wrong)


def test_a_dry_run_tells_all_and_writes_nothing(two):
    a, b = two
    a.add([{"id": id_, "text": f"first {id_}"} for id_ in ("x", "gone", "purged")])
    b.merge(a)
    b.add([{"id": "x", "text": "second"}, {"id": "new", "text": "new"}])
    b.remove("gone")
    b.purge("purged")
    b._backend.learning.log_queries(["what is new"])
    before = state(a)
    report = a.merge(b, dry_run=True)
    assert (report.added, report.replaced, report.removed, report.purged) == (["new"], ["x"], ["gone"], ["purged"])
    assert (report.queries, report.purge, state(a)) == (1, None, before)
    done = a.merge(b)
    assert (done.added, done.replaced, done.removed, done.purged) == (["new"], ["x"], ["gone"], ["purged"])


# learning


def test_feedback_queries_and_expectations_come_along_and_stay_forgotten(two):
    a, b = two
    a.add([{"id": "x", "text": "the tide tables"}, {"id": "y", "text": "the moon"}])
    a.feedback("high tide", a.search("tide", mode="keyword")[0])
    a.expect("high tide", "x", within=3)
    a._backend.learning.log_queries(["high tide", "moon phase"])
    report = b.merge(a)
    assert (report.feedback, report.expectations, report.queries) == (1, 1, 2)
    assert quiet(b.merge(a))
    assert [(each.query, each.document_id, each.used) for each in b._backend.learning.feedback()] == [
        ("high tide", "x", True)
    ]
    b.forget_queries("high tide")
    a.merge(b)
    assert [each.query for each in a.query_log()] == ["moon phase"]
    assert (a._backend.learning.feedback(), a.expectations()) == ([], [])
    a.expect("high tide", "x", within=2)
    a.expect("moon phase", "y")
    b.merge(a)
    assert [each.within for each in b.expectations()] == [2, 10]
    b.drop_expectation("moon phase", "y")
    a.merge(b)
    assert [each.query for each in a.expectations()] == ["high tide"]


# versions


def test_a_version_is_a_time_and_later_than_what_it_came_from():
    assert str(Version.of("2026-01-31T12:00:00Z")) == "2026-01-31T12:00:00Z"
    assert Version.of("nonsense") == Version()
    version = Version.of("2026-01-31T12:00:00Z")
    for _ in range(40):
        version = version.next(b"0123", "2025-01-01T00:00:00Z")
        assert Version.of(str(version)) == version
    assert (version.time, version.count, len(version.ancestors)) == ("2026-01-31T12:00:00Z", 40, 32 * 6)
    assert version.descends_from(b"0123")
    assert not version.descends_from(b"1230")
    later = version.next(b"45", timestamp())
    assert later.order > version.order
    assert later.count == 0
    assert original_id(copy_id("a/b~f", b"1234")) == "a/b~f"
    assert original_id("plain") is None


def test_vectors_of_a_merge_are_those_of_the_other_store(tmp_path):
    with hs.open(tmp_path / "a.db", embedder=HashingEmbedder(16)) as a, in_memory() as b:
        a.add({"id": "x", "text": "one two three"})
        b.merge(a)
        (chunk,) = a.chunks.of(["x"])["x"]
        (other,) = b.chunks.of(["x"])["x"]
        assert (a.chunks.vectors([chunk]) == b.chunks.vectors([other])).all()
