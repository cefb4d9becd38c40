"""The reference backend fulfils the contract, and SQLite's answers are its answers."""

from contextlib import closing
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from contract import BackendContract
from hypothesis import given, settings
from hypothesis import strategies as st
from made import ALL, EMBEDDING, FEW, OTHER, entry, source, units

from hybridstore.backends.in_memory import MemoryBackend
from hybridstore.backends.learning import ModelVersion, Negative, Triple
from hybridstore.backends.sqlite import SQLiteBackend
from hybridstore.backends.values import Calibration, Restriction
from hybridstore.errors import FileRefused, HybridstoreError, InputError
from hybridstore.filters import parse
from hybridstore.records import KeywordQuery
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import AllOf, AnyOf, NotOf, WordSequence


@pytest.fixture
def open_backend():
    stores, opened = {}, []

    def open_(name="store"):
        opened.append(MemoryBackend(shared=stores.get(name)))
        stores[name] = opened[-1].shared
        return opened[-1]

    yield open_
    for backend in opened:
        backend.close()


class TestInMemory(BackendContract):
    @pytest.fixture
    def open_backend(self, open_backend):
        return open_backend

    def test_a_purged_document_is_gone_and_its_file_is_clean(self):
        pytest.skip("a store in memory has no file whose bytes could be searched")

    def test_what_other_documents_hold_too_is_no_residue(self):
        pytest.skip("a store in memory has no file whose bytes could be searched")


# what is particular to it


def test_an_unknown_language_is_rejected():
    with pytest.raises(InputError, match="klingon"):
        MemoryBackend(language="klingon")


def test_each_store_in_memory_is_another():
    one, two = MemoryBackend(), MemoryBackend(language="german")
    one.put([entry("a", "word")])
    assert (one.count(), two.count()) == (1, 0)
    assert (one.location, two.language) == (":memory:", "german")


def test_its_folder_goes_with_it():
    backend = MemoryBackend()
    folder = backend.folder
    (folder / "model").mkdir()
    backend.close()
    assert not folder.exists()


def test_a_closed_store_says_so():
    backend = MemoryBackend()
    backend.close()
    for use in (backend.count, backend.stats, lambda: backend.put([]), lambda: backend.remove([]), backend.check):
        with pytest.raises(HybridstoreError, match=r"hybridstore\.open"):
            use()


def test_what_is_returned_can_be_changed_without_changing_the_store(open_backend):
    backend = open_backend()
    vectors = units(np.random.default_rng(1), 1)
    metadata = {"tags": ["a"]}
    backend.put([entry("a", "word", metadata=metadata, vectors=vectors)], embedding=EMBEDDING)
    before = vectors.copy()
    metadata["tags"].append("b")
    vectors[:] = 0
    (chunk,) = backend.chunks_of(["a"], ALL)["a"]
    for returned in (backend.get("a").document.metadata, backend.passages([chunk])[0].metadata):
        returned["tags"].clear()
    backend.vectors([chunk])[:] = 0
    backend.chunk_vectors("a").popitem()[1][:] = 0
    assert backend.get("a").document.metadata == backend.passages([chunk])[0].metadata == {"tags": ["a"]}
    assert np.array_equal(backend.vectors([chunk]), before)


def test_a_purge_leaves_nothing_behind(open_backend):
    backend = open_backend()
    vectors = units(np.random.default_rng(1), 2)
    for n, id_ in enumerate(("mine", "yours")):
        backend.put([entry(id_, f"secret{n}", title="T", vectors=vectors[n : n + 1])], embedding=EMBEDDING)
    report = backend.purge(["mine", "mine", "unknown"])
    assert (report.documents, report.chunks, report.missing, report.clean, report.remedy) == (
        1,
        1,
        ("unknown",),
        True,
        "",
    )
    contents = backend.shared.now
    assert "secret0" not in repr(contents)
    assert list(contents.chunks) == list(contents.generations["active"].vectors) == [2]


def test_snapshots_of_several_states_end_in_any_order(open_backend):
    handles = [open_backend() for _ in range(3)]
    snapshots = [handle.snapshot() for handle in handles]
    for n, (handle, snapshot) in enumerate(zip(handles, snapshots, strict=True)):
        vectors = units(np.random.default_rng(n), 1)
        handle.put([entry(f"d{n}", "word", vectors=vectors)], embedding=EMBEDDING)
        snapshot.__enter__()
    assert [handle.count() for handle in handles] == [1, 2, 3]
    for snapshot in (snapshots[1], snapshots[2], snapshots[0]):
        snapshot.__exit__(None, None, None)
    assert [handle.count() for handle in handles] == [3, 3, 3]
    assert not handles[0].shared.snapshots_taken


def test_a_purge_is_not_reported_clean_while_a_snapshot_is_read(open_backend):
    one, two = open_backend(), open_backend()
    one.put([entry("a", "word")])
    with two.snapshot():
        report = one.purge(["a"])
        assert (report.clean, bool(report.remedy)) == (False, True)
        assert two.count() == 1
    assert one.purge([]).clean
    copies = one.folder / ".copies"
    copies.mkdir()
    (copies / "copy.db").touch()
    assert one.purge([]).clean is False


