"""`remember`: notes and conversations, from the command line, standard input and files."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore import embedders
from hybridstore.cli import shared_options
from hybridstore.cli.app import app
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import MissingExtra
from hybridstore.memory import Memory
from hybridstore.memory.recalling import ORDERS
from hybridstore.memory.remembering import ON_SIMILAR

TURNS = [
    {"role": "user", "name": "Gina", "content": "I quit my job.", "time": "2026-01-02T10:00:00Z"},
    {"role": "assistant", "content": "What comes next?"},
]


def notes(path, namespace="default"):
    with hs.open(path, embedder="none") as store:
        return Memory(store, namespace).notes()


def note(path, id_, namespace="default"):
    with hs.open(path, embedder="none") as store:
        return Memory(store, namespace).get(id_)


def test_a_note_is_kept_with_its_words_and_its_id_printed(run, db):
    outcome = run("remember", "Anna", "lives", "in", "Paris", "--id", "home")
    assert outcome.stdout == "added home\n"
    assert note(db, "home").text == "Anna lives in Paris"


def test_the_same_text_is_not_kept_twice(run, db):
    first = run("remember", "Onions keep for months").stdout.split()[1]
    assert run("remember", "Onions keep for months").stdout == f"unchanged {first}; it was known already\n"
    assert run("remember", "Onions keep for months", "--meta", "a=1").stdout.startswith(f"updated {first};")
    assert len(notes(db)) == 1


def test_a_superseded_note_is_named_and_hidden(run, db):
    run("remember", "Anna lives in Paris", "--id", "paris")
    outcome = run("remember", "Anna lives in Rome", "--id", "rome", "--supersedes", "paris")
    assert outcome.stdout == "added rome; it supersedes paris\n"
    assert [each.id for each in notes(db)] == ["rome"]


def test_each_fact_about_a_note_reaches_it(run, db):
    before = datetime.now(UTC)
    run(
        *("remember", "The desk is in room 4", "--id", "desk", "--session", "move", "--ttl", "1d12h"),
        *("--occurred-at", "2026-01-01", "--valid-from", "2026-01-02T08:00:00Z", "--valid-to", "9000-01-01"),
    )
    found = note(db, "desk")
    assert found.session == "move"
    assert found.occurred_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert found.valid_from == datetime(2026, 1, 2, 8, tzinfo=UTC)
    assert found.valid_to == datetime(9000, 1, 1, tzinfo=UTC)
    assert timedelta(0) <= found.expires_at - before - timedelta(hours=36) < timedelta(minutes=5)


def test_metadata_are_json_where_they_are_json(run, db):
    pairs = ["year=2026", "lang=en", "tags=[1, 2]", "zip=007", "odd=NaN", "eq=a=b", "none=", "yes=true"]
    run("remember", "x", "--id", "x", *(part for pair in pairs for part in ("--meta", pair)))
    found = note(db, "x").metadata
    assert found == {
        "year": 2026,
        "lang": "en",
        "tags": [1, 2],
        "zip": "007",
        "odd": "NaN",
        "eq": "a=b",
        "none": "",
        "yes": True,
    }
    assert json.loads(run("recall", "x", "--json", "--where", "year=2026").stdout)["items"]


@pytest.mark.parametrize(
    ("pairs", "said"), [(["lang"], "write key=value"), (["=1"], "key=value"), (["a=1", "a=2"], "is repeated")]
)
def test_metadata_that_are_not_pairs_are_wrong_usage(run, db, pairs, said):
    outcome = run("remember", "x", *(part for pair in pairs for part in ("--meta", pair)), code=2)
    assert said in outcome.stderr
    assert notes(db) == []


def test_words_that_look_like_short_options_belong_to_the_text(run, db):
    run("remember", "it", "was", "-5", "outside", "--id", "cold")
    assert note(db, "cold").text == "it was -5 outside"
    assert "No such option" in run("remember", "x", "--supersede", "y", code=2).stderr


def test_standard_input_is_a_note_without_its_last_line_end(run, db):
    run("remember", "-", "--id", "piped", input="two\nlines\n")
    assert note(db, "piped").text == "two\nlines"
    assert "UTF-8" in run("remember", "-", input=b"\xff", code=1).stderr
    assert "the text is empty" in run("remember", "-", input="\n", code=1).stderr


def test_json_contains_everything(run):
    run("remember", "Anna lives in Paris", "--id", "paris")
    outcome = json.loads(
        run("remember", "Anna lives in Rome", "--id", "rome", "--supersedes", "paris", "--json").stdout
    )
    assert (outcome["id"], outcome["status"], outcome["supersedes"]) == ("rome", "superseded", ["paris"])


@pytest.mark.parametrize("form", ["list", "lines"])
def test_a_conversation_is_kept_turn_by_turn_and_only_what_is_new_of_it(run, db, tmp_path, form):
    def written(turns):
        file = tmp_path / "chat.json"
        lines = "\n\n".join(json.dumps(turn) for turn in turns)
        file.write_text(json.dumps(turns, indent=1) if form == "list" else f"{lines}\n")
        return file

    say = ("remember", "--session", "job", "--messages")
    assert run(*say, written(TURNS)).stdout == "added job/000001 to job/000002\n"
    assert run(*say, written(TURNS)).stdout == "unchanged job/000002; 2 turns were known already\n"
    longer = [*TURNS, {"content": "I paint."}]
    assert run(*say, written(longer)).stdout == "added job/000003; 2 turns were known already\n"
    kept = notes(db)
    assert [each.text for each in kept] == ["I quit my job.", "What comes next?", "I paint."]
    assert (kept[0].speaker, kept[0].occurred_at) == ("Gina", datetime(2026, 1, 2, 10, tzinfo=UTC))


def test_a_conversation_comes_from_standard_input_too(run):
    outcome = json.loads(run("remember", "--messages", "-", "--json", input=json.dumps(TURNS)).stdout)
    assert (outcome["added"], len(outcome["ids"])) == (2, 2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('\n{"content"', "line 2 of standard input is not JSON"),
        ("[1]", "message 1 must be a mapping"),
        ("[]", "contains no message"),
        ("\n\n", "contains no message"),
        ("[" * 100_000, "JSON ("),
        ('{"content": ""}', "nothing to remember"),
        ('{"content": "a", "time": "noon"}', "not a time in ISO 8601"),
    ],
)
def test_messages_that_cannot_be_read_are_a_sentence(run, db, content, said):
    assert said in run("remember", "--messages", "-", input=content, code=1).stderr
    assert notes(db) == []


def test_a_file_of_messages_that_is_not_there_leaves_no_store_behind(tmp_path):
    path = tmp_path / "new.db"
    outcome = CliRunner().invoke(app, ["--db", str(path), "remember", "--messages", str(tmp_path / "none.json")])
    assert outcome.exit_code == 1
    assert "none.json cannot be read: No such file or directory" in outcome.stderr
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "one of the three"),
        (["x", "--messages", "f"], 2, "one of the three"),
        (["--messages", "f"], 1, "f cannot be read"),
        ([""], 1, "the text is empty"),
        (["x", "--ttl", "5"], 2, "not a length of time"),
        (["x", "--ttl", "99999999w"], 1, "after the year 9999"),
        (["x", "--occurred-at", "yesterday"], 1, "occurred_at is 'yesterday', which is not a time"),
        (["x", "--valid-from", "2026-02-30"], 1, "valid_from is '2026-02-30'"),
        (["x", "--valid-to", "1999-01-01"], 1, "valid_to"),
        (["x", "--supersedes", "nope"], 1, "no note with the id 'nope'"),
        (["x", "--id", ""], 1, "a note's id"),
        (["x", "--namespace", "user//42"], 1, "a namespace must be one or more non-empty texts"),
        (["x", "--namespace", ""], 1, "a namespace must be one or more non-empty texts"),
        (["x", "--session", " "], 1, "the name of a session must be"),
        (["x", "--meta", "memory=1"], 1, "rename yours"),
    ],
)
def test_invalid_arguments_are_an_error_message_and_keep_nothing(run, db, arguments, code, said):
    assert said in run("remember", *arguments, code=code).stderr
    assert notes(db) == []


def test_options_for_notes_are_rejected_for_conversations(run, tmp_path):
    (tmp_path / "chat.json").write_text(json.dumps(TURNS))
    for option in (["--id", "x"], ["--valid-to", "2030-01-01"], ["--supersedes", "x"]):
        outcome = run("remember", "--messages", tmp_path / "chat.json", *option, code=2)
        assert "are for a note, not for --messages" in outcome.stderr


def test_namespaces_share_a_file_and_nothing_else(run, db, monkeypatch):
    run("remember", "Anna likes hiking", "--namespace", "user/42", "--id", "hobby")
    monkeypatch.setenv("HYBRIDSTORE_NAMESPACE", "user/43")
    run("remember", "Ben likes hiking", "--id", "hobby")
    run("remember", "Zoe likes hiking", "--id", "hobby", "--namespace", "a%2Fb/c")
    assert note(db, "hobby", ("user", "42")).text == "Anna likes hiking"
    assert note(db, "hobby", ("user", "43")).text == "Ben likes hiking"
    assert note(db, "hobby", ("a/b", "c")).text == "Zoe likes hiking"
    assert notes(db) == []


def invoked(path, *arguments):
    result = CliRunner().invoke(app, ["--db", str(path), *arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def test_a_missing_file_is_created_with_the_requested_embedder(tmp_path, monkeypatch):
    monkeypatch.setattr(embedders, "load", lambda *_, **__: HashingEmbedder(64))
    path = tmp_path / "new.db"
    invoked(path, "remember", "Anna lives in Paris", "--id", "paris", "--embedder", "hashing-64")
    with hs.open(path, embedder="none") as store:
        assert store.embeddings.active.dim == 64
    outcome = invoked(path, "remember", "Anna lives in Paris!", "--id", "again", "--on-similar", "link")
    assert outcome.stdout.startswith("added again; similar to paris (")
    refused = CliRunner().invoke(app, ["--db", str(path), "remember", "Anna lives in Paris?", "--on-similar", "error"])
    assert refused.exit_code == 1
    assert "similar notes: 'paris'" in refused.stderr or "similar notes: 'again'" in refused.stderr


def test_a_store_without_vectors_stays_without_and_says_so(run, db):
    assert "This store has no vectors" in run("remember", "Anna lives in Paris").stderr
    with hs.open(db, embedder="none") as store:
        assert store.stats().vectors == 0


def test_without_a_model_the_message_says_how_to_do_without(tmp_path, monkeypatch):
    def lacking(*_, **__):
        raise MissingExtra("cpu", "embedding", "onnxruntime")

    monkeypatch.setattr(embedders, "load", lacking)
    outcome = CliRunner().invoke(app, ["--db", str(tmp_path / "new.db"), "remember", "x"])
    assert outcome.exit_code == 1
    assert '"--embedder none" creates a store that is searched by keywords' in outcome.stderr


def test_the_offered_choices_are_the_librarys():
    assert shared_options.ON_SIMILAR == ON_SIMILAR
    assert shared_options.ORDERS == ORDERS
