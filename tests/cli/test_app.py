"""The command as a whole: help, errors, exit codes, what it loads."""

import json
import signal
import subprocess

import click
import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore import errors
from hybridstore.cli import config, shared_options
from hybridstore.cli.app import COMMANDS, app
from hybridstore.cli.shared_options import Target
from hybridstore.search.request import FUSIONS, MODES
from hybridstore.store.opening import DURABILITIES

HEAVY = ("numpy", "onnxruntime", "torch", "apsw", "rich", "hybridstore.store")


def commands(group=app, prefix=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*prefix, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*prefix, name))


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], *([name, "--help"] for name in ("search", "add", "remember", "recall", "forget"))],
)
def test_help_loads_nothing_heavy(process, arguments):
    code = (
        "import sys, json\nfrom hybridstore.cli import main\n"
        "try: main()\nexcept SystemExit as end: print(json.dumps([end.code, sorted(sys.modules)]))"
    )
    outcome, _ = process(*arguments, code=["-c", code]).communicate(timeout=60)
    status, modules = json.loads(outcome.splitlines()[-1])
    assert status == 0
    assert not set(HEAVY) & set(modules)


def test_the_command_alone_shows_help_with_three_examples():
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert [line.split()[1] for line in result.output.splitlines() if line.startswith("  hybridstore ")] == [
        "add",
        "search",
        "explain",
    ]
    assert all(f"  {name} " in result.output for name in COMMANDS)


def test_the_version_is_the_packages():
    assert CliRunner().invoke(app, ["--version"]).output == f"hybridstore {hs.__version__}\n"


def test_every_listed_command_is_there_under_its_name():
    for name, command in commands():
        assert command.name == name[-1]
        assert command.help, name


def test_every_command_but_the_measuring_ones_has_an_example_that_names_it():
    for name, command in commands():
        if name[0] not in ("evaluate", "compare"):
            lines = [line for line in (command.epilog or "").splitlines() if line.startswith("  ")]
            assert any(" ".join(name) in line for line in lines), name


def test_a_mistyped_command_gets_a_suggestion():
    result = CliRunner().invoke(app, ["serach", "x"])
    assert result.exit_code == 2
    assert "Did you mean search?" in result.stderr


def test_a_store_that_is_not_there_is_an_error_that_says_how_to_make_one(tmp_path):
    path = tmp_path / "new.db"
    for command in (["search", "x"], ["list"], ["info"], ["check"], ["reembed"], ["remove", "x"]):
        result = CliRunner().invoke(app, ["--db", str(path), *command])
        assert result.exit_code == 1
        assert f"hybridstore --db {path} add" in result.stderr
        assert result.stdout == ""
    assert not path.exists()


def test_the_environment_names_the_store(db, monkeypatch):
    monkeypatch.setenv("HYBRIDSTORE_DB", str(db))
    assert json.loads(CliRunner().invoke(app, ["info", "--json"]).stdout)["documents"] == 3


@pytest.mark.parametrize(
    "error",
    [
        errors.InputError("a sentence."),
        errors.NotFound("x"),
        errors.FileRefused("f", "is not ours"),
        errors.FileDamaged("f", "is broken"),
        errors.FileBusy("f", 3.0),
        errors.EmbedderMismatch("a@1", "b@2"),
        errors.ModelUnavailable("m", "cannot be had"),
        errors.MissingExtra("cpu", "embedding", "onnxruntime"),
    ],
)
def test_each_of_our_errors_is_one_sentence_and_exit_code_1(run, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Target, "open", fail)
    result = run("info", code=1)
    assert result.stderr == f"Error: {error}\n"
    assert result.stdout == ""


def test_a_file_of_another_kind_is_rejected_without_a_traceback(process, tmp_path):
    (tmp_path / "page.html").write_text("<p>no database</p>" * 20)
    outcome, said = process("--db", "page.html", "search", "x").communicate(timeout=60)
    assert outcome == ""
    assert said.startswith("Error: page.html: is not a SQLite file")
    assert "Traceback" not in said


def test_ctrl_c_says_what_is_kept_and_exits_with_130(run, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Target, "open", stop)
    assert "Stopped. Nothing was changed." in run("info", code=130).stderr
    assert "run the same command again" in run("reembed", code=130).stderr


def test_a_closed_pipe_is_not_an_error(process, db):
    with process("--db", db, "list") as running:
        running.stdout.close()
        running.wait(timeout=60)
        assert running.stderr.read() == ""


def test_a_search_in_a_separate_process_prints_its_hits(process, db):
    outcome = process("--db", db, "search", "E4012", '-"soup"')
    out, said = outcome.communicate(timeout=60)
    assert outcome.returncode == 0
    assert "Signing keys" in out
    assert "\x1b" not in out
    assert "1 result in" in said


def test_the_offered_modes_and_fusions_are_the_pipelines():
    assert shared_options.MODES == MODES
    assert shared_options.FUSIONS == FUSIONS
    assert config.DURABILITIES == DURABILITIES


def test_ctrl_c_during_an_add_keeps_what_was_committed_and_the_next_run_continues(process, tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(60):
        (notes / f"{number:02}.txt").write_text(f"Note {number} about onions.")
    # The writer commits every five documents, and the 23rd read hangs until the signal, as on a dead disk.
    slow = (
        "import itertools, time\n"
        "from hybridstore.store import writer\nfrom hybridstore.ingest import sync as _\n"
        "import sys; sync = sys.modules['hybridstore.ingest.sync_run']\n"
        "writer._MOST_DOCUMENTS = 5\nread, reads = sync.read, itertools.count(1)\n"
        "def slowly(*args, **options):\n    print('.', flush=True); time.sleep(60 * (next(reads) == 23))\n"
        "    return read(*args, **options)\n"
        "sync.read = slowly\nfrom hybridstore.cli import main\nmain()"
    )
    arguments = ("--db", "notes.db", "add", "notes", "--embedder", "none")
    running = process(*arguments, code=["-c", slow])
    for _ in range(23):
        running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "are kept; run the same command again to continue." in said
    assert "Traceback" not in said
    with hs.open(tmp_path / "notes.db", embedder="none") as store:
        kept = store.count()
    assert 5 <= kept < 60
    outcome = subprocess.run([*running.args[:1], "-m", "hybridstore", *arguments, "--json"], cwd=tmp_path,
                          capture_output=True, text=True, check=True)  # fmt: skip
    report = json.loads(outcome.stdout)
    assert report["read"] + report["unchanged"] == 60
    assert report["documents"]["added"] == 60 - kept
