"""`forget` and `purge`: which notes go, what is confirmed before, and what is reported."""

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
    result = run(command, "rome")
    assert ("Forgot 2 notes." in result.stderr) or ("Purged 2 notes." in result.stdout)
    assert left(remembered) == {"password"}
    assert left(remembered, "other") == {"rome"}


@BOTH
def test_a_dry_run_shows_the_notes_and_changes_nothing(run, remembered, command):
    result = run(command, "--where", "about=anna", "--dry-run")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["id", "paris", "rome"]
    assert "Anna lives in Rome" in result.stdout
    assert "2 notes would be forgotten; nothing was changed." in result.stderr
    assert left(remembered) == {"paris", "rome", "password"}


@BOTH
def test_answering_no_keeps_everything(run, remembered, somebody, command):
    result = run(command, "password", input="n\n")
    assert "The zanzibarian password" in result.stdout
    assert "Forget 1 note?" in result.stderr
    assert "nothing was changed" in result.stderr
    assert len(left(remembered)) == 3


@BOTH
def test_answering_yes_is_asked_once(run, remembered, somebody, command):
    result = run(command, "--where", "about=work", input="y\n")
    assert result.stderr.count("Forget") == 1
    assert left(remembered) == {"paris", "rome"}


@BOTH
def test_interrupting_keeps_everything(run, remembered, somebody, command):
    assert "Stopped. Nothing was changed." in run(command, "--all", code=130, input="").stderr
    assert len(left(remembered)) == 3


def test_of_many_notes_only_some_are_shown_before_asking(run, remembered, somebody):
    with hs.open(remembered, embedder="none") as store:
        for number in range(30):
            Memory(store).remember(f"Number {number}", id=f"n{number}")
    result = run("forget", "--all", input="n\n")
    assert len(result.stdout.splitlines()) == 1 + forget_commands._SHOWN
    assert "and 13 more; --dry-run shows all" in result.stderr
    assert len(run("forget", "--all", "--dry-run").stdout.splitlines()) == 1 + 33


@BOTH
@pytest.mark.parametrize("arguments", [["--all"], ["--where", "about=anna"]])
def test_without_a_terminal_filters_and_all_need_yes(run, remembered, command, arguments):
    assert "nobody can confirm here; --yes" in run(command, *arguments, code=2).stderr
    assert len(left(remembered)) == 3
    run(command, *arguments, "--yes")
    assert left(remembered) == (set() if arguments == ["--all"] else {"password"})
    assert left(remembered, "other") == {"rome"}


def test_documents_that_are_not_notes_stay(run, remembered):
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
def test_naming_nothing_or_too_much_is_rejected(run, remembered, command, arguments, code, said):  # noqa: PLR0917 - what is given, what comes
    result = run(command, *arguments, code=code)
    assert re.search(said, " ".join(result.stderr.split()))
    assert len(left(remembered)) == 3


def test_an_unknown_id_forgets_nothing_at_all(run, remembered):
    assert "no note with the id 'nope'" in run("forget", "password", "nope", code=1).stderr
    assert len(left(remembered)) == 3


@BOTH
def test_a_filter_that_nothing_passes_takes_nothing(run, remembered, command):
    assert "No note matches." in run(command, "--where", "about=ben", "--yes").stderr
    assert len(left(remembered)) == 3


@BOTH
def test_json_contains_the_notes_and_nothing_else_is_printed(run, remembered, command):
    result = json.loads(run(command, "--where", "about=anna", "--dry-run", "--json").stdout)
    assert (result["gone"], [note["id"] for note in result["notes"]]) == (False, ["paris", "rome"])
    result = json.loads(run(command, "password", "--json").stdout)
    assert (result["gone"], [note["id"] for note in result["notes"]]) == (True, ["password"])
    if command == "purge":
        assert result["report"]["clean"] is True
    assert left(remembered) == {"paris", "rome"}


def test_a_purge_leaves_no_byte_and_says_where_it_looked(run, remembered):
    assert b"zanzibarian" in remembered.read_bytes()
    result = run("purge", "password").stdout.splitlines()
    assert result[0] == "Purged 1 note."
    assert result[1].startswith(f"Clean: {remembered}")
    assert " searched for " in result[1]
    assert b"zanzibarian" not in remembered.read_bytes()


def test_a_note_that_was_forgotten_before_can_be_purged_by_its_id(run, remembered):
    run("forget", "password")
    result = run("purge", "password")
    assert "Purged 0 notes.\nNot among the notes any more" in result.stdout
    assert b"zanzibarian" not in remembered.read_bytes()


def test_no_verify_does_not_search_the_file(run, remembered):
    assert "The file was not searched for remaining bytes" in run("purge", "password", "--no-verify").stdout
    assert b"zanzibarian" not in remembered.read_bytes()


def test_while_another_reads_the_file_as_it_was_the_purge_exits_with_1_and_says_what_to_do(remembered, monkeypatch):
    from hybridstore.cli.shared_options import Target

    opening = Target.open

    def impatient(self, **how):
        store = opening(self, **how)
        store._backend._connections.busy_timeout = 0.05
        return store

    monkeypatch.setattr(Target, "open", impatient)
    with hs.open(remembered, embedder="none") as other, other.snapshot():
        other.count()
        result = CliRunner().invoke(app, ["--db", str(remembered), "purge", "password"])
    assert result.exit_code == 1, result.output
    assert "Not clean" in result.stdout
    assert "What to do: another process still reads the file as it was" in result.stdout
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
    result = run("purge", "password", code=1).stdout
    assert "Purged 1 note, and 2 log entries with their words." in result
    assert "Not clean: notes.db (2.0 KB) searched for 9 pieces of the notes, and found:" in result
    assert "    text in notes.db at byte 1,000\n" in result
    assert "    and 2 places more" in result
    assert "What to do: do this." in result


@BOTH
def test_a_store_that_is_not_there_is_not_made(tmp_path, command):
    result = CliRunner().invoke(app, ["--db", str(tmp_path / "new.db"), command, "x"])
    assert result.exit_code == 1
    assert "remember TEXT`" in result.stderr
    assert not (tmp_path / "new.db").exists()


def test_a_document_is_purged_by_remove_and_not_taken_for_a_note_that_is_gone(run, remembered):
    assert "`hybridstore remove --purge soup` erases it" in run("purge", "password", "soup", code=1).stderr
    assert left(remembered) == {"paris", "rome", "password"}
    assert b"Onion soup" in remembered.read_bytes()
    assert "Nothing was removed" in run("remove", "--purge", "soup", input="n\n").stderr
    assert b"Onion soup" in remembered.read_bytes()
    result = run("remove", "--purge", "soup", "keys", "--yes").stdout.splitlines()
    assert result[0] == "Purged 2 documents."
    assert result[1].startswith(f"Clean: {remembered}")
    assert b"Onion soup" not in remembered.read_bytes()


def test_a_document_that_was_removed_before_can_be_purged_by_its_id(run, db):
    run("remove", "soup", "--yes")
    assert b"Onion soup" in db.read_bytes()
    result = run("remove", "--purge", "soup")
    assert "Purged 0 documents.\nNot among the documents any more, but searched for as well: soup." in result.stdout
    assert b"Onion soup" not in db.read_bytes()
    assert "No document matches" in run("remove", "--purge", "--where", "year<1900").stderr
