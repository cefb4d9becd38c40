"""Exchanging changes through a folder, whatever happens to the files in it."""

import importlib.util
import json
import os
import random
import re
import shutil
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import hybridstore as hs
from hybridstore.backends.sqlite.parts_file import write_parts
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import FileRefused, InputError
from hybridstore.store.shared_folder import digest_of_file
from hybridstore.whole_files import write_whole

_spec = importlib.util.spec_from_file_location("merging_world", Path(__file__).parent / "merging_world.py")
merging_world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(merging_world)
_spec = importlib.util.spec_from_file_location("ten_days", Path(__file__).parent / "ten_days.py")
ten_days = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ten_days)
FolderWorld, state, unpacked = merging_world.FolderWorld, merging_world.state, merging_world.unpacked

RUNS = int(os.environ.get("HYBRIDSTORE_EXCHANGE_RUNS", "3"))
FIRST = int(os.environ.get("HYBRIDSTORE_EXCHANGE_SEED", "0"))


class Devices:
    """Stores that exchange through a folder, by their names."""

    def __init__(self, tmp_path, embedder="none", *, files=False):
        self.folder = tmp_path / "shared"
        self.folder.mkdir()
        places = {name: tmp_path / f"{name}.db" if files else ":memory:" for name in "abc"}
        self.stores = {name: hs.open(place, embedder=embedder) for name, place in places.items()}

    def __getattr__(self, name):
        return self.stores[name]

    def exchange(self, *names, **options):
        for name in names:
            report = self.stores[name].exchange(self.folder, name=name, **options)
        return report

    def bundles(self, name):
        return sorted((self.folder / name).glob("*.bundle"))


@pytest.fixture
def devices(tmp_path):
    made = Devices(tmp_path)
    yield made
    for store in made.stores.values():
        store.close()


def texts(store):
    return {document.id: document.text for document in store.documents()}


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_one_device_wrote_reaches_the_others_over_any_of_them(devices):
    devices.a.add([{"id": "x", "text": "one"}, {"id": "y", "text": "two"}])
    devices.a.expect("which is first", "x")
    done = devices.exchange("a")
    assert (done.documents, done.told, done.devices) == (2, 1, [])
    got = devices.exchange("b")
    assert (got.merged.added, got.merged.expectations, got.devices, got.documents) == (["x", "y"], 1, ["a"], 0)
    devices.b.add({"id": "x", "text": "one and a half"})
    devices.b.remove("y")
    devices.exchange("b", "c", "a")
    assert texts(devices.a) == texts(devices.b) == texts(devices.c) == {"x": "one and a half"}
    before = files(devices.folder)
    report = devices.exchange("a", "b", "c")
    assert (report.read, report.documents, report.removals, report.dropped) == (0, 0, 0, 0)
    assert files(devices.folder) == before


def test_nobody_writes_what_is_anothers(devices):
    for name in "abc":
        devices.stores[name].add({"id": name, "text": f"of {name}"})
    devices.exchange("a", "b")
    before = files(devices.folder)
    devices.a.purge("a")
    devices.b.add({"id": "a", "text": "of b"})
    devices.exchange("c", "b", "c")
    assert {path: data for path, data in files(devices.folder).items() if path.parent.name == "a"} == {
        path: data for path, data in before.items() if path.parent.name == "a"
    }


