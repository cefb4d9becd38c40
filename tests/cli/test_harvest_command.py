"""`harvest`: triples made, shown, written and forgotten; the log."""

import json
import re

import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore import embedders
from hybridstore.cli import harvest_command as command
from hybridstore.cli.app import app
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.tuning import endpoint, synthetic_questions

PARTS = ("valve", "gasket", "flange", "bearing", "piston", "rotor", "stator", "bushing", "sprocket", "spindle")


def document(part, place):
    return hs.Document(
        id=f"{part}-{place}",
        title=f"The {part} in the {place}",
        text=f"Every {part} of the {place} is inspected in autumn and greased with lithium soap afterwards. "
        f"A worn {part} hums at low speed; then the crew of the {place} takes it apart on a bench.",
    )


@pytest.fixture
def db(tmp_path, monkeypatch):
    path = tmp_path / "parts.db"
    monkeypatch.setattr(embedders, "load", lambda *_, **__: HashingEmbedder())
    with hs.open(path, embedder=HashingEmbedder()) as store:
        store.add([document(part, place) for part in PARTS for place in ("workshop", "shed", "foundry")])
        store.learning.log_queries(["who greases the valve", "who greases the valve", "what \x1b[31mhums"])
    return path


def outcome(run, *arguments):
    return json.loads(run("harvest", *arguments, "--json").stdout)


def test_names_written_out_for_fast_help_are_those_of_the_rooms():
    assert command.KINDS == synthetic_questions.KINDS


def test_a_harvest_reports_what_it_made_and_keeps_it(run):
    result = run("harvest", "--most", 20, "--quiet")
    assert "crop" in result.stdout
    assert "log" in result.stdout
    assert "The store now has" in result.stdout
    assert result.stderr == ""
    summary = outcome(run, "--from", "corpus", "--most", 20)
    assert summary["total"]["questions"] == 20
    assert summary["kept"] == summary["total"]["triples"] == len(outcome(run, "--show", 99))
    assert sum(each["questions"] for each in summary["kinds"].values()) == 20


def test_only_the_kinds_named_are_made(run):
    assert list(outcome(run, "--from", "corpus", "--kinds", "crop, keywords", "--most", 9)["kinds"]) == [
        "crop",
        "keywords",
    ]


def test_a_second_harvest_takes_the_place_of_the_first_unless_it_adds(run):
    harvest = ("--from", "corpus", "--kinds", "crop", "--most", 3)
    assert [outcome(run, *harvest, *more)["kept"] for more in ((), (), ("--add",))] == [3, 3, 6]


def test_the_log_alone_can_be_harvested(run):
    summary = outcome(run, "--from", "log")
    assert summary["kinds"].keys() == {"log"}
    assert summary["total"]["questions"] == 2


def judged(db):
    """Say of two hits that one was of use and the other was not."""
    with hs.open(db, embedder="none") as store:
        learning, hits = store.learning, store.search("gasket shed", limit=2)
        learning.add_feedback("who seals the shed", hits[0].chunk_id, used=True)
        learning.add_feedback("who seals the shed", hits[1].chunk_id, used=False)
    return hits


def test_feedback_makes_triples(run, db):
    used, useless = judged(db)
    assert outcome(run, "--from", "feedback")["total"]["triples"] == 1
    (triple,) = outcome(run, "--show")
    assert triple["positive"]["document"] == used.document_id
    assert triple["negatives"][0]["document"] == useless.document_id
    assert triple["negatives"][0]["excluded"] is None


def test_a_labelled_file_is_the_only_source_unless_others_are_named(run, tmp_path):
    file = tmp_path / "judged.jsonl"
    file.write_text('{"query": "who greases the rotor", "document": "rotor-shed"}\n')
    assert outcome(run, "--labelled", file)["kinds"].keys() == {"labelled"}
    assert outcome(run, "--labelled", file, "--from", "log")["kinds"].keys() == {"labelled", "log"}
    file.write_text('{"query": "who greases the rotor"}\n')
    assert "line 1" in run("harvest", "--labelled", file, code=1).stderr


