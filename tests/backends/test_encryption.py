"""Encryption at rest: with apsw-sqlite3mc in apsw's place nothing is readable without the key; without it, an error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore.cli.app import app
from hybridstore.memory import Memory

ENCRYPTS = hasattr(apsw, "mc_version")
PROCESS = Path(__file__).with_name("encrypting_process.py")


def python_that_encrypts():
    """Return an interpreter whose apsw encrypts: this one, or that of HYBRIDSTORE_ENCRYPTING_PYTHON."""
    python = sys.executable if ENCRYPTS else os.environ.get("HYBRIDSTORE_ENCRYPTING_PYTHON")
    if python is None:
        pytest.skip(
            "apsw here cannot encrypt, so encryption is not tried: install apsw-sqlite3mc in apsw's place in an "
            "environment, and name its interpreter in HYBRIDSTORE_ENCRYPTING_PYTHON"
        )
    return python


def test_nothing_is_readable_without_the_key(tmp_path):
    ran = subprocess.run(
        [python_that_encrypts(), str(PROCESS), str(tmp_path)], capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert {"notes.db", "notes.db-wal", "notes.db-shm"} <= set(seen["files"])
    assert seen["before closing"] == seen["after a backup"] == seen["after closing"] == []
    assert (seen["keyword"], seen["vector"], seen["check"], seen["documents"]) == (10, 10, [], 299)
    assert seen["purged"] == [1, True, [], True]
    assert seen["copied"] == [300, True]
    assert (seen["published"], seen["received"], seen["merged"]) == (300, 300, 1)
    assert "cannot be read with this key" in seen["exchange, another key"]
    assert "has no key" in seen["exchange, without"]
    assert (seen["strangers"], seen["exchanged"]) == (False, [])
    kind, sentence = seen["wrong key"]
    assert kind == "FileRefused"
    assert "cannot be read with this key" in sentence
    assert "HYBRIDSTORE_KEY" in seen["no key"][1]
    assert seen["unchanged"]
    assert "is not encrypted" in seen["plain"][1]
    assert seen["bad keys"] == ["InputError"] * 3


@pytest.mark.thorough
@pytest.mark.skipif(ENCRYPTS, reason="apsw encrypts here, so that they are run as they are")
def test_an_encrypted_file_that_is_moved_or_written_over_while_it_is_open_is_noticed():
    tests = Path(__file__).parents[1] / "store" / "test_moved_files.py"
    command = [python_that_encrypts(), "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if "No module named pytest" in ran.stderr:
        pytest.skip("the interpreter that encrypts has no pytest")
    assert ran.returncode == 0, ran.stdout[-3000:]


def test_commands_take_the_key_from_the_environment_alone(tmp_path):
    python = python_that_encrypts()
    environment = {**os.environ, "HYBRIDSTORE_KEY": "correct horse battery staple"}
    for key, arguments, code, said in (
        (True, ("remember", "The harbour is closed.", "--embedder", "none"), 0, ""),
        (True, ("recall", "harbour"), 0, "The harbour is closed."),
        (True, ("check",), 0, ""),
        (False, ("recall", "harbour"), 1, "HYBRIDSTORE_KEY"),
    ):
        ran = subprocess.run(
            [python, "-m", "hybridstore", "--db", str(tmp_path / "n.db"), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=environment if key else {**os.environ, "HYBRIDSTORE_KEY": ""},
        )
        assert ran.returncode == code, ran.stderr
        assert said in ran.stdout + ran.stderr
    assert b"harbour" not in (tmp_path / "n.db").read_bytes()


@pytest.mark.skipif(ENCRYPTS, reason="apsw encrypts here")
def test_where_apsw_cannot_encrypt_a_key_is_an_error_and_no_plain_file_is_made(tmp_path):
    for opened in (hs.open, Memory):
        with pytest.raises(hs.Unsupported, match="apsw-sqlite3mc"):
            opened(tmp_path / "notes.db", key="secret", embedder="none")
    result = CliRunner().invoke(
        app, ["--db", str(tmp_path / "notes.db"), "remember", "x", "--embedder", "none"], env={"HYBRIDSTORE_KEY": "k"}
    )
    assert result.exit_code == 1
    assert "apsw-sqlite3mc" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(ENCRYPTS, reason="apsw encrypts here")
def test_the_index_of_evaluate_has_the_key_too(tmp_path):
    collection, index = tmp_path / "collection", tmp_path / "index.db"
    (collection / "qrels").mkdir(parents=True)
    (collection / "corpus.jsonl").write_text('{"_id": "d", "text": "The harbour is closed."}\n')
    (collection / "queries.jsonl").write_text('{"_id": "q", "text": "harbour"}\n')
    (collection / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    evaluate = ["evaluate", str(collection), "--embedder", "none", "--keep", str(index)]
    result = CliRunner().invoke(app, evaluate, env={"HYBRIDSTORE_KEY": "k"})
    assert (result.exit_code, index.exists()) == (1, False)
    assert "apsw-sqlite3mc" in result.stderr


def test_a_store_in_memory_has_no_key():
    with pytest.raises(hs.InputError, match="in memory is not encrypted"):
        hs.open(":memory:", key="secret")
