"""What people asked and what they said about the answers: kept only if they want it, and never at a search's cost."""

from __future__ import annotations

import operator
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from hybridstore.backends.learning import LearningBackend, LoggedQuestion
from hybridstore.errors import HybridstoreError, InputError
from hybridstore.records import Hit

BATCH = 64  # questions that wait for one write
_MOST = 4096  # that wait while the file is busy; the oldest are dropped then
_LONGEST = 4096  # characters; what is longer is a document that was pasted, not a question


class Asking:
    """The questions of one open store, on their way to its file; where `kept` is False, none are taken.

    They wait in memory until there are 64, or until the store is closed, and a thread of its own then writes them:
    no search waits for a file that another process is writing to. Without `close` the last ones are lost.
    """

    def __init__(self, learning: LearningBackend, *, kept: bool) -> None:
        self._learning, self._kept = learning, kept
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._writer: threading.Thread | None = None
        self._paused = threading.local()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take nothing from this thread in the block."""
        before = getattr(self._paused, "yes", False)
        self._paused.yes = True
        try:
            yield
        finally:
            self._paused.yes = before

    def note(self, query: str) -> None:
        """Take a question, without the space around it."""
        query = query.strip()
        if not self._kept or not query or len(query) > _LONGEST or getattr(self._paused, "yes", False):
            return
        with self._lock:
            self._waiting.append(query)
            if len(self._waiting) >= BATCH and not (self._writer and self._writer.is_alive()):
                self._writer = threading.Thread(target=self._try, name="hybridstore-questions")
                self._writer.start()

    def _try(self) -> None:
        with suppress(HybridstoreError):  # what could not be written waits for the next time
            self._write()

    def _write(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        try:
            if batch:
                self._learning.log_queries(batch)
        except BaseException:
            with self._lock:
                self._waiting = [*batch, *self._waiting][-_MOST:]
            raise

    def flush(self) -> None:
        """Write what waits; raises FileBusy, and what waits goes on waiting."""
        if (writer := self._writer) is not None:
            writer.join()
        self._write()

    def close(self) -> None:
        """Write what waits; where the file stays busy it is dropped with a RuntimeWarning, for searches went well."""
        try:
            self.flush()
        except HybridstoreError as error:
            lost, self._waiting = len(self._waiting), []
            warnings.warn(f"{lost} questions were not kept in the store's log: {error}", RuntimeWarning, stacklevel=3)

    # what the store's methods of the same names promise

    def asked(self) -> list[LoggedQuestion]:
        """Give the log, the questions that still wait included."""
        self.flush()
        return self._learning.query_log()

    def forget(self, queries: str | Iterable[str] | None) -> int:
        """Forget questions, those that still wait included."""
        named = [queries] if isinstance(queries, str) else None if queries is None else list(queries)
        if unfit := [each for each in named or () if not isinstance(each, str)]:
            raise InputError(f"a question is a text, not {unfit[0]!r}")
        self.flush()
        return self._learning.forget_queries(None if named is None else [each.strip() for each in named])

    def feedback(self, query: str, hit: Hit | int, *, used: bool) -> None:
        """Keep a word on a hit, or on a chunk by its id."""
        if not isinstance(query, str) or not query.strip():
            raise InputError(f"feedback is about a question, a text that is not empty; not {query!r}")
        try:
            chunk = hit.chunk_id if isinstance(hit, Hit) else operator.index(hit)
        except TypeError as error:
            raise InputError(f"feedback is about a Hit or a chunk's id, not {hit!r}") from error
        if not -(2**63) <= chunk < 2**63 or isinstance(hit, bool):
            raise InputError(f"{hit!r} is no chunk's id; a Hit has it as `chunk_id`")
        self._learning.add_feedback(query.strip(), chunk, used=bool(used))
