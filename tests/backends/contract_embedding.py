"""The contract of re-embedding: resumable, beside everything else, switched in one step."""

import numpy as np
import pytest
from made import ALL, EMBEDDING, OTHER, chunks_of, entry, near, units

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Embedding, Embeddings
from hybridstore.errors import EmbedderMismatch, InputError


def other_vectors(passages) -> np.ndarray:
    """Give vectors of OTHER that depend on the text alone, so that a search can be predicted."""
    made = (units(np.random.default_rng(sum(map(ord, passage.text))), 1, OTHER.dim) for passage in passages)
    return np.concatenate([np.empty((0, OTHER.dim), np.float32), *made])


def fill_some(backend: Backend, limit: int) -> int:
    some = backend.pending(limit)
    backend.fill(OTHER, [passage.chunk for passage in some], other_vectors(some))
    return len(some)


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

    def test_an_empty_store_can_change_its_embedder(self, backend):
        backend.begin(EMBEDDING)
        assert backend.switch() is True
        backend.begin(OTHER)
        assert backend.switch() is True
        assert backend.embeddings().active == OTHER
        assert near(backend, np.ones(OTHER.dim, np.float32)) == []
