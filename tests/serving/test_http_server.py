"""A server in a process of its own: what it prints, whom it lets in, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

pytest.importorskip("fastapi", reason="the server needs it: pip install 'hybridstore[serve]'")

import hybridstore as hs

TOKEN = "a-token-of-some-length"  # noqa: S105 - of a server that lives for a test


class Served:
    """A server, its address, and what it wrote."""

    def __init__(self, path, *options, command=("serve", "http"), **environment):
        known = {name: value for name, value in os.environ.items() if not name.startswith("HYBRIDSTORE")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hybridstore", "--db", str(path), *command, "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**known, **environment},
        )
        lines = iter(self.process.stderr.readline, "")
        self.line = next(line for line in lines if line.startswith("Serving on"))
        self.url, _, self.query = self.line.removeprefix("Serving on ").strip().partition("?")
        self.port = int(self.url.split(":")[-1].strip("/"))

    def ask(self, path, body=None, method=None, **headers):
        """Return status, headers and body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        asked = urllib.request.Request(  # noqa: S310 - our own server
            self.url.rstrip("/") + path, data, {"Content-Type": "application/json"} | headers, method=method
        )
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(asked, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        out, err = self.process.communicate(timeout=20)
        assert out == ""
        assert "Traceback" not in err
        return err


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("http") / "notes.db"
    with hs.open(path, embedder="none") as store:
        store.add("The harbour is closed.")
    return path


@pytest.fixture(scope="module")
def served(path):
    served = Served(path)
    yield served
    served.stop()


@pytest.fixture(scope="module")
def guarded(path):
    served = Served(path, HYBRIDSTORE_TOKEN=TOKEN)
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


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_serve_alone_serves_over_http_and_ends_when_told(path, how):
    served = Served(path, command=("serve",))
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


def test_a_random_token_is_in_the_address_where_other_machines_reach_it(path):
    served = Served(path, "--host", "0.0.0.0", "--allow-host", "127.0.0.1")  # noqa: S104 - for a test
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
