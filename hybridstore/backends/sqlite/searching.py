"""Both legs and what is asked about single chunks afterwards: from the copies in memory, or else from SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import missed, terms_among
from hybridstore.backends.resident import rescoring, scoring
from hybridstore.backends.resident.resident_cache import ResidentCache
from hybridstore.backends.sqlite import corpus_scoring, document_rows, keyword_index, vector_tables
from hybridstore.backends.sqlite.loader import SQLiteLoader
from hybridstore.backends.sqlite.where_sql import restricted
from hybridstore.backends.values import Restriction
from hybridstore.codecs import int8
from hybridstore.errors import InputError
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
    connection: apsw.Connection,
    memory: ResidentCache,
    terms: Sequence[Term],
    chunks: NDArray[np.int64],
    average: float | None = None,
) -> NDArray[np.float32]:
    """Return the impact of each term in each chunk, (n, t); see the protocol."""
    loader = SQLiteLoader(connection)
    postings = memory.postings(loader)
    found = np.zeros((len(chunks), len(terms)), np.float32)
    whole = [n for n, term in enumerate(terms) if postings is not None and not term.text.endswith("*")]
    if postings is not None and whole:
        postings = postings if average is None else postings.among(average)
        found[:, whole] = scoring.impacts(loader, postings, [terms[n].text for n in whole], chunks)
    for column in set(range(len(terms))).difference(whole):
        if average is None:
            found[:, column] = keyword_index.impacts(connection, terms[column], chunks)
        else:
            found[:, column] = corpus_scoring.impacts(connection, terms[column].text, chunks, average)
    return found


def nearest(  # noqa: PLR0917 - the protocol's arguments, after where they are read from
    connection: apsw.Connection,
    memory: ResidentCache,
    query: NDArray[np.float32],
    depth: int,
    restriction: Restriction,
    leg: str | None = None,
) -> Ranking:
    """Rank by cosine: candidates by their codes, the best of them by their exact vectors."""
    condition, bindings = restricted(restriction)
    active = vector_tables.of_leg(connection, leg)
    if active is None or depth < 1 or not query.any():
        return Ranking(np.empty(0, np.int64), np.empty(0, np.float64))
    number, embedding = active
    if query.shape != (embedding.dim,):
        raise InputError(
            f"the query vector has shape {query.shape}; the file's vectors have {embedding.dim} dimensions"
        )
    loader = SQLiteLoader(connection, leg)
    codes = memory.codes(loader)
    allowed = memory.allowed(loader, restriction) if codes else None

    def by_code(count: int) -> tuple[Ranking, bool]:
        if codes is not None:
            return codes.nearest(query, count, allowed)
        return vector_tables.scan(connection, number, query, count, condition, bindings), True

    return rescoring.nearest(
        query, depth, by_code, lambda chunks: vector_tables.exact(connection, number, embedding.dim, chunks)
    )


def chunks_of(
    connection: apsw.Connection, memory: ResidentCache, ids: Sequence[str], restriction: Restriction
) -> dict[str, list[int]]:
    """Return the chunks of documents that pass the restriction, by document."""
    found = document_rows.chunks_of(connection, ids)
    allowed = memory.allowed(SQLiteLoader(connection), restriction)
    if allowed is not None:
        passing = np.isin(np.array([chunk for _, chunk in found], np.int64), allowed, assume_unique=True)
        found = [pair for pair, passes in zip(found, passing.tolist(), strict=True) if passes]
    among: dict[str, list[int]] = {}
    for id_, chunk in found:
        among.setdefault(id_, []).append(chunk)
    return among


def cosines(
    connection: apsw.Connection,
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
    codes = memory.codes(SQLiteLoader(connection, leg), scanned=False)
    if codes is not None and codes.rows is not None:
        here, scores = codes.cosines(query, chunks)
    else:
        here, vectors = vector_tables.fetch(connection, active[0], active[1].dim, chunks.tolist())
        here, vectors = here[some := vectors.any(axis=1)], vectors[some]  # a zero vector has no direction and no code
        coded = int8.encode(vectors)
        scores = int8.scan(coded, int8.scales(coded), query).astype(np.float64)
    order = chunks.argsort()
    found[order[chunks[order].searchsorted(here)]] = scores
    return found
