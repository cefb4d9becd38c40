"""Training examples, batches of them, and the settings of a fine-tune."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.errors import InputError
from hybridstore.tuning.finetune import Example, FinetuneSettings
from hybridstore.tuning.finetune.examples import answers, assemble, order

EXAMPLES = st.lists(
    st.builds(
        Example,
        st.sampled_from(["q1", "q2", "q3", "q4", "q5"]),
        st.sampled_from(["a", "b", "c", "d", "e", "f"]),
        st.lists(st.sampled_from(["a", "x", "y", "z"]), max_size=3, unique=True).map(tuple),
    ),
    max_size=40,
)


@given(EXAMPLES, st.integers(2, 8), st.integers(0, 3))
def test_every_example_comes_once_and_no_batch_repeats_a_question_or_an_answer(examples, size, epoch):
    batches = order(examples, size, 7, epoch)
    placed = Counter(place for batch in batches for place in batch)
    assert all(count == 1 for count in placed.values())
    assert all(not examples[n].negatives for n in range(len(examples)) if n not in placed)  # alone, without negatives
    for batch in batches:
        assert len(batch) <= size
        assert len({examples[n].query for n in batch}) == len({examples[n].positive for n in batch}) == len(batch)


def test_the_order_depends_on_seed_and_epoch():
    examples = [Example(f"q{n}", f"a{n}") for n in range(50)]
    assert order(examples, 8, 1, 0) == order(examples, 8, 1, 0)
    assert order(examples, 8, 1, 0) != order(examples, 8, 1, 1)
    assert order(examples, 8, 1, 0) != order(examples, 8, 2, 0)


def test_one_answer_to_many_questions_is_spread_over_the_epoch():
    examples = [Example(f"q{n}", "one" if n < 10 else f"a{n}") for n in range(100)]
    batches = order(examples, 10, 0, 0)
    holding = [n for n, batch in enumerate(batches) if any(examples[place].positive == "one" for place in batch)]
    assert len(holding) == 10
    assert [len(batch) for batch in batches] == [10] * 10


def test_one_answer_to_all_questions_does_not_take_forever():
    examples = [Example(f"q{n}", "one", ("x",)) for n in range(3000)]
    assert [len(batch) for batch in order(examples, 8, 0, 0)] == [1] * 3000


def test_a_batch_marks_targets_and_ignored_passages():
    examples = [
        Example("red?", "rose", ("leaf", "poppy"), (0.9, 0.5, 0.4)),
        Example("green?", "leaf", ("rose",), ignored=("moss",)),
        Example("soft?", "moss"),
        Example("red?", "poppy"),
    ]
    batch = assemble(examples, [0, 1, 2], answers(examples), negatives=5, seed=0, epoch=0)
    assert batch.queries == ("red?", "green?", "soft?")
    assert batch.passages == ("rose", "leaf", "moss")  # a poppy is red too, so it is no negative
    assert batch.targets.tolist() == [0, 1, 2]
    assert batch.ignored.tolist() == [[False] * 3, [False, False, True], [False] * 3]
    assert batch.lists.tolist() == [[0, 1], [1, 0], [2, -1]]
    assert batch.scores == pytest.approx(np.array([[0.9, 0.5], [1.0, 0.0], [1.0, 0.0]]))


def test_another_answer_to_the_same_question_is_no_negative():
    examples = [Example("red?", "rose"), Example("hot?", "poppy"), Example("red?", "poppy")]
    batch = assemble(examples, [0, 1], answers(examples), negatives=2, seed=0, epoch=0)
    assert batch.ignored.tolist() == [[False, True], [False, False]]


def test_negatives_are_sampled_each_epoch_with_their_scores():
    texts = tuple(f"x{n}" for n in range(9))
    examples = [Example("q", "a", texts, (1.0, *(n / 10 for n in range(9))))]
    seen = set()
    for epoch in range(12):
        batch = assemble(examples, [0], answers(examples), negatives=2, seed=0, epoch=epoch)
        assert len(batch.passages) == 3
        assert batch.scores[0, 1:] == pytest.approx([int(text[1:]) / 10 for text in batch.passages[1:]])
        seen |= set(batch.passages[1:])
    assert len(seen) > 6
    assert assemble(examples, [0], answers(examples), negatives=0, seed=0, epoch=0).passages == ("a",)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("", "text"), "empty"),
        (("question", " "), "empty"),
        (("q", "a", ("x", "y"), (0.5, 0.1)), "3 scores"),
    ],
)
def test_an_invalid_example_is_rejected(arguments, words):
    with pytest.raises(InputError, match=words):
        Example(*arguments)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": "triplet"}, "softmax, listwise, sigmoid"),
        ({"device": "tpu"}, "auto, cpu, cuda"),
        ({"precision": "fp8"}, "fp32, int8, fp16"),
        ({"epochs": 0}, "at least 1"),
        ({"batch": 1}, "at least 2"),
        ({"layers": 0}, "at least 1"),
        ({"rate": 0.0}, "above 0"),
        ({"rate": float("nan")}, "above 0"),
        ({"blend": 1.5}, "from 0 to 1"),
        ({"loss": "listwise", "negatives": 0}, "negatives="),
    ],
)
def test_invalid_settings_are_rejected(options, words):
    with pytest.raises(InputError, match=words):
        FinetuneSettings(**options)


def test_settings_that_do_not_change_the_weights_do_not_change_the_identity():
    assert FinetuneSettings(threads=1, blend=0.5, checkpoint_every=3).identity() == FinetuneSettings().identity()
    assert FinetuneSettings(rate=1e-5).identity() != FinetuneSettings().identity()
