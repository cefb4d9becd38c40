"""Both legs and what is asked about single chunks afterwards: from the copies in memory, or else from SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import missed, terms_among
from hybridstore.backends.resident import scoring
from hybridstore.backends.resident.resident_cache import ResidentCache
from hybridstore.backends.sqlite import corpus_scoring, keyword_index
from hybridstore.backends.sqlite.loader import SQLiteLoader
from hybridstore.backends.sqlite.where_sql import restricted
from hybridstore.backends.values import Restriction
from hybridstore.records import KeywordQuery, Ranking, Term


def match(
    connection: apsw.Connection, memory: ResidentCache, query: KeywordQuery, depth: int, restriction: Restriction
) -> tuple[Ranking, tuple[Term, ...]]:
    """Rank by BM25; phrases and prefixes are FTS5's to match."""
    condition, bindings = restricted(restriction)
    plain = not query.phrases and not any(term.endswith("*") for term in query.terms)
    loader = SQLiteLoader(connection)
    if plain and (postings := memory.postings(loader)) is not None:
        allowed = memory.allowed(loader, restriction)
        ranking, terms = scoring.score(loader, postings, query.terms, depth, allowed, corpus=query.corpus)
        total = keyword_index.indexed(connection) if query.corpus is None else query.corpus.chunks
        keyword_index.check_frequency(total, max((term.document_frequency for term in terms), default=0))
        if not missed(ranking, terms, depth, restriction.matching, None if allowed is None else len(allowed)):
            return ranking, terms
    alone = set(query.terms)
    bound = [token for phrase in query.phrases for token in phrase if token not in alone]
    if (corpus := query.corpus) is not None:
        ranking = corpus_scoring.match(connection, query, corpus, depth, restriction)
        terms, within = (terms_among(tokens, corpus) for tokens in (query.terms, bound))
    else:
        ranking = keyword_index.match(connection, query, depth, condition, bindings)
        terms, within = (keyword_index.terms(connection, tokens) for tokens in (query.terms, bound))
    return ranking, (*terms, *(replace(term, used=False) for term in within))


def impacts(
    connection: apsw.Connection, terms: Sequence[Term], chunks: NDArray[np.int64], average: float | None = None
) -> NDArray[np.float32]:
    """Return the impact of each term in each chunk, (n, t), as FTS5 has it."""
    if average is None:
        columns = [keyword_index.impacts(connection, term, chunks) for term in terms]
    else:
        columns = [corpus_scoring.impacts(connection, term.text, chunks, average) for term in terms]
    return np.stack(columns, axis=1)
