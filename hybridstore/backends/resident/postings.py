"""Postings in memory: the lengths of all chunks and the chunks of each word searched for, at one revision.

A word's postings are read when it is first searched for and kept, the least recently used dropped first. Chunks added
since stand beside them, as the analyser reads them.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import K1, B, weighted_frequencies
from hybridstore.backends.resident.chunk_ids import ChunkIds, GrowingArray, added_and_removed
from hybridstore.backends.resident.loader import Loader
from hybridstore.backends.values import ChunkChange
from hybridstore.text.analysis import Analyser

STEPS = 0xFFFF  # of an impact between 0 and 1
_BYTES_A_CHUNK = 13  # its id, its length, whether it is alive
_DRIFT = 2e-4  # share by which the average length may change before impacts are computed again; they change by less
_MOST_ADDED = 300  # chunks analysed to follow the log (0.1 ms each); beyond, loading again is cheaper
_MOST_REMOVED = 0.2  # share of removed chunks beyond which loading again is cheaper


@dataclass(frozen=True, slots=True)
class Posting:
    """The chunks of a word as read at `revision`: places (df,) ascending, and the word's impact at each.

    An impact is w / (w + k1 · (1 − b + b · length / average)), w being the weighted frequency and `average` the
    average length at that time, in steps of 1 / STEPS: a term's part of a score is off by at most
    IDF · (k1 + 1) / (2 · STEPS).
    """

    revision: int
    places: NDArray[np.int32]
    impacts: NDArray[np.uint16]
    average: float

    @property
    def nbytes(self) -> int:
        """The memory it takes."""
        return self.places.nbytes + self.impacts.nbytes


class PostingCache:
    """Postings by word, within `budget` bytes, shared by successive revisions and by threads.

    The least recently used are dropped first, but one that was used more often gets another turn, with its uses
    halved: otherwise, while queries are repeated in turn, nothing of theirs would be left, not even common words.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._postings: OrderedDict[str, Posting] = OrderedDict()
        self._uses: Counter[str] = Counter()
        self._bytes = 0
        self._lock = threading.Lock()
        # Document frequencies of words whose postings were not read: chunks up to the base that contain the word, and
        # how many chunks had been removed when they were counted.
        self.frequencies: dict[str, tuple[int, int]] = {}

    def get(self, word: str, revision: int) -> Posting | None:
        """Return what was read at this revision or before; what was read later lacks chunks removed in between."""
        with self._lock:
            posting = self._postings.get(word)
            if posting is None or posting.revision > revision:
                return None
            self._postings.move_to_end(word)
            self._uses[word] += 1
            return posting

    def put(self, word: str, posting: Posting) -> None:
        """Keep a posting; of two, the one read at the earlier revision serves more readers."""
        with self._lock:
            known = self._postings.get(word)
            if known is not None:
                if known.revision < posting.revision:
                    return
                self._bytes -= known.nbytes
            self._postings[word] = posting
            self._uses[word] += 1
            self._bytes += posting.nbytes
            while self._bytes > self.budget and self._postings:
                oldest, dropped = self._postings.popitem(last=False)
                if self._uses[oldest] > 1:
                    self._uses[oldest] //= 2
                    self._postings[oldest] = dropped
                else:
                    del self._uses[oldest]
                    self._bytes -= dropped.nbytes


