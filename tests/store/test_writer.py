"""The Writer: sources, failing commits, and documents that another process changes meanwhile."""

import pytest

import hybridstore as hs
from hybridstore.backends.values import Conflict
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
    put = store._backend.put

    def busy(*_, **__):
        raise FileBusy("store.db", 1)

    monkeypatch.setattr(store._backend, "put", busy)
    with pytest.raises(FileBusy):
        writer.flush()
    assert (store.sources(), store.count()) == ({}, 0)
    monkeypatch.setattr(store._backend, "put", put)
    writer.finish(SOURCE)
    writer.flush()
    assert (set(store.sources()), [document.id for document in store.documents()]) == ({"/a.txt"}, ["a"])


def test_a_document_that_vanished_meanwhile_is_written_whole(store, path, monkeypatch):
    """Between a writer's look and its commit another process removes the document it found unchanged."""
    store.add({"id": "a", "text": TEXT})
    put, calls = store._backend.put, []

    def after_a_removal(entries, **options):
        calls.append(len(entries[0].chunks))
        if len(calls) == 1:
            with hs.open(path, embedder="none") as other:
                other.remove("a")
        return put(entries, **options)

    monkeypatch.setattr(store._backend, "put", after_a_removal)
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


def test_a_document_is_written_only_over_what_it_replaces(store):
    with store.writer() as writer:
        writer.add(hs.Document(id="a", text="one"), replaces=None)
    (one,) = store.digests(["a"]).values()
    with store.writer() as writer:
        writer.add(hs.Document(id="a", text="two"), replaces=one)
    assert writer.report.replaced == 1

    def late() -> None:
        with store.writer() as writer:
            writer.add(hs.Document(id="b", text="never written"))
            writer.add(hs.Document(id="a", text="three"), replaces=one)

    with pytest.raises(Conflict) as error:
        late()
    assert (error.value.document_id, error.value.replaces) == ("a", one)
    assert [(document.id, document.text) for document in store.documents()] == [("a", "two")]


def test_a_conflict_at_the_commit_reaches_the_caller(store, path, monkeypatch):
    store.add({"id": "a", "text": "one"})
    (one,) = store.digests(["a"]).values()
    put = store._backend.put

    def after_another(entries, **options):
        monkeypatch.undo()
        with hs.open(path, embedder="none") as other:
            other.add({"id": "a", "text": "theirs"})
        return put(entries, **options)

    monkeypatch.setattr(store._backend, "put", after_another)
    writer = store.writer()
    writer.add(hs.Document(id="a", text="ours"), replaces=one)
    with pytest.raises(Conflict):
        writer.flush()
    assert store.get("a").text == "theirs"


def test_what_a_conflict_dropped_is_not_taken_for_read(store):
    store.add({"id": "a", "text": "there"})
    writer = store.writer()
    writer.add(hs.Document(id="b", text="dropped"), source="/a.txt")
    writer.add(hs.Document(id="a", text="not written"), replaces=None)
    with pytest.raises(Conflict):
        writer.flush()
    writer.finish(SOURCE)
    writer.add(hs.Document(id="c", text="written"))
    writer.flush()
    assert (store.sources(), [document.id for document in store.documents()]) == ({}, ["a", "c"])


def test_a_writer_checks_conditions_against_its_own_writes(store):
    with store.writer() as writer:
        writer.add(hs.Document(id="a", text="one"))
        writer.add(hs.Document(id="a", text="one"))
        assert store.count() == 0  # the same content twice is one document that waits
        writer.add(hs.Document(id="a", text="one"), replaces=None)
        assert store.count() == 1
        with pytest.raises(Conflict):
            writer.flush()
    assert (store.get("a").text, writer.report.added) == ("one", 1)


def test_documents_are_removed_in_one_step_with_what_is_added(store):
    store.add([{"id": "a", "text": "one"}, {"id": "b", "text": "two"}])
    digests, before = store.digests(["a", "b"]), store.stats().revision
    with store.writer() as writer:
        writer.remove("a", stored=digests["a"])
        writer.add(hs.Document(id="c", text="three"))
        assert store.count() == 2
    assert ([document.id for document in store.documents()], store.stats().revision) == (["b", "c"], before + 1)
    assert (writer.report.added, writer.report.removed) == (1, 1)
    with store.writer() as writer:
        writer.remove("b", stored=digests["b"])
    assert [document.id for document in store.documents()] == ["c"]


@pytest.mark.parametrize("there", ["changed", None])
def test_a_document_to_be_removed_that_is_something_else_stays_and_drops_what_waited(store, embedder, there):
    store.add({"id": "a", "text": "one"})
    (one,) = store.digests(["a"]).values()
    store.remove("a") if there is None else store.add({"id": "a", "text": there})
    embedder.documents.clear()
    writer = store.writer()
    writer.add(hs.Document(id="b", text="never written"))
    writer.remove("a", stored=one)
    with pytest.raises(Conflict) as error:
        writer.flush()
    assert (error.value.document_id, error.value.replaces) == ("a", one)
    assert embedder.documents == []  # it would have been in vain
    writer.flush()
    assert [document.text for document in store.documents()] == ([there] if there else [])


def test_one_writer_removes_what_it_added_and_adds_it_again(store):
    with store.writer() as writer:
        writer.add(hs.Document(id="a", text="one"))
        writer.flush()
        (one,) = store.digests(["a"]).values()
        writer.remove("a", stored=one)
        writer.add(hs.Document(id="a", text="one"), replaces=None)
        writer.flush()
        writer.add(hs.Document(id="b", text="two"))
        writer.remove("a", stored=one)
        assert store.count() == 1
        writer.remove("a", stored=one)
        assert [document.id for document in store.documents()] == ["b"]
        with pytest.raises(Conflict):
            writer.flush()
    assert (store.count(), writer.report.added, writer.report.removed) == (1, 3, 2)
