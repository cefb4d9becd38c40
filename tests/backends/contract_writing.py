"""The contract of writing and reading: whole documents in, replaced, removed; all of it or none."""

from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import ALL, EMBEDDING, FEW, OTHER, all_chunks, chunks_of, entry, found, near, ranked, source, texts, units

from hybridstore.backends.values import Conflict, Embedding
from hybridstore.backends.versions import Removal, Version, removal_key
from hybridstore.errors import EmbedderMismatch, InputError, NotFound
from hybridstore.filters import parse
from hybridstore.records import AddReport

_NUMBERS = count()  # each example gets a store of its own
ODD_IDS = [
    "a\0b",
    "a\0c",
    "it's",
    '"',
    "🙂",
    "a\nb",
    "%",
    "null",
    "1",
    "[1]",
    " ",
    "é",
    "e\u0301",
    "\ufeff",
    "x" * 5000,
]


def needs_merging(backend):
    if backend.capabilities.merging:
        pytest.skip(backend.capabilities.merging)


class WritingContract:
    def test_a_document_comes_back_as_it_was_put(self, backend):
        metadata = {"n": 1, "x": 0.5, "t": [True, None, {"deep": "é🙂"}], "": ""}
        given_ = entry(
            "a", "Ein Text.", title="Titel", uri="file:///a", metadata=metadata, format="markdown", heading="A > B"
        )
        assert backend.put([given_]) == AddReport(added=1, chunks=1)
        stored = backend.get("a")
        assert stored.document == given_.document
        assert stored.chunks == tuple(given_.chunks)
        assert stored.source is None
        assert stored.changed
        assert backend.digests(["a", "b"]) == {"a": given_.digest}

    def test_an_unknown_document_is_not_found(self, backend):
        with pytest.raises(NotFound) as error:
            backend.get("nobody")
        assert error.value.document_id == "nobody"
        assert chunks_of(backend, "nobody") == []
        assert backend.chunk_vectors("nobody") == {}
        assert backend.remove(["nobody"]) == 0

    def test_the_same_content_again_changes_nothing(self, backend):
        backend.put([entry("a", "one word")])
        before = backend.state().revision, chunks_of(backend, "a"), backend.get("a")
        assert backend.put([entry("a", "one word")]) == AddReport(unchanged=1)
        assert (backend.state().revision, chunks_of(backend, "a"), backend.get("a")) == before

    def test_other_content_replaces_the_document(self, backend):
        rng = np.random.default_rng(1)
        old, new = units(rng, 2)
        backend.put([entry("a", "old words", vectors=old[None])], embedding=EMBEDDING)
        before = chunks_of(backend, "a")
        assert backend.put([entry("a", "new words", vectors=new[None])], embedding=EMBEDDING) == AddReport(
            replaced=1, chunks=1
        )
        assert backend.count() == 1
        assert found(backend, "old") == []
        assert found(backend, "new") == ["a"]
        assert backend.nearest(new, 5, ALL).scores == pytest.approx([1.0], abs=1e-6)
        assert not set(before) & set(chunks_of(backend, "a"))

    def test_a_document_put_twice_at_once_keeps_its_last_content(self, backend):
        assert backend.put([entry("a", "first"), entry("a", "second")]) == AddReport(added=1, replaced=1, chunks=2)
        assert backend.get("a").document.text == "second"
        assert found(backend, "first") == []
        assert backend.check() == []

    def test_a_removed_document_is_never_found(self, backend):
        vectors = units(np.random.default_rng(2), 3)
        backend.put(
            [entry(f"d{n}", f"shared word{n}", vectors=vectors[n : n + 1]) for n in range(3)], embedding=EMBEDDING
        )
        gone = chunks_of(backend, "d1")
        assert backend.remove(["d1", "d1", "unknown"]) == 1
        assert sorted(found(backend, "shared")) == ["d0", "d2"]
        assert found(backend, "word1") == []
        assert sorted(near(backend, vectors[1])) == ["d0", "d2"]
        assert backend.passages(gone) == []
        assert backend.digests(["d1"]) == {}
        assert backend.count() == 2
        with pytest.raises(NotFound):
            backend.get("d1")
        assert backend.check() == []

    def test_what_a_filter_lets_pass_is_removed_and_nothing_else(self, backend):
        backend.put([entry(f"d{n}", f"shared word{n}", metadata={"n": n}) for n in range(5)])
        assert backend.remove_where(parse({"n": {"$gte": 3}})) == 2
        assert backend.remove_where(parse({"n": {"$gte": 3}})) == 0
        assert backend.remove_where(parse({"@id": {"$in": ["d0", "d3"]}})) == 1
        assert sorted(found(backend, "shared")) == ["d1", "d2"]
        assert backend.count() == 2
        assert backend.check() == []

    def test_ids_come_in_the_order_first_added(self, backend):
        assert backend.ids() == []
        backend.put([entry(name, "text", metadata={"n": n}) for n, name in enumerate("dacb")])
        backend.put([entry("d", "changed", metadata={"n": 0})])
        assert backend.ids() == ["d", "a", "c", "b"]
        assert backend.ids(parse({"n": {"$gte": 2}})) == ["c", "b"]
        assert backend.ids(parse({"@id": {"$prefix": "a"}})) == ["a"]
        assert backend.metadata() == [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}]
        assert backend.metadata(parse({"n": {"$gte": 2}})) == [{"n": 2}, {"n": 3}]

    def test_a_chunk_id_is_never_used_again(self, backend):
        used = set()
        for text in ("one", "two", "three"):
            backend.put([entry("a", text)])
            now = all_chunks(backend)
            assert not now & used
            used |= now
            backend.remove(["a"])

    def test_an_entry_that_fails_leaves_nothing_of_any(self, backend):
        backend.put([entry("kept", "as it was")])
        before = backend.state().revision, backend.stats()
        bad = entry("bad", "one two", vectors=np.zeros((1, 3), np.float32))
        with pytest.raises(InputError, match="3"):
            backend.put([entry("good", "lost"), entry("kept", "changed"), bad], embedding=EMBEDDING)
        assert backend.get("kept").document.text == "as it was"
        assert backend.digests(["good", "bad"]) == {}
        assert found(backend, "lost changed") == []
        assert backend.embeddings().active is None
        assert (backend.state().revision, backend.stats().chunks) == (before[0], before[1].chunks)
        assert backend.check() == []

    @pytest.mark.parametrize("shape", [(2, 8), (1, 7), (8,), (0, 8)])
    def test_vectors_of_another_shape_than_the_chunks_are_refused(self, backend, shape):
        with pytest.raises(InputError):
            backend.put([entry("a", "x", vectors=np.ones(shape, np.float32))], embedding=EMBEDDING)
        assert backend.count() == 0

    def test_an_entry_without_chunks_that_is_not_there_any_more_is_refused_whole(self, backend):
        known = entry("a", "text")
        claim = replace(known, chunks=(), chunk_digests=())
        backend.put([known])
        assert backend.put([claim]) == AddReport(unchanged=1)
        backend.remove(["a"])
        with pytest.raises(LookupError):
            backend.put([entry("b", "other"), claim])
        assert backend.count() == 0

    def test_vectors_of_another_embedder_are_refused_and_nothing_changes(self, backend):
        vectors = units(np.random.default_rng(3), 2)
        backend.put([entry("a", "one", vectors=vectors[:1])], embedding=EMBEDDING)
        before = backend.state().revision
        for other in (OTHER, Embedding("made@2", "made", 8)):
            with pytest.raises(EmbedderMismatch) as error:
                backend.put([entry("b", "two", vectors=np.ones((1, other.dim), np.float32))], embedding=other)
            assert error.value.stored == "made@1"
        assert backend.embeddings().active == EMBEDDING
        assert (backend.count(), backend.state().revision) == (1, before)

    @FEW
    @given(st.lists(texts.filter(bool), min_size=1, max_size=5, unique=True))
    def test_any_text_can_be_an_id(self, open_backend, ids):
        backend = open_backend(f"ids{next(_NUMBERS)}")
        backend.put([entry(id_, "same text") for id_ in ids])
        assert set(backend.digests(ids)) == set(ids)
        assert [stored.document.id for stored in backend.scan()] == ids
        assert backend.remove(ids[:1]) == 1
        assert set(backend.digests(ids)) == set(ids[1:])
        backend.close()

    def test_odd_ids_stay_apart(self, backend):
        backend.put([entry(id_, f"text {n}") for n, id_ in enumerate(ODD_IDS)])
        for n, id_ in enumerate(ODD_IDS):
            assert backend.get(id_).document.text == f"text {n}"
            assert len(chunks_of(backend, id_)) == 1

    @FEW
    @given(texts, st.data())
    def test_a_passage_is_exactly_its_span_of_the_text(self, open_backend, text, data):
        backend = open_backend(f"spans{next(_NUMBERS)}")
        marks = st.integers(0, len(text))
        spans = data.draw(st.lists(st.tuples(marks, marks).map(sorted).map(tuple), min_size=1, max_size=4))
        backend.put([entry("a", text, spans=spans, title=text[:5], uri=text[5:9], metadata={text: text})])
        passages = backend.passages(chunks_of(backend, "a"))
        assert [(p.start, p.end, p.text) for p in passages] == [(a, b, text[a:b]) for a, b in spans]
        assert {(p.title, p.uri) for p in passages} == {(text[:5], text[5:9])}
        assert backend.get("a").document.text == text
        assert backend.get("a").document.metadata == {text: text}
        backend.close()

    def test_passages_come_in_the_order_asked_for(self, backend):
        backend.put([entry(id_, f"text {id_}", spans=[(0, 4), (5, 6)]) for id_ in "abc"])
        chunks = [chunk for id_ in "cab" for chunk in reversed(chunks_of(backend, id_))]
        assert [p.chunk for p in backend.passages([chunks[0], 10**9, *chunks])] == [chunks[0], *chunks]
        assert backend.passages([]) == []

    def test_a_scan_gives_all_in_the_order_first_added(self, backend):
        vectors = units(np.random.default_rng(4), 450)
        entries = [entry(f"d{n}", f"text {n}", vectors=vectors[n : n + 1], metadata={"n": n}) for n in range(450)]
        backend.put(entries, embedding=EMBEDDING)
        backend.put([entry("d7", "changed", vectors=vectors[7:8], metadata={"n": 7})], embedding=EMBEDDING)
        scanned = list(backend.scan(vectors=True))
        assert [stored.document.id for stored in scanned] == [f"d{n}" for n in range(450)]
        assert np.array_equal(np.concatenate([stored.vectors for stored in scanned]), vectors)
        assert [s.document.id for s in backend.scan(parse({"n": {"$gte": 448}}))] == ["d448", "d449"]
        assert all(stored.vectors is None for stored in backend.scan())

    def test_a_scan_ends_although_its_reader_adds_documents(self, backend):
        backend.put([entry(f"d{n}", f"text {n}") for n in range(250)])
        scanned = []
        for stored in backend.scan():
            scanned.append(stored.document.id)
            assert len(scanned) <= 250
            backend.put([entry(f"{stored.document.id}+", "a copy"), entry(stored.document.id, "changed")])
        assert scanned == [f"d{n}" for n in range(250)]
        assert backend.count() == 500

    def test_vectors_come_back_by_what_was_embedded(self, backend):
        vectors = units(np.random.default_rng(5), 2)
        put = entry("a", "one two", spans=[(0, 3), (4, 7)], vectors=vectors)
        backend.put([put], embedding=EMBEDDING)
        known = backend.chunk_vectors("a")
        assert set(known) == set(put.chunk_digests)
        for digest, vector in zip(put.chunk_digests, vectors, strict=True):
            assert np.array_equal(known[digest], vector)

    def test_a_finished_source_loses_the_documents_it_no_longer_has(self, backend):
        backend.put(
            [entry(f"a{n}", f"a {n}", source="A") for n in range(3)],
            finished={source("A"): frozenset({"a0", "a1", "a2"})},
        )
        backend.put([entry("b", "b", source="B")], finished={source("B"): frozenset({"b"})})
        report = backend.put([entry("a0", "a 0", source="A")], finished={source("A", "d2"): frozenset({"a0"})})
        assert report == AddReport(unchanged=1, removed=2)
        assert [stored.document.id for stored in backend.scan()] == ["a0", "b"]
        assert backend.sources() == {"A": source("A", "d2"), "B": source("B")}

    def test_a_source_that_is_not_finished_is_not_remembered(self, backend):
        backend.put([entry("a", "text", source="A")])
        assert backend.sources() == {}
        assert backend.get("a").source == "A"

    def test_an_unchanged_document_moves_to_the_source_that_has_it_now(self, backend):
        backend.put([entry("a", "text", source="A")], finished={source("A"): frozenset({"a"})})
        backend.put([entry("a", "text", source="B")], finished={source("B"): frozenset({"a"})})
        backend.put([], finished={source("A", "d2"): frozenset()})
        assert backend.get("a").source == "B"
        assert backend.put([entry("a", "text")]) == AddReport(unchanged=1)
        assert backend.get("a").source == "B"

    def test_removing_a_document_makes_its_source_unread(self, backend):
        backend.put(
            [entry("a", "x", source="A"), entry("b", "y", source="A")],
            finished={source("A"): frozenset({"a", "b"})},
        )
        backend.remove(["a"])
        assert backend.sources() == {}
        assert backend.count() == 1

    def test_forgetting_sources_removes_their_documents(self, backend):
        backend.put([entry("a", "x", source="A"), entry("b", "y")], finished={source("A"): frozenset({"a"})})
        assert backend.remove_sources(["A", "unknown"]) == 1
        assert backend.sources() == {}
        assert [stored.document.id for stored in backend.scan()] == ["b"]

    def test_every_change_is_a_version_later_than_the_one_before(self, backend):
        needs_merging(backend)
        backend.put([entry("a", "one"), entry("b", "same")])
        first = backend.versions()
        assert list(first) == ["a", "b"]
        assert first["a"][1] == first["b"][1] == backend.get("a").changed
        backend.put([entry("a", "two"), entry("b", "same")])
        second = backend.versions(["a", "b", "c"])
        assert second["b"] == first["b"]
        assert second["a"][0] == backend.digests(["a"])["a"]
        assert Version.of(second["a"][1]).order > Version.of(first["a"][1]).order
        assert Version.of(second["a"][1]).descends_from(first["a"][0])
        assert len(backend.get("a").changed) == 20

    def test_a_removed_document_leaves_the_version_of_its_removal(self, backend):
        needs_merging(backend)
        backend.put([entry("a", "one"), entry("b", "two"), entry("c", "three")])
        before = backend.versions()["a"][1]
        backend.remove(["a"])
        (key,) = backend.removals()
        left = backend.removals([key, b"0" * 16])
        assert list(left) == [key] == [removal_key("a")]
        assert Version.of(left[key].version).order > Version.of(before).order
        backend.put([entry("a", "again")])
        assert backend.removals() == {}
        assert Version.of(backend.versions()["a"][1]).order > Version.of(left[key].version).order
        backend.purge(["b", "nowhere"])
        backend.purge(["nowhere"])
        assert backend.removals() == {removal_key("b"): Removal("", 1), removal_key("nowhere"): Removal("", 1)}
        backend.put([entry("b", "again")])
        assert Version.of(backend.versions()["b"][1]).purges == 1
        backend.purge(["b"])
        assert backend.removals()[removal_key("b")] == Removal("", 2)
        assert backend.check() == []

    def test_a_document_that_moves_is_removed_under_its_old_id(self, backend):
        needs_merging(backend)
        backend.put([entry("a", "one", source="A")])
        backend.put([replace(entry("b", "one", source="B"), moved_from="a")])
        assert list(backend.removals()) == [removal_key("a")]
        assert Version.of(backend.versions()["b"][1]).count or backend.versions()["b"][1] > "2"

    def test_a_version_and_removals_of_another_store_are_recorded_as_they_are(self, backend):
        needs_merging(backend)
        ours, theirs = "2024-01-01T00:00:00Z", "2030-01-01T00:00:00Z 3 0 abcdef"
        backend.put([replace(entry("a", "one"), version=ours), entry("b", "two", source="B"), entry("c", "three")])
        backend.put([replace(entry("a", "one"), version=theirs), replace(entry("b", "new"), version=theirs)])
        assert backend.versions(["a"])["a"][1] == backend.versions(["b"])["b"][1] == theirs
        assert backend.get("b").source == "B"
        gone = {removal_key("c"): Removal(theirs), removal_key("d"): Removal("", 4)}
        backend.put([], removing={"c": entry("c", "three").digest}, removals=gone)
        assert backend.removals() == gone
        backend.put([], removals={removal_key("d"): Removal("", 3), removal_key("c"): Removal(ours)})
        assert backend.removals() == gone
        with pytest.raises(Conflict):  # it was purged, and this version does not know of it
            backend.put([replace(entry("d", "old"), version=theirs)])
        backend.purge(["a"], removals={removal_key("a"): Removal("", 7)})
        assert backend.removals()[removal_key("a")] == Removal("", 7)
        assert backend.check() == []

    def test_stats_say_what_there_is(self, backend):
        assert (backend.stats().documents, backend.stats().chunks, backend.stats().embedding) == (0, 0, None)
        vectors = units(np.random.default_rng(6), 2)
        backend.put([entry("a", "one two", spans=[(0, 3), (4, 7)], vectors=vectors, source="A")], embedding=EMBEDDING)
        backend.put([], finished={source("A"): frozenset({"a"})})
        stats = backend.stats()
        assert (stats.documents, stats.chunks, stats.vectors, stats.sources) == (1, 2, 2, 1)
        assert (stats.language, stats.embedding, stats.building) == ("english", EMBEDDING, None)
        assert stats.revision == backend.state().revision
        assert stats.created

    def test_a_closed_backend_can_be_closed_again(self, backend):
        backend.put([entry("a", "x")])
        backend.close()
        backend.close()
        with pytest.raises(Exception, match="closed"):
            ranked(backend, ("x",))
