"""A whole turn of learning: what is accepted answers at once everywhere, what is refused changes nothing."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gap import ASKED, EMBEDDER, PAIRS, SETTINGS, answers, chunk, filled, name, question, random_adapter, version
from tuning_process import seen

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import HybridstoreError, InputError
from hybridstore.tuning import adapter, adapter_tuning, drift, gate, training_set
from hybridstore.tuning.adapter_tuning import tune
from hybridstore.tuning.model_versions import promote, rollback
from hybridstore.tuning.training_set import held_out

HELD = [pair for pair in PAIRS if held_out(name(pair))]


@pytest.fixture
def store(tmp_path):
    with filled(tmp_path / "gap.db") as store:
        yield store


def turned(store, **options):
    return tune(store, **{"settings": SETTINGS, "most": 0, **options})


def anywhere(examples, source, **_):
    """Train nothing, and give an adapter that turns questions anywhere."""
    dim = examples.questions.shape[1]
    return replace(random_adapter(HashingEmbedder(dim), size=5.0), source=source)


def contents(store):
    """Return all that a refused turn must leave as it was."""
    learning = store.learning
    return (
        store.state().revision,
        store.state().calibration,
        learning.model(),
        list(learning.triples()),
        answers(store),
        store.check(),
    )


def apart(*command, path):
    """Start a process of tuning_process.py."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
        "OMP_NUM_THREADS": "1",
    }
    script = str(Path(__file__).with_name("tuning_process.py"))
    return subprocess.Popen(
        [sys.executable, script, *command, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    )


# With the embedder that stores have if nobody says otherwise.


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Return a store that was tuned, where it lies, what came of it, and the answers before."""
    path = tmp_path_factory.mktemp("real") / "real.db"
    with filled(path, None) as store:
        before = answers(store)
        yield store, path, turned(store), before


@pytest.mark.thorough
def test_an_accepted_version_finds_what_questions_of_other_words_mean(real):
    store, _, report, before = real
    assert report.promoted
    assert report.verdict.accepted
    assert report.verdict.overall.low > 0.3
    assert report.verdict.overall.n == len(HELD) > 20
    assert store.learning.model().number == report.number == 1
    assert answers(store) != before
    first = [store.search(question(pair), limit=1)[0].document_id for pair in HELD]  # none of these was trained on
    assert sum(found == name(pair) for found, pair in zip(first, HELD, strict=True)) > len(HELD) / 2
    assert store.check() == []


@pytest.mark.thorough
def test_an_accepted_version_answers_in_another_process(real):
    store, path, _, _ = real
    process = apart("answers", path=path)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output == seen(store)


@pytest.mark.thorough
def test_a_second_tuning_is_compared_with_the_first(real):
    store, _, report, _ = real
    again = turned(store)
    assert again.verdict.overall.mean_a == pytest.approx(report.verdict.overall.mean_b)
    assert not again.promoted
    assert "may be luck" in again.verdict.reason
    assert store.learning.model().number == report.number


# The rest needs no model.


def test_an_accepted_version_answers_at_once_in_another_open_store(store, tmp_path):
    with hs.open(tmp_path / "gap.db", embedder=EMBEDDER) as other:
        before = answers(other)
        report = turned(store)
        assert report.promoted
        assert answers(other) == answers(store) != before
        rollback(other)
        assert answers(store) == before


def test_the_report_records_what_was_done(store):
    reports = []
    report = turned(store, progress=lambda *report: reports.append(report))
    trained = len(PAIRS) - len(HELD)
    assert report.questions == {"labelled": trained}
    assert report.verdict.questions == len(HELD)
    assert report.settings["rank"] == SETTINGS.rank
    assert {"questions", "embedding", "training", "gate", "promotion"} <= set(report.seconds)
    assert all(seconds >= 0 for seconds in report.seconds.values())
    assert {example.kind for example in report.examples} == {"labelled"}
    for example in report.examples:
        assert held_out(example.answer)
        assert (example.answer in example.after) or (example.answer in example.before)
        assert example.before != example.after
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["verdict"]["accepted"] is True
    steps = list(dict.fromkeys(step for step, *_ in reports))
    assert steps[0] == "Making questions"
    assert steps.index("Evaluating the active version") < steps.index("Evaluating the new version")
    assert all(0 <= done <= of for _, done, of, *_ in reports)


@pytest.mark.thorough
def test_the_same_store_and_settings_give_the_same_result(store):
    one = turned(store, dry_run=True)
    other = turned(store, dry_run=True)
    assert (one.number, other.number) == (1, 2)
    assert one.verdict == other.verdict
    promote(store, 1)
    first = answers(store)
    promote(store, 2)
    assert [[hit.score for hit in hits] for hits in answers(store)] == [[hit.score for hit in hits] for hits in first]


def test_in_a_dry_run_an_accepted_version_stays_a_candidate(store):
    before = contents(store)
    report = turned(store, dry_run=True)
    assert report.verdict.accepted
    assert not report.promoted
    assert contents(store) == before
    assert [model.state for model in store.learning.models()] == ["candidate"]
    assert promote(store, report.number).state == "active"


def test_a_version_that_breaks_an_expectation_is_rejected_however_much_it_gains(store):
    reversed_pair = next(pair for pair in PAIRS if store.search(question(pair))[0].document_id != name(pair))
    wrong = store.search(question(reversed_pair))[0].document_id
    store.expect(question(reversed_pair), wrong, within=1)
    before = contents(store)
    report = turned(store)
    assert report.verdict.overall.low > 0
    assert not report.verdict.accepted
    assert "breaks 1 of the store's expectations" in report.verdict.reason
    assert report.broken == [f"'{question(reversed_pair)}': {wrong} is not among the first 1"]
    assert contents(store) == before
    (model,) = store.learning.models()
    assert model.state == "refused"
    assert question(reversed_pair) not in str(model.report)


def test_a_sabotaged_training_is_rejected_and_only_the_history_changes(store, monkeypatch):
    before = contents(store)
    monkeypatch.setattr(adapter, "train", anywhere)
    report = turned(store)
    assert not report.promoted
    assert not report.verdict.accepted
    assert contents(store) == before
    (model,) = store.learning.models()
    assert (model.number, model.state, model.kind) == (report.number, "refused", "adapter")
    assert model.report["verdict"]["reason"] == report.verdict.reason


@pytest.mark.thorough
def test_a_sabotaged_training_after_a_good_version_leaves_that_one_active(store, monkeypatch):
    good = turned(store)
    before = contents(store)
    monkeypatch.setattr(adapter, "train", anywhere)
    bad = turned(store)
    assert bad.verdict.overall.mean_a == pytest.approx(good.verdict.overall.mean_b)
    assert "it loses there" in bad.verdict.reason
    assert contents(store) == before
    assert [model.state for model in store.learning.models()] == ["active", "refused"]


@pytest.mark.thorough
def test_the_history_holds_no_text_of_a_question_or_a_document(store, monkeypatch):
    turned(store)
    monkeypatch.setattr(adapter, "train", anywhere)
    turned(store)
    for model in store.learning.models():
        history = json.dumps(model.report)
        assert "nDCG@10" in history
        assert not [word for word in ASKED if word in history]
        assert not [pair for pair in PAIRS if f'"{name(pair)}"' in history]


def test_nothing_is_trained_on_that_the_gate_evaluates(store, monkeypatch):
    given = []

    def spied(learned, *arguments, **options):
        given.append(learned)
        return adapter_train(learned, *arguments, **options)

    adapter_train = adapter.train
    monkeypatch.setattr(adapter, "train", spied)
    turned(store)
    kept = store.chunks.vectors([chunk(store, name(pair)) for pair in HELD])
    asked = np.array([EMBEDDER.embed_query(question(pair)) for pair in HELD])
    for learned, held in ((given[0].passages, kept), (given[0].questions, asked)):
        assert not (learned[:, None] == held[None]).all(axis=2).any()


def test_peoples_questions_are_repeated_where_they_are_few():
    made = [
        training_set.LabelledQuestion(text=f"q{n}", kind="crop", answers=(n,), documents=("a",), origin=n)
        for n in range(200)
    ]
    people = [
        training_set.LabelledQuestion(text=f"p{n}", kind="log", answers=(n,), documents=("a",)) for n in range(10)
    ]
    trained, held = adapter_tuning.split([*made, *people], 100, 0)
    assert held == []
    counted = {item: trained.count(item) for item in people}
    assert len(set(counted.values())) == 1
    assert counted[people[0]] > 1
    assert [item for item in trained if item.origin is not None] == made
    assert adapter_tuning.split(people, 100, 0)[0] == people
    assert adapter_tuning.split(made, 100, 0)[0] == made


def test_peoples_questions_come_first_at_the_gate():
    made = [
        training_set.LabelledQuestion(text=f"q{n}", kind="crop", answers=(n,), documents=("d15",), origin=n)
        for n in range(50)
    ]
    people = [
        training_set.LabelledQuestion(text=f"p{n}", kind="log", answers=(n,), documents=("d15", "a")) for n in range(10)
    ]
    trained, held = adapter_tuning.split([*made, *people], 30, 0)
    assert trained == []
    assert len(held) == 30
    assert set(held[:10]) == set(people)
    assert adapter_tuning.split([*made, *people], 30, 0)[1] == held
    assert adapter_tuning.split([*made, *people], 30, 1)[1] != held


def test_too_few_documents_give_no_verdict(tmp_path):
    with filled(tmp_path / "gap.db") as store:
        store.remove([name(pair) for pair in HELD[5:]])
        report = turned(store)
    assert report.verdict.reason.startswith("only 5 documents could be asked about")
    assert not report.promoted


# What is no ground to learn on.


def refused(store, match, **options):
    with pytest.raises(InputError, match=match):
        turned(store, **options)
    assert store.learning.models() == []


def test_a_store_with_nothing_to_learn_from_is_rejected(tmp_path):
    with filled(tmp_path / "gap.db", triples=False) as store:
        refused(store, "nothing to learn from")
        refused(store, "nothing to learn from", most=1000)  # its passages are too short to be asked about


def test_examples_of_held_out_documents_alone_are_none(tmp_path):
    with filled(tmp_path / "gap.db") as store:
        store.remove([name(pair) for pair in PAIRS if pair not in HELD])
        refused(store, "nothing to train on")


def test_a_store_without_vectors_has_nothing_to_learn_for(tmp_path):
    with hs.open(tmp_path / "words.db", embedder="none") as store:
        store.add("words alone")
        refused(store, "no vectors to learn for; `hybridstore reembed")


def test_a_store_opened_without_an_embedder_is_rejected_with_advice(store, tmp_path):
    with hs.open(tmp_path / "gap.db", embedder="none") as other:
        refused(other, "opened without an embedder")


def test_vectors_given_by_the_caller_cannot_be_learned_for(tmp_path):
    with hs.open(tmp_path / "given.db") as store:
        store.add(["one", "two"], vectors=np.eye(2))
        refused(store, "supplied by the caller")


def test_another_embedders_questions_are_no_examples_for_these_vectors(store):
    class Turned(HashingEmbedder):
        def __init__(self):
            super().__init__(EMBEDDER.dim)
            self.fingerprint = self.reference = "turned@1"

        def embed_documents(self, texts):
            return super().embed_documents(texts)[:, ::-1].copy()

    drift.compensate(store, Turned())
    with pytest.raises(InputError, match=r"another embedder than its vectors.*reembed --embedder turned@1"):
        turned(store)
    assert len(store.learning.models()) == 1


@pytest.mark.parametrize(("option", "value"), [("gate_questions", 0), ("gate_questions", -5), ("most", -1)])
def test_invalid_counts_are_rejected(store, option, value):
    refused(store, f"{option}.* must be at least 1", **{option: value})


# What happens meanwhile.


def meanwhile(monkeypatch, room, function, do):
    """Have something happen, once, right after a step of the turn."""
    true, done = getattr(room, function), []

    def stepped(*arguments, **options):
        result = true(*arguments, **options)
        if not done:
            done.append(do())
        return result

    monkeypatch.setattr(room, function, stepped)


@pytest.mark.parametrize(
    ("room", "function"),
    [
        (training_set, "collect"),
        (training_set, "embed_questions"),
        (training_set, "training_examples"),
        (gate, "gate_queries"),
    ],
)
def test_documents_removed_meanwhile_do_no_harm(store, monkeypatch, room, function):
    gone = [name(pair) for pair in (*HELD[:4], *PAIRS[:20])]
    meanwhile(monkeypatch, room, function, lambda: store.remove(gone))
    report = turned(store)
    assert report.promoted
    assert store.check() == []


STEPS = [
    (training_set, "embed_questions"),
    (training_set, "soft_labels"),
    (adapter, "train"),
    (gate, "evaluate"),
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("dim", [EMBEDDER.dim, pytest.param(EMBEDDER.dim + 2, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("wanted", [EMBEDDER, pytest.param(None, marks=pytest.mark.thorough)])
def test_vectors_changed_meanwhile_end_the_tuning(tmp_path, monkeypatch, step, dim, wanted):
    filled(tmp_path / "gap.db").close()
    new, stores = HashingEmbedder(dim, max_tokens=100), []

    def load(*_, **__):
        return new if stores and stores[0].embeddings.active.fingerprint == new.fingerprint else EMBEDDER

    def changed():
        with hs.open(tmp_path / "gap.db", embedder=EMBEDDER) as other:
            other.reembed(new)

    monkeypatch.setattr("hybridstore.embedders.load", load)
    with hs.open(tmp_path / "gap.db", embedder=wanted) as store:
        stores.append(store)
        meanwhile(monkeypatch, *step, changed)
        with pytest.raises(HybridstoreError, match=r"changed this store's vectors|have 66 dimensions|opened with"):
            turned(store)
        assert store.learning.models() == []
        assert store.check() == []


@pytest.mark.thorough
def test_a_version_that_another_process_promotes_meanwhile_must_be_beaten(store, monkeypatch):
    with monkeypatch.context() as first:
        good = turned(store)
        rollback(store)
        meanwhile(first, gate, "evaluate", lambda: promote(store, good.number))
        report = turned(store)
    assert report.verdict.overall.mean_a == pytest.approx(good.verdict.overall.mean_b)
    assert not report.promoted
    assert store.learning.model().number == good.number


@pytest.mark.thorough
def test_two_tunings_at_once_leave_one_active_version_and_the_whole_history(tmp_path):
    filled(tmp_path / "gap.db").close()
    reports = []

    def run(seed):
        with hs.open(tmp_path / "gap.db", embedder=EMBEDDER) as store:
            reports.append(turned(store, settings=replace(SETTINGS, seed=seed)))

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(report.number for report in reports) == [1, 2]
    with hs.open(tmp_path / "gap.db", embedder=EMBEDDER) as store:
        assert [model.state for model in store.learning.models()].count("active") == 1
        assert store.learning.model().number in {report.number for report in reports if report.promoted}
        assert store.check() == []


@pytest.mark.parametrize(
    ("seed", "times"),
    [pytest.param(0, 2, marks=pytest.mark.thorough), pytest.param(1, 12, marks=pytest.mark.slow)],
)
def test_killed_anywhere_the_store_answers_as_before_or_as_after(tmp_path, seed, times):
    dice, path = random.Random(seed), tmp_path / "gap.db"
    with filled(path) as store:
        before, words = seen(store), answers(store, mode="keyword")
        assert turned(store).promoted
        after = seen(store)
        rollback(store)
        assert seen(store) == before != after
        met = set()
        for _ in range(times):
            process = apart("loop", path=path)
            for _ in range(dice.randint(1, 2)):
                assert process.stdout.readline() == "tuning\n"
            until = time.monotonic() + dice.uniform(0.0, 1.2)
            while time.monotonic() < until:
                met.add(seen_whole(store))
            process.send_signal(signal.SIGKILL)
            rest, _ = process.communicate(timeout=30)
            assert "refused" not in rest
            met.add(seen_whole(store))
            with hs.open(path, embedder=EMBEDDER) as fresh:
                assert fresh.check() == []
                met.add(seen_whole(fresh))
                assert answers(fresh, mode="keyword") == words
            promote(store, None)
            assert seen(store) == before
        assert met <= {before, after}
        assert turned(store).promoted
        assert seen(store) == after


def seen_whole(store):
    """Return what a store answers, all of it from one state."""
    with store.snapshot():
        return seen(store)


@pytest.mark.thorough
def test_a_version_after_another_is_trained_from_the_plain_embedder(store):
    plain = turned(store, dry_run=True)
    promote(store, store.learning.propose(version(random_adapter(size=5.0))))
    upon = turned(store)
    assert upon.promoted
    assert upon.verdict.overall.mean_b == pytest.approx(plain.verdict.overall.mean_b)
    assert upon.verdict.overall.mean_a < plain.verdict.overall.mean_a + 0.1
    assert rollback(store).number == 2
