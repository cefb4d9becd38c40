"""The keyword leg without copies in memory: BM25 over blocks of the server's, phrases, and what restricts a query.

The server hands out the words' blocks, and picks the chunks whose tokens hold a phrase; the sums are made here, in a
few array operations, so that they are those of every backend.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import (
    BUDGET,
    COLUMNS,
    K1,
    SMALL,
    WEIGHTS,
    B,
    affordable,
    idf,
    missed,
    terms_among,
)
from hybridstore.backends.postgres.connection import Connection, remembered, rows
from hybridstore.backends.postgres.filtering import documents_passing
from hybridstore.backends.postgres.packed import NO_IDS, ids
from hybridstore.backends.postgres.posting_blocks import Occurrences, columns, document_frequencies, occurrences
from hybridstore.backends.resident.chunk_ids import best
from hybridstore.backends.values import Restriction
from hybridstore.records import CorpusStatistics, KeywordQuery, Ranking, Term
from hybridstore.text.expressions import AllOf, AnyOf, Expression, NotOf, WordSequence

Phrase = tuple[str, ...]

TOTALS = "totals"  # among what a transaction remembers
_DENSE = 64  # chunk ids for each that was found, up to which sums are made in an array of all ids


def totals(connection: Connection) -> CorpusStatistics:
    """Return the number of chunks, and their length in tokens."""
    read = "SELECT key, value::bigint FROM facts WHERE key IN ('chunks', 'tokens')"
    return remembered(connection, TOTALS, lambda: CorpusStatistics(**dict(rows(connection, read))))


def statistics(connection: Connection, query: KeywordQuery) -> CorpusStatistics:
    """Return what BM25 needs to know about this store's chunks; see the protocol."""
    words = [phrase[0] for phrase in query.sequences if len(phrase) == 1 and not phrase[0].endswith("*")]
    counts: dict[Phrase, int] = {(word,): count for word, count in document_frequencies(connection, words).items()}
    others = find(connection, [phrase for phrase in query.sequences if phrase not in counts])
    counts |= {phrase: len(found.chunks) for phrase, found in others.items()}
    return replace(totals(connection), frequencies=counts)


def find(connection: Connection, phrases: Iterable[Phrase]) -> dict[Phrase, Occurrences]:
    """Return where phrases are; one of a single token is where that is."""
    wanted = list(dict.fromkeys(phrases))
    single = occurrences(connection, [phrase[0] for phrase in wanted if len(phrase) == 1])
    return {phrase: single[phrase[0]] if len(phrase) == 1 else _phrase(connection, phrase) for phrase in wanted}


def _phrase(connection: Connection, phrase: Phrase, field: str = "") -> Occurrences:
    """Return where tokens stand in a row, in any column or in one; the last may end in *."""
    if len(phrase) == 1 and not field:
        return occurrences(connection, phrase)[phrase[0]]
    whole = [token for token in dict.fromkeys(phrase) if not token.endswith("*")]
    held = occurrences(connection, [*whole, *(token for token in phrase[-1:] if token.endswith("*"))])
    candidates = NO_IDS
    for number, found in enumerate(sorted(held.values(), key=lambda found: len(found.chunks))):
        candidates = found.chunks if not number else np.intersect1d(candidates, found.chunks, assume_unique=True)
    # A client's own * is at the end only: it means any token that begins so, which follows a space.
    said = f" {' '.join(phrase).removesuffix('*')}{'' if phrase[-1].endswith('*') else ' '}".encode()
    statement = """SELECT chunk, length, tokens FROM chunks
                   WHERE chunk = ANY(%s::bigint[]) AND position(%s::bytea IN tokens) > 0 ORDER BY chunk"""
    stored = rows(connection, statement, candidates.tolist(), said) if len(candidates) else []
    weighted = np.array([_counted(tokens, phrase, field) for _, _, tokens in stored], np.float64)
    chunks, lengths = (np.array([row[n] for row in stored], np.int64) for n in (0, 1))
    return Occurrences(chunks, weighted, lengths.astype(np.float64)).among(weighted > 0)


def _counted(tokens: bytes, phrase: Phrase, field: str) -> float:
    """Return how often a phrase stands in a chunk, weighted by column."""
    *begin, last = phrase
    total = 0.0
    for name, weight, column in zip(COLUMNS, WEIGHTS, columns(tokens), strict=True):
        if field in ("", name):
            words = column.split()
            total += weight * sum(
                words[n : n + len(begin)] == begin
                and (
                    words[n + len(begin)].startswith(last[:-1]) if last.endswith("*") else words[n + len(begin)] == last
                )
                for n in range(len(words) - len(begin))
            )
    return total


def match(
    connection: Connection, query: KeywordQuery, depth: int, restriction: Restriction, allowed: NDArray[np.int64] | None
) -> tuple[Ranking, tuple[Term, ...]]:
    """Rank by BM25: a query of plain words by those that are worth their price, as in every backend."""
    corpus = query.corpus or totals(connection)
    plain = not query.phrases and not any(token.endswith("*") for token in query.terms)
    terms = facts(connection, query, query.terms)
    if plain:
        marked = affordable(terms, corpus.chunks, depth)
        used: dict[Phrase, int] = {(term.text,): term.count for term in marked if term.used}
        ranking = _ranked(connection, used, corpus, depth, allowed)
        if not missed(ranking, marked, depth, restriction.matching, None if allowed is None else len(allowed)):
            return ranking, marked
    sought = Counter[Phrase]([*query.phrases, *((token,) for token in query.terms)])
    within = [token for phrase in query.phrases for token in phrase if token not in query.terms]
    unused = tuple(
        Term(term.text, term.document_frequency, term.idf, term.count, used=False)
        for term in facts(connection, query, within)
    )
    return _ranked(connection, sought, corpus, depth, allowed), (*terms, *unused)


