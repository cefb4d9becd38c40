"""`info`, `check`, `reembed`, `backup`, `doctor` and `model`: the store and the machine looked after."""

import json
import os
import re
import shutil
from pathlib import Path

import apsw
import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore import embedders
from hybridstore.backends.learning import ModelVersion, Triple
from hybridstore.cli import doctor, upkeep_commands
from hybridstore.cli.app import app
from hybridstore.codecs.kept_vectors import CODECS
from hybridstore.embedders.catalog import DEFAULT, MODELS
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import ModelUnavailable
from hybridstore.text.analysis import ANALYSIS_VERSION, Analyser


@pytest.fixture
def hashing(monkeypatch):
    """Let names mean an embedder that needs no model."""
    sizes = {"hashing-64": 64, "hashing-32": 32}
    monkeypatch.setattr(embedders, "load", lambda name, **_: HashingEmbedder(sizes[str(name)]))


def test_info_shows_the_same_numbers_to_people_and_programs(run, db):
    found = json.loads(run("info", "--json").stdout)
    assert (found["documents"], found["chunks"], found["vectors"], found["embedding"]) == (3, 3, 0, None)
    assert found["path"] == str(db)
    printed = run("info").stdout
    assert f"size        {found['bytes'] / 1000:.1f} KB" in printed
    assert "none: only keywords are searched" in printed


def test_a_store_of_an_earlier_analysis_is_told_of_reindex(run, tmp_path):
    old = tmp_path / "old.db"
    shutil.copy(Path(__file__).parent.parent / "archive" / "v3.db", old)
    assert "hybridstore reindex" in " ".join(run("--db", str(old), "doctor").stdout.split())
    assert "hybridstore reindex" in " ".join(run("--db", str(old), "info").stdout.split())
    assert "were made anew" in run("--db", str(old), "reindex").stderr
    assert "reindex" not in run("--db", str(old), "info").stdout
    assert "reindex" not in run("--db", str(old), "doctor").stdout
    old.write_bytes(b"no store")
    assert "cannot be read: " in run("--db", str(old), "doctor").stdout


def test_an_old_store_is_searched_by_prefix_and_highlighted_with_its_own_analysis(run, tmp_path):
    old = tmp_path / "old.db"
    shutil.copy(Path(__file__).parent.parent / "archive" / "v3.db", old)
    with hs.open(old, embedder="none") as store:
        assert store.analyser.version < ANALYSIS_VERSION
        made = [type(store.analyser)]
    spans = []

    def spied(self, text, terms):
        spans.append(type(self))
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Analyser, "spans", spied)
        run("--db", str(old), "search", "--syntax", "advanced", "--mode", "keyword", "the OR a*")
    assert spans
    assert set(spans) == set(made)


def test_a_sound_store_passes_the_check(run):
    assert run("check").stdout == "No problems found.\n"
    assert json.loads(run("check", "--json").stdout) == {"problems": [], "left": []}


def break_keywords(db):
    with hs.open(db, embedder="none"):
        pass
    connection = apsw.Connection(str(db))
    connection.execute("DELETE FROM keywords WHERE rowid = 2")
    connection.close()


def test_check_exits_with_1_while_a_problem_is_left_and_repair_fixes_it(run, db):
    break_keywords(db)
    outcome = run("check", code=1)
    assert "1 chunks without keyword entries" in outcome.stdout
    assert "check --repair" in outcome.stderr
    assert "(repaired)" in run("check", "--repair").stdout
    assert run("check").stdout == "No problems found.\n"
    assert json.loads(run("search", "onion", "--json").stdout)["hits"]


def lose_a_vector(db):
    connection = apsw.Connection(str(db))
    number = connection.execute("SELECT embedding FROM embeddings").fetchall()[0][0]
    connection.execute(f"DELETE FROM vectors_{number} WHERE chunk = 2")
    connection.close()


def test_repair_makes_missing_vectors_where_the_embedder_is_to_be_had(run, db, hashing):
    run("reembed", "--embedder", "hashing-64", "--quiet")
    lose_a_vector(db)
    run("check", code=1)
    assert "All problems are repaired." in run("check", "--repair").stderr
    assert json.loads(run("info", "--json").stdout)["vectors"] == 3


