"""Search for many byte strings at once, in time that grows with the bytes searched alone.

Longer strings are searched for as windows of twelve bytes, at many places of them, since SQLite spreads a long row over
pages and a page may be partly overwritten. A window is recognised by a hash of 64 bits, after a table of bits has
excluded nearly all places: half a million needles in a gigabyte meet a wrong hash once in 30,000 times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Places = NDArray[np.intp]

WINDOW = 12  # bytes; by chance alone, no file is long enough to hold a given one
SHORTEST = 6  # bytes: vectors and codes are so many random bytes that shorter strings occur by chance
_PLAIN = 4  # fewer different bytes in a window, as in a line of dashes or in zeros, prove nothing
_STEP = 16  # bytes between two windows of a text without spaces
_PIECES = 8  # windows of one vector or code
_MOST = 500_000  # windows searched for; of more, evenly spread ones
_HEAD, _TAIL = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # odd, their bits evenly mixed
_AT_ONCE = 2**16  # places examined together: all of it stays in the processor's cache
_WORD = np.zeros(256, np.bool_)
_WORD[128:] = True  # all of UTF-8 beyond ASCII
_WORD[np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_", np.uint8)] = True


@dataclass(frozen=True, slots=True)
class Needles:
    """What is searched for: `hashes` (n,) of windows, ascending, and `short` strings; `kinds` (n + short) of each.

    `plain` counts what is not searched for, since it is too short, or has too few different bytes.
    """

    hashes: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    short: tuple[bytes, ...] = ()
    kinds: tuple[str, ...] = ()
    plain: int = 0

    def __len__(self) -> int:
        return len(self.kinds)

    def __add__(self, other: Needles) -> Needles:
        ours, theirs = len(self.hashes), len(other.hashes)
        windows = [*zip(self.hashes.tolist(), self.kinds[:ours], strict=True)]
        windows += zip(other.hashes.tolist(), other.kinds[:theirs], strict=True)
        short = dict(zip((*self.short, *other.short), (*self.kinds[ours:], *other.kinds[theirs:]), strict=True))
        return _made(dict(windows), short, self.plain + other.plain)

    def take(self, numbers: Iterable[int]) -> Needles:
        """Return some of them, by their numbers."""
        here, windows = sorted(set(numbers)), len(self.hashes)
        return Needles(
            self.hashes[[n for n in here if n < windows]],
            tuple(self.short[n - windows] for n in here if n >= windows),
            tuple(self.kinds[n] for n in here),
        )

    def finder(self) -> Finder:
        """Return what finds them in bytes."""
        return Finder(self)


def _made(windows: Mapping[int, str], short: Mapping[bytes, str], plain: int) -> Needles:
    hashes = np.array(sorted(windows), np.uint64)
    kinds = [windows[value] for value in hashes.tolist()]
    return Needles(hashes, tuple(short), (*kinds, *short.values()), plain)


class Finder:
    """Finds needles in bytes."""

    def __init__(self, needles: Needles) -> None:
        self._hashes = needles.hashes
        self._windows = _HashFilter(needles.hashes)
        self._short = {value: number for number, value in enumerate(needles.short, start=len(needles.hashes))}
        self._lengths: dict[bytes, set[int]] = defaultdict(set)  # by how they begin: many ids begin alike
        for value in needles.short:
            self._lengths[value[:SHORTEST]].add(len(value))
        beginnings = np.frombuffer(b"".join(begin.ljust(8, b"\0") for begin in self._lengths), "<u8")
        self._beginnings = _HashFilter((beginnings * _HEAD).astype(np.uint64, copy=False))

    def find(self, data: bytes) -> tuple[list[int], list[int]]:
        """Return the places where needles begin, and the needles' numbers."""
        places: list[int] = []
        numbers: list[int] = []
        for first in range(0, len(data), _AT_ONCE):
            some = data[first : first + _AT_ONCE + WINDOW - 1]
            if len(self._hashes) and len(some) >= WINDOW:
                hashes = hashed(np.frombuffer(some, np.uint8))
                at = self._windows.pass_(hashes)
                number = np.minimum(np.searchsorted(self._hashes, hashes[at]), len(self._hashes) - 1)
                right = self._hashes[number] == hashes[at]
                places += (at[right] + first).tolist()
                numbers += number[right].tolist()
            if self._short:
                for at_ in self._begun(some):
                    if at_ >= _AT_ONCE:
                        break
                    for length in self._lengths.get(some[at_ : at_ + SHORTEST], ()):
                        known = self._short.get(some[at_ : at_ + length])
                        if known is not None:
                            places.append(at_ + first)
                            numbers.append(known)
        return places, numbers

    def _begun(self, data: bytes) -> list[int]:
        """Return the places where a short needle may begin."""
        padded = data + bytes(8 - SHORTEST)
        words: NDArray[np.uint64] = np.ndarray((max(len(padded) - 7, 0),), "<u8", padded, 0, (1,))
        begun: list[int] = self._beginnings.pass_((words & np.uint64(2 ** (8 * SHORTEST) - 1)) * _HEAD).tolist()
        return begun


