"""AsyncStore and AsyncMemory: Store and Memory for asyncio, with methods that run in threads.

They are made from the classes: every public method becomes a coroutine with the same signature and docstring, an
iterator becomes an asynchronous one, a context manager one for `async with`; other attributes are passed through.
asynchronous.pyi says the same to editors and type checkers; docs/generate_async_stubs.py writes it.
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

# The context managers that a task has entered (`async with store.unlogged()`), with the object they belong to. A thread
# serves many tasks, so each call enters them again.
_ENTERED: contextvars.ContextVar[tuple[tuple[ThreadedObject[Any], Entered], ...]] = contextvars.ContextVar(
    "entered", default=()
)


class ThreadedObject(Generic[T]):
    """An object whose methods run in `workers` threads of its own; closing it waits for running calls.

    `make` makes the object, in a thread, when it is first needed. A call that is cancelled before a thread has started
    it does nothing; one that has started runs to its end.
    """

    _sync: type[Any]
    _options_of: Callable[..., Any] | None = None  # what takes the keyword options of `__init__`, for the stub
    _in_threads: frozenset[str] = frozenset()  # attributes that only make sense within one thread: see `run`
    _parent: ThreadedObject[Any] | None = None  # whose context managers apply to these calls too

    def __init__(self, make: Callable[[], T], *, workers: int) -> None:
        if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
            raise InputError(f"workers is a whole number of at least 1, not {workers!r}")
        self._make, self._made, self._lock, self._closed = make, list[T](), threading.Lock(), False
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=f"hybridstore-{type(self).__name__}")

    async def __aenter__(self) -> Self:
        await self.run(lambda _: None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __getattr__(self, name: str) -> Any:
        """Return an attribute that is not a method of the class, or a method that was added to it later."""
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        if name in self._in_threads:
            raise AttributeError(
                f"{type(self).__name__} has no {name}; use `await ….run(lambda store: store.{name} …)`"
            )
        made = self._made[0] if self._made else None
        method = inspect.getattr_static(self._sync if made is None else type(made), name, None)
        if inspect.isfunction(method):
            return async_method(method).__get__(self)
        if made is None and name in _attributes(self._sync):
            raise InputError(f"{name} is known once this is open: use `async with`, or await one of its methods first")
        return getattr(self._sync if made is None else made, name)

    def __dir__(self) -> list[str]:
        names = _attributes(self._sync) - self._in_threads
        return sorted({*super().__dir__(), *(name for name in names if not name.startswith("_"))})

    async def run(self, call: Callable[[T], Any]) -> Any:
        """Call a function with the object itself, in one of the threads: for several calls in one step.

        In `await store.run(read)` the function `read` can use the `snapshot`, `chunks`, `embeddings` and `learning` of
        the Store it gets.
        """
        self._check_open()

        def work() -> Any:
            made = self._opened()
            with ExitStack() as stack:
                for owner, enter in _ENTERED.get():
                    if owner is self or owner is self._parent:
                        stack.enter_context(enter())
                return call(made)

        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, work)

    async def close(self) -> None:
        """Close it, once running calls have ended. Closing twice is harmless."""
        self._closed = True
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._close))

    def _close(self) -> None:
        self._pool.shutdown(wait=True)
        with self._lock:
            if self._made:
                self._release(self._made[0])

    def _release(self, made: Any) -> None:
        made.close()

    def _opened(self) -> T:
        with self._lock:  # concurrent first calls make it once
            if not self._made:
                self._made.append(self._make())
            return self._made[0]

    def _check_open(self) -> None:
        if self._closed:
            raise HybridstoreError(f"this {type(self).__name__} is closed; make another one")


def _attributes(sync: type) -> set[str]:
    """Return the names in a class, annotated attributes of its instances included."""
    return {*dir(sync), *(name for base in sync.__mro__ for name in vars(base).get("__annotations__", {}))}


def public_methods(threaded: type[ThreadedObject[Any]]) -> dict[str, Callable[..., Any]]:
    """Return the methods of the class behind a ThreadedObject that are to have an asynchronous one, by name."""
    sync, left_out = threaded._sync, threaded._in_threads | vars(ThreadedObject).keys()  # noqa: SLF001 - its own
    methods = inspect.getmembers(sync, inspect.isfunction)
    return {name: method for name, method in methods if not name.startswith("_") and name not in left_out}


def return_kind(method: Callable[..., Any]) -> str:
    """Return the name of a method's return type, without its module and arguments: "Iterator", "Results"."""
    annotation = inspect.signature(method).return_annotation
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return name.partition("[")[0].rpartition(".")[2]


