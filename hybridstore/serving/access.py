"""What a client may access (a namespace's notes, documents, files below allowed folders), and who may connect by HTTP.

A file contains the notes of many namespaces; those of other namespaces are never found, fetched, listed or counted.
Over HTTP a token keeps out other users and programs of the machine. The SDK's checks of Host and Origin keep out web
pages that let their names point to this machine (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridstore import filters
from hybridstore.errors import InputError, NotFound
from hybridstore.filters import And, Filter, Or, field
from hybridstore.memory import Memory
from hybridstore.memory.note_ids import SCHEME, Namespace
from hybridstore.records import Document
from hybridstore.serving.answers import cut
from hybridstore.store.inputs import Where

if TYPE_CHECKING:
    from mcp.server.transport_security import TransportSecuritySettings

KINDS = ("all", "notes", "documents")

# Prefixes of the ids that belong to a namespace: notes, and memories of LangGraph agents.
_PRIVATE = (SCHEME, "langgraph:")
_PATH_SHOWN = 80  # characters of a path that an error message repeats

HttpScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[HttpScope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_SHORTEST = 16  # characters of a token, so that it cannot be guessed
_LONGEST_BODY = 4 * 2**20  # bytes that the SDK reads of a body before it refuses it
_REFUSED = b'{"error": "invalid_token", "error_description": "send the server\'s token: Authorization: Bearer TOKEN"}'


@dataclass(frozen=True, slots=True)
class Scope:
    """The notes of one memory and, unless `documents` is False, the documents."""

    memory: Memory
    documents: bool = True

    @property
    def namespace(self) -> Namespace:
        """The namespace whose notes are visible."""
        return Namespace(self.memory.namespace)

    def filter(self, kind: str = "all", *, where: Where = None, session: str | None = None) -> Filter:
        """Return the filter for what is visible; a session contains only notes. Raises InputError."""
        if kind not in KINDS:
            raise InputError(f"kind is one of {', '.join(KINDS)}, not {kind!r}")
        if kind == "documents" and not self.documents:
            raise InputError("this server shows only notes, no documents")
        notes = self.memory.scope(session=session)
        if kind == "notes" or not self.documents or (kind == "all" and session is not None):
            visible: Filter = notes
        elif session is not None:
            raise InputError("documents belong to no session; leave session out, or ask for notes")
        else:
            public = And(tuple(~field("@id").prefix(prefix) for prefix in _PRIVATE))
            visible = public if kind == "documents" else Or((public, notes))
        condition = filters.parse(where)
        return visible if condition is None else And((visible, condition))

    def note_id(self, name: str) -> str:
        """Return the id of a note named by its id or its uri; raises NotFound for uris of other namespaces."""
        if not name.startswith(SCHEME):
            return name
        id_ = self.namespace.note(name)
        if id_ is None:
            raise _unknown(name)
        return id_

    def check_new(self, id_: str | None) -> None:
        """Raise InputError for the id of a document that would be a note, of whatever namespace."""
        if id_ is not None and id_.startswith(_PRIVATE):
            raise InputError(
                f"ids that begin with {' or '.join(_PRIVATE)} belong to notes; choose another, or remember it"
            )

    def check_visible(self, id_: str) -> None:
        """Raise NotFound for the id of a document that is not there, or not visible, which look the same."""
        if not self.memory.store.ids(And((self.filter(), field("@id") == id_))):
            raise _unknown(id_)

    def document(self, name: str) -> Document:
        """Return a document by its id, or by a uri that only it has; raises NotFound, InputError."""
        store = self.memory.store
        if not self.documents or name.startswith(_PRIVATE):
            raise _unknown(name)
        if name in store.digests([name]):
            return store.get(name)
        ids = store.ids(And((self.filter("documents"), field("@uri") == name)))
        if not ids:
            raise _unknown(name)
        if len(ids) > 1:
            raise InputError(f"{len(ids)} documents have the uri {name!r}; fetch one by its id, such as {ids[0]!r}")
        return store.get(ids[0])


def _unknown(name: str) -> NotFound:
    """Return the error for an unknown name, which is the same for what is not visible."""
    return NotFound(name, f"there is no note or document {name!r}; search, recall and list show the existing ids")


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders below which files may be read; none: no files. Made by `of`."""

    roots: tuple[Path, ...] = ()

    @classmethod
    def of(cls, roots: Sequence[str | Path]) -> Folders:
        """Resolve folders; raises InputError for anything that is not a folder."""
        resolved = []
        for root in roots:
            path = Path(root).expanduser().resolve()
            if not path.is_dir():
                raise InputError(f"{str(root)!r} is not a folder; name folders below which files may be read")
            resolved.append(path)
        return cls(tuple(dict.fromkeys(resolved)))

    def allowed(self, name: str) -> Path:
        """Return the file or folder, with all links resolved; relative paths are tried below each root.

        Raises InputError for a path outside, whether it exists or not, for a hidden one, and for a missing one.
        """
        if not self.roots:
            raise InputError(
                "this server may read no files; its operator can allow a folder: `hybridstore serve mcp --root DIR`"
            )
        if not name.strip():
            raise InputError(f"{name!r} is not a path; name a file or folder")
        paths = [path for root in self.roots if (path := _resolved(root, name)) is not None]
        inside = [(path, root) for path in paths for root in self.roots if path.is_relative_to(root)]
        if not inside:
            # One sentence for both cases: it must not reveal whether a path outside exists.
            raise InputError(
                f"{cut(name, _PATH_SHOWN)!r} is not a path, or is outside the allowed folders. {self.describe()}"
            )
        visible = [path for path, root in inside if not any(part[0] == "." for part in path.relative_to(root).parts)]
        if not visible:
            raise InputError(f"{name!r} is hidden, and hidden files are not read")
        path = next((path for path in visible if path.exists()), visible[0])
        if not (path.is_file() or path.is_dir()):
            raise InputError(f"there is no file or folder {name!r}")
        return path

    def describe(self) -> str:
        """Return a sentence that names the folders."""
        if not self.roots:
            return "This server may read no files."
        return f"Files can be read only below {', '.join(str(root) for root in self.roots)}."


def _resolved(root: Path, name: str) -> Path | None:
    """Return the path with all links resolved; None for one that the system rejects, such as a link loop."""
    try:
        path = (root / Path(name).expanduser()).resolve()
        path.exists()
    except (OSError, RuntimeError, ValueError):
        return None
    return path


class Guard:
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
