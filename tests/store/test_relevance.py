"""Relevance with the default model: whether a store can answer a query at all, and what its scores say."""

import pytest

import hybridstore as hs
from hybridstore.errors import InputError

FOREIGN = [
    "recipe for lentil soup with cumin",
    "who was king of France in 1700",
    "symptoms of measles in adults",
    "how do black holes evaporate",
]
OWN = {
    "my tyre has a hole, how do I mend it": "puncture",
    "how high should I set the saddle": "saddle",
    "can I send something back": "returns",
    "how should the accumulator be kept in winter": "battery",
    "chain tool": "chain",
    "when do I need a new helmet": "helmet",
}


def best(store, query: str, **options) -> str:
    return store.search(query, **options)[0].document_id


@pytest.mark.parametrize(("question", "document"), OWN.items())
def test_a_question_finds_its_passage(library, question, document):
    assert best(library, question) == document


@pytest.mark.parametrize("question", OWN)
def test_an_own_question_is_answered_with_confidence(library, question):
    assert library.search(question).confidence > 0.5
    results = library.search(question, min_relevance=0.5)
    assert results[0].document_id == OWN[question]
    assert all(hit.relevance >= 0.5 for hit in results)


@pytest.mark.parametrize("question", FOREIGN)
def test_a_foreign_question_finds_nothing_relevant(library, question):
    assert len(library.search(question)) == 10
    assert library.search(question).confidence < 0.5
    results = library.search(question, min_relevance=0.5)
    assert len(results) == 0
    assert results.confidence < 0.5
    assert any("Nothing here seems to answer this" in note for note in results.trace.notes)


def test_own_questions_are_surer_than_foreign_ones_and_score_higher(library):
    own = [library.search(question) for question in OWN]
    foreign = [library.search(question) for question in FOREIGN]
    assert min(each.confidence for each in own) > max(each.confidence for each in foreign)
    assert min(each[0].score for each in own) > max(each[0].score for each in foreign)


def test_what_is_left_out_is_what_is_less_relevant(library):
    whole = library.search("mend a flat tyre", limit=24)
    for least in (0.0, 0.2, 0.5, 0.9):
        kept = library.search("mend a flat tyre", limit=24, min_relevance=least)
        assert [hit.chunk_id for hit in kept] == [hit.chunk_id for hit in whole if hit.relevance >= least]


@pytest.mark.parametrize("fusion", ["rrf", "idf-rrf", "convex"])
def test_relevance_cuts_any_fusion(library, fusion):
    assert len(library.search(FOREIGN[0], fusion=fusion, min_relevance=0.5)) == 0
    assert "puncture" in {hit.document_id for hit in library.search(next(iter(OWN)), fusion=fusion, min_relevance=0.5)}
    assert library.search("chain", fusion=fusion).confidence is None


@pytest.mark.parametrize("mode", ["keyword", "vector"])
def test_relevance_needs_both_legs(library, mode):
    with pytest.raises(InputError, match=f"needs mode='hybrid', not '{mode}'"):
        library.search("chain", mode=mode, min_relevance=0.5)
    assert library.search("chain", mode=mode).confidence is None


@pytest.mark.parametrize("least", [-0.1, 1.1, float("nan"), "much", [0.5]])
def test_a_least_relevance_is_a_number_from_0_to_1(library, least):
    with pytest.raises(InputError, match="min_relevance must be a number from 0 to 1"):
        library.search("chain", min_relevance=least)


def test_a_store_that_measured_nothing_says_what_to_do(make, model):
    store = make({"a": "The cat sleeps."}, embedder="none")
    with pytest.raises(InputError, match="hybridstore reembed"):
        store.search("cat", min_relevance=0.5)
    given = make(embedder=model)
    texts = ["The cat sleeps.", "The tax return is due."]
    given.add(texts, vectors=model.embed_documents(texts))
    assert given.search("where does the cat sleep", min_relevance=0.1)[0].text == texts[0]


def test_a_score_is_the_same_at_any_limit(library):
    for query in (*OWN, *FOREIGN, "E17-204"):
        whole = {hit.chunk_id: hit.score for hit in library.search(query, limit=100)}
        assert all(0 <= score <= 1 for score in whole.values())
        for limit in (1, 3, 10):
            hits = library.search(query, limit=limit)
            assert [hit.score for hit in hits] == list(whole.values())[:limit]


def test_a_filter_changes_no_score_of_what_is_left_by_its_meaning(library):
    query = "zweirad velocipede thief steal"  # no word of it is here
    whole = {hit.chunk_id: hit.score for hit in library.search(query, limit=100)}
    some = library.search(query, where={"@id": {"$in": ["lock", "child", "tour"]}})
    assert len(some) == 3
    assert [hit.score for hit in some] == pytest.approx([whole[hit.chunk_id] for hit in some], abs=1e-6)


def test_less_memory_changes_no_order_and_hardly_a_score(library, tmp_path, model):
    library.backup(tmp_path / "copy.db")
    with hs.open(tmp_path / "copy.db", embedder=model, memory=0) as tight:
        for query in (*OWN, *FOREIGN, "E17-204"):
            ours, theirs = library.search(query), tight.search(query)
            assert [hit.document_id for hit in ours] == [hit.document_id for hit in theirs]
            assert [hit.score for hit in ours] == pytest.approx([hit.score for hit in theirs], abs=2e-4)
            assert ours.confidence == pytest.approx(theirs.confidence, abs=2e-4)


def test_a_passage_searched_for_by_its_own_text_scores_far_above_chance(library, texts):
    scores = [library.search(text, limit=1)[0].score for text in texts.values()]
    assert [best(library, text) for text in texts.values()] == list(texts)
    assert min(scores) > 2 * max(library.search(question)[0].score for question in FOREIGN)
