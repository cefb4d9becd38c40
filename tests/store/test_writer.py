"""The Writer: sources, commits that fail, and documents that others change meanwhile."""

import pytest

import hybridstore as hs
from hybridstore.errors import FileBusy
from hybridstore.records import Source

TEXT = "Apples and berries.\n\nHazels and figs."
SOURCE = Source("/a.txt", "d1", 1, 2)


def test_a_finished_source_loses_what_it_no_longer_has(store):
    with store.writer() as writer:
        for n in range(3):
            writer.add(hs.Document(id=f"a{n}", text=f"text {n}"), source="/a.txt")
        writer.finish(SOURCE)
    with store.writer() as writer:
        writer.add(hs.Document(id="a0", text="text 0"), source="/a.txt")
        writer.finish(Source("/a.txt", "d2", 1, 2))
    assert (writer.report.unchanged, writer.report.removed) == (1, 2)
    assert [document.id for document in store.documents()] == ["a0"]
    assert store.sources()["/a.txt"].digest == "d2"


def test_a_source_is_not_finished_when_its_commit_failed(store, monkeypatch):
    writer = store.writer()
    writer.add(hs.Document(id="a", text="text"), source="/a.txt")
    put = store.backend.put

    def busy(*_, **__):
        raise FileBusy("store.db", 1)

    monkeypatch.setattr(store.backend, "put", busy)
    with pytest.raises(FileBusy):
        writer.flush()
    assert (store.sources(), store.count()) == ({}, 0)
    monkeypatch.setattr(store.backend, "put", put)
    writer.finish(SOURCE)
    writer.flush()
    assert (set(store.sources()), [document.id for document in store.documents()]) == ({"/a.txt"}, ["a"])


def test_a_document_that_vanished_meanwhile_is_written_whole(store, path, monkeypatch):
    """Between a writer's look and its commit another process removes the document it found unchanged."""
    store.add({"id": "a", "text": TEXT})
    put, calls = store.backend.put, []

    def after_a_removal(entries, **options):
        calls.append(len(entries[0].chunks))
        if len(calls) == 1:
            with hs.open(path, embedder="none") as other:
                other.remove("a")
        return put(entries, **options)

    monkeypatch.setattr(store.backend, "put", after_a_removal)
    assert store.add({"id": "a", "text": TEXT}).added == 1
    assert calls[0] == 0 < calls[1]
    assert store.search("hazels", mode="keyword")
    assert store.check() == []


def test_leaving_by_an_error_drops_what_was_not_committed(store):
    def broken_off() -> None:
        with store.writer() as writer:
            writer.add(hs.Document(id="a", text="text"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken_off()
    assert store.count() == 0
