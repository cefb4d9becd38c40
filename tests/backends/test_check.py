"""`check` finds each kind of damage, and repairs what can be derived from what is left."""

from contextlib import closing

import apsw
import numpy as np
import pytest
import sqlite_vec
from made import EMBEDDING, OTHER, all_chunks, chunks_of, entry, found, near, source, units

from hybridstore.backends.learning import ModelVersion, Negative, Triple
from hybridstore.backends.sqlite import SQLiteBackend
from hybridstore.backends.values import Calibration

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
        f"INSERT INTO vectors_1 (chunk, vector) VALUES (77, zeroblob({4 * 8}))",
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
        connection.set_busy_timeout(10_000)  # the store copies its log into the file at any time
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


# What someone may change with another program, without breaking anything that SQLite looks at.
PLANTED = {
    "metadata": "UPDATE documents SET metadata = '{\"n\":9}' WHERE id = 'd2'",
    "uri": "UPDATE documents SET uri = 'file:///other' WHERE id = 'd2'",
    "title": "UPDATE documents SET title = 'another' WHERE id = 'd2'",
    "format": "UPDATE documents SET format = 'code' WHERE id = 'd2'",
    "source": "UPDATE documents SET source = '/other' WHERE id = 'd2'",
    "time of change": "UPDATE documents SET changed = '1970-01-01T00:00:00Z' WHERE id = 'd2'",
    "id": "UPDATE documents SET id = 'other' WHERE id = 'd2'",
    "digest": "UPDATE documents SET digest = zeroblob(16) WHERE id = 'd2'",
    "words appended": "UPDATE documents SET text = text || ' appended' WHERE id = 'd2'",
    "the case of a word": "UPDATE documents SET text = upper(text) WHERE id = 'd2'",
    "heading": "UPDATE chunks SET heading = '!' WHERE chunk = 2",
    "the digest of a chunk": "UPDATE chunks SET digest = zeroblob(16) WHERE chunk = 2",
    "offsets": "UPDATE chunks SET start = start + 1, first_byte = first_byte + 1 WHERE chunk = 2",
    "the owner of a chunk": "UPDATE chunks SET document = 3, position = 1 WHERE chunk = 2",
    "language": "UPDATE meta SET value = 'german' WHERE key = 'language'",
    "revision": "UPDATE meta SET value = 1000 WHERE key = 'revision'",
    "time of creation": "UPDATE meta SET value = '' WHERE key = 'created'",
    "no revision": "DELETE FROM meta WHERE key = 'revision'",
    "change log": "UPDATE changes SET last = last - 1",
    "fingerprint": "UPDATE embeddings SET fingerprint = 'other@1'",
    "a little of a vector": "UPDATE vectors_1 SET vector = CAST(substr(vector, 1, 4) || x'01' || substr(vector, 6) "
    "AS BLOB) WHERE chunk = 2",
    "two vectors": "UPDATE vectors_1 SET vector = (SELECT vector FROM vectors_1 WHERE chunk = 3) WHERE chunk = 2",
    "where codes are": "UPDATE codes_1_rowids SET chunk_offset = 1 - chunk_offset WHERE chunk_offset < 2",
    "which codes are in use": "UPDATE codes_1_chunks SET validity = CAST(x'1f' || substr(validity, 2) AS BLOB)",
    "averages": "UPDATE keywords_data SET block = x'0601020304' WHERE id = 1",
    "a dropped index": "DROP INDEX documents_source",
    "another dropped index": "DROP INDEX triples_positive",
    "a foreign trigger": "CREATE TRIGGER sly AFTER INSERT ON documents BEGIN DELETE FROM documents; END",
    "a foreign view": "CREATE VIEW sly AS SELECT 1",
    "a foreign table": "CREATE TABLE sly (a)",
    "a missing table": "DROP TABLE feedback",
    "a counter": "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'chunks'",
    "a question": "UPDATE asked SET query = 'what else'",
    "how often it was asked": "UPDATE asked SET times = 99",
    "feedback": "UPDATE feedback SET used = 0",
}


@pytest.fixture
def complete(tmp_path):
    path = tmp_path / "store.db"
    with closing(filled(path)) as backend:
        backend.learning.log_queries(["what"])
        backend.learning.add_feedback("what", 2, used=True)
        assert backend.check() == []
        yield path, backend


@pytest.mark.parametrize("statements", PLANTED.values(), ids=PLANTED)
def test_a_change_by_another_program_is_found(complete, statements):
    path, backend = complete
    damaged(path, f"PRAGMA foreign_keys = OFF; {statements}")
    problems = backend.check()
    assert problems
    assert all(problem.count and problem.what for problem in problems)
    assert backend.check() == problems  # looking changes nothing
    repaired = {problem.what for problem in backend.check(repair=True) if problem.repaired}
    assert not repaired & {problem.what for problem in backend.check()}


