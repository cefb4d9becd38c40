"""A newer embedder's questions over older vectors: the map that is estimated, and the store that uses it."""

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.search.transforms import Affine, read
from hybridstore.tuning import drift
from hybridstore.tuning.drift import compensate, estimate

WORDS = [f"{start}{middle}{end}" for start in "bdfglm" for middle in ("ai", "o", "u", "ea") for end in "kmnrst"]
DIM = 24


def lines(count, seed=1):
    drawn = np.random.default_rng(seed)
    return [" ".join(drawn.choice(WORDS, 12)) for _ in range(count)]


class Turned(HashingEmbedder):
    """The hashing embedder, its vectors turned into a space of another length, with some noise of its own."""

    def __init__(self, dim, noise=0.0, name="turned"):
        super().__init__(dim)
        self._plain = HashingEmbedder(DIM)
        square = np.random.default_rng(5).standard_normal((max(dim, DIM),) * 2)
        self._turn = np.linalg.qr(square)[0][:DIM, :dim].astype(np.float32)
        self._noise = noise
        self.fingerprint, self.reference = f"{name}@{dim}", name
        self.embedded = 0

    def embed_documents(self, texts):
        self.embedded += len(texts)
        made = self._plain.embed_documents(texts) @ self._turn
        seeds = [sum(map(ord, text)) for text in texts]
        noise = [np.random.default_rng(seed).standard_normal(self.dim) for seed in seeds]
        made = made + self._noise * np.array(noise).reshape(made.shape)
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)

    def embed_query(self, text):
        return self.embed_documents([text])[0]


@pytest.fixture
def store(tmp_path):
    with hs.open(tmp_path / "store.db", embedder=HashingEmbedder(DIM)) as store:
        store.add([hs.Document(id=f"d{n}", text=text) for n, text in enumerate(lines(150))])
        yield store


def test_a_rotation_is_found_exactly(store):
    new = Turned(DIM)
    transform, loss = estimate(store, new)
    assert isinstance(transform, Affine)
    assert (transform.source, transform.target) == (new.fingerprint, HashingEmbedder(DIM).fingerprint)
    assert transform.matrix == pytest.approx(new._turn.T, abs=1e-4)
    assert not transform.offset.any()
    assert (loss.cosine, loss.agreement) == (pytest.approx(1.0, abs=1e-4), 1.0)
    assert (loss.sample, loss.held_out) == (150, 30)


@pytest.mark.parametrize("dim", [40, 16])
def test_vectors_of_different_dimensions_are_mapped(store, dim):
    new = Turned(dim)
    transform, loss = estimate(store, new)
    assert transform.matrix.shape == (dim, DIM)
    fewer = transform.matrix.T @ transform.matrix if dim > DIM else transform.matrix @ transform.matrix.T
    assert fewer == pytest.approx(np.eye(min(dim, DIM)), abs=1e-5)
    assert loss.cosine == pytest.approx(1.0, abs=1e-4) if dim > DIM else 0.5 < loss.cosine < 1.0


def test_quality_is_measured_on_held_out_chunks(store, monkeypatch):
    looked_at = []
    rotation = drift._rotation
    monkeypatch.setattr(drift, "_rotation", lambda new, old: looked_at.append(len(new)) or rotation(new, old))
    _, noisy = estimate(store, Turned(DIM, noise=0.15))
    assert looked_at == [120, 150]
    assert 0.5 < noisy.cosine < 0.95
    assert 0.2 < noisy.agreement < 0.95


def test_the_same_map_is_estimated_each_time_from_no_more_chunks_than_requested(store):
    new = Turned(DIM, noise=0.1)
    done = []
    first, loss = estimate(store, new, sample=100, progress=lambda *counts: done.append(counts))
    assert 100 <= loss.sample == new.embedded <= 150
    assert done[-1] == (loss.sample, loss.sample)
    again, _ = estimate(store, new, sample=100)
    assert np.array_equal(first.matrix, again.matrix)


