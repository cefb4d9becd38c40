"""`tune`: accepted and refused by the real gate with the real default model, on invented passages."""

import json
import random
import shutil
import sqlite3
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore.cli import terminal
from hybridstore.cli.app import app
from hybridstore.errors import InputError
from hybridstore.tuning import adapter, adapter_tuning, full_tuning, gate
from hybridstore.tuning.training_set import held_out

# What this workshop calls its parts is in no passage, so that only its labelled questions teach it.
WORDS = {
    "valve": "zorbel",
    "gasket": "quimmet",
    "flange": "ulvo",
    "bearing": "bexu",
    "piston": "harnaw",
    "rotor": "siffik",
    "spindle": "yedwin",
    "gearbox": "okkatu",
}
PLACES = [
    *("workshop", "shed", "foundry", "harbour", "quarry", "mill", "brewery", "dairy"),
    *("tannery", "bakery", "shipyard", "sawmill", "smithy", "cellar", "orchard", "observatory"),
]
DONE = ["inspected", "greased", "replaced", "painted", "measured", "welded", "polished", "weighed", "rinsed"]
WHEN = ["in autumn", "before the fair", "after every storm", "at midsummer", "on Mondays", "when the river rises"]
WHO = ["the miller", "the apprentice", "the foreman", "a travelling smith", "the night watch", "two carters"]
SMALL = ("--most", 120, "--questions", 60)
FEW = ("--most", 40, "--questions", 20)  # where what is learned does not matter
STRONG = ("--epochs", 40, "--anchor", 0.5)


def documents():
    rng = random.Random(1)
    for part in WORDS:
        for place in PLACES:
            yield hs.Document(
                id=f"{part}-{place}",
                title=f"The {part} in the {place}",
                text=f"The {part} of the {place} is {rng.choice(DONE)} {rng.choice(WHEN)} by {rng.choice(WHO)}. "
                f"When it hums, {rng.choice(WHO)} has it {rng.choice(DONE)} on a bench near the gate.",
            )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make the store once, with the default model."""
    pytest.importorskip("onnxruntime", reason="the default model runs on it: pip install 'hybridstore[cpu]'")
    path = tmp_path_factory.mktemp("made") / "parts.db"
    with hs.open(path) as store:
        store.add(documents())
    return path


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    path = tmp_path_factory.mktemp("labelled") / "judged.jsonl"
    rows = (
        {"query": f"{word} {place}", "document": f"{part}-{place}"} for part, word in WORDS.items() for place in PLACES
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def tuned(made, labelled, tmp_path_factory):
    """Tune a copy with the labelled questions: the file, the page, and the output."""
    folder = tmp_path_factory.mktemp("tuned")
    path, page = folder / "parts.db", folder / "tuned.html"
    shutil.copy(made, path)
    arguments = ["--db", path, "tune", "--labelled", labelled, "--report", page, "--json", *SMALL, *STRONG]
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, (result.output, result.exception)
    return path, page, result


@pytest.fixture
def db(made, tmp_path):
    return shutil.copy(made, tmp_path / "parts.db")


def found(path):
    """Ask in the workshop's words for what nothing was trained on: the first document found, by the one asked for."""
    asked = {f"{part}-{place}": f"{word} {place}" for part, word in WORDS.items() for place in PLACES}
    with hs.open(path) as store:
        return {
            document: store.search(query, limit=1)[0].document_id
            for document, query in asked.items()
            if held_out(document)
        }


def right(answers):
    return sum(document == first for document, first in answers.items())


def versions(path):
    with hs.open(path, embedder="none") as store:
        return [(model.number, model.state) for model in store.learning.models()]


def triples(path):
    with hs.open(path, embedder="none") as store:
        return [(triple.kind, triple.query) for triple in store.learning.triples()]


@pytest.mark.thorough
def test_labelled_questions_teach_the_store_words_that_stand_nowhere_in_it(made, tuned):
    path, _, result = tuned
    outcome = json.loads(result.stdout)
    assert (outcome["number"], outcome["promoted"], outcome["method"]) == (1, True, "adapter")
    assert outcome["verdict"]["accepted"]
    assert outcome["verdict"]["overall"]["n"] == sum(held_out(document.id) for document in documents())
    assert outcome["harvested"]["questions"] == {"labelled": len(WORDS) * len(PLACES)}
    assert versions(path) == [(1, "active")]
    assert right(found(path)) > 2 * right(found(made))


