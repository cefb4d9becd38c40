"""Sync: the store follows the files, without repeated work, and touches nothing else."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path

import pytest

from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.ingest import sync
from hybridstore.store import open as open_store

SYNC = import_module("hybridstore.ingest.sync_run")


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store.db", embedder="none") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "files"
    made.mkdir()
    return made


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def later(path):
    """Move a file's modification time on, as an editor's next save would."""
    times = path.stat()
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 1_000_000_000))


def texts(store):
    return sorted(document.text for document in store.documents())


def test_new_files_are_read_and_searchable(store, folder):
    path = write(folder, "a.md", "# Bridges\n\nThe iron bridge is old.")
    write(folder, "sub/b.txt", "A wooden boat.")
    report = sync(store, folder)
    assert (report.read, report.unchanged, report.pruned, report.failed) == (2, 0, 0, ())
    assert (report.documents.added, report.documents.chunks) == (2, 2)
    hit = store.search("bridge", mode="keyword")[0]
    assert (hit.document_id, hit.heading) == (path.as_posix(), "Bridges")


def test_an_unchanged_file_is_not_opened_again(store, folder, monkeypatch):
    path = write(folder, "a.txt", "Words.")
    sync(store, folder)
    monkeypatch.setattr(SYNC, "read", lambda _: pytest.fail("it was read"))
    monkeypatch.setattr(SYNC, "_digest", lambda _: pytest.fail("it was hashed"))
    report = sync(store, path)
    assert (report.read, report.unchanged) == (0, 1)


def test_a_touched_file_is_unchanged_and_its_source_is_updated(store, folder, monkeypatch):
    path = write(folder, "a.txt", "Words.")
    sync(store, folder)
    later(path)
    report = sync(store, folder)
    assert (report.read, report.unchanged, report.documents.replaced, report.documents.removed) == (0, 1, 0, 0)
    assert store.sources()[path.as_posix()].modified_ns == path.stat().st_mtime_ns
    assert texts(store) == ["Words."]


def test_a_changed_file_replaces_its_documents_and_drops_removed_rows(store, folder):
    path = write(
        folder, "a.jsonl", '{"id": "1", "text": "one"}\n{"id": "2", "text": "two"}\n{"id": "3", "text": "three"}\n'
    )
    other = write(folder, "b.txt", "other")
    sync(store, folder)
    path.write_text('{"id": "1", "text": "one"}\n{"id": "3", "text": "drei"}\n')
    report = sync(store, folder)
    assert (report.read, report.unchanged) == (1, 1)
    assert (report.documents.unchanged, report.documents.replaced, report.documents.removed) == (1, 1, 1)
    assert texts(store) == ["drei", "one", "other"]
    assert other.as_posix() in store.sources()


def test_an_emptied_file_loses_its_documents_and_a_new_empty_one_is_skipped(store, folder):
    path = write(folder, "a.txt", "Words.")
    write(folder, "empty.txt", "")
    assert sync(store, folder).skipped == {"empty": 1}
    path.write_text("")
    report = sync(store, folder)
    assert (report.read, store.count()) == (1, 0)


def test_prune_removes_only_missing_files_below_the_paths(store, folder):
    for name in ("in/a.txt", "in/b.txt", "in-too/c.txt", "out/d.txt"):
        write(folder, name, name)
    sync(store, folder)
    for name in ("in/a.txt", "in-too/c.txt", "out/d.txt"):
        (folder / name).unlink()
    assert sync(store, folder / "in").pruned == 0
    report = sync(store, folder / "in", prune=True, exclude=["b.txt"])
    assert (report.pruned, report.documents.removed) == (1, 1)
    assert texts(store) == ["in-too/c.txt", "in/b.txt", "out/d.txt"]


def test_prune_keeps_documents_without_a_source(store, folder):
    store.add("Said, not read.")
    write(folder, "a.txt", "Words.")
    sync(store, folder, prune=True)
    assert store.count() == 2


def test_a_path_that_does_not_exist_is_an_error_before_anything_is_done(store, folder):
    path = write(folder, "a.txt", "Words.")
    sync(store, folder)
    path.unlink()
    write(folder, "b.txt", "New.")
    with pytest.raises(InputError, match="gone"):
        sync(store, [folder, folder / "gone"], prune=True)
    assert texts(store) == ["Words."]


def test_an_unreadable_file_is_reported_and_does_not_stop_the_sync(store, folder):
    write(folder, "a.txt", "First.")
    bad = write(folder, "b.jsonl", "not json\n")
    write(folder, "c.pdf", "not a pdf")
    write(folder, "d.txt", "Last.")
    report = sync(store, folder)
    assert [(path, "line 1 is not JSON" in why) for path, why in report.failed] == [
        (bad.as_posix(), True),
        ((folder / "c.pdf").as_posix(), False),
    ]
    assert report.read == 2
    assert texts(store) == ["First.", "Last."]
    assert bad.as_posix() not in store.sources()  # so that the next sync tries again


def test_a_file_that_becomes_unreadable_keeps_its_documents(store, folder):
    path = write(folder, "a.txt", "Words.")
    sync(store, folder)
    path.write_bytes(b"\0\0")
    assert len(sync(store, path, prune=True).failed) == 1
    assert texts(store) == ["Words."]


def test_an_invalid_document_fails_only_its_file(store, folder, monkeypatch):
    from dataclasses import replace

    from hybridstore.ingest.readers import read

    def spoiled(path, **_):
        return (replace(one, metadata={"x": object()}) if "a.txt" in path else one for one in read(path))

    monkeypatch.setattr(SYNC, "read", spoiled)
    write(folder, "a.txt", "Spoiled.")
    write(folder, "b.txt", "Fine.")
    report = sync(store, folder)
    assert (len(report.failed), texts(store)) == (1, ["Fine."])


def test_skipped_files_are_counted_by_reason(store, folder):
    write(folder, "a.png", "x")
    write(folder, "b.png", "x")
    write(folder, ".hidden", "x")
    assert sync(store, folder).skipped == {"image": 2, "hidden": 1}


def test_a_name_that_is_not_utf_8_is_reported_in_printable_form(store, folder):
    try:
        with open(os.fsencode(folder) + b"/caf\xe9.txt", "w") as stream:  # noqa: PTH123 - a name Path cannot spell
            stream.write("Words.")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    ((path, why),) = sync(store, folder).failed
    assert "not valid UTF-8" in why
    assert path.encode()


def test_progress_counts_files_and_bytes_up_to_their_totals(store, folder):
    for n in range(5):
        write(folder, f"{n}.txt", "word " * (n + 1))
    calls = []
    sync(store, folder, progress=calls.append)
    assert [call.files for call in calls] == sorted(call.files for call in calls)
    last = calls[-1]
    assert (last.files, last.bytes, last.chunks) == (5, 75, 5)
    assert (last.files_total, last.bytes_total) == (5, 75)


def test_an_interrupted_sync_continues_from_the_last_commit(store, folder, monkeypatch):
    monkeypatch.setattr("hybridstore.store.writer._PLAIN_CHARACTERS", 40_000)
    for n in range(40):
        write(folder, f"{n:02}.txt", f"File {n}. " + "word " * 600)
    seen = []

    def stop(progress):
        seen.append(progress.files)
        if progress.files == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(store, folder, progress=stop)
    kept = len(store.sources())
    assert 0 < kept < 30
    assert store.count() >= kept
    report = sync(store, folder)
    assert (report.unchanged, report.read) == (kept, 40 - kept)
    assert store.count() == 40
    assert store.check() == []


def test_a_table_of_many_rows_is_streamed_with_progress(store, folder):
    rows = "\n".join(json.dumps({"text": f"row {n}"}) for n in range(1000))
    write(folder, "a.jsonl", rows)
    calls = []
    report = sync(store, folder, progress=calls.append)
    assert report.documents.added == 1000
    assert len(calls) > 5


def test_missing_readers_are_told_once_and_their_files_are_read_once_they_are_there(store, folder, monkeypatch):
    write(folder, "a.md", "Words.")
    for name in ("b.pdf", "c.pdf", "d.xlsx"):
        write(folder, name, "%PDF-1.4")
    for module in ("pypdf", "python_calamine"):
        monkeypatch.setitem(sys.modules, module, None)
    report = sync(store, folder)
    assert (report.read, report.failed) == (1, ())
    assert report.skipped == {
        "for lack of pypdf (pip install 'hybridstore[files]')": 2,
        "for lack of python-calamine (pip install 'hybridstore[files]')": 1,
    }
    assert [path for path, _ in report.left_out] == [str(folder / name) for name in ("b.pdf", "c.pdf", "d.xlsx")]
    monkeypatch.undo()
    assert len(sync(store, folder).failed) == 3  # read now, and found to be broken


def test_what_was_skipped_is_named_with_the_reason(store, folder):
    for name in ("kept.txt", "no.log", ".hidden", "package-lock.json"):
        write(folder, name, "{}")
    write(folder, "empty.txt", "")
    (folder / "data.bin").write_bytes(b"\0\1\2")
    left_out = dict(sync(store, folder, exclude=["*.log"]).left_out)
    assert {Path(path).name: reason for path, reason in left_out.items()} == {
        ".hidden": "hidden",
        "data.bin": "program",
        "empty.txt": "empty",
        "no.log": "excluded",
        "package-lock.json": left_out[str(folder / "package-lock.json")],
    }


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(store, folder):
    gone, same = write(folder, "gone.txt", "Old."), write(folder, "same.txt", "Same.")
    sync(store, folder)
    gone.unlink()
    new, bad = write(folder, "new.csv", "id,text\n1,one\n2,two\n"), write(folder, "bad.json", "{")
    report = sync(store, folder, prune=True, dry_run=True)
    assert (report.would_read, report.read, report.unchanged, report.pruned) == ((str(new),), 1, 1, 1)
    assert report.documents.added == 2
    assert [path for path, _ in report.failed] == [str(bad)]
    assert sorted(store.sources()) == [str(gone), str(same)]


def test_the_store_reads_folders_files_and_paths_by_itself(store, folder):
    write(folder, "a.md", "Words.")
    other = write(folder, "sub/b.txt", "More words.")
    states = []
    report = store.add_folder(folder, include=["*.md"], progress=states.append)
    assert (report.read, report.skipped, states[-1].files) == (1, {"not included": 1}, 1)
    assert store.add(folder).added == 1
    assert store.add([other, "a text"]).added == 1  # the file is known
    with pytest.raises(InputError, match="no file or folder"):
        store.add_folder(folder / "nowhere")
    with pytest.raises(InputError, match="takes include=, not includes="):
        store.add_folder(folder, includes=["*.md"])


def test_a_path_that_cannot_be_read_is_an_error_and_one_below_a_folder_a_warning(store, folder):
    bad = write(folder, "bad.json", "{")
    with pytest.raises(InputError, match=r"bad\.json: is not JSON"):
        store.add(bad)
    with pytest.warns(UserWarning, match=r"bad\.json: is not JSON"):
        store.add(folder)


@pytest.mark.parametrize("text", ["files/", "files", "files/a.md", "./files", "store.db"])
def test_a_text_that_is_a_path_is_refused_with_the_right_call(store, folder, tmp_path, monkeypatch, text):
    write(folder, "a.md", "Words.")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="add_folder"):
        store.add(text)
    assert store.count() == 0
    assert store.add({"text": text}).added == 1


def test_words_that_happen_to_be_names_of_files_are_words_among_others(store, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert store.add(["files", "a.b", "~", "..", "\0"]).added == 5
    with pytest.raises(InputError, match="add_folder"):
        store.add(["one", "./files"])


class CountedEmbedder(HashingEmbedder):
    """An embedder whose clock runs as a model's would: 3 ms for each text and 45 µs for each of its characters."""

    clock = 0.0

    def embed_documents(self, texts):
        self.clock += sum(0.003 + 45e-6 * min(len(text), 1_100) for text in texts)
        return super().embed_documents(texts)

    def embed_query(self, text):  # calibrations take no time here
        return super().embed_documents([text])[0]


def test_the_time_left_is_known_whatever_the_order_of_long_and_short_texts(tmp_path, monkeypatch):
    monkeypatch.setattr("hybridstore.store.writer._SOON", 1_000)
    monkeypatch.setattr("hybridstore.store.filling._AT_ONCE", 32)
    monkeypatch.setattr("hybridstore.store.filling._SPREAD", 64)
    (tmp_path / "files").mkdir()
    for n in range(500):  # the newest are the shortest, and come first
        (tmp_path / "files" / f"{n:03}.txt").write_text(f"Onion number {n}. " * (40 if n < 250 else 1))
    embedder, states = CountedEmbedder(64), []
    with open_store(tmp_path / "n.db", embedder=embedder) as store:
        store.add_folder(tmp_path / "files", progress=lambda state: states.append((embedder.clock, state.share)))
    clocks = [(clock, share) for clock, share in states if share]
    assert (0.0, None) in states  # before the first block
    assert clocks[-1][1] == 1.0
    for part in (0.25, 0.5, 0.75):
        clock, share = next(each for each in clocks if each[0] >= part * embedder.clock)
        left = clock * (1 - share) / share
        assert left == pytest.approx(embedder.clock - clock, rel=0.2)