def test_repair_says_why_missing_vectors_could_not_be_made(run, db, hashing, monkeypatch):
    run("reembed", "--embedder", "hashing-64", "--quiet")
    lose_a_vector(db)

    def fail(name, **_):
        raise ModelUnavailable(str(name), "is nowhere")

    monkeypatch.setattr(embedders, "load", fail)
    outcome = run("check", "--repair", code=1)
    assert "could not be created: model 'hashing-64': is nowhere" in outcome.stderr
    assert "1 problem left." in outcome.stderr


def test_reembed_gives_every_chunk_a_vector_and_changes_the_embedder(run, hashing):
    for name, dim in (("hashing-64", 64), ("hashing-32", 32)):
        outcome = run("reembed", "--embedder", name).stderr
        assert "3 vectors made in" in outcome
        assert f"the store's embedder is {name}@" in outcome
        embedding = json.loads(run("info", "--json").stdout)["embedding"]
        assert (embedding["reference"], embedding["dim"]) == (name, dim)
    hits = json.loads(run("search", "onion soup", "--json").stdout)["hits"]
    assert hits[0]["document_id"] == "soup"
    assert hits[0]["vector_rank"] == 1


def test_compact_says_what_it_gave_back_and_writes_nothing_where_it_may_only_read(run, db):
    with hs.open(db, embedder="none") as store:
        store.add({"id": f"long{n}", "text": f"word{n} " * 5000} for n in range(40))
        store.remove(f"long{n}" for n in range(40))
    report = json.loads(run("compact", "--json").stdout)
    assert report["after"] == db.stat().st_size < report["before"] / 2
    assert report["remedy"] == ""
    assert run("compact").stdout.startswith("Compacted from ")
    content = db.read_bytes()
    assert "opened for reading alone" in run("--read-only", "compact", code=1).stderr
    assert db.read_bytes() == content


def test_a_backup_is_a_store_and_never_replaces_a_file(run, tmp_path):
    copy = tmp_path / "copy.db"
    assert f"Wrote {copy}" in run("backup", copy).stderr
    with hs.open(copy, embedder="none") as store:
        assert store.count() == 3
    assert "is already there" in run("backup", copy, code=1).stderr


def test_doctor_needs_no_store_and_finds_vital_packages(tmp_path):
    result = CliRunner().invoke(app, ["--db", str(tmp_path / "none.db"), "doctor", "--json"])
    findings = {finding["what"]: finding for finding in json.loads(result.stdout)}
    assert findings["SQLite"]["ok"] is True
    assert findings["sqlite-vec"]["ok"] is True
    assert findings["store"]["detail"].endswith("not created yet")
    assert not (tmp_path / "none.db").exists()


def test_doctor_gives_each_missing_thing_its_install_line(run, monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda _: None)
    findings = [finding for finding in json.loads(run("doctor", "--json").stdout) if not finding["ok"]]
    missing = {finding["what"]: finding["remedy"] for finding in findings}
    assert missing["ONNX Runtime"] == "pip install 'hybridstore[cpu]', or 'hybridstore[gpu]' for CUDA"
    assert missing["pypdf"] == "pip install 'hybridstore[files]'"
    assert missing["torch"] == "pip install 'hybridstore[train]'"


def test_add_info_and_doctor_say_that_the_vectors_cannot_read_the_passages(run, monkeypatch, tmp_path):
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.txt").write_text("two")
    said = iter([None, *["it reads English"] * 9])  # before the first file was added, and from then on
    monkeypatch.setattr("hybridstore.store.languages.advice", lambda *_: next(said))
    assert run("add", tmp_path / "a.txt").stderr.count("Note: it reads English") == 1
    assert "reads English" not in run("add", tmp_path / "b.txt").output
    assert "it reads English" in run("info").stdout
    assert json.loads(run("info", "--json").stdout)["note"] == "it reads English"
    findings = {finding["what"]: finding for finding in json.loads(run("doctor", "--json").stdout)}
    assert findings["vectors"]["detail"] == "it reads English"


