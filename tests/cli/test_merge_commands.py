"""`merge` and `conflicts`: what is said, and the exit codes."""

import json
from pathlib import Path

from click.testing import CliRunner

import hybridstore as hs
from hybridstore.cli.app import app
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.memory import Memory


def other(path: Path) -> Path:
    """Make a store that was changed apart."""
    with hs.open(path / "other.db", embedder="none") as store:
        store.add([{"id": "soup", "text": "Another soup"}, {"id": "tea", "text": "Green tea"}])
        store.purge("keys")
    return path / "other.db"


def test_a_merge_says_what_comes_in_goes_and_is_in_conflict(run, tmp_path):
    path = other(tmp_path)
    foreseen = run("merge", str(path), "--dry-run")
    assert {line.split()[0] for line in foreseen.stdout.splitlines()} == {"added", "replaced", "purged", "conflict"}
    assert "would be added" in foreseen.stderr
    done = run("merge", str(path))
    assert "1 document added; 1 document replaced; 1 document purged." in done.stderr
    assert "1 document changed on both sides" in done.stderr
    assert "none of" in done.stderr
    assert "Nothing new" in run("merge", str(path)).stderr
    assert json.loads(run("merge", str(path), "--json").stdout)["added"] == []


def test_a_conflict_is_shown_and_ended(run, tmp_path):
    run("merge", str(other(tmp_path)))
    (found,) = json.loads(run("conflicts", "--json").stdout)
    assert found["id"] == "soup"
    shown = run("conflicts")
    assert f"soup: {found['text'][:20]}" in shown.stdout
    assert "1 conflict" in shown.stderr
    run("conflicts", "--keep", found["copy"])
    assert run("get", "soup").stdout.strip() == found["other"].strip()
    assert "No document was changed" in run("conflicts").stderr
    assert "not in conflict" in run("conflicts", "--keep", "soup", code=1).stderr


def test_what_cannot_be_merged_is_a_sentence(run, tmp_path):
    assert "there is no such store to merge" in run("merge", str(tmp_path / "nothing.db"), code=1).stderr
    assert "not a SQLite file" in run("merge", __file__, code=1).stderr


def test_facts_that_two_devices_put_in_place_of_one_are_shown_and_one_is_chosen(run, tmp_path, db):
    run("remember", "Anna lives in Paris", "--id", "home")
    with hs.open(db, embedder="none") as store, hs.open(tmp_path / "phone.db", embedder="none") as phone:
        phone.merge(store)
        Memory(store).remember("Anna lives in Rome", id="rome", supersedes="home")
        Memory(phone).remember("Anna lives in Oslo", id="oslo", supersedes="home")
    run("merge", tmp_path / "phone.db")
    shown = run("conflicts")
    assert {"rome: Anna lives in Rome", "oslo: Anna lives in Oslo"} <= set(shown.stdout.splitlines())
    assert "1 conflict" in shown.stderr
    (found,) = json.loads(run("conflicts", "--json").stdout)
    assert {note["id"] for note in found["notes"]} == {"rome", "oslo"}
    assert "disputed-by" in run("recall", "where does Anna live").stdout
    run("conflicts", "--keep", "oslo")
    assert "No document was changed" in run("conflicts").stderr
    assert "disputed-by" not in run("recall", "where does Anna live").stdout


def test_a_new_store_gets_the_language_and_the_embedder_of_what_it_is_filled_from(tmp_path, monkeypatch):
    monkeypatch.setattr("hybridstore.embedders.load", lambda *_, **__: HashingEmbedder())
    (shared := tmp_path / "shared").mkdir()
    with hs.open(tmp_path / "old.db", language="german", embedder=HashingEmbedder()) as old:
        old.add({"id": "x", "text": "Die Häuser am Hafen"})
        old.exchange(shared)
    for n, command in enumerate((["merge", tmp_path / "old.db"], ["exchange", shared])):
        new = tmp_path / f"new{n}.db"
        done = CliRunner().invoke(app, ["--db", str(new), *map(str, command)])
        assert done.exit_code == 0, done.output
        with hs.open(new, embedder=HashingEmbedder()) as store:
            assert (store.language, store.embeddings.missing_count()) == ("german", 0)
            assert store.search("Haus", mode="keyword")[0].document_id == "x"


def test_a_new_store_whose_embedder_is_not_here_is_filled_all_the_same_and_says_so(tmp_path):
    with hs.open(tmp_path / "old.db", embedder=HashingEmbedder()) as old:
        old.add({"id": "x", "text": "one"})
    done = CliRunner().invoke(app, ["--db", str(tmp_path / "new.db"), "merge", str(tmp_path / "old.db")])
    assert done.exit_code == 0, done.output
    assert "The new store has another embedder" in done.stderr
    assert "1 document added" in done.stderr
