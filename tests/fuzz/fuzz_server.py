"""The MCP server as surfaces: messages on its standard input, messages over HTTP, and whole requests in raw bytes.

The server runs in threads of this process, so that its memory and its computing count as a surface's, on a socket and
on pipes of its own. Whatever it logs as an error is a raw error, and so are status codes from 500 on, tracebacks in an
answer, and a plain request that is not answered any more.
"""

from __future__ import annotations

import http.client
import io
import json
import logging
import os
import random
import re
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import anyio
import h11
import uvicorn
from fuzz_mutations import changed_bytes, changed_value, other_words
from mcp.server.stdio import stdio_server
from mcp_types import JSONRPCNotification, JSONRPCRequest, jsonrpc_message_adapter

from hybridstore.errors import InputError
from hybridstore.serving.http_access import listening
from hybridstore.serving.mcp_server import PATH, StoreServer, http_config

TOKEN = "a-token-of-some-length"  # noqa: S105 - of a server that lives for a run
_ANSWER = 20.0  # seconds until an answer is given up
_PLAIN_EVERY = 25  # inputs between two plain requests
_KEYS = [
    "jsonrpc",
    "id",
    "method",
    "params",
    "name",
    "arguments",
    "uri",
    "_meta",
    "cursor",
    "query",
    "text",
    "where",
    "ids",
]
_PING = {"jsonrpc": "2.0", "id": "ping", "method": "ping"}
_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "fuzz", "version": "1"},
    },
}
# Texts in the place of a value of a message: what JSON allows and Python, pydantic or a database may not.
_ODD_JSON = (
    *("1e400", "-1e400", "NaN", "Infinity", "-0", "9" * 5000, "1" + "0" * 400 + ".5", "1E2147483648", "true", "null"),
    *('"\\ud800"', '"\\u0000"', '"\\udfff\\ud800"', '"' + "a" * 100_000 + '"', '""', '" "', '"\\u202e"', '"e\\u0301"'),
    *("[" * depth + "]" * depth for depth in (20, 200, 5_000, 100_000)),
    *('{"a":' * depth + "1" + "}" * depth for depth in (20, 200, 5_000, 50_000)),
    *(
        "[]",
        "{}",
        '{"":0}',
        '{"a":1,"a":2}',
        "[1,[2,[3]]]",
        "[" + "0," * 20_000 + "0]",
        '{"$or":[' + "{}," * 500 + "{}]}",
    ),
)
_HEADERS: tuple[tuple[str, str], ...] = (
    ("Content-Length", "0"),
    ("Content-Length", "-1"),
    ("Content-Length", "99999999999999999999"),
    ("Content-Length", "5"),
    ("Content-Length", "1e3"),
    ("Transfer-Encoding", "chunked"),
    ("Transfer-Encoding", "gzip, chunked"),
    ("Content-Encoding", "gzip"),
    ("Content-Type", "application/json; charset=utf-16"),
    ("Content-Type", "application/json;"),
    ("Content-Type", "text/plain"),
    ("Content-Type", ""),
    ("Accept", "*/*"),
    ("Accept", "text/event-stream"),
    ("Accept", "application/json;q=0"),
    ("Accept", ","),
    ("Accept-Encoding", "gzip, br"),
    ("Expect", "100-continue"),
    ("Expect", "x"),
    ("Host", "evil.example"),
    ("Host", ""),
    ("Host", "localhost:1"),
    ("Origin", "null"),
    ("Origin", "http://evil.example"),
    ("Authorization", "Bearer x"),
    ("Authorization", "Bearer \xff\xfe"),
    ("Authorization", "Basic YTpi"),
    ("Mcp-Session-Id", "a" * 500),
    ("Mcp-Session-Id", "\x01"),
    ("Mcp-Protocol-Version", "1999-01-01"),
    ("Mcp-Protocol-Version", "\xe9"),
    ("Last-Event-ID", "7"),
    ("Connection", "upgrade"),
    ("Upgrade", "websocket"),
    ("Upgrade", "h2c"),
    ("Cookie", "a=b; " * 50),
    ("X-Forwarded-For", "::1"),
    ("Range", "bytes=0-"),
    ("X-Long", "x" * 20_000),
    ("X-Fold", "a\r\n b"),
    ("X Odd", "1"),
    ("", "1"),
    ("X-Nul", "a\x00b"),
)
_LINES = (
    *(
        f"{method} {PATH} HTTP/1.1"
        for method in ("GET", "DELETE", "PUT", "HEAD", "OPTIONS", "TRACE", "PATCH", "post", "X")
    ),
    *(
        f"POST {path} HTTP/1.1"
        for path in ("/", f"{PATH}/", f"{PATH}?a=%ff", f"/{PATH}", "/%00", "*", "/" + "a" * 9000)
    ),
    *(f"POST {PATH} HTTP/{version}" for version in ("1.0", "0.9", "2.0", "x")),
    f"POST http://evil.example{PATH} HTTP/1.1",
    f"CONNECT localhost:{PATH} HTTP/1.1",
    "",
)


