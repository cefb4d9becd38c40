"""Access to a server over HTTP: only with its token, and only by the names it is meant to be reached by.

The token keeps out other users and programs of the machine. The SDK's checks of Host and Origin keep out web pages that
let their names point to this machine (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from mcp.server.transport_security import TransportSecuritySettings

from hybridstore.errors import InputError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_SHORTEST = 16  # characters of a token, so that it cannot be guessed
_REFUSED = b'{"error": "invalid_token", "error_description": "send the server\'s token: Authorization: Bearer TOKEN"}'


class Guard:
    """An ASGI app that passes requests with the token on to another app, and rejects all others."""

    def __init__(self, app: App, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 where the token is missing or wrong."""
        if scope["type"] == "lifespan" or (scope["type"] == "http" and self._authorized(scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(_REFUSED)).encode()),
                (b"www-authenticate", b'Bearer error="invalid_token"'),
            ]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": _REFUSED})
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _authorized(self, scope: Scope) -> bool:
        sent = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        scheme, _, token = (sent[0] if len(sent) == 1 else b"").partition(b" ")
        # Compared in constant time.
        return scheme.lower() == b"bearer" and secrets.compare_digest(token.strip(), self._token)


def checked_token(token: str) -> str:
    """Return the token if it fits into a header and is long enough; raises InputError."""
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(
            f"a token has at least {_SHORTEST} ASCII characters and no spaces; leave it out to get a random one"
        )
    return token


def security(host: str, port: int, names: Sequence[str]) -> TransportSecuritySettings:
    """Return the allowed Host and Origin headers: the machine's own names on loopback, and `names`.

    Raises InputError for a host that other machines can reach when there are no `names`.
    """
    own = LOOPBACK if is_loopback(host) else ()
    if not own and not names:
        raise InputError(
            f"{host} can be reached from other machines, and the connection, including the token, is not encrypted; if "
            "that is intended, give the name by which clients reach the server: --allow-host NAME"
        )
    # Behind a proxy, which may speak HTTPS, names come without our port.
    hosts = [*(f"{name}:{port}" for name in (*own, *names)), *names]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=hosts,
        allowed_origins=[*(f"http://{host}" for host in hosts), *(f"https://{name}" for name in names)],
    )


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached only from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listening(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any free port. Raises InputError if that is impossible."""
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise InputError(f"a port is a number from 0 to 65535, not {port!r}")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(f"cannot listen on {host}, port {port}: {error.strerror or error}; choose another") from error
