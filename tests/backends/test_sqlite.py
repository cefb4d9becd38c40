"""The SQLite backend keeps the contract, and its file is what it says it is."""

import json
import random
import sqlite3
import threading
from contextlib import closing

import apsw
import numpy as np
import pytest
from contract import BackendContract
from hypothesis import given
from hypothesis import strategies as st
from made import ALL, EMBEDDING, FEW, OTHER, all_chunks, chunks_of, entry, found, ranked, units

from hybridstore.backends.resident.chunk_ids import ChunkIds
from hybridstore.backends.resident.scoring import impacts, score
from hybridstore.backends.sqlite import SQLiteBackend, change_log, checksums, keyword_check, keyword_index
from hybridstore.backends.sqlite.loader import SQLiteLoader
from hybridstore.backends.sqlite.schema import APPLICATION_ID, SCHEMA_VERSION
from hybridstore.backends.sqlite.vector_tables import applicable_calibration
from hybridstore.backends.values import ChunkChange, Restriction
from hybridstore.errors import FileRefused, HybridstoreError, InputError
from hybridstore.records import KeywordQuery
from hybridstore.text.analysis import Analyser


@pytest.fixture
def open_backend(tmp_path):
    opened = []

    def open_(name="store", **options):
        opened.append(SQLiteBackend(str(tmp_path / f"{name}.db"), **options))
        return opened[-1]

    yield open_
    for backend in opened:
        backend.close()


class TestSQLite(BackendContract):
    @pytest.fixture
    def open_backend(self, open_backend):
        return open_backend


@pytest.mark.thorough
class TestSQLiteWithoutMemory(BackendContract):
    """The same where the vectors' codes are too large to be kept in memory, so that sqlite-vec scans them."""

    @pytest.fixture
    def open_backend(self, open_backend):
        return lambda name="store": open_backend(name, memory=0)


def pragma(path, name: str):
    with closing(apsw.Connection(str(path))) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_the_file_says_whose_it_is(open_backend, tmp_path):
    open_backend()
    header = (tmp_path / "store.db").read_bytes()[:100]
    assert header[68:72] == b"HYBS" == APPLICATION_ID.to_bytes(4, "big")
    assert int.from_bytes(header[60:64], "big") == SCHEMA_VERSION
    assert pragma(tmp_path / "store.db", "journal_mode") == "wal"
    assert pragma(tmp_path / "store.db", "encoding") == "UTF-8"


def test_every_plain_table_is_strict(open_backend, tmp_path):
    open_backend().put([entry("a", "x", vectors=units(np.random.default_rng(1), 1))], embedding=EMBEDDING)
    with closing(apsw.Connection(str(tmp_path / "store.db"))) as connection:
        tables = connection.execute(
            "SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND schema = 'main'"
        )
        loose = {name for name, strict in tables if not strict and not name.startswith(("sqlite_", "codes_"))}
    assert loose == set()


def test_the_standard_librarys_sqlite_can_read_the_documents(open_backend, tmp_path):
    open_backend().put([entry("a", "The text 🙂")])
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        assert connection.execute("SELECT id, text FROM documents").fetchall() == [("a", "The text 🙂")]


def test_a_language_is_chosen_once(open_backend):
    open_backend(language="german").put([entry("a", "Häuser")])
    assert found(open_backend(), "Haus") == ["a"]
    assert open_backend(language="german").language == "german"
    with pytest.raises(InputError, match="german"):
        open_backend(language="english")


def test_an_unknown_language_is_refused_before_a_file_is_made(tmp_path):
    with pytest.raises(InputError, match="klingon"):
        SQLiteBackend(str(tmp_path / "new.db"), language="klingon")
    assert list(tmp_path.iterdir()) == []


