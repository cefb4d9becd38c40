"""Searching for a structured query: candidates of all its parts, the truth of each part for each of them, one ranking.

Each `about` is searched within the conditions that stand beside it, and so are all those of a conjunction together, so
an answer need not be near the top for any part. Every candidate is then judged by every part. With per="document", a
part is as true of a document as of the passage that it is most true of, as in RConE ("Rough Cone Embedding for
Multi-Hop Logical Query Answering"), so conditions can be met by different passages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend, SearchState
from hybridstore.backends.values import Restriction
from hybridstore.errors import InputError
from hybridstore.records import Evidence, PartTruth, Ranking, Trace, Truths
from hybridstore.search.algebra import About, StructuredQuery, Where, Words
from hybridstore.search.conditions import Conditions, Signed, alternatives, attracts, check_bounded, narrowed, signed
from hybridstore.search.pipeline import Clock, hits_of, state_of, while_filling, without_vectors
from hybridstore.search.query_plan import plan
from hybridstore.search.rank_fusion import EMPTY, Weights
from hybridstore.search.request import Request
from hybridstore.search.second_stage import reranked
from hybridstore.search.selection import select_passages
from hybridstore.search.sought import Sought, condition_of, joint, sought_of
from hybridstore.search.truth import Truth, aligned, evaluate, fused, truth_of
from hybridstore.text.analysis import Analyser

_MOST_LISTED = 5_000  # documents that are judged where a filter alone says which may be an answer

Chunks = NDArray[np.int64]


def search_structured(backend: Backend, analyser: Analyser, request: Request) -> Trace:
    """Run a request for a structured query and return its Trace. Everything is read from one state of the store.

    Raises InputError for a query that nearly everything would be an answer to.
    """
    clock, query = Clock(), request.structured
    if query is None:
        raise InputError("a structured query is needed here, not a text")
    check_bounded(query)
    leaves = dict.fromkeys(signed(part).part for part in query.parts() if not part.members)
    conditions = {leaf: condition_of(leaf, analyser) for leaf in leaves if isinstance(leaf, Words)}
    sought = {leaf: sought_of(leaf, analyser, request) for leaf in leaves if isinstance(leaf, About | Words)}
    barred = plan("", analyser, exclude=tuple(request.exclude)).keyword
    clock.lap("embed")
    with backend.snapshot(stale=True):
        state = state_of(backend, request)
        for each in sought.values():
            each.prepare(state)
        # A document may meet the conditions on words by different passages.
        beside: Conditions = conditions if request.per == "chunk" else {}
        search = _Search(backend, state, request, sought, conditions, beside)
        within = narrowed(
            Restriction(request.where, excluded=barred.excluded, matching=barred.matching), signed(query), beside
        )
        chunks = search.candidates(query, within)
        clock.lap("legs")
        truths, ranking = search.judged(query, chunks, within)
        clock.lap("truth")
        ranking = _true_enough(ranking, request.min_relevance, search.notes)
        second = None
        if request.rerank is not None:
            text = " ".join(leaf.text for leaf in sought)
            ranking, second = reranked(backend, ranking, text, request.rerank)
            clock.lap("rerank")
        selected = select_passages(backend, ranking, request.limit, request.selection)
        clock.lap("fetch")
    return Trace(
        query=request.query,
        mode=request.mode,
        fusion=request.fusion,
        limit=request.limit,
        depth=request.candidates,
        terms=tuple({term.text: term for each in sought.values() for term in each.known}.values()),
        phrases=tuple(leaf.text for leaf in conditions),
        excluded=(),
        keyword=None,
        vector=None,
        weights=search.weights,
        fused=ranking,
        hits=hits_of(selected, None, None, truths),
        timings=clock.laps,
        notes=tuple(dict.fromkeys(search.notes)),
        revision=state.revision,
        replica=state.replica,
        selection=selected.selection,
        power=None if state.calibration is None else state.calibration.power,
        syntax="algebra",
        model=next((each.model for each in sought.values() if each.model is not None), None),
        second=second,
        filled=1 - len(search.missing) / max(state.chunks, 1),
        truths=truths,
    )


class _Search:
    """One search: its candidates, and their truths."""

    def __init__(  # noqa: PLR0917 - where is searched, then for what
        self,
        backend: Backend,
        state: SearchState,
        request: Request,
        sought: Mapping[About | Words, Sought],
        conditions: Conditions,
        beside: Conditions,
    ) -> None:
        self._backend, self._state, self._request = backend, state, request
        self._sought, self._conditions, self._beside = sought, conditions, beside
        self.weights: Weights = (1.0, 0.0)
        self.notes: list[str] = []
        self.missing = EMPTY.chunks
        embedded = [each.embedded for leaf, each in sought.items() if isinstance(leaf, About)]
        self.notes += [note for each in embedded if each is not None for note in each.notes]
        if any(each is not None and each.vector is not None for each in embedded):
            self.missing = backend.missing()
            if len(self.missing):
                self.notes.append(while_filling(len(self.missing), state.chunks))
        elif request.mode != "keyword" and embedded and None in embedded:
            self.notes.append(without_vectors(state, request))

    # candidates

    def candidates(self, query: StructuredQuery, within: Restriction) -> Chunks:
        """Return all that may be an answer, ascending; the legs run within the whole query's conditions first."""
        found = [self._find(each, within) for leaf, each in self._sought.items() if isinstance(leaf, About)]
        found += self._gathered(signed(query), within)
        return np.unique(np.concatenate(found)) if found else EMPTY.chunks

    def _find(self, sought: Sought, within: Restriction) -> Chunks:
        return sought.find(self._backend, self._state, self._request.candidates, within)

    def _gathered(self, query: Signed, within: Restriction) -> list[Chunks]:
        """Return candidates of each part within the conditions that stand beside it."""
        if not query.part.members:
            within = narrowed(within, query, self._conditions)
            if attracts(query) and isinstance(query.part, About | Words):
                return [self._find(self._sought[query.part], within)]
            return [self._listed(within)]
        if not query.joins_all:
            return [chunks for member in query.members for chunks in self._gathered(member, within)]
        within = narrowed(within, query, self._beside)
        leading = [member for member in query.members if attracts(member)]
        found = [chunks for member in leading for chunks in self._gathered(member, within)]
        if len(leading) > 1:
            below = dict.fromkeys(leaf for member in leading for leaf in _leading(member))
            found.append(self._find(joint(self._sought[leaf] for leaf in below), within))
        return found if leading else [self._listed(within)]

    def _listed(self, within: Restriction) -> Chunks:
        """Return the chunks that conditions alone lead to."""
        ids = self._backend.ids(within.where)
        if len(ids) > _MOST_LISTED:
            self.notes.append(
                f"Only the first {_MOST_LISTED:,} of {len(ids):,} documents that a filter alone leads to were judged; "
                "say what passages are about, or filter more narrowly."
            )
        return _joined(self._backend.chunks_of(ids[:_MOST_LISTED], within).values())

    # truths

    def judged(self, query: StructuredQuery, chunks: Chunks, within: Restriction) -> tuple[Truths, Ranking]:
        """Return the truths of a query and its parts for each candidate, and the ranking by that of the whole.

        Equal truths are ranked by the fused scores of what is wanted, then by the smaller chunk id; what is not true at
        all is left out.
        """
        documents = self._backend.documents_of(chunks.tolist())
        place: Chunks = np.arange(len(chunks))
        if self._request.per == "document":
            among = self._backend.chunks_of(list(dict.fromkeys(documents)), within)
            documents = list(among)
            chunks = np.array([chunk for each in among.values() for chunk in each], np.int64)
            order = chunks.argsort()
            place = np.repeat(np.arange(len(among)), [len(each) for each in among.values()])[order]
            chunks = chunks[order]
        leaves, evidence, merits = self._of_leaves(query, chunks, documents)
        whole = evaluate(query, lambda leaf: leaves[signed(leaf).part], self._request.norm)[0]
        shown = _best(place, whole, merits)
        shown = shown[chunks[shown].argsort()]
        groups = place[shown]
        sources = {leaf: _best(place, truth, merits)[groups] for leaf, truth in leaves.items()}
        truths = evaluate(query, lambda leaf: leaves[part := signed(leaf).part][sources[part]], self._request.norm)
        parts = []
        for (level, part), truth in zip(_levels(query), truths, strict=True):
            leaf = signed(part).part
            source = sources.get(leaf) if not part.members and self._request.per == "document" else None
            parts.append(
                PartTruth(
                    text=str(part.with_weight(1.0)),
                    level=level,
                    truths=truth,
                    weight=part.weight,
                    evidence=evidence.get(part if part.members else leaf),
                    passages=None if source is None else chunks[source],
                )
            )
        found = Truths(norm=self._request.norm, per=self._request.per, chunks=chunks[shown], parts=tuple(parts))
        order = np.lexsort((found.chunks, -merits[shown], -truths[0]))
        order = order[truths[0][order] > 0.0]
        return found, Ranking(found.chunks[order], truths[0][order])

    def _of_leaves(
        self, query: StructuredQuery, chunks: Chunks, documents: Sequence[str]
    ) -> tuple[dict[StructuredQuery, Truth], dict[StructuredQuery, Evidence], Truth]:
        """Return the truths (n,) of the leaves, the evidence for those of `about`, and the scores of what is wanted."""
        truths, found, merits = dict[StructuredQuery, Truth](), dict[StructuredQuery, Evidence](), np.zeros(len(chunks))
        wanted, met = set(_leading(signed(query))), set(_met(signed(query))) if self._request.per == "chunk" else set()
        for leaf, each in self._sought.items():
            evidence, weights, chance = each.evidence(self._backend, self._state, self.missing, chunks)
            scores = fused(evidence, weights, chance)
            merits += scores if leaf in wanted else 0.0
            if isinstance(leaf, About):
                self.weights, found[leaf], truths[leaf] = weights, evidence, truth_of(scores, weights)
        for group in alternatives(query):
            truths |= zip(group, aligned([truths[leaf] for leaf in group]), strict=True)
        for part in dict.fromkeys(signed(part).part for part in query.parts()):
            if isinstance(part, Where | Words):
                own = narrowed(Restriction(), Signed(part, True), self._conditions)
                passing = chunks if part in met else _joined(self._backend.chunks_of(documents, own).values())
                truths[part] = np.isin(chunks, passing).astype(np.float64)
        return truths, found, merits


