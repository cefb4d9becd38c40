"""The contract of what is asked about single chunks after both legs: impacts of words, and cosines."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import ALL, DIM, EMBEDDING, FEW, chunks_of, entry, units

from hybridstore.backends.protocols import Backend
from hybridstore.records import KeywordQuery, Term

WORDS = ("plum", "fig", "kiwi", "melon", "mango", "lemon")  # no stemmer changes them
K1, B = 1.2, 0.75


def terms(backend: Backend, *words: str) -> tuple[Term, ...]:
    return backend.match(KeywordQuery(words), 10, ALL)[1]


def texts(backend: Backend) -> dict[int, str]:
    """Give every chunk's text; documents of these tests have one chunk each."""
    return {chunks_of(backend, stored.document.id)[0]: stored.document.text for stored in backend.scan()}


def impact(known: dict[int, str], chunk: int, word: str) -> float:
    """Give frequency / (frequency + k1 · (1 - b + b · length / average length)), by counting words."""
    average = sum(len(text.split()) for text in known.values()) / len(known)
    said = known[chunk].split()
    frequency = said.count(word)
    return frequency / (frequency + K1 * (1 - B + B * len(said) / average))


def assert_impacts(backend: Backend, *words: str) -> None:
    known = texts(backend)
    chunks = np.array(sorted(known), np.int64)
    given_ = backend.evidence(chunks, terms(backend, *words), None)[0]
    assert (given_.dtype, given_.shape) == (np.float32, (len(known), len(words)))
    wanted = np.array([[impact(known, chunk, word) for word in words] for chunk in chunks.tolist()])
    assert given_ == pytest.approx(wanted.reshape(given_.shape), abs=2e-4)


class EvidenceContract:
    @pytest.fixture
    def fruit(self, backend):
        rng = np.random.default_rng(20)
        said = [" ".join(rng.choice(WORDS, int(rng.integers(1, 9)))) for _ in range(40)]
        vectors = units(rng, 40)
        backend.put(
            [entry(f"d{n}", text, vectors=vectors[n : n + 1]) for n, text in enumerate(said)], embedding=EMBEDDING
        )
        return backend

    # impacts

    def test_an_impact_is_bm25s_part_without_idf(self, fruit):
        assert_impacts(fruit, *WORDS)
        assert_impacts(fruit, "fig", "pear")
        assert_impacts(fruit)

    def test_impacts_follow_what_is_added_and_removed(self, fruit):
        assert_impacts(fruit, *WORDS)  # whatever is kept in memory is there now
        fruit.put([entry("new1", "plum plum plum fig pear"), entry("new2", "pear")])
        assert_impacts(fruit, *WORDS, "pear")
        fruit.remove(["d3", "new2"])
        assert_impacts(fruit, *WORDS, "pear")
        fruit.put([entry("d5", "pear kiwi")])
        assert_impacts(fruit, *WORDS, "pear")

    @FEW
    @given(
        st.lists(st.tuples(st.integers(0, 12), st.lists(st.sampled_from(WORDS), max_size=6)), min_size=1, max_size=6)
    )
    def test_impacts_are_right_after_any_changes(self, open_backend, changes):
        backend = open_backend("impacts")
        for number, said in changes:
            if said:
                backend.put([entry(f"d{number}", " ".join(said))])
            else:
                backend.remove([f"d{number}"])
            if backend.count():
                assert_impacts(backend, *WORDS)

    def test_impacts_come_in_the_order_asked_for(self, fruit):
        chunks = np.array(sorted(texts(fruit)), np.int64)
        asked = terms(fruit, "kiwi", "plum")
        some = chunks[[17, 3, 30]]
        assert np.array_equal(fruit.evidence(some, asked, None)[0], fruit.evidence(chunks, asked, None)[0][[17, 3, 30]])
        assert np.array_equal(fruit.evidence(some, asked[::-1], None)[0], fruit.evidence(some, asked, None)[0][:, ::-1])
        assert fruit.evidence(chunks[:0], asked, None)[0].shape == (0, 2)
        assert fruit.evidence(some, (), None)[0].shape == (3, 0)

    def test_a_prefix_has_an_impact_where_a_word_begins_so(self, fruit):
        known = texts(fruit)
        chunks = np.array(sorted(known), np.int64)
        (prefix,) = terms(fruit, "m*")
        found = fruit.evidence(chunks, (prefix,), None)[0][:, 0]
        assert [bool(each) for each in found] == [" m" in f" {known[chunk]}" for chunk in chunks.tolist()]
        assert (found >= 0).all()
        assert (found < 1).all()

    def test_impacts_and_idf_make_the_score_of_the_leg(self, fruit):
        """BM25 = Σ IDF · (k1 + 1) · impact."""
        words = ("fig", "lemon")
        ranking, asked = fruit.match(KeywordQuery(words), 100, ALL)
        sums = fruit.evidence(ranking.chunks, asked, None)[0] @ np.array([term.idf * (K1 + 1) for term in asked])
        assert ranking.scores == pytest.approx(sums, rel=1e-3, abs=1e-6)

    # cosines

    def test_cosines_are_those_of_the_vectors_and_nan_without_one(self, fruit):
        fruit.put([entry("without", "plum")])
        fruit.put([entry("zero", "fig", vectors=np.zeros((1, DIM), np.float32))], embedding=EMBEDDING)
        chunks = np.array(sorted(texts(fruit)), np.int64)
        blank = [chunks_of(fruit, name)[0] for name in ("without", "zero")]
        for query in units(np.random.default_rng(21), 5):
            exact = fruit.vectors(chunks.tolist()) @ query
            exact[np.isin(chunks, blank)] = np.nan
            found = fruit.evidence(chunks, (), query)[1]
            assert found.dtype == np.float64
            assert found == pytest.approx(exact, abs=0.01, nan_ok=True)
            mixed = np.random.default_rng(22).permutation(len(chunks))[:11]
            assert fruit.evidence(chunks[mixed], (), query)[1] == pytest.approx(found[mixed], abs=1e-6, nan_ok=True)

    def test_cosines_follow_what_is_added_and_removed(self, fruit):
        query, other = units(np.random.default_rng(23), 2)
        fruit.evidence(np.array(sorted(texts(fruit)), np.int64), (), query)
        fruit.remove(["d0", "d7"])
        fruit.put([entry("new", "plum", vectors=other[None, :])], embedding=EMBEDDING)
        chunks = np.array(sorted(texts(fruit)), np.int64)
        exact = fruit.vectors(chunks.tolist()) @ query
        assert fruit.evidence(chunks, (), query)[1] == pytest.approx(exact, abs=0.01)

    def test_without_vectors_there_is_no_cosine(self, backend):
        backend.put([entry("a", "plum")])
        query = units(np.random.default_rng(24), 1)[0]
        chunks = np.array(chunks_of(backend, "a"), np.int64)
        assert np.isnan(backend.evidence(chunks, (), query)[1]).tolist() == [True]
        backend.put([entry("b", "fig", vectors=query[None, :])], embedding=EMBEDDING)
        both = np.array([*chunks, *chunks_of(backend, "b")], np.int64)
        assert np.isnan(backend.evidence(both, (), query)[1]).tolist() == [True, False]
        assert np.isnan(backend.evidence(both, (), np.zeros(DIM, np.float32))[1]).all()
        assert backend.evidence(both[:0], (), query)[1].shape == (0,)
