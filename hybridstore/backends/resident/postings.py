"""The keyword index in memory: all chunks' lengths, and the postings of the words asked for, at one revision.

A word's postings are read from FTS5's doclists when it is first asked for and kept, the least recently used going
first. Chunks added since stand beside them, as the analyser reads them.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.resident.chunk_ids import Chunks, came_and_went
from hybridstore.backends.resident.growable import Growing
from hybridstore.backends.sqlite import document_rows, fts5_doclists, keyword_index
from hybridstore.backends.sqlite.connection import rows, value
from hybridstore.backends.sqlite.schema import WEIGHTS
from hybridstore.backends.values import K1, B, ChunkChange
from hybridstore.text.analysis import Analyser

STEPS = 0xFFFF  # of an impact between 0 and 1
_EACH = 13  # bytes: a chunk's id, its length, whether it is alive
_DRIFT = 2e-4  # share by which the average length may change before impacts are worked out again; they change by less
_MOST_ADDED = 300  # chunks analysed to follow the log (0.1 ms each); beyond, starting anew is cheaper
_MOST_DEAD = 0.2  # share of dead chunks beyond which starting anew is cheaper


@dataclass(frozen=True, slots=True)
class Posting:
    """Where a term stands, as read at `revision`: places (df,) ascending, and its impact at each.

    An impact is weighted / (weighted + k1 · (1 − b + b · length / average)), with the average length that there was,
    in steps of 1 / STEPS: a term's part of a score is off by at most IDF · (k1 + 1) / (2 · STEPS). `most` is the
    largest, as a number.
    """

    revision: int
    places: NDArray[np.int32]
    impacts: NDArray[np.uint16]
    average: float
    most: float

    @property
    def bytes(self) -> int:
        """The memory it takes."""
        return self.places.nbytes + self.impacts.nbytes


class Terms:
    """Postings by term, within `budget` bytes. Shared by successive revisions, and by threads.

    The least recently used go first, but one that was used more often gets another turn, with its uses halved: else
    questions that come round again and again would find that nothing of theirs had stayed, not even common words.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._postings: OrderedDict[str, Posting] = OrderedDict()
        self._uses: Counter[str] = Counter()
        self._bytes = 0
        self._lock = threading.Lock()
        # Frequencies of tokens too common to be read, as they were at the base; removals are not counted.
        self.common: dict[str, int] = {}

    def get(self, term: str, revision: int) -> Posting | None:
        """Give what was read at this revision or before; what was read later lacks chunks that are still there."""
        with self._lock:
            found = self._postings.get(term)
            if found is None or found.revision > revision:
                return None
            self._postings.move_to_end(term)
            self._uses[term] += 1
            return found

    def keep(self, term: str, posting: Posting) -> None:
        """Keep a posting; the one read at the earlier revision serves more readers."""
        with self._lock:
            known = self._postings.get(term)
            if known is not None:
                if known.revision < posting.revision:
                    return
                self._bytes -= known.bytes
            self._postings[term] = posting
            self._uses[term] += 1
            self._bytes += posting.bytes
            while self._bytes > self.budget and self._postings:
                oldest, held = self._postings.popitem(last=False)
                if self._uses[oldest] > 1:
                    self._uses[oldest] //= 2
                    self._postings[oldest] = held
                else:
                    del self._uses[oldest]
                    self._bytes -= held.bytes


@dataclass(slots=True)
class Postings:
    """The keyword index at one revision. Build with `load`; `follow` gives the next revision's."""

    revision: int
    chunks: Chunks
    lengths: Growing  # of the chunks, in tokens
    base: int  # chunks read from FTS5; those after them came through the log and stand in `added`
    terms: Terms
    total: float  # length of the living chunks together
    # Shared with the revisions after this one, which only append: what is beyond this one's chunks is not its own.
    added: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def average(self) -> float:
        """Give the average length of the living chunks, in tokens."""
        return self.total / max(self.chunks.living(), 1) or 1.0

    def impacts(self, places: NDArray[np.int32], weighted: NDArray[np.float32]) -> NDArray[np.uint16]:
        """Give the impacts of frequencies at places."""
        share = self._norms(places, self.average())
        share += weighted
        np.divide(weighted, share, out=share)
        share *= STEPS
        return np.rint(share, out=share).astype(np.uint16)

    def _norms(self, places: NDArray[np.int32], average: float) -> NDArray[np.float32]:
        norms = self.lengths.first(len(self.chunks)).take(places)
        norms *= np.float32(K1 * B / average)
        norms += np.float32(K1 * (1 - B))
        return norms

    def _frequencies(self, posting: Posting) -> NDArray[np.float32]:
        """Work the weighted frequencies out of impacts: they are halves or wholes, so those that matter are exact."""
        share = np.minimum(posting.impacts, STEPS - 1) * np.float32(1 / STEPS)
        weighted = self._norms(posting.places, posting.average)
        weighted *= share
        weighted /= 1 - share
        weighted *= 2
        np.rint(weighted, out=weighted)
        weighted /= 2
        return weighted

    def late(self, token: str) -> list[tuple[int, float]]:
        """Give the places after the base that hold a token, and its weighted frequency at each."""
        return [entry for entry in self.added.get(token, ()) if entry[0] < len(self.chunks)]

    def read(
        self, connection: apsw.Connection, tokens: Sequence[str], longest: int | None = None
    ) -> dict[str, Posting]:
        """Give tokens' postings as they were at the base, from memory or from the index.

        What is not in memory and longer than `longest` bytes in the index is left out.
        """
        found: dict[str, Posting] = {}
        for token in tokens:
            known = self.terms.get(token, self.revision)
            if known is not None:
                if abs(known.average / self.average() - 1) > _DRIFT:  # chunks came or went
                    known = self._weighed(known.revision, known.places, self._frequencies(known))
                    self.terms.keep(token, known)
                found[token] = known
        unread = [token for token in tokens if token not in found]
        base = Chunks(self.chunks.ids[: self.base])
        for token, listed in zip(
            unread, fts5_doclists.read(connection, unread, longest) if unread else (), strict=True
        ):
            if listed is None:
                continue
            ids, weighted = listed
            places = base.places(ids)
            if len(places) < len(ids):  # some were added after the base
                weighted = weighted[np.isin(ids, base.ids)]
            found[token] = self._weighed(self.revision, places.astype(np.int32), weighted)
            self.terms.keep(token, found[token])
        return found

    def _weighed(self, revision: int, places: NDArray[np.int32], weighted: NDArray[np.float32]) -> Posting:
        impacts = self.impacts(places, weighted)
        return Posting(revision, places, impacts, self.average(), float(impacts.max(initial=0)) / STEPS)


