"""The contract of embeddings: re-embedding can be resumed, switches in one step, and keeps what was active."""

import numpy as np
import pytest
from made import ALL, EMBEDDING, OTHER, chunks_of, entry, near, units

from hybridstore.backends.learning import ModelVersion
from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Embedding, Embeddings, Restriction
from hybridstore.errors import EmbedderMismatch, InputError, NotFound


def other_vectors(passages) -> np.ndarray:
    """Give vectors of OTHER that depend on the text alone, so that a search can be predicted."""
    made = (units(np.random.default_rng(sum(map(ord, passage.text))), 1, OTHER.dim) for passage in passages)
    return np.concatenate([np.empty((0, OTHER.dim), np.float32), *made])


def fill_some(backend: Backend, limit: int) -> int:
    some = backend.pending(limit)
    backend.fill(OTHER, [passage.chunk for passage in some], other_vectors(some))
    return len(some)


VECTORS = units(np.random.default_rng(21), 10)
THIRD = Embedding("third@1", "third", 3)


def change_to(backend: Backend, embedding: Embedding, **how) -> bool:
    backend.begin(embedding)
    while some := backend.pending(100):
        made = units(np.random.default_rng(5), len(some), embedding.dim)
        backend.fill(embedding, [passage.chunk for passage in some], made)
    return backend.switch(**how)


def propose(backend: Backend, target: Embedding = EMBEDDING, kind: str = "adapter") -> int:
    made = ModelVersion(kind=kind, source=target.fingerprint, target=target.fingerprint, reference=target.reference)
    return backend.learning.propose(made)