def messages(calls: list[Any]) -> list[dict[str, Any]]:
    """Return a valid message of each kind; `calls` are those of tools."""
    methods = ["tools/list", "resources/list", "resources/templates/list", "prompts/list"]
    made: list[dict[str, Any]] = [_INITIALIZE, _PING]
    made += [{"jsonrpc": "2.0", "id": n, "method": method} for n, method in enumerate(methods)]
    made += [{"jsonrpc": "2.0", "id": f"c{n}", "method": "tools/call", "params": call} for n, call in enumerate(calls)]
    made.append({"jsonrpc": "2.0", "id": 9, "method": "resources/read", "params": {"uri": "memory://mcp/kept"}})
    made.append({"jsonrpc": "2.0", "method": "notifications/initialized"})
    made.append({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3, "reason": "x"}})
    return made


def changed_message(rng: random.Random, message: dict[str, Any]) -> bytes:
    """Return the text of a message with a change: of a value, of the text, or an odd value in the place of one."""
    kind = rng.random()
    if kind < 0.3:  # a valid one
        params = message.get("params", {})
        if "arguments" in params:
            message = {**message, "params": {**params, "arguments": other_words(rng, params["arguments"])}}
        return json.dumps({**message, "id": rng.randrange(10**6)} if "id" in message else message).encode()
    if kind < 0.65:
        with suppress(TypeError, ValueError, RecursionError):
            return json.dumps(changed_value(rng, message, _KEYS), default=repr, skipkeys=True).encode()
    text = json.dumps(message)
    if kind < 0.8:
        return changed_bytes(rng, text.encode(), [text.encode()])
    places = [found.span() for found in re.finditer(r'(?<=: )("[^"]*"|[0-9.]+)', text)]
    start, end = rng.choice(places)
    if kind < 0.95:
        return (text[:start] + rng.choice(_ODD_JSON) + text[end:]).encode()
    return rng.choice(
        (
            f"[{text},{text}]".encode(),
            text.encode("utf-16"),
            b"\xef\xbb\xbf" + text.encode(),
            b" " * 5000 + text.encode(),
            text.encode() * 2,
            b"",
            b"\n\n" + text.encode() + b"\r\n\r\n",
        )
    )