def async_method(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method for a ThreadedObject: a coroutine, or by its return type an iterator or a context manager."""
    make = {"Iterator": _iterator, "AbstractContextManager": _context_manager, "Writer": _writer}
    return make.get(return_kind(method), _coroutine)(method)


def _coroutine(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def coroutine(self: ThreadedObject[Any], /, *args: Any, **options: Any) -> Any:
        return await self.run(lambda made: getattr(made, method.__name__)(*args, **options))

    return coroutine


def _iterator(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def iterator(self: ThreadedObject[Any], /, *args: Any, **options: Any) -> AsyncIterator[Any]:
        items: Iterator[Any] = await self.run(lambda made: iter(getattr(made, method.__name__)(*args, **options)))
        while page := await self.run(lambda _: list(islice(items, _AT_ONCE))):
            for item in page:
                yield item

    return iterator


def _context_manager(method: Callable[..., Any]) -> Callable[..., Any]:
    """Enter a context manager that acts on its thread in every call that the task makes in the block."""

    @wraps(method)
    @asynccontextmanager
    async def entered(self: ThreadedObject[Any], /, *args: Any, **options: Any) -> AsyncIterator[None]:
        made = await self.run(lambda made: made)
        token = _ENTERED.set((*_ENTERED.get(), (self, partial(getattr(made, method.__name__), *args, **options))))
        try:
            yield
        finally:
            _ENTERED.reset(token)

    return entered


def _writer(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    @asynccontextmanager
    async def writer(self: ThreadedObject[Any], /, *args: Any, **options: Any) -> AsyncIterator[AsyncWriter]:
        inner = await self.run(lambda made: getattr(made, method.__name__)(*args, **options))
        async with AsyncWriter(inner) as outer:
            yield outer

    return writer


class AsyncStore(ThreadedObject[Store]):
    """A Store for asyncio: every method of Store is a coroutine here, `documents` an asynchronous iterator.

    `path_or_store` is a file, opened with the `options` of `hybridstore.open` when it is first needed, or an open
    Store, which then stays open. `workers` is how many calls run at once. `writer()` is for `async with`, and so is
    `unlogged()`, for the searches of the task in its block. `progress` callbacks are called in the threads. What only
    makes sense within one thread, such as `snapshot`, is reached by `run`.
    """

    _sync, _options_of = Store, open_store
    _in_threads = frozenset({"snapshot", "chunks", "embeddings", "learning"})

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
        """Return the Store itself, opened in this thread if it is not yet; raises HybridstoreError once closed."""
        self._check_open()
        return self._opened()

    def _release(self, made: Store) -> None:
        if not self._given:
            made.close()


class AsyncMemory(ThreadedObject[Memory]):
    """A Memory for asyncio: every method of Memory is a coroutine here.

    The arguments are those of Memory, whose `path_or_store` may be an AsyncStore too; an open store stays open.
    `workers` is how many calls run at once.
    """

    _sync, _options_of = Memory, Memory

    def __init__(
        self,
        path_or_store: str | os.PathLike[str] | Store | AsyncStore,
        namespace: str | Sequence[str] = ("default",),
        *,
        workers: int = 4,
        **options: Any,
    ) -> None:
        def make() -> Memory:
            store = path_or_store.opened() if isinstance(path_or_store, AsyncStore) else path_or_store
            return Memory(store, namespace, **options)

        super().__init__(make, workers=workers)
        self._parent = path_or_store if isinstance(path_or_store, AsyncStore) else None


class AsyncWriter(ThreadedObject[Writer]):
    """A Writer for asyncio, made by `async with store.writer() as writer`; its calls run one after the other."""

    _sync = Writer

    def __init__(self, writer: Writer) -> None:
        super().__init__(lambda: writer, workers=1)
        self._made.append(writer)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.run(lambda writer: writer.__exit__(kind, error, trace))
        finally:
            await self.close()

    def _release(self, made: Writer) -> None:
        pass


for _class in (AsyncStore, AsyncMemory, AsyncWriter):
    for _name, _method in public_methods(_class).items():
        setattr(_class, _name, async_method(_method))

__all__ = ["AsyncMemory", "AsyncStore", "AsyncWriter", "ThreadedObject"]
