"""Pool: many small stores in a folder, of which the last used stay open."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import hybridstore as hs
from hybridstore import embedders
from hybridstore.embedders.hashing import HashingEmbedder

EMBEDDER = HashingEmbedder(32)


@pytest.fixture
def pool(tmp_path):
    with hs.Pool(tmp_path / "users", most=2, embedder=EMBEDDER) as pool:
        yield pool


def is_open(store: hs.Store) -> bool:
    try:
        store.count()
    except hs.HybridstoreError:
        return False
    return True


def descriptors() -> int:
    folder = Path("/proc/self/fd")
    return sum(1 for _ in folder.iterdir()) if folder.exists() else 0


def test_a_store_is_opened_once_and_stays_open(pool):
    with pool.open("anna") as store:
        store.add("Anna likes tea.")
    with pool.open("anna") as again:
        assert again is store
        assert again.count() == 1
    assert pool.names() == ["anna"]
    assert pool.path("anna") == pool.folder / "anna.db"
    assert is_open(store)


def test_the_least_recently_used_is_closed(pool):
    opened = {}
    for name in ("a", "b", "a", "c"):
        with pool.open(name) as store:
            opened[name] = store
            store.add(name)
    assert {name: is_open(store) for name, store in opened.items()} == {"a": True, "b": False, "c": True}
    with pool.open("b") as store:
        assert [document.text for document in store.documents()] == ["b"]


def test_a_store_in_use_is_never_closed(pool):
    with pool.open("a") as a, pool.open("b") as b, pool.open("c") as c:
        with pool.open("d") as d:
            assert all(map(is_open, (a, b, c, d)))
        with pool.open("a") as again:
            assert again is a
        assert is_open(a)
        pool.close()
        assert all(map(is_open, (a, b, c)))
    assert not any(map(is_open, (a, b, c, d)))
    with pytest.raises(hs.HybridstoreError, match="closed"), pool.open("a"):
        pass
    pool.close()


def test_many_threads_share_a_few_stores(tmp_path):
    before = descriptors()
    with hs.Pool(tmp_path, most=3, embedder="none") as pool, ThreadPoolExecutor(8) as threads:

        def use(number: int) -> int:
            with pool.open(f"user {number % 7}") as store:
                store.add(f"text {number}")
                return len(store.search(f"text {number}"))

        found = list(threads.map(use, range(70)))
        assert min(found) >= 1
        assert len(pool._stores) <= 3
        for number in range(7):
            with pool.open(f"user {number}") as store:
                assert store.count() == 10
        assert descriptors() <= before + 3 * 4 + 8
    assert not pool._stores


def test_threads_that_come_together_open_a_store_once(pool, monkeypatch):
    from hybridstore.store import pool as module

    made, gate = [], threading.Barrier(6)
    opening = module.open_store

    def slowly(path, **options):
        made.append(path)
        return opening(path, **options)

    monkeypatch.setattr(module, "open_store", slowly)

    def use(_) -> hs.Store:
        gate.wait()
        with pool.open("a") as store:
            return store

    with ThreadPoolExecutor(6) as threads:
        assert len(set(map(id, threads.map(use, range(6))))) == 1
    assert len(made) == 1


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "../anna", "a/b", "/etc/passwd", "a\\b", "a\0b", "a\nb", " a", "a ", "C:a", "x" * 201, 7,
     None, "\ud800", "a\u202eb", Path("a")],
)  # fmt: skip
def test_no_name_leads_out_of_the_folder(pool, name):
    with pytest.raises(hs.InputError, match="name"), pool.open(name):
        pass
    assert pool.names() == []
    assert list(pool.folder.parent.iterdir()) == [pool.folder]


@pytest.mark.parametrize("name", ["anna", "Größe 42", "張三", "a.b-c_d", "user@example.org", "x" * 200])
def test_names_may_be_of_any_script(pool, name):
    with pool.open(name) as store:
        store.add("text")
    assert pool.names() == [name]


def test_a_store_that_cannot_be_opened_is_told_and_forgotten(pool):
    with pytest.raises(hs.FileRefused), pool.open("anna", create=False):
        pass
    pool.path("bad").write_text("no database, but a text that is long enough to be read as the beginning of one" * 9)
    for _ in range(2):
        with pytest.raises(hs.FileRefused), pool.open("bad"):
            pass
    assert not pool._stores
    with pool.open("anna") as store:
        assert store.count() == 0


@pytest.mark.parametrize("most", [0, -1, 1.5, True, "2"])
def test_most_is_a_whole_number(tmp_path, most):
    with pytest.raises(hs.InputError, match="most"):
        hs.Pool(tmp_path, most=most)


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(hs.InputError, match="cannot be the folder"):
        hs.Pool(tmp_path / "file")


def test_a_model_is_loaded_once_for_all_stores(tmp_path, monkeypatch):
    loaded = []

    def load(name, **options):
        loaded.append((name, options))
        made = HashingEmbedder({"one": 32, "other": 16}[name])
        made.reference = name
        return made

    monkeypatch.setattr(embedders, "load", load)
    with hs.open(tmp_path / "old.db", embedder="other") as store:
        store.add("an older text")
    loaded.clear()
    with hs.Pool(tmp_path, most=1, embedder="one") as pool:
        for name in ("a", "b", "a", "old", "c", "old"):
            with pool.open(name) as store:
                store.add(f"text of {name}")
                assert store.search("text").confidence is not None
        assert [name for name, _ in loaded] == ["one", "other"]
        with pool.open("old") as store:
            assert store.stats().embedding.dim == 16
        with pool.open("a") as store:
            assert store.stats().embedding.dim == 32


def test_stores_of_a_pool_are_searched_as_one(pool):
    for name, text in {"anna": "Anna likes green tea.", "ben": "Ben drinks coffee.", "eva": "Eva likes tea."}.items():
        with pool.open(name) as store:
            store.add(text)
    found = pool.search(["anna", "ben", "eva"], "who likes tea?", mode="keyword")
    assert {hit.store for hit in found} == {"anna", "eva"}
    with pytest.raises(hs.FileRefused):
        pool.search(["anna", "nobody"], "tea")
    assert not any(opened.users for opened in pool._stores.values())
