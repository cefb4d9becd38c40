"""Match expressions: their properties and their description in words."""

import pytest

from hybridstore.text.expressions import (
    AllOf,
    AnyOf,
    NotOf,
    WordSequence,
    describe,
    nesting,
    passes_empty,
    positive_words,
)

RED, BLUE, MARS = (WordSequence((word,), written=word) for word in ("red", "blue", "mars"))
RUST = WordSequence(("rust",), "title", "Rust")


@pytest.mark.parametrize(
    ("expression", "empty", "words", "depth", "description"),
    [
        (RED, False, [RED], 0, '"red"'),
        (NotOf(RUST), True, [], 0, 'not "Rust" in the title'),
        (NotOf(NotOf(RED)), False, [RED], 0, 'not not "red"'),
        (AllOf((RED, NotOf(BLUE))), False, [RED], 1, '"red" and not "blue"'),
        (AllOf((NotOf(RED), NotOf(BLUE))), True, [], 1, 'not "red" and not "blue"'),
        (AnyOf((RED, NotOf(BLUE))), True, [RED], 1, '"red" or not "blue"'),
        (NotOf(AllOf((NotOf(RED), BLUE))), True, [RED], 1, 'not (not "red" and "blue")'),
        (NotOf(AnyOf((NotOf(RED), BLUE))), False, [RED], 1, 'not (not "red" or "blue")'),
        (AllOf((AnyOf((RED, NotOf(BLUE))), MARS)), False, [RED, MARS], 2, '("red" or not "blue") and "mars"'),
    ],
)
def test_properties_of_expressions(expression, empty, words, depth, description):
    assert passes_empty(expression) is empty
    assert passes_empty(NotOf(expression)) is not empty
    assert list(positive_words(expression)) == words
    assert nesting(expression) == depth
    assert describe(expression) == description


def test_equality_ignores_how_words_were_written():
    assert WordSequence(("red",), "title", "RED") == WordSequence(("red",), "title", "red")
    assert hash(AllOf((RED, NotOf(RUST)))) == hash(
        AllOf((WordSequence(("red",)), NotOf(WordSequence(("rust",), "title"))))
    )
    assert WordSequence(("red",)) != WordSequence(("red",), "title")


def test_words_without_a_spelling_are_described_by_their_tokens():
    assert describe(WordSequence(("red", "plan*"))) == '"red plan*"'