def request(body: bytes, *, line: str = f"POST {PATH} HTTP/1.1", headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Return a whole request; headers of the same name are replaced."""
    known = {
        "Host": "localhost",  # the port is added when it is known
        "Authorization": f"Bearer {TOKEN}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "Content-Length": str(len(body)),
    } | dict(headers)
    lines = "\r\n".join([line, *(f"{name}: {value}" for name, value in known.items()), "", ""])
    return lines.encode("latin-1") + body


def changed_request(rng: random.Random, body: bytes) -> bytes:
    """Return a request with a change in its body, its headers, its first line, or anywhere."""
    match rng.randrange(10):
        case 0 | 1 | 2:
            return request(changed_message(rng, json.loads(body)))
        case 3 | 4 | 5:
            return request(body, headers=tuple(rng.sample(_HEADERS, rng.choice((1, 1, 2)))))
        case 6:
            return request(
                body, line=rng.choice(_LINES), headers=(("Connection", rng.choice(("close", "keep-alive"))),)
            )
        case 7:  # in chunks, some of which are none
            size = rng.choice((f"{len(body):x}", "0", "5", "-1", "ffffffffffffffff", "zz", f"{len(body):x};a=b"))
            chunks = f"{size}\r\n".encode() + body + b"\r\n0\r\n" + rng.choice((b"\r\n", b"A: b\r\n\r\n", b""))
            whole = request(b"", headers=(("Transfer-Encoding", "chunked"),))
            return whole.replace(b"Content-Length: 0\r\n", b"") + chunks
        case 8:
            whole = request(body)
            return whole + whole if rng.random() < 0.5 else whole[: rng.randrange(len(whole))]
        case _:
            return changed_bytes(rng, request(body), [request(body)])


class Errors(logging.Handler):
    """What was logged as an error since it was last looked at."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, with its traceback."""
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        self.found.append(f"{record.getMessage()[:200]} {trace[-1200:]}")

    def check(self) -> None:
        """Raise AssertionError if there is any."""
        found, self.found = self.found, []
        if found:
            raise AssertionError("logged: " + found[0])

    def listen(self) -> None:
        """Take the place of the handlers that print, as of warnings about what clients send."""
        for name in ("", "uvicorn", "uvicorn.error"):
            logging.getLogger(name).handlers = [self]


class Loopback:
    """The server over HTTP, started when it is first needed."""

    def __init__(self, mcp: StoreServer, errors: Errors) -> None:
        self._mcp, self._errors, self._count = mcp, errors, 0
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._kept: http.client.HTTPConnection | None = None
        self.port = 0

    def _start(self) -> None:
        bound = listening("127.0.0.1", 0)
        self.port = bound.getsockname()[1]
        self._server = uvicorn.Server(http_config(self._mcp, TOKEN, "127.0.0.1", self.port))
        self._errors.listen()
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [bound]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def close(self) -> None:
        """Stop it."""
        if self._server and self._thread:
            self._kept and self._kept.close()
            self._server.should_exit = True
            self._thread.join(20)

    def message(self, body: bytes) -> None:
        """Send a message over a connection that is kept; raises InputError unless it is answered with a result."""
        if self._server is None:
            self._start()
        status, answer = self._post(body)
        self._after(status, answer)
        if not (status == 202 or _is_result(answer)):
            raise InputError(f"{status} {answer[:100]!r}")

    def _post(self, body: bytes) -> tuple[int, bytes]:
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        for _ in range(2):  # once more, if the server has closed an idle connection
            self._kept = self._kept or http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER)
            try:
                self._kept.request("POST", PATH, body, headers)
                answer = self._kept.getresponse()
                return answer.status, answer.read()
            except (http.client.RemoteDisconnected, ConnectionError):
                self._kept.close()
                self._kept = None
        return 0, b""

    def raw(self, data: bytes) -> None:
        """Send bytes over a connection of their own; raises InputError unless the first answer is good."""
        if self._server is None:
            self._start()
        status, answer = self._exchange(data)
        self._after(status, answer)
        if not 200 <= status < 300:
            raise InputError(f"{status}")

    def _exchange(self, data: bytes) -> tuple[int, bytes]:
        answer, data = b"", data.replace(b"Host: localhost\r\n", f"Host: localhost:{self.port}\r\n".encode())
        with socket.create_connection(("127.0.0.1", self.port), timeout=_ANSWER) as connection:
            with suppress(ConnectionError):  # it may be refused before all of it is sent
                connection.sendall(data)
                if not _is_whole(data):
                    connection.shutdown(socket.SHUT_WR)
                while not _is_answered(answer) and (some := connection.recv(65536)):
                    answer += some
        found = re.match(rb"HTTP/1\.[01] ([0-9]{3})", answer)
        return int(found[1]) if found else 0, answer

    def _after(self, status: int, answer: bytes) -> None:
        self._count += 1
        self._errors.check()
        if status >= 500 or b"Traceback" in answer:
            raise AssertionError(f"answered {status}: {answer[:300]!r}")
        if self._count % _PLAIN_EVERY == 0:
            status, answer = self._exchange(request(json.dumps(_INITIALIZE).encode()))
            if status != 200 or b'"result"' not in answer:
                raise AssertionError(f"a plain request is answered {status}: {answer[:300]!r}")