def test_a_backup_is_a_whole_store(open_backend, tmp_path):
    backend = open_backend()
    vectors = units(np.random.default_rng(2), 2)
    backend.put([entry("a", "word", vectors=vectors[:1]), entry("b", "word", vectors=vectors[1:])], embedding=EMBEDDING)
    backend.remove(["b"])
    backend.backup(str(tmp_path / "copy.db"))
    copy = open_backend("copy")
    assert found(copy, "word") == ["a"]
    assert copy.nearest(vectors[0], 5, ALL).chunks.tolist() == chunks_of(backend, "a")
    assert copy.check() == []
    copy.put([entry("c", "word")])
    assert chunks_of(copy, "c") == [3]  # chunk ids go on where they were
    assert backend.count() == 1


def test_a_backup_never_writes_over_anything(open_backend, tmp_path):
    backend = open_backend()
    (tmp_path / "there.txt").write_text("precious")
    for place in (tmp_path / "there.txt", tmp_path / "no folder" / "copy.db", tmp_path):
        with pytest.raises(FileRefused):
            backend.backup(str(place))
    assert (tmp_path / "there.txt").read_text() == "precious"


def test_an_index_of_an_unknown_older_analysis_is_made_anew_when_opened(open_backend, tmp_path, monkeypatch):
    backend = open_backend()
    backend.put([entry("a", "word")])
    revision = backend.state().revision
    backend.close()
    with closing(apsw.Connection(str(tmp_path / "store.db"))) as connection:
        connection.execute("UPDATE meta SET value = 0 WHERE key = 'analysis'")
        connection.execute("INSERT INTO keywords (keywords) VALUES ('delete-all')")
    again = open_backend()
    assert found(again, "word") == ["a"]
    assert again.state().revision == revision + 1
    assert changes(again, revision) is None
    assert again.check() == []
    monkeypatch.setattr(keyword_check, "ANALYSIS_VERSION", 0)
    with pytest.raises(FileRefused, match="newer"):
        open_backend()


def test_the_idf_is_that_of_bm25(open_backend):
    """IDF = ln((N - df + 0.5) / (df + 0.5)); a word once in a chunk of average length scores just that."""
    backend = open_backend()
    backend.put([entry(f"d{n}", "alpha beta" if n < 2 else "gamma delta") for n in range(10)])
    (score,) = set(ranked(backend, ("alpha",)).scores.round(5))
    assert score == pytest.approx(np.log((10 - 2 + 0.5) / (2 + 0.5)), rel=1e-4)


@FEW
@given(st.data())
def test_postings_in_memory_rank_as_fts5_does(open_backend, data):
    backend = open_backend("follow")
    words = st.sampled_from(["apple", "berry", "cherry", "date", "Elder-Berry", "fig", "v1.2"])
    changes = st.lists(st.tuples(st.integers(0, 30), st.lists(words, max_size=6)), min_size=1, max_size=4)
    for number, said in data.draw(changes):
        if said:
            backend.put([entry(f"d{number}", " ".join(said), title=said[0])])
        else:
            backend.remove([f"d{number}"])
    terms = Analyser("english").terms(" ".join(data.draw(st.lists(words, min_size=1, max_size=4))))
    barred = data.draw(st.sampled_from([(), (("fig",),)]))
    limits = Restriction(excluded=barred)
    ranking, facts = backend.match(KeywordQuery(terms), 100, limits)
    with backend._connections.reading() as connection:
        condition = "SELECT rowid FROM keywords WHERE keywords MATCH 'fig'"
        allowed = f"SELECT chunk FROM chunks WHERE chunk NOT IN ({condition})" if barred else ""
        expected = keyword_index.match(connection, KeywordQuery(terms), 100, allowed, ())
        assert facts == keyword_index.terms(connection, terms)
    by_chunk = dict(zip(expected.chunks.tolist(), expected.scores.tolist(), strict=True))
    assert set(ranking.chunks.tolist()) == set(by_chunk)
    for chunk, points in zip(ranking.chunks.tolist(), ranking.scores.tolist(), strict=True):
        assert points == pytest.approx(by_chunk[chunk], rel=5e-4, abs=1e-4)


def test_a_closed_store_says_so(open_backend):
    backend = open_backend()
    backend.close()
    for use in (backend.count, backend.stats, lambda: backend.put([]), lambda: backend.remove([]), backend.check):
        with pytest.raises(HybridstoreError, match=r"hybridstore\.open"):
            use()


