"""Who may connect by HTTP, and where the servers listen.

A token keeps out other users and programs of the machine. The checks of Host and Origin keep out web pages that let
their names point to this machine (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridstore.errors import InputError

if TYPE_CHECKING:
    from mcp.server.transport_security import TransportSecuritySettings

HttpScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[HttpScope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_SHORTEST = 16  # characters of a token, so that it cannot be guessed
_LONGEST_BODY = 4 * 2**20  # bytes that the SDK reads of a body before it refuses it
_REFUSED = b'{"error": "invalid_token", "error_description": "send the server\'s token: Authorization: Bearer TOKEN"}'


class TokenGuard:
    """An ASGI app that passes whole requests with the token on to another app, and rejects all others."""

    def __init__(self, app: App, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        """Answer 401 where the token is missing or wrong."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and self._authorized(scope):
            whole = await _arrived(scope, receive)
            if whole is not None:
                await self._app(scope, whole, send)
        elif scope["type"] == "http":
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(_REFUSED)).encode()),
                (b"www-authenticate", b'Bearer error="invalid_token"'),
                (b"connection", b"close"),  # the body is not read
            ]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": _REFUSED})
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _authorized(self, scope: HttpScope) -> bool:
        sent = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        scheme, _, token = (sent[0] if len(sent) == 1 else b"").partition(b" ")
        # Compared in constant time.
        return scheme.lower() == b"bearer" and secrets.compare_digest(token.strip(), self._token)


async def _arrived(scope: HttpScope, receive: Receive) -> Receive | None:
    """Return a `receive` for a request whose body has arrived; None where the client went before that.

    The SDK answers that with 500, and logs a traceback. A body that is too long is left to it, which refuses it.
    """
    lengths = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    if lengths and int(lengths[0]) > _LONGEST_BODY:  # h11 passes on digits only
        return receive
    arrived, size = list[MutableMapping[str, Any]](), 0
    while not arrived or (arrived[-1].get("more_body") and size <= _LONGEST_BODY):
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        arrived.append(message)
        size += len(message.get("body", b""))

    async def again() -> MutableMapping[str, Any]:
        return arrived.pop(0) if arrived else await receive()

    return again


def checked_token(token: str) -> str:
    """Return the token if it fits into a header and is long enough; raises InputError."""
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(
            f"a token has at least {_SHORTEST} ASCII characters and no spaces; leave it out to get a random one"
        )
    return token


@dataclass(frozen=True, slots=True)
class Names:
    """The Host and Origin headers that requests to a server may have."""

    hosts: tuple[str, ...]
    origins: tuple[str, ...]

    @classmethod
    def of(cls, host: str, port: int, names: Sequence[str] = ()) -> Names:
        """Return the machine's own names where `host` is loopback, and `names`, each with the port and without.

        Raises InputError for a host that other machines can reach when there are no `names`.
        """
        own = LOOPBACK if is_loopback(host) else ()
        if not own and not names:
            raise InputError(
                f"{host} can be reached from other machines, and the connection, including the token, is not "
                "encrypted; if that is intended, give the name by which clients reach the server: --allow-host NAME"
            )
        # Behind a proxy, which may speak HTTPS, names come without our port.
        hosts = (*(f"{name}:{port}" for name in (*own, *names)), *names)
        return cls(hosts, (*(f"http://{name}" for name in hosts), *(f"https://{name}" for name in names)))


def security(host: str, port: int, names: Sequence[str]) -> TransportSecuritySettings:
    """Return the allowed headers as the MCP SDK's settings; see `Names.of`."""
    from mcp.server.transport_security import TransportSecuritySettings

    allowed = Names.of(host, port, names)
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=list(allowed.hosts),
        allowed_origins=list(allowed.origins),
    )


def url_host(host: str) -> str:
    """Return an address as it is written in a URL."""
    return f"[{host}]" if ":" in host else host


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
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(f"cannot listen on {host}, port {port}: {error.strerror or error}; choose another") from error
    # Connections inherit it. Else an answer's body waits 40 ms until the client has confirmed its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
