"""The vector leg where codes do not fit into memory: the server picks what is near by sign, whose codes are compared.

A sign is a bit for each dimension: is it above 0? The server counts the bits that differ from the query's (`bit_count`,
from PostgreSQL 14 on) and hands out the codes of the few thousand nearest: of 50,000 chunks 0.8 MB instead of 20. What
it may have held back is checked as with the copies in memory. pgvector's own operator counts them a fifth faster, which
is not worth an extension.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.postgres import vector_tables
from hybridstore.backends.postgres.connection import Connection
from hybridstore.backends.resident.chunk_ids import best
from hybridstore.backends.resident.codes import NEIGHBOURS, POOL, Sieve, is_trustworthy, pool_of
from hybridstore.codecs import int8, signs
from hybridstore.records import Ranking

Ids = NDArray[np.int64]

SIEVED = 8_192  # chunks from which on not all codes are read: of 10,000 that takes 48 ms of processor time, this 15
_MORE = 1.5  # times what is let through of copies: of 300 questions, 296 then have the first 64 of all codes, not 287
_DENSE = 4  # a filter that lets through more than one chunk in so many is applied to what the server picked


def nearest(  # noqa: PLR0917 - where it is read, then what is sought
    connection: Connection,
    number: int,
    query: NDArray[np.float32],
    count: int,
    allowed: Ids | None,
    chunks: int,
    serving: MutableMapping[int, bool],
) -> Ranking:
    """Rank at least `count` chunks nearest to a unit vector by the cosine of their codes, of about so many `chunks`.

    `serving` remembers of which embeddings neighbours by code are neighbours by sign too.
    """
    dim = len(query)
    if allowed is not None and len(allowed) <= POOL:
        return _ranked(*vector_tables.codes_of(connection, number, dim, "%s::bigint[]", allowed.tolist()), query, count)
    if chunks >= SIEVED and _serves(connection, number, dim, serving):
        ranking = _sifted(connection, number, query, count, allowed, chunks)
        if ranking is not None:
            return ranking
    return vector_tables.scan(connection, number, query, count, allowed)


def _serves(connection: Connection, number: int, dim: int, serving: MutableMapping[int, bool]) -> bool:
    if number not in serving:
        _, codes = next(vector_tables.code_blocks(connection, number, dim), (None, np.empty((0, dim), np.int8)))
        serving[number] = Sieve.of(codes, np.zeros(dim, np.int8)).serves(codes)
    return serving[number]


def _sifted(  # noqa: PLR0917 - as above
    connection: Connection, number: int, query: NDArray[np.float32], count: int, allowed: Ids | None, chunks: int
) -> Ranking | None:
    """Return what is nearest of those that the server lets through; None where that may not be what is nearest."""
    pool = int(_MORE * pool_of(count, chunks))
    among, values = "", list[object]()
    dense = allowed is not None and len(allowed) * _DENSE > chunks
    if allowed is not None and dense:
        pool = pool * chunks // len(allowed)
    elif allowed is not None:
        among, values = "WHERE chunk = ANY(%s::bigint[])", [allowed.tolist()]
    asked = int8.encode(query[None, :])
    # With ANY(ARRAY(…)) the server looks the codes up by chunk; joined, it would take half as long again.
    near = f"""ARRAY(SELECT chunk FROM signs_{number} {among}
                     ORDER BY bit_count(signs # %s::bit({len(query)})) LIMIT %s)"""
    digits = vector_tables.signs(asked)[0]
    found, codes = vector_tables.codes_of(connection, number, len(query), near, *values, digits, pool)
    differing = signs.distances(
        signs.encode(codes, np.zeros_like(asked[0])), signs.encode(asked, np.zeros_like(asked[0]))
    )
    farthest = float(differing.max(initial=0)) if len(found) == pool else math.inf
    if allowed is not None and dense:
        mask = np.isin(found, allowed, assume_unique=True)
        found, codes, differing = found[mask], codes[mask], differing[mask]
    if farthest < math.inf and len(found) < count:
        return None
    ranking = _ranked(found, codes, query, count)
    nearest_ = differing[found.searchsorted(ranking.chunks[:NEIGHBOURS])]
    return ranking if farthest == math.inf or is_trustworthy(nearest_, farthest) else None


def _ranked(chunks: Ids, codes: NDArray[np.int8], query: NDArray[np.float32], count: int) -> Ranking:
    scores = int8.scan(codes, int8.scales(codes), query)
    places = best(scores, count)
    return Ranking(chunks[places], scores[places].astype(np.float64))