def test_a_reader_of_an_earlier_state_is_not_served_later_postings(open_backend):
    backend = open_backend()
    backend.put([entry(f"d{n}", "word") for n in range(5)])

    def later() -> None:
        backend.remove(["d0"])
        assert len(ranked(backend, ("word",))) == 4

    with backend._connections.reading() as connection:
        loader = SQLiteLoader(connection)
        held = backend._memory.postings(loader)
        thread = threading.Thread(target=later)
        thread.start()
        thread.join(30)
        ranking, (fact,) = score(loader, held, ("word",), 10, None)
        assert (len(ranking), fact.document_frequency) == (5, 5)


def changes(backend: SQLiteBackend, since: int) -> list[ChunkChange] | None:
    with backend._connections.reading() as connection:
        return change_log.changes(connection, since)


def test_the_change_log_names_the_chunks_of_each_revision(open_backend):
    backend = open_backend()
    assert changes(backend, 0) == []
    backend.put([entry(f"d{n}", "text", spans=[(0, 2), (2, 4)]) for n in range(3)])
    assert changes(backend, 0) == [ChunkChange(1, "added", 1, 6)]
    backend.remove(["d1"])
    assert changes(backend, 1) == [ChunkChange(2, "removed", 3, 4)]
    backend.purge(["d0"])
    assert changes(backend, 2) == [ChunkChange(3, "removed", 1, 2)]
    assert changes(backend, 3) == []


def test_the_change_log_keeps_whole_revisions_of_about_as_many_lines_as_it_should(open_backend, monkeypatch):
    monkeypatch.setattr(change_log, "KEPT", 5)
    monkeypatch.setattr(change_log, "TRIMMED_EVERY", 3)
    backend = open_backend()
    for n in range(8):
        backend.put([entry(f"d{n}", "text")])
    backend.remove(["d0", "d2", "d4"])  # three lines in one revision, the ninth
    assert changes(backend, 6) == [  # trimmed at the ninth revision
        ChunkChange(7, "added", 7, 7),
        ChunkChange(8, "added", 8, 8),
        *(ChunkChange(9, "removed", n, n) for n in (1, 3, 5)),
    ]
    assert changes(backend, 5) is None
    for n in range(3):
        assert changes(backend, 6) is not None
        backend.put([entry(f"e{n}", "text")])
    assert [change.revision for change in changes(backend, 9)] == [10, 11, 12]  # the ninth had six lines with these
    assert changes(backend, 8) is None


@pytest.mark.parametrize("table", ["chunks", "triples", "models", "embeddings"])
@pytest.mark.parametrize("last", [2**63 - 1, -1, "many"])
def test_a_counter_that_cannot_be_counted_up_is_damage(open_backend, table, last):
    backend = open_backend()
    with backend._connections.atomic() as connection:
        connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        assert checksums.next_number(connection, table) == 1
        connection.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, last))
        with pytest.raises(apsw.CorruptError):
            checksums.next_number(connection, table)


@pytest.mark.parametrize("facts", [{}, {"scale": [0.5, 0.25]}])
@pytest.mark.parametrize("damage", [{"spread": 0.0}, {"spread": -0.1}, {"chance": float("nan")}, {"scale": [0.5, 0.0]}])
def test_a_calibration_that_nothing_could_be_divided_by_is_damage(facts, damage):
    sound = {"fingerprint": "made@1", "chunks": 9, "power": 3.5, "chance": 0.25, "spread": 0.125} | facts
    assert applicable_calibration(json.dumps(sound), EMBEDDING).spread == 0.125
    assert applicable_calibration(json.dumps(sound), OTHER) is None
    with pytest.raises(apsw.CorruptError, match="calibration"):
        applicable_calibration(json.dumps(sound | damage), EMBEDDING)


