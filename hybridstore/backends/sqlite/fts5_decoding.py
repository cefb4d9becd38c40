"""Doclists as arrays: the bytes that FTS5 keeps for a token, decoded all at once.

A doclist is (rowid, size and delete flag, positions) for each row, all as varints
(https://sqlite.org/fileformat2.html#varint). Rowids are differences, except at anchors. Positions are increments plus
two, so that 1 can announce a column (SQLite's fts5_index.c).
"""

from __future__ import annotations

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import WEIGHTS

Ids = NDArray[np.int64]
Places = NDArray[np.intp]
Bytes = NDArray[np.uint8]

_BEHIND = 16  # bytes after the end, so that a varint can be looked for at each byte
_AT_ONCE = 2**18  # bytes decoded together
_STEPS = 64  # rows taken from every anchor between two looks whether all are done
_WEIGHTS = np.array(WEIGHTS)


def decoded(doclists: bytes, anchors: Places) -> tuple[Ids, NDArray[np.float32], NDArray[np.intp]]:
    """Give the rowids and weighted frequencies of doclists, and how many rows come from each anchor.

    At an anchor stands a whole rowid: where a doclist begins, and its first row on each page. A deleted row gets the
    frequency 0. Done some pages at a time, for it takes sixty times the memory of what is decoded.
    """
    ends = np.append(anchors[1:], len(doclists))
    parts = []
    first = 0
    while first < len(anchors):
        last = max(int(np.searchsorted(ends, anchors[first] + _AT_ONCE)), first + 1)
        begin, end = int(anchors[first]), int(ends[last - 1])
        parts.append(_decoded(doclists[begin:end], anchors[first:last] - begin))
        first = last
    ids, weighted, counts = zip(*parts, strict=True)
    return np.concatenate(ids), np.concatenate(weighted), np.concatenate(counts)


def _decoded(doclists: bytes, anchors: Places) -> tuple[Ids, NDArray[np.float32], NDArray[np.intp]]:
    """Decode from the first anchor on.

    Where a row begins depends on the row before; so each byte is asked where the next row would begin if one began
    here, and then the rows are followed from all anchors at once.
    """
    size = len(doclists)
    data = np.frombuffer(doclists + bytes(_BEHIND), np.uint8)
    widths = _widths(data)
    rest = _values(data, widths)
    rest >>= 1
    rest += widths  # from a size to the row after it, were there a size
    after = np.arange(size, dtype=np.int32)
    after += widths[:size]
    following = np.append(after + rest[after], np.int32(size))
    starts, counts = _followed(following, anchors, size)
    firsts = np.cumsum(counts) - counts
    rowids = _values_at(data, starts, widths)
    sums = np.cumsum(rowids)
    ids = sums - (sums[firsts] - rowids[firsts]).repeat(counts)
    told = after[starts]
    begin, end = told + widths[told], told + rest[told]
    weighted = _weighted(data, starts, begin, end)
    weighted[_values_at(data, told, widths) & 1 == 1] = 0.0
    return ids, weighted, counts


def _widths(data: Bytes) -> NDArray[np.int8]:
    """Give how many bytes a varint that began at each byte would take."""
    high = data >= 0x80
    widths = high.astype(np.int8)
    widths += 1
    run = high
    for back in range(1, 8):
        run = run[:-1] & high[back:]
        if not run.any():
            break
        widths[: len(run)] += run
    return widths


def _values(data: Bytes, widths: NDArray[np.int8]) -> NDArray[np.int32]:
    """Give the varint that would begin at each byte: cut to 28 bits, for sizes are smaller."""
    values = data.astype(np.int32)
    more = np.flatnonzero(widths[:-_BEHIND] > 1)
    if len(more):
        values[more] = _values_at(data, more, np.minimum(widths, 4)).astype(np.int32)
    return values


def _values_at(data: Bytes, places: Places | NDArray[np.int32], widths: NDArray[np.int8]) -> NDArray[np.int64]:
    """Give the varints at some places."""
    lengths = widths[places]
    values = (data[places] & 0x7F).astype(np.int64)
    for back in range(1, int(lengths.max(initial=1))):
        more = np.flatnonzero(lengths > back)
        values[more] = values[more] << 7 | data[places[more] + back] & 0x7F
    return values


def _followed(following: NDArray[np.int32], anchors: Places, size: int) -> tuple[Places, NDArray[np.intp]]:
    """Follow all rows from the anchors on; give where they begin, ascending, and how many come from each anchor."""
    ends = np.append(anchors[1:], size).astype(np.int32)
    blocks = []
    now = anchors.astype(np.int32)
    while np.any(now < ends):
        block = np.empty((_STEPS, len(anchors)), np.int32)
        for row in block:
            row[:] = now
            now = np.minimum(following.take(now), ends)
        blocks.append(block)
    taken = np.concatenate([np.empty((0, len(anchors)), np.int32), *blocks]).T
    valid = taken < ends[:, None]
    starts = taken[valid].astype(np.intp)
    counts = valid.sum(axis=1)
    if not np.array_equal(following[starts[np.cumsum(counts) - 1]], ends):
        raise apsw.CorruptError("a page of the keyword index does not lead to the next")
    return starts, counts


def _weighted(data: Bytes, starts: Places, begin: Places, end: Places) -> NDArray[np.float32]:
    """Count the positions in data[begin:end] of each row, each by the weight of the column it is in.

    A row's positions begin in column 0; a byte 1, where a number begins, and the column after it announce another.
    """
    last = np.append(np.int32(0), np.cumsum(data < 0x80, dtype=np.int32))  # numbers that end before a byte
    plain = data.copy()
    for back in range(int((begin - starts).max(initial=0))):  # neither a rowid nor a size announces a column
        plain[np.minimum(starts + back, begin - 1)] = 0
    marks = np.flatnonzero(plain == 1)
    marks = marks[data[marks - 1] < 0x80]
    marks = marks[np.append(True, marks[1:] != marks[:-1] + 1)[: len(marks)]]  # a second 1 is the column
    keys = np.concatenate([begin * 2, marks * 2 + 1])
    keys.sort(kind="stable")  # two ascending runs
    marked, places = (keys & 1).astype(np.bool_), keys >> 1
    row = np.cumsum(~marked) - 1
    columns = np.where(marked, data[places + 1], 0)
    stops = np.where(np.append(marked[1:], False), np.append(places[1:], 0), end[row])
    counts = last[stops] - last[places + 2 * marked]
    return np.bincount(row, weights=counts * _WEIGHTS[columns], minlength=len(begin)).astype(np.float32)