@pytest.mark.parametrize(
    ("statement", "named", "mendable"),
    [
        ("UPDATE documents SET title = 'another' WHERE id = 'd2'", "d2", False),
        ("UPDATE meta SET value = '2000-01-01' WHERE key = 'created'", "created", False),
        ("UPDATE changes SET last = last + 1 WHERE revision = 1", "1", True),
    ],
)
def test_a_row_that_was_changed_is_named_and_mended_by_its_key(complete, statement, named, mendable):
    path, backend = complete
    damaged(path, statement)
    table = statement.split()[1]
    problems = [each for each in backend.check(repair=True) if f"rows of {table} that are not" in each.what]
    assert [(each.count, [str(name) for name in each.examples], each.repaired) for each in problems] == [
        (1, [named], mendable)
    ]


def test_dropped_indexes_are_made_again_and_the_file_opens_without_them(complete):
    path, backend = complete
    damaged(path, "DROP INDEX documents_source; DROP INDEX chunks_document")
    with closing(SQLiteBackend(str(path))) as again:
        (problem,) = again.check(repair=True)
        assert (problem.count, problem.repaired) == (2, True)
    assert backend.check() == []


def test_a_check_reports_its_progress_in_chunks(tmp_path):
    with closing(filled(tmp_path / "store.db")) as backend:
        calls = []
        backend.check(progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (12, 12)  # keywords and vectors of six chunks


def test_every_write_leaves_a_checksum_that_is_right(tmp_path):
    path = tmp_path / "store.db"
    with closing(filled(path)) as backend:
        learning = backend.learning
        backend.put([entry("d1", "other words", vectors=VECTORS[:1], source="f")], embedding=EMBEDDING)
        backend.put([entry("d1", "other words", vectors=VECTORS[:1], source="g")], embedding=EMBEDDING)
        backend.put([], finished={source("f"): frozenset(), source("g"): frozenset({"d1"})})
        learning.log_queries(["a", "b", "a"])
        learning.log_queries(["a"])
        first, second, *_ = sorted(chunk for n in (2, 3) for chunk in chunks_of(backend, f"d{n}"))
        negative = Negative(chunk=second, leg="keyword", score=1.0)
        learning.add_triples([Triple(query="q", kind="log", positive=first, score=1, negatives=(negative,))])
        learning.add_feedback("q", first, used=True)
        learning.move_feedback({first: second})
        backend.put([entry("d2", "word own2 and more", heading="new", vectors=VECTORS[:1])], embedding=EMBEDDING)
        turned = {"source": "made@1", "target": "made@1", "reference": "made"}
        numbers = [learning.propose(ModelVersion(kind="adapter", **turned)) for _ in range(2)]
        for number in (*numbers, numbers[0], None):
            learning.promote(
                number, calibration=Calibration(fingerprint="made@1", chunks=6, power=4, chance=0, spread=1)
            )
        backend.begin(OTHER)
        backend.fill(OTHER, sorted(all_chunks(backend)), units(np.random.default_rng(2), 6, OTHER.dim))
        backend.switch(keep=True)
        assert backend.check() == []
        backend.backup(str(tmp_path / "copy.db"))
        learning.forget_queries(["a"])
        backend.remove(["d4"])
        backend.purge(["d5"])
        assert backend.check() == []
    for copied in ("copy.db", "store.db"):
        with closing(SQLiteBackend(str(tmp_path / copied))) as again:
            assert again.check() == []


def test_words_that_the_tree_of_the_keyword_index_does_not_lead_to_are_found(tmp_path):
    path = tmp_path / "words.db"
    words = [f"word{n:04}" for n in range(3000)]
    with closing(SQLiteBackend(str(path))) as backend:
        backend.put([entry(f"d{n}", " ".join(words[n::100])) for n in range(100)])
        backend.compact()
        assert backend.check() == []
    with closing(apsw.Connection(str(path))) as raw:
        leaves = raw.execute("SELECT term FROM keywords_idx WHERE term > '' ORDER BY term").fetchall()
        assert len(leaves) > 1
        shorter = "UPDATE keywords_idx SET term = substr(term, 1, length(term) - 1) WHERE term = ?"
        raw.execute(shorter, leaves[len(leaves) // 2])
    with closing(SQLiteBackend(str(path))) as backend:
        (problem,) = backend.check(repair=True)
        assert "is not reached" in str(problem)
        assert backend.check() == []
        assert found(backend, "word1500") == ["d0"]