def test_a_switch_of_embedders_makes_followers_begin_anew(open_backend):
    backend = open_backend()
    backend.put([entry("a", "x")])
    backend.begin(OTHER)
    backend.fill(OTHER, chunks_of(backend, "a"), np.ones((1, OTHER.dim), np.float32))
    assert changes(backend, 1) == []  # nothing that searches see has changed yet
    backend.switch()
    assert changes(backend, 1) is None
    assert changes(backend, backend.state().revision) == []


@pytest.mark.parametrize("seed", range(2))
def test_a_mirror_kept_by_the_change_log_equals_the_store(open_backend, seed):
    backend, walk = open_backend(), random.Random(seed)
    mirror, revision = set[int](), 0
    for step in range(60):
        ids = walk.sample([f"d{n}" for n in range(12)], walk.randint(1, 4))
        if walk.random() < 0.7:
            backend.put([entry(id_, f"{id_} {step}", spans=[(0, 2), (2, 4)][: walk.randint(1, 2)]) for id_ in ids])
        else:
            backend.remove(ids)
        for change in changes(backend, revision) if walk.random() < 0.3 or step == 59 else ():
            run, revision = range(change.first, change.last + 1), change.revision
            mirror = mirror | set(run) if change.kind == "added" else mirror - set(run)
    assert mirror == all_chunks(backend)


def test_a_search_reads_with_few_statements(open_backend):
    """Other threads of Python are let in at each step of one; many keep two threads from being faster."""
    backend, rng = open_backend(), np.random.default_rng(3)
    vectors = units(rng, 200)
    backend.put([entry(str(n), f"word {n}", vectors=vectors[n : n + 1]) for n in range(200)], embedding=EMBEDDING)
    for again in (False, True):
        statements = list[str]()
        connection = backend._connections.get()
        connection.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event, seen=statements: seen.append(event["sql"]))
        with backend.snapshot():
            state, everything = backend.state(), Restriction()
            ranking, terms = backend.match(KeywordQuery(("word", "7")), 200, everything)
            chunks = backend.nearest(vectors[0], 200, everything).chunks
            backend.evidence(np.sort(chunks), terms, vectors[0])
            assert len(backend.missing()) == 0
            assert len(backend.passages(ranking.chunks[:10].tolist())) == 10
        connection.trace_v2(0, None)
        assert state.chunks == 200
        assert not again or len(statements) == 5, statements  # BEGIN, state, vectors, passages, COMMIT


def test_a_fact_is_read_again_in_the_next_state(open_backend):
    backend, other = open_backend(), open_backend()
    with backend.snapshot():
        before = backend.state().revision
        other.put([entry("a", "one")])
        assert SQLiteLoader(backend._connections.get()).revision() == backend.state().revision == before
    assert len(chunks_of(backend, "a")) == 1
    with backend.snapshot():
        assert SQLiteLoader(backend._connections.get()).revision() == before + 1
        assert backend.nearest(np.ones(EMBEDDING.dim, np.float32), 5, Restriction()).chunks.size == 0


@pytest.mark.parametrize("count", [1, 2_999, 3_000, 9_000])
def test_words_with_few_and_with_many_chunks_have_the_same_impacts(count):
    """Those with few are looked up together."""
    rng = np.random.default_rng(count)
    parts = {word: (np.sort(rng.choice(10_000, count, replace=False)).astype(np.int32), count) for word in "ab"}
    steps = {word: rng.integers(1, 0xFFFF, count, np.uint16) for word in parts}

    class Stored:
        chunks = ChunkIds(np.arange(10, 10_010))

        def read(self, _, tokens):
            return dict.fromkeys(tokens)

        def whole(self, word, _):
            return parts[word][0], steps[word]

    chunks = np.sort(rng.choice(np.arange(10, 10_010), 300, replace=False))
    table = impacts(None, Stored(), ["a", "b", "a"], chunks)
    for column, word in enumerate("aba"):
        dense = np.zeros(10_000, np.float32)
        dense[parts[word][0]] = steps[word] * np.float32(1 / 0xFFFF)
        np.testing.assert_array_equal(table[:, column], dense[chunks - 10])
