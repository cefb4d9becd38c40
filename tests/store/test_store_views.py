"""The parts of a store that other rooms work with: chunks, embeddings, state, updates and trials."""

import ast
import time
from pathlib import Path

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.errors import InputError, NotFound, StoreBusy
from hybridstore.filters import And, field

PACKAGE = Path(hs.__file__).parent


@pytest.fixture
def filled(store):
    store.add([hs.Document(id=f"d{n}", text=f"Number {n} is {'odd' if n % 2 else 'even'}.") for n in range(6)])
    store.add(hs.Document(id="odd", text="An odd one.", metadata={"kind": "word"}))
    return store


# chunks


def test_chunks_are_read_by_id_in_the_order_of_the_ids(filled):
    (first,), (last,) = (filled.chunks.of([name])[name] for name in ("d0", "odd"))
    assert [passage.text for passage in filled.chunks.passages([last, first])] == ["An odd one.", "Number 0 is even."]
    assert filled.chunks.documents([last, first, 999]) == ["odd", "d0"]
    assert filled.chunks.vectors([first]).shape == (1, 32)
    assert filled.chunks.count() == 7
    assert filled.chunks.sample()[0].tolist() == list(range(1, 8))


def test_the_chunks_of_documents_can_be_restricted(filled):
    assert set(filled.chunks.of(["d1", "odd", "missing"])) == {"d1", "odd"}
    assert set(filled.chunks.of(["d1", "odd"], {"kind": "word"})) == {"odd"}
    assert set(filled.chunks.of(["d1", "odd"], field("kind") != "word")) == {"d1"}


# documents


def test_documents_are_listed_and_removed_by_filter(filled):
    assert filled.ids() == [*(f"d{n}" for n in range(6)), "odd"]
    assert filled.ids({"kind": "word"}) == ["odd"]
    assert [stored.document.id for stored in filled.scan({"kind": "word"})] == ["odd"]
    assert filled.remove_where({"kind": "word"}) == 1
    assert filled.remove_where(And(())) == 6


def test_a_stored_document_has_its_chunks(filled):
    assert [(chunk.start, chunk.end) for chunk in filled.stored("odd").chunks] == [(0, 11)]
    with pytest.raises(NotFound):
        filled.stored("missing")


def test_a_snapshot_is_one_state(filled, path):
    with filled.snapshot():
        assert filled.count() == 7
        with hs.open(path, embedder="none") as other:
            other.remove("odd")
        assert (filled.count(), filled.state().chunks) == (7, 7)
    assert filled.count() == 6


# state and embeddings


def test_the_state_is_what_searches_go_by(filled, embedder):
    state = filled.state()
    assert (state.chunks, state.model, state.revision) == (7, None, filled.stats().revision)
    assert state.embedding == filled.embeddings.active
    assert state.embedding.fingerprint == state.calibration.fingerprint == embedder.fingerprint


def test_vectors_made_elsewhere_are_built_beside_those_searched(filled, counting):
    other = counting("other", 16)
    embedding = hs.store.embedder_choice.identify(other)
    assert (filled.embeddings.building, filled.embeddings.kept) == (None, None)
    filled.embeddings.begin(embedding)
    assert (filled.embeddings.building, filled.embeddings.pending_count()) == (embedding, 7)
    while passages := filled.embeddings.pending(3):
        vectors = other.embed_documents([passage.text for passage in passages])
        filled.embeddings.fill(embedding, [passage.chunk for passage in passages], vectors)
    before = filled.embeddings.active
    assert filled.embeddings.switch(keep=True)
    assert (filled.embeddings.active, filled.embeddings.kept) == (embedding, before)


def test_where_a_store_is(filled, path):
    assert (filled.location, filled.folder, filled.language) == (str(path), path.parent, "english")


# updates


def appended(store, path=None):
    """Append to a document; the first time, another process does so between reading and writing."""
    calls = []

    def decide(writer):
        calls.append(document := store.get("odd"))
        if path and len(calls) == 1:
            with hs.open(path, embedder="none") as other:
                other.add(hs.Document(id="odd", text="An odd one, changed."))
        writer.add(hs.Document(id="odd", text=f"{document.text} More."), replaces=store.digests(["odd"])["odd"])
        return document.text

    return store.update(decide), len(calls)


def test_an_update_is_decided_again_where_another_process_was_first(filled, path):
    assert appended(filled, path) == ("An odd one, changed.", 2)
    assert filled.get("odd").text == "An odd one, changed. More."
    assert appended(filled) == ("An odd one, changed. More.", 1)


def test_an_update_that_is_always_late_raises_busy_and_writes_nothing(filled, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(StoreBusy):
        filled.update(lambda writer: writer.add(hs.Document(id="odd", text="never"), replaces=b"another digest"))
    assert filled.get("odd").text == "An odd one."


def test_a_document_is_changed_once_in_one_step(filled):
    def twice(writer):
        writer.add(hs.Document(id="new", text="one"))
        writer.add(hs.Document(id="new", text="two"))

    def both(writer):
        writer.add(hs.Document(id="d0", text="one"))
        writer.remove("d0", stored=filled.digests(["d0"])["d0"])

    for decide in (twice, both):
        with pytest.raises(InputError, match="changed twice"):
            filled.update(decide)
    assert (filled.count(), filled.get("d0").text) == (7, "Number 0 is even.")


def test_other_metadata_keeps_chunks_and_vectors_and_runs_no_model(filled, embedder):
    (before,) = filled.scan({"kind": "word"}, vectors=True)
    embedder.documents.clear()

    def decide(writer):
        (stored,) = filled.scan({"kind": "word"}, vectors=True)
        document = hs.Document(id="odd", text=stored.document.text, metadata={"kind": "noun"})
        writer.rewrite(stored, document, replaces=filled.digests(["odd"])["odd"])

    filled.update(decide, embed=False)
    (after,) = filled.scan({"kind": "noun"}, vectors=True)
    np.testing.assert_array_equal(after.vectors, before.vectors)
    assert (after.chunks, embedder.documents, filled.check()) == (before.chunks, [], [])


def test_a_writer_without_an_embedder_makes_no_vectors(filled, embedder):
    embedder.documents.clear()
    with filled.writer(embed=False) as writer:
        writer.add(hs.Document(id="bare", text="No vector."))
    assert (embedder.documents, filled.embeddings.pending_count()) == ([], 1)


# trials


def test_a_trial_of_the_version_in_use_ranks_as_a_search_does(filled, embedder):
    filled.calibrate()
    trial = filled.trial(None)
    vector = embedder.embed_query("odd number")
    assert trial.calibration == filled.state().calibration
    expected = [hit.document_id for hit in filled.search("odd number", limit=3)]
    assert [hit.document_id for hit in trial.search("odd number", vector, limit=3).hits] == expected
    assert trial.search("odd", None, limit=3).mode == "keyword"


# the door


def test_nothing_above_the_store_reaches_past_it():
    reaches = [
        f"{file.relative_to(PACKAGE)}:{node.lineno}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if file.relative_to(PACKAGE).parts[0] not in {"backends", "search", "store"}
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"backend", "_backend", "_embedder"}
        if not (isinstance(node.value, ast.Name) and node.value.id == "self" and node.attr == "_embedder")
        if not (isinstance(node.value, ast.Name) and node.value.id == "hybridstore")
    ]
    assert reaches == []
