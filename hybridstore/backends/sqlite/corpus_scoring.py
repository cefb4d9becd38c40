"""BM25 by the statistics of a larger corpus than the file's, where FTS5 must match phrases and prefixes.

FTS5's bm25() knows only its own table. So each phrase is asked for alone, and the impact in its score, which is
w / (w + k1 · (1 − b + b · length / average length)), is worked out for the other average.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import K1, B, idf
from hybridstore.backends.resident.resident_cache import ResidentCache
from hybridstore.backends.sqlite import keyword_index
from hybridstore.backends.sqlite.connection import rows
from hybridstore.backends.sqlite.loader import SQLiteLoader, summed_sizes
from hybridstore.backends.sqlite.where_sql import restricted
from hybridstore.backends.values import Restriction
from hybridstore.records import CorpusStatistics, KeywordQuery, Ranking


def statistics(connection: apsw.Connection, memory: ResidentCache, query: KeywordQuery) -> CorpusStatistics:
    """Return what BM25 needs to know about this file's chunks; see the protocol."""
    loader, sequences = SQLiteLoader(connection), query.sequences
    words = [first for first, *rest in sequences if not rest and not first.endswith("*")]
    postings = memory.postings(loader) if words else None
    found = {} if postings is None else postings.frequencies(loader, words)
    frequencies = {
        sequence: found[sequence[0]]
        if sequence[0] in found and len(sequence) == 1
        else _frequency(connection, sequence)
        for sequence in sequences
    }
    return CorpusStatistics(*keyword_index.sizes(connection), frequencies)


def _frequency(connection: apsw.Connection, sequence: Sequence[str]) -> int:
    first, *rest = sequence
    return (
        keyword_index.frequency_of_phrase(connection, sequence) if rest else keyword_index.frequency(connection, first)
    )


def match(
    connection: apsw.Connection,
    query: KeywordQuery,
    corpus: CorpusStatistics,
    depth: int,
    restriction: Restriction,
) -> Ranking:
    """Rank chunks within the restriction by BM25 as among the corpus."""
    sought = Counter([*query.phrases, *((term,) for term in query.terms)])
    scores: dict[int, float] = defaultdict(float)
    for sequence, count in sought.items():
        weight = count * (K1 + 1) * idf(corpus.chunks, corpus.frequencies.get(sequence, 0))
        found, parts = keyword_index.parts(connection, sequence, *restricted(restriction))
        impacts_ = _rescaled(connection, sequence, found, parts, corpus.average)
        for chunk, impact in zip(found.tolist(), impacts_.tolist(), strict=True):
            scores[chunk] += weight * impact
    best = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[: max(depth, 0)]
    return Ranking(np.array([chunk for chunk, _ in best], np.int64), np.array([score for _, score in best], np.float64))


def impacts(connection: apsw.Connection, token: str, chunks: NDArray[np.int64], average: float) -> NDArray[np.float32]:
    """Return a token's impact in each of the chunks, (n,), for an average length."""
    condition = "SELECT value FROM json_each(?)"
    found, parts = keyword_index.parts(connection, (token,), condition, (json.dumps(chunks.tolist()),))
    known = dict(zip(found.tolist(), _rescaled(connection, (token,), found, parts, average).tolist(), strict=True))
    return np.array([known.get(chunk, 0.0) for chunk in chunks.tolist()], np.float32)


def _rescaled(
    connection: apsw.Connection,
    sequence: Sequence[str],
    chunks: NDArray[np.int64],
    parts: NDArray[np.float64],
    average: float,
) -> NDArray[np.float64]:
    """Return a sequence's impacts for an average length, (n,), from its parts of bm25() in ascending chunks."""
    total, tokens = keyword_index.sizes(connection)
    impacts = parts / (idf(total, _frequency(connection, sequence)) * (K1 + 1))
    sql = "SELECT hex(sz) FROM keywords_docsize WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
    sizes = "".join(size for (size,) in rows(connection, sql, (json.dumps(chunks.tolist()),)))
    lengths = summed_sizes(bytes.fromhex(sizes), len(chunks)).astype(np.float64)
    own, other = (K1 * (1 - B + B * lengths / each) for each in (tokens / max(total, 1) or 1.0, average))
    # A multiple of one half, so that chunks of several files that are alike have the same score to the last bit.
    weighted = np.rint(2 * impacts * own / np.maximum(1 - impacts, 1e-12)) / 2
    scaled: NDArray[np.float64] = weighted / (weighted + other)
    return scaled