def load(connection: apsw.Connection, revision: int, budget: int) -> Postings | None:
    """Read ids and lengths of all chunks; terms follow when they are asked for.

    Of `budget` bytes ids and lengths may take half and the terms two fifths. None where that does not do, or where the
    index is in a format that is not read here.
    """
    first, last, count = rows(connection, "SELECT min(id), max(id), count(*) FROM keywords_docsize")[0]
    if count * _EACH > budget // 2 or not fts5_doclists.readable(connection):
        return None
    ordered = "FROM keywords_docsize ORDER BY id"
    if not count:
        ids = np.empty(0, np.int64)
    elif last - first + 1 == count:
        ids = np.arange(first, last + 1)
    else:
        ids = np.fromstring(value(connection, f"SELECT group_concat(id) FROM (SELECT id {ordered})"), np.int64, sep=",")
    # One text instead of a row each: a third of the time.
    sizes = value(connection, f"SELECT group_concat(hex(sz), '') FROM (SELECT sz {ordered})")
    lengths = _lengths(bytes.fromhex(sizes or ""), count)
    total = float(lengths.sum(dtype=np.float64))
    return Postings(revision, Chunks(ids), Growing(lengths), count, Terms(budget * 2 // 5), total)


def _lengths(sizes: bytes, count: int) -> NDArray[np.float32]:
    """Add up each row's varints, one a column, all rows at once."""
    data = np.frombuffer(sizes, np.uint8)
    ends = np.flatnonzero(data < 0x80)
    if len(ends) != count * len(WEIGHTS):
        raise apsw.CorruptError("the keyword index's sizes do not fit its columns")
    values = data[ends].astype(np.int32)
    widths = np.diff(ends, prepend=-1)
    for back in range(1, int(widths.max(initial=1))):
        more = np.flatnonzero(widths > back)
        values[more] += (data[ends[more] - back] & 0x7F).astype(np.int32) << (7 * back)
    lengths: NDArray[np.float32] = values.reshape(count, len(WEIGHTS)).sum(axis=1).astype(np.float32)
    return lengths


def follow(
    connection: apsw.Connection, analyser: Analyser, old: Postings, revision: int, changes: Sequence[ChunkChange]
) -> Postings | None:
    """Give the postings after these changes; None when starting anew is cheaper."""
    came, gone = came_and_went(changes, old.chunks)
    dead = len(old.chunks.gone) + len(gone)
    if len(came) + len(old.chunks) - old.base > _MOST_ADDED or dead > _MOST_DEAD * (len(old.chunks) + 1):
        return None
    chunks = old.chunks
    total = old.total
    if len(gone):
        chunks = old.chunks.without(gone)
        newly = np.setdiff1d(chunks.gone, old.chunks.gone, assume_unique=True)
        total -= float(old.lengths.first(len(old.chunks))[newly].sum(dtype=np.float64))
    lengths, late = [], list[tuple[str, int, float]]()
    passages = document_rows.passages(connection, came.tolist())
    for place, passage in enumerate(passages, start=len(chunks)):
        columns = [c.split() for c in keyword_index.row(analyser, passage.title, passage.heading, passage.text)]
        lengths.append(sum(map(len, columns)))
        weighted: Counter[str] = Counter()
        for weight, column in zip(WEIGHTS, columns, strict=True):
            for token in column:
                weighted[token] += weight  # type: ignore[assignment]  # a Counter may count in halves
        late += [(token, place, count) for token, count in weighted.items()]
    for token, place, count in late:  # all at once: what was read half, and is read again, must not stand here twice
        old.added.setdefault(token, []).append((place, count))
    if passages:
        chunks = chunks.with_added(np.array([passage.chunk for passage in passages], np.int64))
    lengths_now = old.lengths.append(len(old.chunks), np.array(lengths, np.float32))
    return Postings(revision, chunks, lengths_now, old.base, old.terms, total + sum(lengths), old.added)
