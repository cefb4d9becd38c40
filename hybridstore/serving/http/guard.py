"""Who may connect: names of this machine, pages of this server, the token; and the headers that keep pages safe.

A browser sends requests for any page that it shows. Those of other pages are recognised by Host (a name that was let
point to this machine), Origin and Sec-Fetch-Site, and rejected, also where no token is needed.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

import anyio
from starlette.datastructures import Headers, MutableHeaders

from hybridstore.serving.http_access import App, HttpScope, Names, Receive, Send

TOKEN = "token"  # noqa: S105 - the name of the parameter
LONGEST_BODY = 4 << 20
"""Bytes of a request's body, as with the MCP server."""

UPLOADS = dict.fromkeys(("/api/ingest", "/api/ingest/stream", "/add"), 1 << 30)
"""The paths that take files, and the bytes of their requests."""

_SAFE = ("GET", "HEAD", "OPTIONS")

# The page loads what it needs from this server, and nothing else; its scripts and styles are files.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_POLICY = "default-src 'none'; frame-ancestors 'none'"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def is_local(scope: HttpScope) -> bool:
    """Return whether a request comes through the socket beside the file, to which only its owner can connect."""
    server = scope.get("server")
    return server is not None and server[1] is None


class Guard:
    """An ASGI app that passes on the requests that may be answered, and rejects all others."""

    def __init__(self, app: App, *, names: Names, token: str | None = None) -> None:
        self._app = app
        self._hosts, self._origins = ({each.lower() for each in part} for part in (names.hosts, names.origins))
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        """Check a request, and add the headers to its answer."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif is_local(scope):
            await self._app(scope, receive, send)
        elif scope["method"] == "HEAD":
            await _without_body(partial(self._answer, scope), receive, _with_headers(send))
        else:
            await self._answer(scope, receive, _with_headers(send))

    async def _answer(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if len(headers.getlist("host")) != 1 or headers["host"].lower() not in self._hosts:
            await _reject(send, 421, "this server is not known by that name; start it with --allow-host NAME")
        elif not self._is_own(scope, headers):
            await _reject(send, 403, "requests of other sites are not answered; open this server's own page")
        elif int(headers.get("content-length", "0")) > UPLOADS.get(scope["path"], LONGEST_BODY):  # h11: digits only
            most = UPLOADS.get(scope["path"], LONGEST_BODY) >> 20
            await _reject(send, 413, f"a request to {scope['path']} has at most {most:,} MiB; send several")
        elif self._token is None or self._has_token(scope, headers, self._token):
            # The server sends no body where HEAD is asked.
            await self._app({**scope, "method": "GET"} if scope["method"] == "HEAD" else scope, receive, send)
        elif location := self._signed_in(scope, self._token):
            cookie = f"{_cookie(scope)}={self._token.decode()}; HttpOnly; SameSite=Strict; Path=/"
            await _send(send, 303, b"", [("location", location), ("set-cookie", cookie), ("cache-control", "no-store")])
        else:
            sentence = "the token is missing; send Authorization: Bearer TOKEN, or open the address that was printed"
            await _reject(send, 401, sentence, [("www-authenticate", "Bearer")])

    def _is_own(self, scope: HttpScope, headers: Headers) -> bool:
        """Return whether a request comes from a page of this server, or from no page at all."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and origin.lower() not in self._origins:
            return False
        if site in ("none", "same-origin"):
            return True
        # A link elsewhere may lead to the page, but neither to its data nor to a change.
        is_link = headers.get("sec-fetch-mode") == "navigate" and scope["method"] in _SAFE
        return is_link and not scope["path"].startswith("/api")

    @staticmethod
    def _has_token(scope: HttpScope, headers: Headers, token: bytes) -> bool:
        sent = headers.getlist("authorization")
        if sent:
            scheme, _, value = sent[0].partition(" ")
            return len(sent) == 1 and scheme.lower() == "bearer" and _same(value.strip(), token)
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(_cookie(scope))
        except CookieError:
            return False
        return morsel is not None and _same(morsel.value, token)

    @staticmethod
    def _signed_in(scope: HttpScope, token: bytes) -> str | None:
        """Return where to go with a cookie from the URL with the token; None without it."""
        if scope["method"] not in ("GET", "HEAD"):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if not any(name == TOKEN and _same(value, token) for name, value in query):
            return None
        rest = urlencode([(name, value) for name, value in query if name != TOKEN])
        path = "/" + scope.get("raw_path", b"/").decode("latin-1").lstrip("/\\")  # never "//elsewhere"
        return f"{path}?{rest}" if rest else path


def _cookie(scope: HttpScope) -> str:
    """Return the cookie's name. Browsers send cookies to all ports of a machine: two servers must not share one."""
    server = scope.get("server") or ("", 0)
    return f"hybridstore-{server[1]}"


def _same(sent: str, token: bytes) -> bool:
    return secrets.compare_digest(sent.encode("utf-8", "replace"), token)


async def _without_body(answer: Callable[[Receive, Send], Awaitable[None]], receive: Receive, send: Send) -> None:
    """Answer a HEAD request: like GET, but end a stream, such as that of events, where it would begin."""
    with anyio.CancelScope() as answering:

        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.body" and message.get("more_body"):
                await send({"type": "http.response.body", "body": b""})
                answering.cancel()
            else:
                await send(message)

        await answer(receive, sending)


def _with_headers(send: Send) -> Send:
    async def sending(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            is_page = headers.get("content-type", "").startswith("text/html")
            headers.setdefault("Content-Security-Policy", PAGE_POLICY if is_page else _POLICY)
            headers.setdefault("Cache-Control", "private, no-cache")
        await send(message)

    return sending  # type: ignore[return-value]


async def _reject(send: Send, status: int, sentence: str, headers: list[tuple[str, str]] | None = None) -> None:
    problem = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    what, _, remedy = sentence.partition("; ")
    problem |= {"detail": what, "remedy": f"{remedy[:1].upper()}{remedy[1:]}."}
    fields = [*(headers or []), ("content-type", "application/problem+json"), ("connection", "close")]
    await _send(send, status, json.dumps(problem).encode(), fields)


async def _send(send: Send, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
    fields = [*headers, ("content-length", str(len(body)))]
    raw = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
