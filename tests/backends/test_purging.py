"""A purge leaves no byte of a document, whatever happened to it before; this looks at the files' bytes by itself."""

import os
import random
import signal
import string
import subprocess
import sys
import threading
import time
from contextlib import closing, nullcontext, suppress
from pathlib import Path

import apsw
import numpy as np
import pytest
from made import EMBEDDING, chunks_of, entry, found, units

import hybridstore as hs
from hybridstore.backends.learning import Negative, Triple
from hybridstore.backends.sqlite import SQLiteBackend, purge
from hybridstore.backends.values import Embedding
from hybridstore.codecs.int8 import encode

HERE = Path(__file__).parent
WIDE = Embedding("wide@1", "wide", 64)
NEXT = Embedding("next@1", "next", 48)
COMMON = [f"common{n}" for n in range(300)]


def canary(choose: random.Random) -> str:
    """Make a word that is nowhere else, whose halves are nowhere else either; its first letters vary little."""
    return "ca" + "".join(choose.choices("bdfgklmnprst", k=2)) + "".join(choose.choices(string.ascii_lowercase, k=16))


def all_bytes(path: Path) -> bytes:
    """Give the bytes of the file and of everything beside it that has its name."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.rglob("*")) if file.is_file())


class Planted:
    """Documents full of canaries, and all the bytes that must not be there once they are gone."""

    def __init__(self, seed: int) -> None:
        self.choose, self.rng = random.Random(seed), np.random.default_rng(seed)
        self.traces: dict[str, set[bytes]] = {}

    def version(self, id_: str, embedding: Embedding = WIDE):
        """Make a new version of a document, of a few to some hundred words, with a canary in each part of it."""
        choose, words = self.choose, [canary(self.choose) for _ in range(9)]
        title, uri, key, private, heading, source, *body = words
        count = choose.choice([3, 20, 60, 400, 1500])
        text = " ".join(
            [body[0], *choose.choices(COMMON, k=count), body[1], *choose.choices(COMMON, k=5), body[2].upper()]
        )
        half = len(text) // 2
        vectors = units(self.rng, 2, embedding.dim)
        self.keep(id_, *words, body[2].upper(), id_)
        for vector in vectors:
            self.keep_bytes(id_, *vector_traces(vector))
        return entry(
            id_,
            text,
            spans=[(0, half), (half, len(text))],
            title=f"Of {title}",
            uri=f"file:///{uri}",
            metadata={key: [1, {"deep": private}], "private": True},
            heading=f"Part > {heading}",
            vectors=vectors,
            source=f"/home/{source}",
        )

    def keep(self, id_: str, *words: str) -> None:
        # A keyword may stand in its page without its beginning, a row may go on in another page.
        self.keep_bytes(id_, *(part.encode() for word in words for part in {word[-10:], word[:10]}))

    def keep_bytes(self, id_: str, *traces: bytes) -> None:
        self.traces.setdefault(id_, set()).update(traces)

    def standing(self, path: Path, ids) -> set[str]:
        """Give those of the documents of which any byte string stands anywhere."""
        data = all_bytes(path)
        return {id_ for id_ in ids if any(trace in data for trace in self.traces[id_])}


def vector_traces(vector: np.ndarray) -> list[bytes]:
    exact, code = vector.astype("<f4").tobytes(), encode(vector[None, :])[0].tobytes()
    pieces = [exact[at : at + 16] for at in range(0, len(exact) - 15, 16)]
    return [*pieces, *(code[at : at + 16] for at in range(0, len(code) - 15, 16))]


def eventful(backend: SQLiteBackend, planted: Planted, ids: list[str]) -> None:
    """Write, replace, remove and move documents, and ask about them, so that old bytes lie everywhere."""
    choose = planted.choose
    for round_ in range(4):
        order = choose.sample(ids, len(ids))
        for first in range(0, len(order), 7):
            some = order[first : first + 7]
            backend.put([planted.version(id_) for id_ in some], embedding=WIDE)
            if choose.random() < 0.5 and round_ < 3:
                backend.remove(choose.sample(some, 2))
        for id_ in choose.sample(ids, len(ids) // 3):
            chunks = chunks_of(backend, id_)
            if not chunks:
                continue
            asked = [f"what of {canary(choose)} {n}" for n in range(2)]
            planted.keep(id_, *(question.split()[2] for question in asked))
            backend.learning.add_feedback(asked[0], chunks[0], used=True)
            other = Negative(chunk=chunks[-1], leg="vector", score=0.5)
            backend.learning.add_triples(
                [Triple(query=asked[1], kind="log", positive=chunks[0], score=0.5, negatives=(other,))]
            )
    backend.put([planted.version(id_) for id_ in ids if id_ not in backend.digests(ids)], embedding=WIDE)
    for id_ in choose.sample(ids, len(ids) // 2):  # of what they hold now: nobody knows what they once held
        document = backend.get(id_).document
        word = choose.choice([word for word in document.text.split() if not word.startswith("common")])
        backend.learning.log_queries([f"tell me {document.title}", f"and {word.title()}?", f"where is {id_}"])


def reembedded(backend: SQLiteBackend, planted: Planted, ids: list[str], share: float) -> None:
    """Give some of the chunks, or all, vectors of another embedder."""
    backend.begin(NEXT)
    chunks = [(id_, chunk) for id_ in ids for chunk in chunks_of(backend, id_)]
    chunks = chunks[: int(len(chunks) * share)]
    vectors = units(planted.rng, len(chunks), NEXT.dim)
    for (id_, _), vector in zip(chunks, vectors, strict=True):
        planted.keep_bytes(id_, *vector_traces(vector))
    backend.fill(NEXT, [chunk for _, chunk in chunks], vectors)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store" / "store.db"


@pytest.fixture
def opened(path):
    path.parent.mkdir()
    with closing(SQLiteBackend(str(path), busy_timeout=0.3)) as backend:
        yield backend


@pytest.mark.parametrize("seed", [2, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(2))])
def test_no_byte_of_a_purged_document_is_left(path, opened, seed):
    planted = Planted(seed)
    ids = [f"{canary(planted.choose)}-{n}" for n in range(60)]
    eventful(opened, planted, ids)
    reembedded(opened, planted, ids, (0.5, 1, 1)[seed])
    if seed == 2:
        assert opened.switch(keep=True)
    assert planted.standing(path, ids) == set(ids)
    left = set(ids)
    for count in (1, 12, 20):
        gone = planted.choose.sample(sorted(left), count)
        left -= set(gone)
        purged = opened.purge(gone)
        assert (purged.documents, purged.clean, purged.residues) == (count, True, ())
        assert planted.standing(path, set(ids) - left) == set()
        assert opened.check() == []
    assert {stored.document.id for stored in opened.scan()} == left
    assert planted.standing(path, left) == left


def test_what_was_removed_and_never_purged_is_cleared_by_the_next_purge(path, opened):
    planted = Planted(7)
    ids = [f"{canary(planted.choose)}-{n}" for n in range(20)]
    eventful(opened, planted, ids)
    opened.learning.forget_queries()  # some are of titles that only the purge of a document that is there would know
    opened.remove(ids[:10])
    assert planted.standing(path, ids[:10])
    purged = opened.purge(ids[:10])
    assert (purged.documents, purged.missing, purged.clean) == (0, tuple(ids[:10]), True)
    assert planted.standing(path, ids[:10]) == set()


# what is left out -> what the look through the files must find then
OMISSIONS = {
    "_rewrite": {"text", "title", "uri", "metadata", "heading", "source", "digest", "vector"},
    "merge": {"keyword"},
    "_empty_log": {"text", "title", "metadata", "vector", "code", "keyword"},
}


@pytest.mark.parametrize("step", OMISSIONS)
def test_the_look_through_the_files_finds_what_a_step_left_out_leaves(opened, monkeypatch, step):
    planted = Planted(3)
    ids = [f"{canary(planted.choose)}-{n}" for n in range(30)]
    opened.put([planted.version(id_) for id_ in ids], embedding=WIDE)
    monkeypatch.setattr(purge, "erasing", lambda _: nullcontext())
    # Each omission claims that it has done its work, so that only the bytes can tell.
    monkeypatch.setattr(purge, step, lambda *_: step == "_empty_log" or "")
    purged = opened.purge(ids[::2])  # beside others, whose pages stay
    assert purged.clean is False
    assert purged.remedy
    assert OMISSIONS[step] <= {residue.what for residue in purged.residues}
    monkeypatch.undo()
    again = opened.purge([])
    assert (again.clean, again.residues, again.documents) == (True, (), 0)
    assert again.needles >= purged.needles


def test_a_residue_is_told_by_its_place(path, opened, monkeypatch):
    planted = Planted(4)
    ids = [f"{canary(planted.choose)}-{n}" for n in range(10)]
    opened.put([planted.version(id_) for id_ in ids], embedding=WIDE)
    title = opened.get(ids[0]).document.title
    monkeypatch.setattr(purge, "erasing", lambda _: nullcontext())
    monkeypatch.setattr(purge, "_rewrite", lambda *_: "")
    purged = opened.purge(ids[:1])
    places = [each.offset for each in purged.residues if each.what == "title" and each.file == str(path)]
    data = path.read_bytes()
    assert places
    assert all(data[place : place + 12] in title.encode() for place in places)


def test_codes_that_were_left_in_their_blob_are_found(opened, monkeypatch):
    """vec0 overwrites a code when it deletes it; one that did not would be noticed."""
    planted = Planted(5)
    ids = [f"{canary(planted.choose)}-{n}" for n in range(10)]
    opened.put([planted.version(id_) for id_ in ids], embedding=WIDE)
    (blob,) = opened._connections.get().execute("SELECT vectors FROM codes_1_vector_chunks00").fetchone()
    merge = purge.merge

    def put_back(connection: apsw.Connection) -> None:
        merge(connection)
        connection.execute("UPDATE codes_1_vector_chunks00 SET vectors = ?", (blob,))

    monkeypatch.setattr(purge, "merge", put_back)
    purged = opened.purge(ids[:5])
    assert purged.clean is False
    assert {residue.what for residue in purged.residues} == {"code"}


def test_a_copy_that_a_killed_tuning_left_is_told_of(path, opened):
    planted = Planted(6)
    ids = [f"{canary(planted.choose)}-{n}" for n in range(10)]
    opened.put([planted.version(id_) for id_ in ids], embedding=WIDE)
    shadow = path.parent / f".{path.name}-shadow-abc"
    shadow.mkdir()
    opened.backup(str(shadow / "copy.db"))
    purged = opened.purge(ids[:1])
    assert (purged.clean, purged.wal_clean) == (False, True)
    assert {residue.file for residue in purged.residues} == {str(shadow / "copy.db")}
    assert "copy.db" in purged.remedy
    (shadow / "copy.db").unlink()
    assert opened.purge([]).clean


def test_a_copy_beside_the_file_that_a_link_leads_to_is_told_of(tmp_path):
    copy = tmp_path / "real" / ".notes.db-shadow-abc" / "copy.db"
    copy.parent.mkdir(parents=True)
    with hs.open(tmp_path / "real" / "notes.db", embedder="none") as store:
        store.add({"id": "zebra-number-one", "text": "an extraordinary zebra"})
        store.backup(copy)
    (tmp_path / "link.db").symlink_to(tmp_path / "real" / "notes.db")
    with hs.open(tmp_path / "link.db", embedder="none") as store:
        purged = store.purge("zebra-number-one")
    assert purged.clean is False
    assert {Path(residue.file).name for residue in purged.residues} == {"copy.db"}


def test_a_copy_of_a_file_with_signs_of_a_pattern_in_its_name_is_told_of(tmp_path):
    copy = tmp_path / ".notes[1].db-shadow-abc" / "copy.db"
    copy.parent.mkdir()
    with hs.open(tmp_path / "notes[1].db", embedder="none") as store:
        store.add({"id": "zebra-number-one", "text": "an extraordinary zebra"})
        store.backup(copy)
        purged = store.purge("zebra-number-one")
    assert purged.clean is False
    assert {residue.file for residue in purged.residues} == {str(copy)}


def other(path: Path, step: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / "purging_process.py"), str(path), step]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)])}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def test_while_another_process_reads_what_there_was_nothing_is_said_to_be_clean(path, opened):
    planted = Planted(8)
    ids = [f"{canary(planted.choose)}-{n}" for n in range(40)]
    eventful(opened, planted, ids)
    reader = other(path, "read")
    assert reader.stdout.readline() == "40\n"
    title = opened.get(ids[0]).document.title
    purged = opened.purge(ids[:10])
    assert (purged.documents, purged.clean, purged.wal_clean) == (10, False, False)
    opened.learning.log_queries([f"where is {title} now?"])
    assert purged.residues
    assert "purge([])" in purged.remedy
    assert found(opened, "common1 common2 common3") != []
    assert opened.count() == 30
    output, errors = reader.communicate("", timeout=30)
    assert (output, errors) == ("30\n", "")
    purged = opened.purge([])
    assert (purged.documents, purged.clean, purged.wal_clean, purged.remedy) == (0, True, True, "")
    assert purged.questions == 1
    assert purged.needles > 100  # it still knows what to look for
    assert planted.standing(path, ids[:10]) == set()


def test_a_reader_that_ends_while_the_purge_waits_is_waited_for(path, opened):
    planted = Planted(9)
    ids = [f"{canary(planted.choose)}-{n}" for n in range(10)]
    opened.put([planted.version(id_) for id_ in ids], embedding=WIDE)
    reader = other(path, "read")
    assert reader.stdout.readline() == "10\n"
    with closing(SQLiteBackend(str(path), busy_timeout=20)) as patient:
        threading.Timer(0.5, reader.stdin.close).start()
        assert patient.purge(ids[:3]).clean
    assert reader.wait(30) == 0
    reader.stdout.close()
    reader.stderr.close()
    assert planted.standing(path, ids[:3]) == set()


AGAIN = ("remove", "empty", "verify", *range(3))


@pytest.mark.parametrize(
    "step", ["merge", "rewrite", *(pytest.param(step, marks=pytest.mark.thorough) for step in AGAIN)]
)
def test_a_purge_that_was_killed_leaves_a_sound_file_and_the_next_one_finishes_it(path, step):
    path.parent.mkdir()
    planted = Planted(10)
    ids = [f"{canary(planted.choose)}-{n}" for n in range(100)]
    with closing(SQLiteBackend(str(path))) as backend:
        backend.put([planted.version(id_) for id_ in ids], embedding=WIDE)
        backend.put([entry("stays", "common1", vectors=units(planted.rng, 1, 64))], embedding=WIDE)
    process = other(path, str(step) if isinstance(step, str) else "none")
    if isinstance(step, int):
        assert process.stdout.readline() == "begins\n"
        time.sleep(random.Random(step).random() * 0.5)
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert isinstance(step, int) or process.returncode == -signal.SIGKILL
    with closing(SQLiteBackend(str(path))) as backend:
        told = ["a purge that was interrupted" in str(problem) for problem in backend.check()]
        assert told == ([True] if backend.count() == 1 else [])  # it says so until it has been done again, or compacted
        assert backend.count() in ({101} if step in {"remove", "merge"} else {1} if isinstance(step, str) else {1, 101})
        purged = backend.purge(ids)
        assert (purged.clean, purged.documents + len(purged.missing)) == (True, 100)
        assert backend.check() == []
        assert found(backend, "common1") == ["stays"]
        assert planted.standing(path, ids) == set()


def test_a_file_that_cannot_be_written_anew_is_not_said_to_be_clean(opened, monkeypatch):
    planted = Planted(11)
    ids = [f"{canary(planted.choose)}-{n}" for n in range(10)]
    eventful(opened, planted, ids)

    class Full(purge.Connections):
        def get(self):
            connection = super().get()
            return connection if connection.in_transaction else NoRoom(connection)

    class NoRoom:
        def __init__(self, connection: apsw.Connection) -> None:
            self.connection = connection

        def __getattr__(self, name: str):
            return getattr(self.connection, name)

        def __enter__(self):
            return self.connection.__enter__()

        def __exit__(self, *raised):
            return self.connection.__exit__(*raised)

        def execute(self, sql: str, *bindings):
            if sql == "VACUUM":
                raise apsw.FullError("database or disk is full")
            return self.connection.execute(sql, *bindings)

    monkeypatch.setattr(purge, "Connections", Full)
    purged = opened.purge(ids[:3])
    assert (purged.documents, purged.clean, purged.wal_clean) == (3, False, True)
    assert "disk is full" in purged.remedy
    monkeypatch.undo()
    assert opened.purge([]).clean
    assert opened.check() == []


def test_a_large_file_is_written_anew_beside_memory(path, opened, monkeypatch):
    monkeypatch.setattr(purge, "_IN_MEMORY", 0)
    planted = Planted(13)
    ids = [f"{canary(planted.choose)}-{n}" for n in range(10)]
    eventful(opened, planted, ids)
    assert opened.purge(ids[:5]).clean
    assert planted.standing(path, ids[:5]) == set()
    assert opened.check() == []


@pytest.mark.thorough
def test_others_write_while_one_purges(path, opened):
    planted = Planted(12)
    ids = [f"{canary(planted.choose)}-{n}" for n in range(60)]
    opened.put([planted.version(id_) for id_ in ids], embedding=WIDE)
    stop, written = threading.Event(), []

    def write() -> None:
        with closing(SQLiteBackend(str(path), busy_timeout=30)) as backend:
            while not stop.is_set():
                backend.put([entry(f"w{len(written)}", "common1", vectors=units(planted.rng, 1, 64))], embedding=WIDE)
                written.append(f"w{len(written)}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with closing(SQLiteBackend(str(path), busy_timeout=30)) as patient:
            for first in range(0, 60, 12):
                purged = patient.purge(ids[first : first + 12])
                assert (purged.documents, purged.clean, purged.remedy, purged.residues) == (12, True, "", ())
    finally:
        stop.set()
        writer.join(30)
    assert sorted(found(opened, "common1", depth=10**6)) == sorted(written)
    assert opened.check() == []
    assert opened.purge([]).clean
    assert planted.standing(path, ids) == set()


def test_short_and_plain_values_are_told_of_and_not_looked_for(opened):
    opened.put([entry("a", "-" * 40, title="b", vectors=np.eye(1, 8, dtype=np.float32))], embedding=EMBEDDING)
    purged = opened.purge(["a"])
    assert purged.clean
    assert purged.unsearched >= 4  # the id, the title, the dashes, the vector


def test_words_of_sqlite_itself_are_no_residue(opened):
    text = "SQLite format 3, CREATE TABLE chunks, CREATE_VERSION_MAJOR: a text about files of this kind"
    opened.put([entry("a text about SQLite", text, metadata={"kind": "endpoint", "since": "2026-01-31T12:00:00Z"})])
    assert opened.purge(["a text about SQLite"]).clean


def test_a_closed_backend_purges_nothing(opened):
    opened.close()
    with pytest.raises(Exception, match="closed"):
        opened.purge([])


def test_compacting_ends_a_purge_that_was_killed(path):
    path.parent.mkdir()
    planted = Planted(11)
    ids = [f"{canary(planted.choose)}-{n}" for n in range(20)]
    with closing(SQLiteBackend(str(path))) as backend:
        backend.put([planted.version(id_) for id_ in ids], embedding=WIDE)
    other(path, "rewrite").communicate(timeout=60)
    with closing(SQLiteBackend(str(path))) as backend:
        assert "hybridstore compact" in str(*backend.check())
        backend.compact()
        assert backend.check() == []
        assert planted.standing(path, ids) == set()
