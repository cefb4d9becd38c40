# ruff: noqa: D102 - the protocol says what each method promises
"""EmbeddingBackend for databases: one transaction for each method, whatever the SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.change_runs import ChangeRuns
from hybridstore.backends.generations import Generations
from hybridstore.backends.resident.resident_cache import ResidentCache
from hybridstore.backends.stored_learning import Transactions
from hybridstore.backends.values import Calibration, Embedding, Embeddings, Passage

C = TypeVar("C")


class StoredEmbeddings(Generic[C]):
    """The part of a backend that keeps vectors. A backend has `_connections` and `_memory`, and sets the rest.

    `_revision` reads the number of a transaction's state, `_read_embeddings` and `_write_calibration` its rows.
    """

    _connections: Transactions[C]
    _memory: ResidentCache
    _missing: tuple[int, NDArray[np.int64]] | None  # at a revision
    _generations: Generations[C]
    _log: Callable[[C], AbstractContextManager[ChangeRuns]]
    _revision: Callable[[C], int]
    _read_embeddings: Callable[[C], Embeddings]
    _write_calibration: Callable[[C, Calibration], None]

    def embeddings(self) -> Embeddings:
        with self._connections.reading() as connection:
            return self._read_embeddings(connection)

    def calibrate(self, calibration: Calibration) -> None:
        with self._connections.atomic() as connection:
            self._write_calibration(connection, calibration)

    def begin(self, embedding: Embedding) -> None:
        with self._connections.atomic() as connection:
            self._generations.begin(connection, embedding)

    def add_leg(self, embedding: Embedding) -> None:
        with self._connections.atomic() as connection:
            self._generations.add_leg(connection, embedding)

    def drop_leg(self, fingerprint: str) -> bool:
        with self._connections.atomic() as connection:
            dropped = self._generations.drop_leg(connection, fingerprint)
        self._memory.forget(fingerprint)
        return dropped

    def pending(self, limit: int, leg: str | None = None) -> list[Passage]:
        with self._connections.reading() as connection:
            return self._generations.pending(connection, limit, leg)

    def pending_count(self, leg: str | None = None) -> int:
        with self._connections.reading() as connection:
            return self._generations.pending_count(connection, leg)

    def missing(self) -> NDArray[np.int64]:
        with self._connections.reading() as connection:
            now, known = self._revision(connection), self._missing
            if known is None or known[0] != now:
                known = self._missing = (now, self._generations.missing(connection))
            return known[1]

    def fill(self, embedding: Embedding, chunks: Sequence[int], vectors: NDArray[np.float32]) -> int:
        with self._connections.atomic() as connection, self._log(connection) as log:
            return self._generations.fill(connection, log, embedding, chunks, vectors)

    def switch(self, *, keep: bool = False, promote: int | None = None) -> bool:
        with self._connections.atomic() as connection, self._log(connection) as log:
            return self._generations.switch(connection, log, keep=keep, promote=promote)
