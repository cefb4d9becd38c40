"""`add`: files, folders, standard input, and the reports about them."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore import embedders
from hybridstore.cli.app import app
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import MissingExtra


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("# Onions\n\nOnions keep for months.")
    (folder / "b.txt").write_text("Leeks do not.")
    (folder / "c.csv").write_text("id,text,lang\n1,Garlic keeps,en\n2,Knoblauch hält,de\n")
    return folder


def add(path, *arguments, code=0, **options):
    arguments = ["--db", str(path), "add", *map(str, arguments), "--embedder", "none"]
    result = CliRunner().invoke(app, arguments, **options)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def test_a_folder_becomes_documents_and_the_report_counts_them(tmp_path, notes):
    said = add(tmp_path / "n.db", notes).stderr
    assert said.startswith("Read 3 files: 4 documents added, 4 chunks written, in ")
    with hs.open(tmp_path / "n.db", embedder="none") as store:
        assert store.count() == 4
        assert store.search("knoblauch")[0].metadata["lang"] == "de"


def test_a_second_run_finds_nothing_to_do(tmp_path, notes):
    add(tmp_path / "n.db", notes)
    assert add(tmp_path / "n.db", notes).stderr.startswith("Read 0 files, 3 unchanged: nothing changed")


def test_pruning_removes_the_documents_of_files_that_are_gone(tmp_path, notes):
    add(tmp_path / "n.db", notes)
    (notes / "c.csv").unlink()
    report = json.loads(add(tmp_path / "n.db", notes, "--prune", "--json").stdout)
    assert (report["pruned"], report["documents"]["removed"], report["unchanged"]) == (1, 2, 2)


def test_globs_choose_the_files(tmp_path, notes):
    globs = ("--include", "*.md", "--include", "*.txt", "--exclude", "b.*")
    report = json.loads(add(tmp_path / "n.db", notes, *globs, "--json").stdout)
    assert report["read"] == 1
    assert report["skipped"] == {"excluded": 1, "not included": 1}


def test_every_file_that_could_not_be_read_is_named_with_the_reason(tmp_path, notes):
    (notes / "broken.json").write_text("{")
    (notes / "odd.ipynb").write_text("no json")
    said = add(tmp_path / "n.db", notes, "--quiet").stderr
    assert "2 files could not be read:" in said
    assert f"  {notes}/broken.json: is not JSON" in said
    assert f"  {notes}/odd.ipynb: " in said


def test_nothing_read_is_exit_code_1(tmp_path):
    (tmp_path / "broken.json").write_text("{")
    assert "1 file could not be read" in add(tmp_path / "n.db", tmp_path / "broken.json", code=1).stderr


def test_a_path_that_is_not_there_makes_no_store(tmp_path):
    assert "does not exist" in add(tmp_path / "n.db", tmp_path / "nowhere", code=2).stderr
    assert not (tmp_path / "n.db").exists()


def test_standard_input_is_one_document_with_the_id_and_title_given(tmp_path):
    add(tmp_path / "n.db", "-", "--id", "tar", "--title", "tar(1)", input="tar packs files")
    with hs.open(tmp_path / "n.db", embedder="none") as store:
        document = store.get("tar")
    assert (document.title, document.text) == ("tar(1)", "tar packs files")


def test_standard_input_can_be_a_table(tmp_path):
    lines = '{"id": "x", "text": "first"}\n{"id": "y", "text": "second"}\n'
    add(tmp_path / "n.db", "-", "--kind", "jsonl", input=lines)
    with hs.open(tmp_path / "n.db", embedder="none") as store:
        assert {document.id for document in store.documents()} == {"x", "y"}
    assert (
        "several documents" in add(tmp_path / "m.db", "-", "--kind", "jsonl", "--id", "z", input=lines, code=2).stderr
    )


@pytest.mark.parametrize("arguments", [["-", "."], [".", "--id", "x"], [".", "--title", "x"], [".", "--kind", "md"]])
def test_options_for_standard_input_do_not_mix_with_files(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert "standard input" in add(tmp_path / "n.db", *arguments, code=2, input="x").stderr
    assert not (tmp_path / "n.db").exists()


def test_a_store_created_without_vectors_stays_without(tmp_path, notes):
    add(tmp_path / "n.db", notes / "a.md")
    result = CliRunner().invoke(app, ["--db", str(tmp_path / "n.db"), "add", str(notes)])
    assert result.exit_code == 0, result.output
    assert "This store has no vectors, so none are created" in result.stderr
    with hs.open(tmp_path / "n.db", embedder="none") as store:
        assert (store.stats().documents, store.stats().vectors) == (4, 0)


def test_another_language_than_the_stores_is_rejected(tmp_path, notes):
    add(tmp_path / "n.db", notes, "--language", "german")
    assert "was made with language='german'" in add(tmp_path / "n.db", notes, "--language", "french", code=1).stderr


def test_without_a_model_the_message_says_how_to_do_without(tmp_path, notes, monkeypatch):
    def fail(*_, **__):
        raise MissingExtra("cpu", "embedding", "onnxruntime")

    monkeypatch.setattr(embedders, "load", fail)
    result = CliRunner().invoke(app, ["--db", str(tmp_path / "n.db"), "add", str(notes)])
    assert result.exit_code == 1
    assert '"--embedder none"' in result.stderr
    assert result.stderr.endswith("Error: embedding needs onnxruntime: pip install 'hybridstore[cpu]'\n")


def test_a_dry_run_prints_the_files_and_makes_no_store(tmp_path, notes):
    (notes / ".env").write_text("x")
    result = add(tmp_path / "n.db", notes, "--dry-run")
    assert result.stdout.splitlines() == [f"{notes}/{name}" for name in ("a.md", "b.txt", "c.csv")]
    assert "`add` without --dry-run would read 3 files with 4 documents." in result.stderr
    assert not (tmp_path / "n.db").exists()
    add(tmp_path / "n.db", notes)
    assert "would read 0 files with 0 documents; 3 unchanged." in add(tmp_path / "n.db", notes, "--dry-run").stderr


def test_skipped_files_are_counted_and_on_demand_named(tmp_path, notes):
    (notes / ".env").write_text("x")
    assert "Skipped: 1 hidden (--verbose names them).\n" in add(tmp_path / "n.db", notes).stderr
    assert f"Skipped: 1 hidden:\n  {notes}/.env: hidden\n" in add(tmp_path / "n.db", notes, "-v").stderr
    report = json.loads(add(tmp_path / "n.db", notes, "--json").stdout)
    assert report["left_out"] == [[f"{notes}/.env", "hidden"]]


def test_a_folder_that_moved_stands_once_and_the_path_where_it_was_can_be_pruned(tmp_path, notes):
    db = tmp_path / "n.db"
    add(db, notes)
    new = notes.rename(tmp_path / "new-notes")
    assert add(db, new).stderr.startswith("Read 0 files, 3 moved")
    with hs.open(db, embedder="none") as store:
        assert all(document.id.startswith(f"{new}/") for document in store.documents())
    shutil.rmtree(new)
    assert "does not exist" in add(db, new, code=2).stderr
    assert json.loads(add(db, new, "--prune", "--json").stdout)["pruned"] == 3
    assert "there is no file or folder" in add(db, tmp_path / "never", "--prune", code=1).stderr


def test_an_add_that_put_nothing_into_a_new_store_leaves_no_file(tmp_path, notes):
    (tmp_path / "broken.json").write_text("{")
    add(tmp_path / "n.db", tmp_path / "broken.json", code=1)
    add(tmp_path / "n.db", "-", input=" ", code=1)
    missing = CliRunner().invoke(app, ["--db", str(tmp_path / "n.db"), "add", str(notes), "--embedder", "no-such"])
    assert missing.exit_code == 1
    add(tmp_path / "n.db", notes, "--language", "klingon", code=1)
    assert [path.name for path in tmp_path.glob("n.db*")] == []
    add(tmp_path / "n.db", notes)
    add(tmp_path / "n.db", tmp_path / "broken.json", code=1)
    assert (tmp_path / "n.db").exists()


def test_add_reports_guessed_encodings_and_takes_the_right_one(run, tmp_path):
    words = "Muzeul este închis lunea, iar intrarea pentru elevi și părinți este gratuită. "
    (tmp_path / "a.txt").write_bytes((words * 3).encode("mac-romanian"))
    (tmp_path / "b.txt").write_bytes("Привет, мир: вода кипит при ста градусах.".encode("koi8-r"))
    said = run("add", tmp_path / "a.txt", tmp_path / "b.txt", "--embedder", "none").stderr
    assert "b.txt: read as koi8-r (guessed)" in said
    assert "name it by `encoding` (--encoding)" in said
    run("add", tmp_path / "a.txt", "--embedder", "none", "--encoding", "mac-romanian")
    assert "părinți" in run("get", tmp_path / "a.txt").stdout
    assert "there is no encoding 'klingon'" in run("add", tmp_path / "a.txt", "--encoding", "klingon", code=1).stderr


@pytest.fixture
def many(tmp_path, monkeypatch):
    """Return a folder of more text than is embedded at once, with an embedder that can be stopped."""
    monkeypatch.setattr("hybridstore.store.writer._SOON", 1_000)
    monkeypatch.setattr("hybridstore.store.filling._AT_ONCE", 50)
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(300):
        (folder / f"{n}.txt").write_text(f"Onion number {n} keeps for {n} months.")
    embedder = HashingEmbedder()
    monkeypatch.setattr(embedders, "load", lambda *_, **__: embedder)
    return folder, embedder


def command(db, *arguments):
    return CliRunner().invoke(app, ["--db", str(db), *map(str, arguments)])


def test_words_find_everything_before_the_vectors_are_made(tmp_path, many):
    folder, embedder = many
    db, plain, found = tmp_path / "n.db", embedder.embed_documents, []

    def look(texts):
        with hs.open(db, embedder="none") as store:
            found.append((store.count(), len(store.search("onion number 7"))))
        return plain(texts)

    embedder.embed_documents = look
    said = command(db, "add", folder).stderr
    assert "Searchable by words: 300 chunks in " in said
    assert "300 chunks written, 300 of them embedded" in said
    assert set(found[:6]) == {(300, 10)}
    assert "Searchable by words" not in command(db, "add", folder).stderr
    (folder / "more.txt").write_text("A leek.")
    assert "Searchable by words" not in command(db, "add", folder).stderr


def test_ctrl_c_while_vectors_are_made_loses_nothing_and_says_how_to_go_on(tmp_path, many):
    folder, embedder = many
    db, plain, calls = tmp_path / "n.db", embedder.embed_documents, []

    def stop(texts):
        calls.append(len(texts))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(texts)

    embedder.embed_documents = stop
    stopped = command(db, "add", folder)
    assert stopped.exit_code == 130
    assert "Words find everything; 200 vectors are still to be made: `hybridstore embed` goes on" in stopped.stderr
    assert command(db, "search", "onion number 7").stderr.count("Meaning: 33 % of passages so far") == 1
    assert "50 vectors made" in command(db, "embed", "--limit", 50).stderr
    assert "50 vectors made" in command(db, "embed", "--limit", 50).stderr
    said = command(db, "add", folder).stderr
    assert "Read 0 files, 300 unchanged: 100 missing vectors made, in " in said
    again = json.loads(command(db, "add", folder, "--json").stdout)
    assert (again["unchanged"], again["documents"]["embedded"], again["without_vectors"]) == (300, 0, 0)
    assert "No problems found" in command(db, "check").stdout


def test_standard_input_is_found_by_words_first_too(tmp_path, many):
    db = tmp_path / "n.db"
    text = "\n\n".join(f"Onion number {n} keeps for {n} months." for n in range(300))
    result = CliRunner().invoke(app, ["--db", str(db), "add", "-"], input=text)
    assert result.exit_code == 0
    with hs.open(db) as store:
        assert (store.embeddings.missing_count(), store.check()) == (0, [])


def test_what_could_be_converted_is_named_with_what_to_do(run, tmp_path, monkeypatch):
    (tmp_path / "mails").mkdir()
    monkeypatch.chdir(tmp_path / "mails")
    for name in ("a.msg", "b.msg", "c.msg", "d.msg", "photo.png", "note.txt"):
        Path(name).write_text("x")
    said = run("add", ".", "--embedder", "none").stderr
    assert "Skipped: 4 Outlook message, 1 image (--verbose names them).\n" in said
    assert "  Outlook message: save it as eml, or `msgconvert FILE` (Email::Outlook::Message) " in said
    assert "(a.msg, b.msg, c.msg and 1 more)\n" in said
