"""Both legs over what is in memory: every sum of BM25 and every cosine is worked out anew, as the formula says it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.in_memory.contents import Contents, Generation
from hybridstore.backends.keyword_scoring import COLUMNS, K1, WEIGHTS, B, affordable, idf, missed, terms_among
from hybridstore.backends.resident.vector_sample import evenly_spread
from hybridstore.backends.values import Restriction
from hybridstore.errors import InputError
from hybridstore.records import CorpusStatistics, KeywordQuery, Ranking, Term
from hybridstore.text.expressions import AllOf, AnyOf, Expression, NotOf, WordSequence


def frequencies(contents: Contents, tokens: Sequence[str], field: str = "") -> Mapping[int, float]:
    """Return how often a phrase stands in each chunk that holds it, weighted by column; in one field if it is named."""
    *whole, last = tokens
    if not (whole or field or last.endswith("*")):
        return contents.postings.get(last, {})
    endings = [token for token in contents.postings if token.startswith(last[:-1])] if last.endswith("*") else [last]
    if not whole and not field:
        sums: dict[int, float] = defaultdict(float)
        for token in endings:
            for chunk, frequency in contents.postings.get(token, {}).items():
                sums[chunk] += frequency
        return sums
    chunks = {chunk for token in endings for chunk in contents.postings.get(token, {})}
    chunks.intersection_update(*(contents.postings.get(token, {}) for token in whole))
    counted = {chunk: _counted(contents.chunks[chunk].columns, whole, set(endings), field) for chunk in chunks}
    return {chunk: frequency for chunk, frequency in counted.items() if frequency}


def _counted(columns: Sequence[Sequence[str]], whole: Sequence[str], endings: Collection[str], field: str) -> float:
    total = 0.0
    for name, weight, column in zip(COLUMNS, WEIGHTS, columns, strict=True):
        if field in ("", name):
            begins = range(len(column) - len(whole))
            total += weight * sum(
                column[n + len(whole)] in endings and list(column[n : n + len(whole)]) == list(whole) for n in begins
            )
    return total


def impacts(
    contents: Contents, found: Mapping[int, float], chunks: Iterable[int], average: float | None = None
) -> dict[int, float]:
    """Return BM25's part without IDF and k1 + 1 in chunks that hold something so often (Robertson & Zaragoza 2009)."""
    average = average or contents.tokens / max(len(contents.chunks), 1)
    return {
        chunk: found[chunk] / (found[chunk] + K1 * (1 - B + B * contents.chunks[chunk].length / average))
        for chunk in chunks
        if chunk in found
    }


def statistics(contents: Contents, query: KeywordQuery) -> CorpusStatistics:
    """Return what BM25 needs to know about these chunks."""
    frequent = {sequence: len(frequencies(contents, sequence)) for sequence in query.sequences}
    return CorpusStatistics(len(contents.chunks), contents.tokens, frequent)


def match(
    contents: Contents, query: KeywordQuery, depth: int, restriction: Restriction
) -> tuple[Ranking, tuple[Term, ...]]:
    """Rank by BM25: a query of plain words by those that are worth their price, as in every backend."""
    corpus = query.corpus or statistics(contents, query)
    allowed, terms = passing(contents, restriction), terms_among(query.terms, corpus)
    if not query.phrases and not any(token.endswith("*") for token in query.terms):
        marked = affordable(terms, corpus.chunks, depth)
        used: dict[tuple[str, ...], int] = {(term.text,): term.count for term in marked if term.used}
        ranking = _ranked(contents, corpus, used, depth, allowed)
        if not missed(ranking, marked, depth, restriction.matching, None if allowed is None else len(allowed)):
            return ranking, marked
    sought = Counter([*query.phrases, *((token,) for token in query.terms)])
    within = [token for phrase in query.phrases for token in phrase if token not in query.terms]
    unused = tuple(replace(term, used=False) for term in terms_among(within, corpus))
    return _ranked(contents, corpus, sought, depth, allowed), (*terms, *unused)


