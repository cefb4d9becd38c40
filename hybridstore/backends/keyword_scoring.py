"""What keyword scores are made of in every backend: the columns of a chunk, their weights, and BM25's constants."""

from __future__ import annotations

import math
from collections import defaultdict

from hybridstore.text.analysis import Analyser

K1, B = 1.2, 0.75  # of BM25; FTS5's own, which cannot be set
# BM25 weights of title, heading, body, compounds: 1.5 for titles gained .002 to .007 nDCG@10 on collections that have
# them and 2.0 lost as much on one (docs/experiments.md); a compound repeats what its words already say.
COLUMNS = ("title", "heading", "body", "compounds")
WEIGHTS = (1.5, 1.0, 1.0, 0.5)
LEAST_IDF = 1e-6  # of a term in more than half of the chunks


def idf(chunks: int, frequency: int) -> float:
    """Return ln((N - df + 0.5) / (df + 0.5)), at least LEAST_IDF.

    As bm25() computes it (SQLite's fts5_aux.c, after Robertson & Zaragoza 2009).
    """
    return max(math.log((chunks - frequency + 0.5) / (frequency + 0.5)), LEAST_IDF)


def index_columns(analyser: Analyser, title: str, heading: str, text: str) -> tuple[str, str, str, str]:
    """Return the four columns of a chunk in the index: tokens, separated by spaces."""
    titles, headings, bodies = analyser.index(title), analyser.index(heading), analyser.index(text)
    compounds = " ".join(filter(None, (titles[1], headings[1], bodies[1])))
    return titles[0], headings[0], bodies[0], compounds


def weighted_frequencies(analyser: Analyser, title: str, heading: str, text: str) -> tuple[int, dict[str, float]]:
    """Return a chunk's length in tokens, and each token's occurrences weighted by column."""
    length, weighted = 0, defaultdict[str, float](float)
    for weight, column in zip(WEIGHTS, index_columns(analyser, title, heading, text), strict=True):
        tokens = column.split()
        length += len(tokens)
        for token in tokens:
            weighted[token] += weight
    return length, weighted
