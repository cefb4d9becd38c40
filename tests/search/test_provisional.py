"""Provisional vectors: a student that predicts vectors from words, what it is held to, and when it is fitted anew."""

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.records import CosineScale, Evidence, Ranking
from hybridstore.search import provisional, rank_fusion
from hybridstore.search.provisional import Student, provisional_scores, student_of

RNG = np.random.default_rng(3)
WORDS = [f"word{n}" for n in range(60)]
MEANINGS = RNG.standard_normal((60, 16))


def texts(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, 8, replace=False)) for _ in range(count)]


def vectors(of: list[str]) -> np.ndarray:
    """Return vectors that are the sums of their words' meanings."""
    sums = np.array([sum(MEANINGS[WORDS.index(word)] for word in text.split()) for text in of])
    return (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)


def fitted(count: int = 200) -> Student:
    given = texts(count, 1)
    return Student.of(np.arange(1, count + 1), given, vectors(given))


def test_a_student_predicts_vectors_of_texts_that_it_has_not_seen():
    new = texts(50, 2)
    cosines = (fitted().predict(new) * vectors(new)).sum(axis=1)
    assert cosines.mean() > 0.9
    assert np.linalg.norm(fitted().predict(new), axis=1) == pytest.approx(np.ones(50), abs=1e-5)


def test_a_text_is_predicted_alike_alone_and_among_others():
    new, student = texts(5, 2), fitted()
    alone = np.concatenate([student.predict([text]) for text in new])
    assert student.predict(new) == pytest.approx(alone, abs=1e-5)


def test_candidates_of_a_topic_far_above_the_average_are_expected_there_though_few_have_a_vector(monkeypatch):
    """In a store of many topics, most of what a query's words find is far above the average chunk."""
    monkeypatch.setattr(provisional, "provisional_scores", lambda _, chunks, __: np.zeros(len(chunks)))
    chunks = np.arange(400)
    keyword = np.linspace(0.5, 0.1, 400)
    lacking = np.ones(400, np.bool_)
    lacking[[3, *range(150, 400, 2)]] = False  # of those that the student is asked about one has a vector
    deviations = np.where(lacking, np.nan, 5.0)
    estimator = provisional.Estimator(None, np.ones(4, np.float32))
    words = Ranking(chunks, keyword)
    expected = estimator(chunks, keyword, np.nan_to_num(deviations), lacking, words)
    assert expected[:100] == pytest.approx(np.full(100, 5.0), abs=0.7)


@pytest.mark.parametrize(("noise", "ridge"), [(0.0, 0.03), (3.0, 1.0)])
def test_the_ridge_is_the_one_that_predicts_best_what_it_was_not_fitted_on(monkeypatch, noise, ridge):
    given = texts(80, 4)
    there = vectors(given) + noise * np.random.default_rng(5).standard_normal((80, 16)).astype(np.float32)
    chosen = Student.of(np.arange(80), given, there)
    monkeypatch.setattr(provisional, "_RIDGES", (ridge,))
    assert chosen.table == pytest.approx(Student.of(np.arange(80), given, there).table)


def test_a_text_of_unknown_words_is_predicted_as_the_mean():
    student = fitted()
    mean = student.vectors.mean(axis=0)
    assert student.predict(["nothing known", ""]) == pytest.approx(
        np.tile(mean / np.linalg.norm(mean), (2, 1)), abs=1e-5
    )


def test_what_it_was_fitted_on_is_predicted_as_if_it_were_not():
    given = texts(80, 4)
    noise = RNG.standard_normal((80, 16)).astype(np.float32)  # which nobody can predict, but a fit can memorise
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    student = Student.of(np.arange(80), given, noise)
    assert abs((student.held_out * noise).sum(axis=1).mean()) < 0.15
    assert (student.predict(given) * noise).sum(axis=1).mean() > 0.2


def test_it_is_fitted_when_there_are_vectors_enough_and_anew_when_the_sample_has_changed(monkeypatch):
    made = []
    of = Student.of.__func__
    monkeypatch.setattr(Student, "of", classmethod(lambda cls, *given: made.append(1) or of(cls, *given)))
    with hs.open(":memory:", embedder=HashingEmbedder()) as store:
        store.add(texts(40, 1))
        store.add("one more of word1 and word2", vectors="later")
        store.search("word1")
        assert student_of(store._backend) is None
        store.add(texts(60, 2))
        for query in ("word1", "word2"):
            assert store.search(query).trace.filled < 1.0
        assert len(made) == 1
        store.add(texts(60, 3))
        store.search("word1")
        assert len(made) == 2
        store.reembed(HashingEmbedder(32))
        store.add("yet another word1", vectors="later")
        store.search("word1")
        assert len(made) == 3


def test_scores_are_deviations_of_the_samples_own():
    with hs.open(":memory:", embedder=HashingEmbedder()) as store:
        store.add(texts(100, 1))
        chunks, _ = store._backend.sample()
        query = HashingEmbedder().embed_query("word1 word2")
        scores = provisional_scores(store._backend, chunks, query)
        assert (scores.mean(), scores.std()) == pytest.approx((0.0, 1.0), abs=1e-3)
        assert provisional_scores(store._backend, np.array([10_000]), query) is None


def test_the_switch_changes_nothing_where_all_vectors_are_there(monkeypatch):
    with hs.open(":memory:", embedder=HashingEmbedder()) as store:
        store.add(texts(100, 1))
        found = store.search("word1 word2 word3")
        monkeypatch.setattr(provisional, "USED", False)
        assert store.search("word1 word2 word3") == found


@pytest.mark.parametrize("fusion", ["rrf", "convex", "idf-rrf"])
def test_other_fusions_take_a_missing_vectors_estimate_for_its_cosine(fusion):
    """Two passages have the query's words; the one whose vector is still to be made is not behind all with one."""
    with hs.open(":memory:", embedder=HashingEmbedder()) as store:
        store.add([{"id": "made", "text": "anchor mast sail"}, *texts(100, 1)])
        store.add({"id": "to be made", "text": "anchor mast harbour"}, vectors="later")
        results = store.search("anchor mast", fusion=fusion, limit=5)
        assert {hit.document_id for hit in results[:2]} == {"made", "to be made"}
        trace = results.trace
        chunk = next(hit.chunk_id for hit in results if hit.document_id == "to be made")
        assert trace.evidence.is_estimated(chunk)
        assert chunk not in trace.vector.chunks
        parts = rank_fusion.parts_of(trace)
        assert parts.ranking(parts.weights).chunks.tolist() == trace.fused.chunks.tolist()
        assert (parts.values[parts.chunks.searchsorted(chunk)] > 0).all()
        store.embed()
        assert store.search("anchor mast", fusion=fusion).trace.evidence is None


def test_estimates_are_merged_into_the_vector_ranking_by_their_cosines():
    scale = CosineScale(mean=0.1, deviation=0.1, sample=np.zeros(1, np.float32))
    numbers = {"keyword": np.zeros(4), "coverage": np.zeros(4), "vector": np.array([2.0, 3.0, 1.0, 4.0])}
    evidence = Evidence(chunks=np.arange(4), estimated=np.array([False, True, True, False]), cosines=scale, **numbers)
    vector = Ranking(np.array([3, 0]), np.array([0.5, 0.3]))
    merged = rank_fusion.with_estimates(vector, evidence)
    assert (merged.chunks.tolist(), merged.scores.tolist()) == ([3, 1, 0, 2], pytest.approx([0.5, 0.4, 0.3, 0.2]))
    assert rank_fusion.with_estimates(vector, None) is vector
