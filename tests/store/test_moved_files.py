"""A store whose file is moved, replaced, written over or removed while it is open says so, and acknowledges nothing."""

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import apsw
import pytest

import hybridstore as hs
from hybridstore.backends.sqlite.file_identity import FileIdentity
from hybridstore.errors import FileRefused

# Encrypted where this SQLite can: test_encryption.py runs these tests so, too.
OPEN = {"embedder": "none"} | ({"key": "a secret"} if hasattr(apsw, "mc_version") else {})
DOCUMENTS = [{"id": f"d{n}", "text": f"document number {n} about pumps"} for n in range(50)]


@pytest.fixture
def store(tmp_path):
    with hs.open(tmp_path / "x.db", **OPEN) as store:
        store.add(DOCUMENTS)
        yield store


def in_process(code: str, path: Path) -> None:
    code = f"import os, sys, hybridstore as hs\nOPEN = {OPEN}\n{code}"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def copy(path: Path, to: Path) -> None:
    """Write over a file in place, as `cp` does."""
    with to.open("wb") as stream:
        stream.write(path.read_bytes())


def rest() -> None:
    """Wait until the log was copied into the file and readers look at the file again."""
    time.sleep(0.6)


def move(path: Path) -> None:
    path.rename(path.with_name("y.db"))


def replace(path: Path) -> None:
    other = path.with_name("other.db")
    with hs.open(other, **OPEN) as another:
        another.add("something else")
    other.replace(path)


def write_over(path: Path, **options) -> None:
    other = path.with_name("other.db")
    with hs.open(other, **(options or OPEN)) as another:
        another.add("something else")
    copy(other, path)


def write_over_unencrypted(path: Path) -> None:
    write_over(path, embedder="none")


def remove(path: Path) -> None:
    path.unlink()


def move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name(f"moved {path.parent.name}"))
    path.parent.mkdir()


def remove_log(path: Path) -> None:
    path.with_name("x.db-wal").unlink()


def remove_index(path: Path) -> None:
    path.with_name("x.db-shm").unlink()


def link(path: Path) -> None:
    path.with_name("y.db").hardlink_to(path)


def empty(path: Path) -> None:
    path.write_bytes(b"")


OVER = [write_over, write_over_unencrypted]
KINDS = [move, replace, *OVER, remove, move_folder, remove_log, remove_index, link, empty]


@pytest.mark.parametrize("resting", [True, False])
@pytest.mark.parametrize("change", KINDS, ids=lambda change: change.__name__)
def test_nothing_is_acknowledged_after_the_file_was(store, tmp_path, change, resting):
    if resting:
        rest()
    change(tmp_path / "x.db")
    time.sleep(0.1)
    uses = [
        lambda: store.add({"id": "new", "text": "lost"}),
        lambda: store.remove("d1"),
        store.count,
        lambda: store.search("pumps", mode="keyword"),
    ]
    for use in uses:
        with pytest.raises(FileRefused, match=r"open|remove"):
            use()


@pytest.mark.parametrize("change", [move, remove, replace, *OVER, move_folder], ids=lambda change: change.__name__)
def test_a_closed_store_leaves_alone_what_lies_at_its_path(store, tmp_path, change):
    rest()
    change(tmp_path / "x.db")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.suffix == ".db"}
    store.close()
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.suffix == ".db"} == before


def test_a_moved_file_has_everything_that_was_acknowledged(store, tmp_path):
    rest()
    move(tmp_path / "x.db")
    with pytest.raises(FileRefused, match="moved"):
        store.add("more")
    with hs.open(tmp_path / "x.db", **OPEN) as second:
        second.add("in the new file")
        with hs.open(tmp_path / "y.db", **OPEN) as moved:
            assert (moved.count(), second.count()) == (50, 1)
            assert moved.check() == second.check() == []


@pytest.mark.parametrize("resting", [True, False])
@pytest.mark.parametrize("by", ["cp", "backup"])
def test_a_backup_that_is_copied_over_an_open_store_stays_whole(store, tmp_path, by, resting):
    rest()
    if by == "cp":
        shutil.copy(tmp_path / "x.db", tmp_path / "backup.db")
    else:
        store.backup(tmp_path / "backup.db")
    store.add([{"id": f"later{n}", "text": "later"} for n in range(30)])
    rest()
    store.remove(["d0", "d1"])
    for n in range(5):
        store.add(f"later still {n}")
    if resting:
        rest()
    copy(tmp_path / "backup.db", tmp_path / "x.db")
    with pytest.raises(FileRefused, match="replaced"):
        store.add("more")
    store.close()
    if not resting and (tmp_path / "x.db-wal").exists() and (tmp_path / "x.db-wal").stat().st_size:
        with pytest.raises(FileRefused, match="another state"):
            hs.open(tmp_path / "x.db", **OPEN)
        (tmp_path / "x.db-wal").unlink()
        (tmp_path / "x.db-shm").unlink(missing_ok=True)
    with hs.open(tmp_path / "x.db", **OPEN) as restored:
        assert sorted(restored.ids()) == sorted(document["id"] for document in DOCUMENTS)
        assert restored.check() == []


