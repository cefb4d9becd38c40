"""What keyword scores are made of in every backend: a chunk's columns, weights, BM25's constants, the terms used."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import unquote

from hybridstore.records import CorpusStatistics, Ranking, Term
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import AllOf, Expression, passes_empty

K1, B = 1.2, 0.75  # of BM25; FTS5's own, which cannot be set
# BM25 weights of title, heading, body, compounds: 1.5 for titles gained .002 to .007 nDCG@10 on collections that have
# them and 2.0 lost as much on one (docs/experiments.md); a compound repeats what its words already say.
COLUMNS = ("title", "heading", "body", "compounds")
WEIGHTS = (1.5, 1.0, 1.0, 0.5)
LEAST_IDF = 1e-6  # of a term in more than half of the chunks
SMALL = 1_000  # chunks; in a smaller store all terms are read, as FTS5 would
# Rows read for a query, rarest terms first; at 50,000 chunks a question of 200 words comes to as many.
BUDGET = 500_000
_NAMES = 3  # of a path, from its end: those before it are the same for most files
_SEPARATOR = re.compile(r"[/\\]")


def idf(chunks: int, frequency: int) -> float:
    """Return ln((N - df + 0.5) / (df + 0.5)), at least LEAST_IDF.

    As bm25() computes it (SQLite's fts5_aux.c, after Robertson & Zaragoza 2009).
    """
    return max(math.log((chunks - frequency + 0.5) / (frequency + 0.5)), LEAST_IDF)


def terms_among(tokens: Iterable[str], corpus: CorpusStatistics) -> tuple[Term, ...]:
    """Return the facts of tokens among the chunks of a corpus."""
    counted = Counter(tokens).items()
    known = [(token, corpus.frequencies.get((token,), 0), count) for token, count in counted]
    return tuple(Term(token, df, idf(corpus.chunks, df), count) for token, df, count in known)


def index_columns(analyser: Analyser, title: str, heading: str, text: str, uri: str = "") -> tuple[str, str, str, str]:
    """Return the four columns of a chunk in the index: tokens, separated by spaces.

    The name of the document's file, and of the folders it is in, count as its title.
    """
    if uri and analyser.indexes_names:
        title = f"{title} {_names(uri)}"
    titles, headings, bodies = analyser.index(title), analyser.index(heading), analyser.index(text)
    compounds = " ".join(filter(None, (titles[1], headings[1], bodies[1])))
    return titles[0], headings[0], bodies[0], compounds


@lru_cache(maxsize=1024)
def _names(uri: str) -> str:
    """Return the last names of a path, or of a URL without its host: "json decoder.py" for /json/decoder.py."""
    path = uri.partition("?")[0].partition("#")[0]
    path = path.partition("://")[2].partition("/")[2] if "://" in path else path
    return " ".join([part for part in _SEPARATOR.split(unquote(path)) if part][-_NAMES:])


def weighted_frequencies(
    analyser: Analyser, title: str, heading: str, text: str, uri: str = ""
) -> tuple[int, dict[str, float]]:
    """Return a chunk's length in tokens, and each token's occurrences weighted by column."""
    return weigh([column.split() for column in index_columns(analyser, title, heading, text, uri)])


def weigh(columns: Sequence[Sequence[str]]) -> tuple[int, dict[str, float]]:
    """Return the number of tokens in the columns, and each token's occurrences weighted by column."""
    weighted = defaultdict[str, float](float)
    for weight, column in zip(WEIGHTS, columns, strict=True):
        for token in column:
            weighted[token] += weight
    return sum(map(len, columns)), weighted


def affordable(terms: Sequence[Term], chunks: int, depth: int, budget: int = BUDGET) -> tuple[Term, ...]:
    """Return the terms of a query of plain words, marked as used or not: which of them are worth reading.

    Terms are read rarest first until they have `budget` rows, and beyond it while fewer than `depth` rows were read.
    A token in more than half of the chunks has next to no weight, so in a store of any size it is only read where no
    other token occurs at all.
    """
    common = {term.text for term in terms if term.document_frequency > chunks / 2 and chunks > SMALL}
    if not any(term.document_frequency for term in terms if term.text not in common):
        common = set()
    spent = 0
    used = set()
    for term in sorted(terms, key=lambda term: term.document_frequency):
        price = term.document_frequency
        if term.text not in common and (spent < depth or spent + price <= budget):
            used.add(term.text)
            spent += price
    return tuple(
        term if term.text in used else Term(term.text, term.document_frequency, term.idf, term.count, used=False)
        for term in terms
    )


def missed(
    ranking: Ranking, terms: Sequence[Term], depth: int, matching: tuple[Expression, ...], allowed: int | None
) -> bool:
    """Return whether a ranking may lack some of the `allowed` chunks, which match expressions by terms not used."""
    if allowed is None or not matching or passes_empty(AllOf(matching)):
        return False
    unused = any(term.document_frequency and not term.used for term in terms)
    return unused and len(ranking) < min(depth, allowed)
