"""The adaptive fusion with the default model: typical queries, one case each."""

import numpy as np
import pytest

import hybridstore as hs


def best(store, query: str, **options) -> str:
    return store.search(query, **options)[0].document_id


def keyword_evidence(store, query: str, document: str) -> float:
    evidence = store.search(query).trace.evidence
    (hit,) = (hit for hit in store.search(query, limit=100) if hit.document_id == document)
    return float(evidence.keyword[evidence.at(hit.chunk_id)])


@pytest.mark.parametrize("identifier", ["E17-204", "E18-377", "E19-551"])
def test_an_identifier_in_a_question_decides(library, identifier):
    wanted = identifier[:3].lower()
    assert best(library, identifier) == wanted
    assert best(library, f"the display of my bicycle says {identifier}, what does that mean") == wanted
    assert best(library, f"battery is full, motor is fine, but there is {identifier}") == wanted


def test_a_quoted_phrase_binds_both_legs(library):
    found = library.search('"bottom bracket" motor too hot')
    assert [hit.document_id for hit in found] == ["e18"]
    assert found[0].vector_rank == 1


@pytest.mark.parametrize(
    ("query", "typo"), [("replace chain", "zqxv"), ("saddle height", "heihgt"), ("helmet", "flal")]
)
def test_an_unknown_word_never_makes_the_other_words_count_more(library, query, typo):
    document = best(library, query)
    with_it, without = library.search(f"{query} {typo}"), library.search(query)
    assert keyword_evidence(library, f"{query} {typo}", document) < keyword_evidence(library, query, document)
    assert with_it.trace.weights == without.trace.weights
    assert with_it[0].document_id == document


def test_a_word_misspelt_is_found_by_its_meaning(library):
    results = library.search("bycicle helmut fall crackk")
    assert results[0].document_id == "helmet"


@pytest.mark.parametrize("query", ["how is it", "what to do with that", "to be or not to be", "the"])
def test_words_of_grammar_alone_are_a_safe_query_without_an_answer(library, query):
    results = library.search(query)
    assert len(results) == 10
    assert results.trace.ignored == ()
    assert all(0 <= hit.score < 0.5 for hit in results)
    assert results.confidence < 0.5


def test_a_store_without_vectors_ranks_by_words(make, texts):
    store = make(texts, embedder="none")
    results = store.search("replace the bicycle chain")
    assert results[0].document_id == "chain"
    assert [hit.vector_rank for hit in results] == [None] * len(results)
    assert all(0 < hit.score <= 1 for hit in results)
    assert results.confidence is None


def test_where_no_word_matches_the_meaning_ranks_alone(library):
    results = library.search("zweirad velocipede thief steal")
    assert len(results.trace.keyword) == 0
    assert results[0].document_id in {"insurance", "lock"}
    assert not results.trace.evidence.keyword.any()
    vector = library.search("zweirad velocipede thief steal", mode="vector")
    assert [hit.document_id for hit in results] == [hit.document_id for hit in vector]
    assert all(0 <= hit.score <= 1 for hit in results)


def test_a_question_of_two_hundred_words_finds_what_it_is_about(library):
    story = (
        "Last weekend we rode along the river with friends and had a picnic under the trees, the weather was fine and "
        "everybody was in good spirits. On the way home I noticed that something was wrong with my bicycle. "
    )
    trouble = "Each time I changed gear the chain jumped, the gears skip, and I fear the derailleur is bent. "
    query = story * 2 + trouble + "Could anybody tell me in simple words what might be the cause of this? " * 3
    query += story * 2 + trouble
    assert len(query.split()) > 200
    results = library.search(query)
    assert results[0].document_id == "gears"
    assert 0 < results[0].score <= 1


def test_a_language_without_a_list_of_words_of_grammar_is_searched_all_the_same(make):
    store = make(
        {
            "kissa": "Kissa nukkuu sohvalla koko päivän.",
            "koira": "Koira juoksee metsässä aamulla.",
            "lintu": "Lintu laulaa puussa keväällä.",
        },
        language="finnish",
    )
    results = store.search("missä kissa nukkuu")
    assert results[0].document_id == "kissa"
    assert results.trace.ignored == ()
    assert results[0].keyword_rank == 1


def test_near_duplicates_that_flood_a_leg_are_shown_once(make, texts):
    copies = {f"copy{n}": texts["e17"] + "!" * (n % 3) for n in range(60)}
    store = make({**texts, **copies})
    results = store.search("the motor controller is too hot", unique=True, limit=5)
    shown = [hit.document_id for hit in results]
    assert sum(name == "e17" or name.startswith("copy") for name in shown) == 1
    assert len(shown) == 5
    assert len(results[0].copies) > 40
    flooded = [hit.document_id for hit in store.search("the motor controller is too hot", limit=5)]
    assert all(name == "e17" or name.startswith("copy") for name in flooded)


def test_a_store_of_two_documents_tells_them_apart(make):
    store = make({"cat": "The cat sleeps on the sofa.", "tax": "The tax return is due in May."})
    for query, document in (("where is the kitten", "cat"), ("when must I declare my income", "tax"), ("May", "tax")):
        results = store.search(query)
        assert results[0].document_id == document
        assert all(0 <= hit.score <= 1 for hit in results)
        assert 0 <= results.confidence <= 1


def test_a_store_of_one_document_can_be_asked(make):
    store = make({"cat": "The cat sleeps on the sofa."})
    assert best(store, "cat") == best(store, "tax") == "cat"
    assert store.search("the cat on the sofa")[0].score > store.search("tax")[0].score


def test_vectors_of_other_texts_are_hardly_trusted(make, model, library, texts):
    store = make()
    shuffled = np.roll(model.embed_documents(list(texts.values())), 7, axis=0)
    store.add([hs.Document(id=name, text=text) for name, text in texts.items()], vectors=shuffled)
    store.reembed()  # nothing is missing, so it only measures
    trace = store.search("replace the bicycle chain").trace
    assert trace.power < library.search("chain").trace.power / 2
    assert trace.weights[0] > 0.8
    assert trace.hits[0].document_id == "chain"
