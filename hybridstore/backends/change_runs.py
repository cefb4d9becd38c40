"""What one transaction does to chunks, in runs of consecutive ids, as every backend's change log records it."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

# Lines that a log keeps, at least. A reader that is further behind reloads the whole index.
KEPT = 10_000
TRIMMED_EVERY = 100  # revisions
MOST_CHUNKS = 10_000_000  # beyond that, reading everything anew is as fast


class ChangeRuns:
    """Collects what a transaction does to chunks, and writes it as one revision when the block succeeds.

    What it is written to is a subclass's.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[str, int, int]] = []
        self._restart = self._advance = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and (self._runs or self._restart or self._advance):
            self._write()

    def _write(self) -> None:
        raise NotImplementedError

    def note(self, kind: str, first: int, last: int) -> None:
        """Record that the chunks first..last were "added", "removed" or "embedded"; adjacent runs become one line."""
        if first > last:
            return
        if self._runs and self._runs[-1][0] == kind and self._runs[-1][2] == first - 1:
            first = self._runs.pop()[1]
        self._runs.append((kind, first, last))

    def note_all(self, kind: str, chunks: Iterable[int]) -> None:
        """Record the same of chunks that need not be consecutive."""
        for chunk in chunks:
            self.note(kind, chunk, chunk)

    def restart(self) -> None:
        """Record that everything changed: the log restarts after this revision."""
        self._restart = True

    def advance(self) -> None:
        """Record that answers changed but no chunk did: there is a new revision, and nothing to follow."""
        self._advance = True
