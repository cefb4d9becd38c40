"""A server in a process of its own: what it prints, whom it lets in, and how it ends."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore.cli.app import app
from hybridstore.cli.shared_options import Target
from hybridstore.serving import warm_search

TOKEN = "a-token-of-some-length"  # noqa: S105 - of a server that lives for a test


@pytest.fixture(scope="module")
def served(path, process):
    served = process(path)
    yield served
    served.stop()


def test_it_listens_on_this_machine_alone_and_needs_no_token(served):
    assert served.url.startswith("http://127.0.0.1:")
    assert served.query == ""
    status, _, body = served.ask("/api/search?q=harbour")
    assert status == 200
    assert json.loads(body)["hits"][0]["text"] == "The harbour is closed."


def test_what_is_added_is_found(served):
    status, _, body = served.ask("/api/documents", {"text": "The lighthouse is open."})
    assert (status, json.loads(body)["added"]) == (201, 1)
    assert b"lighthouse is open" in served.ask("/api/search?q=lighthouse")[2]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_serve_alone_serves_over_http_and_ends_when_told(tmp_path, process, how):
    path = tmp_path / "notes.db"
    served = process(path, "--embedder", "none", command=("serve",))
    assert path.with_name("notes.db-serve").exists()
    assert json.loads(served.ask("/api/health")[2])["status"] == "ok"
    served.stop(how)
    assert served.process.returncode == (130 if how == signal.SIGINT else 0)
    assert not path.with_name("notes.db-serve").exists()


@pytest.mark.thorough
def test_a_second_ctrl_c_ends_it_without_a_traceback(path, process):
    served = process(path)
    with urllib.request.urlopen(f"{served.url}api/events", timeout=30):  # noqa: S310 - our own server
        served.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert "Stopped" in served.stop(signal.SIGINT)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Cookie": f"hybridstore-1={TOKEN}"},
        {"Cookie": f"other={TOKEN}"},
        {"X-Token": TOKEN},
    ],
)
@pytest.mark.parametrize(
    "where", ["/", "/api/health", "/api/openapi.json", "/api/events", "/nothing", "/api/health?token=wrong"]
)
def test_nothing_is_answered_without_the_token(guarded, headers, where):
    status, sent, body = guarded.ask(where, **headers)
    assert status == 401
    assert sent["Content-Type"] == "application/problem+json"
    assert TOKEN.encode() not in body


def test_the_token_is_taken_from_a_header_or_once_from_the_address(guarded):
    assert guarded.ask("/api/health", Authorization=f"Bearer {TOKEN}")[0] == 200
    status, headers, _ = guarded.ask(f"/api/search?q=harbour&token={TOKEN}&limit=1")
    assert (status, headers["Location"]) == (303, "/api/search?q=harbour&limit=1")
    cookie, *attributes = headers["Set-Cookie"].split("; ")
    assert set(attributes) == {"HttpOnly", "SameSite=Strict", "Path=/"}
    assert guarded.ask("/api/search?q=harbour", Cookie=cookie)[0] == 200
    assert guarded.ask("/api/documents", {"text": "With a cookie."}, Cookie=cookie)[0] == 201
    assert guarded.ask(f"//evil.example/?token={TOKEN}")[1]["Location"] == "/evil.example/"


@pytest.mark.thorough
def test_a_random_token_is_in_the_address_where_other_machines_reach_it(path, process):
    served = process(path, "--host", "0.0.0.0", "--allow-host", "127.0.0.1")  # noqa: S104 - for a test
    try:
        token = served.query.removeprefix("token=")
        assert len(token) >= 32
        assert served.ask("/api/health")[0] == 401
        assert served.ask("/api/health", Authorization=f"Bearer {token}")[0] == 200
    finally:
        served.stop()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "127.0.0.1:1", ""])
def test_another_host_name_is_rejected(served, host):
    assert served.ask("/api/search?q=harbour", Host=host)[0] in (400, 421)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "https://127.0.0.1"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},
    ],
)
@pytest.mark.parametrize("body", [None, {"text": "Planted."}])
def test_requests_of_other_pages_are_rejected(served, headers, body):
    assert served.ask("/api/documents" if body else "/api/search?q=harbour", body, **headers)[0] == 403
    assert b"Planted" not in served.ask("/api/search?q=planted")[2]
    assert served.ask("/api/events", **headers)[0] == 403


def test_the_own_page_may_read_and_write_and_a_link_may_lead_to_it(served):
    own = {"Origin": served.url.strip("/"), "Sec_Fetch_Site": "same-origin"}
    assert served.ask("/api/documents", {"text": "From the page."}, **own)[0] == 201
    linked = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert served.ask("/", **linked)[0] != 403


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"GET /api/health HTTP/1.1\r\nHost:",
        b"POST /api/documents HTTP/1.1\r\nHost: %s\r\nContent-Length: 9\r\n\r\n",
    ],
)
@pytest.mark.thorough
def test_a_client_that_never_ends_its_request_is_disconnected_and_holds_up_nobody(served, start):
    with socket.create_connection(("127.0.0.1", served.port), timeout=40) as client:
        client.sendall(start.replace(b"%s", f"127.0.0.1:{served.port}".encode()))
        assert served.ask("/api/health")[0] == 200
        while client.recv(4096):
            pass


@pytest.mark.thorough
def test_folders_are_followed_and_open_pages_told(tmp_path, process):
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("The harbour is closed.")
    with hs.open(tmp_path / "s.db", embedder="none") as store:
        store.add_folder(folder)
    served = process(tmp_path / "s.db", "--watch")
    try:
        with urllib.request.urlopen(f"{served.url}api/events", timeout=30) as events:  # noqa: S310 - our own server
            revisions = (json.loads(line[6:])["revision"] for line in events if line.startswith(b"data: "))
            first = next(revisions)
            (folder / "b.md").write_text("The lighthouse is open.")
            assert next(revisions) > first
        assert b"lighthouse is open" in served.ask("/api/search?q=lighthouse")[2]
    finally:
        served.stop()


def searched(path, *options, **environment):
    result = CliRunner(env=environment).invoke(app, ["--db", str(path), "search", "harbour", *options])
    assert result.exit_code == 0, result.output
    return result


def test_a_search_on_the_command_line_is_answered_by_the_server_of_the_file(path, served, monkeypatch):
    beside = path.with_name("notes.db-serve")
    assert beside.stat().st_mode & 0o777 == 0o600
    # A store that does not open leaves only the server to answer.
    with monkeypatch.context() as closed:
        closed.setattr(Target, "open", None)
        warm = {option: searched(path, option).stdout for option in ("--json", "--full", "--mode=keyword")}
        nothing = CliRunner().invoke(app, ["--db", str(path), "search", "xylophone", "--mode=keyword"])
    assert "no passage contains any of these words" in nothing.output
    monkeypatch.setattr(warm_search, "asked", lambda *_: None)
    for option, shown in warm.items():
        here = searched(path, option).stdout
        if option == "--json":
            assert json.loads(here) | {"timings": 0} == json.loads(shown) | {"timings": 0}
        else:
            assert here == shown


def test_what_is_not_for_the_server_is_done_here(path, served, monkeypatch):
    monkeypatch.setattr(warm_search, "asked", None)  # calling it would fail
    for options, environment in ((["--log"], {}), ([], {"HYBRIDSTORE_EMBEDDER": "none"})):
        assert "The harbour is closed." in searched(path, *options, **environment).stdout


def test_commands_of_other_machines_and_pages_do_not_reach_what_is_for_the_file_s_owner(served):
    body = {"query": "harbour", "conditions": [], "how": {}}
    assert served.ask("/command/search", body)[0] == 404


@pytest.mark.parametrize("beside", ["killed", "file", "other", "folder"])
def test_whatever_else_is_beside_the_file_the_search_is_done_here(tmp_path, beside):
    path, place = tmp_path / "s.db", tmp_path / "s.db-serve"
    with hs.open(path, embedder="none") as store:
        store.add("The harbour is closed.")
    with socket.socket(socket.AF_UNIX) as server, warm_search.listening_beside(str(path)) as first:
        with warm_search.listening_beside(str(path)) as second:  # the first one stays
            assert (len(first), second) == (1, [])
        first[0].close()
        place.unlink()
        if beside == "killed":
            server.bind(str(place))
            server.close()
        elif beside == "folder":
            place.mkdir()
        else:
            place.write_text("not a socket" if beside == "file" else "")
        assert "The harbour is closed." in searched(path).stdout
    with warm_search.listening_beside(str(path)) as again:
        assert len(again) == (beside == "killed")


@pytest.mark.parametrize(("options", "sentence"), [(["--watch"], "no folder"), (["--watch", "--read-only"], "forbids")])
def test_nothing_to_follow_is_said_at_once(tmp_path, options, sentence):
    hs.open(tmp_path / "s.db", embedder="none").close()
    result = CliRunner().invoke(app, ["--db", str(tmp_path / "s.db"), "serve", *options])
    assert result.exit_code in (1, 2)
    assert sentence in result.output


def test_without_the_extra_it_says_what_to_install(tmp_path):
    code = """
import sys
sys.modules["fastapi"] = None
from hybridstore.cli.app import main
sys.exit(main())
"""
    command = [sys.executable, "-c", code, "--db", str(tmp_path / "s.db"), "serve", "--embedder", "none"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 1
    assert "pip install 'hybridstore[serve]'" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_head_is_answered_like_get_and_ends_where_a_stream_begins(served):
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as client:
        for path in ("/api/health", "/api/events", "/", "/static/page.css", "/api/documents/nothing"):
            client.sendall(f"HEAD {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
            got = served.ask(path)[0] if path != "/api/events" else 200
            answer = client.recv(65536)
            assert answer.endswith(b"\r\n\r\n")  # no body, so the next answer is where it is expected
            assert int(answer.split()[1]) == got
