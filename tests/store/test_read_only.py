"""A store opened for reading alone is searched without a byte being written, and refuses every write."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import FileRefused, InputError, StoreRefused

ARCHIVE = Path(__file__).parent.parent / "archive"
NOBODY = 65534


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "store.db"
    with hs.open(path, embedder=HashingEmbedder()) as store:
        store.add(hs.Document(id=f"d{n}", text=f"the valve {n} leaks", metadata={"n": n}) for n in range(20))
    yield path
    folder.chmod(0o755)


def state(folder: Path):
    return {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.iterdir()}


def used(store) -> None:
    """Read in every way."""
    assert store.search("valve 7").trace.hits[0].document_id == "d7"
    assert len(store.search("valve", where={"n": {"$lt": 3}})) == 3
    assert store.get("d1").text == "the valve 1 leaks"
    assert store.count() == len(list(store.documents())) == 20
    assert "d7" in str(store.explain("valve", expect="d7"))
    assert store.check() == []
    assert store.stats().documents == 20


def test_in_a_folder_that_cannot_be_written_nothing_is_made_or_changed(path):
    path.parent.chmod(0o555)
    path.chmod(0o444)
    before = state(path.parent)
    with hs.open(path, embedder=HashingEmbedder(), read_only=True) as store:
        used(store)
        with hs.Memory(store) as memory:
            assert memory.recall("valve") is not None
        assert state(path.parent) == before
    assert state(path.parent) == before


WRITES = {
    "add": lambda store: store.add("text"),
    "remove": lambda store: store.remove("d1"),
    "remove_where": lambda store: store.remove_where({"n": 1}),
    "purge": lambda store: store.purge("d1"),
    "reembed": lambda store: store.reembed(HashingEmbedder(32)),
    "repair": lambda store: store.check(repair=True),
    "feedback": lambda store: store.feedback("valve", store.search("valve", limit=1)[0]),
    "forget": lambda store: store.forget_queries(),
    "calibrate": lambda store: store.calibrate(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("mode", [0o555, 0o755])
def test_every_write_is_refused_and_changes_nothing(path, write, mode):
    path.parent.chmod(mode)
    before = path.read_bytes()
    with hs.open(path, embedder=HashingEmbedder(), read_only=True) as store:
        with pytest.raises(FileRefused, match="opened for reading alone"):
            write(store)
        used(store)
    assert path.read_bytes() == before


def test_what_another_process_writes_is_read(path):
    with (
        hs.open(path, embedder=HashingEmbedder()) as writer,
        hs.open(path, embedder=HashingEmbedder(), read_only=True) as reader,
    ):
        used(reader)
        writer.add(hs.Document(id="new", text="a new pump"))
        assert reader.search("pump")[0].document_id == "new"


def test_a_log_in_a_folder_that_cannot_be_written_is_a_clear_error(path):
    path.with_name("store.db-wal").write_bytes(bytes.fromhex("377f0682002de21800002000") + bytes(9000))
    run = as_nobody(path.parent, "hs.open(path, embedder='none', read_only=True)")
    assert "Copy both files" in run.stderr, run.stderr


def as_nobody(folder: Path, statement: str) -> subprocess.CompletedProcess:
    """Run a statement with `path` as a user who cannot write the folder."""
    if os.getuid():
        pytest.skip("only root can become someone else")
    for above in (folder, *folder.parents):
        if above.stat().st_uid == 0 and above != Path("/"):
            above.chmod(above.stat().st_mode | 0o555)
    warm = Path(shutil.copytree(folder, folder.parent / "warm", dirs_exist_ok=True)) / "store.db"
    for log in warm.parent.glob("*-wal"):
        log.unlink()
    for file in folder.iterdir():
        file.chmod(0o644)
    folder.chmod(0o555)
    # Python and its modules may be root's alone, so all that is needed is loaded before.
    program = (
        "import os, sys\nimport hybridstore as hs\nfrom hybridstore.embedders.hashing import HashingEmbedder\n"
        "path, warm = sys.argv[1:]\nloaded = hs.open(warm, embedder=HashingEmbedder())\nloaded.search('valve')\n"
        f"os.setuid({NOBODY})\n{statement}\n"
    )
    command = [sys.executable, "-c", program, str(folder / "store.db"), str(warm)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_user_without_permission_to_write_searches(path):
    statement = "print(hs.open(path, embedder=HashingEmbedder(), read_only=True).search('valve 7')[0].document_id)"
    before = state(path.parent)
    run = as_nobody(path.parent, statement)
    assert run.stdout == "d7\n", run.stderr
    assert state(path.parent) == before
    shutil.rmtree(path.parent.parent / "warm")
    refused = as_nobody(path.parent, "hs.open(path, embedder='none')")
    assert "read_only=True" in refused.stderr, refused.stderr


def test_reading_alone_makes_no_store_and_migrates_none(tmp_path):
    with pytest.raises(FileRefused, match="no such file"):
        hs.open(tmp_path / "new.db", read_only=True)
    with pytest.raises(StoreRefused):
        hs.open(":memory:", read_only=True)
    shutil.copy(ARCHIVE / "v6.db", tmp_path / "recent.db")  # a later version that changed nothing in the file
    with hs.open(tmp_path / "recent.db", embedder="none", read_only=True) as store:
        assert (store.stats().codec, store.check()) == ("float32", [])
        assert store.count()
    assert (tmp_path / "recent.db").read_bytes() == (ARCHIVE / "v6.db").read_bytes()
    shutil.copy(ARCHIVE / "v2.db", tmp_path / "old.db")
    with pytest.raises(FileRefused, match="must be migrated"):
        hs.open(tmp_path / "old.db", read_only=True)
    with pytest.raises(InputError, match="log_queries"):
        hs.open(tmp_path / "old.db", read_only=True, log_queries=True)
    assert (tmp_path / "old.db").read_bytes() == (ARCHIVE / "v2.db").read_bytes()


def test_a_vfs_of_sqlite_reads_the_file(path):
    if "unix" not in apsw.vfs_names():
        pytest.skip("that VFS is only there on Unix")
    with hs.open(path, embedder=HashingEmbedder(), read_only=True, vfs="unix") as store:
        used(store)
    with pytest.raises(InputError, match="no VFS 'replica'"):
        hs.open(path, read_only=True, vfs="replica")
    with pytest.raises(InputError, match="read_only=True"):
        hs.open(path, vfs="unix")
