"""`sync` and `watch`: real folders, and a real process that watches them."""

import json
import shutil
import signal
import time

import pytest

import hybridstore as hs


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("# Onions\n\nOnions keep for months.")
    (folder / "b.txt").write_text("Leeks do not.")
    return folder


def test_sync_reads_what_changed_in_all_folders_with_their_options(run, notes):
    run("add", notes, "--exclude", "*.log")
    (notes / "c.txt").write_text("Garlic keeps.")
    (notes / "no.log").write_text("Not this.")
    (notes / "b.txt").unlink()
    assert "c.txt" in run("sync", "--dry-run").stdout
    said = run("sync").stderr
    assert "Read 1 file, 1 unchanged, 1 gone: 1 document added, 1 document removed" in said
    assert json.loads(run("sync", "--json").stdout)["unchanged"] == 2
    assert run("sync", "--list").stdout == f"{notes}  (exclude *.log)\n"
    assert json.loads(run("sync", "--list", "--json").stdout)[0]["exclude"] == ["*.log"]


def test_a_folder_is_forgotten_and_keeps_its_documents(run, notes, db):
    run("add", notes)
    assert "its documents stay" in run("sync", "--forget", notes).stderr
    (notes / "c.txt").write_text("Garlic keeps.")
    assert run("sync", "--list").stdout == ""
    assert "is not a folder that was added; these were: none" in run("sync", notes, code=2).stderr
    assert "--list" in run("sync", "--forget", code=2).stderr
    run("sync")  # the files that were read, and no others
    with hs.open(db, embedder="none") as store:
        assert (store.count(), len(store.sources())) == (5, 2)


def test_a_folder_that_is_not_there_is_named_and_loses_nothing(run, notes, db):
    run("add", notes)
    shutil.move(notes, notes.with_name("elsewhere"))
    assert "this folder is not there, and its documents were kept" in run("sync").stderr
    run("add", notes, "--prune")
    assert "not there" not in run("sync").stderr
    assert str(notes) not in run("sync", "--list").stdout


def test_a_store_into_which_no_file_was_read_says_so(run):
    assert "no file was read into this store" in run("sync", code=1).stderr
    assert "no folder is remembered" in run("watch", code=1).stderr or not _has_watchfiles()


def _has_watchfiles():
    try:
        import watchfiles  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.fixture
def watching(process, tmp_path, notes):
    """Watch a folder with its store in it, as in a folder of notes with the default name of the store."""
    pytest.importorskip("watchfiles", reason="pip install 'hybridstore[watch]'")
    db = notes / "hybridstore.db"
    with hs.open(db, embedder="none") as store:
        store.add_folder(notes)
    running = process("--db", db, "watch")
    assert "no vectors" in running.stderr.readline()
    assert running.stderr.readline().startswith("Watching 1 folder: ")
    yield running, db
    if running.poll() is None:
        running.kill()
        running.communicate()


def texts(db):
    with hs.open(db, embedder="none") as store:
        return sorted(document.text for document in store.documents())


def wait_for(db, *expected):
    deadline = time.monotonic() + 30
    while texts(db) != sorted(expected):
        assert time.monotonic() < deadline, texts(db)
        time.sleep(0.1)


def test_watch_follows_new_changed_moved_and_removed_files_and_ends_cleanly(watching, notes):
    running, db = watching
    onions = "# Onions\n\nOnions keep for months."
    (notes / "c.txt").write_text("Garlic keeps.")
    wait_for(db, onions, "Leeks do not.", "Garlic keeps.")
    part = notes / ".b.txt.part"  # as editors save
    part.write_text("Leeks do, in sand.")
    part.replace(notes / "b.txt")
    wait_for(db, onions, "Leeks do, in sand.", "Garlic keeps.")
    (notes / "broken.jsonl").write_text("{\n")  # stops nothing
    (notes / "sub").mkdir()
    (notes / "c.txt").rename(notes / "sub" / "garlic.txt")
    (notes / "a.md").unlink()
    wait_for(db, "Leeks do, in sand.", "Garlic keeps.")
    with hs.open(db, embedder="none") as store:
        assert store.get(f"{notes}/sub/garlic.txt").title == "garlic"
        revision = store.stats().revision
    time.sleep(2)  # its own file in the folder sets nothing off
    with hs.open(db, embedder="none") as store:
        assert store.stats().revision == revision
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 0
    assert "Stopped watching" in said
    assert said.count("broken.jsonl") == 1
    assert "1 moved" in said
    assert "Traceback" not in said


def test_watch_takes_up_folders_that_are_added_meanwhile_and_a_burst_at_once(watching, notes, tmp_path):
    running, db = watching
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.txt").write_text("Number x.")
    with hs.open(db, embedder="none") as store:
        store.add_folder(other)
    assert running.stderr.readline().startswith("Watching 2 folders: ")
    for number in range(40):
        (other / f"{number}.txt").write_text(f"Number {number}.")
    wait_for(db, "# Onions\n\nOnions keep for months.", "Leeks do not.", "Number x.",
             *(f"Number {number}." for number in range(40)))  # fmt: skip
    assert running.stderr.readline().startswith("Read 40 files")


def test_watch_exchanges_with_another_device_by_itself(process, tmp_path):
    pytest.importorskip("watchfiles", reason="pip install 'hybridstore[watch]'")
    (tmp_path / "shared").mkdir()
    running, stores = [], []
    for name in ("laptop", "phone"):
        notes = tmp_path / name / "notes"
        notes.mkdir(parents=True)
        (notes / f"{name}.txt").write_text(f"Written on the {name}.")
        (tmp_path / name / "hybridstore.toml").write_text(f'db = "notes.db"\nexchange = "{tmp_path}/shared"\n')
        with hs.open(tmp_path / name / "notes.db", embedder="none") as store:
            store.add_folder(notes)
        stores.append(tmp_path / name / "notes.db")
        running.append(process("watch", cwd=tmp_path / name))
    try:
        for db in stores:
            wait_for(db, "Written on the laptop.", "Written on the phone.")
        (tmp_path / "laptop" / "notes" / "laptop.txt").write_text("Changed on the laptop.")
        wait_for(stores[1], "Changed on the laptop.", "Written on the phone.")
    finally:
        said = []
        for each in running:
            each.send_signal(signal.SIGINT)
            said.append(each.communicate(timeout=30)[1])
    assert "1 document replaced" in said[1]
    assert "Traceback" not in "".join(said)
