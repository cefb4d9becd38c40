"""The tree of what a chunk must hold."""

import pytest

from hybridstore.text.expressions import AllOf, AnyOf, NotOf, WordSequence, levels, passes_empty, positive, tell

RED, BLUE, MARS = (WordSequence((word,), said=word) for word in ("red", "blue", "mars"))
RUST = WordSequence(("rust",), "title", "Rust")


@pytest.mark.parametrize(
    ("expression", "empty", "sought", "deep", "told"),
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
def test_an_expression_knows_itself(expression, empty, sought, deep, told):
    assert passes_empty(expression) is empty
    assert passes_empty(NotOf(expression)) is not empty
    assert list(positive(expression)) == sought
    assert levels(expression) == deep
    assert tell(expression) == told


def test_words_are_the_same_however_they_were_written():
    assert WordSequence(("red",), "title", "RED") == WordSequence(("red",), "title", "red")
    assert hash(AllOf((RED, NotOf(RUST)))) == hash(
        AllOf((WordSequence(("red",)), NotOf(WordSequence(("rust",), "title"))))
    )
    assert WordSequence(("red",)) != WordSequence(("red",), "title")


def test_words_nobody_wrote_are_told_by_their_tokens():
    assert tell(WordSequence(("red", "plan*"))) == '"red plan*"'