def _is_result(answer: bytes) -> bool:
    try:
        found = json.loads(answer)
    except ValueError:
        return False
    return isinstance(found, dict) and "result" in found and not (found["result"] or {}).get("isError")


def _is_whole(data: bytes) -> bool:
    """Return whether a server need not wait for more: there is a whole request, or a mistake."""
    reader = h11.Connection(h11.SERVER, 16_384)
    try:
        reader.receive_data(data)
        while (event := reader.next_event()) is not h11.NEED_DATA:
            if isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)) or event is h11.PAUSED:
                return True
    except h11.RemoteProtocolError:
        return True
    return False


def _is_answered(answer: bytes) -> bool:
    """Return whether this is a whole answer, or the head of one whose length is not known."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if head.startswith(b"HTTP/1.1 100"):
        return _is_answered(body)
    length = re.search(rb"(?im)^content-length: *([0-9]+)", head)
    return length is None or len(body) >= int(length[1])


class StandardInput:
    """The server on two pipes in place of standard input and output, started when it is first needed."""

    def __init__(self, mcp: StoreServer, errors: Errors) -> None:
        self._mcp, self._errors, self._number = mcp, errors, 0
        self._thread: threading.Thread | None = None

    def _start(self) -> None:
        (self._in, self._to), (self._from, self._out) = os.pipe(), os.pipe()
        self._answers = io.BufferedReader(io.FileIO(self._from))
        self._errors.listen()
        self._thread = threading.Thread(target=anyio.run, args=(self._serve,), daemon=True)
        self._thread.start()
        self._send(json.dumps(_INITIALIZE).encode())
        self._answers.readline()
        self._send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')

    async def _serve(self) -> None:
        self._streams = (
            io.TextIOWrapper(io.FileIO(self._in), encoding="utf-8", errors="replace"),  # as `stdio_server` wraps them
            io.TextIOWrapper(io.FileIO(self._out, "w"), encoding="utf-8"),
        )
        lowlevel = self._mcp._lowlevel_server
        async with stdio_server(*map(anyio.wrap_file, self._streams)) as (reading, writing):
            await lowlevel.run(reading, writing, lowlevel.create_initialization_options())

    def close(self) -> None:
        """Let it read its end."""
        if self._thread:
            os.close(self._to)
            self._thread.join(20)
            for stream in (self._answers, *self._streams):
                stream.close()

    def _send(self, line: bytes) -> None:
        threading.Thread(target=os.write, args=(self._to, line + b"\n"), daemon=True).start()

    def message(self, body: bytes) -> None:
        """Send a line, then a ping; raises InputError unless there is a result before the ping's."""
        if self._thread is None:
            self._start()
        self._number += 1
        mark = f"ping {self._number}"
        # As the server reads them: bytes that are no UTF-8 replaced, and a line for each end of one.
        lines = io.TextIOWrapper(io.BytesIO(body), encoding="utf-8", errors="replace").readlines()
        known = [_as_message(line) for line in lines]
        awaited = {json.dumps(each.id) for each in known if isinstance(each, JSONRPCRequest)} | {json.dumps(mark)}
        self._send(body + b"\n" + json.dumps({**_PING, "id": mark}).encode())
        results = sum(isinstance(each, JSONRPCNotification) for each in known)
        while awaited:
            answer = self._answers.readline()
            self._errors.check()
            if not answer:
                raise AssertionError("the server has ended")
            if b"Traceback" in answer:
                raise AssertionError(answer[:500].decode(errors="replace"))
            id_ = json.dumps(json.loads(answer).get("id"))
            results += id_ in awaited and id_ != json.dumps(mark) and _is_result(answer)
            awaited.discard(id_)
        if not results:
            raise InputError("no result")


def _as_message(line: str) -> object:
    try:
        return jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        return None
