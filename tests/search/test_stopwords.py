"""Stop words in queries of several languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.search.stopwords import stopwords_in


def ignored(query: str, language: str = "english") -> list[str]:
    return list(stopwords_in(query.split(), language))


@pytest.mark.parametrize(
    ("query", "language", "words"),
    [
        ("how do I change the inlet valve", "english", ["how", "do", "I", "the"]),
        ("How do the valves work?", "english", ["How", "do", "the"]),
        ("inlet valve", "english", []),
        ("wie wechsle ich das Ventil", "german", ["wie", "ich", "das"]),
        ("Über welche Ventile läuft das Öl", "german", ["Über", "welche", "das"]),
        ("quelle est la pression de la pompe", "french", ["quelle", "est", "la", "de", "la"]),
        ("¿cuál es la presión de la bomba?", "spanish", ["¿cuál", "es", "la", "de", "la"]),
        ("the valve", "german", []),
    ],
)
def test_stop_words_are_recognised(query, language, words):
    assert ignored(query, language) == words


@pytest.mark.parametrize("query", ["who", "to be or not to be", "The Who", "it's how?", "WHAT IS THIS", ""])
def test_a_query_of_stop_words_only_keeps_them_all(query):
    assert ignored(query) == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("what does the WHO recommend", ["what", "does", "the"]),
        ("IT department", []),
        ("when did IT move", ["when", "did"]),
        ("US and UK rates", ["and"]),
        ("WHO 2019", []),  # figures have no case, so this query is not all in capitals
        ("A valve", ["A"]),  # one letter is a beginning, not a name
    ],
)
def test_a_word_in_capitals_is_a_name(query, words):
    assert ignored(query) == words


def test_a_query_all_in_capitals_has_stop_words():
    assert ignored("HOW DO I CHANGE THE VALVE") == ["HOW", "DO", "I", "THE"]
    assert ignored("WAS IST DAS VENTIL 7", "german") == ["WAS", "IST", "DAS"]


def test_punctuation_around_a_stop_word_is_ignored():
    assert ignored("valve, (the) 'of' “what”? …and:") == ["(the)", "'of'", "“what”?", "…and:"]
    assert ignored("the-valve of/off valve") == []  # inside a word they make another word


def test_apostrophes_may_be_curved():
    assert ignored("what’s the valve's pressure") == ["what’s", "the"]
    assert ignored("where's Anna’s valve, don’t know") == ["where's", "don’t"]


@pytest.mark.parametrize("language", ["none", "finnish", "klingon", ""])
def test_a_language_without_a_list_has_no_stop_words(language):
    assert ignored("how do I change the valve der die das", language) == []


@given(
    st.lists(st.sampled_from(["the", "THE", "Valve", "IT", "what's", "7", "(of)", "étude", "ß"]) | st.text(max_size=4)),
    st.sampled_from(["english", "german", "french", "spanish", "none"]),
)
def test_stop_words_keep_the_querys_order_and_some_word_remains(words, language):
    stopwords = stopwords_in(words, language)
    rest = iter(words)
    assert all(word in rest for word in stopwords)
    assert len(stopwords) < len(words) or not words
