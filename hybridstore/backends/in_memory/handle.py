"""Access to the contents of a store in memory: many readers, each of one state, and one writer at a time.

Blocks are left by the `__exit__` of a lock, which is written in C: an exception that a signal handler raises comes
before it or after it, and leaves neither a lock that is held for ever nor a thread that reads an old state for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from hybridstore.backends import forking
from hybridstore.backends.batches import timestamp
from hybridstore.backends.in_memory.contents import Contents
from hybridstore.errors import HybridstoreError


class SharedContents:
    """The contents that all handles on one store share, the lock of their writers, and the snapshots they read."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.created = timestamp()
        self.now = Contents()
        self.after_fork()
        forking.register(self)

    def quiet(self) -> bool:
        """Return True: what is stored is replaced in one step, and drafts of other threads are not there in a child."""
        return True

    def after_fork(self) -> None:
        """Begin with locks that nobody holds."""
        self.lock = threading.Lock()
        self._noting = threading.Lock()
        self._snapshots: list[threading.Lock] = []  # held while they are read

    @property
    def snapshots_taken(self) -> bool:
        """Whether any thread is reading a snapshot."""
        return any(held.locked() for held in self._snapshots)

    def note_snapshot(self, held: threading.Lock) -> None:
        """Know of a snapshot, which is being read while this lock is held; forget those that are over."""
        with self._noting:
            self._snapshots = [*(other for other in self._snapshots if other.locked()), held]


class Handle:
    """One way to the contents: a snapshot belongs to it and to a thread, and closing it closes no other."""

    def __init__(self, shared: SharedContents) -> None:
        self.shared = shared
        self._closed = False
        self._snapshots = threading.local()

    @property
    def snapshot_taken(self) -> bool:
        """Whether this thread is reading a snapshot."""
        held: threading.Lock | None = getattr(self._snapshots, "held", None)
        return held is not None and held.locked()

    def close(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    def contents(self) -> Contents:
        """Return what this thread reads: its snapshot, or what is stored now."""
        self._check_open()
        if self.snapshot_taken:
            contents: Contents = self._snapshots.contents
            return contents
        self._snapshots.held = self._snapshots.contents = None
        return self.shared.now

    def snapshot(self) -> AbstractContextManager[object]:
        """Make all reads of this thread in the block see one state; a snapshot within another one is that one."""
        self._check_open()
        return _Snapshot(self)

    def take_snapshot(self, held: threading.Lock) -> None:
        """Let this thread read what is stored now as long as this lock will be held, unless it reads a snapshot."""
        contents = self.contents()
        if not self.snapshot_taken:
            self._snapshots.contents, self._snapshots.held = contents, held
            self.shared.note_snapshot(held)

    @property
    def lock(self) -> threading.Lock:
        """The lock of whoever writes, to be held around `writing`."""
        return self.shared.lock

    @contextmanager
    def writing(self) -> Iterator[Contents]:
        """Yield a draft of the contents, which replaces them in one step unless the block raises."""
        self._check_open()
        if not self.lock.locked():
            raise RuntimeError("writing without the lock")
        draft = self.shared.now.draft()
        yield draft
        draft.revision += draft.changed
        self.shared.now = draft

    def _check_open(self) -> None:
        if self._closed:
            raise HybridstoreError("this store is closed; open it again with hybridstore.open()")


class _Snapshot:
    """A snapshot that is read while its lock is held."""

    __slots__ = ("_handle", "_held")

    def __init__(self, handle: Handle) -> None:
        self._handle, self._held = handle, threading.Lock()

    def __enter__(self) -> None:
        self._handle.take_snapshot(self._held)
        try:
            self._held.acquire()
        except BaseException:
            if self._held.locked():
                self._held.release()
            raise

    @property
    def __exit__(self) -> Callable[..., bool | None]:  # noqa: PLE0302, PYI036 - the lock's own, so that it is C
        return self._held.__exit__
