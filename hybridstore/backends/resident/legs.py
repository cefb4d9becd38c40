"""Both legs and what is asked about single chunks: from the copies in memory, or else from the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.resident import rescoring, scoring
from hybridstore.backends.resident.loader import Ids, Loader
from hybridstore.backends.resident.resident_cache import ResidentCache
from hybridstore.backends.values import Restriction
from hybridstore.codecs import int8
from hybridstore.errors import InputError
from hybridstore.records import Ranking, Term


def nearest(
    loader: Loader, memory: ResidentCache, query: NDArray[np.float32], depth: int, restriction: Restriction
) -> Ranking:
    """Rank by cosine: candidates by their codes, the best of them by their exact vectors."""
    active = loader.embedding()
    if active is None or depth < 1 or not query.any():
        return Ranking(np.empty(0, np.int64), np.empty(0, np.float64))
    if query.shape != (active[1].dim,):
        raise InputError(
            f"the query vector has shape {query.shape}; the store's vectors have {active[1].dim} dimensions"
        )
    codes = memory.codes(loader)
    allowed = None if codes is None else memory.allowed(loader, restriction)

    def by_code(count: int) -> tuple[Ranking, bool]:
        if codes is not None:
            return codes.nearest(query, count, allowed)
        return loader.scan(query, count, restriction, lambda: memory.allowed(loader, restriction)), True

    return rescoring.nearest(query, depth, by_code, loader.exact)


def cosines(loader: Loader, memory: ResidentCache, query: NDArray[np.float32], chunks: Ids) -> NDArray[np.float64]:
    """Return the chunks' cosines to a unit vector, (n,), by their codes; NaN without one."""
    found = np.full(len(chunks), np.nan)
    if loader.embedding() is None or not len(chunks) or not query.any():
        return found
    resident = memory.codes(loader, scanned=False)
    if resident is not None and resident.rows is not None:
        here, scores = resident.cosines(query, chunks)
    else:
        here, codes = loader.codes_of(chunks.tolist())
        scores = int8.scan(codes, int8.scales(codes), query).astype(np.float64)
    order = chunks.argsort()
    found[order[chunks[order].searchsorted(here)]] = scores
    return found


def impacts(  # noqa: PLR0917 - the protocol's arguments, and what is asked where there are no copies
    loader: Loader,
    memory: ResidentCache,
    terms: Sequence[Term],
    chunks: Ids,
    average: float | None,
    beyond: Callable[[Sequence[Term]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Return the impact of each term in each chunk, (n, t); `beyond` returns those of prefixes, too."""
    postings = memory.postings(loader)
    found = np.zeros((len(chunks), len(terms)), np.float32)
    whole = [n for n, term in enumerate(terms) if postings is not None and not term.text.endswith("*")]
    if postings is not None and whole:
        postings = postings if average is None else postings.among(average)
        found[:, whole] = scoring.impacts(loader, postings, [terms[n].text for n in whole], chunks)
    if others := sorted(set(range(len(terms))).difference(whole)):
        found[:, others] = beyond([terms[n] for n in others])
    return found


def by_document(
    loader: Loader, memory: ResidentCache, found: Iterable[tuple[str, int]], restriction: Restriction
) -> dict[str, list[int]]:
    """Return the chunks of (document, chunk) that pass a restriction, by document."""
    pairs, allowed = list(found), memory.allowed(loader, restriction)
    if allowed is not None:
        passing = np.isin(np.array([chunk for _, chunk in pairs], np.int64), allowed, assume_unique=True)
        pairs = [pair for pair, passes in zip(pairs, passing.tolist(), strict=True) if passes]
    among: dict[str, list[int]] = {}
    for document, chunk in pairs:
        among.setdefault(document, []).append(chunk)
    return among
