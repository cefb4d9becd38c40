"""What training an adapter comes to: the gradient, what is left out of it, and what is learned of toy vectors."""

from dataclasses import replace

import numpy as np
import pytest

from hybridstore.errors import InputError
from hybridstore.tuning import adapter
from hybridstore.tuning.adapter import AdapterSettings, TrainingExamples, train

DIM = 12
SETTINGS = AdapterSettings(rank=8, epochs=20, batch=16, rate=0.01, temperature=0.2, anchor=0.5, passages=64, seed=3)


def units(rng, *shape, kind=np.float32):
    vectors = rng.standard_normal(shape)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(kind)


def toy(questions=40, passages=20, *, seed=0, ignored=(), documents=None, kind=np.float32, dim=DIM):
    rng = np.random.default_rng(seed)
    return TrainingExamples(
        questions=units(rng, questions, dim, kind=kind),
        passages=units(rng, passages, dim, kind=kind),
        answers=rng.integers(passages, size=questions),
        documents=np.arange(passages) if documents is None else np.asarray(documents),
        ignored=np.array(ignored, np.int64).reshape(-1, 2),
    )


def weights(seed=1, rank=3, dim=DIM):
    rng = np.random.default_rng(seed)
    return [0.4 * rng.standard_normal((dim, rank)), 0.4 * rng.standard_normal((rank, dim))]


def step(examples, settings, matrices, rows=None, pool=None):
    rows = np.arange(len(examples.questions)) if rows is None else np.asarray(rows)
    pool = np.arange(len(examples.passages)) if pool is None else np.asarray(pool)
    ignored = adapter._by_question(examples.ignored, len(examples.questions))
    return adapter._step(examples, rows, pool, ignored, matrices, settings)


@pytest.mark.parametrize(
    ("ignored", "documents"),
    [
        ((), None),
        ([(0, 3), (0, 4), (5, 1), (7, 9)], None),
        ([(0, 3), (0, 3), (2, 6)], [0, 0, 1, 1, 1, 2, 3, 4, 5, 5]),
    ],
)
@pytest.mark.parametrize("anchor", [0.0, 2.0])
def test_the_gradient_is_that_of_finite_differences(ignored, documents, anchor):
    examples = toy(9, 10, ignored=ignored, documents=documents, kind=np.float64)
    settings, matrices = replace(SETTINGS, temperature=0.5, anchor=anchor), weights()
    _, gradients = step(examples, settings, matrices)
    for place, matrix in enumerate(matrices):
        for index in np.ndindex(*matrix.shape):
            losses = []
            for by in (1e-5, -1e-5):
                moved = [each.copy() for each in matrices]
                moved[place][index] += by
                losses.append(step(examples, settings, moved)[0])
            assert gradients[place][index] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-4, abs=1e-6)


def test_the_loss_is_its_formula():
    examples = toy(1, 4, kind=np.float64)
    settings, (down, up) = replace(SETTINGS, temperature=0.5, anchor=2.0), weights()
    before, right = examples.questions[0], examples.answers[0]
    after = before + before @ down @ up
    after /= np.linalg.norm(after)
    cosines = examples.passages @ after / 0.5
    expected = np.log(np.exp(cosines).sum()) - cosines[right] + 2.0 * (1 - after @ before)
    assert step(examples, settings, [down, up])[0] == pytest.approx(expected)


def test_ignored_passages_count_as_if_absent():
    plain = toy(6, 10, kind=np.float64)
    plain = replace(plain, answers=np.array([0, 1, 2, 0, 1, 2]))
    left_out = step(plain, SETTINGS, weights(), pool=[0, 1, 2, 5, 7])
    gone = (3, 4, 6, 8, 9)
    for examples in (
        replace(plain, ignored=np.array([(row, each) for row in range(6) for each in gone])),
        replace(plain, ignored=np.array([(row, each) for row in range(6) for each in gone * 2][::-1])),
    ):
        loss, gradients = step(examples, SETTINGS, weights())
        assert loss == pytest.approx(left_out[0])
        for one, other in zip(gradients, left_out[1], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-12)


def test_passages_of_the_answers_own_document_are_ignored_and_the_answer_never_is():
    same = toy(4, 6, documents=[7, 7, 7, 1, 2, 3], kind=np.float64)
    same = replace(same, answers=np.array([0, 0, 0, 0]))
    apart = replace(same, documents=np.arange(6))
    expected, _ = step(apart, SETTINGS, weights(), pool=[0, 3, 4, 5])
    assert step(same, SETTINGS, weights())[0] == pytest.approx(expected)
    itself = replace(same, ignored=np.array([(row, 0) for row in range(4)]))
    assert step(itself, SETTINGS, weights())[0] == pytest.approx(expected)
    assert step(apart, SETTINGS, weights())[0] > expected


def test_ignored_passages_outside_the_pool_change_nothing():
    examples = toy(5, 10, kind=np.float64)
    examples = replace(examples, answers=np.array([2, 2, 4, 4, 2]))
    some = replace(examples, ignored=np.array([(0, 9), (1, 0), (2, 3), (3, 9), (4, 7)]))
    expected = step(examples, SETTINGS, weights(), pool=[2, 4, 5, 8])[0]
    assert step(some, SETTINGS, weights(), pool=[2, 4, 5, 8])[0] == expected


def test_without_negatives_only_the_anchor_pulls():
    examples = toy(3, 1, kind=np.float64)
    loss, gradients = step(examples, replace(SETTINGS, anchor=0.0), weights())
    assert loss == pytest.approx(0.0)
    assert all(np.abs(each).max() < 1e-12 for each in gradients)


