"""Asynchronous twins of Store and Memory: each method a coroutine that runs in a thread, and the event loop goes on.

They are made from the classes themselves: what these get, their twins have, with its signature and its docstring. What
gives an iterator becomes an asynchronous one; what a `with` block is for is for `async with`; all else is passed
through as it is.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from functools import partial, wraps
from itertools import islice
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from hybridstore.errors import HybridstoreError, InputError
from hybridstore.memory import Memory
from hybridstore.store import Store, Writer
from hybridstore.store import open as open_store

T = TypeVar("T")

_AT_ONCE = 64  # items of an iterator that one step of the thread fetches

Entered = Callable[[], AbstractContextManager[Any]]

# What a task has entered (`async with store.unlogged()`), by the twin it is for. A thread of the pool serves many
# tasks, so it enters these for each call anew.
_ENTERED: contextvars.ContextVar[tuple[tuple[Twin[Any], Entered], ...]] = contextvars.ContextVar("entered", default=())


class Twin(Generic[T]):
    """An object whose methods run in threads of its own, `workers` of them; closing it waits for what runs.

    `make` makes the object, in a thread, when it is first needed. A call that is cancelled before its thread has begun
    it does nothing; one that has begun goes on to its end, as if nobody had waited, and is whole as any call.
    """

    _sync: type[Any]
    _stands_on: Twin[Any] | None = None  # whose blocks are for these calls too

    def __init__(self, make: Callable[[], T], *, workers: int) -> None:
        if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
            raise InputError(f"workers is a whole number of at least 1, not {workers!r}")
        self._make, self._made, self._lock, self._ended = make, list[T](), threading.Lock(), False
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=f"hybridstore-{type(self).__name__}")

    async def __aenter__(self) -> Self:
        await self._run(lambda _: None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __getattr__(self, name: str) -> Any:
        """Give what the class has got since its twin was made, or what is no method."""
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        made = self._made[0] if self._made else None
        method = inspect.getattr_static(self._sync if made is None else type(made), name, None)
        if inspect.isfunction(method):
            return twin_of(method).__get__(self)
        if made is None and hasattr(self._sync, name):
            raise InputError(f"{name} is known once this is open: use `async with`, or await any of its methods before")
        return getattr(self._sync if made is None else made, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in dir(self._sync) if not name.startswith("_"))})

    async def close(self) -> None:
        """Close it, once what runs has come to its end. Closing twice is harmless."""
        self._ended = True
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._close))

    def _close(self) -> None:
        self._pool.shutdown(wait=True)
        with self._lock:
            if self._made:
                self._let_go(self._made[0])

    def _let_go(self, made: Any) -> None:
        made.close()

    def _opened(self) -> T:
        with self._lock:  # calls that come together make it once
            if not self._made:
                self._made.append(self._make())
            return self._made[0]

    def _see_that_it_is_open(self) -> None:
        if self._ended:
            raise HybridstoreError(f"this {type(self).__name__} is closed; make another one")

    async def _run(self, call: Callable[[T], Any]) -> Any:
        """Call with the object, in a thread, in the context of the task that waits."""
        self._see_that_it_is_open()

        def work() -> Any:
            made = self._opened()
            with ExitStack() as stack:
                for owner, enter in _ENTERED.get():
                    if owner is self or owner is self._stands_on:
                        stack.enter_context(enter())
                return call(made)

        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, work)


def twin_of(method: Callable[..., Any]) -> Callable[..., Any]:
    """Give a method's twin for a Twin: a coroutine, or by what the method gives an iterator or a context manager."""
    annotation = inspect.signature(method).return_annotation
    gives = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    gives = gives.partition("[")[0].rpartition(".")[2]
    if gives in {"Iterator", "Generator"}:
        return _iterating(method)
    if gives == "AbstractContextManager":
        return _entering(method)
    if gives == "Writer":
        return _writing(method)

    @wraps(method)
    async def coroutine(self: Twin[Any], /, *args: Any, **options: Any) -> Any:
        return await self._run(lambda made: getattr(made, method.__name__)(*args, **options))

    return coroutine


