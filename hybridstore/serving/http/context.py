"""What all routes of the server share: the memory and its store, what may be done with them, and in which threads."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, ParamSpec, TypeVar

import anyio.to_thread
from fastapi import Depends, HTTPException, Query, Request, Response

from hybridstore.filters import And, Filter, Or, from_text
from hybridstore.filters import field as metadata
from hybridstore.locations import is_url
from hybridstore.memory import Memory
from hybridstore.search.rewriting import Rewrite
from hybridstore.serving.access import Scope
from hybridstore.store import Store

READERS = 8
"""Threads for what reads. More than the processor has, so that a slow query holds up no others; each has its own
connection with a cache of up to 32 MiB."""

WRITERS = 4
"""Threads for what writes or takes long. The store lets one write at a time; none of them keeps a reader waiting."""

_KEPT = 16
"""Answers that are kept while the store does not change, such as the map of its passages: up to 3 MB each."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class _Kept:
    """An answer, the state of the store that it was made for, and the lock of whoever makes it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    state: object = None
    value: Any = None


@dataclass(slots=True)
class Context:
    """A memory with the documents in its store, as a server shows them; with `read_only` nothing can be changed.

    `rewrite` has the language model that searches may ask. With `exchanges` other stores may exchange with this one,
    the notes of all namespaces included; with `publishes` what is written here goes to other devices by itself.
    `stopping` is set when the server is told to stop, so that streams end.
    """

    memory: Memory
    read_only: bool = False
    rewrite: Rewrite | None = None
    exchanges: bool = False
    publishes: bool = False
    stopping: threading.Event = field(default_factory=threading.Event)
    _slow: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(WRITERS))
    _timed: tuple[int, bool] = (-1, False)  # whether that is so, by the revision
    _kept: dict[Hashable, _Kept] = field(default_factory=dict)  # the least recently asked for first
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _process: str = field(default_factory=partial(secrets.token_hex, 4))  # the port may be another store's tomorrow

    @property
    def store(self) -> Store:
        """The store."""
        return self.memory.store

    @property
    def keeps_all(self) -> bool:
        """Whether nothing of the store leaves this machine, except to the clients of this server."""
        return not (self.exchanges or self.publishes or self.rewrite or is_url(self.store.location))

    @property
    def scope(self) -> Scope:
        """What of the store is visible: the documents, and the notes of the memory's namespace."""
        return Scope(self.memory)

    async def in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what writes, or takes long, in one of a few threads of its own."""
        return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._slow)

    def revision(self) -> int:
        """Return the number of the last write."""
        return self.store.state().revision

    def etag(self) -> str | None:
        """Return what stands for all answers until the next write; None where time alone changes them.

        That is so where notes begin to hold, or expire, at a moment that was set.
        """
        revision = self.revision()
        if self._timed[0] != revision:
            times = ("memory.expires", "memory.until", "memory.since")
            coming = Or(tuple(metadata(name) > self.memory.clock() for name in times))
            visible = metadata("@id").prefix(self.scope.namespace.prefix)
            self._timed = (revision, bool(self.store.ids(And((visible, coming)))))
        return None if self._timed[1] else f'W/"{self._process}-{revision}"'

    def cached(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` returns, made once for each state of the store; every time where time alone changes it.

        Of several that ask for it at once, one makes it, and the others wait.
        """
        if self.etag() is None:
            return make()
        state = self.store.state()
        now = (state.revision, state.calibration, state.legs, state.model and state.model.number)
        with self._lock:
            kept = self._kept.pop(key) if key in self._kept else _Kept()
            self._kept[key] = kept
            if len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
        with kept.lock:
            if kept.state != now:
                kept.value, kept.state = make(), now
            value: T = kept.value
            return value


class NotModifiedError(Exception):
    """The client has the current answer already."""

    def __init__(self, etag: str) -> None:
        self.etag = etag
        super().__init__(etag)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Shared = Annotated[Context, Depends(_context)]
"""The context, as a parameter of a route."""


def _cached(request: Request, response: Response, context: Shared) -> None:
    etag = context.etag()
    if etag is None:
        return
    sent = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    if etag in sent or "*" in sent:
        raise NotModifiedError(etag)
    response.headers["ETag"] = etag


def _writable(context: Shared) -> None:
    if context.read_only:
        raise HTTPException(403, "this server changes nothing; start it without --read-only")


Conditions = Annotated[
    Sequence[str],
    Query(max_length=50, description='Conditions that must all hold: year>=2020, lang=en, tags~word, {"lang": "en"}.'),
]


def all_of(conditions: Sequence[str]) -> Filter:
    """Return the filter of conditions as the command line writes them; raises InputError."""
    return And(tuple(map(from_text, conditions)))


CACHED = Depends(_cached)
"""Of a route whose answer changes with the store alone: it has an ETag, and 304 says that nothing has changed."""

WRITES = Depends(_writable)
"""Of a route that changes something."""
