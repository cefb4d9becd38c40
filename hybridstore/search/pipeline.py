"""The search pipeline: plan the query, run both legs, fuse, select and fetch the hits, and record a Trace."""

from __future__ import annotations

import time
from dataclasses import replace

from hybridstore.backends.protocols import Backend, SearchState
from hybridstore.backends.values import Restriction
from hybridstore.filters import Filter
from hybridstore.records import Evidence, Hit, Ranking, Term, Trace
from hybridstore.search.query_plan import Plan, plan
from hybridstore.search.rank_fusion import EMPTY, LegResults, fuse, relevant
from hybridstore.search.request import ACTIVE, Request
from hybridstore.search.selection import SelectedPassages, select_passages
from hybridstore.search.transforms import transform_query
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import Expression, describe, passes_empty, positive_words


def search(backend: Backend, analyser: Analyser, request: Request) -> Trace:
    """Run a request and return its Trace. Everything is read from one state of the store."""
    clock = Clock()
    notes: list[str] = []
    query_plan = plan(request.query, analyser, request.syntax)
    clock.lap("plan")
    embedded = request.embed(query_plan.text) if request.mode != "keyword" else None
    clock.lap("embed")
    with backend.snapshot():
        state = _state(backend, request)
        query_plan, restriction = _satisfiable(backend, query_plan, request, notes)
        keyword = vector = query = model = None
        terms: tuple[Term, ...] = ()
        if request.mode != "vector":
            keyword, terms = backend.match(query_plan.keyword, request.candidates, restriction)
        clock.lap("keyword")
        if embedded is not None:
            query, model = transform_query(state.model, state.embedding, *embedded)
            vector = backend.nearest(query, request.candidates, restriction)
        elif request.mode != "keyword" and query_plan.text.strip():
            notes.append(_without_vectors(state, request))
        clock.lap("vector")
        legs = LegResults(query_plan.text, keyword, vector, terms, query, restriction)
        fused = fuse(backend, request, state, legs)
        clock.lap("fuse")
        ranking = relevant(fused, request.min_relevance, notes)
        selected = select_passages(backend, ranking, request.limit, request.selection)
        clock.lap("fetch")
    return Trace(
        query=request.query,
        mode=request.mode,
        fusion=request.fusion,
        limit=request.limit,
        depth=request.candidates,
        terms=terms,
        phrases=query_plan.phrases,
        excluded=query_plan.excluded,
        keyword=keyword,
        vector=vector,
        weights=fused.weights,
        fused=fused.ranking,
        hits=_hits(selected, keyword, vector, fused.evidence),
        timings=clock.laps,
        notes=tuple(notes),
        revision=state.revision,
        selection=selected.selection,
        evidence=fused.evidence,
        ignored=query_plan.ignored,
        power=fused.power,
        syntax=request.syntax,
        matching=query_plan.keyword.matching,
        model=model,
    )


def _without_vectors(state: SearchState, request: Request) -> str:
    """Return the note for a search whose vector leg could not run."""
    reason = "has no vectors" if state.embedding is None else "was opened without an embedder"
    searched = "only keywords were" if request.mode == "hybrid" else "nothing was"
    return f"The store {reason}, so {searched} searched."


def _state(backend: Backend, request: Request) -> SearchState:
    """Return the store's state, with the model version and the calibration of the request, if it is a trial."""
    state = backend.state()
    if request.model == ACTIVE and request.calibration is None:
        return state
    model = state.model if request.model == ACTIVE else request.model
    return replace(state, model=model, calibration=request.calibration or state.calibration)


def _satisfiable(backend: Backend, query_plan: Plan, request: Request, notes: list[str]) -> tuple[Plan, Restriction]:
    """Replace phrases that occur nowhere by their words, with a note, as web search does.

    Conditions that no chunk meets are dropped likewise; in the advanced syntax they stay.
    """
    where, keyword = request.where, query_plan.keyword
    phrases: list[tuple[str, ...]] = []
    words: list[str] = []
    for text, phrase in zip(query_plan.phrases, keyword.phrases, strict=True):
        if backend.holds(phrase, Restriction(where=where)):
            phrases.append(phrase)
        else:
            words += phrase
            notes.append(f'No passage contains the phrase "{text}", so its words were searched for instead.')
    matching = []
    for condition in keyword.matching:
        if request.syntax == "advanced" or passes_empty(condition) or _is_met(backend, condition, where):
            matching.append(condition)
        else:
            notes.append(f"No passage has {describe(condition)}, so it was searched for anywhere.")
    keyword = replace(keyword, terms=(*keyword.terms, *words), phrases=tuple(phrases), matching=tuple(matching))
    return replace(query_plan, keyword=keyword), Restriction(where, keyword.phrases, keyword.excluded, keyword.matching)


def _is_met(backend: Backend, condition: Expression, where: Filter | None) -> bool:
    restriction = Restriction(where, matching=(condition,))
    return any(backend.holds(words.tokens, restriction) for words in positive_words(condition))


def _hits(
    selected: SelectedPassages, keyword: Ranking | None, vector: Ranking | None, evidence: Evidence | None
) -> tuple[Hit, ...]:
    keyword_ranks, vector_ranks = (keyword or EMPTY).ranks(), (vector or EMPTY).ranks()
    hits = []
    for rank, (passage, score) in enumerate(zip(selected.passages, selected.scores, strict=True), start=1):
        keyword_rank, vector_rank = keyword_ranks.get(passage.chunk), vector_ranks.get(passage.chunk)
        hits.append(
            Hit(
                chunk_id=passage.chunk,
                document_id=passage.document_id,
                text=passage.text,
                title=passage.title,
                uri=passage.uri,
                heading=passage.heading,
                start=passage.start,
                end=passage.end,
                metadata=passage.metadata,
                score=score,
                rank=rank,
                keyword_rank=keyword_rank,
                keyword_score=float(keyword.scores[keyword_rank - 1]) if keyword and keyword_rank else None,
                vector_rank=vector_rank,
                vector_score=float(vector.scores[vector_rank - 1]) if vector and vector_rank else None,
                copies=selected.copies.get(passage.chunk, ()),
                relevance=_relevance(evidence, passage.chunk),
            )
        )
    return tuple(hits)


def _relevance(evidence: Evidence | None, chunk: int) -> float | None:
    if evidence is None or evidence.relevance is None or (index := evidence.at(chunk)) is None:
        return None
    return float(evidence.relevance[index])


class Clock:
    """Times the steps of a process: `laps` are their seconds, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        """End a step and begin the next."""
        now = time.perf_counter()
        self.laps[step] = now - self._last
        self._last = now
