"""The query log and feedback of one open store: recorded only if wanted, and never while a search waits."""

from __future__ import annotations

import operator
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from hybridstore.backends import forking
from hybridstore.backends.learning import LearningBackend, LoggedQuestion
from hybridstore.errors import HybridstoreError, InputError
from hybridstore.records import Hit

BATCH = 64  # queries in one write
_MOST = 4096  # queries that are held back while the store is busy; the oldest are dropped beyond it
_LONGEST = 4096  # characters; a longer query is a document that was pasted


class QueryLog:
    """The queries of one open store on their way to its log; unless `enabled`, none are recorded.

    They are buffered until there are 64, or until the store is closed, and a thread of its own then writes them: no
    search waits for a store that another process is writing to. Without `close` the last ones are lost.
    """

    def __init__(self, learning: LearningBackend, *, enabled: bool) -> None:
        self._learning, self._enabled = learning, enabled
        self._lock = threading.Lock()
        self._buffer: list[str] = []
        self._writer: threading.Thread | None = None
        self._paused = threading.local()
        forking.register(self)

    def quiet(self) -> bool:
        """Return True: what is buffered belongs to the parent."""
        return True

    def after_fork(self) -> None:
        """Begin with an empty buffer: the parent writes what it holds."""
        self._lock, self._buffer, self._writer = threading.Lock(), [], None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Record nothing from this thread in the block."""
        before = getattr(self._paused, "yes", False)
        self._paused.yes = True
        try:
            yield
        finally:
            self._paused.yes = before

    def add(self, query: str) -> None:
        """Record a query, without surrounding white space."""
        query = query.strip()
        if not self._enabled or not query or len(query) > _LONGEST or getattr(self._paused, "yes", False):
            return
        with self._lock:
            self._buffer.append(query)
            if len(self._buffer) >= BATCH and not (self._writer and self._writer.is_alive()):
                self._writer = threading.Thread(target=self._try, name="hybridstore-query-log")
                self._writer.start()

    def _try(self) -> None:
        with suppress(HybridstoreError):  # what could not be written stays in the buffer
            self._write()

    def _write(self) -> None:
        with self._lock:
            batch, self._buffer = self._buffer, []
        try:
            if batch:
                self._learning.log_queries(batch)
        except BaseException:
            with self._lock:
                self._buffer = [*batch, *self._buffer][-_MOST:]
            raise

    def flush(self) -> None:
        """Write the buffer; raises StoreBusy, and the buffer is kept."""
        if (writer := self._writer) is not None:
            writer.join()
        self._write()

    def close(self) -> None:
        """Write the buffer; where the store stays busy it is dropped with a RuntimeWarning, as searches succeeded."""
        try:
            self.flush()
        except HybridstoreError as error:
            lost, self._buffer = len(self._buffer), []
            warnings.warn(f"{lost} queries were not written to the store's log: {error}", RuntimeWarning, stacklevel=3)

    def read(self) -> list[LoggedQuestion]:
        """Return the log; see `Store.query_log`."""
        self.flush()
        return self._learning.query_log()

    def forget(self, queries: str | Iterable[str] | None) -> int:
        """Remove queries from the log; see `Store.forget_queries`."""
        named = [queries] if isinstance(queries, str) else None if queries is None else list(queries)
        if unfit := [query for query in named or () if not isinstance(query, str)]:
            raise InputError(f"a query is a text, not {unfit[0]!r}")
        self.flush()
        return self._learning.forget_queries(None if named is None else [query.strip() for query in named])

    def feedback(self, query: str, hit: Hit | int, *, used: bool) -> None:
        """Record feedback on a hit; see `Store.feedback`."""
        if not isinstance(query, str) or not query.strip():
            raise InputError(f"feedback is about a query, a text that is not empty; not {query!r}")
        try:
            chunk = hit.chunk_id if isinstance(hit, Hit) else operator.index(hit)
        except TypeError as error:
            raise InputError(f"feedback is about a Hit or a chunk's id, not {hit!r}") from error
        if not -(2**63) <= chunk < 2**63 or isinstance(hit, bool):
            raise InputError(f"{hit!r} is not a chunk's id; a Hit has it as `chunk_id`")
        self._learning.add_feedback(query.strip(), chunk, used=bool(used))