def facts(connection: Connection, query: KeywordQuery, tokens: Sequence[str]) -> tuple[Term, ...]:
    """Return what is known about each of the tokens, among the query's corpus or here."""
    if query.corpus is not None:
        return terms_among(tokens, query.corpus)
    living, counts = totals(connection).chunks, Counter(tokens)
    whole = frequencies(connection, [token for token in counts if not token.endswith("*")])
    prefixes = occurrences(connection, [token for token in counts if token.endswith("*")])
    whole |= {token: len(found.chunks) for token, found in prefixes.items()}
    return tuple(Term(token, whole[token], idf(living, whole[token]), count) for token, count in counts.items())


def frequencies(connection: Connection, words: Sequence[str]) -> dict[str, int]:
    """Return how many chunks hold each word; words that a query will use in any case are read on the way."""
    living = totals(connection).chunks
    rare = living if living <= SMALL else min(living // 2, BUDGET // max(len(words), 1))
    return document_frequencies(connection, words, rare)


def _ranked(
    connection: Connection,
    sought: Mapping[Phrase, int],
    corpus: CorpusStatistics,
    depth: int,
    allowed: NDArray[np.int64] | None,
) -> Ranking:
    chunks, scores = [NO_IDS], [np.empty(0, np.float64)]
    if depth < 1:
        return Ranking(chunks[0], scores[0])
    for phrase, found in find(connection, sought).items():
        frequency = corpus.frequencies.get(phrase, len(found.chunks))
        weight = sought[phrase] * idf(corpus.chunks, frequency) * (K1 + 1)
        here = found if allowed is None else found.among(np.isin(found.chunks, allowed, assume_unique=True))
        chunks.append(here.chunks)
        scores.append(weight * impacts(here, corpus.average))
    found_chunks, sums = _summed(np.concatenate(chunks), np.concatenate(scores))
    order = best(sums, depth)
    return Ranking(found_chunks[order], sums[order])


def _summed(chunks: NDArray[np.int64], scores: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each of the chunks (n,) once, ascending, and the sum of its scores, all of which are above 0."""
    first = int(chunks.min(initial=chunks.max(initial=0)))
    if int(chunks.max(initial=0)) - first < _DENSE * len(chunks):
        sums = np.bincount(chunks - first, scores)
        found = np.flatnonzero(sums).astype(np.int64, copy=False)
        return found + first, np.asarray(sums[found], np.float64)
    found, places = np.unique(chunks, return_inverse=True)
    return found, np.asarray(np.bincount(places, scores, len(found)), np.float64)


def impacts(found: Occurrences, average: float) -> NDArray[np.float64]:
    """Return BM25's part without IDF and k1 + 1, (n,) (Robertson & Zaragoza 2009)."""
    return found.weighted / (found.weighted + K1 * (1 - B + B * found.lengths / average))


def impacts_in(
    connection: Connection, tokens: Sequence[str], chunks: NDArray[np.int64], average: float | None = None
) -> NDArray[np.float32]:
    """Return the tokens' impacts in each of the chunks, (n, t) from 0 to 1."""
    table = np.zeros((len(chunks), len(tokens)), np.float32)
    if not len(chunks) or not tokens:
        return table
    average = average or totals(connection).average
    found = occurrences(connection, dict.fromkeys(tokens), chunks.tolist())
    for column, token in enumerate(tokens):
        own = found[token]
        if len(own.chunks):
            at = np.minimum(own.chunks.searchsorted(chunks), len(own.chunks) - 1)
            table[:, column] = np.where(own.chunks[at] == chunks, impacts(own, average)[at], 0.0)
    return table


# restrictions


def passing(connection: Connection, restriction: Restriction) -> NDArray[np.int64]:
    """Return the chunks that pass a restriction, ascending."""
    allowed: NDArray[np.int64] | None = None
    if restriction.where is not None:
        documents = [found.document for found in documents_passing(connection, restriction.where)]
        allowed = ids(connection, "chunk", "FROM chunks WHERE document = ANY(%s::bigint[])", documents)
    held = find(connection, [*restriction.phrases, *restriction.excluded])
    parts = [held[phrase].chunks for phrase in restriction.phrases]
    parts += [_holding(connection, expression) for expression in restriction.matching]
    for part in parts:
        allowed = part if allowed is None else np.intersect1d(allowed, part, assume_unique=True)
    if allowed is None:
        allowed = ids(connection, "chunk", "FROM chunks")
    for phrase in restriction.excluded:
        allowed = np.setdiff1d(allowed, held[phrase].chunks, assume_unique=True)
    return allowed


def _holding(connection: Connection, expression: Expression) -> NDArray[np.int64]:
    match expression:
        case WordSequence(tokens, field):
            return _phrase(connection, tokens, field).chunks
        case NotOf(member):
            held = _holding(connection, member)
            return np.setdiff1d(ids(connection, "chunk", "FROM chunks"), held, assume_unique=True)
        case AllOf(members) | AnyOf(members):
            found, *others = (_holding(connection, member) for member in members)
            joined = np.intersect1d if isinstance(expression, AllOf) else np.union1d
            for other in others:
                found = joined(found, other)
            return found
