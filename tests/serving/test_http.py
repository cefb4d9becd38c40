"""Over HTTP: only with the token, only under this machine's own names, and then like over anything else."""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from hybridstore.errors import InputError
from hybridstore.memory import Memory
from hybridstore.serving.http_access import TokenGuard, checked_token, is_loopback, listening, security
from hybridstore.serving.mcp_server import serve

TOKEN = "a-token-of-some-length"  # noqa: S105 - of a server that lives for a test
BODY = (
    b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", '
    b'"capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}}'
)
HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


class McpServed:
    """An MCP server in a process of its own; `told` is what it wrote before it listened."""

    def __init__(self, path, *options, **environment):
        known = {name: value for name, value in os.environ.items() if not name.startswith("HYBRIDSTORE")}
        command = [sys.executable, "-m", "hybridstore", "--db", str(path), "serve", "mcp", "--http", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--namespace", "user/42", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**known, **environment},
        )
        lines = iter(self.process.stderr.readline, "")
        self.result = next(line for line in lines if line.startswith("Serving on"))
        self.address = self.result.split()[-1]

    def posted(self, **headers):
        """Give the status that a first request is answered with, and the body."""
        request = urllib.request.Request(self.address, BODY, HEADERS | headers)  # noqa: S310 - our own server
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def stop(self):
        self.process.terminate()
        return self.process.communicate(timeout=20)


@asynccontextmanager
async def connected(mcp_served):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(mcp_served.address, http_client=http)) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def mcp_served(path):
    mcp_served = McpServed(path, HYBRIDSTORE_TOKEN=TOKEN)
    yield mcp_served
    out, result = mcp_served.stop()
    assert out == ""
    assert TOKEN not in mcp_served.result + result
    assert "Traceback" not in result


def test_it_listens_on_this_machine_alone(mcp_served):
    assert mcp_served.address.startswith("http://127.0.0.1:")
    assert mcp_served.address.endswith("/mcp")


@pytest.mark.parametrize("sent", [0, 1, len(BODY) - 1])
@pytest.mark.parametrize("extra", ["", "Expect: 100-continue\r\n"])
def test_a_client_that_goes_before_its_request_is_whole_is_no_error(mcp_served, sent, extra):
    host, port = mcp_served.address.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        lines = [f"POST /mcp HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {TOKEN}"]
        lines += [*(f"{name}: {value}" for name, value in HEADERS.items()), f"Content-Length: {len(BODY)}"]
        client.sendall("\r\n".join([*lines, extra, ""]).encode() + BODY[:sent])
        client.shutdown(socket.SHUT_WR)
        answer = client.recv(65536)
    assert b" 500 " not in answer
    assert mcp_served.posted(Authorization=f"Bearer {TOKEN}")[0] == 200  # the fixture finds no traceback at its end


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong-token-of-some-length"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer "},
        {"X-Token": TOKEN},
    ],
)
def test_requests_without_the_right_token_are_rejected(mcp_served, headers):
    status, body = mcp_served.posted(**headers)
    assert status == 401
    assert TOKEN not in body


def test_no_path_of_the_server_is_open_without_the_token(mcp_served):
    for path in ("/", "/mcp/", "/health", "/.well-known/oauth-protected-resource"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(mcp_served.address.replace("/mcp", path), timeout=20)  # noqa: S310
        with caught.value as answer:
            assert answer.code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "127.0.0.1:1", "localhost"]
)
def test_another_host_name_is_rejected_with_the_right_token_too(mcp_served, host):
    assert mcp_served.posted(Authorization=f"Bearer {TOKEN}", Host=host)[0] == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://127.0.0.1", "null", "http://localhost.evil.example"]
)
def test_a_web_page_of_elsewhere_is_rejected_with_the_right_token_too(mcp_served, origin):
    assert mcp_served.posted(Authorization=f"Bearer {TOKEN}", Origin=origin)[0] == 403


def test_the_right_token_is_let_in_from_a_page_of_this_machine_too(mcp_served):
    port = mcp_served.address.split(":")[2].removesuffix("/mcp")
    status, body = mcp_served.posted(Authorization=f"Bearer {TOKEN}", Origin=f"http://localhost:{port}")
    assert status == 200
    assert "hybridstore" in body


