"""BM25 over postings in memory: which terms are worth their price, and the best chunks by those.

The scores are those of FTS5's bm25() with the same column weights: for each term
IDF · w · (k1 + 1) / (w + k1 · (1 − b + b · length / average length)), where w is the term's frequency weighted by
column (https://sqlite.org/fts5.html#the_bm25_function; Robertson & Zaragoza 2009). FTS5 scores a chunk for every query
word it holds, at about 1.6 µs each; here the same sum is a few array operations.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.resident.chunk_ids import Ids
from hybridstore.backends.resident.maxscore import Part, top
from hybridstore.backends.resident.postings import STEPS, Posting, Postings
from hybridstore.backends.sqlite import keyword_index
from hybridstore.backends.values import K1
from hybridstore.records import Ranking, Term

_LEAST_IDF = 1e-6  # what FTS5 gives a term that stands in more than half of the chunks
_SMALL = 1_000  # chunks; in a smaller store everything is read, as FTS5 would
_SHORT = 3  # bytes a chunk of the store: a list in the index shorter than that in all is read without asking how many
_PAGE = 4096
# Rows bought for a query, rarest terms first; at 50,000 chunks a question of 200 words comes to as many.
BUDGET = 500_000


def score(
    connection: apsw.Connection,
    postings: Postings,
    tokens: Iterable[str],
    depth: int,
    allowed: Ids | None,
    *,
    budget: int = BUDGET,
) -> tuple[Ranking, tuple[Term, ...]]:
    """Rank chunks by BM25 over the tokens, a repeated one counting repeatedly; also give the tokens' facts.

    Terms are bought rarest first until they hold `budget` rows, and beyond it while fewer than `depth` rows were
    bought. A token that stands in more than half of the chunks has no weight to speak of (1e-6), so in a store of any
    size it is only read where no other token is found at all.
    """
    counts = Counter(tokens)
    perhaps = [token for token in counts if token not in postings.terms.common]
    known = postings.read(connection, perhaps, longest=max(_SHORT * postings.base, _PAGE))
    terms = _bought(_facts(connection, postings, counts, known), postings.chunks.living(), depth, budget)
    used = [term for term in terms if term.used and term.document_frequency]
    known |= postings.read(connection, [term.text for term in used if term.text not in known])
    parts = [_part(postings, known[term.text], term) for term in used]
    mask = None if allowed is None else postings.chunks.mask(allowed)
    found, scores = top(parts, len(postings.chunks), depth, mask=mask, gone=postings.chunks.gone)
    return Ranking(postings.chunks.ids[found], scores.astype(np.float64)), terms


def _facts(
    connection: apsw.Connection, postings: Postings, counts: Mapping[str, int], known: Mapping[str, Posting]
) -> list[Term]:
    living = postings.chunks.living()
    facts = []
    for token, count in counts.items():
        late = sum(1 for place, _ in postings.late(token) if _alive(postings, place))
        if token in known:  # else it is common
            df = postings.chunks.living_among(known[token].places) + late
        else:
            df = min(_common(connection, postings, token) + late, living)
        facts.append(Term(token, df, max(math.log((living - df + 0.5) / (df + 0.5)), _LEAST_IDF), count))
    return facts


def _alive(postings: Postings, place: int) -> bool:
    return postings.chunks.alive is None or bool(postings.chunks.alive[place])


def _common(connection: apsw.Connection, postings: Postings, token: str) -> int:
    """Count the chunks up to the base that hold a token whose list is long, asking the index once."""
    df = postings.terms.common.get(token)
    if df is None:
        df = keyword_index.frequency(connection, token) - len(postings.late(token))
        postings.terms.common[token] = df
    return df


def _bought(facts: list[Term], living: int, depth: int, budget: int) -> tuple[Term, ...]:
    """Say which terms are worth their price."""
    common = {term.text for term in facts if term.document_frequency > living / 2 and living > _SMALL}
    if not any(term.document_frequency for term in facts if term.text not in common):
        common = set()
    spent = 0
    used = set()
    for term in sorted(facts, key=lambda term: term.document_frequency):
        price = term.document_frequency
        if term.text not in common and (spent < depth or spent + price <= budget):
            used.add(term.text)
            spent += price
    return tuple(term if term.text in used else replace(term, used=False) for term in facts)


def _part(postings: Postings, posting: Posting, term: Term) -> Part:
    places, impacts_, most = _listed(postings, posting, term.text)
    return Part(places, impacts_, term.count * term.idf * (K1 + 1) / STEPS, most * STEPS)


def _listed(postings: Postings, posting: Posting, token: str) -> tuple[NDArray[np.int32], NDArray[np.uint16], float]:
    """Give a token's places and impacts, those that were added since included, and the largest impact."""
    places, impacts_, most = posting.places, posting.impacts, posting.most
    if late := postings.late(token):
        late_places = np.array([place for place, _ in late], np.int32)
        late_impacts = postings.impacts(late_places, np.array([count for _, count in late], np.float32))
        places, impacts_ = np.concatenate([places, late_places]), np.concatenate([impacts_, late_impacts])
        most = max(most, float(late_impacts.max()) / STEPS)
    return places, impacts_, most


def impacts(connection: apsw.Connection, postings: Postings, tokens: Sequence[str], chunks: Ids) -> NDArray[np.float32]:
    """Give the tokens' impacts in each of the chunks, (n, t) from 0 to 1; all of the chunks must be there."""
    found = np.zeros((len(chunks), len(tokens)), np.float32)
    wanted = postings.chunks.places(chunks).astype(np.int32)
    known = postings.read(connection, tokens)
    for column, token in enumerate(tokens):
        places, steps, _ = _listed(postings, known[token], token)
        if len(places):
            at = np.minimum(places.searchsorted(wanted), len(places) - 1)
            here = (places[at] == wanted).nonzero()[0]
            found[here, column] = steps[at[here]]
    found *= np.float32(1 / STEPS)
    return found
