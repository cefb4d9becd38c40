"""The copies in memory, kept at the revision that a reader sees, under one budget."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from hybridstore.backends.resident import codes, postings, vector_sample
from hybridstore.backends.resident.codes import ResidentCodes
from hybridstore.backends.resident.loader import Ids, Loader
from hybridstore.backends.resident.metadata_columns import MetadataColumns
from hybridstore.backends.resident.postings import Postings
from hybridstore.backends.resident.vector_sample import VectorSample
from hybridstore.backends.values import ChunkChange, Restriction
from hybridstore.text.analysis import Analyser

_CODES, _POSTINGS, _COLUMNS = 65, 25, 10  # per cent of the budget
_ALLOWED_KEPT = 4  # restrictions whose chunk ids are remembered, for one revision

Copy = TypeVar("Copy", Postings, ResidentCodes)


class ResidentCache:
    """What one store keeps in memory, shared by its threads.

    Each method returns a copy of exactly the revision that the loader reads, or None where there is none: the copy is
    of a later revision already, or would not fit into `budget` bytes. The caller then asks the database.
    """

    def __init__(self, analyser: Callable[[], Analyser], budget: int) -> None:
        self._analyser, self._budget = analyser, budget
        self._lock = threading.Lock()
        self._postings: Postings | None = None
        self._codes: dict[str | None, ResidentCodes] = {}  # by leg
        self._samples: dict[str | None, VectorSample] = {}
        self._columns = MetadataColumns(budget * _COLUMNS // 100)
        self._allowed: OrderedDict[Restriction, Ids] = OrderedDict()
        self._allowed_at = -1

    def postings(self, loader: Loader) -> Postings | None:
        """Return the postings at the loader's revision."""
        revision = loader.revision()
        with self._lock:
            if self._postings is not None and self._postings.revision > revision:
                return None
            self._postings = _brought_to(
                loader,
                revision,
                self._postings,
                lambda old, changes: postings.follow(loader, self._analyser(), old, revision, changes),
            ) or postings.load(loader, revision, self._budget * _POSTINGS // 100)
            return self._postings

    def codes(self, loader: Loader, *, scanned: bool = True) -> ResidentCodes | None:
        """Return the codes at the loader's revision; `scanned` if all of them are to be compared."""
        revision, leg = loader.revision(), loader.leg
        with self._lock:
            before = self._codes.get(leg)
            if before is not None and before.revision > revision:
                return None
            budget = self._budget * _CODES // 100
            if len(self._codes) > (before is not None):
                budget -= sum(others.bytes for other, others in self._codes.items() if other != leg)
            copy = _brought_to(
                loader,
                revision,
                before,
                lambda old, changes: codes.follow(loader, old, revision, changes),
            ) or codes.load(loader, revision, budget)
            if copy is None:
                self._codes.pop(leg, None)
                return None
            if before is not None and scanned:  # a process that searches once has no use for a sieve
                copy = copy.sieved()
            self._codes[leg] = copy
            return copy

    def forget(self, leg: str) -> None:
        """Drop the copies of a leg that is not there any more."""
        with self._lock:
            self._codes.pop(leg, None)
            self._samples.pop(leg, None)

    def sample(self, loader: Loader) -> VectorSample:
        """Return a sample of the vectors at the loader's revision; at 256 vectors it is not part of the budget."""
        revision = loader.revision()
        with self._lock:
            sample = self._samples.get(loader.leg)
        if sample is None or sample.revision != revision:
            sample = vector_sample.load(loader, revision, sample)
            with self._lock:
                self._samples[loader.leg] = sample
        return sample

    def allowed(self, loader: Loader, restriction: Restriction) -> Ids | None:
        """Return the chunks that pass a restriction, ascending; None where it restricts nothing."""
        if not restriction:
            return None
        revision = loader.revision()
        with self._lock:
            if self._allowed_at == revision and restriction in self._allowed:
                self._allowed.move_to_end(restriction)
                return self._unless_all(self._allowed[restriction], revision, restriction)
        ids = self._passing(loader, revision, restriction)
        with self._lock:
            if self._allowed_at < revision:
                self._allowed.clear()
                self._allowed_at = revision
            if self._allowed_at == revision:
                self._allowed[restriction] = ids
                while len(self._allowed) > _ALLOWED_KEPT:
                    self._allowed.popitem(last=False)
        return self._unless_all(ids, revision, restriction)

    def _unless_all(self, ids: Ids, revision: int, restriction: Restriction) -> Ids | None:
        """Return the chunks that pass a restriction, None where all do: a server's often lets all through."""
        known = self._postings
        if restriction.matching or known is None or known.revision != revision:
            return ids  # how many meet the conditions on words says whether any were missed
        return None if len(ids) == known.chunks.count_alive() else ids

    def _passing(self, loader: Loader, revision: int, restriction: Restriction) -> Ids:
        where = restriction.where
        ids = None if where is None else self._columns.allowed(loader, revision, where)
        if ids is None:
            return loader.passing(restriction)
        without_filter = replace(restriction, where=None)
        if not without_filter:
            return ids
        return np.intersect1d(ids, loader.passing(without_filter), assume_unique=True)


def _brought_to(
    loader: Loader, revision: int, old: Copy | None, follow: Callable[[Copy, list[ChunkChange]], Copy | None]
) -> Copy | None:
    """Return a copy as it is at a later or the same revision; None where it must be loaded again."""
    if old is None or old.revision == revision:
        return old
    changes = loader.changes(old.revision)
    return None if changes is None else follow(old, changes)
