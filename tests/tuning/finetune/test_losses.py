"""Losses against their formulas, written in NumPy."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="losses need the extra `train`: no torch")
training = pytest.importorskip("hybridstore.tuning.finetune.training")
RNG = np.random.default_rng(3)
COSINES = RNG.uniform(-1, 1, (4, 7))
TARGETS = np.array([0, 1, 2, 5])
IGNORED = np.zeros((4, 7), dtype=bool)
IGNORED[0, 3] = IGNORED[2, 6] = IGNORED[2, 0] = True
NOTHING = np.zeros_like(IGNORED)


def tensors(*arrays):
    return [torch.tensor(array) for array in arrays]


def test_softmax_is_the_cross_entropy_of_the_target_among_all_that_is_not_ignored():
    terms = []
    for row, target in enumerate(TARGETS):
        powers = np.exp(COSINES[row] / 0.07)
        terms.append(-np.log(powers[target] / powers[~IGNORED[row]].sum()))
    assert float(training.softmax_loss(*tensors(COSINES, TARGETS, IGNORED), 0.07)) == pytest.approx(np.mean(terms))


def test_an_ignored_passage_has_no_gradient():
    for loss in (training.softmax_loss, training.sigmoid_loss):
        cosines, targets, ignored = tensors(COSINES, TARGETS, IGNORED)
        cosines.requires_grad_()
        loss(cosines, targets, ignored, 0.05).backward()
        assert (cosines.grad[ignored] == 0).all()
        assert (cosines.grad[torch.arange(4), targets] < 0).all()
        assert (cosines.grad[~ignored] != 0).any()


def test_sigmoid_classifies_each_pair_with_the_border_at_one_half():
    total = 0.0
    for row, target in enumerate(TARGETS):
        for column in range(COSINES.shape[1]):
            if not IGNORED[row, column]:
                sign = 1 if column == target else -1
                total += np.log1p(np.exp(-sign * (COSINES[row, column] / 0.05 - 1 / (2 * 0.05))))
    assert float(training.sigmoid_loss(*tensors(COSINES, TARGETS, IGNORED), 0.05)) == pytest.approx(total / 4)


def test_listwise_is_the_divergence_of_the_cosines_from_the_scores():
    scores = RNG.uniform(0, 1, (4, 7))
    here = np.arange(7) < np.array([7, 3, 1, 5])[:, None]
    terms = []
    for row in range(4):
        wanted = np.exp(scores[row, here[row]] / 0.1)
        given = np.exp(COSINES[row, here[row]] / 0.05)
        wanted, given = wanted / wanted.sum(), given / given.sum()
        terms.append((wanted * np.log(wanted / given)).sum())
    assert terms[2] == 0.0
    assert float(training.listwise_loss(*tensors(COSINES, scores, here), 0.05)) == pytest.approx(np.mean(terms))


def test_listwise_is_zero_when_cosines_and_scores_agree():
    scores = RNG.uniform(0, 1, (3, 5))
    here = np.ones((3, 5), dtype=bool)
    assert float(training.listwise_loss(*tensors(scores * 0.5, scores, here), 0.05)) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", ["softmax", "sigmoid"])
def test_a_right_order_costs_less_than_a_wrong_one(name):
    right, wrong = np.eye(4, 7), np.roll(np.eye(4, 7), 1, axis=1)
    loss = getattr(training, f"{name}_loss")
    targets = np.arange(4)
    ignored = np.zeros((4, 7), dtype=bool)
    assert float(loss(*tensors(right, targets, ignored))) < float(loss(*tensors(wrong, targets, ignored)))
