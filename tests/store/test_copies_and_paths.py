"""Copies and pickles of stores, paths that name no file, and an embedder that another process has changed."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

import hybridstore as hs
from hybridstore import embedders
from hybridstore.errors import HybridstoreError, InputError


@pytest.fixture
def store(tmp_path):
    with hs.open(tmp_path / "x.db", embedder="none") as store:
        store.add([{"id": "a", "text": "one"}, {"id": "b", "text": "two"}])
        yield store


def pickled(store: hs.Store) -> hs.Store:
    return pickle.loads(pickle.dumps(store))  # noqa: S301 - its own


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_of_a_store_is_another_store_of_the_same_file(store, again, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with again(store) as other:
        other.add("three")
        assert other.count() == store.count() == 3
        assert other.search("one")[0].document_id == "a"
    assert store.count() == 3  # closing one closes no other


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_store_in_memory_says_how_it_is_copied(again):
    with hs.open(":memory:", embedder="none") as store, pytest.raises(InputError, match=r"backup\(\)"):
        again(store)


@pytest.mark.parametrize("path", ["", "a\0b", "a\udcffb", b"a\0b", "folder\0/x.db", 5, None, "sqlite://a\0b"])
def test_a_path_that_can_be_none_is_one_clear_error(store, path):
    for use in (lambda: hs.open(path), lambda: store.backup(path)):
        with pytest.raises(InputError, match="path"):
            use()


@pytest.mark.parametrize("name", ["x" * 300, "y/" * 400 + "x.db", "no folder/x.db", "a.db/x.db"])
def test_a_path_that_cannot_be_opened_is_one_clear_error(store, tmp_path, name):
    (tmp_path / "a.db").write_text("no folder")
    for use in (lambda: hs.open(tmp_path / name), lambda: store.backup(tmp_path / name)):
        with pytest.raises(HybridstoreError):
            use()


@pytest.mark.parametrize(("durability", "level"), [("normal", 1), ("full", 2)])
def test_a_durable_store_syncs_at_every_commit_in_every_thread_and_copy(tmp_path, durability, level):
    with hs.open(tmp_path / "x.db", embedder="none", durability=durability) as store, copy.copy(store) as other:
        for each in (store, other):
            connections = each._backend._connections
            with ThreadPoolExecutor(2) as pool:
                levels = [
                    connections.get().pragma("synchronous"),
                    pool.submit(connections.get).result().pragma("synchronous"),
                ]
            assert levels == [level, level]


def test_an_unknown_durability_is_refused(tmp_path):
    with pytest.raises(InputError, match="normal"):
        hs.open(tmp_path / "x.db", durability="most")
    assert list(tmp_path.iterdir()) == []


def test_a_store_opened_by_name_follows_an_embedder_that_another_process_changed(counting, tmp_path, monkeypatch):
    known = {name: counting(name) for name in ("counting", "other")}
    monkeypatch.setattr(embedders, "load", lambda name, **_: known[str(name)])
    with hs.open(tmp_path / "x.db", embedder="counting") as first:
        first.add(["a cat", "a pump"])
    with hs.open(tmp_path / "x.db", embedder="counting") as store, hs.open(tmp_path / "x.db") as another:
        assert store.search("cat")[0].text == "a cat"
        another.reembed("other")
        assert store.search("cat")[0].text == "a cat"
        store.add("a tree")
        assert known["other"].documents[-1] == "a tree"
        assert store.check() == []
