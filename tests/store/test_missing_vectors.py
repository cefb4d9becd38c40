"""Chunks without vectors: counted, told, and mended, however they came about; long documents commit as they go."""

from dataclasses import replace

import pytest

import hybridstore as hs
from hybridstore.store import writer as writer_module


def lacking(path, embedder, tmp_path, route):
    """Make a store of which some chunks have no vector."""
    with hs.open(path, embedder=embedder) as store:
        store.add("The iron bridge is old.")
    with hs.open(path, embedder="none") as store:
        if route == "text":
            store.add("A wooden boat.")
        elif route == "folder":
            (tmp_path / "files").mkdir()
            (tmp_path / "files" / "boat.txt").write_text("A wooden boat.")
            assert store.add_folder(tmp_path / "files").without_vectors == 1
        else:
            with store.writer(embed=False) as writer:
                writer.add(hs.Document(text="A wooden boat."))


@pytest.mark.parametrize("route", ["text", "folder", "writer"])
def test_missing_vectors_are_counted_and_the_next_reading_of_files_makes_them(tmp_path, embedder, route):
    path = tmp_path / "n.db"
    lacking(path, embedder, tmp_path, route)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "new.txt").write_text("Something new.")
    with hs.open(path, embedder=embedder) as store:
        assert store.embeddings.missing_count() == 1
        assert "chunks without a vector" in str(store.check())
        report = store.add_folder(tmp_path / "other")
        assert (report.without_vectors, report.documents.embedded) == (0, 2)
        assert store.embeddings.missing_count() == 0
        assert store.check() == []
        assert {hit.text for hit in store.search("anything at all", mode="vector")} >= {"A wooden boat."}


def test_missing_vectors_are_made_by_themselves_or_left_where_there_is_no_embedder(tmp_path, embedder):
    path = tmp_path / "n.db"
    lacking(path, embedder, tmp_path, "text")
    with hs.open(path, embedder="none") as store:
        assert store.embed() == 0
    with hs.open(path, embedder=embedder) as store:
        assert (store.embed(), store.embed(), store.embeddings.missing_count()) == (1, 0, 0)
    with hs.open(":memory:", embedder="none") as store:
        store.add("Words.")
        assert (store.embed(), store.embeddings.missing_count()) == (0, 0)  # no store with holes
    with hs.open(":memory:") as store:
        store.add(["one", "two"], vectors=[[1.0, 0.0], [0.0, 1.0]])
        with store.writer(embed=False) as writer:
            writer.add(hs.Document(text="three"))
        assert (store.embed(), store.embeddings.missing_count()) == (0, 1)  # only the caller has vectors


def test_a_zero_vector_is_no_missing_one(tmp_path):
    with hs.open(tmp_path / "n.db") as store:
        store.add(["one", "two"], vectors=[[0.0, 0.0], [0.0, 1.0]])
        assert store.embeddings.missing_count() == 0


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_module, "_IN_STEPS", 20_000)
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "log.md").write_text("\n\n".join(f"Line {n}: the pump {n % 7} ran {n} minutes." for n in range(3000)))
    return folder


@pytest.mark.parametrize("location", ["file", ":memory:"])
def test_an_interrupted_long_file_keeps_what_was_embedded_and_goes_on_there(tmp_path, embedder, log, location):
    path = tmp_path / "n.db" if location == "file" else location
    with hs.open(path, embedder=embedder) as store:

        def stop(state):
            if state.embedded > 500:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.add_folder(log, progress=stop)
        made, chunks = store.stats().vectors, store.stats().chunks
        assert 500 < made < chunks
        assert len(store.sources()) == 1  # words find all of it
        assert store.embeddings.missing_count() == chunks - made
        before = len(embedder.documents)
        report = store.add_folder(log)
        assert (report.without_vectors, report.unchanged, store.count()) == (0, 1, 1)
        assert len(embedder.documents) - before == chunks - made
        assert store.check() == []


def test_an_interrupted_long_document_keeps_what_was_embedded_and_goes_on_there(embedder, log):
    document = hs.Document(id="log", text=(log / "log.md").read_text(), format="markdown")
    with hs.open(":memory:", embedder=embedder) as store:

        def stop(report):
            if report.embedded > 500:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.add(document, progress=stop)
        made, chunks = store.stats().vectors, store.stats().chunks
        assert 500 < made < chunks
        assert store.embed() == chunks - made
        before = len(embedder.documents)
        assert store.add(document).unchanged == 1
        store.add(replace(document, text=f"{document.text}\n\nThe very last line."))
        assert 1 <= len(embedder.documents) - before <= 3
        assert (store.embeddings.missing_count(), store.check()) == (0, [])


def test_an_edited_long_file_embeds_only_what_changed(embedder, log):
    with hs.open(":memory:", embedder=embedder) as store:
        store.add_folder(log)
        before = len(embedder.documents)
        with (log / "log.md").open("a") as stream:
            stream.write("\n\nThe very last line.")
        store.add_folder(log)
        assert 1 <= len(embedder.documents) - before <= 3
        assert store.embeddings.missing_count() == 0
        assert store.check() == []


def test_progress_grows_with_what_words_find_and_then_with_the_vectors(embedder, log, monkeypatch):
    monkeypatch.setattr(writer_module, "_SOON", 1_000)
    monkeypatch.setattr(writer_module, "_LATER_CHARACTERS", 20_000)
    (log / "same.txt").write_text("An unchanged file, which is no work.")
    with hs.open(":memory:", embedder=embedder) as store:
        store.add_folder(log / "same.txt")
        for n in range(10):
            (log / f"part{n}.txt").write_text("\n\n".join(f"Line {k} of part {n}." for k in range(700)))
        states = []
        store.add_folder(log, progress=states.append)
        total = sum(file.stat().st_size for file in log.iterdir() if file.name != "same.txt")
        words = [state for state in states if state.to_embed is None]
        assert words == states[: len(words)]
        done = [state.bytes for state in words]
        assert {state.bytes_total for state in states} == {total}
        assert done == sorted(done)
        assert done[-1] == total
        assert len(set(done)) > 5
        assert {state.embedded for state in words} == {0}
        meaning = states[len(words) :]
        chunks = store.stats().chunks - 1
        assert {state.embedded + state.to_embed for state in meaning} == {chunks}
        assert [state.embedded for state in meaning] == [*range(0, chunks, 128), chunks]
