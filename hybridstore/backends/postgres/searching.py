"""Both legs and what is asked about single chunks afterwards: from the copies in memory, or else from the server."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import missed
from hybridstore.backends.postgres import document_rows, keyword_search, sieve, vector_tables
from hybridstore.backends.postgres.connection import Connection
from hybridstore.backends.postgres.loader import PostgresLoader
from hybridstore.backends.resident import rescoring, scoring
from hybridstore.backends.resident.resident_cache import ResidentCache
from hybridstore.backends.values import Restriction
from hybridstore.codecs import int8
from hybridstore.errors import InputError
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
    connection: Connection,
    memory: ResidentCache,
    terms: Sequence[Term],
    chunks: NDArray[np.int64],
    average: float | None = None,
) -> NDArray[np.float32]:
    """Return the impact of each term in each chunk, (n, t); see the protocol."""
    loader = PostgresLoader(connection)
    postings = memory.postings(loader)
    found = np.zeros((len(chunks), len(terms)), np.float32)
    whole = [n for n, term in enumerate(terms) if postings is not None and not term.text.endswith("*")]
    if postings is not None and whole:
        postings = postings if average is None else postings.among(average)
        found[:, whole] = scoring.impacts(loader, postings, [terms[n].text for n in whole], chunks)
    if others := sorted(set(range(len(terms))).difference(whole)):
        found[:, others] = keyword_search.impacts_in(connection, [terms[n].text for n in others], chunks, average)
    return found


def nearest(  # noqa: PLR0917 - the protocol's arguments, after where they are read from
    connection: Connection,
    memory: ResidentCache,
    serving: MutableMapping[int, bool],
    query: NDArray[np.float32],
    depth: int,
    restriction: Restriction,
    leg: str | None = None,
) -> Ranking:
    """Rank by cosine: candidates by their codes, the best of them by their exact vectors."""
    active = vector_tables.of_leg(connection, leg)
    if active is None or depth < 1 or not query.any():
        return Ranking(np.empty(0, np.int64), np.empty(0, np.float64))
    number, embedding = active
    if query.shape != (embedding.dim,):
        raise InputError(
            f"the query vector has shape {query.shape}; the store's vectors have {embedding.dim} dimensions"
        )
    loader = PostgresLoader(connection, leg)
    allowed = memory.allowed(loader, restriction)
    codes = memory.codes(loader)

    def by_code(count: int) -> tuple[Ranking, bool]:
        if codes is not None:
            return codes.nearest(query, count, allowed)
        chunks = keyword_search.totals(connection).chunks
        return sieve.nearest(connection, number, query, count, allowed, chunks, serving), True

    return rescoring.nearest(
        query, depth, by_code, lambda chunks: vector_tables.exact(connection, number, embedding.dim, chunks)
    )


def chunks_of(
    connection: Connection, memory: ResidentCache, ids: Sequence[str], restriction: Restriction
) -> dict[str, list[int]]:
    """Return the chunks of documents that pass the restriction, by document."""
    allowed = memory.allowed(PostgresLoader(connection), restriction)
    among: dict[str, list[int]] = {}
    found = document_rows.chunks_of(connection, ids)
    chunks = np.array([chunk for _, chunk in found], np.int64)
    passing = np.ones(len(found), np.bool_) if allowed is None else np.isin(chunks, allowed, assume_unique=True)
    for (id_, chunk), passes in zip(found, passing.tolist(), strict=True):
        if passes:
            among.setdefault(id_, []).append(chunk)
    return among


def cosines(
    connection: Connection,
    memory: ResidentCache,
    query: NDArray[np.float32],
    chunks: NDArray[np.int64],
    leg: str | None = None,
) -> NDArray[np.float64]:
    """Return the chunks' cosines to a unit vector, (n,), by their codes where these are in memory; NaN without one."""
    found = np.full(len(chunks), np.nan)
    active = vector_tables.of_leg(connection, leg)
    if active is None or not len(chunks) or not query.any():
        return found
    codes = memory.codes(PostgresLoader(connection, leg), scanned=False)
    if codes is not None and codes.rows is not None:
        here, scores = codes.cosines(query, chunks)
    else:
        here, coded = vector_tables.codes_of(connection, active[0], active[1].dim, "%s::bigint[]", chunks.tolist())
        scores = int8.scan(coded, int8.scales(coded), query).astype(np.float64)
    order = chunks.argsort()
    found[order[chunks[order].searchsorted(here)]] = scores
    return found