def test_a_sample_is_spread_over_the_store_and_past_what_was_removed(tmp_path):
    embedder = HashingEmbedder(DIM)
    with hs.open(tmp_path / "large.db", embedder=embedder) as store:
        texts = lines(1_200)
        store.add([hs.Document(id=f"d{n}", text=text) for n, text in enumerate(texts)])
        store.remove([f"d{n}" for n in range(100, 700)])
        chunks = drift._spread(store, 300)
        found = [passage.chunk for passage in store.chunks.passages(chunks)]
        assert len(set(chunks)) == len(chunks) <= 600
        assert 150 <= len(found) <= 450
        assert min(found) < 50
        assert max(found) > 1_150
        assert not any(101 < chunk < 700 for chunk in found)


def test_questions_of_the_new_embedder_find_what_the_old_ones_would(store):
    texts = lines(150)
    new = Turned(40)
    model = compensate(store, new)
    assert (model.kind, model.state, model.source, model.reference) == ("drift", "active", new.fingerprint, "turned")
    assert store.learning.model().number == model.number
    results = store.search(texts[77], mode="vector", limit=1)
    assert (results[0].document_id, results.trace.model) == ("d77", model.number)
    assert model.report["agreement"] == 1.0
    assert read(model).matrix.shape == (40, DIM)
    assert store.stats().embedding.fingerprint == HashingEmbedder(DIM).fingerprint


def test_the_store_is_calibrated_again(store):
    before = store.state().calibration
    compensate(store, Turned(DIM, noise=0.15))
    after = store.state().calibration
    assert after.fingerprint == before.fingerprint
    assert after.power < before.power


def test_a_map_of_poor_quality_is_stored_as_refused(store, monkeypatch):
    new = Turned(DIM)
    straight = new.embed_documents
    monkeypatch.setattr(new, "embed_documents", lambda texts: np.roll(straight(texts), 1, axis=0))
    model = compensate(store, new)
    assert model.state == "refused"
    assert model.report["agreement"] < model.report["least_agreement"]
    assert store.learning.model() is None
    assert [each.state for each in store.learning.models()] == ["refused"]
    assert store.search(lines(150)[3], mode="vector", limit=1)[0].document_id == "d3"


def test_reembedding_to_the_new_embedder_ends_the_drift(store):
    new = Turned(40)
    number = compensate(store, new).number
    store.reembed(new)
    assert store.learning.model() is None
    assert {each.number: each.state for each in store.learning.models()} == {number: "retired"}
    assert store.search(lines(150)[5], mode="vector", limit=1)[0].document_id == "d5"


def test_chunks_without_vectors_are_skipped(store, tmp_path):
    with hs.open(tmp_path / "store.db", embedder="none") as plain:
        plain.add(lines(30, seed=9))
    _, loss = estimate(store, Turned(DIM))
    assert loss.sample == 150


def test_what_cannot_be_mapped_is_rejected_with_a_remedy(store, tmp_path):
    with pytest.raises(InputError, match="already, so there is nothing to map"):
        estimate(store, HashingEmbedder(DIM))
    with pytest.raises(InputError, match="sample must be a whole number of at least 100"):
        estimate(store, Turned(DIM), sample=99)
    with hs.open(tmp_path / "few.db", embedder=HashingEmbedder(DIM)) as few:
        few.add(lines(20))
        with pytest.raises(InputError, match="there are 20: `hybridstore reembed`"):
            estimate(few, Turned(DIM))
    with hs.open(tmp_path / "none.db", embedder="none") as none:
        none.add(lines(3))
        with pytest.raises(InputError, match="no vectors to map queries to"):
            compensate(none, Turned(DIM))


def test_an_embedder_that_returns_nan_is_rejected(store, monkeypatch):
    new = Turned(DIM)
    monkeypatch.setattr(new, "embed_documents", lambda texts: np.full((len(texts), DIM), np.nan, np.float32))
    with pytest.raises(InputError, match=r"vectors of turned@24 must be finite"):
        compensate(store, new)
    assert store.learning.models() == []