def test_a_backup_of_the_same_state_is_told_from_the_file_itself(store, tmp_path):
    rest()
    store.backup(tmp_path / "backup.db")
    copy(tmp_path / "backup.db", tmp_path / "x.db")
    with pytest.raises(FileRefused, match="replaced"):
        store.add("more")


def test_the_log_of_another_file_is_refused(tmp_path):
    code = """
store = hs.open(sys.argv[1], **OPEN)
store.add("one"), store.add("two")
with store.snapshot():
    store.count()
    other = __import__("threading").Thread(target=lambda: [store.add(f"n {n}") for n in range(20)])
    other.start(), other.join()
    os._exit(0)
"""
    path, log = tmp_path / "x.db", tmp_path / "x.db-wal"
    in_process(code, path)
    assert log.stat().st_size > 0
    with hs.open(tmp_path / "other.db", **OPEN) as other:
        other.add(DOCUMENTS)
    whole = {name: name.read_bytes() for name in (path, log)}
    copy(tmp_path / "other.db", path)
    for attempt in ("another state", "does not exist"):
        with pytest.raises(FileRefused, match=attempt):
            hs.open(path, **OPEN)
        path.unlink(missing_ok=True)
    for name, data in whole.items():
        name.write_bytes(data)
    (tmp_path / "x.db-shm").unlink()
    with hs.open(path, **OPEN) as store:
        assert store.count() == 22
        assert store.check() == []


def test_the_one_file_is_whole_when_a_write_is_over(tmp_path):
    with hs.open(tmp_path / "x.db", **OPEN) as store:
        store.add(DOCUMENTS)
        shutil.copy(tmp_path / "x.db", tmp_path / "at once.db")
        for n in range(100):
            store.add({"id": f"e{n}", "text": "one by one"})
        rest()
        assert (tmp_path / "x.db-wal").stat().st_size == 0
        shutil.copy(tmp_path / "x.db", tmp_path / "after a moment.db")
    for name, number in (("at once", 50), ("after a moment", 150)):
        with hs.open(tmp_path / f"{name}.db", **OPEN) as copied:
            assert copied.count() == number
            assert copied.check() == []


def test_a_closed_store_is_one_file_although_it_was_not_closed_by_its_program(tmp_path):
    code = "s = hs.open(sys.argv[1], **OPEN); s.add(['a', 'b'])"
    in_process(code, tmp_path / "x.db")
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


def test_threads_open_the_same_file_after_a_change_of_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with hs.open("x.db", **OPEN) as store:
        store.add(DOCUMENTS)
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        counts = []
        thread = threading.Thread(target=lambda: counts.append(store.count()))
        thread.start()
        thread.join()
        assert counts == [50]
        assert store.stats().bytes > 0
        assert store.purge("d1").clean
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_symlink_that_is_turned_to_another_file_is_noticed(store, tmp_path):
    rest()
    (tmp_path / "link.db").symlink_to(tmp_path / "x.db")
    with hs.open(tmp_path / "link.db", **OPEN) as linked:
        linked.add({"id": "by link", "text": "by link"})
        assert store.count() == 51
        with hs.open(tmp_path / "other.db", **OPEN):
            pass
        (tmp_path / "link.db").unlink()
        (tmp_path / "link.db").symlink_to(tmp_path / "other.db")
        with pytest.raises(FileRefused, match="replaced"):
            linked.add("more")
        assert store.count() == 51


def test_two_stores_in_one_process_and_another_process_leave_the_log_in_place(store, tmp_path):
    for _ in range(3):
        hs.open(tmp_path / "x.db", **OPEN).close()  # opening must not drop this process's locks
    code = "s = hs.open(sys.argv[1], **OPEN); s.add('other'); s.close()"
    in_process(code, tmp_path / "x.db")
    store.add("after")
    assert store.count() == 52


def test_a_log_that_another_process_began_anew_between_two_looks_is_not_foreign(store, tmp_path, monkeypatch):
    fits, looks = FileIdentity._fits, []

    def look(self, log):
        looks.append(log)
        return len(looks) > 2 and fits(self, log)

    monkeypatch.setattr(FileIdentity, "_fits", look)
    store.add("a write that is in the log")
    with hs.open(tmp_path / "x.db", **OPEN) as other:
        assert other.count() == 51
    assert len(looks) >= 3
