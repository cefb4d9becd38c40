"""A store of a few documents, and ways to run the command on it."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore.cli.app import app

DOCUMENTS = [
    hs.Document(
        id="keys",
        title="Signing keys",
        text="Keys are rotated every ninety days.\n\nError E4012 means the verifier lacks the new key.",
        metadata={"lang": "en", "year": 2024},
    ),
    hs.Document(id="soup", text="Onion soup takes an hour.", uri="menu.txt", metadata={"lang": "en", "year": 2020}),
    hs.Document(id="suppe", text="Zwiebelsuppe aus München.", metadata={"lang": "de", "year": 2020}),
]


@pytest.fixture
def db(tmp_path):
    path = tmp_path / "notes.db"
    with hs.open(path, embedder="none") as store:
        store.add(DOCUMENTS)
    return path


@pytest.fixture
def run(db):
    """Run a command on the store in this process."""

    def run(*arguments, code=0, **options):
        result = CliRunner().invoke(app, ["--db", str(db), *map(str, arguments)], **options)
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return run


@pytest.fixture
def process(tmp_path):
    """Start the command in a process of its own, in a folder of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HYBRIDSTORE")}

    def start(*arguments, code=None, **options):
        options = {
            "cwd": tmp_path,
            "env": environment,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        } | options
        command = code or ["-m", "hybridstore"]
        return subprocess.Popen([sys.executable, *command, *map(str, arguments)], text=True, **options)

    return start
