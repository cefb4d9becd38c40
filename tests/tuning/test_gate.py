"""The gate's verdicts: exact cases, document by document."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from hybridstore.tuning import gate
from hybridstore.tuning.gate import FEWEST, GateQuery, decide, means_by_document

TASKS = list(gate.TASKS)
NOWHERE = np.zeros(2, np.float32)


def queries(count, kind="title", first=0):
    return [GateQuery(kind, "text", NOWHERE, frozenset({f"d{n}"})) for n in range(first, first + count)]


def values(count, value=0.5):
    """Return the same for every task, from a number or one for each probe."""
    return {task: [value] * count if isinstance(value, float) else list(value) for task in TASKS}


def test_a_clear_gain_is_accepted_with_numbers():
    verdict = decide(queries(30), values(30, 0.5), values(30, 0.75))
    assert verdict.accepted
    assert verdict.reason == (
        "+0.2500 nDCG@10 on 30 held-out documents (95 % of resamples between +0.2500 and +0.2500)"
    )
    assert (verdict.overall.mean_a, verdict.overall.mean_b, verdict.overall.wins) == (0.5, 0.75, 30)
    assert verdict.questions == 30
    assert set(verdict.tasks) == set(TASKS)
    assert set(verdict.kinds) == {"title"}


def test_what_may_be_luck_is_rejected():
    after = [0.5 + (0.25 if n < 22 else -0.25) for n in range(40)]
    verdict = decide(queries(40), values(40), values(40, after))
    assert not verdict.accepted
    assert verdict.reason.startswith("+0.0250 nDCG@10 on 40 held-out documents (95 % of resamples between -0.0")
    assert verdict.reason.endswith(": that may be luck")
    assert verdict.overall.low < 0 < verdict.overall.high


def test_no_difference_at_all_is_rejected():
    verdict = decide(queries(40), values(40), values(40))
    assert not verdict.accepted
    assert verdict.reason.endswith("between +0.0000 and +0.0000): that may be luck")


def test_a_loss_is_rejected_as_a_loss():
    verdict = decide(queries(40), values(40, 0.5), values(40, 0.25))
    assert not verdict.accepted
    assert verdict.reason.startswith("-0.2500 nDCG@10 on 40")
    assert verdict.reason.endswith("between -0.2500 and -0.2500): it loses there")


def test_one_kind_of_question_that_loses_rejects_the_version():
    asked = [*queries(30, "title"), *queries(12, "keywords", first=30)]
    verdict = decide(asked, values(42), values(42, [0.75] * 30 + [0.375] * 12))
    assert not verdict.accepted
    assert verdict.overall.low > 0
    assert verdict.reason.startswith("+0.1429 nDCG@10 on 42 held-out documents (")
    assert verdict.reason.endswith(
        ", but questions of the kind keywords lose -0.1250 (95 % of resamples between -0.1250 and -0.1250)"
    )
    assert verdict.kinds["title"].difference == 0.25


def test_a_kind_with_few_documents_is_not_judged():
    asked = [*queries(30, "title"), *queries(3, "keywords", first=30)]
    verdict = decide(asked, values(33), values(33, [0.75] * 30 + [0.375] * 3))
    assert verdict.accepted
    assert set(verdict.kinds) == {"title"}


@pytest.mark.parametrize("task", TASKS)
def test_one_task_that_loses_rejects_the_version(task):
    after = {each: [0.5 if each == task else 1.0] * 30 for each in TASKS}
    verdict = decide(queries(30), values(30, 0.5625), after)
    assert not verdict.accepted
    assert verdict.overall.low > 0
    assert f", but it loses at {gate.TASKS[task]}: -0.0625 (95 % of resamples" in verdict.reason


def test_documents_are_counted_and_not_their_questions():
    few = queries(FEWEST - 1) * 5
    verdict = decide(few, values(len(few), 0.5), values(len(few), 1.0))
    assert not verdict.accepted
    assert verdict.reason == (
        f"only {FEWEST - 1} documents could be asked about, and {FEWEST} are needed to tell gain from luck"
    )
    assert (verdict.overall, verdict.kinds, verdict.tasks, verdict.questions) == (None, {}, {}, len(few))
    enough = queries(FEWEST)
    assert decide(enough, values(FEWEST, 0.5), values(FEWEST, 1.0)).accepted


def test_without_any_question_nothing_is_accepted():
    verdict = decide([], values(0), values(0))
    assert (verdict.accepted, verdict.overall, verdict.questions) == (False, None, 0)


def test_many_questions_of_one_document_weigh_no_more_than_one():
    one = [*queries(1), *queries(39, first=1)]
    loud = [*(queries(1) * 100), *queries(39, first=1)]
    quiet_after = [0.0] + [0.625] * 39
    loud_after = [0.0] * 100 + [0.625] * 39
    quietly = decide(one, values(40), values(40, quiet_after))
    loudly = decide(loud, values(139), values(139, loud_after))
    assert loudly.overall == quietly.overall


def test_tasks_that_a_persons_question_does_not_have_are_left_out_of_its_mean():
    first, *others = TASKS
    asked = queries(25)
    before = {first: [0.5] * 25, **{task: [math.nan] * 25 for task in others}}
    after = {**before, first: [0.75] * 25}
    verdict = decide(asked, before, after)
    assert verdict.accepted
    assert verdict.overall.difference == 0.25
    assert set(verdict.tasks) == {first}


def test_the_same_numbers_give_the_same_verdict_whatever_the_order():
    rng = np.random.default_rng(3)
    asked = [*queries(25, "title"), *queries(25, "crop", first=10)]
    before, after = (rng.random(50).tolist() for _ in range(2))
    verdict = decide(asked, values(50, before), values(50, after))
    assert decide(asked, values(50, before), values(50, after)) == verdict
    order = rng.permutation(50).tolist()
    mixed = [[each[n] for n in order] for each in (asked, before, after)]
    again = decide(mixed[0], values(50, mixed[1]), values(50, mixed[2]))
    assert again.overall.low == pytest.approx(verdict.overall.low)
    assert again.overall.high == pytest.approx(verdict.overall.high)
    assert again.accepted == verdict.accepted


def test_a_verdict_can_be_written_as_json():
    written = json.loads(json.dumps(asdict(decide(queries(30), values(30), values(30, 0.75))), allow_nan=False))
    assert written["accepted"] is True
    assert written["overall"]["n"] == 30
    assert written["tasks"][TASKS[0]]["difference"] == 0.25


def test_a_documents_mean_is_that_of_its_queries_and_tasks():
    asked = [*queries(2, "title"), *queries(1, "crop")]
    first, second, *others = TASKS
    found = {first: [1.0, 0.5, 0.5], second: [0.5, math.nan, 1.0], **{task: [math.nan] * 3 for task in others}}
    assert means_by_document(asked, found) == {"d0": 0.75, "d1": 0.5}
    assert means_by_document(asked, found, kind="title") == {"d0": 0.75, "d1": 0.5}
    assert means_by_document(asked, found, kind="crop") == {"d0": 0.75}
    assert means_by_document(asked, found, task=second) == {"d0": 0.75}
    assert means_by_document(asked, found, kind="sentence") == {}