class EmbeddingContract:
    @pytest.fixture
    def filled(self, backend):
        vectors = units(np.random.default_rng(11), 10)
        backend.put([entry(f"d{n}", f"text {n}", vectors=vectors[n : n + 1]) for n in range(10)], embedding=EMBEDDING)
        return backend

    def test_the_first_embedding_is_recorded(self, backend):
        assert backend.embeddings().active is None
        backend.put([entry("a", "x", vectors=units(np.random.default_rng(1), 1))], embedding=EMBEDDING)
        assert backend.embeddings().active == EMBEDDING
        assert backend.embeddings().building is None

    def test_reembedding_goes_on_beside_searches_and_switches_at_once(self, filled):
        query = units(np.random.default_rng(12), 1)[0]
        before = near(filled, query)
        filled.begin(OTHER)
        assert filled.embeddings() == Embeddings(EMBEDDING, building=OTHER)
        assert filled.pending_count() == 10
        assert fill_some(filled, 4) == 4
        assert filled.switch() is False
        assert near(filled, query) == before
        filled.begin(OTHER)  # stopped, and begun again: what was filled stays
        assert filled.pending_count() == 6
        while fill_some(filled, 4):
            pass
        assert filled.switch() is True
        assert filled.embeddings() == Embeddings(OTHER)
        assert filled.pending_count() == 0
        passage = filled.passages(chunks_of(filled, "d3"))[0]
        assert near(filled, other_vectors([passage])[0], 1) == ["d3"]
        with pytest.raises(InputError):
            filled.nearest(query, 5, ALL)
        assert filled.check() == []

    def test_documents_come_and_go_while_it_builds(self, filled):
        filled.begin(OTHER)
        stale = filled.pending(10)
        filled.remove(["d0"])
        filled.fill(OTHER, [passage.chunk for passage in stale], other_vectors(stale))
        assert filled.pending_count() == 0
        new = units(np.random.default_rng(13), 2)
        filled.put(
            [entry("new", "new text", vectors=new[:1]), entry("d5", "changed", vectors=new[1:])],
            embedding=EMBEDDING,
        )
        assert near(filled, new[0], 1) == ["new"]
        assert filled.switch() is False
        assert fill_some(filled, 10) == 2
        assert filled.switch() is True
        assert filled.stats().vectors == filled.stats().chunks == 10
        assert filled.check() == []

    def test_filling_a_chunk_twice_is_harmless(self, filled):
        filled.begin(OTHER)
        some = filled.pending(3)
        for _ in range(2):
            filled.fill(OTHER, [passage.chunk for passage in some], other_vectors(some))
        assert filled.pending_count() == 7

    def test_beginning_for_a_third_embedder_drops_what_was_built(self, filled):
        third = Embedding("third@1", "third", 3)
        filled.begin(OTHER)
        fill_some(filled, 5)
        filled.begin(third)
        assert filled.embeddings().building == third
        assert filled.pending_count() == 10
        with pytest.raises(EmbedderMismatch):
            filled.fill(OTHER, [], np.empty((0, OTHER.dim), np.float32))
        assert filled.check() == []

    def test_beginning_for_the_embedder_there_is_gives_up_what_was_built(self, filled):
        filled.begin(OTHER)
        fill_some(filled, 5)
        filled.begin(EMBEDDING)
        assert filled.embeddings() == Embeddings(EMBEDDING)
        assert filled.pending_count() == 0

    def test_a_switch_without_a_building_is_refused(self, filled):
        with pytest.raises(InputError):
            filled.switch()

    def test_chunks_without_vectors_can_be_given_theirs(self, backend):
        backend.put([entry(f"d{n}", f"text {n}") for n in range(3)])
        assert backend.pending(10) == []
        backend.begin(OTHER)
        assert backend.pending_count() == 3
        while fill_some(backend, 2):
            pass
        assert backend.switch() is True
        backend.put([entry("late", "late text")])
        assert [passage.document_id for passage in backend.pending(10)] == ["late"]
        before = backend.state().revision
        assert fill_some(backend, 10) == 1
        assert backend.state().revision == before + 1
        assert (backend.pending_count(), backend.stats().vectors) == (0, 4)

    def test_what_is_missing_is_listed_and_counted_as_it_is_filled(self, filled):
        assert filled.missing().tolist() == []
        filled.put([entry(f"late{n}", f"late text {n}") for n in range(3)], embedding=EMBEDDING)
        late = [chunk for n in range(3) for chunk in filled.chunks_of([f"late{n}"], Restriction())[f"late{n}"]]
        assert filled.missing().tolist() == late
        zero = np.zeros((1, EMBEDDING.dim), np.float32)
        assert filled.fill(EMBEDDING, [late[2]], zero) == 1  # a zero vector is one
        assert filled.missing().tolist() == late[:2]
        assert filled.fill(EMBEDDING, [late[2], late[0], 10_000], VECTORS[:3]) == 1
        assert filled.missing().tolist() == [late[1]]
        filled.begin(OTHER)
        assert filled.missing().tolist() == [late[1]]  # of the vectors that are searched
        filled.remove(["late1"])
        assert filled.missing().tolist() == []

    def test_an_empty_store_can_change_its_embedder(self, backend):
        backend.begin(EMBEDDING)
        assert backend.switch() is True
        backend.begin(OTHER)
        assert backend.switch() is True
        assert backend.embeddings().active == OTHER
        assert near(backend, np.ones(OTHER.dim, np.float32)) == []

    # vectors that are kept when others take their place, so that they can be restored at once

    @pytest.fixture
    def searched(self, backend):
        backend.put([entry(f"d{n}", f"text {n}", vectors=VECTORS[n : n + 1]) for n in range(10)], embedding=EMBEDDING)
        return backend

    @pytest.fixture
    def changed(self, searched):
        """Give a store of OTHER that has kept EMBEDDING."""
        searched.begin(OTHER)
        while fill_some(searched, 4):
            pass
        assert searched.switch(keep=True) is True
        return searched

    def test_a_switch_keeps_what_was_only_when_told_to(self, searched):
        assert searched.embeddings().kept is None
        assert change_to(searched, OTHER)
        assert searched.embeddings() == Embeddings(OTHER)
        assert change_to(searched, THIRD, keep=True)
        assert searched.embeddings() == Embeddings(THIRD, kept=OTHER)
        assert searched.stats().kept == OTHER
        assert searched.check() == []

    def test_searches_know_nothing_of_what_is_kept(self, changed):
        passage = changed.passages(chunks_of(changed, "d3"))[0]
        assert near(changed, other_vectors([passage])[0], 1) == ["d3"]
        with pytest.raises(InputError):
            changed.nearest(VECTORS[0], 5, ALL)
        assert changed.stats().vectors == 10
        assert changed.check() == []

    def test_what_is_kept_comes_back_at_once(self, changed):
        changed.begin(EMBEDDING)
        assert changed.embeddings() == Embeddings(OTHER, building=EMBEDDING)
        assert changed.pending_count() == 0
        assert changed.switch() is True
        assert changed.embeddings().active == EMBEDDING
        assert near(changed, VECTORS[3], 1) == ["d3"]
        assert changed.check() == []

    def test_beginning_for_the_kept_embedder_takes_it_up_again(self, changed):
        changed.begin(EMBEDDING)
        assert changed.embeddings() == Embeddings(active=OTHER, building=EMBEDDING)
        assert changed.pending_count() == 0
        assert changed.switch(keep=True) is True
        assert changed.embeddings() == Embeddings(EMBEDDING, kept=OTHER)

    def test_beginning_for_the_kept_embedder_with_another_length_is_refused(self, changed):
        with pytest.raises(InputError):
            changed.begin(Embedding(EMBEDDING.fingerprint, EMBEDDING.reference, 99))
        assert changed.embeddings().kept == EMBEDDING

    def test_what_came_and_went_meanwhile_is_told(self, changed):
        new = units(np.random.default_rng(22), 1, OTHER.dim)
        changed.remove(["d0"])
        changed.put([entry("new", "new text", vectors=new)], embedding=OTHER)
        assert changed.check() == []
        changed.begin(EMBEDDING)
        assert changed.switch() is False
        (passage,) = changed.pending(10)
        assert passage.document_id == "new"
        changed.fill(EMBEDDING, [passage.chunk], VECTORS[:1])
        assert changed.switch() is True
        assert near(changed, VECTORS[0], 1) == ["new"]
        assert changed.stats().vectors == changed.stats().chunks == 10
        assert changed.check() == []

    def test_an_older_one_that_was_kept_makes_room(self, changed):
        assert change_to(changed, THIRD, keep=True)
        assert changed.embeddings() == Embeddings(THIRD, kept=OTHER)
        assert change_to(changed, EMBEDDING)
        assert changed.embeddings() == Embeddings(EMBEDDING, kept=OTHER)
        assert changed.check() == []

    def test_going_back_to_what_is_kept_gives_up_what_was_being_built(self, changed):
        changed.begin(THIRD)
        changed.begin(EMBEDDING)
        assert changed.embeddings() == Embeddings(active=OTHER, building=EMBEDDING)

    def test_a_switch_retires_a_model_for_other_vectors(self, searched):
        number = propose(searched)
        searched.learning.promote(number)
        assert change_to(searched, OTHER, keep=True)
        assert searched.learning.model() is None
        assert searched.learning.models()[0].state == "retired"
        assert change_to(searched, EMBEDDING)
        assert searched.learning.model() is None  # it comes back only when it is promoted
        assert searched.learning.promote(number).number == number

    def test_a_switch_promotes_in_the_same_step(self, searched):
        adapter, tuned = propose(searched), propose(searched, OTHER, "embedder")
        searched.learning.promote(adapter)
        assert change_to(searched, OTHER, keep=True, promote=tuned)
        model = searched.learning.model()
        assert (model.number, model.previous) == (tuned, adapter)
        assert [each.state for each in searched.learning.models()] == ["retired", "active"]

    def test_a_switch_that_cannot_promote_changes_nothing(self, searched):
        adapter = propose(searched)
        before = searched.state().revision
        with pytest.raises(InputError):
            change_to(searched, OTHER, promote=adapter)
        with pytest.raises(NotFound):
            searched.switch(promote=99)
        assert searched.embeddings() == Embeddings(EMBEDDING, building=OTHER)
        assert searched.state().revision == before
        assert searched.switch() is True
