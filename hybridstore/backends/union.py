# ruff: noqa: D102 - the protocols document each method
"""Several stores read as one: what a search asks a backend for, answered by all of them together.

A chunk's id here is its id in its store, and the store's place in the higher bits; so where scores tie, chunks come in
the order of the stores. BM25 is by the statistics of all stores, cosines know no statistics, and the sample is of all
stores in proportion to their sizes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend, SearchState
from hybridstore.backends.values import Calibration, Capabilities, Embeddings, Passage, Restriction, StoredDocument
from hybridstore.errors import EmbedderMismatch, InputError
from hybridstore.filters import Filter
from hybridstore.records import CorpusStatistics, KeywordQuery, Ranking, Term
from hybridstore.text.analysis import Analyser

_BITS = 40  # of an id: a store has fewer chunks than 2 ** 40
_SAMPLED = 256  # vectors, as of one store
T = TypeVar("T")
Ids = NDArray[np.int64]


class StoreUnion:
    """The reading half of a Backend over several `backends`, in their order; they stay open.

    Without `vectors` theirs are not read. Raises InputError where they cannot rank as one: keywords of different
    languages or analyses, or one store twice; `state` raises it for vectors of some only, and EmbedderMismatch for
    vectors of different embedders.
    """

    capabilities = Capabilities()
    folder = key = None

    def __init__(self, backends: Sequence[Backend], *, vectors: bool = True) -> None:
        if not backends:
            raise InputError("name at least one store to search")
        if len({id(backend) for backend in backends}) < len(backends):
            raise InputError("a store is named twice, and its passages would count twice")
        analyses = {(backend.language, backend.analyser.version) for backend in backends}
        if len(analyses) > 1:
            known = ", ".join(f"{language} (analysis {version})" for language, version in sorted(analyses))
            raise InputError(
                f"these stores cannot rank as one, as their words are analysed differently: {known}; "
                "`hybridstore reindex` brings one up to date, its language cannot be changed"
            )
        self._backends, self._vectors = backends, vectors
        self.calibration: Calibration | None = None
        self.learning: Any = SimpleNamespace(model=lambda: None)
        self.language, self.location = backends[0].language, " + ".join(backend.location for backend in backends)

    def close(self) -> None:
        """Do nothing: whoever opened the stores closes them."""

    @property
    def analyser(self) -> Analyser:
        return self._backends[0].analyser

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See one state of each store in the block; there is none of all of them."""
        with ExitStack() as stack:
            for backend in self._backends:
                snapshot = backend.snapshot()
                snapshot.__enter__()
                stack.push(snapshot.__exit__)  # not of the class, as `enter_context` looks for it: it may be a property
            yield

    def state(self) -> SearchState:
        states = [backend.state() for backend in self._backends]
        filled = [(backend, state) for backend, state in zip(self._backends, states, strict=True) if state.chunks]
        filled = filled if self._vectors else []
        embeddings = {state.embedding.fingerprint: state.embedding for _, state in filled if state.embedding}
        if len(embeddings) > 1:
            first, second, *_ = embeddings
            raise EmbedderMismatch(
                first,
                second,
                f"these stores cannot rank as one, as their vectors are of different embedders, {first} and {second}: "
                "search with mode='keyword', or `hybridstore reembed` the others",
            )
        lacking = [backend.location for backend, state in filled if state.embedding is None]
        if embeddings and lacking:
            raise InputError(
                f"{lacking[0]} has no vectors, and other stores have: search with mode='keyword', or make them with "
                "`hybridstore reembed`"
            )
        return SearchState(
            chunks=sum(state.chunks for state in states),
            embedding=next(iter(embeddings.values()), None),
            calibration=self.calibration,
            revision=sum(state.revision for state in states),
        )

    def embeddings(self) -> Embeddings:
        return Embeddings(active=self.state().embedding)

    # the keyword leg

    def statistics(self, query: KeywordQuery) -> CorpusStatistics:
        return sum((backend.statistics(query) for backend in self._backends), CorpusStatistics())

    def match(self, query: KeywordQuery, depth: int, restriction: Restriction) -> tuple[Ranking, tuple[Term, ...]]:
        query = replace(query, corpus=self.statistics(query))
        matched = [backend.match(query, depth, restriction) for backend in self._backends]
        return self._merged([ranking for ranking, _ in matched], depth), matched[0][1]

    def vocabulary(self, beginning: str, limit: int) -> list[tuple[str, int]]:
        counts: Counter[str] = Counter()
        for backend in self._backends:
            counts.update(dict(backend.vocabulary(beginning, limit)))
        return sorted(counts.items())[:limit]

    def holds(self, phrase: tuple[str, ...], restriction: Restriction) -> bool:
        return any(backend.holds(phrase, restriction) for backend in self._backends)

    # the vector leg

    def nearest(
        self, vector: NDArray[np.float32], depth: int, restriction: Restriction, leg: str | None = None
    ) -> Ranking:
        return self._merged([backend.nearest(vector, depth, restriction, leg) for backend in self._backends], depth)

    def missing(self) -> Ids:
        return np.concatenate([_above(n, backend.missing()) for n, backend in enumerate(self._backends)])

    def sample(self, leg: str | None = None) -> tuple[Ids, NDArray[np.float32]]:
        samples = [backend.sample(leg) for backend in self._backends]
        sizes = np.array([backend.state().chunks - len(backend.missing()) for backend in self._backends])
        there = [len(chunks) for chunks, _ in samples]
        shares = sizes / max(int(sizes.sum()), 1)
        # As many as keep the proportions: of few vectors all.
        total = min([_SAMPLED, *(count / share for count, share in zip(there, shares, strict=True) if share)])
        chosen = []
        for count, share in zip(there, shares.tolist(), strict=True):
            wanted = min(round(total * share), count)
            chosen.append((np.arange(wanted) * count // max(wanted, 1)).astype(np.int64))
        ids = [_above(n, chunks[rows]) for n, ((chunks, _), rows) in enumerate(zip(samples, chosen, strict=True))]
        vectors = [vectors[rows] for (_, vectors), rows in zip(samples, chosen, strict=True) if len(rows)]
        return np.concatenate(ids), np.concatenate(vectors) if vectors else np.zeros((0, 0), np.float32)

    def vectors(self, chunks: Sequence[int], leg: str | None = None) -> NDArray[np.float32]:
        parts = self._apart(chunks, lambda backend, own: backend.vectors(own.tolist(), leg))
        return _in_order(parts) if parts else np.zeros((0, 0), np.float32)

    # both legs

    def evidence(
        self, chunks: Ids, terms: Sequence[Term], vector: NDArray[np.float32] | None, average: float | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
        average = average or self.statistics(KeywordQuery()).average
        parts = self._apart(chunks, lambda backend, own: backend.evidence(own, terms, vector, average))
        if not parts:
            return np.zeros((0, len(terms)), np.float32), None if vector is None else np.zeros(0)
        impacts = _in_order([(places, found) for places, (found, _) in parts])
        cosines = [(places, found) for places, (_, found) in parts if found is not None]
        return impacts, _in_order(cosines) if cosines else None

    # documents

    def passages(self, chunks: Sequence[int]) -> list[Passage]:
        found: dict[int, Passage] = {}
        for number, backend, _, own in self._owners(chunks):
            for passage in backend.passages(own.tolist()):
                found[_joined(number, passage.chunk)] = replace(passage, chunk=_joined(number, passage.chunk))
        return [found[chunk] for chunk in chunks if chunk in found]

    def documents_of(self, chunks: Sequence[int]) -> list[str]:
        return [passage.document_id for passage in self.passages(chunks)]

    def chunks_of(self, ids: Sequence[str], restriction: Restriction) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for number, backend in enumerate(self._backends):
            for id_, chunks in backend.chunks_of(ids, restriction).items():
                found.setdefault(id_, []).extend(_joined(number, chunk) for chunk in chunks)
        return found

    def ids(self, where: Filter | None = None) -> list[str]:
        return [id_ for backend in self._backends for id_ in backend.ids(where)]

    def scan(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[StoredDocument]:
        return chain.from_iterable(backend.scan(where, vectors=vectors) for backend in self._backends)

    # ids

    @staticmethod
    def place(chunk: int) -> tuple[int, int]:
        """Return the place of a chunk's store, and the chunk's id there."""
        return chunk >> _BITS, chunk & (1 << _BITS) - 1

    @staticmethod
    def _merged(rankings: Sequence[Ranking], depth: int) -> Ranking:
        chunks = np.concatenate([_above(n, ranking.chunks) for n, ranking in enumerate(rankings)])
        scores = np.concatenate([ranking.scores for ranking in rankings])
        best = np.lexsort((chunks, -scores))[: max(depth, 0)]
        return Ranking(chunks[best], scores[best])

    def _owners(self, chunks: Sequence[int] | Ids) -> Iterator[tuple[int, Backend, NDArray[np.intp], Ids]]:
        """Yield each store that has some of the chunks: its place, itself, their places among them, and their ids."""
        ids = np.asarray(chunks, np.int64)
        for number in np.unique(ids >> _BITS).tolist():
            places = np.flatnonzero(ids >> _BITS == number)
            yield number, self._backends[number], places, ids[places] & (1 << _BITS) - 1

    def _apart(self, chunks: Sequence[int] | Ids, ask: Callable[[Backend, Ids], T]) -> list[tuple[NDArray[np.intp], T]]:
        return [(places, ask(backend, own)) for _, backend, places, own in self._owners(chunks)]


def _joined(number: int, chunk: int) -> int:
    return number << _BITS | chunk


def _above(number: int, chunks: Ids) -> Ids:
    return chunks | np.int64(number << _BITS)


def _in_order(parts: Sequence[tuple[NDArray[np.intp], NDArray[Any]]]) -> NDArray[Any]:
    """Return rows that were asked for apart in the order of the chunks."""
    order = np.concatenate([places for places, _ in parts])
    rows = np.concatenate([found for _, found in parts])
    return rows[order.argsort(kind="stable")]
