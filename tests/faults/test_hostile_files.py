"""Hostile files are refused or harmless, within a second of processor time and 200 MB."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import apsw
import pytest

import hybridstore as hs
from hybridstore.backends.sqlite.schema_inspection import inspect, load_vectors
from hybridstore.errors import FileRefused

PROGRAM = Path(__file__).with_name("hostile_files.py")


@pytest.mark.thorough
def test_a_hundred_hostile_files_are_refused_or_harmless():
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), "--json"], capture_output=True, text=True, timeout=600, check=False
    )
    assert not ran.returncode, ran.stderr
    outcomes = [json.loads(line) for line in ran.stdout.splitlines()]
    assert outcomes[0]["name"] == "a sound store"
    assert (outcomes[0]["result"], outcomes[0]["message"]) == ("harmless", "")
    assert len(outcomes) > 100
    wrong = [outcome for outcome in outcomes if outcome["result"] not in ("refused", "harmless")]
    slow = [outcome for outcome in outcomes if outcome["seconds"] > 1 or outcome["megabytes"] > 200]
    assert (wrong, slow) == ([], [])


@pytest.fixture
def planted(tmp_path):
    path = tmp_path / "store.db"
    with hs.open(path, embedder="none") as store:
        store.add("a text")

    def plant(sql: str):
        with closing(apsw.Connection(str(path))) as connection:
            connection.execute(sql)
        return path

    return plant


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("CREATE TRIGGER sly AFTER INSERT ON documents BEGIN DELETE FROM documents; END", "the trigger 'sly'"),
        ("CREATE VIEW sly AS SELECT 1", "the view 'sly'"),
        ("CREATE INDEX sly ON documents (upper(title))", "the index 'sly'"),
        ("DROP TABLE sources; CREATE VIEW sources AS SELECT 1 AS key", "its view 'sources' is not that"),
        ("ALTER TABLE sources ADD COLUMN more TEXT", "its table 'sources' is not that"),
    ],
)
def test_what_a_store_does_not_have_is_named_and_nothing_is_changed(planted, sql, says):
    path = planted(sql)
    before = path.read_bytes()
    with pytest.raises(FileRefused, match=says):
        hs.open(path, embedder="none")
    assert path.read_bytes() == before


def test_a_trigger_that_appears_while_a_store_is_open_does_not_run(planted):
    path = planted("SELECT 1")
    with hs.open(path, embedder="none") as store:
        planted("CREATE TRIGGER sly AFTER INSERT ON documents BEGIN DELETE FROM documents; END")
        store.add("another text")
        assert store.count() == 2


def test_reading_the_schema_takes_a_hundredth_of_what_it_may_take(planted):
    steps = 0

    def count() -> bool:
        nonlocal steps
        steps += 1
        return False

    with closing(apsw.Connection(str(planted("SELECT 1")))) as connection:
        load_vectors(connection)
        inspect(connection, "store.db")
        connection.execute("CREATE TABLE x (a); DROP TABLE x")  # the schema is read again
        connection.set_progress_handler(count, 1)
        connection.execute("SELECT type, name, tbl_name, sql FROM main.sqlite_schema").fetchall()
    assert steps < 200_000 / 100
