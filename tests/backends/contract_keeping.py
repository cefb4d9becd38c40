"""The contract of an embedding that is kept when another takes its place, so that it can be gone back to at once."""

import numpy as np
import pytest
from contract_embedding import fill_some, other_vectors
from made import ALL, EMBEDDING, OTHER, chunks_of, entry, near, units

from hybridstore.backends.learning import ModelVersion
from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Embedding, Embeddings
from hybridstore.errors import InputError, NotFound

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


class KeepingContract:
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