def _ranked(
    contents: Contents,
    corpus: CorpusStatistics,
    sought: Mapping[tuple[str, ...], int],
    depth: int,
    allowed: Collection[int] | None,
) -> Ranking:
    scores: dict[int, float] = defaultdict(float)
    for phrase, count in sought.items():
        found = frequencies(contents, phrase)
        weight = count * idf(corpus.chunks, corpus.frequencies.get(phrase, 0)) * (K1 + 1)
        here = found if allowed is None else found.keys() & allowed
        for chunk, impact in impacts(contents, found, here, corpus.average).items():
            scores[chunk] += weight * impact
    best = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[: max(depth, 0)]
    return Ranking(np.array([chunk for chunk, _ in best], np.int64), np.array([score for _, score in best], np.float64))


def passing(contents: Contents, restriction: Restriction) -> set[int] | None:
    """Return the chunks that pass a restriction; None where there is none."""
    if not restriction:
        return None
    allowed = {chunk for _, record in contents.passing(restriction.where) for chunk in record.chunks}
    for phrase in restriction.phrases:
        allowed &= frequencies(contents, phrase).keys()
    for phrase in restriction.excluded:
        allowed -= frequencies(contents, phrase).keys()
    for expression in restriction.matching:
        allowed &= _holding(contents, expression)
    return allowed


def _holding(contents: Contents, expression: Expression) -> set[int]:
    match expression:
        case WordSequence(tokens, field):
            return set(frequencies(contents, tokens, field))
        case NotOf(member):
            return contents.chunks.keys() - _holding(contents, member)
        case AllOf(members):
            return set.intersection(*(_holding(contents, member) for member in members))
        case AnyOf(members):
            return set.union(*(_holding(contents, member) for member in members))


def nearest(  # the protocol's arguments
    contents: Contents, query: NDArray[np.float32], depth: int, restriction: Restriction, leg: str | None = None
) -> Ranking:
    """Rank by exact cosine."""
    active = contents.of_leg(leg)
    if active is None or depth < 1 or not query.any():
        return Ranking(np.empty(0, np.int64), np.empty(0, np.float64))
    if query.shape != (active.embedding.dim,):
        raise InputError(
            f"the query vector has shape {query.shape}; the store's vectors have {active.embedding.dim} dimensions"
        )
    chunks, vectors = active.matrix
    cosines = _cosines(vectors, query)
    wanted = ~np.isnan(cosines)
    allowed = passing(contents, restriction)
    if allowed is not None:
        wanted &= np.isin(chunks, list(allowed))
    chunks, cosines = chunks[wanted], cosines[wanted]
    order = np.lexsort((chunks, -cosines))[:depth]
    return Ranking(chunks[order], cosines[order])


def _cosines(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return each row's cosine (n,), NaN for a zero vector; equal rows get equal ones, which BLAS does not promise."""
    sums: NDArray[np.float64] = (vectors * query).sum(axis=1).astype(np.float64)
    sums[~vectors.any(axis=1)] = np.nan
    return sums


def evidence(
    contents: Contents,
    chunks: NDArray[np.int64],
    terms: Sequence[Term],
    vector: NDArray[np.float32] | None,
    average: float | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """Return the terms' impacts in chunks (n, t), and the chunks' cosines to a unit vector (n,) if there is one."""
    ids = chunks.tolist()
    found = np.zeros((len(ids), len(terms)), np.float32)
    for column, term in enumerate(terms):
        known = impacts(contents, frequencies(contents, (term.text,)), ids, average)
        found[:, column] = [known.get(chunk, 0.0) for chunk in ids]
    if vector is None:
        return found, None
    return found, cosines(contents.active, ids, vector)


def cosines(generation: Generation | None, chunks: Sequence[int], vector: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the chunks' cosines to a unit vector (n,); NaN where there is no vector."""
    if generation is None or not vector.any():
        return np.full(len(chunks), np.nan)
    return _cosines(generation.rows(chunks), vector)


def sample(chunks: Sequence[int]) -> NDArray[np.int64]:
    """Choose some of ascending chunks, as every backend does."""
    return evenly_spread(chunks[-1] if chunks else None, lambda step, limit: first_of_steps(chunks, step, limit))


def first_of_steps(chunks: Sequence[int], step: int, limit: int, shift: int = 0) -> NDArray[np.int64]:
    """Return the first of ascending chunks in each run of ids with the same (id + shift) // step."""
    first = {(chunk + shift) // step: chunk for chunk in reversed(chunks)}
    return np.array(sorted(first.values())[:limit], np.int64)