@dataclass(slots=True)
class Postings:
    """The keyword index at one revision. Build it with `load`; `follow` returns that of a later revision."""

    revision: int
    chunks: ChunkIds
    lengths: GrowingArray  # of the chunks, in tokens
    base: int  # number of chunks that the loader's postings are read for; those after them are in `added`
    words: PostingCache
    total: float  # length of all chunks that are alive
    # Shared with later revisions, which only append: what is beyond this one's chunks is not its own.
    added: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    corpus_average: float | None = None  # of a larger corpus, among which these chunks are scored

    def average(self) -> float:
        """Return the average length of a chunk, in tokens."""
        return self.corpus_average or self.total / max(self.chunks.count_alive(), 1) or 1.0

    def among(self, average: float) -> Postings:
        """Return these postings with impacts for the average length of a larger corpus."""
        return replace(self, corpus_average=average)

    def late(self, word: str) -> list[tuple[int, float]]:
        """Return the places after the base that contain a word, and its weighted frequency at each."""
        return [entry for entry in self.added.get(word, ()) if entry[0] < len(self.chunks)]

    def _late_chunks(self, word: str) -> int:
        alive = self.chunks.alive
        return sum(1 for place, _ in self.late(word) if alive is None or alive[place])

    def frequencies(self, loader: Loader, words: Sequence[str]) -> dict[str, int]:
        """Return the words' document frequencies, from memory or from the loader.

        Those of words in more than half of the chunks may still count chunks that were removed since.
        """
        alive, removed = self.chunks.count_alive(), len(self.chunks.removed)
        counts, unread = dict[str, int](), list[str]()
        for word in words:
            late = self._late_chunks(word) if word in self.added else 0
            posting = self.words.get(word, self.revision)
            frequency, then = self.words.frequencies.get(word, (0, removed + 1))
            if posting is not None:
                counts[word] = self.chunks.count_alive_among(posting.places) + late
            elif then == removed or (then < removed and frequency > self.base / 2):
                counts[word] = min(frequency + late, alive)
            else:
                unread.append(word)
        for word, frequency in zip(unread, loader.frequencies(unread) if unread else (), strict=True):
            counts[word] = frequency
            late = self._late_chunks(word)
            self.words.frequencies[word] = (frequency - late, removed)
        return {word: counts[word] for word in words}

    def read(self, loader: Loader, words: Sequence[str]) -> dict[str, Posting]:
        """Return the words' postings of the chunks up to the base, from memory or from the loader."""
        postings: dict[str, Posting] = {}
        for word in words:
            known = self.words.get(word, self.revision)
            if known is not None:
                if abs(known.average / self.average() - 1) > _DRIFT:  # chunks were added or removed
                    known = self._posting(known.revision, known.places, self._frequencies(known))
                    self._keep(word, known)
                postings[word] = known
        unread = [word for word in words if word not in postings]
        base = ChunkIds(self.chunks.ids[: self.base])
        for word, (ids, weighted) in zip(unread, loader.postings(unread) if unread else (), strict=True):
            places = base.places(ids)
            if len(places) < len(ids):  # some were added after the base
                weighted = weighted[np.isin(ids, base.ids)]  # noqa: PLW2901 - the same, cut
            postings[word] = self._posting(self.revision, places.astype(np.int32), weighted)
            self._keep(word, postings[word])
        return postings

    def _keep(self, word: str, posting: Posting) -> None:
        if self.corpus_average is None or self.words.get(word, self.revision) is None:
            self.words.put(word, posting)  # else searches of this store alone would have to work theirs out again

    def whole(self, word: str, posting: Posting) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
        """Return a word's places and impacts, with those of chunks added since."""
        late = self.late(word)
        if not late:
            return posting.places, posting.impacts
        places = np.array([place for place, _ in late], np.int32)
        impacts = self._impacts(places, np.array([count for _, count in late], np.float32))
        return np.concatenate([posting.places, places]), np.concatenate([posting.impacts, impacts])

    def _posting(self, revision: int, places: NDArray[np.int32], weighted: NDArray[np.float32]) -> Posting:
        return Posting(revision, places, self._impacts(places, weighted), self.average())

    def _impacts(self, places: NDArray[np.int32], weighted: NDArray[np.float32]) -> NDArray[np.uint16]:
        """Return the impacts of weighted frequencies at places."""
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
        """Return the weighted frequencies that impacts were made of: multiples of one half, so hardly any is off."""
        share = np.minimum(posting.impacts, STEPS - 1) * np.float32(1 / STEPS)
        weighted = self._norms(posting.places, posting.average)
        weighted *= share
        weighted /= 1 - share
        weighted *= 2
        np.rint(weighted, out=weighted)
        weighted /= 2
        return weighted


def load(loader: Loader, revision: int, budget: int) -> Postings | None:
    """Read the ids and lengths of all chunks; None where they take more than half of `budget` bytes.

    Words are read when they are searched for, and may take two fifths.
    """
    stored = loader.lengths(budget // 2 // _BYTES_A_CHUNK)
    if stored is None:
        return None
    ids, lengths = stored
    total = float(lengths.sum(dtype=np.float64))
    return Postings(revision, ChunkIds(ids), GrowingArray(lengths), len(ids), PostingCache(budget * 2 // 5), total)


def follow(
    loader: Loader, analyser: Analyser, old: Postings, revision: int, changes: Sequence[ChunkChange]
) -> Postings | None:
    """Return the postings after these changes; None where loading again is cheaper."""
    added, removed = added_and_removed(changes, old.chunks)
    all_removed = len(old.chunks.removed) + len(removed)
    if len(added) + len(old.chunks) - old.base > _MOST_ADDED or all_removed > _MOST_REMOVED * (len(old.chunks) + 1):
        return None
    chunks = old.chunks
    total = old.total
    if len(removed):
        chunks = old.chunks.without(removed)
        newly = np.setdiff1d(chunks.removed, old.chunks.removed, assume_unique=True)
        total -= float(old.lengths.first(len(old.chunks))[newly].sum(dtype=np.float64))
    lengths, late = [], list[tuple[str, int, float]]()
    passages = loader.passages(added.tolist())
    for place, passage in enumerate(passages, start=len(chunks)):
        length, frequencies = weighted_frequencies(analyser, passage.title, passage.heading, passage.text, passage.uri)
        lengths.append(length)
        late += [(word, place, frequency) for word, frequency in frequencies.items()]
    for word, place, frequency in late:  # all at once: what was read half, and is read again, must not stand here twice
        old.added.setdefault(word, []).append((place, frequency))
    if passages:
        chunks = chunks.with_added(np.array([passage.chunk for passage in passages], np.int64))
    lengths_now = old.lengths.append(len(old.chunks), np.array(lengths, np.float32))
    return Postings(revision, chunks, lengths_now, old.base, old.words, total + sum(lengths), old.added)
