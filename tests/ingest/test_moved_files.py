"""Moved files: recognised by their content, so that documents get new ids and keep their vectors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.ingest import sync, sync_remembered
from hybridstore.records import Folder
from hybridstore.store import open as open_store


class Counting(HashingEmbedder):
    """Counts the texts that it embeds."""

    texts = 0

    def embed_documents(self, texts):
        self.texts += len(texts)
        return super().embed_documents(texts)


@pytest.fixture
def embedder():
    return Counting()


@pytest.fixture(params=["file", ":memory:"])
def store(tmp_path, embedder, request):
    location = tmp_path / "store.db" if request.param == "file" else ":memory:"
    with open_store(location, embedder=embedder) as opened:
        yield opened


@pytest.fixture
def old(tmp_path):
    folder = tmp_path / "old"
    (folder / "sub").mkdir(parents=True)
    (folder / "bridge.md").write_text("# Bridges\n\nThe iron bridge is old.\n\n## Repair\n\nIt was painted.")
    (folder / "sub" / "boat.txt").write_text("A wooden boat.")
    rows = [{"id": str(n), "text": f"row number {n}"} for n in range(5)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def ids(store):
    return sorted(document.id for document in store.documents())


def vectors(store):
    return {stored.document.text: stored.vectors for stored in store.scan(vectors=True)}


def check_all_moved(store, folders, before, embedder, count):
    old, new = folders
    assert embedder.texts == count
    assert [id_ for id_ in ids(store) if id_.startswith(f"{old.as_posix()}/")] == []
    assert all(id_.startswith(f"{new.as_posix()}/") for id_ in ids(store))
    after = vectors(store)
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[text], before[text]) for text in before)
    assert all(key.startswith(f"{new.as_posix()}/") for key in store.sources())
    assert store.check() == []


@pytest.mark.parametrize("parent", [False, True])
def test_a_moved_folder_keeps_its_vectors_and_stands_once(store, old, tmp_path, embedder, parent):
    sync(store, old)
    before, count = vectors(store), embedder.texts
    new = tmp_path / "elsewhere" / "deep" / "new" if parent else tmp_path / "new"
    new.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(old, new)
    report = sync(store, new)
    assert (report.moved, report.read, report.unchanged, report.documents.embedded) == (3, 0, 0, 0)
    check_all_moved(store, (old, new), before, embedder, count)
    hits = store.search("iron bridge", per_document=1)
    assert [hit.document_id for hit in hits].count((new / "bridge.md").as_posix()) == 1
    assert hits[0].metadata["path"] == hits[0].uri == (new / "bridge.md").as_posix()
    again = sync(store, new)
    assert (again.moved, again.read, again.unchanged) == (0, 0, 3)


def test_a_renamed_file_keeps_its_vectors_and_takes_its_new_title(store, old, embedder):
    sync(store, old)
    before, count = vectors(store), embedder.texts
    (old / "sub" / "boat.txt").rename(old / "sub" / "zeppelin.txt")
    report = sync(store, old)
    assert (report.moved, report.unchanged, embedder.texts) == (1, 2, count)
    moved = store.get((old / "sub" / "zeppelin.txt").as_posix())
    assert (moved.title, moved.text) == ("zeppelin", "A wooden boat.")
    assert np.array_equal(vectors(store)["A wooden boat."], before["A wooden boat."])
    assert [hit.document_id for hit in store.search("zeppelin", mode="keyword")] == [moved.id]
    assert len(store.search("boat.txt", mode="keyword", where={"path": (old / "sub" / "boat.txt").as_posix()})) == 0


def test_a_file_that_takes_the_place_of_another_replaces_it(store, old, embedder):
    (old / "other.txt").write_text("Something else.")
    sync(store, old)
    count = embedder.texts
    (old / "other.txt").unlink()
    (old / "sub" / "boat.txt").rename(old / "other.txt")
    assert sync(store, old).moved == 1
    assert embedder.texts == count
    assert store.get((old / "other.txt").as_posix()).text == "A wooden boat."
    assert len(ids(store)) == len(store.sources()) - 1 + 5
    assert store.check() == []


def test_copies_are_read_and_each_of_several_equal_files_moves_to_its_own_name(store, old, tmp_path):
    (old / "copy.txt").write_text("A wooden boat.")
    assert sync(store, old).read == 4  # a copy is a document of its own
    new = tmp_path / "new"
    shutil.move(old, new)
    assert sync(store, new).moved == 4
    assert ids(store) == sorted(id_ for id_ in ids(store) if id_.startswith(str(new)))
    assert store.get(f"{new}/copy.txt").title == "copy"


def test_a_move_that_was_stopped_goes_on_where_it_stopped(store, old, tmp_path, embedder, monkeypatch):
    sync(store, old)
    before, count = vectors(store), embedder.texts
    new = tmp_path / "new"
    shutil.move(old, new)
    calls = []

    def stop(progress):
        calls.append(progress)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(store, new, progress=stop)
    sync(store, new)
    check_all_moved(store, (old, new), before, embedder, count)


def test_a_path_that_is_gone_can_be_pruned_and_one_that_was_never_read_cannot(store, old, tmp_path):
    sync(store, old)
    shutil.rmtree(old)
    report = sync(store, old, prune=True)
    assert (report.pruned, store.count(), store.sources()) == (3, 0, {})
    with pytest.raises(InputError, match="no file or folder"):
        sync(store, old, prune=True)


def test_folders_are_remembered_with_their_options_and_brought_up_to_date(store, old, tmp_path):
    sync(store, old, exclude=["*.md"])
    alone = tmp_path / "alone.txt"
    alone.write_text("By itself.")
    sync(store, alone)
    assert store.folders() == [Folder(old.as_posix(), exclude=("*.md",))]
    (old / "new.txt").write_text("New.")
    (old / "rows.jsonl").unlink()
    alone.write_text("Changed.")
    report = sync_remembered(store)
    assert (report.read, report.unchanged, report.pruned) == (2, 1, 1)
    assert sorted(document.text for document in store.documents()) == ["A wooden boat.", "Changed.", "New."]
    alone.unlink()
    assert sync_remembered(store, dry_run=True).pruned == 1
    assert sync_remembered(store).pruned == 1
    assert store.count() == 2


def test_a_file_that_moves_between_remembered_folders_is_moved_and_not_pruned(store, old, tmp_path, embedder):
    new = tmp_path / "a-new"  # walked before, as well as after
    new.mkdir()
    (new / "one.txt").write_text("The first.")
    sync(store, [old, new])
    count = embedder.texts
    shutil.move(old / "bridge.md", new / "bridge.md")
    shutil.move(new / "one.txt", old / "one.txt")
    report = sync_remembered(store)
    assert (report.moved, report.pruned, report.read, embedder.texts) == (2, 0, 0, count)


def test_a_folder_that_is_not_there_keeps_its_documents_and_is_named_until_it_is_forgotten(store, old, tmp_path):
    sync(store, old)
    old.rename(tmp_path / "unmounted")
    report = sync_remembered(store)
    assert [path for path, _ in report.failed] == [old.as_posix()]
    assert "--forget" in report.failed[0][1]
    assert store.count() == 7
    sync(store, tmp_path / "unmounted")  # it has moved: nothing is left that could be lost
    assert sync_remembered(store).failed == ()
    assert [folder.path for folder in store.folders()] == [(tmp_path / "unmounted").as_posix()]
    assert store.forget_folder(store.folders()[0].path)
    assert not store.forget_folder(old.as_posix())
    assert store.count() == 7


def test_remembered_folders_are_kept_in_copies_of_the_store(store, old, tmp_path):
    sync(store, old, hidden=True, include=["*.md"], max_file_size=1000)
    store.backup(tmp_path / "copy.db")
    with open_store(tmp_path / "copy.db", embedder="none") as copy:
        assert copy.folders() == store.folders() != []
        assert copy.check() == []


def test_a_file_that_is_edited_as_it_moves_is_read(store, old, tmp_path):
    sync(store, old)
    shutil.move(old / "bridge.md", old / "crossing.md")
    Path(old / "crossing.md").write_text("# Crossings\n\nNew.")
    report = sync(store, old, prune=True)
    assert (report.moved, report.read, report.pruned) == (0, 1, 1)


def test_what_is_expected_of_a_file_is_expected_of_it_where_it_is_now(store, old, tmp_path):
    sync(store, [old])
    store.expect("bridge", str(old / "bridge.md"), within=3)
    store.expect("a row", next(id_ for id_ in ids(store) if "rows.jsonl" in id_))
    suffixes = [each.document_id.removeprefix(str(old)) for each in store.expectations()]
    old.rename(tmp_path / "new")
    sync(store, [tmp_path / "new"])
    assert [each.document_id for each in store.expectations()] == [f"{tmp_path / 'new'}{end}" for end in suffixes]
    assert [each.within for each in store.expectations()] == [3, 10]
    assert all(each.stored for each in store.test())
