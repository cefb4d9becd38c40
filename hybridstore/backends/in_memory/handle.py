"""Access to the contents of a store in memory: many readers, each of one state, and one writer at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hybridstore.backends.in_memory.contents import Contents, timestamp
from hybridstore.errors import HybridstoreError


class SharedContents:
    """The contents that all handles on one store share, the lock of their writers, and the snapshots they read."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.created = timestamp()
        self.now = Contents()
        self.lock = threading.Lock()
        self.snapshots: list[Contents] = []


class Handle:
    """One way to the contents: a snapshot belongs to it and to a thread, and closing it closes no other."""

    def __init__(self, shared: SharedContents) -> None:
        self.shared = shared
        self._closed = False
        self._snapshots = threading.local()

    @property
    def snapshot_taken(self) -> bool:
        """Whether this thread is reading a snapshot."""
        return hasattr(self._snapshots, "contents")

    def close(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    def contents(self) -> Contents:
        """Return what this thread reads: its snapshot, or what is stored now."""
        self._check_open()
        now: Contents = getattr(self._snapshots, "contents", self.shared.now)
        return now

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make all reads of this thread in the block see one state; a snapshot within another one is that one."""
        contents = self.contents()
        if self.snapshot_taken:
            yield
            return
        self._snapshots.contents = contents
        self.shared.snapshots.append(contents)
        try:
            yield
        finally:
            del self._snapshots.contents
            self.shared.snapshots.remove(contents)

    @contextmanager
    def writing(self) -> Iterator[Contents]:
        """Yield a draft of the contents, which replaces them unless the block raises."""
        self._check_open()
        with self.shared.lock:
            draft = self.shared.now.draft()
            yield draft
            draft.revision += draft.changed
            self.shared.now = draft

    def _check_open(self) -> None:
        if self._closed:
            raise HybridstoreError("this store is closed; open it again with hybridstore.open()")
