"""`forget` and `purge`: what goes, what is asked before, and what is told of it."""

import json
import re

import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore.backends.values import PurgeReport, Residue
from hybridstore.cli import forget_commands
from hybridstore.cli.app import app
from hybridstore.memory import Memory

BOTH = pytest.mark.parametrize("command", ["forget", "purge"])


@pytest.fixture
def remembered(db):
    with hs.open(db, embedder="none") as store:
        memory = Memory(store)
        memory.remember("Anna lives in Paris", id="paris", metadata={"about": "anna"})
        memory.remember("Anna lives in Rome", id="rome", metadata={"about": "anna"}, supersedes="paris")
        memory.remember("The zanzibarian password", id="password", metadata={"about": "work"})
        Memory(store, "other").remember("Somebody else", id="rome")
    return db


def left(db, namespace="default"):
    with hs.open(db, embedder="none") as store:
        return {note.id for note in Memory(store, namespace)._space.notes()}


@pytest.fixture
def somebody(monkeypatch):
    """Let somebody sit there to answer."""
    monkeypatch.setattr(forget_commands, "interactive", lambda: True)


@BOTH
def test_ids_go_with_their_older_versions_and_without_a_question(run, remembered, command):
    told = run(command, "rome")
    assert ("Forgot 2 notes." in told.stderr) or ("Purged 2 notes." in told.stdout)
    assert left(remembered) == {"password"}
    assert left(remembered, "other") == {"rome"}


@BOTH
def test_a_dry_run_shows_what_would_go_and_takes_nothing(run, remembered, command):
    told = run(command, "--where", "about=anna", "--dry-run")
    assert [line.split()[0] for line in told.stdout.splitlines()] == ["id", "paris", "rome"]
    assert "Anna lives in Rome" in told.stdout
    assert "2 notes would be forgotten; nothing was changed." in told.stderr
    assert left(remembered) == {"paris", "rome", "password"}


@BOTH
def test_somebody_who_says_no_keeps_everything(run, remembered, somebody, command):
    told = run(command, "password", input="n\n")
    assert "The zanzibarian password" in told.stdout
    assert "Forget 1 note?" in told.stderr
    assert "nothing was changed" in told.stderr
    assert len(left(remembered)) == 3


@BOTH
def test_somebody_who_says_yes_is_asked_once(run, remembered, somebody, command):
    told = run(command, "--where", "about=work", input="y\n")
    assert told.stderr.count("Forget") == 1
    assert left(remembered) == {"paris", "rome"}


@BOTH
def test_somebody_who_leaves_keeps_everything(run, remembered, somebody, command):
    assert "Stopped. Nothing was changed." in run(command, "--all", code=130, input="").stderr
    assert len(left(remembered)) == 3


def test_of_many_notes_only_some_are_shown_before_asking(run, remembered, somebody):
    with hs.open(remembered, embedder="none") as store:
        for number in range(30):
            Memory(store).remember(f"Number {number}", id=f"n{number}")
    told = run("forget", "--all", input="n\n")
    assert len(told.stdout.splitlines()) == 1 + forget_commands._SHOWN
    assert "and 13 more; --dry-run shows all" in told.stderr
    assert len(run("forget", "--all", "--dry-run").stdout.splitlines()) == 1 + 33


@BOTH
@pytest.mark.parametrize("arguments", [["--all"], ["--where", "about=anna"]])
def test_without_anyone_to_ask_filters_and_all_want_yes(run, remembered, command, arguments):
    assert "nobody can confirm here; --yes" in run(command, *arguments, code=2).stderr
    assert len(left(remembered)) == 3
    run(command, *arguments, "--yes")
    assert left(remembered) == (set() if arguments == ["--all"] else {"password"})
    assert left(remembered, "other") == {"rome"}


def test_documents_that_are_no_notes_stay(run, remembered):
    run("purge", "--all", "--yes")
    with hs.open(remembered, embedder="none") as store:
        assert [document.id for document in store.documents()] == ["keys", "soup", "suppe", "memory://other/rome"]