def _iterating(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def iterator(self: Twin[Any], /, *args: Any, **options: Any) -> AsyncIterator[Any]:
        items: Iterator[Any] = await self._run(lambda made: iter(getattr(made, method.__name__)(*args, **options)))
        while page := await self._run(lambda _: list(islice(items, _AT_ONCE))):
            for item in page:
                yield item

    return iterator


def _entering(method: Callable[..., Any]) -> Callable[..., Any]:
    """Give the twin of what changes how its thread works in a block: the calls of a task's block work so."""

    @wraps(method)
    @asynccontextmanager
    async def entered(self: Twin[Any], /, *args: Any, **options: Any) -> AsyncIterator[None]:
        made = await self._run(lambda made: made)
        token = _ENTERED.set((*_ENTERED.get(), (self, partial(getattr(made, method.__name__), *args, **options))))
        try:
            yield
        finally:
            _ENTERED.reset(token)

    return entered


def _writing(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    @asynccontextmanager
    async def writer(self: Twin[Any], /, *args: Any, **options: Any) -> AsyncIterator[AsyncWriter]:
        inner = await self._run(lambda made: getattr(made, method.__name__)(*args, **options))
        async with AsyncWriter(inner) as outer:
            yield outer

    return writer


def _twinned(twin: type[Twin[Any]]) -> None:
    """Give a Twin the twins of all public methods of its class."""
    for name, method in inspect.getmembers(twin._sync, inspect.isfunction):  # noqa: SLF001 - its own
        if not name.startswith("_") and name not in vars(Twin):
            setattr(twin, name, twin_of(method))


class AsyncStore(Twin[Store]):
    """A Store for asyncio: each method of Store is a coroutine here, `documents` an asynchronous iterator.

    `path_or_store` is a file, opened with the `options` of `hybridstore.open` when it is first needed, or an open
    Store, which then stays open. `workers` is how many calls run at once. `writer()` is for `async with`, and so is
    `unlogged()`, for the searches of the task in its block. Progress is told from the threads.
    """

    _sync = Store

    def __init__(self, path_or_store: str | os.PathLike[str] | Store, *, workers: int = 4, **options: Any) -> None:
        self._given = isinstance(path_or_store, Store)
        if isinstance(path_or_store, Store):
            if options:
                raise InputError(f"an open store was opened with its options; leave out {', '.join(sorted(options))}")
            given = path_or_store
            super().__init__(lambda: given, workers=workers)
            self._made.append(given)
        else:
            super().__init__(partial(open_store, path_or_store, **options), workers=workers)

    def opened(self) -> Store:
        """Give the store itself, opened in this thread where it is not; raises HybridstoreError where it is closed."""
        self._see_that_it_is_open()
        return self._opened()

    def _let_go(self, made: Store) -> None:
        if not self._given:
            made.close()


class AsyncMemory(Twin[Memory]):
    """A Memory for asyncio: each method of Memory is a coroutine here.

    The arguments are those of Memory, whose `path_or_store` may be an AsyncStore too; an open store stays open.
    `workers` is how many calls run at once.
    """

    _sync = Memory

    def __init__(
        self,
        path_or_store: str | os.PathLike[str] | Store | AsyncStore,
        namespace: str | Sequence[str] = ("default",),
        *,
        workers: int = 4,
        **options: Any,
    ) -> None:
        def make() -> Memory:
            of = path_or_store.opened() if isinstance(path_or_store, AsyncStore) else path_or_store
            return Memory(of, namespace, **options)

        super().__init__(make, workers=workers)
        self._stands_on = path_or_store if isinstance(path_or_store, AsyncStore) else None


class AsyncWriter(Twin[Writer]):
    """A Writer for asyncio, given by `async with store.writer() as writer`; calls of it come one after the other."""

    _sync = Writer

    def __init__(self, writer: Writer) -> None:
        super().__init__(lambda: writer, workers=1)
        self._made.append(writer)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._run(lambda writer: writer.__exit__(kind, error, trace))
        finally:
            await self.close()

    def _let_go(self, made: Writer) -> None:
        pass


for _twin in (AsyncStore, AsyncMemory, AsyncWriter):
    _twinned(_twin)

__all__ = ["AsyncMemory", "AsyncStore", "AsyncWriter", "Twin", "twin_of"]
