"""`exchange`: what is said, the config file's folder, and the exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore.cli.app import app
from hybridstore.store.shared_folder import digest_of_file


def test_changes_go_and_come_and_are_told(run, tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    first = run("exchange", str(folder), "--name", "laptop")
    assert "This is laptop; there is no other device yet." in first.stderr
    assert "written for the others, in" in first.stderr
    with hs.open(tmp_path / "phone.db", embedder="none") as phone:
        phone.exchange(folder, name="phone")
        phone.add({"id": "soup", "text": "Another soup"})
        phone.purge("keys")
        phone.exchange(folder, name="phone")
    foreseen = run("exchange", str(folder), "--name", "laptop", "--dry-run")
    assert "replaced  soup" in foreseen.stdout
    assert "1 document would be replaced" in foreseen.stderr
    done = run("exchange", str(folder), "--name", "laptop")
    assert "there is 1 other device: phone" in done.stderr
    assert "1 document replaced; 1 document purged." in done.stderr
    again = json.loads(run("exchange", str(folder), "--name", "laptop", "--json").stdout)
    assert (again["read"], again["documents"], again["devices"]) == (0, 0, ["phone"])


def test_what_is_not_whole_is_told_and_what_is_something_else_fails(run, tmp_path):
    phone = tmp_path / "shared" / "phone"
    phone.mkdir(parents=True)
    (phone / f"000001-{32 * 'a'}.bundle").write_bytes(b"torn")
    (phone / "device.json").write_text(json.dumps({"bundles": [f"000002-{32 * 'b'}.bundle"]}))
    assert "2 bundles not here, or not whole, yet" in run("exchange", str(phone.parent)).stderr
    assert "is not a folder" in run("exchange", str(tmp_path / "nothing"), code=1).stderr


def test_the_folder_of_the_config_file_is_meant_where_none_is_named(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "name the DIR" in run("exchange", code=2).stderr
    (tmp_path / "shared").mkdir()
    Path("hybridstore.toml").write_text('exchange = "shared"\n')
    run("exchange", "--name", "laptop")
    assert (tmp_path / "shared" / "laptop").is_dir()


def test_a_command_that_serves_another_store_is_exchanged_with(run, tmp_path):
    with hs.open(tmp_path / "other.db", embedder="none") as other:
        other.add({"id": "tea", "text": "Green tea"})
    serving = f"{sys.executable} -m hybridstore --db {tmp_path / 'other.db'} exchange --stdio"
    done = run("exchange", "--with", serving)
    assert "1 document added." in done.stderr
    assert "3 documents new to the other store;" in done.stderr
    with hs.open(tmp_path / "other.db", embedder="none") as other:
        assert other.count() == 4
    assert json.loads(run("exchange", "--with", serving, "--json").stdout)["documents"] == 0
    assert "cannot be run" in run("exchange", "--with", "no-such-command-here", code=1).stderr
    for ending in ("true", "sleep .2", "head -c 5"):
        assert "ended before" in run("exchange", "--with", ending, code=1).stderr
    assert "(it said b'Welcome" in run("exchange", "--with", "echo Welcome to the box, dear friend", code=1).stderr
    run("exchange", "--with", serving, "--stdio", code=2)


def test_a_side_of_a_pipe_that_says_nothing_is_given_up(run, tmp_path):
    assert "said nothing for 1 seconds" in run("exchange", "--with", "sleep 60", "--silence", "1", code=1).stderr
    waits = [
        sys.executable,
        "-m",
        "hybridstore",
        "--db",
        tmp_path / "other.db",
        "exchange",
        "--stdio",
        "--silence",
        "1",
    ]
    ended = subprocess.Popen(waits, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with ended:
        assert ended.wait(20) == 1
        assert "the other side said nothing for too long" in ended.stderr.read()


def test_the_address_of_a_server_is_taken_where_a_folder_is(run):
    assert "cannot be reached" in run("exchange", "http://127.0.0.1:9/?token=secret-of-a-server", code=1).stderr


def test_a_new_store_that_nothing_came_into_is_removed_where_the_exchange_fails(tmp_path, db):
    def fails(*arguments):
        new = tmp_path / "new.db"
        result = CliRunner().invoke(app, ["--db", str(new), *map(str, arguments)])
        assert isinstance(result.exception, SystemExit)
        assert result.exit_code
        assert not list(tmp_path.glob("new.db*"))
        return result.stderr

    (phone := tmp_path / "shared" / "phone").mkdir(parents=True)
    (phone / "part").write_bytes(b"of another key " * 100)
    (phone / "part").rename(phone / f"000001-{digest_of_file(phone / 'part')}.bundle")
    assert "all devices have the same key, or none" in fails("exchange", phone.parent)
    assert "is not a folder" in fails("exchange", tmp_path / "nothing")
    assert "cannot be reached" in fails("exchange", "http://127.0.0.1:9/")
    assert "No closing quotation" in fails("exchange", "--with", "ssh 'box")
    assert "not a SQLite file" in fails("merge", __file__)
    assert db.exists()


def test_several_other_devices_and_a_conflict_are_told_as_what_they_are(run, tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    for name in ("phone", "tablet"):
        with hs.open(tmp_path / f"{name}.db", embedder="none") as store:
            store.add({"id": name, "text": "one"})
            store.exchange(folder, name=name)
    assert "there are 2 other devices: phone, tablet." in run("exchange", folder, "--name", "laptop").stderr
    with hs.open(tmp_path / "phone.db") as store:
        store.add({"id": "soup", "text": "Another soup"})
        store.exchange(folder, name="phone")
    for _ in range(2):  # the laptop's is the later one: nothing comes in but the copy
        run("add", "-", "--id", "soup", "--kind", "txt", "--embedder", "none", input="The laptop's soup")
    said = run("exchange", folder, "--name", "laptop").stderr
    assert "1 document changed on both sides" in said
    assert "Nothing new" not in said


def test_a_server_that_exchanges_by_itself_says_what_prevents_it(process, db, tmp_path):
    for module, extra in (("fastapi", "serve"), ("watchfiles", "watch")):
        pytest.importorskip(module, reason=f"pip install 'hybridstore[{extra}]'")
    (tmp_path / "hybridstore.toml").write_text('exchange = "nowhere"\n')
    served = process("--db", db, "serve", "--port", "0", "--watch")
    try:
        lines = iter(served.stderr.readline, "")
        assert "nowhere is not a folder" in next(line for line in lines if line.startswith("Not exchanged"))
    finally:
        served.terminate()
        served.communicate(timeout=20)


def test_a_watch_that_only_exchanges_says_what_it_waits_for(process, db, tmp_path):
    pytest.importorskip("watchfiles", reason="pip install 'hybridstore[watch]'")
    (tmp_path / "shared").mkdir()
    (tmp_path / "hybridstore.toml").write_text('exchange = "shared"\n')
    watching = process("--db", db, "watch")
    try:
        lines = [watching.stderr.readline() for _ in range(3)]
    finally:
        watching.terminate()
        watching.communicate(timeout=20)
    assert "Waiting for changes to exchange. Ctrl-C ends it.\n" in lines
    assert "3 documents written for the other devices.\n" in lines