@BOTH
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([""], 1, "nothing was forgotten|non-empty"),
        ([], 2, "one of the three"),
        (["rome", "--all"], 2, "one of the three"),
        (["rome", "--where", "a=1"], 2, "one of the three"),
        (["--where", "{}", "--yes"], 1, "restricts nothing"),
        (["--where", "", "--yes"], 1, "is not a filter"),
        (["--where", "memory.in=default", "--yes"], 1, "every one of the 3 notes .* everything=True \\(--all\\)"),
        (["--all", "--yes", "--namespace", ""], 1, "a namespace must be one or more non-empty texts"),
    ],
)
def test_what_names_nothing_or_too_much_is_refused(run, remembered, command, arguments, code, said):  # noqa: PLR0917 - what is given, what comes
    told = run(command, *arguments, code=code)
    assert re.search(said, " ".join(told.stderr.split()))
    assert len(left(remembered)) == 3


def test_an_unknown_id_forgets_nothing_at_all(run, remembered):
    assert "no note with the id 'nope'" in run("forget", "password", "nope", code=1).stderr
    assert len(left(remembered)) == 3


@BOTH
def test_a_filter_that_nothing_passes_takes_nothing(run, remembered, command):
    assert "No note matches." in run(command, "--where", "about=ben", "--yes").stderr
    assert len(left(remembered)) == 3


@BOTH
def test_as_json_the_notes_are_told_and_nothing_else_is_printed(run, remembered, command):
    told = json.loads(run(command, "--where", "about=anna", "--dry-run", "--json").stdout)
    assert (told["gone"], [note["id"] for note in told["notes"]]) == (False, ["paris", "rome"])
    told = json.loads(run(command, "password", "--json").stdout)
    assert (told["gone"], [note["id"] for note in told["notes"]]) == (True, ["password"])
    if command == "purge":
        assert told["report"]["clean"] is True
    assert left(remembered) == {"paris", "rome"}


def test_a_purge_leaves_no_byte_and_says_where_it_looked(run, remembered):
    assert b"zanzibarian" in remembered.read_bytes()
    told = run("purge", "password").stdout.splitlines()
    assert told[0] == "Purged 1 note."
    assert told[1].startswith(f"Clean: {remembered}")
    assert " searched for " in told[1]
    assert b"zanzibarian" not in remembered.read_bytes()


def test_a_note_that_was_forgotten_before_can_be_purged_by_its_id(run, remembered):
    run("forget", "password")
    told = run("purge", "password")
    assert "Purged 0 notes.\nNot among the notes any more" in told.stdout
    assert b"zanzibarian" not in remembered.read_bytes()


def test_nobody_looks_when_told_not_to(run, remembered):
    assert "The file was not searched for remaining bytes" in run("purge", "password", "--no-verify").stdout
    assert b"zanzibarian" not in remembered.read_bytes()


def test_while_another_reads_the_file_as_it_was_the_purge_exits_with_1_and_says_what_to_do(remembered, monkeypatch):
    from hybridstore.cli.store_option import Target

    opening = Target.open

    def impatient(self, **how):
        store = opening(self, **how)
        store._backend._connections.busy_timeout = 0.05
        return store

    monkeypatch.setattr(Target, "open", impatient)
    with hs.open(remembered, embedder="none") as other, other.snapshot():
        other.count()
        told = CliRunner().invoke(app, ["--db", str(remembered), "purge", "password"])
    assert told.exit_code == 1, told.output
    assert "Not clean" in told.stdout
    assert "What to do: somebody still reads the file as it was" in told.stdout
    again = CliRunner().invoke(app, ["--db", str(remembered), "purge", "password"])
    assert again.exit_code == 0, again.output
    assert b"zanzibarian" not in remembered.read_bytes()


def test_each_place_that_is_left_is_named(run, remembered, monkeypatch):
    places = tuple(Residue("notes.db", "text", 1000 + number) for number in range(12))
    report = PurgeReport(
        documents=1, chunks=1, questions=2, clean=False, needles=9, excluded=1, unsearched=1, residues=places,
        files=(("notes.db", 2048),), remedy="do this",
    )  # fmt: skip
    monkeypatch.setattr(Memory, "purge", lambda *_, **__: report)
    told = run("purge", "password", code=1).stdout
    assert "Purged 1 note, and 2 log entries with their words." in told
    assert "Not clean: notes.db (2.0 KB) searched for 9 pieces of the notes, and found:" in told
    assert "    text in notes.db at byte 1,000\n" in told
    assert "    and 2 places more" in told
    assert "What to do: do this." in told


@BOTH
def test_a_store_that_is_not_there_is_not_made(tmp_path, command):
    told = CliRunner().invoke(app, ["--db", str(tmp_path / "new.db"), command, "x"])
    assert told.exit_code == 1
    assert "remember TEXT`" in told.stderr
    assert not (tmp_path / "new.db").exists()