@pytest.mark.thorough
def test_rolling_back_what_was_accepted_brings_the_old_answers_back(made, tuned, tmp_path):
    path = shutil.copy(tuned[0], tmp_path / "parts.db")
    result = CliRunner().invoke(app, ["--db", str(path), "model", "rollback"])
    assert result.stdout == "The plain embedder is active now.\n"
    assert found(path) == found(made)


@pytest.mark.thorough
def test_the_page_shows_questions_before_and_after_and_opens_offline(tuned):
    _, page, result = tuned
    root = ET.fromstring(page.read_text(encoding="utf-8"))  # noqa: S314 - it was made here
    text = "".join(root.itertext())
    example = json.loads(result.stdout)["examples"][0]
    assert example["query"] in text
    part, place = example["answer"].split("-")
    assert f"The {part} in the {place}" in text
    assert example["answer"] in example["after"]
    assert "✓" in text
    assert "words and meaning disagree about" in text
    assert str(page) in result.stderr


@pytest.mark.thorough
def test_no_questions_text_is_kept_with_the_version(tuned):
    example = json.loads(tuned[2].stdout)["examples"][0]
    with sqlite3.connect(tuned[0]) as connection:
        ((report,),) = connection.execute("SELECT report FROM models")
    connection.close()
    assert example["query"] not in report
    assert not any(word in report for word in WORDS.values())


@pytest.mark.thorough
def test_a_chance_gain_is_rejected_with_exit_code_0_and_changes_nothing(run, db):
    before = found(db)
    result = run("tune", *SMALL, "-q", "--epochs", 1)
    last = result.stdout.splitlines()[-1]
    assert last.startswith("Rejected: ")
    assert last.endswith("Nothing was changed; version 1 stays in the history.")
    assert "Trained on 120 questions" not in result.stdout  # a fifth of the documents is never trained on
    assert result.stderr == ""
    assert versions(db) == [(1, "refused")]
    assert found(db) == before


def forced(monkeypatch, *, accepted):
    """Have the gate say so, whatever was trained."""
    decide = gate.decide

    def decided(*arguments):
        verdict = decide(*arguments)
        return gate.Verdict(
            accepted=accepted,
            reason="for the test",
            overall=verdict.overall,
            kinds=verdict.kinds,
            tasks=verdict.tasks,
            questions=verdict.questions,
        )

    monkeypatch.setattr(gate, "decide", decided)


@pytest.mark.thorough
def test_a_dry_run_leaves_what_was_accepted_waiting_for_promote(run, db, monkeypatch):
    forced(monkeypatch, accepted=True)
    result = run("tune", *FEW, "--epochs", 1, "--dry-run")
    assert "Version 1 waits; `hybridstore model promote 1` puts it to use." in result.stdout
    assert versions(db) == [(1, "candidate")]
    assert "Version 1 (adapter) is active" in run("model", "promote").stdout
    assert versions(db) == [(1, "active")]


@pytest.mark.thorough
def test_auto_harvests_first_and_keeps_the_triples_that_it_cannot_make_again(run, db, labelled, monkeypatch):
    forced(monkeypatch, accepted=True)
    monkeypatch.setattr("hybridstore.tuning.user_questions.CORPUS", 40)
    few = labelled.with_name("few.jsonl")
    few.write_text("".join(line + "\n" for line in labelled.read_text().splitlines()[:10]))
    run("harvest", "--labelled", few, "-q")
    run("harvest", "--from", "corpus", "--most", 5, "--seed", 9, "--add", "-q")
    before = triples(db)
    with hs.open(db) as store:
        store.learning.log_queries(["who has the gearbox of the smithy polished"])
    result = run("tune", "--auto", *SMALL, "--epochs", 1)
    assert "Harvested: words and meaning disagree about" in result.stdout
    assert "Accepted: for the test. Version 1 answers now; `hybridstore model rollback` undoes it." in result.stdout
    after = triples(db)
    assert [each for each in after if each[0] == "labelled"] == [each for each in before if each[0] == "labelled"]
    assert len([each for each in before if each[0] == "labelled"]) == 10
    corpus = [each for each in before if each[0] != "labelled"]
    assert len(corpus) == 5
    assert not set(corpus) <= set(after)
    with hs.open(db) as store:
        assert [each.query for each in store.query_log()] == ["who has the gearbox of the smithy polished"]


