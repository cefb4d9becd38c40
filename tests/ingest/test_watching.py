"""Watching: changes go to other devices and come from them by themselves."""

import threading
import time

import pytest

import hybridstore as hs
from hybridstore.errors import HybridstoreError
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