def test_doctor_reports_when_both_runtimes_are_installed(run, monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda _: "1.0")
    said = run("doctor", code=1).stdout
    assert "conflict with each other" in said
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in said


def test_the_models_are_listed_with_their_facts(run):
    printed = run("model", "list").stdout
    listed = json.loads(run("model", "list", "--json").stdout)
    assert [model["name"] for model in listed] == [card.name for card in MODELS]
    for card in MODELS:
        assert card.name in printed
        assert json.loads(run("model", "info", card.name, "--json").stdout)["dim"] == card.dim


def test_the_list_says_what_is_here_what_an_extra_brings_and_what_needs_the_hub(run, monkeypatch, tmp_path):
    monkeypatch.setenv("HYBRIDSTORE_CACHE", str(tmp_path))
    monkeypatch.setattr("hybridstore.embedders.locate._packaged_file", lambda card: card.name == DEFAULT or None)
    printed = run("model", "list").stdout
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in printed.splitlines() if line}
    assert lines[DEFAULT] == "384 256 en 21 Apache-2.0 here"
    assert lines["mdbr-leaf-ir"] == "768 512 en 94 Apache-2.0 hub"
    assert lines["multilingual-e5-small"] == "384 512 100 91 MIT [multilingual]"
    assert "for English" in printed


def test_an_unknown_model_is_an_error_that_names_the_known_ones(run):
    assert f"known models are {MODELS[0].name}" in run("model", "info", "nobody/nothing", code=1).stderr


def test_info_shows_what_was_learned_and_what_a_rollback_restores(run, db, hashing):
    run("reembed", "--embedder", "hashing-64", "--quiet")
    with hs.open(db) as store:
        store.reembed("hashing-32", keep=True)
        learning, vectors = store.learning, store.stats().embedding.fingerprint
        made = ModelVersion(kind="embedder", source=vectors, target=vectors, reference="hashing-32")
        learning.promote(learning.propose(made))
        chunk = store.search("soup", mode="keyword")[0].chunk_id
        learning.add_triples([Triple(query="soup", kind="log", positive=chunk, score=1.0)])
    found = json.loads(run("info", "--json").stdout)
    assert (found["kept"]["dim"], found["model"], found["triples"]) == (64, 1, 1)
    printed = run("info").stdout
    assert f"the vectors of {found['kept']['fingerprint']}" in printed
    assert "model       version 1" in printed
    assert "triples     1" in printed


def test_commands_that_read_do_so_in_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    path = tmp_path / "store.db"
    with hs.open(path, embedder="none") as store:
        store.add(hs.Document(id="d", text="the valve leaks"))
    monkeypatch.setattr("os.access", lambda _, mode, **__: mode != os.W_OK)
    before = path.read_bytes()
    for command in ("search valve --mode keyword", "get d", "list", "info", "check", "export -q"):
        ran = CliRunner().invoke(app, ["--db", str(path), *command.split()])
        assert not ran.exit_code, ran.output
    refused = CliRunner().invoke(app, ["--db", str(path), "remove", "d", "--yes"])
    assert refused.exit_code == 1
    assert "reading alone" in refused.output
    assert [file.name for file in tmp_path.iterdir()] == ["store.db"]
    assert path.read_bytes() == before


