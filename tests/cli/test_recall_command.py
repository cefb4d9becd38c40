"""`recall`: a list for people, a block for models, JSON for programs."""

import json
import os

import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore.cli.app import app
from hybridstore.memory import Memory


@pytest.fixture
def remembered(db):
    """A store with notes of two moments, a conversation, and another namespace's note."""
    with hs.open(db, embedder="none") as store:
        memory = Memory(store)
        memory.remember("Anna lives in Paris", id="paris", occurred_at="2026-01-01", metadata={"about": "anna"})
        memory.remember("Anna lives in Rome", id="rome", occurred_at="2026-03-01", supersedes="paris")
        memory.remember(
            [
                {"role": "user", "name": "Gina", "content": "I quit my job.", "time": "2026-01-02T10:00:00Z"},
                {"role": "assistant", "content": "What comes next?", "time": "2026-01-02T10:01:00Z"},
            ],
            session="talk",
        )
        Memory(store, "other").remember("Anna keeps a secret", id="secret")
    return db


def recalled(db, query, **how):
    with hs.open(db) as store:
        return Memory(store).recall(query, **how)


def ids(result):
    return [item["id"] for item in json.loads(result.stdout)["items"]]


def test_into_a_pipe_goes_exactly_the_block_for_a_model(run, remembered):
    block = str(recalled(remembered, "where does Anna live"))
    assert "Anna lives in Rome" in block
    assert run("recall", "where", "does", "Anna", "live").stdout == f"{block}\n"
    assert run("recall", "where does Anna live", "--block").stdout == f"{block}\n"


def test_for_people_each_item_has_its_time_speaker_and_id(run, remembered):
    outcome = run("recall", "job", "--plain")
    assert outcome.stdout.splitlines() == [" 1. Gina · 2026-01-02T10:00Z · talk/000001", "    I quit my job."]
    assert outcome.stderr.splitlines()[-1].startswith("1 item, ")


def test_a_note_of_a_session_names_it_and_until_when_it_held(run, remembered):
    run("remember", "Zebras sleep standing", "--id", "zebra", "--session", "zoo", "--valid-to", "9000-01-01")
    assert " zebra · session zoo · until 9000-01-01" in run("recall", "zebras", "--plain").stdout


def test_a_terminal_gets_the_list_and_a_pipe_the_block(process, remembered):
    ours, theirs = os.openpty()
    with process("--db", remembered, "recall", "job", stdout=theirs) as running:
        os.close(theirs)
        shown = b""
        while b"quit" not in shown and (part := os.read(ours, 4096)):
            shown += part
        running.wait(timeout=60)
    os.close(ours)
    assert "Gina" in shown.decode()
    assert "<recalled" not in shown.decode()
    with process("--db", remembered, "recall", "job") as running:
        out, _ = running.communicate(timeout=60)
    assert out.startswith("<recalled query=")


def test_notes_of_another_time_are_recalled_as_of_then(run, remembered):
    assert ids(run("recall", "Anna", "--json")) == ["rome"]
    assert ids(run("recall", "Anna", "--json", "--as-of", "2026-02-01")) == ["paris"]


def test_sessions_filters_and_namespaces_restrict_it(run, remembered):
    assert ids(run("recall", "job Anna", "--json", "--session", "talk")) == ["talk/000001"]
    assert ids(run("recall", "Anna", "--json", "--as-of", "2026-02-01", "--where", "about=ben")) == []
    assert ids(run("recall", "Anna", "--json", "--namespace", "other")) == ["secret"]


def test_neighbours_order_and_recency_reach_the_library(run, remembered):
    outcome = run("recall", "comes next", "--neighbours", 1, "--plain").stdout
    assert "talk/000001 · next to talk/000002" in outcome
    assert ids(run("recall", "comes next Anna", "--json", "--order", "time")) == ["talk/000002", "rome"]
    plain = json.loads(run("recall", "job", "--json").stdout)["items"][0]["score"]
    aged = json.loads(run("recall", "job", "--json", "--recency", "1h").stdout)["items"][0]["score"]
    assert aged == pytest.approx(plain / 2, rel=1e-3)  # all that age can take


def test_json_is_what_the_library_returns(run, remembered):
    found = recalled(remembered, "Anna job")
    outcome = json.loads(run("recall", "Anna job", "--json").stdout)
    assert outcome["tokens"] == found.tokens
    assert [item["id"] for item in outcome["items"]] == [item.id for item in found]
    assert outcome["left_out"] == {"over_budget": 0, "copies": 0, "fillers": 0}
    assert outcome["confident"] is found.confident


def test_items_over_budget_and_repetitions_are_counted(run, remembered):
    for name in ("a", "b", "c"):
        run("remember", f"Leeks grow in garden {name} " + "and more " * 30, "--id", name)
    run("remember", "leeks grow in garden A " + "and more " * 30, "--id", "copy")
    said = run("recall", "leeks grow", "--plain", "--max-tokens", 250).stderr
    assert "more matched; a higher --max-tokens shows them." in said
    assert "1 left out because an item above says the same." in said
    assert "Not even an empty block fits" in run("recall", "leeks", "--max-tokens", 1).stderr


def test_where_nothing_matches_that_is_said(run, remembered):
    outcome = run("recall", "xylophone", "--plain")
    assert outcome.stdout == ""
    assert "No note matches." in outcome.stderr
    assert "Nothing that is remembered matches." in run("recall", "xylophone").stdout


def test_a_probable_miss_is_announced_above_the_closest_items(tmp_path):
    pytest.importorskip("onnxruntime", reason="how sure a recall is takes a real model")

    def run(*arguments, **options):
        outcome = CliRunner().invoke(app, ["--db", str(tmp_path / "real.db"), *arguments], **options)
        assert outcome.exit_code == 0, outcome.output
        return outcome

    said = ["Anna lives in Rome", "Leeks grow in the garden", "Gina quit her job", "The train leaves at nine"]
    run("remember", "--messages", "-", "--session", "t", input=json.dumps([{"content": text} for text in said]))
    missed = run("recall", "how tall is mount everest", "--plain").stderr.splitlines()
    assert missed[0].startswith("Probably nothing here answers this (confidence 0.")
    assert ", confidence 0." in missed[-1]
    found = run("recall", "in which city is Anna's home", "--plain")
    assert "Probably" not in found.stderr
    assert found.stdout.splitlines()[1] == "    Anna lives in Rome"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "Missing argument"),
        ([""], 1, "the query has no words"),
        (["  "], 1, "the query has no words"),
        (["x", "--as-of", "soon"], 1, "as_of is 'soon', which is not a time in ISO 8601"),
        (["x", "--recency", "long"], 2, "not a length of time"),
        (["x", "--max-tokens", "0"], 2, "--max-tokens"),
        (["x", "--order", "size"], 2, "--order"),
        (["x", "--where", "what is this"], 1, "write year>=2020"),
        (["x", "--session-name", "y"], 2, "No such option"),
    ],
)
def test_invalid_arguments_are_an_error_message(run, remembered, arguments, code, said):
    outcome = run("recall", *arguments, code=code)
    assert said in outcome.stderr
    assert outcome.stdout == ""


def test_control_characters_cannot_drive_a_terminal(run, remembered):
    run("remember", "bell \x1b[31m red", "--id", "evil")
    assert "\x1b" not in run("recall", "bell", "--plain").stdout
    assert "\x1b[31m" in run("recall", "bell").stdout  # a program gets what was said