def _true_enough(ranking: Ranking, least: float | None, notes: list[str]) -> Ranking:
    """Return what is true enough to be shown, with a note if that is nothing."""
    if least is None or not len(ranking):
        return ranking
    shown = int((ranking.scores >= least).sum())
    if not shown:
        notes.append(f"Nothing here seems to answer this: the best passage has {ranking.scores[0]:.2f} of {least:.2f}.")
    return Ranking(ranking.chunks[:shown], ranking.scores[:shown])


def _joined(chunks: Iterable[Sequence[int]]) -> Chunks:
    return np.sort(np.array([chunk for each in chunks for chunk in each], np.int64))


def _best(place: Chunks, truth: Truth, merits: Truth) -> Chunks:
    """Return for each document, by its number in `place` (n,), the index of its best passage."""
    order = np.lexsort((np.arange(len(place)), -merits, -truth, place))
    first = np.ones(len(place), np.bool_)
    first[1:] = place[order][1:] != place[order][:-1]
    return order[first]


def _levels(query: StructuredQuery, level: int = 0) -> Iterator[tuple[int, StructuredQuery]]:
    """Yield the parts of a query, each with the number of those it is inside of."""
    yield level, query
    for member in query.members:
        yield from _levels(member, level + 1)


def _leading(query: Signed) -> Iterator[About | Words]:
    """Yield the `about` and `words` that are wanted, not barred."""
    if isinstance(query.part, About | Words) and query.positive:
        yield query.part
    for member in query.members:
        yield from _leading(member)


def _met(query: Signed) -> Iterator[StructuredQuery]:
    """Yield the filters and words that every candidate meets."""
    if not query.part.members and query.positive:
        yield query.part
    for member in query.members if query.joins_all else ():
        yield from _met(member)
