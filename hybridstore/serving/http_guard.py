"""Who may speak to a server over HTTP: whoever has its token, by a name it is meant to be reached by.

The token keeps other users and programs of the machine out. The checks of Host and Origin, which are the SDK's, keep
web pages out, that have their names lead to this machine (DNS rebinding).
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
_SHORTEST = 16  # characters of a token, so that it is not tried out
_REFUSED = b'{"error": "invalid_token", "error_description": "send the server\'s token: Authorization: Bearer TOKEN"}'


class Guard:
    """An ASGI app that lets nobody through to another one without the token."""

    def __init__(self, app: App, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 where the token is missing or wrong."""
        if scope["type"] == "lifespan" or (scope["type"] == "http" and self._knows(scope)):
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

    def _knows(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        scheme, _, token = (given[0] if len(given) == 1 else b"").partition(b" ")
        # Compared in a time that does not tell how much of it is right.
        return scheme.lower() == b"bearer" and secrets.compare_digest(token.strip(), self._token)


def checked_token(token: str) -> str:
    """Give a token that can stand in a header and is not soon guessed; raises InputError."""
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(
            f"a token is at least {_SHORTEST} letters, digits and signs without spaces; leave it out to have one made"
        )
    return token


def security(host: str, port: int, names: Sequence[str]) -> TransportSecuritySettings:
    """Give which Host and Origin headers are answered: this machine's own names, and beyond it `names` alone.

    Raises InputError for a host that others can reach while nobody said by which name they are meant to.
    """
    own = LOOPBACK if is_loopback(host) else ()
    if not own and not names:
        raise InputError(
            f"{host} can be reached from other machines, and what is said to it, the token too, is not encrypted; if "
            "that is meant, name what the server is reached by: --allow-host NAME"
        )
    # Behind another server, which may speak HTTPS, names stand without our port.
    hosts = [*(f"{name}:{port}" for name in (*own, *names)), *names]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=hosts,
        allowed_origins=[*(f"http://{each}" for each in hosts), *(f"https://{name}" for name in names)],
    )


def is_loopback(host: str) -> bool:
    """Say whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listening(host: str, port: int) -> socket.socket:
    """Give a socket that listens; port 0 takes any that is free. Raises InputError where that cannot be had."""
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise InputError(f"a port is a number from 0 to 65535, not {port!r}")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(f"cannot listen on {host}, port {port}: {error.strerror or error}; choose another") from error
