"""A store moved to a server and back is what it was, row by row, and answers as it did."""

import contextlib

import apsw
import numpy as np
import pytest
from made import EMBEDDING, OTHER, chunks_of, entry, source, units

import hybridstore as hs
from hybridstore.backends.learning import ModelVersion, Negative, Triple
from hybridstore.backends.sqlite import SQLiteBackend
from hybridstore.backends.sqlite.checksums import COLUMNS
from hybridstore.backends.values import Calibration, Embedding
from hybridstore.backends.versions import NOTHING, Version, removal_key
from hybridstore.errors import FileRefused, InputError, StoreRefused
from hybridstore.ingest.export_import import export
from hybridstore.records import Folder
from hybridstore.store import move

NUMBERED = '["chunks", "embeddings", "models", "triples"]'
LEG = Embedding("leg@1", "leg", 4)


def filled(path):
    """Fill a file with everything that a store can hold."""
    rng = np.random.default_rng(1)
    vectors = units(rng, 30)
    vectors[3] = 0
    with contextlib.closing(SQLiteBackend(str(path))) as backend:
        backend.put(
            [
                entry(
                    f"d{n}\0é" if n == 5 else f"d{n}",
                    f"shared word{n} é\0🙂 text",
                    title=f"Title {n}",
                    uri=f"/folder/{n}.md",
                    metadata={"z": n, "a": [None, "\0", 1.5], "deep": {"é": True}},
                    vectors=vectors[n : n + 1],
                    source="/folder/x" if n % 2 else None,
                )
                for n in range(30)
            ],
            embedding=EMBEDDING,
            finished={source("/folder/x"): frozenset(f"d{n}\0é" if n == 5 else f"d{n}" for n in range(30))},
        )
        backend.remove(["d7", "d29"])
        backend.put([entry("d8", "changed words")])
        backend.calibrate(Calibration(fingerprint="made@1", chunks=28, power=3.0, chance=0.2, spread=0.1))
        backend.add_leg(LEG)
        pending = [passage.chunk for passage in backend.pending(100, "leg@1")]
        backend.fill(LEG, pending, units(rng, len(pending), LEG.dim))
        backend.begin(OTHER)
        backend.fill(OTHER, pending[:5], units(rng, 5, OTHER.dim))
        one, two = chunks_of(backend, "d1")[0], chunks_of(backend, "d2")[0]
        learning = backend.learning
        negatives = (Negative(chunk=two, leg="keyword", score=0.5, excluded="margin"),)
        learning.add_triples(
            [Triple(query="q\0?", kind="log", positive=one, score=0.25, negatives=negatives, origin=two)]
        )
        learning.log_queries(["é?", "é?", "other"])
        learning.add_feedback("é?", one, used=True)
        learning.expect("word2", "d2", 3)
        model = ModelVersion(kind="adapter", source="made@1", target="made@1", reference="made", weights=b"\0\1")
        learning.promote(learning.propose(model))
        backend.remember_folder(Folder("/folder", include=("*.md",), max_file_size=7))


def rows_of(path):
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        tables = {
            table: connection.execute(f"SELECT {', '.join(names)} FROM {table} ORDER BY 1, 2").fetchall()
            for table, names in COLUMNS.items()
            if table != "changes"
        }
        for (number,) in connection.execute("SELECT embedding FROM embeddings").fetchall():
            tables[f"vectors_{number}"] = connection.execute(f"SELECT chunk, vector FROM vectors_{number}").fetchall()
        sql = "SELECT name, seq FROM sqlite_sequence WHERE name IN (SELECT value FROM json_each(?))"
        sequence = connection.execute(sql, [NUMBERED])
        tables["sequence"] = sorted(sequence)
        own = {"stamp", "log_start"}
        return tables | {"meta": [row for row in tables["meta"] if row[0] not in own]}


def test_nothing_is_lost_there_and_back(url_of, tmp_path, open_backend):
    filled(tmp_path / "one.db")
    url = url_of("store")
    seen = []
    assert move(tmp_path / "one.db", url, progress=lambda *numbers: seen.append(numbers)) == 28
    assert seen[-1] == (28, 28)
    there = open_backend("store")
    assert there.missing().tolist() == chunks_of(there, "d8")
    assert move(url, tmp_path / "two.db") == 28
    assert rows_of(tmp_path / "two.db") == rows_of(tmp_path / "one.db")
    with (
        contextlib.closing(SQLiteBackend(str(tmp_path / "one.db"))) as one,
        contextlib.closing(SQLiteBackend(str(tmp_path / "two.db"))) as two,
    ):
        problems = [problem.what for problem in one.check()]
        assert [problem.what for problem in two.check()] == [problem.what for problem in there.check()] == problems
        assert list(two.scan(vectors=True)) == list(one.scan(vectors=True)) == list(there.scan(vectors=True))
        assert there.learning.query_log() == one.learning.query_log()
        assert there.folders() == one.folders()
        assert there.state() == one.state()


def test_what_was_purged_and_is_there_again_stays_when_files_are_merged(url_of, tmp_path, open_backend):
    with contextlib.closing(SQLiteBackend(str(tmp_path / "one.db"))) as backend:
        backend.put([entry(id_, f"words of {id_}") for id_ in "abc"])
        backend.purge(["a"])
        backend.remove(["b"])
    move(tmp_path / "one.db", url_of("store"))
    open_backend("store").put([entry(id_, f"new words of {id_}") for id_ in "ab"])
    move(url_of("store"), tmp_path / "two.db")
    with contextlib.closing(SQLiteBackend(str(tmp_path / "two.db"))) as backend:
        removals = backend.removals()
        assert sorted(backend.ids()) == ["a", "b", "c"]
        for id_ in "ab":
            removal = removals.get(removal_key(id_), NOTHING)
            assert removal.version == ""
            assert Version.of(backend.versions([id_])[id_][1]).purges >= removal.purges
        assert removals[removal_key("a")].purges == 1
        assert backend.check() == []


def test_exports_of_both_are_equal_and_numbers_go_on(url_of, tmp_path, open_backend):
    filled(tmp_path / "one.db")
    move(tmp_path / "one.db", url_of("store"))
    for name, place in (("one", tmp_path / "one.db"), ("two", url_of("store"))):
        with hs.open(place, embedder="none") as store:
            export(store, tmp_path / f"{name}.jsonl")
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    there = open_backend("store")
    last = max(chunk for chunk, *_ in rows_of(tmp_path / "one.db")["chunks"])
    there.put([entry("new", "new words")])
    assert chunks_of(there, "new") == [last + 1]


def test_what_cannot_be_moved_is_refused_and_nothing_is_left(url_of, tmp_path):
    filled(tmp_path / "one.db")
    url = url_of("store")
    with pytest.raises(InputError, match="between a file and a server"):
        move(tmp_path / "one.db", tmp_path / "two.db")
    with pytest.raises(StoreRefused, match="no such store"):
        move(url, tmp_path / "two.db")
    assert not (tmp_path / "two.db").exists()
    move(tmp_path / "one.db", url)
    with pytest.raises(StoreRefused, match="not empty"):
        move(tmp_path / "one.db", url)
    with pytest.raises(FileRefused, match="already there"):
        move(url, tmp_path / "one.db")
