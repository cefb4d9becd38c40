"""Files of every earlier version still open, and end with the schema that a fresh file has."""

import importlib.util
import re
import shutil
from contextlib import closing
from pathlib import Path

import apsw
import numpy as np
import pytest
from made import entry, found, near

from hybridstore.backends.sqlite import SQLiteBackend, migrations
from hybridstore.backends.sqlite.schema import SCHEMA_VERSION
from hybridstore.backends.sqlite.schema_inspection import schema
from hybridstore.backends.values import Embedding
from hybridstore.errors import FileRefused

ARCHIVE = Path(__file__).parent.parent / "archive"
FILES = sorted(ARCHIVE.glob("v*.db"))
NEXT = Embedding("next@1", "next", 4)

_spec = importlib.util.spec_from_file_location("make_v1", ARCHIVE / "make_v1.py")
make_v1 = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_v1)


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def archived(request, tmp_path):
    path = tmp_path / request.param.name
    shutil.copy(request.param, path)
    with closing(SQLiteBackend(str(path), create=False)) as backend:
        yield backend


def schema_of(path: str) -> set[tuple[str, ...]]:
    """Give the schema, an embedding's tables named by its state, since numbers are never used twice."""
    with closing(apsw.Connection(path)) as connection:
        states = dict(connection.execute("SELECT embedding, state FROM embeddings"))
        rows = [(kind, name, table, sql) for name, (kind, table, sql) in schema(connection).items()]
    number = re.compile(r"(vectors|codes)_(\d+)")
    return {tuple(number.sub(lambda n: f"{n[1]}_{states[int(n[2])]}", str(part)) for part in row) for row in rows}


def test_there_is_an_archived_file_of_every_version():
    assert [file.stem for file in FILES] == [f"v{version}" for version in range(1, SCHEMA_VERSION + 1)]
    assert set(migrations.MIGRATIONS) == set(range(1, SCHEMA_VERSION))


def test_an_old_file_ends_with_the_schema_of_a_fresh_one(archived, tmp_path):
    fresh = str(tmp_path / "fresh.db")
    with closing(SQLiteBackend(fresh)) as backend:
        for embedding in filter(None, (archived.embeddings().kept, archived.embeddings().active)):
            backend.begin(embedding)
            backend.switch(keep=True)
        backend.begin(archived.embeddings().building)
        for embedding in archived.embeddings().added:
            backend.add_leg(embedding)
    assert schema_of(archived.location) == schema_of(fresh)


def test_an_old_file_uses_no_number_of_an_embedding_twice(archived):
    used = [number for (number,) in numbers_of(archived)]
    archived.begin(Embedding("third@1", "third", 3))
    (new,) = {number for (number,) in numbers_of(archived)} - set(used)
    assert new > max(used)


def test_a_file_of_version_2_remembers_what_it_learned(tmp_path):
    path = tmp_path / "v2.db"
    shutil.copy(ARCHIVE / "v2.db", path)
    with closing(SQLiteBackend(str(path), create=False)) as backend:
        learning = backend.learning
        model = learning.model()
        assert (model.number, model.kind, model.weights) == (3, "adapter", bytes(range(256)) * 40)
        assert [each.state for each in learning.models()] == ["retired", "refused", "active"]
        first, second = learning.triples()
        assert [each.excluded for each in first.negatives] == [None, "margin"]
        assert second.origin == second.positive
        assert learning.query_log()[0].query == first.query == "why are there tides"
        assert learning.query_log()[0].times == 2
        assert [(each.document_id, each.used) for each in learning.feedback()] == [("tides", True), ("broth", False)]
        assert backend.embeddings().kept == Embedding("kept@1", "kept", 4)
        backend.begin(Embedding("kept@1", "kept", 4))
        assert backend.switch()
        assert backend.embeddings().active.fingerprint == "kept@1"
        assert learning.model() is None  # it was for other vectors


def numbers_of(backend) -> list[tuple[int]]:
    with closing(apsw.Connection(backend.location)) as connection:
        return connection.execute("SELECT embedding FROM embeddings").fetchall()


def test_an_old_file_holds_what_it_held(archived):
    assert archived.check() == []
    assert [stored.document.id for stored in archived.scan()] == [row[0] for row in make_v1.DOCUMENTS]
    for id_, title, text, metadata in make_v1.DOCUMENTS:
        document = archived.get(id_).document
        assert (document.title, document.text, document.metadata) == (title, text, metadata)
    assert set(archived.sources()) == {"/notes/kitchen.md"}
    assert archived.get("bread").source == "/notes/kitchen.md"


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("tides", {}, ["tides"]),
        ("water", {"where": {"field": "sea"}}, ["tides", "waves"]),
        ("munchen", {}, ["muenchen"]),
        ("東京", {}, ["tokyo"]),
        ("首都", {}, ["tokyo"]),
        ("МИР", {}, ["mir"]),
        ("E4012", {}, ["error"]),
        ("v1.2.3", {}, ["error"]),
        ("", {"phrases": ["pump runs dry"]}, ["error", "pump"]),
        ("pump", {"excluded": ["version"]}, ["error", "pump"]),
        ("pump", {"where": {"code": {"$exists": False}}}, []),
        ("width", {}, ["note"]),
    ],
)
def test_an_old_file_finds_by_word_what_it_found(archived, text, options, expected):
    assert sorted(set(found(archived, text, **options))) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bread Knead flour, water, salt and yeast;", ["bread"]),
        ("Comets A comet grows its tail near the Sun.", ["comet"]),
        ("Мир Миру мир, а ёжику грибы.", ["mir"]),
    ],
)
def test_an_old_file_finds_by_meaning_what_it_found(archived, text, expected):
    assert near(archived, make_v1.vector_of(text), 1) == expected


def test_an_old_file_goes_on(archived):
    archived.put([entry("new", "a new word")])
    archived.remove(["tides"])
    assert found(archived, "new word") == ["new"]
    while some := archived.pending(7):
        archived.fill(NEXT, [passage.chunk for passage in some], np.ones((len(some), 4), np.float32) / 2)
    assert archived.switch() is True
    assert archived.embeddings().active == NEXT
    for leg in archived.embeddings().added:
        (new,) = archived.pending(7, leg.fingerprint)
        archived.fill(leg, [new.chunk], np.ones((1, 4), np.float32) / 2)
    assert archived.check() == []


def test_a_migration_runs_once_and_whole(tmp_path, monkeypatch):
    path = str(tmp_path / "old.db")
    SQLiteBackend(path).close()
    ran = []

    def failing(connection):
        connection.execute("CREATE TABLE half (x)")
        raise FileRefused(path, "interrupted")

    def good(connection):
        ran.append(connection.execute("CREATE TABLE added (x INTEGER) STRICT"))

    monkeypatch.setattr(migrations, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    monkeypatch.setattr(migrations, "MIGRATIONS", {SCHEMA_VERSION: failing})
    with pytest.raises(FileRefused):
        SQLiteBackend(path)
    assert not {row[1] for row in schema_of(path)} & {"half", "added"}
    monkeypatch.setattr(migrations, "MIGRATIONS", {SCHEMA_VERSION: good})
    for _ in range(2):
        SQLiteBackend(path).close()
    assert len(ran) == 1
    assert "added" in {row[1] for row in schema_of(path)}