@pytest.mark.thorough
def test_stopped_while_it_trains_it_says_what_is_kept(run, db, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(adapter, "train", stop)
    monkeypatch.setattr("hybridstore.tuning.user_questions.CORPUS", 10)
    assert run("tune", *FEW, code=130).stderr.endswith("Stopped. Nothing was changed.\n")
    assert triples(db) == []
    assert "The triples collected so far are kept; queries are answered as before." in (
        run("tune", "--auto", *FEW, code=130).stderr
    )
    assert triples(db)
    assert versions(db) == []


@pytest.mark.thorough
def test_stopped_at_the_very_change_it_says_where_to_look(run, db, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    forced(monkeypatch, accepted=True)
    monkeypatch.setattr(adapter_tuning, "promote", stop)
    stopped = run("tune", *FEW, "--epochs", 1, code=130)
    assert "`hybridstore model history` shows the active version" in stopped.stderr
    assert versions(db) == [(1, "candidate")]


@pytest.mark.thorough
def test_a_training_that_fails_changes_nothing(run, db, monkeypatch):
    def fail(*_, **__):
        raise InputError("the loss is no number")

    monkeypatch.setattr(adapter, "train", fail)
    assert run("tune", *FEW, code=1).stderr.endswith("Error: the loss is no number\n")
    assert versions(db) == []


@pytest.mark.thorough
def test_progress_names_each_step_and_shows_the_loss(run, db, monkeypatch):
    monkeypatch.setattr(terminal, "_EVERY", 0.0)
    outcome = run("tune", *FEW, "--epochs", 2).stderr
    steps = {line.partition(":")[0] for line in outcome.splitlines()}
    assert {
        "Making questions",
        "Embedding questions",
        "Evaluating the active version",
        "Evaluating the new version",
    } <= steps
    assert any(line.startswith("Training the adapter: ") and ", loss " in line for line in outcome.splitlines())
    assert " s left" in outcome


def test_a_full_fine_tune_gets_its_options(tmp_path, monkeypatch):
    hs.open(tmp_path / "empty.db", embedder="none").close()
    asked = {}
    verdict = gate.decide([], {task: [] for task in gate.TASKS}, {task: [] for task in gate.TASKS})
    report = adapter_tuning.TuneReport(number=7, promoted=False, verdict=verdict, questions={}, settings={}, seconds={})

    def tune_full(_, **options):
        asked.update(options)
        return report

    monkeypatch.setattr(full_tuning, "tune_full", tune_full)
    options = ["--method", "full", "--epochs", "3", "--base", "./here", "--questions", "50", "--dry-run"]
    result = CliRunner().invoke(app, ["--db", str(tmp_path / "empty.db"), "tune", *options])
    assert "Rejected: only 0 documents could be asked about" in result.stdout
    assert (asked["base"], asked["out"], asked["gate_questions"], asked["dry_run"]) == ("./here", None, 50, True)
    assert (asked["options"].epochs, asked["options"].rate) == (3, full_tuning.DEFAULTS.rate)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--rate", 0.1), 2, "--rate is for --method full"),
        (("--method", "full", "--rank", 8), 2, "--rank is for --method adapter"),
        (("--rank", 0), 2, "'--rank'"),
        (("--labelled", "nowhere.jsonl"), 1, "nowhere.jsonl"),
        (("--report", "nowhere/page.html"), 1, "there is no folder"),
    ],
)
def test_impossible_options_are_rejected_before_the_work(tmp_path, arguments, code, said):
    with hs.open(tmp_path / "part.db") as store:
        store.add(next(documents()))
    result = CliRunner().invoke(app, ["--db", str(tmp_path / "part.db"), "tune", *map(str, arguments)])
    assert result.exit_code == code
    assert said in result.stderr
    assert versions(tmp_path / "part.db") == []


def test_a_store_without_vectors_has_nothing_to_learn_for(tmp_path):
    path = tmp_path / "plain.db"
    with hs.open(path, embedder="none") as store:
        store.add(documents())
    for arguments in (["tune"], ["tune", "--auto"]):
        result = CliRunner().invoke(app, ["--db", str(path), *arguments])
        assert result.exit_code == 1
        assert "no vectors to learn for; `hybridstore reembed --embedder NAME` makes them" in result.stderr