class _HashFilter:
    """Passes the places whose hash may be one of these: of the others, one in 16 or fewer passes too.

    A larger table would pass fewer, and no longer fit the cache: 2.7 ms a megabyte are 8 with a table of 16 MiB.
    """

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        bits = min(max((16 * len(hashes)).bit_length(), 12), 22)
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(2**bits, np.bool_)
        self._table[hashes >> self._shift] = True

    def pass_(self, hashes: NDArray[np.uint64]) -> Places:
        slots = (hashes >> self._shift).view(np.int64)  # they are small
        return np.flatnonzero(self._table.take(slots, mode="clip"))


def hashed(data: Bytes) -> NDArray[np.uint64]:
    """Return the hash of the window at each place of (n,) bytes: (n - 11,)."""
    count = max(len(data) - WINDOW + 1, 0)
    return _mixed(*(np.ndarray((count,), "<u8", data, offset, (1,)) for offset in (0, WINDOW - 8)))


def _mixed(head: NDArray[np.uint64], tail: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash windows by their first eight bytes and their last."""
    return (head * _HEAD + tail * _TAIL).astype(np.uint64, copy=False)


class NeedleBuilder:
    """Collects what is to be searched for, piece by piece, and makes needles of it."""

    def __init__(self) -> None:
        self._windows: list[tuple[NDArray[np.uint64], str]] = []
        self._short: dict[bytes, str] = {}
        self._plain = 0

    def text(self, kind: str, text: str) -> None:
        """Add a text: the windows at the beginning of every word and the last one, or all of it where it is shorter."""
        data = np.frombuffer(text.encode(), np.uint8)
        if len(data) < WINDOW:
            self._whole(kind, text.encode())
            return
        in_word = _WORD[data]
        begins = np.flatnonzero(in_word[1:] & ~in_word[:-1]) + 1
        last = len(data) - WINDOW
        at = np.unique(np.concatenate([begins, np.arange(0, len(data), _STEP), [last]]))
        self._take(kind, data, at[at <= last])

    def word(self, word: str) -> None:
        """Add a word of the keyword index, if it is long enough, and its end: the index may lack its beginning."""
        data = word.encode()
        if len(data) >= SHORTEST:
            self.text("keyword", word)
        if SHORTEST + 2 < len(data) < WINDOW:
            self._whole("keyword", data[-SHORTEST - 2 :])

    def _whole(self, kind: str, value: bytes) -> None:
        if len(value) >= SHORTEST and len(set(value)) >= _PLAIN:
            self._short[value] = kind
        elif value:
            self._plain += 1

    def rows(self, kind: str, rows: Bytes) -> None:
        """Add vectors, codes or digests as bytes (n, width): some windows of each."""
        width = rows.shape[1]
        if width < WINDOW:
            for row in rows:
                self._whole(kind, row.tobytes())
            return
        within = np.unique(np.linspace(0, width - WINDOW, _PIECES).astype(np.intp))
        at = (np.arange(len(rows), dtype=np.intp)[:, None] * width + within).ravel()
        self._take(kind, np.ascontiguousarray(rows).ravel(), at)

    def _take(self, kind: str, data: Bytes, at: Places) -> None:
        windows = np.lib.stride_tricks.sliding_window_view(data, WINDOW)[at]
        ordered = np.sort(windows, axis=1)
        distinct = (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1) + 1 >= _PLAIN
        self._plain += len(at) - int(distinct.sum())
        words = (windows[distinct, first : first + 8] for first in (0, WINDOW - 8))
        self._windows.append((_mixed(*(np.ascontiguousarray(word).view("<u8").ravel() for word in words)), kind))

    def build(self) -> Needles:
        """Return the needles: each once, and of too many windows an even share."""
        total = sum(len(hashes) for hashes, _ in self._windows)
        every = -(-total // _MOST)
        windows = {value: kind for hashes, kind in self._windows for value in hashes[:: max(every, 1)].tolist()}
        return _made(windows, self._short, self._plain)
