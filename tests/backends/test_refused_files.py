"""What is not ours, or not whole, is refused in a sentence and stays as it was, byte for byte."""

from contextlib import closing

import apsw
import numpy as np
import pytest
from made import EMBEDDING, entry, found, units

from hybridstore.backends.sqlite import SQLiteBackend
from hybridstore.backends.sqlite.schema import APPLICATION_ID, SCHEMA_VERSION
from hybridstore.backends.sqlite.schema_inspection import harden
from hybridstore.errors import FileDamaged, FileRefused


def someone_elses(path):
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("CREATE TABLE documents (id, text); INSERT INTO documents VALUES (1, 'theirs')")


def newer(path):
    SQLiteBackend(str(path)).close()
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


REFUSED = {
    "someone else's database": (someone_elses, "another program"),
    "a newer file": (newer, "pip install --upgrade"),
    "a text": (lambda path: path.write_text("just some notes\n" * 50), "not a SQLite file"),
    "garbage": (lambda path: path.write_bytes(bytes(range(256)) * 40), "not a SQLite file"),
    "a header cut short": (
        lambda path: path.write_bytes(b"SQLite format 3\x00" + b"\x10" * 40),
        "not a SQLite file",
    ),
    "a folder": (lambda path: path.mkdir(), "cannot be read"),
}


@pytest.mark.parametrize(("make", "says"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_is_not_ours_is_refused_and_left_as_it_was(tmp_path, make, says):
    path = tmp_path / "file.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    for create in (True, False):
        with pytest.raises(FileRefused, match=says) as error:
            SQLiteBackend(str(path), create=create)
        assert str(path) in str(error.value)
    assert (path.read_bytes() if path.is_file() else None) == before
    assert [each.name for each in tmp_path.iterdir()] == ["file.db"]


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_file_cut_short_is_damaged_and_left_as_it_was(tmp_path, kept):
    path = tmp_path / "file.db"
    with closing(SQLiteBackend(str(path))) as backend:
        backend.put([entry(f"d{n}", f"text {n} " * 50) for n in range(500)])
    whole = path.read_bytes()
    cut = whole[: int(len(whole) * kept)]
    path.write_bytes(cut)
    with pytest.raises(FileDamaged, match="backup"), closing(SQLiteBackend(str(path))) as backend:
        backend.count()
    assert path.read_bytes() == cut


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileRefused, match=r"the folder .*gone does not exist; create it first"):
        SQLiteBackend(str(tmp_path / "gone" / "file.db"))


def test_a_file_that_is_not_there_is_made_only_on_request(tmp_path):
    with pytest.raises(FileRefused, match="no such file"):
        SQLiteBackend(str(tmp_path / "new.db"), create=False)
    with pytest.raises(FileRefused, match="does not exist"):
        SQLiteBackend(str(tmp_path / "no folder" / "new.db"))
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_room_for_a_new_store_but_only_on_request(tmp_path):
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(FileRefused):
        SQLiteBackend(str(path), create=False)
    assert path.read_bytes() == b""
    with closing(SQLiteBackend(str(path))) as backend:
        assert backend.count() == 0


def test_a_file_whose_making_was_broken_off_is_made(tmp_path):
    path = tmp_path / "half.db"
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    with closing(SQLiteBackend(str(path))) as backend:
        backend.put([entry("a", "word")])
        assert found(backend, "word") == ["a"]


def test_a_file_whose_wal_mode_was_not_reached_gets_there(tmp_path):
    path = tmp_path / "half.db"
    SQLiteBackend(str(path)).close()
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("PRAGMA journal_mode = delete")
    with closing(SQLiteBackend(str(path))), closing(apsw.Connection(str(path))) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("dim", [-1, 0, 1_000_000])
def test_dimensions_that_no_vector_has_are_damage(tmp_path, dim):
    path = tmp_path / "file.db"
    with closing(SQLiteBackend(str(path))) as backend:
        backend.put([entry("d1", "text", vectors=units(np.random.default_rng(1), 1))], embedding=EMBEDDING)
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("UPDATE embeddings SET dim = ?", (dim,))
    with pytest.raises(FileDamaged, match="dimensions"):
        SQLiteBackend(str(path))


def test_a_connection_runs_nothing_that_a_file_brings_along(tmp_path):
    with closing(apsw.Connection(str(tmp_path / "file.db"))) as connection:
        harden(connection)
        switches = ("DEFENSIVE", "TRUSTED_SCHEMA", "ENABLE_TRIGGER", "ENABLE_VIEW")
        states = [connection.config(getattr(apsw, f"SQLITE_DBCONFIG_{switch}"), -1) for switch in switches]
        assert states == [1, 0, 0, 0]


def test_a_missing_table_is_damage_and_no_riddle(tmp_path):
    path = str(tmp_path / "file.db")
    with closing(SQLiteBackend(path)) as backend:
        backend.put([entry("a", "word")])
        with closing(apsw.Connection(path)) as connection:
            connection.execute("DROP TABLE sources")
        with pytest.raises(FileDamaged, match="sources"):
            backend.stats()
