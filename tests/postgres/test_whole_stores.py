"""Stores, memories and commands on a server: what is done with a file is done with a URL."""

import json
import os

import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore.cli.app import app
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import StoreRefused

SECRET = "hunter2-geheim"  # noqa: S105 - made up


@pytest.fixture
def run(url_of, tmp_path, monkeypatch):
    """Run a command on a store of a server; no output may hold its password, and no file may be made of its URL."""
    url = url_of() + f"&password={SECRET}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYBRIDSTORE_DB", url)

    def run(*arguments, code=0, **options):
        result = CliRunner().invoke(app, [*map(str, arguments)], **options)
        assert result.exit_code == code, (result.output, result.exception)
        assert SECRET not in result.output
        assert not any("postgres" in path.name for path in tmp_path.rglob("*"))
        return result.output

    return run


def test_commands_take_a_url_as_they_take_a_path(run, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "valve.md").write_text("# Valve\n\nThe valve in hall 3 leaks above 4 bar.\n")
    (tmp_path / "notes" / "soup.md").write_text("Onion soup takes an hour.\n")
    run("search", "valve", code=1)
    run("add", "notes", "--embedder", "none")
    assert "hall 3" in run("search", "leaking valve")
    assert "valve.md" in run("list")
    facts = json.loads(run("info", "--json"))
    assert facts["documents"] == 2
    assert facts["path"].startswith("postgresql://")
    run("doctor")
    run("explain", "valve")
    run("check")
    run("export", tmp_path / "all.jsonl")
    run("--db", "copy.db", "import", tmp_path / "all.jsonl")
    assert "hall 3" in run("--db", "copy.db", "search", "valve")
    run("remember", "Anna is allergic to nuts")
    purged = run("purge", "--all", "--yes")
    assert "cannot be proved" in purged
    assert json.loads(run("info", "--json"))["documents"] == 2


def test_a_memory_lives_on_a_server(url_of, run):
    with hs.Memory(url_of(), namespace="user/42", embedder="none") as memory:
        memory.remember("Anna lives in Paris", id="home", occurred_at="2026-01-10")
        memory.remember("Anna lives in Rome", id="home", occurred_at="2026-03-01")
        assert [hit.text for hit in memory.recall("Where does Anna live?")] == ["Anna lives in Rome"]
    assert "Rome" in run("recall", "where does Anna live", "--namespace", "user/42")


def test_both_legs_answer_and_vectors_are_calibrated(url_of):
    texts = {f"d{n}": f"word{n % 7} other{n % 5} text{n}" for n in range(60)}
    with hs.open(url_of(), embedder=HashingEmbedder(64)) as store:
        store.add([hs.Document(id=id_, text=text) for id_, text in texts.items()])
        found = store.search("word3 text10", limit=5)
        assert found[0].document_id == "d10"
        assert found[0].keyword_rank == found[0].vector_rank == 1
        assert store.embeddings.missing_count() == 0
        with store.reopen(embedder=HashingEmbedder(64)) as again:
            assert [hit.document_id for hit in again.search("word3 text10", limit=5)] == [
                hit.document_id for hit in found
            ]
        assert store.check() == []


def test_the_command_moves_a_store_there_and_back(run, url_of, tmp_path):
    with hs.open(tmp_path / "notes.db", embedder="none") as store:
        store.add("The valve in hall 3 leaks.")
    url = url_of("moved") + f"&password={SECRET}"
    assert "1 document moved to postgresql://…" in run("move", "notes.db", url)
    assert "hall 3" in run("--db", url, "search", "valve")
    assert "1 document moved to again.db" in run("move", url, "again.db")
    assert "hall 3" in run("--db", "again.db", "search", "valve")
    run("move", "notes.db", "again.db", code=1)


def test_a_fork_goes_on_with_connections_of_its_own(url_of):
    with hs.open(url_of(), embedder="none") as store:
        store.add("The valve in hall 3 leaks.")
        if (child := os.fork()) == 0:
            found = store.search("valve")[0].text == "The valve in hall 3 leaks."
            store.add("From the child.")
            os._exit(0 if found else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert store.search("child")[0].text == "From the child."


def test_a_store_that_is_only_read_is_not_written(url_of):
    with pytest.raises(StoreRefused, match="no such store"):
        hs.open(url_of(), read_only=True)
    with hs.open(url_of(), embedder="none") as store:
        store.add("The valve in hall 3 leaks.")
    with hs.open(url_of(), read_only=True) as store:
        assert store.search("valve")
        with pytest.raises(StoreRefused, match="read_only"):
            store.add("another")
