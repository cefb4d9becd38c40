"""BM25 over postings in memory: which terms are read, and the best chunks by their sum.

The scores are those of FTS5's bm25() with the same column weights: for each term
IDF · w · (k1 + 1) / (w + k1 · (1 − b + b · length / average length)), where w is the term's frequency weighted by
column (https://sqlite.org/fts5.html#the_bm25_function; Robertson & Zaragoza 2009). FTS5 scores a chunk for every query
word it contains, at about 1.6 µs each; here the same sum is a few array operations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import BUDGET, K1, affordable, terms_among
from hybridstore.backends.resident.chunk_ids import best
from hybridstore.backends.resident.loader import Ids, Loader
from hybridstore.backends.resident.postings import STEPS, Postings
from hybridstore.records import CorpusStatistics, Ranking, Term

# A filter that lets through more than one chunk in so many is applied to the scores, not to the postings.
_DENSE = 8
# Postings of a word that has fewer are worked on together with those of other words. Each call of NumPy takes 1 to 10
# µs, of which a question of 200 words would make a thousand.
_SHORT = 3_000

Part = tuple[NDArray[np.int32], NDArray[np.uint16], float]
"""Where a term occurs, its impact at each place, and what that is multiplied by."""


def score(
    loader: Loader,
    postings: Postings,
    tokens: Iterable[str],
    depth: int,
    allowed: Ids | None,
    *,
    budget: int = BUDGET,
    corpus: CorpusStatistics | None = None,
) -> tuple[Ranking, tuple[Term, ...]]:
    """Rank chunks by BM25 over the tokens, a repeated one counting repeatedly; also return the tokens' terms.

    Terms that are not `affordable` are not read. Both are by the `corpus`, or by these chunks.
    """
    words = list(tokens)
    if corpus is None:
        frequencies = postings.frequencies(loader, list(dict.fromkeys(words)))
        corpus = CorpusStatistics(postings.chunks.count_alive(), 0, {(word,): df for word, df in frequencies.items()})
    else:
        postings = postings.among(corpus.average)
    terms = affordable(terms_among(words, corpus), corpus.chunks, depth, budget)
    used = {term.text: term.count * term.idf for term in terms if term.used and term.document_frequency}
    places, scores = _best(loader, postings, used, depth, allowed)
    return Ranking(postings.chunks.ids[places], scores.astype(np.float64)), terms


def _best(
    loader: Loader, postings: Postings, weights: Mapping[str, float], depth: int, allowed: Ids | None
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the places and scores of the best chunks, best first, ties by place; a score of 0 is none.

    All postings are added up. Leaving out what cannot reach the best (MaxScore) was no faster (docs/experiments.md).
    """
    chunks = postings.chunks
    mask = None if allowed is None else chunks.mask(allowed)
    sparse = mask is not None and np.count_nonzero(mask) * _DENSE < len(mask)
    words = postings.read(loader, list(weights))
    parts = [(*postings.whole(word, words[word]), weight * (K1 + 1) / STEPS) for word, weight in weights.items()]
    scores = np.zeros(len(chunks), np.float32)
    for places, impacts in _weighted(sorted(parts, key=lambda part: len(part[0]))):
        if mask is not None and sparse:
            kept = mask.take(places)
            places, impacts = places[kept], impacts[kept]  # noqa: PLW2901 - the same, cut
        np.add.at(scores, places, impacts)
    if mask is None:
        scores[chunks.removed] = 0.0
    elif not sparse:
        scores *= mask
    found = best(scores, depth, floor=0.0)
    return found, scores[found]


def _weighted(parts: Sequence[Part]) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32]]]:
    """Yield the places of terms, shortest first, and impact · factor at each: one pair for all short ones."""
    count = sum(len(places) < _SHORT for places, _, _ in parts)
    if count:
        places, impacts, lengths = _one_after_the_other([part[:2] for part in parts[:count]])
        factors = np.repeat(np.array([factor for *_, factor in parts[:count]], np.float32), lengths)
        factors *= impacts
        yield places, factors
    for places, impacts, factor in parts[count:]:
        weighted: NDArray[np.float32] = np.multiply(impacts, np.float32(factor))
        yield places, weighted


def _one_after_the_other(
    parts: Sequence[tuple[NDArray[np.int32], NDArray[np.uint16]]],
) -> tuple[NDArray[np.int32], NDArray[np.uint16], list[int]]:
    places, impacts = zip(*parts, strict=True)
    return np.concatenate(places), np.concatenate(impacts), list(map(len, places))


def impacts(loader: Loader, postings: Postings, tokens: Sequence[str], chunks: Ids) -> NDArray[np.float32]:
    """Return the tokens' impacts in each of the chunks, (n, t) from 0 to 1; all of the chunks must be stored."""
    table = np.zeros((len(tokens), len(chunks)), np.float32)
    sought = postings.chunks.places(chunks).astype(np.int32)
    words = postings.read(loader, tokens)
    parts = [postings.whole(token, words[token]) for token in tokens]
    short = [row for row, (places, _) in enumerate(parts) if len(places) < _SHORT]
    if short and len(sought):
        row_of = np.full(len(postings.chunks), -1, np.int32)
        row_of[sought] = np.arange(len(sought), dtype=np.int32)
        places, steps, lengths = _one_after_the_other([parts[row] for row in short])
        columns = row_of.take(places)
        found = np.flatnonzero(columns >= 0)
        table[np.repeat(np.array(short), lengths).take(found), columns.take(found)] = steps.take(found)
    for row, (places, steps) in zip(table, parts, strict=True):
        if len(places) >= _SHORT:
            at = places.searchsorted(sought)
            here = places.take(at, mode="clip") == sought
            np.multiply(steps.take(at, mode="clip"), here, out=row, casting="unsafe")
    table *= np.float32(1 / STEPS)
    return table.T