def test_a_body_over_four_mebibytes_is_refused(mcp_served):
    host, port = mcp_served.address.removeprefix("http://").removesuffix("/mcp").split(":")
    fields = HEADERS | {"Authorization": f"Bearer {TOKEN}", "Host": f"{host}:{port}", "Content-Length": (4 << 20) + 1}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        # The whole body is not sent: a server that refuses it closes the connection under a client that still writes.
        connection.sendall(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "start", [b"", b"POST /mcp HTTP/1.1\r\nHost:", b"POST /mcp HTTP/1.1\r\nContent-Length: 9\r\n\r\n"]
)
def test_the_served_port_closes_requests_that_do_not_end(mcp_served, start):
    port = int(mcp_served.address.split(":")[2].removesuffix("/mcp"))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(start)
        while client.recv(4096):
            pass


async def test_a_client_with_the_token_uses_the_tools(mcp_served):
    async with connected(mcp_served) as client:
        kept = await client.call_tool("remember", {"text": "The ferry leaves at noon."})
        assert kept.structured_content["status"] == "added"
        found = await client.call_tool("search", {"query": "harbour"})
        assert "The harbour is closed." in found.content[0].text
        recalled = await client.call_tool("recall", {"query": "ferry"})
        assert recalled.structured_content["items"][0]["text"] == "The ferry leaves at noon."


async def test_many_clients_write_at_once_and_nothing_is_lost(mcp_served, path):
    async def write(number):
        async with connected(mcp_served) as client:
            for each in range(5):
                answer = await client.call_tool("remember", {"text": f"Writer {number}, note {each}."})
                assert not answer.is_error

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(write, number)
    with Memory(path, ("user", "42")) as memory:
        texts = {note.text for note in memory.notes()}
    assert {f"Writer {number}, note {each}." for number in range(4) for each in range(5)} <= texts


@pytest.mark.thorough
def test_a_random_token_is_printed_to_standard_error(path):
    mcp_served = McpServed(path)
    try:
        token = mcp_served.process.stderr.readline().removeprefix("Token: ").strip()
        assert len(token) >= 32
        assert mcp_served.posted(Authorization=f"Bearer {token}")[0] == 200
        assert mcp_served.posted()[0] == 401
    finally:
        out, _ = mcp_served.stop()
    assert out == ""


@pytest.mark.parametrize(
    "token", ["", "short", "with a space in it", "ünïcödé-of-some-length", "line\nbreak-of-some-length"]
)
def test_a_token_that_is_soon_guessed_or_no_header_is_rejected(token):
    with pytest.raises(InputError, match="at least 16"):
        checked_token(token)


def test_other_machines_reach_it_only_under_names_that_were_said():
    with pytest.raises(InputError, match="--allow-host"):
        security("0.0.0.0", 80, ())  # noqa: S104 - refused
    allowed = security("0.0.0.0", 80, ["box.lan"]).allowed_hosts  # noqa: S104
    assert set(allowed) == {"box.lan", "box.lan:80"}
    assert "evil.example:80" not in security("127.0.0.1", 80, ()).allowed_hosts


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("10.0.0.1", False)]
)
def test_which_addresses_are_this_machines_alone(host, own):
    assert is_loopback(host) is own


def test_a_port_in_use_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(InputError, match="choose another"):
        listening("127.0.0.1", other.getsockname()[1])
    for port in (-1, 65536, "80", True):
        with pytest.raises(InputError, match="0 to 65535"):
            listening("127.0.0.1", port)


def test_an_unknown_transport_is_rejected(memory):
    with pytest.raises(InputError, match="stdio, http"):
        serve(memory, transport="sse")


@pytest.mark.parametrize("authorization", [[], [b"Bearer t", b"Bearer t"]])
async def test_the_guard_needs_exactly_one_token_and_closes_web_sockets(authorization):
    sent = []

    async def inner(*_):
        sent.append("inner")

    async def send(message):
        sent.append(message.get("status") or message["type"])

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    guard = TokenGuard(inner, "t")
    await guard({"type": "http", "headers": [(b"authorization", each) for each in authorization]}, None, send)
    await guard({"type": "websocket", "headers": [(b"authorization", b"Bearer t")]}, None, send)
    await guard({"type": "http", "headers": [(b"authorization", b"bearer t")]}, receive, send)
    await guard({"type": "lifespan"}, None, send)
    assert sent == [401, "http.response.body", "websocket.close", "inner", "inner"]


def test_answers_do_not_wait_for_the_confirmation_of_their_headers():
    with listening("127.0.0.1", 0) as server, socket.create_connection(server.getsockname()):
        connection, _ = server.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
