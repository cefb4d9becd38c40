"""Chunk ids in memory: the place of each in the arrays, and which of them are removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.resident.loader import Ids
from hybridstore.backends.values import ChunkChange

NO_IDS: Ids = np.empty(0, np.int64)

_FEW = 1_000  # ids that are searched for one by one
_SPARSE = 2  # ids from first to last for each one that exists, up to which a table of places is worth its memory
_COLUMNS = 8  # for each score sought; more columns leave fewer scores to sort, and take longer themselves


class GrowingArray:
    """An array that grows along one axis, with space for `capacity` from the start.

    Appending a few rows does not copy the others. Earlier views do not change: `first(n)` of an older count still
    shows what it showed.
    """

    def __init__(self, rows: NDArray[Any], axis: int = 0, capacity: int = 0) -> None:
        shape = list(rows.shape)
        self._axis, self._used = axis, shape[axis]
        shape[axis] = max(capacity, self._used + self._used // 64 + 1024)
        self._buffer = np.empty(shape, rows.dtype)
        self.first(self._used)[...] = rows

    def first(self, count: int) -> NDArray[Any]:
        """Return the first `count` rows, as a view that later appends do not change."""
        return self._buffer[self._slice(0, count)]

    def append(self, count: int, rows: NDArray[Any]) -> GrowingArray:
        """Append to the first `count` rows: in place where there are no others and there is space, else in a copy."""
        end = count + rows.shape[self._axis]
        if count != self._used or end > self._buffer.shape[self._axis]:
            return GrowingArray(np.concatenate([self.first(count), rows], axis=self._axis), self._axis)
        self._buffer[self._slice(count, end)] = rows
        self._used = end
        return self

    def _slice(self, first: int, end: int) -> tuple[slice, ...]:
        return (slice(None),) * self._axis + (slice(first, end),)


@dataclass(frozen=True)
class ChunkIds:
    """Ascending chunk ids (n,); the place of a chunk is its index.

    `removed` are the places of removed chunks, ascending; `alive` (n,) is None while there are none.
    """

    ids: Ids
    removed: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    alive: NDArray[np.bool_] | None = None
    array: GrowingArray | None = field(default=None, repr=False, compare=False)  # which `ids` is a view of

    def __len__(self) -> int:
        return len(self.ids)

    def places(self, chunks: Ids) -> NDArray[np.intp]:
        """Return the places of those of the chunks that are here, in the same order."""
        if not len(self.ids):
            return np.empty(0, np.intp)
        if self.ids[-1] - self.ids[0] == len(self.ids) - 1:  # no gaps: a place is a subtraction
            offsets: NDArray[np.intp] = (chunks - self.ids[0]).astype(np.intp, copy=False)
            if len(chunks) and (offsets.min() < 0 or offsets.max() >= len(self.ids)):
                offsets = offsets[(offsets >= 0) & (offsets < len(self.ids))]
            return offsets
        if len(chunks) > _FEW and (table := self._table) is not None:
            offsets = chunks - self.ids[0]
            inside = table[offsets[(offsets >= 0) & (offsets < len(table))]].astype(np.intp)
            return inside[inside >= 0]
        nearest = np.minimum(np.searchsorted(self.ids, chunks), len(self.ids) - 1)
        places: NDArray[np.intp] = nearest[self.ids[nearest] == chunks]
        return places

    @cached_property
    def _table(self) -> NDArray[np.int32] | None:
        """The place of each id from the first to the last, -1 where there is none; None where it would be wasteful."""
        span = int(self.ids[-1] - self.ids[0]) + 1
        if span > _SPARSE * len(self.ids):
            return None
        table = np.full(span, -1, np.int32)
        table[self.ids - self.ids[0]] = np.arange(len(self.ids), dtype=np.int32)
        return table

    def without(self, chunks: Ids) -> ChunkIds:
        """Return the same ids with some of them removed."""
        places = np.union1d(self.removed, self.places(chunks))
        if not len(places):
            return self
        alive = np.ones(len(self.ids), np.bool_)
        alive[places] = False
        return ChunkIds(self.ids, places, alive, self.array)

    def with_added(self, ids: Ids) -> ChunkIds:
        """Return these ids and, after them, new ones, which are all larger."""
        alive = None if self.alive is None else np.concatenate([self.alive, np.ones(len(ids), np.bool_)])
        array = (self.array or GrowingArray(self.ids)).append(len(self.ids), ids)
        return ChunkIds(array.first(len(self.ids) + len(ids)), self.removed, alive, array)

    def count_alive(self) -> int:
        """Count the chunks that are not removed."""
        return len(self.ids) - len(self.removed)

    def count_alive_among(self, places: NDArray[np.int32]) -> int:
        """Count those at some ascending places that are not removed."""
        if self.alive is None:
            return len(places)
        if len(self.removed) > len(places) // 8:
            return int(np.count_nonzero(self.alive[places]))
        at = places.searchsorted(self.removed.astype(np.int32))
        return len(places) - int(np.count_nonzero(places[at[at < len(places)]] == self.removed[at < len(places)]))

    def mask(self, allowed: Ids | None) -> NDArray[np.bool_] | None:
        """Return which places may be hits, (n,): not removed, and allowed unless that is None; None for all."""
        if allowed is None:
            return self.alive
        mask = np.zeros(len(self.ids), np.bool_)
        mask[self.places(allowed)] = True
        return mask if self.alive is None else mask & self.alive


def added_and_removed(changes: Sequence[ChunkChange], chunks: ChunkIds) -> tuple[Ids, Ids]:
    """Return the chunks that changes added to those there were and did not remove again, and those they removed."""
    added, removed = (
        np.concatenate([NO_IDS, *(np.arange(run.first, run.last + 1) for run in changes if run.kind == kind)])
        for kind in ("added", "removed")
    )
    if len(removed) and len(added):
        added = np.setdiff1d(added, removed)
    return added[added > (chunks.ids[-1] if len(chunks) else 0)], removed


def best(scores: NDArray[np.floating[Any]], count: int, floor: float = -np.inf) -> NDArray[np.intp]:
    """Return the places of the `count` largest scores above the floor, best first, ties by place.

    Only scores that reach `_bound` are sorted: 0.15 ms for 200,000 scores, where partitioning them all takes 2.2 ms.
    """
    least = _bound(scores, count)
    places = np.flatnonzero(scores >= least if least > floor else scores > floor)
    order = (-scores.take(places)).argsort(kind="stable")[:count]
    return places.take(order)


def _bound(scores: NDArray[np.floating[Any]], count: int) -> float:
    """Return a number that at least `count` scores reach, and hardly more; -inf where there are fewer scores.

    The scores are laid out in rows under each other: the largest of each column are that many different scores.
    """
    count = max(count, 1)
    if len(scores) <= count:
        return -np.inf
    columns = _COLUMNS * count
    rows = len(scores) // columns
    tops = scores if rows < 2 else scores[: rows * columns].reshape(rows, columns).max(axis=0)
    return float(np.partition(tops, len(tops) - count)[len(tops) - count])
