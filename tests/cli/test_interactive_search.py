"""`search -i`: keys typed into the prompt, and the whole command in a terminal."""

import os
import re
import select
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore.cli.app import app
from hybridstore.cli.shared_options import Target
from hybridstore.serving import warm_search

pytest.importorskip("prompt_toolkit", reason="needs pip install 'hybridstore[interactive]'")

from prompt_toolkit.application import create_app_session
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from hybridstore.cli import interactive_search
from hybridstore.cli.interactive_search import Finder, PrivateHistory, Prompt, history_path

DOWN, ENTER, ESCAPE, TAB, END, PAGE_DOWN, PREVIOUS = "\x1b[B", "\r", "\x1b", "\t", "\x03", "\x1b[6~", "\x10"
LONG = "The valve leaks. " + "Nothing else is said here. " * 25


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "notes.db"
    with hs.open(path, embedder="none", log_queries=True) as store:
        store.add(
            [
                hs.Document(id="valve", title="Valve log", text=LONG, metadata={"year": 2024}),
                hs.Document(
                    id="pump", title="Pump \x1b[31mP-101", text="The pump feeds the valve.", metadata={"year": 2021}
                ),
                hs.Document(id="ferry", text="The ferry leaves at noon.", metadata={"year": 2024}),
            ]
        )
    return path


