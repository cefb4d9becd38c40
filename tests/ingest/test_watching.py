"""Watching: changes go to other devices and come from them by themselves."""

import threading
import time

import pytest

import hybridstore as hs
from hybridstore.errors import FileRefused, HybridstoreError
from hybridstore.ingest.watching import watch

pytest.importorskip("watchfiles", reason="pip install 'hybridstore[watch]'")


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def unchanged(values):
    """Return whether a list does not grow for a while."""
    before = len(values)
    time.sleep(0.5)
    return len(values) == before


def test_a_store_that_is_watched_exchanges_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("hybridstore.ingest.watching._LOOK", 50)
    shared, stop, said = tmp_path / "shared", threading.Event(), []
    with hs.open(tmp_path / "a.db", embedder="none") as a, hs.open(tmp_path / "b.db", embedder="none") as b:
        options = {"stop": stop, "exchange": shared, "exchanged": said.append}
        thread = threading.Thread(target=watch, args=(a, lambda _: None), kwargs=options)
        thread.start()
        wait_for(lambda: said)
        assert "is not a folder" in str(said[0])  # such as on a disk that is not there yet
        shared.mkdir()
        a.add({"id": "x", "text": "one"})
        wait_for(lambda: b.exchange(shared, name="b").merged.added)
        b.add({"id": "x", "text": "two"})
        b.exchange(shared, name="b")
        wait_for(lambda: a.get("x").text == "two")
        wait_for(lambda: unchanged(said))  # nothing changes, so nothing is exchanged
        stop.set()
        thread.join()
    assert sum(isinstance(each, HybridstoreError) for each in said) == 1


def test_what_was_in_the_way_of_an_exchange_need_not_be_seen_to_go(tmp_path, monkeypatch):
    monkeypatch.setattr("hybridstore.ingest.watching._LOOK", 50)
    monkeypatch.setattr("hybridstore.ingest.watching._ASK", 0.2)
    (tmp_path / "shared").mkdir()
    stop, said = threading.Event(), []
    with hs.open(tmp_path / "a.db", embedder="none") as store:
        store.add({"id": "x", "text": "one"})
        exchange = store.exchange

        def full_at_first(folder):
            if len(said) < 2:
                raise FileRefused(str(folder), "cannot be written (database or disk is full)")
            return exchange(folder)

        monkeypatch.setattr(store, "exchange", full_at_first)
        options = {"stop": stop, "exchange": tmp_path / "shared", "exchanged": said.append}
        thread = threading.Thread(target=watch, args=(store, lambda _: None), kwargs=options)
        thread.start()
        wait_for(lambda: len(said) > 2)
        stop.set()
        thread.join()
    assert [isinstance(each, HybridstoreError) for each in said[:3]] == [True, True, False]
    assert said[2].documents == 1


def test_a_folder_to_exchange_through_within_a_followed_one_comes_to_rest(tmp_path, monkeypatch):
    monkeypatch.setattr("hybridstore.ingest.watching._LOOK", 50)
    (tmp_path / "notes" / "shared").mkdir(parents=True)
    (tmp_path / "notes" / "plan.txt").write_text("Meet at nine.")
    stop, synced, said = threading.Event(), [], []
    with hs.open(tmp_path / "a.db", embedder="none") as store:
        store.add_folder(tmp_path / "notes")
        options = {"stop": stop, "exchange": tmp_path / "notes" / "shared", "exchanged": said.append}
        thread = threading.Thread(target=watch, args=(store, synced.append), kwargs=options)
        thread.start()
        wait_for(lambda: said and len(synced) > 1)  # the exchange has changed what is followed
        stop.set()
        thread.join()
        assert [report.documents for report in said if report.documents] == [1]
        assert [store.get(id_).text for id_ in store.ids()] == ["Meet at nine."]
