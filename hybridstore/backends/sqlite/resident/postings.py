"""The keyword leg in memory: postings of the terms asked for, read from FTS5 at first touch, scored exactly.

The scores are those of FTS5's bm25() with the same column weights: for each term
IDF · w · (k1 + 1) / (w + k1 · (1 − b + b · length / average length)), where w is the term's frequency weighted by
column (https://sqlite.org/fts5.html#the_bm25_function; Robertson & Zaragoza 2009). FTS5 scores a chunk for every query
word it holds, at about 1.6 µs each; here the same sum is a few array operations.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.analysis import Analyser
from hybridstore.backends.base import Change
from hybridstore.backends.sqlite import documents, keyword
from hybridstore.backends.sqlite.connection import rows
from hybridstore.backends.sqlite.resident.chunks import Chunks, Ids, best
from hybridstore.backends.sqlite.schema import WEIGHTS
from hybridstore.records import Ranking, Term

K1, B = 1.2, 0.75  # FTS5's own, which cannot be set
_LEAST_IDF = 1e-6  # what FTS5 gives a term that stands in more than half of the chunks
_MOST_ADDED = 300  # chunks analysed to follow the log (0.1 ms each); beyond, starting anew is cheaper
_MOST_DEAD = 0.2  # share of dead chunks beyond which starting anew is cheaper
_SMALL = 1_000  # chunks; in a smaller store everything is read, as FTS5 would
_KEPT_BYTES = 128 * 2**20  # postings kept, least recently used go first


@dataclass(frozen=True, slots=True)
class _Posting:
    """Where a term stands: places (df,) ascending, its weighted frequency at each, and the revision it was read at."""

    revision: int
    places: NDArray[np.intp]
    weighted: NDArray[np.float32]

    @property
    def bytes(self) -> int:
        return self.places.nbytes + self.weighted.nbytes


class _Terms:
    """Postings by term, least recently used first to go. Shared by successive revisions, and by threads."""

    def __init__(self) -> None:
        self._postings: OrderedDict[str, _Posting] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        # Frequencies of tokens too common to be worth reading, as they were at the base; removals are not counted.
        self.common: dict[str, int] = {}

    def get(self, term: str, revision: int) -> _Posting | None:
        """Give what was read at this revision or before; what was read later lacks chunks that are still there."""
        with self._lock:
            found = self._postings.get(term)
            if found is None or found.revision > revision:
                return None
            self._postings.move_to_end(term)
            return found

    def keep(self, term: str, posting: _Posting) -> None:
        """Keep a posting; the one read at the earlier revision serves more readers."""
        with self._lock:
            known = self._postings.get(term)
            if known is not None:
                if known.revision <= posting.revision:
                    return
                self._bytes -= known.bytes
            self._postings[term] = posting
            self._bytes += posting.bytes
            while self._bytes > _KEPT_BYTES and len(self._postings) > 1:
                self._bytes -= self._postings.popitem(last=False)[1].bytes


@dataclass(slots=True)
class Postings:
    """The keyword index at one revision. Build with `load`; `follow` gives the next revision's."""

    revision: int
    chunks: Chunks
    lengths: NDArray[np.float32]
    base: int  # chunks read from FTS5; those after them came through the log and stand in `added`
    added: Mapping[str, list[tuple[int, float]]] = field(default_factory=dict)
    terms: _Terms = field(default_factory=_Terms)
    _norms: NDArray[np.float32] | None = None

    def living(self) -> int:
        """Count the chunks that can be found."""
        return len(self.chunks) - self.chunks.dead()

    def norms(self) -> NDArray[np.float32]:
        """Give k1 · (1 − b + b · length / average length) of every chunk, (n,)."""
        if self._norms is None:
            alive = self.chunks.alive
            total = float(
                self.lengths.sum(dtype=np.float64) if alive is None else self.lengths[alive].sum(dtype=np.float64)
            )
            average = total / max(self.living(), 1) or 1.0
            self._norms = (K1 * (1 - B + B * self.lengths / average)).astype(np.float32)
        return self._norms


def load(connection: apsw.Connection, revision: int) -> Postings:
    """Read ids and lengths of all chunks; terms follow when they are asked for."""
    sizes = rows(connection, "SELECT id, sz FROM keywords_docsize ORDER BY id")
    ids = np.fromiter((row[0] for row in sizes), np.int64, len(sizes))
    lengths = _lengths(b"".join(row[1] for row in sizes), len(sizes))
    return Postings(revision, Chunks(ids), lengths, len(ids))


def _lengths(sizes: bytes, count: int) -> NDArray[np.float32]:
    """Add up each row's varints, one a column, all rows at once."""
    data = np.frombuffer(sizes, np.uint8)
    ends = np.flatnonzero(data < 0x80)
    if len(ends) != count * len(WEIGHTS):
        raise ValueError("the keyword index's sizes do not fit its columns")
    values = data[ends].astype(np.int64)
    widths = np.diff(ends, prepend=-1)
    for back in range(1, int(widths.max(initial=1))):
        more = widths > back
        values[more] += (data[ends[more] - back] & 0x7F).astype(np.int64) << (7 * back)
    lengths: NDArray[np.float32] = values.reshape(count, len(WEIGHTS)).sum(axis=1).astype(np.float32)
    return lengths


