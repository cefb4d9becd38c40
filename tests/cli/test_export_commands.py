"""`export` and `import` from the command line."""

import json

import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore import embedders
from hybridstore.cli.app import app
from hybridstore.embedders.hashing import HashingEmbedder


def load(path, file, *arguments, code=0, **options):
    result = CliRunner().invoke(app, ["--db", str(path), "import", str(file), *arguments], **options)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def documents(path):
    with hs.open(path, embedder="none") as store:
        return list(store.documents())


def test_an_export_is_imported_unchanged(run, db, tmp_path):
    file = tmp_path / "notes.jsonl.gz"
    assert f"Wrote 3 documents to {file}." in run("export", file).stderr
    assert "3 documents added" in load(tmp_path / "copy.db", file).stderr
    assert documents(tmp_path / "copy.db") == documents(db)
    assert "3 unchanged" in load(tmp_path / "copy.db", file).stderr


def test_standard_output_feeds_standard_input(run, db, tmp_path):
    lines = run("export").stdout_bytes
    assert json.loads(lines.splitlines()[0])["documents"] == 3
    load(tmp_path / "copy.db", "-", "--quiet", input=lines)
    assert documents(tmp_path / "copy.db") == documents(db)


def test_an_export_can_be_a_part(run):
    lines = [json.loads(line) for line in run("export", "--where", "year=2020").stdout.splitlines()]
    assert lines[0]["documents"] == 2
    assert [line["id"] for line in lines[1:]] == ["soup", "suppe"]


def test_a_new_store_gets_the_language_it_was_exported_with(tmp_path):
    with hs.open(tmp_path / "de.db", embedder="none", language="german") as store:
        store.add("Die Suppen sind heiß.")
    file = tmp_path / "de.jsonl"
    CliRunner().invoke(app, ["--db", str(tmp_path / "de.db"), "export", str(file)])
    load(tmp_path / "copy.db", file)
    with hs.open(tmp_path / "copy.db", embedder="none") as store:
        assert store.stats().language == "german"


def test_an_import_into_a_file_of_something_else_is_rejected(run, tmp_path):
    (tmp_path / "photo.db").write_bytes(b"\x89PNG" * 100)
    file = tmp_path / "n.jsonl"
    run("export", file)
    assert "is not a SQLite file" in load(tmp_path / "photo.db", file, code=1).stderr


def test_an_export_never_replaces_a_file_of_another_kind(run, db):
    before = db.read_bytes()
    assert "not an export of a store" in run("export", db, code=1).stderr
    assert db.read_bytes() == before


@pytest.fixture
def vectored(tmp_path):
    path = tmp_path / "vectored.db"
    with hs.open(path, embedder=HashingEmbedder(64)) as store:
        store.add([hs.Document(id="a", text="Onion soup"), hs.Document(id="b", text="Leek pie")])
    file = tmp_path / "vectored.jsonl"
    assert CliRunner().invoke(app, ["--db", str(path), "export", str(file), "--vectors"]).exit_code == 0
    return file


def test_vectors_that_do_not_fit_are_rejected_with_the_way_out(vectored, tmp_path, monkeypatch):
    monkeypatch.setattr(embedders, "load", lambda *_, **__: HashingEmbedder(32))
    with hs.open(tmp_path / "other.db", embedder=HashingEmbedder(32)) as store:
        store.add("Something else")
    said = load(tmp_path / "other.db", vectored, code=1).stderr
    assert "--no-vectors creates new ones" in said
    assert "hashing-32@" in said
    load(tmp_path / "other.db", vectored, "--no-vectors")
    with hs.open(tmp_path / "other.db", embedder=HashingEmbedder(32)) as store:
        assert (store.stats().documents, store.stats().vectors) == (3, 3)


def test_vectors_come_along_without_any_model(vectored, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("a model was asked for")

    monkeypatch.setattr(embedders, "load", fail)
    assert "0 of them embedded" in load(tmp_path / "copy.db", vectored).stderr
    with hs.open(tmp_path / "copy.db", embedder=HashingEmbedder(64)) as store:
        assert store.search("Onion soup", mode="vector")[0].vector_score == pytest.approx(1.0, abs=1e-6)
