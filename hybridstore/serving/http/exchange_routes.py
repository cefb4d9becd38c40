"""An exchange with another store over requests: what would go through two streams, in the bodies of a few POSTs.

The client sends what its side has said so far, and is answered with what this side says until it waits for more. So it
needs nothing but HTTP, and every request passes the guard.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel, Field

from hybridstore.errors import FileRefused, HybridstoreError, InputError
from hybridstore.serving.http.context import WRITES, Context, Shared
from hybridstore.store import Store
from hybridstore.store.shared_folder import ExchangeReport

router = APIRouter(tags=["exchange"])

SILENCE = 120.0
"""Seconds after which an exchange ends whose client says nothing more; nothing has been changed then."""

_MOST = 2  # exchanges at a time: each reads the store as it was when it began
_PART = 1 << 20  # bytes of an answer
_LOOK = 0.5  # seconds between two looks at whether the server is to stop


class Begun(BaseModel):
    """An exchange that has begun."""

    exchange: str = Field(description="Its name, for the requests that follow.")


class Ended(BaseModel):
    """What the server's side of an exchange brought in and sent."""

    documents: int = Field(description="Documents that were sent.")
    removals: int = Field(description="Removals that were sent.")
    added: int
    replaced: int
    removed: int
    purged: int


class Tunnel:
    """Both streams of one exchange: a thread reads and writes here, while requests bring and fetch."""

    def __init__(self, context: Context) -> None:
        self._changed, self._stopping = threading.Condition(), context.stopping
        self._arrived, self._said = bytearray(), bytearray()
        self._waits = self._closed = False
        self._outcome: ExchangeReport | HybridstoreError = InputError(
            "the exchange failed on the server; its standard error says why"
        )
        self._thread = threading.Thread(target=self._run, args=(context.store,), name="hybridstore-exchange")
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether the exchange has ended."""
        return not self._thread.is_alive()

    def _run(self, store: Store) -> None:
        try:
            self._outcome = store.exchange_over(self, self)
        except HybridstoreError as error:
            self._outcome = error
        finally:
            self.close()

    def _wait(self, until: Callable[[], object], seconds: float = math.inf) -> None:
        end = time.monotonic() + seconds
        while not (until() or self._closed or self._stopping.is_set()) and (left := end - time.monotonic()) > 0:
            self._changed.wait(min(left, _LOOK))

    # the thread's streams

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes that have arrived; none once the client has gone."""
        with self._changed:
            self._waits = True
            self._changed.notify_all()
            self._wait(lambda: self._arrived, SILENCE)
            self._waits = False
            part = bytes(self._arrived[:size])
            del self._arrived[:size]
            return part

    def write(self, data: memoryview) -> int:
        """Keep bytes for the client, once it has fetched what there is; raises BrokenPipeError if it never does."""
        with self._changed:
            self._wait(lambda: len(self._said) < _PART, SILENCE)
            if self._closed or len(self._said) >= _PART:
                raise BrokenPipeError
            self._said += data
            self._changed.notify_all()
            return len(data)

    def flush(self) -> None:
        """Do nothing: what was written is there."""

    # the requests

    def swap(self, data: bytes) -> bytes:
        """Bring bytes; return what there is to fetch once the exchange waits for more, has said much, or has ended.

        Raises what went wrong, if there is nothing left to fetch.
        """
        with self._changed:
            self._arrived += data
            self._changed.notify_all()
            self._wait(lambda: (self._waits and not self._arrived) or len(self._said) >= _PART)
            part = bytes(self._said[:_PART])
            del self._said[:_PART]
            self._changed.notify_all()
        if not part and self._closed:
            self.report()
        return part

    def close(self) -> None:
        """Let the exchange end where it waits for the client; what it writes to the store meanwhile it finishes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def report(self) -> ExchangeReport:
        """Return what was done, once it has ended; raises what went wrong."""
        self._thread.join()
        if isinstance(self._outcome, FileRefused):  # the client's streams ended
            raise HTTPException(410, "the exchange ended before all had been sent; nothing was changed, begin another")
        if isinstance(self._outcome, HybridstoreError):
            raise self._outcome
        return self._outcome


@dataclass(slots=True)
class Tunnels:
    """The exchanges that are going on, by their names."""

    _open: dict[str, Tunnel] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, context: Context) -> str:
        """Begin one; raises HTTPException where there are too many."""
        with self._lock:
            self._open = {name: each for name, each in self._open.items() if not each.is_over}
            if len(self._open) >= _MOST:
                raise HTTPException(503, "other exchanges are going on; try again", {"Retry-After": "5"})
            name = secrets.token_urlsafe(16)
            self._open[name] = Tunnel(context)
            return name

    def named(self, name: str, *, last: bool = False) -> Tunnel:
        """Return the one of this name; with `last` it is forgotten."""
        with self._lock:
            found = self._open.pop(name, None) if last else self._open.get(name)
        if found is None:
            raise HTTPException(404, "this exchange has ended; begin another one")
        return found


def _tunnels(request: Request, context: Shared) -> Tunnels:
    """Return the app's exchanges; raises HTTPException where the server takes part in none."""
    if not context.exchanges:
        raise HTTPException(403, "this server exchanges with nobody; start it with --exchange")
    tunnels: Tunnels = request.app.state.tunnels
    return tunnels


Open = Annotated[Tunnels, Depends(_tunnels)]


@router.post("/exchange", status_code=201, dependencies=[WRITES])
def begin_exchange(context: Shared, tunnels: Open) -> Begun:
    """Begin an exchange with another store, which `hybridstore exchange URL` does. All notes take part in it."""
    return Begun(exchange=tunnels.begin(context))


@router.post("/exchange/{name}", dependencies=[WRITES], response_class=Response)
async def continue_exchange(context: Shared, tunnels: Open, name: str, request: Request) -> Response:
    """Bring bytes of one side, and fetch the other's: two streams in which messages follow each other."""
    tunnel, data = tunnels.named(name), await request.body()
    return Response(await context.in_thread(tunnel.swap, data), media_type="application/octet-stream")


@router.delete("/exchange/{name}", dependencies=[WRITES])
def end_exchange(tunnels: Open, name: str) -> Ended:
    """End an exchange, and wait until the server has written what it received."""
    tunnel = tunnels.named(name, last=True)
    tunnel.close()
    report = tunnel.report()
    changed = {each: len(getattr(report.merged, each)) for each in ("added", "replaced", "removed", "purged")}
    return Ended(documents=report.documents, removals=report.removals, **changed)