def eventually(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


@contextmanager
def opened(path, query="", conditions=(), history=None, *, log=False):
    """Open a prompt whose keys are typed by the block; give it and what types."""
    finder = Finder(Target(str(path)), {"limit": 10}, here=log, log=log)
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        prompt = Prompt(finder, query, conditions, history or InMemoryHistory())
        failed = []

        def run():
            try:
                prompt.run()
            except BaseException as error:  # noqa: BLE001 - raised again below
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield prompt, keys.send_text
        finally:
            keys.send_text(END)
            thread.join(20)
            finder.close()
        assert not thread.is_alive()
        assert failed == []


def ids(prompt):
    return [each.hit.document_id for each in prompt.hits]


def drawn(prompt):
    return re.sub(r"\x1b\[[\d;]*m", "", prompt._text().value)


def test_results_come_while_typing_and_a_hit_opens(path):
    with opened(path) as (prompt, send):
        send("valve lea")
        eventually(lambda: "valve" in ids(prompt))
        send("ks")
        eventually(lambda: ids(prompt)[:1] == ["valve"])
        assert "result" in prompt.status
        lines = len(drawn(prompt).splitlines())
        send(ENTER)
        eventually(lambda: prompt.opened)
        assert len(drawn(prompt).splitlines()) > lines + 5
        assert max(map(len, drawn(prompt).splitlines())) <= 80
        send(PAGE_DOWN)
        send(ESCAPE)
        eventually(lambda: not prompt.opened)
        send("\x15valve")
        eventually(lambda: len(prompt.hits) == 2)
        send(DOWN)
        eventually(lambda: prompt.selected == 1)
        assert drawn(prompt).splitlines()[prompt._cursor().y].startswith("▌")
        send(DOWN * 5)
        time.sleep(0.1)
        assert prompt.selected == len(prompt.hits) - 1


def test_a_text_cannot_control_the_terminal(path):
    with opened(path, "pump") as (prompt, _):
        eventually(lambda: "pump" in ids(prompt))
        assert "\x1b[31mP-101" not in prompt._text().value
        assert "␛[31mP-101" in prompt._text().value


def test_filters_are_a_second_field_and_a_mistake_is_said(path):
    with opened(path, "valve", ["year>=2022"]) as (prompt, send):
        eventually(lambda: ids(prompt) == ["valve"])
        send(TAB + "\x15")  # to the filter, and empty it
        eventually(lambda: set(ids(prompt)) == {"valve", "pump"})
        send("year=2021")
        eventually(lambda: ids(prompt) == ["pump"])
        send(' "year')
        eventually(lambda: "filter cannot be read" in prompt.status)
        assert ids(prompt) == []
        send('" year>==')
        eventually(lambda: "filter cannot" not in prompt.status and "result" not in prompt.status)
        send("\x15")
        eventually(lambda: set(ids(prompt)) == {"valve", "pump"})


def test_words_that_are_nowhere_and_no_words_are_no_failures(path):
    with opened(path, "?!") as (prompt, send):
        time.sleep(0.3)
        assert prompt.status == interactive_search._BEGIN
        send("\x15zzzz")
        eventually(lambda: prompt.status == "Nothing was found.")
        send(ENTER + "\x15")
        eventually(lambda: prompt.status == interactive_search._BEGIN)


def test_what_is_entered_is_kept_privately_and_only_that_is_logged(path, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    kept = history_path()
    assert kept == tmp_path / "state" / "hybridstore" / "search-history"
    with opened(path, history=PrivateHistory(kept), log=True) as (prompt, send):
        send("valve")
        eventually(lambda: prompt.hits)
        assert not kept.exists()
        send(ENTER)
        eventually(lambda: kept.exists() and kept.read_text() == "valve\n")
        assert kept.stat().st_mode & 0o777 == 0o600
        assert kept.parent.stat().st_mode & 0o777 == 0o700
        send("\x15ferry")
        eventually(lambda: ids(prompt) == ["ferry"])
    assert logged(path) == ["valve"]
    kept.write_text("".join(f"query {n}\n" for n in range(1200)) + "ferry\n")
    kept.chmod(0o644)
    with opened(path, history=PrivateHistory(kept)) as (prompt, send):
        time.sleep(0.3)
        send(PREVIOUS)
        eventually(lambda: ids(prompt) == ["ferry"])
    assert len(kept.read_text().splitlines()) == 1000
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_history_that_cannot_be_written_stops_nothing(path, tmp_path):
    (tmp_path / "file").write_text("")
    with opened(path, history=PrivateHistory(tmp_path / "file" / "history")) as (prompt, send):
        send("valve" + ENTER)
        eventually(lambda: prompt.hits)


def test_a_running_server_is_used_and_else_the_store_is_held_open(path, monkeypatch):
    asked, plain, opens = [], Target.open, []
    monkeypatch.setattr(Target, "open", lambda *given, **how: opens.append(1) or plain(*given, **how))
    with hs.open(path) as store:
        answered = warm_search.search(store, "valve", {"limit": 10})
    monkeypatch.setattr(warm_search, "asked", lambda *given: asked.append(given) or answered)
    with opened(path, "valve") as (prompt, _):
        eventually(lambda: prompt.hits)
    assert asked[0][:3] == (str(path), "valve", [])
    assert opens == []
    monkeypatch.setattr(warm_search, "asked", lambda *_: None)
    with opened(path, "valve") as (prompt, send):
        eventually(lambda: prompt.hits)
        send("\x15ferry")
        eventually(lambda: ids(prompt) == ["ferry"])
    assert len(opens) == 1


def logged(path):
    with hs.open(path, read_only=True) as store:
        return [each.query for each in store.query_log()]


def typed(command, *keys):
    """Run a command in a terminal of its own; type each text once what stands before it was shown; give all output."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, close_fds=True)
    os.close(theirs)
    shown, end = b"", time.monotonic() + 60
    try:
        for wanted, text in keys:
            at = len(shown)
            while wanted.encode() not in shown[at:]:
                assert time.monotonic() < end, shown.decode(errors="replace")
                if select.select([ours], [], [], 0.1)[0]:
                    shown += os.read(ours, 65536)
            os.write(ours, text.encode())
        while process.poll() is None:
            assert time.monotonic() < end, shown.decode(errors="replace")
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    shown += os.read(ours, 65536)
                except OSError:
                    break
        return process.wait(20), shown.decode(errors="replace")
    finally:
        process.kill()
        os.close(ours)


def test_the_command_in_a_terminal(path, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    command = [sys.executable, "-m", "hybridstore", "--db", str(path), "search", "-i"]
    code, shown = typed([*command, "--no-history"], ("search ›", "ferry"), ("noon", ENTER + END))
    assert code == 0, shown
    assert "Traceback" not in shown
    assert not history_path().exists()


def test_it_needs_a_terminal_a_store_and_the_extra(path, tmp_path):
    run = CliRunner().invoke
    assert "at a terminal" in run(app, ["--db", str(path), "search", "-i"]).output
    assert "at a terminal" in run(app, ["--db", str(path), "search", "valve", "--interactive"]).output
    assert '"query": "grep -i"' in run(app, ["--db", str(path), "search", "grep", "-i", "--json"]).output
    assert "QUERY" in run(app, ["--db", str(path), "search"]).output
    command = [sys.executable, "-m", "hybridstore", "--db", str(tmp_path / "none.db"), "search", "-i"]
    code, shown = typed(command, ("no such store", ""))
    assert code == 1
    code = "import sys; sys.modules['prompt_toolkit'] = None; from hybridstore.cli.app import main; sys.exit(main())"
    code, shown = typed([sys.executable, "-c", code, "--db", str(path), "search", "-i"], ("pip install", ""))
    assert "pip install 'hybridstore[interactive]'" in shown
    assert "Traceback" not in shown
    assert code == 1