def test_chunks_without_vectors_are_told_by_add_info_and_search_and_made_by_the_next_add(run, db, hashing, tmp_path):
    run("reembed", "--embedder", "hashing-64")
    (tmp_path / "boat.txt").write_text("A wooden boat.")
    (tmp_path / "bridge.txt").write_text("An iron bridge.")
    told = "1 chunk has no vector and can only be found by words"
    assert told in run("add", tmp_path / "boat.txt", "--embedder", "none").stderr
    assert run("search", "boat").stderr.count("Meaning: 75 % of passages so far; 1 vector is still to be made") == 1
    found = json.loads(run("search", "boat", "--json").stdout)
    assert (found["filled"], found["notes"][0].split(";")[0]) == (0.75, "Meaning: 75 % of passages so far")
    assert "Meaning" not in run("search", "boat", "--mode", "keyword").stderr
    assert "1 chunk without a vector" in run("info").stdout
    assert json.loads(run("info", "--json").stdout)["without_vectors"] == 1
    assert "no vector" not in run("add", tmp_path / "bridge.txt").stderr
    assert json.loads(run("info", "--json").stdout)["without_vectors"] == 0
    assert told in run("add", "-", "--embedder", "none", input="Words from a pipe.").stderr
    assert "no vector" not in run("add", "-", input="More of them.").stderr
    assert "without a vector" not in run("info").stdout
    run("add", "-", "--embedder", "none", input="Still more of them.")
    run("add", "-", "--embedder", "none", input="And the last of them.")
    assert "1 vector made" in run("embed", "--limit", "1").stderr
    assert "; 1 are still missing" not in run("embed").stderr
    assert "0 vectors made" in run("embed").stderr


def test_reembed_adds_the_vectors_of_another_embedder_and_model_drop_takes_them_away(run, db, hashing):
    run("reembed", "--embedder", "hashing-64", "--quiet")
    outcome = run("reembed", "--add", "hashing-32", "--quiet").stderr
    assert re.search(r"the store's embedders are hashing-64@\w+ and hashing-32@\w+\.", outcome)
    found = json.loads(run("info", "--json").stdout)
    assert [leg["embedding"]["reference"] for leg in found["legs"]] == ["hashing-32"]
    assert "added" in run("info").stdout
    searched = json.loads(run("search", "--json", "--legs", "keyword, hashing-32", "boat").stdout)
    assert [leg["name"] for leg in searched["legs"]] == ["keyword", "hashing-32"]
    assert [leg["name"] for leg in json.loads(run("search", "--json", "boat").stdout)["legs"]][1:] == [
        "hashing-64",
        "hashing-32",
    ]
    assert "hashing-32 weighs" in run("explain", "boat").stdout
    assert "give one" in run("reembed", "--add", "hashing-32", "--embedder", "hashing-64", code=2).stderr
    assert "its legs are" in run("search", "--legs", "words", "boat", code=1).stderr
    assert "hashing-32@" in run("model", "drop", "hashing-32").stderr
    assert json.loads(run("info", "--json").stdout)["legs"] == []
    assert "no added vector leg" in run("model", "drop", "hashing-32", code=1).stderr


def test_embed_says_why_it_makes_nothing(run, db, tmp_path, hashing):
    assert "no vectors at all; `hybridstore reembed --embedder NAME`" in run("embed").stderr
    with hs.open(tmp_path / "given.db") as store:
        store.add(["one"], vectors=[[1.0, 0.0]])
        with store.writer(embed=False) as writer:
            writer.add(hs.Document(text="two"))
    told = run("embed", "--db", tmp_path / "given.db").stderr
    assert "1 is still missing" in told
    assert "passed by a program" in told


def test_info_writes_a_page_of_the_store_in_one_file(run, tmp_path):
    page = tmp_path / "store.html"
    outcome = run("info", "--html", page)
    assert outcome.stdout == ""
    text = page.read_text("utf-8")
    assert "<b>3</b> documents" in text
    assert "what is stored is what was written" in text
    assert run("info", "--html", page, "--json").stdout.startswith("{")
    assert "cannot be written" in run("info", "--html", tmp_path / "none" / "x.html", code=1).stderr


def test_recode_says_what_is_saved(run, db):
    assert list(CODECS) == list(upkeep_commands.CODECS)
    with hs.open(db, embedder=HashingEmbedder()) as store:
        store.add([{"id": str(n), "text": f"Note {n} about the harbour."} for n in range(80)])
        vectors = store.stats().vectors
    done = run("recode", "float16")
    assert f"{vectors} vectors kept as float16, which were float32. `hybridstore compact` gives about" in done.stderr
    assert "float16" in run("info").stdout
    assert "'float64' is not one of" in run("recode", "float64", code=2).stderr
