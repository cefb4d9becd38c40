"""`check` finds each kind of damage, and repairs what can be derived from what is left."""

from contextlib import closing

import apsw
import numpy as np
import pytest
import sqlite_vec
from made import EMBEDDING, OTHER, chunks_of, entry, found, near, units

from hybridstore.backends.sqlite import SQLiteBackend

VECTORS = units(np.random.default_rng(1), 6)
SPOILED = np.full(8, np.nan, "<f4").tobytes()

# name -> (statements, what `check` says, whether it can be repaired)
DAMAGE = {
    "a chunk's keywords are gone": ("DELETE FROM keywords WHERE rowid = 2", "without keyword entries", True),
    "keywords of no chunk": (
        "INSERT INTO keywords (rowid, body) VALUES (77, 'stray')",
        "keyword entries without a chunk",
        True,
    ),
    "keywords of another text": (
        "DELETE FROM keywords WHERE rowid = 3; INSERT INTO keywords (rowid, body) VALUES (3, 'one of these too')",
        "do not fit their text",
        True,
    ),
    "all keywords are gone": ("DELETE FROM keywords WHERE rowid < 100", "without keyword entries", True),
    "the keyword index is broken inside": (
        "UPDATE keywords_data SET block = x'00ff' WHERE id > 10",
        "damaged inside",
        True,
    ),
    "a vector of no chunk": (
        f"INSERT INTO vectors_1 VALUES (77, zeroblob({4 * 8}))",
        "vectors without a chunk",
        True,
    ),
    "a vector is gone": ("DELETE FROM vectors_1 WHERE chunk = 2", "chunks without a vector", False),
    "a vector of another length": ("UPDATE vectors_1 SET vector = x'0000' WHERE chunk = 2", "wrong length", False),
    "a vector of no numbers": (
        f"UPDATE vectors_1 SET vector = x'{SPOILED.hex()}' WHERE chunk = 2",
        "no numbers",
        False,
    ),
    "a code is gone": ("DELETE FROM codes_1 WHERE rowid = 2", "vectors without a code", True),
    "a code of no vector": (
        "INSERT INTO codes_1 (rowid, code) VALUES (77, vec_int8(x'0102030405060708'))",
        "codes without a vector",
        True,
    ),
    "a code of another vector": (
        """DELETE FROM codes_1 WHERE rowid = 2;
           INSERT INTO codes_1 (rowid, code) VALUES (2, vec_int8(x'0102030405060708'))""",
        "do not fit their vector",
        True,
    ),
    "a document is gone": (
        "PRAGMA foreign_keys = OFF; DELETE FROM documents WHERE id = 'd2'",
        "chunks without a document",
        True,
    ),
    "a document's chunks are gone": ("DELETE FROM chunks WHERE chunk = 2", "documents without chunks", False),
    "a chunk reaches past its text": (
        "UPDATE chunks SET last_byte = 9999 WHERE chunk = 2",
        "past their document",
        False,
    ),
    "the analysis was another": ("UPDATE meta SET value = 0 WHERE key = 'analysis'", "another version", True),
    "an index is damaged": (
        """PRAGMA writable_schema = ON;
           UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'documents_source')
           WHERE name = 'chunks_document'; PRAGMA schema_version = 9999""",
        "integrity_check",
        False,
    ),
}


def filled(path) -> SQLiteBackend:
    backend = SQLiteBackend(str(path))
    backend.put(
        [entry(f"d{n}", f"word own{n} and more", vectors=VECTORS[n : n + 1]) for n in range(6)],
        embedding=EMBEDDING,
    )
    return backend


def damaged(path, statements: str) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.enable_load_extension(True)
        connection.load_extension(sqlite_vec.loadable_path())
        connection.execute(statements)


@pytest.mark.parametrize(("statements", "says", "mendable"), DAMAGE.values(), ids=DAMAGE)
def test_each_kind_of_damage_is_found(tmp_path, statements, says, mendable):
    path = tmp_path / "store.db"
    with closing(filled(path)) as backend:
        assert backend.check() == []
        damaged(path, statements)
        problems = backend.check()
        (told,) = [problem for problem in problems if says in problem.what]
        assert told.count >= 1
        assert not told.repaired
        assert backend.check() == problems  # looking changes nothing
        if mendable:
            assert all(problem.repaired for problem in backend.check(repair=True) if says in problem.what)
            assert not [problem for problem in backend.check() if says in problem.what]


@pytest.mark.parametrize(
    "name", [name for name, (*_, mendable) in DAMAGE.items() if mendable and "document" not in name]
)
def test_after_a_repair_everything_is_found_again(tmp_path, name):
    path = tmp_path / "store.db"
    with closing(filled(path)) as backend:
        damaged(path, DAMAGE[name][0])
        backend.check(repair=True)
        assert backend.check() == []
        everything = {f"d{n}" for n in range(6)}
        assert set(found(backend, "word")) == set(near(backend, VECTORS[0])) == everything
        assert found(backend, "own2") == ["d2"]
        assert found(backend, "stray one") == []
        assert near(backend, VECTORS[2], 1) == ["d2"]
    with closing(SQLiteBackend(str(path))) as again:  # nothing of it was in memory alone
        assert set(found(again, "word")) == set(near(again, VECTORS[0])) == everything


def test_a_missing_vector_is_filled_by_reembedding(tmp_path):
    path = tmp_path / "store.db"
    with closing(filled(path)) as backend:
        damaged(path, DAMAGE["a vector of no numbers"][0])
        backend.check(repair=True)
        (passage,) = backend.pending(10)
        assert passage.document_id == "d1"
        backend.fill(EMBEDDING, [passage.chunk], VECTORS[1:2])
        assert backend.check() == []
        assert near(backend, VECTORS[1], 1) == ["d1"]


def test_an_embedding_that_is_being_built_is_checked_too(tmp_path):
    path = tmp_path / "store.db"
    with closing(filled(path)) as backend:
        backend.begin(OTHER)
        backend.fill(OTHER, chunks_of(backend, "d0"), units(np.random.default_rng(2), 1, OTHER.dim))
        assert backend.check() == []  # what is still to be filled is no damage
        damaged(path, "DELETE FROM codes_2")
        assert [problem.what for problem in backend.check()] == ["vectors without a code"]
        assert all(problem.repaired for problem in backend.check(repair=True))
        assert backend.check() == []


def test_what_another_connection_wrote_is_no_damage(tmp_path):
    path = tmp_path / "store.db"
    with closing(filled(path)) as one, closing(SQLiteBackend(str(path))) as two:
        for turn in range(10):
            for n in range(10):
                two.put([entry(f"x{n}", f"word {turn} {n}")])
            assert [problem for problem in one.check() if "without a vector" not in problem.what] == []
