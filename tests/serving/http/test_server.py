"""A server in a process of its own: what it prints, whom it lets in, and how it ends."""

import json
import signal
import socket
import urllib.request

import pytest
from click.testing import CliRunner

import hybridstore as hs
from hybridstore.cli.app import app

TOKEN = "a-token-of-some-length"  # noqa: S105 - of a server that lives for a test


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("http") / "notes.db"
    with hs.open(path, embedder="none") as store:
        store.add("The harbour is closed.")
    return path


@pytest.fixture(scope="module")
def served(path, process):
    served = process(path)
    yield served
    served.stop()


@pytest.fixture(scope="module")
def guarded(path, process):
    served = process(path, HYBRIDSTORE_TOKEN=TOKEN)
    yield served
    assert TOKEN not in served.line + served.stop()


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


@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)])
def test_serve_alone_serves_over_http_and_ends_when_told(path, process, how):
    served = process(path, command=("serve",))
    assert json.loads(served.ask("/api/health")[2])["status"] == "ok"
    served.stop(how)
    assert served.process.returncode in (0, 130, -signal.SIGTERM)


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
@pytest.mark.parametrize("where", ["/", "/api/health", "/api/openapi.json", "/nothing", "/api/health?token=wrong"])
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


@pytest.mark.parametrize(("options", "sentence"), [(["--watch"], "no folder"), (["--watch", "--read-only"], "forbids")])
def test_nothing_to_follow_is_said_at_once(tmp_path, options, sentence):
    hs.open(tmp_path / "s.db", embedder="none").close()
    result = CliRunner().invoke(app, ["--db", str(tmp_path / "s.db"), "serve", *options])
    assert result.exit_code in (1, 2)
    assert sentence in result.output