def test_a_backup_is_the_whole_store_with_the_same_numbers(open_backend, tmp_path):
    backend = eventful(open_backend())
    backend.backup(str(tmp_path / "copy.db"))
    with closing(SQLiteBackend(str(tmp_path / "copy.db"))) as copy:
        assert [(problem.what, problem.count) for problem in copy.check()] == [
            ("chunks without a vector (`hybridstore embed` makes them)", 5)
        ]
        assert described(copy) == described(backend)
        for each in (copy, backend):
            each.put([entry("next", "new words")])
        assert copy.chunks_of(["next"], ALL) == backend.chunks_of(["next"], ALL)


def test_a_backup_never_overwrites_anything(open_backend, tmp_path):
    (tmp_path / "there.txt").write_text("precious")
    for place in (tmp_path / "there.txt", tmp_path / "no folder" / "copy.db", tmp_path):
        with pytest.raises(FileRefused):
            open_backend().backup(str(place))
    assert (tmp_path / "there.txt").read_text() == "precious"


def eventful(backend):
    """Let all happen to a store that can."""
    vectors = units(np.random.default_rng(2), 6)
    entries = [
        entry(f"d{n}", f"word{n} and more", spans=[(0, 5), (6, 14)], heading="A > B", metadata={"n": n}, source="S")
        for n in range(5)
    ]
    backend.put(entries, finished={source("S"): frozenset(f"d{n}" for n in range(5))})
    backend.put([entry("v", "vector", title="V", uri="u", vectors=vectors[:1])], embedding=EMBEDDING)
    for passage in backend.pending(3):
        backend.fill(EMBEDDING, [passage.chunk], vectors[1:2])
    backend.put([entry("d1", "word1 changed")])
    backend.remove(["d3"])
    backend.put([], finished={source("S", "d2"): frozenset({"d0", "d2", "d4"})})
    backend.begin(OTHER)
    (chunk,) = backend.chunks_of(["v"], ALL)["v"]
    backend.fill(OTHER, [chunk], units(np.random.default_rng(3), 1, OTHER.dim))
    backend.calibrate(Calibration(fingerprint=EMBEDDING.fingerprint, chunks=9, power=3.5, chance=0.25, spread=0.125))
    learning, first = backend.learning, backend.chunks_of(["d0"], ALL)["d0"][0]
    learning.log_queries(["one", "two", "one"])
    learning.add_feedback("one", chunk, used=True)
    negatives = (Negative(chunk=first, leg="keyword", score=0.5, excluded="judge"),)
    learning.add_triples([Triple(query="one", kind="log", positive=chunk, score=1.0, negatives=negatives)] * 2)
    for state in ("candidate", "refused", "candidate"):
        number = learning.propose(adapter(state))
    learning.promote(number)
    return backend


def adapter(state):
    fields = {"source": EMBEDDING.fingerprint, "target": EMBEDDING.fingerprint, "reference": "made"}
    return ModelVersion(kind="adapter", state=state, report={"gain": 0.5}, weights=b"weights", **fields)


def described(backend):
    """Return all that a store can tell about what it holds."""
    stats, learning, ids = backend.stats(), backend.learning, backend.ids()
    return {
        "documents": list(backend.scan()),
        "chunks": backend.chunks_of(ids, ALL),
        "digests": backend.digests(ids),
        "vectors": [vector.tolist() for id_ in ids for vector in backend.chunk_vectors(id_).values()],
        "sources": backend.sources(),
        "embeddings": backend.embeddings(),
        "pending": backend.pending_count(),
        "state": backend.state(),
        "counts": (stats.documents, stats.chunks, stats.vectors, stats.sources, stats.revision, stats.triples),
        "learning": (learning.models(), list(learning.triples()), learning.query_log(), learning.feedback()),
    }


# the same operations on both backends

WORDS = ("apple", "berry", "cherry", "Elder-Berry", "fig", "v1.2", "東京都", "the")
NUMBERS = count()
words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
ids = st.sampled_from([f"d{n}" for n in range(8)])
documents = st.tuples(ids, words, words, st.integers(0, 3), st.sampled_from([None, "S", "T"]), st.booleans())
operations = st.one_of(
    st.tuples(st.just("put"), st.lists(documents, min_size=1, max_size=4)),
    st.tuples(st.just("replace"), documents, st.sampled_from([None, "stored", "other"])),
    st.tuples(st.just("remove"), st.lists(ids, max_size=3)),
    st.tuples(st.just("remove_where"), st.integers(0, 3)),
    st.tuples(st.just("finish"), st.sampled_from("ST"), st.sets(ids)),
    st.tuples(st.just("fill"), st.integers(1, 5)),
)
expressions = st.recursive(
    st.builds(WordSequence, words.map(Analyser("english").phrase), st.sampled_from(["", "title", "heading"])),
    lambda inner: (
        st.builds(NotOf, inner)
        | st.builds(AllOf, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple))
    ),
    max_leaves=4,
)
phrases = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(" ".join), max_size=1).map(
    lambda texts: tuple(map(Analyser("english").phrase, texts))
)
restrictions = st.builds(
    Restriction,
    where=st.none() | st.integers(0, 3).map(lambda n: parse({"n": {"$gte": n}})),
    phrases=phrases,
    excluded=phrases,
    matching=st.lists(expressions, max_size=1).map(tuple),
)