def test_the_same_examples_give_the_same_weights_and_another_seed_gives_others():
    examples = toy(60, 30)
    one, again = (train(examples, "x", settings=SETTINGS) for _ in range(2))
    np.testing.assert_array_equal(one.down, again.down)
    np.testing.assert_array_equal(one.up, again.up)
    other = train(examples, "x", settings=replace(SETTINGS, seed=4))
    assert not np.array_equal(one.up, other.up)


def test_before_the_first_step_no_question_is_moved():
    examples = toy()
    still = train(examples, "x", settings=replace(SETTINGS, epochs=1, rate=1e-30))
    np.testing.assert_allclose(still.many(examples.questions), examples.questions, atol=1e-6)
    assert still.down.any()  # or nothing could ever be learned


def planted(seed=0, questions=300, passages=120, dim=16):
    """Return examples whose questions are their answers turned in a few planes, and matching held-out ones."""
    rng = np.random.default_rng(seed)
    frame = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    swapped = np.eye(dim)
    for plane in range(0, 8, 2):
        swapped[plane : plane + 2, plane : plane + 2] = [[0.0, 1.0], [-1.0, 0.0]]
    turn = frame @ swapped @ frame.T
    texts = units(rng, passages, dim)
    answers = np.arange(questions) % passages
    asked = texts[answers] @ turn + 0.02 * rng.standard_normal((questions, dim))
    asked = (asked / np.linalg.norm(asked, axis=1, keepdims=True)).astype(np.float32)
    trained = answers < 90
    examples = TrainingExamples(
        questions=asked[trained],
        passages=texts[:90],
        answers=answers[trained],
        documents=np.arange(90),
        ignored=np.empty((0, 2), np.int64),
    )
    return examples, asked[~trained], answers[~trained], texts


def test_a_planted_rotation_is_learned_for_questions_never_seen():
    examples, asked, answers, texts = planted()
    found = train(examples, "x", settings=replace(SETTINGS, rank=16, epochs=80, batch=64, anchor=0.0))
    before = (asked @ texts.T).argmax(axis=1)
    after = (found.many(asked) @ texts.T).argmax(axis=1)
    assert (before == answers).mean() < 0.3
    assert (after == answers).mean() > 0.9


def test_the_anchor_keeps_questions_near_where_they_were():
    examples, asked, _, _ = planted()
    kept = []
    for anchor in (0.0, 1.0, 10.0, 1000.0):
        found = train(examples, "x", settings=replace(SETTINGS, rank=16, anchor=anchor))
        kept.append(float((found.many(asked) * asked).sum(axis=1).mean()))
    assert kept == sorted(kept)
    assert kept[0] < 0.9
    assert kept[-1] > 0.99


@pytest.mark.parametrize(
    ("questions", "passages", "dim"), [(1, 1, DIM), (1, 5, DIM), (5, 1, DIM), (3, 2, 1), (40, 20, 2), (2, 300, DIM)]
)
def test_few_questions_passages_and_dimensions_do_no_harm(questions, passages, dim):
    examples = toy(questions, passages, dim=dim)
    found = train(examples, "x", settings=SETTINGS)
    assert found.down.shape == (dim, min(SETTINGS.rank, dim))
    moved = found.many(examples.questions)
    assert np.isfinite(moved).all()
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1.0, atol=1e-5)


def test_zero_vectors_and_high_rates_leave_no_nan():
    examples = toy(20, 10)
    examples.questions[3] = 0.0
    examples.passages[4] = 0.0
    found = train(examples, "x", settings=replace(SETTINGS, rate=10.0, temperature=0.001, anchor=100.0))
    assert np.isfinite(found.many(examples.questions)).all()


def test_a_pool_holds_every_answer_once_and_not_much_more_than_requested():
    examples = toy(50, 400)
    rows = np.arange(10)
    pool = adapter._pool(examples, rows, 30, np.random.default_rng(1))
    assert np.isin(examples.answers[rows], pool).all()
    assert (np.diff(pool) > 0).all()
    assert len(pool) <= 40
    np.testing.assert_array_equal(adapter._pool(examples, rows, 400, np.random.default_rng(1)), np.arange(400))


def test_progress_ends_with_the_last_step():
    reports = []
    train(toy(40), "x", settings=replace(SETTINGS, epochs=5), progress=lambda *report: reports.append(report))
    assert [(done, of) for done, of, _, _ in reports] == [(8, 15), (15, 15)]
    assert reports[-1][3] == 0.0
    assert all(np.isfinite(loss) for _, _, loss, _ in reports)


def test_without_questions_there_is_nothing_to_train_on():
    with pytest.raises(InputError, match="nothing to train on"):
        train(toy(0, 3), "x", settings=SETTINGS)


@pytest.mark.parametrize("setting", ["rank", "epochs", "batch", "passages"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "8", None, True])
def test_a_count_must_be_a_whole_number_above_zero(setting, value):
    with pytest.raises(InputError, match=f"^{setting} must be a whole number of at least 1, not {value!r}"):
        AdapterSettings(**{setting: value})


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("rate", 0, "rate must be a number above 0"),
        ("rate", float("nan"), "rate must be a number above 0"),
        ("temperature", -0.1, "temperature must be a number above 0"),
        ("temperature", float("inf"), "temperature must be a number above 0"),
        ("anchor", -1, "anchor must be a number of at least 0"),
        ("anchor", float("nan"), "anchor must be a number of at least 0"),
        ("anchor", "much", "anchor must be a number of at least 0"),
        ("seed", -1, "seed must be a whole number of at least 0"),
        ("seed", None, "seed must be a whole number of at least 0"),
    ],
)
def test_an_invalid_setting_is_rejected_by_name(setting, value, message):
    with pytest.raises(InputError, match=message):
        AdapterSettings(**{setting: value})


def test_no_anchor_and_the_first_seed_are_fine():
    assert AdapterSettings(anchor=0, seed=0).anchor == 0