def test_a_bundle_that_is_torn_or_missing_is_read_when_it_is_whole(devices):
    devices.a.add({"id": "x", "text": "one"})
    devices.exchange("a")
    devices.a.add({"id": "y", "text": "two"})
    devices.exchange("a")
    first, second = devices.bundles("a")
    whole, moved = first.read_bytes(), second.rename(devices.folder / "elsewhere")
    for torn in (whole[:-1], whole[: len(whole) // 2], b"", whole[:100] + b"\0" + whole[101:]):
        first.write_bytes(torn)
        report = devices.exchange("b")
        assert report.torn == [f"a/{first.name}"]
        assert report.missing == [f"a/{second.name}"]
        assert texts(devices.b) == {}
    moved.rename(second)
    assert devices.exchange("b").merged.added == ["y"]
    first.write_bytes(whole)
    report = devices.exchange("b")
    assert (report.merged.added, report.torn, report.missing) == (["x"], [], [])


def test_what_a_device_finds_damaged_or_gone_of_its_own_it_writes_again(devices):
    devices.a.add({"id": "x", "text": "one"})
    devices.exchange("a")
    (bundle,) = devices.bundles("a")
    bundle.write_bytes(b"torn")
    (bundle.parent / "device.json").write_bytes(b'{"bundles": 7}')
    (bundle.parent / f"{bundle.stem} (conflicted copy).bundle").write_bytes(b"copy")
    (bundle.parent / ".0123.part").write_bytes(b"left")
    assert devices.exchange("a").documents == 1
    (again,) = devices.bundles("a")
    assert again.name[7:] == bundle.name[7:]
    assert {path.name for path in bundle.parent.iterdir()} == {again.name, "device.json"}
    shutil.rmtree(devices.folder / "a")
    assert devices.exchange("b").merged.added == []
    devices.exchange("a")
    assert devices.exchange("b").merged.added == ["x"]


def test_files_that_are_twice_renamed_or_strange_do_no_harm(devices):
    devices.a.add({"id": "x", "text": "one"})
    devices.exchange("a")
    (bundle,) = devices.bundles("a")
    shutil.copy(bundle, bundle.with_name(f"000009{bundle.name[6:]}"))
    shutil.copytree(devices.folder / "a", devices.folder / "copy")
    shutil.copy(bundle, bundle.with_name(f"{bundle.stem}.sync-conflict-20260101-1.bundle"))
    (devices.folder / ".git").mkdir()
    (devices.folder / "notes").mkdir()
    (devices.folder / "notes" / "n.md").write_text("mine")
    (devices.folder / "a" / "device.json").write_bytes(b"\xff")
    report = devices.exchange("b")
    assert (report.merged.added, report.devices, report.torn, report.failed) == (["x"], ["a", "copy"], [], [])


def test_an_older_state_of_a_device_brings_nothing_back(devices, tmp_path):
    devices.a.add({"id": "x", "text": "one"})
    devices.exchange("a", "b")
    old = shutil.copytree(devices.folder / "a", tmp_path / "old")
    devices.a.add({"id": "x", "text": "two"})
    devices.a.add({"id": "z", "text": "three"})
    devices.exchange("a", "b")
    devices.a.remove("z")
    devices.exchange("a", "b")
    shutil.rmtree(devices.folder / "a")
    old.rename(devices.folder / "a")
    assert devices.exchange("b").read == 0
    assert texts(devices.b) == {"x": "two"}
    devices.exchange("a", "c")
    assert texts(devices.c) == {"x": "two"}


def test_a_purge_travels_and_leaves_no_byte_in_the_folder(tmp_path):
    devices = Devices(tmp_path, files=True)
    devices.a.add([{"id": "x", "text": "the zeppelin lands"}, {"id": "y", "text": "stays"}])
    devices.exchange("a", "b", "c")
    devices.b.add({"id": "x", "text": "the zeppelin starts"})
    devices.b.forget_queries("zeppelin")
    devices.exchange("b", "c")
    devices.c.purge("x")
    report = devices.exchange("c")
    assert report.lingering == {"a": 1, "b": 1}
    report = devices.exchange("b")
    assert (report.merged.purged, report.merged.purge.clean, report.dropped) == (["x"], True, 1)
    assert devices.exchange("a").lingering == {}
    for store in devices.stores.values():
        assert texts(store) == {"y": "stays"}
        store.close()
    assert not [path for path in files(tmp_path) if b"zeppelin" in unpacked(path)]


def test_questions_that_were_forgotten_go_from_the_bundles(devices):
    devices.a.add({"id": "x", "text": "one"})
    devices.a.learning.log_queries(["zeppelin"])
    devices.exchange("a", "b")
    devices.b.forget_queries("zeppelin")
    devices.exchange("b", "a")
    assert devices.a.query_log() == []
    assert not [path for path in files(devices.folder) if b"zeppelin" in unpacked(path)]


def test_bundles_are_joined_when_they_are_many_and_given_up_when_they_are_old(devices):
    for n in range(20):
        devices.a.add({"id": f"d{n}", "text": f"text {n}"})
        devices.exchange("a")
        assert len(devices.bundles("a")) <= 17
    for n in range(15):
        devices.a.add({"id": f"d{n}", "text": f"again {n}"})
    devices.exchange("a")
    assert devices.exchange("b").merged.added != []
    assert texts(devices.a) == texts(devices.b)


def test_large_stores_are_published_in_several_bundles(devices, monkeypatch):
    monkeypatch.setattr("hybridstore.store.bundles._FULL", 2_000)
    devices.a.add([{"id": f"d{n}", "text": os.urandom(200).hex()} for n in range(50)])
    devices.exchange("a")
    assert len(devices.bundles("a")) > 3
    devices.exchange("b")
    assert texts(devices.b) == texts(devices.a)
    assert devices.exchange("a").dropped == 0


def test_vectors_travel_and_are_made_once(tmp_path):
    made = []

    class Counting(HashingEmbedder):
        def embed_documents(self, passages):
            made.extend(passages)
            return super().embed_documents(passages)

    devices = Devices(tmp_path, embedder=Counting(32))
    devices.a.add({"id": "first", "text": "one"})
    devices.exchange("a", "b")
    devices.b.add([{"id": f"d{n}", "text": f"text {n}"} for n in range(5)], vectors="later")
    assert devices.exchange("b", "a").merged.pending == 5
    devices.b.embed()
    count = len(made)
    assert devices.exchange("b").documents == 5
    assert devices.exchange("a").merged.pending == 0
    devices.exchange("c")
    assert [store.stats().vectors for store in devices.stores.values()] == [6, 6, 6]
    assert len(made) == count
    for store in devices.stores.values():
        store.close()


def test_a_conflict_through_a_folder_is_seen_on_all_devices(devices):
    devices.a.add({"id": "x", "text": "one"})
    devices.exchange("a", "b", "c")
    devices.a.add({"id": "x", "text": "here"})
    devices.b.add({"id": "x", "text": "there"})
    devices.exchange("a", "b", "c", "a")
    assert devices.a.conflicts() == devices.b.conflicts() == devices.c.conflicts() != []
    devices.c.keep_version("x")
    devices.exchange("c", "b", "a")
    assert texts(devices.a) == texts(devices.b) == texts(devices.c)
    assert devices.a.conflicts() == []


def test_a_dry_run_says_what_would_be_and_writes_nothing(devices):
    devices.a.add([{"id": "x", "text": "one"}, {"id": "y", "text": "two"}])
    devices.exchange("a", "b")
    devices.a.add({"id": "x", "text": "changed"})
    devices.a.purge("y")
    devices.exchange("a")
    devices.b.add({"id": "z", "text": "three"})
    before = files(devices.folder)
    report = devices.exchange("b", dry_run=True)
    assert (report.merged.replaced, report.merged.purged, report.documents) == (["x"], ["y"], 1)
    assert (report.bytes, files(devices.folder), set(texts(devices.b))) == (0, before, {"x", "y", "z"})


def test_what_cannot_be_exchanged_is_refused(devices, tmp_path):
    with pytest.raises(InputError, match="not a folder"):
        devices.a.exchange(tmp_path / "nothing", name="a")
    for name in ("", "../a", ".git", "a/b", "x" * 65):
        with pytest.raises(InputError, match="device's name"):
            devices.a.exchange(devices.folder, name=name)
    with hs.open(":memory:", embedder="none") as store, pytest.raises(InputError, match="name="):
        store.exchange(devices.folder)
    with hs.open(tmp_path / "1.db", embedder="none") as one, hs.open(tmp_path / "2.db", embedder="none") as two:
        assert one.exchange(devices.folder).name != two.exchange(devices.folder).name
    with hs.open(tmp_path / "1.db") as one:
        one.add({"id": "x", "text": "one"})
        one.exchange(devices.folder)
    (devices.folder / "c").write_bytes(b"where the device's folder would be")
    devices.c.add({"id": "y", "text": "two"})
    (own,) = devices.folder.glob("*/device.json")
    with pytest.raises(InputError, match="the folder of one device"):
        devices.c.exchange(own.parent, name="c")
    with pytest.raises(FileRefused, match="what came in is kept"):
        devices.exchange("c")
    assert set(devices.c.ids()) == {"x", "y"}
    (devices.folder / "c").unlink()
    devices.folder.chmod(0o500)
    if os.getuid():
        with pytest.raises(FileRefused):
            devices.exchange("c")
    devices.folder.chmod(0o700)


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\0" + bytes(4000), "other", "newer", "foreign", "bomb", "body", "many"]
)
def test_a_bundle_that_holds_something_else_is_left_out(devices, content, tmp_path):
    devices.a.add({"id": "x", "text": "one"})
    devices.exchange("a")
    path = tmp_path / "made"
    if content == "other":
        devices.a.backup(path)
    elif isinstance(content, bytes):
        path.write_bytes(content or b"SQLite format 3\0")
    else:
        empty = dict.fromkeys(("documents", "removals", "queries", "feedback", "expectations"), ())
        index = {"hybridstore": 1, "language": "english", "embedding": None, "calibration": None, **empty}
        changes = {
            "newer": {"hybridstore": 2},
            "foreign": {"documents": [[1, 2]]},
            "body": {"documents": [["y", "0" * 32, "2026-01-01T00:00:00Z", 1]]},
            "many": {"removals": [["0" * 32, "", 2**70]]},
        }
        part = b"\xff" if content == "bomb" else zlib.compress(json.dumps(index | changes[content]).encode())
        write_parts(path, [part, b"\xff\0\0\0 is not a document"], None)
    path.rename(devices.folder / "a" / f"000007-{digest_of_file(path)}.bundle")
    report = devices.exchange("b")
    assert (report.merged.added, len(report.failed)) == (["x"], 1)


def test_a_folder_that_is_encrypted_is_not_written_without_the_key(devices):
    (devices.folder / "phone").mkdir()
    part = devices.folder / "made"
    part.write_bytes(os.urandom(8192))
    part.rename(devices.folder / "phone" / f"000001-{digest_of_file(part)}.bundle")
    devices.a.add({"id": "x", "text": "one"})
    with pytest.raises(FileRefused, match="has no key"):
        devices.exchange("a")
    assert not (devices.folder / "a").exists()


def test_devices_come_to_hold_the_same_whatever_becomes_of_the_files(tmp_path):
    for seed in range(FIRST, FIRST + RUNS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            count = random.Random(seed).randint(3, 5)
            world = FolderWorld(seed, count, lambda _: hs.open(":memory:", embedder="none"), patch, folder)
            for _ in range(25):
                world.step()
            world.settle()
            first, *others = map(state, world.stores)
            assert [seed for other in others if other != first] == []
            canaries = {text.rpartition(" ")[2] for text in world.purged}
            found = b"".join(map(unpacked, world.files()))
            assert (seed, [each for each in canaries if re.search(rb"\b%b\b" % each.encode(), found)]) == (seed, [])
            for store in world.stores:
                assert store.check() == []
                store.close()
        shutil.rmtree(folder)


def test_the_ten_days_of_the_documentation_are_what_happens():
    page = (Path(__file__).parents[2] / "docs" / "sync.md").read_text()
    assert "\n".join(ten_days.story()) in page


def test_two_processes_of_one_device_and_files_that_go_meanwhile_stop_nothing(devices):
    def run(name):
        for n in range(5):
            devices.stores[name].add({"id": f"d{n % 3}", "text": f"of {name} {n}"})
            devices.exchange(name)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(run, "aab"))
    devices.exchange("a", "b", "a", "b")
    assert texts(devices.a) == texts(devices.b)


def test_a_file_that_another_process_takes_for_one_that_was_left_is_written_again(devices, monkeypatch):
    taken = []

    def whole(path, content):
        if len(taken) < 2:
            taken.append(path.name)
            raise FileNotFoundError(path)
        write_whole(path, content)

    monkeypatch.setattr("hybridstore.store.publishing.write_whole", whole)
    devices.a.add({"id": "x", "text": "one"})
    devices.exchange("a")
    assert taken == ["device.json"] * 2
    assert (devices.folder / "a" / "device.json").exists()


def test_what_prevents_an_exchange_is_said_alike_each_time(devices, monkeypatch):
    def full(path, *_):
        raise FileRefused(str(path), "cannot be written (database or disk is full)")

    def no_space(path, _):
        raise OSError(28, "No space left on device", str(path.parent / f".{os.urandom(4).hex()}.part"))

    devices.a.add({"id": "x", "text": "one"})
    for name, fails in (("write_parts", full), ("write_whole", no_space)):
        with monkeypatch.context() as patch:
            patch.setattr(f"hybridstore.store.publishing.{name}", fails)
            said = set()
            for _ in range(2):
                with pytest.raises(FileRefused) as refused:
                    devices.exchange("a")
                said.add(str(refused.value))
        assert len(said) == 1
    assert not list(devices.folder.glob("*/*.part"))


def test_two_devices_of_one_name_lose_nothing(devices):
    for round_ in range(3):
        for store in (devices.a, devices.b):
            store.add({"id": f"d{round_}", "text": f"of {store is devices.a} in {round_}"})
            store.exchange(devices.folder, name="same")
    devices.exchange("c")
    for store in (devices.a, devices.b, devices.a, devices.b):
        store.exchange(devices.folder, name="same")
    devices.exchange("c")
    assert texts(devices.a) == texts(devices.b) == texts(devices.c)
    assert {"of True in 2", "of False in 2"} <= set(texts(devices.c).values())
