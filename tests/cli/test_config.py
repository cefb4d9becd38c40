"""The config file: where it is found, what it sets, and what is wrong with it."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore import store
from hybridstore.cli.app import COMMANDS, app
from hybridstore.cli.config import Config, find_config
from hybridstore.errors import InputError
from hybridstore.store.opening import open as open_store

SETTINGS = 'db = "own.db"\nembedder = "none"\nfolders = ["notes"]\nexclude = ["drafts/"]\n'


def run(*arguments, code=0):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "notes" / "drafts").mkdir(parents=True)
    (tmp_path / "notes" / "a.md").write_text("The zebra crosses.")
    (tmp_path / "notes" / "drafts" / "b.md").write_text("A draft.")
    (tmp_path / "sub").mkdir()
    for name in [name for name in os.environ if name.startswith("HYBRIDSTORE")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path / "sub")
    return tmp_path


@pytest.mark.parametrize("name", ["hybridstore.toml", "pyproject.toml"])
def test_add_and_search_follow_the_file_above(folder, name):
    (folder / name).write_text(SETTINGS if name == "hybridstore.toml" else f"[tool.hybridstore]\n{SETTINGS}")
    report = json.loads(run("add", "--json").stdout)
    assert (report["read"], report["skipped"]) == (1, {"excluded": 1})
    assert "zebra" in run("search", "zebra").stdout
    with hs.open(folder / "own.db", embedder="none", create=False) as store:
        assert store.embeddings.active is None
    assert not (folder / "sub" / "hybridstore.db").exists()


def test_options_and_variables_come_first(folder, monkeypatch):
    (folder / "hybridstore.toml").write_text(SETTINGS)
    run("--db", folder / "option.db", "add", folder / "notes")
    run("add", folder / "notes", "--db", folder / "after.db")
    monkeypatch.setenv("HYBRIDSTORE_DB", str(folder / "variable.db"))
    run("add", folder / "notes")
    assert {path.name for path in folder.glob("*.db")} == {"option.db", "after.db", "variable.db"}


@pytest.mark.parametrize(
    ("config", "variable", "arguments", "expected"),
    [
        ("", None, ["add", "notes"], "normal"),
        ('durability = "full"', None, ["add", "notes"], "full"),
        ('durability = "full"', "normal", ["add", "notes"], "normal"),
        ("", "full", ["add", "notes"], "full"),
        ("", "full", ["--durability", "normal", "add", "notes"], "normal"),
        ("", None, ["add", "notes", "--durability", "full"], "full"),
        ("", None, ["--durability", "normal", "add", "notes", "--durability", "full"], "full"),
    ],
)
def test_durability_is_that_of_the_option_the_variable_or_the_file(opened, config, variable, arguments, expected):
    Path("hybridstore.toml").write_text(f'embedder = "none"\n{config}\n')
    if variable:
        os.environ["HYBRIDSTORE_DURABILITY"] = variable
    run(*arguments)
    assert {options["durability"] for options in opened} == {expected}


@pytest.fixture
def opened(folder, monkeypatch):
    """The options of the stores that are opened; commands run where the notes are."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HYBRIDSTORE_DURABILITY", "")
    found = []
    monkeypatch.setattr(store, "open", lambda *args, **options: found.append(options) or open_store(*args, **options))
    return found


def test_an_unknown_durability_is_wrong_usage(monkeypatch):
    assert "'half' is not one of 'normal', 'full'" in run("--durability", "half", "list", code=2).stderr
    monkeypatch.setenv("HYBRIDSTORE_DURABILITY", "half")
    assert "HYBRIDSTORE_DURABILITY" in run("list", code=2).stderr


def test_the_nearest_file_counts_and_foreign_files_do_not(folder):
    (folder / "hybridstore.toml").write_text('db = "far.db"\n')
    (folder / "sub" / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert find_config(folder / "sub").db == str(folder / "far.db")
    (folder / "sub" / "pyproject.toml").write_text("no toml")
    assert find_config(folder / "sub").db == str(folder / "far.db")
    (folder / "sub" / "hybridstore.toml").write_text("")
    assert find_config(folder / "sub") == Config()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("db = ", "is not valid TOML"),
        ('databse = "x"', "unknown names: databse; there are db, embedder, folders, exclude, durability"),
        ("db = 7", "db in .* must be a text"),
        ('folders = "notes"', "folders in .* must be a list of texts"),
        ('durability = "half"', "durability in .* must be 'normal' or 'full', not 'half'"),
        ("durability = 1", "durability in .* must be a text"),
        ("exclude = [1]", "exclude in .* must be a list of texts"),
    ],
)
def test_what_is_wrong_in_the_file_is_said(folder, content, why):
    (folder / "hybridstore.toml").write_text(content)
    with pytest.raises(InputError, match=why):
        find_config(folder)
    result = run("list", code=1)
    assert "hybridstore.toml" in result.stderr
    assert "Traceback" not in result.output
    run("--help")
    run("help")


def test_add_without_a_path_and_without_folders_is_wrong_usage(folder):
    assert "Missing argument PATH" in run("add", code=2).stderr


def test_help_describes_commands_and_v_is_the_version():
    for names in [[], *([name] for name in COMMANDS), ["model", "list"]]:
        assert run("help", *names).stdout.startswith("Usage: ")
    assert run("help", "search").stdout == run("search", "--help").stdout
    assert "no command" in run("help", "serach", code=2).stderr
    assert run("-V").stdout == run("--version").stdout