def do(backend, operation):
    """Carry out an operation; return what comes of it."""
    match operation:
        case ("put", made):
            return backend.put(list(map(entry_of, made)), embedding=EMBEDDING)
        case ("replace", made, replaces):
            new = entry_of(made)
            stored = backend.digests([new.document.id]).get(new.document.id)
            expected = {None: None, "stored": stored, "other": b"other"}[replaces]
            return backend.put([replace(new, replaces=expected)], removing=["d7"] if made[0] != "d7" else [])
        case ("remove", gone):
            return backend.remove(gone)
        case ("remove_where", number):
            return backend.remove_where(parse({"n": number}))
        case ("finish", key, left):
            return backend.put([], finished={source(key): frozenset(left)})
        case ("fill", limit):
            chunks = [chunk for own in backend.chunks_of(backend.ids(), ALL).values() for chunk in own][-limit:]
            return chunks and backend.fill(EMBEDDING, chunks, np.concatenate([vector_of(chunk) for chunk in chunks]))


def entry_of(made):
    id_, title, text, number, owner, embedded = made
    vectors = np.concatenate([vector_of((text, 0)), vector_of((text, 1))]) if embedded else None
    middle = len(text) // 2
    spans = [(0, middle), (middle, len(text))]
    return entry(id_, text, title=title, spans=spans, vectors=vectors, source=owner, metadata={"n": number})


def vector_of(what):
    return units(np.random.default_rng(abs(hash(str(what))) % 2**32), 1)


def outcome(backend, operation):
    try:
        return do(backend, operation)
    except (HybridstoreError, LookupError) as error:
        return type(error), str(error)


def assert_same_ranking(ours, theirs, tolerance):
    """The same chunks and scores; chunks may only swap where the scores are the same but for rounding."""
    assert sorted(ours.chunks.tolist()) == sorted(theirs.chunks.tolist())
    scores = dict(zip(theirs.chunks.tolist(), theirs.scores.tolist(), strict=True))
    assert [scores[chunk] for chunk in ours.chunks.tolist()] == pytest.approx(ours.scores, abs=tolerance)
    assert theirs.scores == pytest.approx(ours.scores, abs=tolerance)


@settings(FEW, max_examples=FEW.max_examples // 2)
@given(st.lists(operations, min_size=1, max_size=8), st.data())
def test_sqlite_answers_as_the_reference_does(tmp_path, changes, data):
    path, ours = str(tmp_path / f"{next(NUMBERS)}.db"), MemoryBackend()
    with closing(SQLiteBackend(path)) as resident:
        for operation in changes:
            assert outcome(resident, operation) == outcome(ours, operation)
        with closing(SQLiteBackend(path, memory=0)) as exact:  # by FTS5 and sqlite-vec alone
            assert described(exact) | {"documents": []} == described(ours) | {"documents": []}
            assert timeless(exact) == timeless(ours)
            for _ in range(3):
                query = data.draw(st.builds(KeywordQuery, words.map(Analyser("english").terms), phrases))
                restriction, vector = data.draw(restrictions), vector_of(data.draw(words))[0]
                for theirs, tolerance in ((exact, 1e-6), (resident, 2e-4)):
                    assert_same_answers((ours, theirs), query, restriction, vector, tolerance)
    assert [problem.what for problem in ours.check() if "without a vector" not in problem.what] == []


def assert_same_answers(backends, query, restriction, vector, tolerance):
    ours, theirs = backends
    ranking, terms = ours.match(query, 100, restriction)
    their_ranking, their_terms = theirs.match(query, 100, restriction)
    assert terms == their_terms
    assert_same_ranking(ranking, their_ranking, tolerance)
    assert_same_ranking(ours.nearest(vector, 100, restriction), theirs.nearest(vector, 100, restriction), 1e-6)
    assert ours.passages(ranking.chunks.tolist()) == theirs.passages(ranking.chunks.tolist())
    assert ours.chunks_of(ours.ids(), restriction) == theirs.chunks_of(ours.ids(), restriction)
    for phrase in query.phrases:
        assert ours.holds(phrase, restriction) == theirs.holds(phrase, restriction)
    chunks = np.array(sorted(chunk for own in ours.chunks_of(ours.ids(), ALL).values() for chunk in own), np.int64)
    impacts, cosines = ours.evidence(chunks, terms, vector)
    their_impacts, their_cosines = theirs.evidence(chunks, terms, vector)
    assert their_impacts == pytest.approx(impacts, abs=tolerance)
    assert their_cosines == pytest.approx(cosines, abs=0.01, nan_ok=True)
    for one, other in zip(ours.sample(), theirs.sample(), strict=True):
        assert np.array_equal(one, other)


def timeless(backend):
    return [replace(stored, changed="") for stored in backend.scan(vectors=True)]
