"""Limits on connections over HTTP, so that clients without the token cannot keep others out (Slowloris)."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
"""The time from connecting, or from the last answer, until the headers of a request must be complete."""

BODY_SECONDS = 30.0
"""The time from a request's headers until its body must be complete, and a second more for each MiB that it declares.

The MCP SDK refuses bodies over 4 MiB with 413, and the server of the page those over a GiB."""

MOST = 100
"""Open connections. One more closes the oldest that has not sent the headers of a request; if there is none, itself."""

_HEADER_BYTES = 16_384
_HEADER_PART = 2_048  # bytes that are looked at together
_SLOWEST = 1 << 20  # bytes a second, of a large body
_LARGEST = 1 << 30  # bytes of a body
_IDLE_SECONDS = 5  # a connection that was answered and sends nothing
_STOP_SECONDS = 10  # for answers that are being made when the server is stopped


class LimitedProtocol(H11Protocol):
    """The HTTP protocol of uvicorn, which by itself waits without end for the rest of a request."""

    _state: object = None  # of the client, in h11's terms, when the deadline was set
    _deadline: asyncio.TimerHandle | None = None
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it where there are too many."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._watch()
        if len(self.connections) > MOST:
            waiting = (each for each in self.connections if isinstance(each, LimitedProtocol) and each.is_waiting)
            min(waiting, key=lambda each: each._since, default=self).abort()  # noqa: SLF001 - of the same class

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        super().connection_lost(exc)
        self._set_deadline(None)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; headers in parts, since h11 limits only those that have not arrived as a whole."""
        at = 0
        while self.conn.their_state is h11.IDLE and len(data) - at > _HEADER_PART and not self.transport.is_closing():
            super().data_received(data[at : at + _HEADER_PART])
            at += _HEADER_PART
        if not self.transport.is_closing():
            super().data_received(data[at:])

    def handle_events(self) -> None:
        """Read what has arrived, and set the deadline for what has not."""
        super().handle_events()
        self._watch()

    def on_response_complete(self) -> None:
        """Set the deadline for the next request."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:  # the rest of it is not read
            self._set_deadline(BODY_SECONDS)
        self._watch()

    @property
    def is_waiting(self) -> bool:
        """Whether the headers of a request, the first or the next, have not arrived."""
        return self.conn.their_state is h11.IDLE

    def abort(self) -> None:
        """Close the connection without an answer."""
        self.connections.discard(self)
        self.transport.abort()

    def _watch(self) -> None:
        state = self.conn.their_state
        if state is self._state:
            return  # whatever has arrived since, the deadline stays
        self._state = state
        self._set_deadline({h11.IDLE: HEADER_SECONDS, h11.SEND_BODY: BODY_SECONDS + self._declared()}.get(state))

    def _declared(self) -> float:
        """Return the seconds for the size of the body that the last request declares."""
        length = dict(self.headers or ()).get(b"content-length", b"0")
        return min(int(length), _LARGEST) / _SLOWEST

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.abort)


def limited(app: Any) -> uvicorn.Config:
    """Return uvicorn's configuration of a server with these limits, without web sockets."""
    return uvicorn.Config(
        app,
        http=LimitedProtocol,
        ws="none",
        log_level="error",  # its warnings are about what clients send, token or not
        access_log=False,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
