"""The copies in memory, kept at the revision that a reader sees, under one budget."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import apsw
import numpy as np

from hybridstore.backends.resident import codes, postings
from hybridstore.backends.resident.chunk_ids import Ids
from hybridstore.backends.resident.codes import ResidentCodes
from hybridstore.backends.resident.metadata_columns import Columns
from hybridstore.backends.resident.postings import Postings
from hybridstore.backends.sqlite import sample
from hybridstore.backends.sqlite.change_log import changes
from hybridstore.backends.sqlite.connection import value
from hybridstore.backends.sqlite.sample import Sample
from hybridstore.backends.sqlite.where_sql import restricted
from hybridstore.backends.values import ChunkChange, Restriction
from hybridstore.text.analysis import Analyser

_CODES, _POSTINGS, _COLUMNS = 65, 25, 10  # per cent of the budget
_ALLOWED_KEPT = 4  # restrictions whose chunk ids are remembered, for one revision

Copy = TypeVar("Copy", Postings, ResidentCodes)


class ResidentCache:
    """What one store keeps in memory, shared by its threads.

    Each method gives a copy of exactly the revision that the connection's transaction reads, or None where there is
    none to be had: the copy has gone on already, or would not fit into `budget` bytes. The caller then asks SQLite.
    """

    def __init__(self, analyser: Analyser, budget: int) -> None:
        self._analyser, self._budget = analyser, budget
        self._lock = threading.Lock()
        self._postings: Postings | None = None
        self._codes: ResidentCodes | None = None
        self._sample: Sample | None = None
        self._columns = Columns(budget * _COLUMNS // 100)
        self._allowed: OrderedDict[Restriction, Ids] = OrderedDict()
        self._allowed_at = -1

    def postings(self, connection: apsw.Connection) -> Postings | None:
        """Give the postings at the connection's revision."""
        revision = _revision(connection)
        with self._lock:
            if self._postings is not None and self._postings.revision > revision:
                return None
            self._postings = _brought_to(
                connection,
                revision,
                self._postings,
                lambda now, log: postings.follow(connection, self._analyser, now, revision, log),
            ) or postings.load(connection, revision, self._budget * _POSTINGS // 100)
            return self._postings

    def codes(self, connection: apsw.Connection, *, scanned: bool = True) -> ResidentCodes | None:
        """Give the codes at the connection's revision; `scanned` says that all of them are to be compared."""
        revision = _revision(connection)
        with self._lock:
            if self._codes is not None and self._codes.revision > revision:
                return None
            again = self._codes is not None
            self._codes = _brought_to(
                connection,
                revision,
                self._codes,
                lambda now, log: codes.follow(connection, now, revision, log),
            ) or codes.load(connection, revision, self._budget * _CODES // 100)
            if self._codes is not None and again and scanned:  # a process that searches once has no use for a sieve
                self._codes = self._codes.sieved()
            return self._codes

    def sample(self, connection: apsw.Connection) -> Sample:
        """Give a sample of the vectors at the connection's revision; at 256 vectors it stands outside the budget."""
        revision = _revision(connection)
        with self._lock:
            before = self._sample
        if before is None or before.revision != revision:
            before = sample.sample(connection, revision, before)
            with self._lock:
                self._sample = before
        return before

    def allowed(
        self, connection: apsw.Connection, restriction: Restriction, condition: str, bindings: Sequence[object]
    ) -> Ids | None:
        """Give the ids of the chunks that pass a restriction; None where there is none to pass."""
        if not condition:
            return None
        revision = _revision(connection)
        with self._lock:
            if self._allowed_at == revision and restriction in self._allowed:
                self._allowed.move_to_end(restriction)
                return self._allowed[restriction]
        ids = self._passing(connection, revision, restriction)
        if ids is None:
            ids = _selected(connection, condition, bindings)
        with self._lock:
            if self._allowed_at < revision:
                self._allowed.clear()
                self._allowed_at = revision
            if self._allowed_at == revision:
                self._allowed[restriction] = ids
                while len(self._allowed) > _ALLOWED_KEPT:
                    self._allowed.popitem(last=False)
        return ids

    def _passing(self, connection: apsw.Connection, revision: int, restriction: Restriction) -> Ids | None:
        """Give what passes a restriction that has a filter, by the columns; None where they cannot tell."""
        where = restriction.where
        ids = None if where is None else self._columns.allowed(connection, revision, where)
        words = replace(restriction, where=None)
        if ids is None or not words:
            return ids
        return np.intersect1d(ids, _selected(connection, *restricted(words)), assume_unique=True)


def _selected(connection: apsw.Connection, condition: str, bindings: Sequence[object]) -> Ids:
    ids = np.fromiter((chunk for (chunk,) in connection.execute(condition, tuple(bindings))), np.int64)
    ids.sort()
    return ids


def _brought_to(
    connection: apsw.Connection,
    revision: int,
    now: Copy | None,
    follow: Callable[[Copy, list[ChunkChange]], Copy | None],
) -> Copy | None:
    """Give a copy as it is at a later or the same revision; None where it must be loaded anew."""
    if now is None or now.revision == revision:
        return now
    log = changes(connection, now.revision)
    return None if log is None else follow(now, log)


def _revision(connection: apsw.Connection) -> int:
    return int(value(connection, "SELECT value FROM meta WHERE key = 'revision'"))
