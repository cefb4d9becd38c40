"""The way of a query, top to bottom: read it, ask both legs, fuse, select and fetch what is shown, keep the Trace."""

from __future__ import annotations

import time
from dataclasses import replace

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Restriction, SearchState
from hybridstore.filters import Filter
from hybridstore.records import Evidence, Hit, Ranking, Term, Trace
from hybridstore.search.fusion_strategies import EMPTY, LegResults, fuse, relevant
from hybridstore.search.query_plan import Plan, plan
from hybridstore.search.request import ACTIVE, Request
from hybridstore.search.selection import Chosen, choose
from hybridstore.search.transforms import transformed
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import Expression, describe, passes_empty, positive_words


def search(backend: Backend, analyser: Analyser, request: Request) -> Trace:
    """Run a request and give the Trace. Everything is read from one state of the store."""
    clock = Clock()
    notes: list[str] = []
    asked = plan(request.query, analyser, request.syntax)
    clock.lap("plan")
    embedded = request.embed(asked.text) if request.mode != "keyword" else None
    clock.lap("embed")
    with backend.snapshot():
        state = _state(backend, request)
        asked, restriction = _satisfiable(backend, asked, request, notes)
        keyword_ranking = vector_ranking = vector = model = None
        terms: tuple[Term, ...] = ()
        if request.mode != "vector":
            keyword_ranking, terms = backend.match(asked.keyword, request.candidates, restriction)
        clock.lap("keyword")
        if embedded is not None:
            vector, model = transformed(state.model, state.embedding, *embedded)
            vector_ranking = backend.nearest(vector, request.candidates, restriction)
        elif request.mode != "keyword" and asked.text.strip():
            why = "has no vectors" if state.embedding is None else "was opened without an embedder"
            what = "only keywords were" if request.mode == "hybrid" else "nothing was"
            notes.append(f"The store {why}, so {what} searched.")
        clock.lap("vector")
        found = LegResults(asked.text, keyword_ranking, vector_ranking, terms, vector, restriction)
        fused = fuse(backend, request, state, found)
        clock.lap("fuse")
        chosen = choose(backend, relevant(fused, request.min_relevance, notes), request.limit, request.selection)
        clock.lap("fetch")
    return Trace(
        query=request.query,
        mode=request.mode,
        fusion=request.fusion,
        limit=request.limit,
        depth=request.candidates,
        terms=terms,
        phrases=asked.phrases,
        excluded=asked.excluded,
        keyword=keyword_ranking,
        vector=vector_ranking,
        weights=fused.weights,
        fused=fused.ranking,
        hits=_hits(chosen, keyword_ranking, vector_ranking, fused.evidence),
        timings=clock.laps,
        notes=tuple(notes),
        revision=state.revision,
        selection=chosen.selection,
        evidence=fused.evidence,
        ignored=asked.ignored,
        power=fused.power,
        syntax=request.syntax,
        matching=asked.keyword.matching,
        model=model,
    )


def _state(backend: Backend, request: Request) -> SearchState:
    """Return the store's state, with the model version and the calibration that the request brings for a trial."""
    state = backend.state()
    if request.model == ACTIVE and request.calibration is None:
        return state
    model = state.model if request.model == ACTIVE else request.model
    return replace(state, model=model, calibration=request.calibration or state.calibration)


def _satisfiable(backend: Backend, asked: Plan, request: Request, notes: list[str]) -> tuple[Plan, Restriction]:
    """Let go of a phrase that occurs nowhere, as web search does: its words are searched for, and it is said.

    The same goes for words that no field named with them holds; in the advanced syntax nothing is let go.
    """
    where, read = request.where, asked.keyword
    kept: list[tuple[str, ...]] = []
    loose: list[str] = []
    for said, phrase in zip(asked.phrases, read.phrases, strict=True):
        if backend.holds(phrase, Restriction(where=where)):
            kept.append(phrase)
        else:
            loose += phrase
            notes.append(f'No passage holds the phrase "{said}", so its words were searched for instead.')
    matching = []
    for each in read.matching:
        if request.syntax == "advanced" or passes_empty(each) or _passed(backend, each, where):
            matching.append(each)
        else:
            notes.append(f"No passage has {describe(each)}, so it was searched for anywhere.")
    keyword = replace(read, terms=(*read.terms, *loose), phrases=tuple(kept), matching=tuple(matching))
    return replace(asked, keyword=keyword), Restriction(where, keyword.phrases, keyword.excluded, keyword.matching)


def _passed(backend: Backend, expression: Expression, where: Filter | None) -> bool:
    return any(
        backend.holds(words.tokens, Restriction(where, matching=(expression,))) for words in positive_words(expression)
    )


def _hits(
    chosen: Chosen, keyword: Ranking | None, vector: Ranking | None, evidence: Evidence | None
) -> tuple[Hit, ...]:
    keyword_ranks, vector_ranks = (keyword or EMPTY).ranks(), (vector or EMPTY).ranks()
    hits = []
    for rank, (passage, score) in enumerate(zip(chosen.passages, chosen.scores, strict=True), start=1):
        in_keyword, in_vector = keyword_ranks.get(passage.chunk), vector_ranks.get(passage.chunk)
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
                keyword_rank=in_keyword,
                keyword_score=float(keyword.scores[in_keyword - 1]) if keyword and in_keyword else None,
                vector_rank=in_vector,
                vector_score=float(vector.scores[in_vector - 1]) if vector and in_vector else None,
                copies=chosen.copies.get(passage.chunk, ()),
                relevance=_relevance(evidence, passage.chunk),
            )
        )
    return tuple(hits)


def _relevance(evidence: Evidence | None, chunk: int) -> float | None:
    if evidence is None or evidence.relevance is None or (place := evidence.at(chunk)) is None:
        return None
    return float(evidence.relevance[place])


class Clock:
    """Measures steps: `laps` are their seconds, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        """End a step, and begin the next."""
        now = time.perf_counter()
        self.laps[step] = now - self._last
        self._last = now
