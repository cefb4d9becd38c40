"""Both legs and what is asked about single chunks afterwards: from the copies in memory, or else from the server."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import missed
from hybridstore.backends.postgres import keyword_search
from hybridstore.backends.postgres.connection import Connection
from hybridstore.backends.postgres.loader import PostgresLoader
from hybridstore.backends.resident import scoring
from hybridstore.backends.resident.resident_cache import ResidentCache
from hybridstore.backends.values import Restriction
from hybridstore.records import KeywordQuery, Ranking, Term


def match(
    connection: Connection, memory: ResidentCache, query: KeywordQuery, depth: int, restriction: Restriction
) -> tuple[Ranking, tuple[Term, ...]]:
    """Rank by BM25; phrases and prefixes are looked up on the server."""
    plain = not query.phrases and not any(term.endswith("*") for term in query.terms)
    loader = PostgresLoader(connection)
    allowed = memory.allowed(loader, restriction)
    if plain and (postings := memory.postings(loader)) is not None:
        ranking, terms = scoring.score(loader, postings, query.terms, depth, allowed, corpus=query.corpus)
        if not missed(ranking, terms, depth, restriction.matching, None if allowed is None else len(allowed)):
            return ranking, terms
    return keyword_search.match(connection, query, depth, restriction, allowed)


def impacts(
    connection: Connection, terms: Sequence[Term], chunks: NDArray[np.int64], average: float | None = None
) -> NDArray[np.float32]:
    """Return the impact of each term in each chunk, (n, t), by the words' blocks."""
    return keyword_search.impacts_in(connection, [term.text for term in terms], chunks, average)