def test_triples_are_shown_readably(run, db):
    used, useless = judged(db)
    run("harvest", "--from", "feedback,corpus", "--most", 12)
    shown = run("harvest", "--show", 1).stdout.splitlines()
    assert shown[0] == "who seals the shed"
    assert shown[1].startswith("  feedback, the legs ")
    assert re.search(rf"^  \+ 0\.\d{{3}}  \[{used.document_id}\] The gasket", "\n".join(shown), re.MULTILINE)
    assert re.search(rf"^  - 0\.\d{{3}}  (keyword|vector): \[{useless.document_id}\]", "\n".join(shown), re.MULTILINE)
    assert len(outcome(run, "--show", 2)) == 2
    assert len(outcome(run, "--show")) == 10


def test_triples_are_written_as_lines_of_json_with_their_texts(run, tmp_path):
    run("harvest", "--from", "corpus", "--most", 12)
    run("harvest", "--jsonl", tmp_path / "triples.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "triples.jsonl").read_text().splitlines()]
    assert rows == [json.loads(line) for line in run("harvest", "--jsonl", "-").stdout.splitlines()]
    assert len(rows) == 12
    assert {"query", "kind", "positive", "negatives", "disagreed"} <= rows[0].keys()
    assert all("hums" in row["positive"]["text"] for row in rows)
    assert "cannot be written" in run("harvest", "--jsonl", tmp_path / "no" / "where.jsonl", code=1).stderr


def test_triples_are_forgotten(run):
    kept = outcome(run, "--from", "corpus", "--most", 5)["kept"]
    assert f"Deleted {kept} triples" in run("harvest", "--forget").stderr
    assert outcome(run, "--forget") == {"forgotten": 0}
    assert "no triples yet" in run("harvest", "--show").stdout


def test_the_log_is_listed_without_control_characters_and_deleted(run):
    assert [(each["query"], each["times"]) for each in outcome(run, "--asked")] == [
        ("who greases the valve", 2),
        ("what \x1b[31mhums", 1),
    ]
    listed = run("harvest", "--asked").stdout
    assert "who greases the valve" in listed
    assert "\x1b" not in listed
    assert outcome(run, "--forget-asked") == {"forgotten": 2}
    assert "The query log of this store is empty" in run("harvest", "--asked").stdout
    assert outcome(run, "--asked") == []


def test_without_questions_there_is_an_error_and_earlier_triples_stay(run):
    run("harvest", "--from", "corpus", "--most", 3)
    run("harvest", "--forget-asked")
    assert "no questions" in run("harvest", "--from", "log", code=1).stderr
    assert len(outcome(run, "--show")) == 3


def test_a_store_without_vectors_is_an_error_that_says_how_to_get_them(tmp_path):
    path = tmp_path / "plain.db"
    with hs.open(path, embedder="none") as store:
        store.add([document(part, "shed") for part in PARTS])
    result = CliRunner().invoke(app, ["--db", str(path), "harvest"])
    assert result.exit_code == 1
    assert "hybridstore reembed" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--from", "corpus,dreams"),
        ("--kinds", "riddle"),
        ("--show", "--forget"),
        ("--asked", "--jsonl", "-"),
        ("--endpoint", "http://localhost/v1"),
        ("--model", "writer"),
        ("--judge", "endpoint"),
        ("--from", "endpoint"),
    ],
)
def test_wrong_usage_is_reported(run, arguments):
    assert "Error" in run("harvest", *arguments, code=2).stderr


def test_an_endpoint_writes_questions_or_judges_and_is_asked_only_if_named(run, monkeypatch):
    asked = []

    def complete(self, prompt):
        asked.append((self.url, self.model, prompt))
        return "answers" if "Passage B" in prompt else '["who greases it in autumn"]'

    monkeypatch.setattr(endpoint.Endpoint, "complete", complete)
    run("harvest", "--most", 3)
    assert asked == []
    at = ("--endpoint", "http://localhost:1/v1", "--model", "writer")
    assert outcome(run, *at, "--most", 3)["kinds"].keys() == {"endpoint"}
    assert {(url, model) for url, model, _ in asked} == {("http://localhost:1/v1", "writer")}
    asked.clear()
    summary = outcome(run, *at, "--judge", "endpoint", "--from", "corpus", "--kinds", "crop", "--most", 3)
    assert summary["kinds"].keys() == {"crop"}
    assert summary["total"]["judge"] == len(asked)
    assert all("Passage B" in prompt for _, _, prompt in asked)


def test_progress_counts_questions(run):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hybridstore.cli.terminal._EVERY", 0.0)
        assert "5/5 questions" in run("harvest", "--from", "corpus", "--most", 5).stderr
