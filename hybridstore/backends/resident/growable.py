"""Arrays with room behind them, so that appending a few rows to many does not copy the many."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Growing:
    """An array that grows along one axis, with space for `capacity` from the start.

    Earlier views stay as they are: `first(n)` of an older count goes on showing what it showed.
    """

    def __init__(self, rows: NDArray[Any], axis: int = 0, capacity: int = 0) -> None:
        shape = list(rows.shape)
        self._axis, self._used = axis, shape[axis]
        shape[axis] = max(capacity, self._used + self._used // 64 + 1024)
        self._buffer = np.empty(shape, rows.dtype)
        self.first(self._used)[...] = rows

    def first(self, count: int) -> NDArray[Any]:
        """Give the first `count` rows, as a view that later appends leave alone."""
        return self._buffer[self._slice(0, count)]

    def append(self, count: int, rows: NDArray[Any]) -> Growing:
        """Append to the first `count` rows: in place where they are all and there is room, else in a copy."""
        end = count + rows.shape[self._axis]
        if count != self._used or end > self._buffer.shape[self._axis]:
            return Growing(np.concatenate([self.first(count), rows], axis=self._axis), self._axis)
        self._buffer[self._slice(count, end)] = rows
        self._used = end
        return self

    def _slice(self, first: int, end: int) -> tuple[slice, ...]:
        return (slice(None),) * self._axis + (slice(first, end),)
