"""Files that we write are there completely or not at all, and only their owner can read them."""

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import hybridstore as hs
from hybridstore.errors import FileRefused, InputError
from hybridstore.evaluation.judgments import Qrels, write_qrels
from hybridstore.ingest import export_import
from hybridstore.whole_files import whole_file, write_whole

WRITERS = {
    "backup": "store.backup(target)",
    "export": "export_import.export(store, target)",
}
PROGRAM = """
import sys, hybridstore as hs
from hybridstore.ingest import export_import
path, target = sys.argv[1:]
store = hs.open(path, embedder="none")
print("ready", flush=True)
while True:
    {write}
    print("written", flush=True)
    break
"""


@pytest.fixture(scope="module")
def store_path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("store") / "store.db"
    with hs.open(path, embedder="none") as store:
        store.add(hs.Document(id=f"d{n}", text=f"word{n} " * 400) for n in range(1500))
    return path


@contextmanager
def file_size_limit(limit: int):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def umask(mask: int):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


@pytest.mark.thorough
@pytest.mark.parametrize("what", ["backup", "export"])
def test_a_killed_writer_leaves_no_file_under_its_final_name_and_a_retry_succeeds(store_path, tmp_path, what):
    target, killed = tmp_path / "copy", 0
    for turn in range(4):
        program = PROGRAM.format(write=WRITERS[what])
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(store_path), str(target)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        deadline = time.monotonic() + 20
        while not [part for part in tmp_path.glob(".copy-*.part") if part.stat().st_size > turn * 300_000]:
            if process.poll() is not None or time.monotonic() > deadline:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if target.exists():  # it was faster than the signal: then it is whole
            target.unlink()
        else:
            killed += 1
    assert killed >= 2
    assert all(left.name.startswith(".copy-") and ".part" in left.name for left in tmp_path.iterdir())
    with hs.open(store_path, embedder="none") as store:
        if what == "backup":
            store.backup(target)
            with hs.open(target, embedder="none") as copy:
                assert copy.count() == 1500
        else:
            assert export_import.export(store, target) == 1500


@pytest.mark.parametrize("limit", [1, 100_000, 500_000])
def test_a_full_disk_leaves_nothing_behind(store_path, tmp_path, limit):
    with hs.open(store_path, embedder="none") as store, hs.open(":memory:", embedder="none") as memory:
        memory.add([f"text {n} " * 50 for n in range(1500)])
        for write in (store.backup, lambda target: export_import.export(store, target), memory.backup):
            with file_size_limit(limit), pytest.raises(FileRefused, match="cannot be written"):
                write(tmp_path / "copy")
            assert list(tmp_path.iterdir()) == []
        store.backup(tmp_path / "copy")
        assert store.count() == 1500


def test_a_backup_whose_writer_was_killed_between_its_two_names_opens(store_path, tmp_path):
    with hs.open(store_path, embedder="none") as store:
        store.backup(tmp_path / "copy.db")
        count = store.count()
    (tmp_path / ".copy.db-abcdefgh.part").hardlink_to(tmp_path / "copy.db")
    with hs.open(tmp_path / "copy.db", embedder="none") as copy:
        assert copy.count() == count
    assert [file.name for file in tmp_path.glob(".copy*")] == []


def test_a_backup_replaces_nothing(store_path, tmp_path):
    for name in ("file", "folder", "link"):
        target = tmp_path / name
        {"file": target.touch, "folder": target.mkdir, "link": lambda t=target: t.symlink_to("nowhere")}[name]()
        with hs.open(store_path, embedder="none") as store, pytest.raises(FileRefused, match="already there"):
            store.backup(target)
    assert sorted(left.name for left in tmp_path.iterdir()) == ["file", "folder", "link"]


def test_a_file_that_appears_while_another_is_written_is_kept(tmp_path):
    target = tmp_path / "copy"
    with pytest.raises(FileExistsError), whole_file(target, replace=False):
        target.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [target]


def test_a_backup_inside_a_snapshot_is_refused(store_path, tmp_path):
    with (
        hs.open(store_path, embedder="none") as store,
        store.snapshot(),
        pytest.raises(InputError, match="leave it first"),
    ):
        store.backup(tmp_path / "copy")


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_new_files_are_readable_by_their_owner_alone_whatever_the_umask(tmp_path, mask):
    with umask(mask), hs.open(tmp_path / "new.db", embedder="none") as store:
        store.add("some private text")
        store.backup(tmp_path / "backup.db")
        export_import.export(store, tmp_path / "export.jsonl")
        export_import.export(store, tmp_path / "export.jsonl.gz")
        write_qrels(Qrels({"q": {"d": 1}}), tmp_path / "qrels.tsv")
        with hs.open(":memory:", embedder="none") as memory:
            memory.backup(tmp_path / "memory.db")
        names = {path.name: oct(mode(path)) for path in tmp_path.iterdir()}
    assert {"new.db-wal", "new.db-shm", "backup.db", "export.jsonl", "memory.db"} <= set(names)
    assert set(names.values()) == {"0o600"}, names


def test_a_file_that_is_there_keeps_its_permissions(tmp_path):
    shared, exported = tmp_path / "shared.db", tmp_path / "export.jsonl"
    shared.touch(0o660)
    shared.chmod(0o660)
    with hs.open(shared, embedder="none") as store:
        store.add("text")
        export_import.export(store, exported)
        exported.chmod(0o644)
        export_import.export(store, exported)
        assert {mode(shared), mode(f"{shared}-wal"), mode(f"{shared}-shm")} == {0o660}
    assert mode(exported) == 0o644


def test_what_is_written_through_a_link_replaces_the_file_and_not_the_link(tmp_path):
    (tmp_path / "real").write_bytes(b"before")
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", b"after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"after"


@pytest.mark.parametrize("side", ["-wal", "-journal"])
@pytest.mark.parametrize("empty", [True, False], ids=["an empty file", "no file"])
def test_a_log_beside_a_file_that_is_lost_or_empty_makes_no_new_store(tmp_path, side, empty):
    path = tmp_path / "store.db"
    if empty:
        path.touch()
    Path(f"{path}{side}").write_bytes(b"what another file's changes look like")
    with pytest.raises(FileRefused, match=f"store.db{side} beside it"):
        hs.open(path, embedder="none")
    assert not path.exists() or not path.stat().st_size
    assert Path(f"{path}{side}").stat().st_size
