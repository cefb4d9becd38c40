"""Connections that never finish a request are closed, and keep nobody out; over real sockets."""

import socket
import threading
import time
from contextlib import ExitStack

import pytest

pytest.importorskip("mcp", reason="the server is made with the MCP SDK: pip install 'hybridstore[mcp]'")

import uvicorn

from hybridstore.serving import http_limits
from hybridstore.serving.http_access import TokenGuard

TOKEN = b"a-token-of-some-length"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + TOKEN + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
HEADERS = 0.6  # seconds, in these tests
BODY = 1.2


async def echo(scope, receive, send):
    """Read the whole body, and answer its length."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
    await send({"type": "http.response.body", "body": b"%8d" % size})


@pytest.fixture(scope="module")
def port():
    put = pytest.MonkeyPatch()
    put.setattr(http_limits, "HEADER_SECONDS", HEADERS)
    put.setattr(http_limits, "BODY_SECONDS", BODY)
    put.setattr(http_limits, "MOST", 20)

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return
        await echo(scope, receive, send)

    config = http_limits.limited(TokenGuard(app, TOKEN.decode()))
    config.lifespan = "off"
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(30)
    put.undo()


def request(port, body=b"", token=TOKEN, length=None, timeout=20):
    """Send one request; return all that is answered until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as client:
        client.sendall(head(token, len(body) if length is None else length) + body)
        return rest(client)


def head(token, length):
    return (
        b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        + (b"Authorization: Bearer %s\r\n" % token if token else b"")
        + b"Content-Length: %d\r\n\r\n" % length
    )


def rest(client):
    """Return what is still sent before the server closes the connection."""
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def seconds_until_closed(client, drip=b"", every=0.1):
    """Send a byte now and then until the server closes the connection; return for how long it did not."""
    began = time.monotonic()
    client.settimeout(every)
    while time.monotonic() - began < 15:
        try:
            if drip:
                client.send(drip)
            if not client.recv(65536):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


def test_a_request_is_answered_and_one_without_the_token_at_once_without_its_body(port):
    assert b"200 OK" in request(port, b"x" * 100_000)
    began = time.monotonic()
    answer = request(port, token=b"", length=1_000_000)  # of which nothing is sent
    assert b"401" in answer
    assert time.monotonic() - began < BODY


@pytest.mark.parametrize(
    ("start", "drip", "limit"),
    [
        (b"", b"", HEADERS),
        (b"POST /mcp HT", b"", HEADERS),
        (b"POST /mcp HTTP/1.1\r\nX: ", b"x", HEADERS),
        (b"\r\n", b"", HEADERS),
        (head(TOKEN, 1000), b"", BODY),
        (head(TOKEN, 1000), b"x", BODY),
        (head(b"wrong-token-of-some-length", 1000), b"x", BODY),
        (CHUNKED + b"5\r\n", b"", BODY),
        (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", b"", BODY),
    ],
)  # fmt: skip
def test_a_request_that_does_not_end_is_closed(port, start, drip, limit):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(start)
        assert seconds_until_closed(client, drip) < limit + 5


def test_a_large_body_has_more_time_but_not_where_it_is_refused(port):
    size = 3 << 20
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(head(TOKEN, size))
        for _ in range(8):
            time.sleep(0.2)
            client.sendall(b"x" * (size // 8))
        assert b"200 OK" in rest(client)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(head(b"wrong-token-of-some-length", 1 << 30))
        assert seconds_until_closed(client, b"x") < BODY + 5


def test_a_connection_that_was_answered_must_send_its_next_request_in_time(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(head(TOKEN, 0).replace(b"Connection: close\r\n", b""))
        assert b"200 OK" in client.recv(65536)
        assert seconds_until_closed(client, b"P") < HEADERS + 5


def test_200_half_open_connections_keep_nobody_out_and_are_closed(port):
    with ExitStack() as opened:
        clients = [opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)) for _ in range(200)]
        for number, client in enumerate(clients):
            try:
                client.sendall(b"POST /mcp HTTP/1.1\r\nX: "[: number % 24])
            except OSError:  # closed already, in favour of later ones
                continue
            if number % 40 == 39:
                assert b"200 OK" in request(port, b"x")
        assert b"200 OK" in request(port, b"x")
        began = time.monotonic()
        for client in clients:
            rest(client)  # ends when the server closes it
        assert time.monotonic() - began < HEADERS + 10


def test_connections_with_a_request_under_way_are_not_closed_for_others(port):
    with ExitStack() as opened:
        busy = [opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)) for _ in range(20)]
        for client in busy:
            client.sendall(head(TOKEN, 3) + b"ab")
        time.sleep(0.3)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as extra:
            assert seconds_until_closed(extra) < HEADERS
        for client in busy:
            client.sendall(b"c")
            assert b"200 OK" in rest(client)


@pytest.mark.parametrize("junk", [b"x" * 100_000, b"POST / HTTP/1.1\r\n" + b"X: " + b"y" * 100_000, b"\0" * 20])
def test_headers_have_a_greatest_size(port, junk):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        try:
            client.sendall(junk)
        except OSError:
            return
        assert b"200" not in rest(client)
