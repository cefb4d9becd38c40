"""A pool of many small stores in one folder, such as one for each user: the last used ones stay open."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, Unpack

from hybridstore import embedders
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import HybridstoreError, InputError
from hybridstore.store.embedder_choice import NONE
from hybridstore.store.inputs import SearchOptions, checked_path
from hybridstore.store.many_stores import ManyResults, search_many
from hybridstore.store.opening import open as open_store
from hybridstore.store.store import Store

_SUFFIX = ".db"
_LONGEST = 200  # bytes of a name: file systems allow 255, and SQLite appends to it
_UNFIT = frozenset('/\\:*?"<>|')  # separators, and what Windows allows in no name


@dataclass(slots=True, eq=False)
class _Opened:
    """A store of the pool, None until its first user has opened it, and how many use it now."""

    store: Store | None = None
    users: int = 0
    opening: threading.Lock = field(default_factory=threading.Lock)


class Pool:
    """The stores in a folder, each a file with a name; `most` of them stay open. A context manager; safe for threads.

    `with pool.open("anna") as store:` gives the store `anna.db`, made where it is not there. A store that is in use is
    never closed: more than `most` are open only while more are in use at once. An open store that nobody uses takes
    three file descriptors, 0.4 MiB, and what it keeps of what was searched. The `options` are those of
    `hybridstore.open`, the same for all. An `embedder` that is named is that of new stores, others keep theirs; a model
    is loaded once for all the stores.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        most: int = 64,
        embedder: str | Path | Embedder | None = None,
        **options: Any,
    ) -> None:
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            raise InputError(f"most is how many stores stay open, a whole number of at least 1, not {most!r}")
        self.folder, self.most = Path(checked_path(folder)).absolute(), most
        self._embedder, self._options = embedder, options
        self._stores: OrderedDict[str, _Opened] = OrderedDict()  # the least recently used first
        self._lock, self._closed = threading.Lock(), False
        self._models: dict[str, Embedder] = {}
        self._loading = threading.Lock()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.folder} cannot be the folder of a pool: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    @contextmanager
    def open(self, name: str, *, create: bool = True) -> Iterator[Store]:
        """Open a store for a block, or give the one that is open.

        The store is not to be closed, nor used after the block. Raises InputError for what cannot be a name,
        FileRefused without `create` where there is no such store, and what `hybridstore.open` raises.
        """
        path = self.path(name)
        opened = self._taken(name)
        try:
            with opened.opening:
                if opened.store is None:
                    opened.store = self._open(path, create=create)
            yield opened.store
        finally:
            self._left(opened)

    def search(self, names: Iterable[str], query: str, **options: Unpack[SearchOptions]) -> ManyResults:
        """Search several stores of the pool as one, as `hybridstore.search_many` does; they must be there."""
        with ExitStack() as stack:
            stores = {name: stack.enter_context(self.open(name, create=False)) for name in names}
            return search_many(stores, query, **options)

    def names(self) -> list[str]:
        """Return the names of the stores in the folder, in order."""
        return sorted(path.name.removesuffix(_SUFFIX) for path in self.folder.glob(f"[!.]*{_SUFFIX}"))

    def path(self, name: str) -> Path:
        """Return the file of a store, which need not be there; raises InputError for what cannot be a name."""
        if not isinstance(name, str) or not name or name[0] == "." or name != name.strip():
            raise InputError(f"{name!r} is not the name of a store: it begins with a letter, digit or sign")
        if not name.isprintable() or _UNFIT.intersection(name):
            raise InputError(
                f"{name!r} is not the name of a store: it has no slashes, and no signs of {' '.join(sorted(_UNFIT))}"
            )
        if len(name.encode()) > _LONGEST:
            raise InputError(f"the name {name[:20]!r}… is longer than {_LONGEST} bytes")
        return self.folder / f"{name}{_SUFFIX}"

    def close(self) -> None:
        """Close the pool and its stores; those in use are closed when their users leave. Closing twice is harmless."""
        with self._lock:
            self._closed = True
        self._close_spare()

    def _taken(self, name: str) -> _Opened:
        with self._lock:
            if self._closed:
                raise HybridstoreError("this pool is closed; make another one")
            opened = self._stores.setdefault(name, _Opened())
            self._stores.move_to_end(name)
            opened.users += 1
            return opened

    def _left(self, opened: _Opened) -> None:
        with self._lock:
            opened.users -= 1
        self._close_spare()

    def _close_spare(self) -> None:
        """Close the least recently used stores that are too many, and forget those that could not be opened."""
        with self._lock:
            idle = [name for name, opened in self._stores.items() if not opened.users]
            too_many = len(self._stores) if self._closed else len(self._stores) - self.most
            unopened = [name for name in idle if self._stores[name].store is None]
            closing = [self._stores.pop(name) for name in dict.fromkeys([*unopened, *idle[: max(too_many, 0)]])]
        for opened in closing:
            if opened.store is not None:
                opened.store.close()

    def _open(self, path: Path, *, create: bool) -> Store:
        options, embedder = {"create": create} | self._options, self._embedder
        if isinstance(embedder, Embedder) or embedder == NONE:
            return open_store(path, embedder=embedder, **options)
        store = open_store(path, **options)
        store._embedder.load_by(self._load, embedder)  # noqa: SLF001 - of the same package
        return store

    def _load(self, name: str, **options: Any) -> Embedder:
        with self._loading:  # stores that need it at once load a model once
            if name not in self._models:
                self._models[name] = embedders.load(name, **options)
            return self._models[name]