def follow(
    connection: apsw.Connection, analyser: Analyser, old: Postings, revision: int, changes: Sequence[Change]
) -> Postings | None:
    """Give the postings after these changes; None when starting anew is cheaper."""
    gone = np.concatenate([_NONE, *(_run(change) for change in changes if change.kind == "removed")])
    came = np.setdiff1d(np.concatenate([_NONE, *(_run(c) for c in changes if c.kind == "added")]), gone)
    came = came[came > (old.chunks.ids[-1] if len(old.chunks) else 0)]
    dead = old.chunks.dead() + len(gone)
    if len(came) + len(old.chunks) - old.base > _MOST_ADDED or dead > _MOST_DEAD * (len(old.chunks) + 1):
        return None
    chunks = old.chunks.without(gone) if len(gone) else old.chunks
    added: dict[str, list[tuple[int, float]]] = defaultdict(list, {term: list(at) for term, at in old.added.items()})
    lengths = []
    passages = documents.passages(connection, came.tolist())
    for place, passage in enumerate(passages, start=len(chunks)):
        columns = [c.split() for c in keyword.row(analyser, passage.title, passage.heading, passage.text)]
        lengths.append(sum(map(len, columns)))
        weighted: Counter[str] = Counter()
        for weight, column in zip(WEIGHTS, columns, strict=True):
            for token in column:
                weighted[token] += weight  # type: ignore[assignment]  # a Counter may count in halves
        for token, count in weighted.items():
            added[token].append((place, count))
    chunks = chunks.with_added(np.array([passage.chunk for passage in passages], np.int64))
    lengths_now = np.concatenate([old.lengths, np.array(lengths, np.float32)])
    return Postings(revision, chunks, lengths_now, old.base, added, old.terms)


_NONE: Ids = np.empty(0, np.int64)


def _run(change: Change) -> Ids:
    return np.arange(change.first, change.last + 1)


def score(
    connection: apsw.Connection, postings: Postings, tokens: Iterable[str], depth: int, allowed: Ids | None
) -> tuple[Ranking, tuple[Term, ...]]:
    """Rank chunks by BM25 over the tokens, a repeated one counting repeatedly; also give the tokens' facts.

    In a store of any size a token that stands in more than half of the chunks has no weight to speak of (1e-6), so it
    is only read where no other token is found at all.
    """
    terms = _bought(connection, postings, Counter(tokens))
    scores = np.zeros(len(postings.chunks), np.float32)
    norms = postings.norms()
    for term in terms:
        if term.used:
            places, weighted = _posting(connection, postings, term.text)
            share = norms.take(places)
            share += weighted
            np.divide(weighted, share, out=share)
            share *= np.float32(term.count * term.idf * (K1 + 1))
            scores[places] += share
    mask = postings.chunks.mask(allowed)
    if mask is not None:
        scores *= mask
    found = best(scores, depth, floor=0.0)
    return Ranking(postings.chunks.ids[found], scores[found].astype(np.float64)), terms


def _bought(connection: apsw.Connection, postings: Postings, counts: Mapping[str, int]) -> tuple[Term, ...]:
    """Give the tokens' facts, and say which of them are worth their price."""
    living = postings.living()
    frequencies = {token: _frequency(connection, postings, token) for token in counts}
    common = {token for token, df in frequencies.items() if df > living / 2 and living > _SMALL}
    if not any(df for token, df in frequencies.items() if token not in common):
        common = set()
    return tuple(
        Term(
            token,
            df,
            max(math.log((living - df + 0.5) / (df + 0.5)), _LEAST_IDF),
            counts[token],
            token not in common,
        )
        for token, df in frequencies.items()
    )


def _frequency(connection: apsw.Connection, postings: Postings, token: str) -> int:
    """Count the chunks that hold a token, without reading its postings where they are long and not yet read."""
    if postings.terms.get(token, postings.revision) is None:
        df = postings.terms.common.get(token)
        if df is None:
            df = keyword.frequency(connection, token) - len(postings.added.get(token, ()))
            if df > postings.living() / 2 > _SMALL / 2:
                postings.terms.common[token] = df
        if token in postings.terms.common:
            return df + len(postings.added.get(token, ()))
    return len(_posting(connection, postings, token)[0])


def _posting(
    connection: apsw.Connection, postings: Postings, token: str
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Give a token's living places and weighted frequencies, from memory or from FTS5."""
    known = postings.terms.get(token, postings.revision)
    if known is None:
        known = _read(connection, postings, token)
        postings.terms.keep(token, known)
    places, weighted = known.places, known.weighted
    if late := postings.added.get(token):
        places = np.concatenate([places, np.array([place for place, _ in late], np.intp)])
        weighted = np.concatenate([weighted, np.array([count for _, count in late], np.float32)])
    if postings.chunks.alive is not None:
        alive = postings.chunks.alive[places]
        if not alive.all():
            places, weighted = places[alive], weighted[alive]
    return places, weighted


def _read(connection: apsw.Connection, postings: Postings, token: str) -> _Posting:
    """Read a term's postings from FTS5, at once: chunk and bm25() of a query for this term alone.

    The frequency is worked out of the score, one row a chunk where fts5vocab has one an occurrence. Column weights
    are halves or wholes, so rounding to halves gives the exact number back.
    """
    found = keyword.scores(connection, token)
    ids, ranked = found["chunk"], -found["rank"]
    total, average = keyword.averages(connection)
    idf = max(math.log((total - len(ids) + 0.5) / (len(ids) + 0.5)), _LEAST_IDF) if total else _LEAST_IDF
    base = Chunks(postings.chunks.ids[: postings.base])
    places = base.places(ids)
    if len(places) != len(ids):
        kept = np.isin(ids, base.ids)
        ranked = ranked[kept]
    norms = K1 * (1 - B + B * postings.lengths[places].astype(np.float64) / average)
    weighted = ranked * norms / (idf * (K1 + 1) - ranked)
    return _Posting(postings.revision, places, (np.rint(weighted * 2) / 2).astype(np.float32))
