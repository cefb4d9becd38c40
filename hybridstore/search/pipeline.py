"""The search pipeline: plan the query, run both legs, fuse, select and fetch the hits, and record a Trace."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend, SearchState
from hybridstore.backends.values import Calibration, Restriction
from hybridstore.records import Evidence, Hit, Leg, Ranking, Term, Trace, Truths
from hybridstore.search.query_plan import Plan, plan
from hybridstore.search.rank_fusion import EMPTY, Fused, LegResults, fuse, relevant
from hybridstore.search.request import ACTIVE, Request
from hybridstore.search.second_stage import reranked
from hybridstore.search.selection import SelectedPassages, select_passages
from hybridstore.search.spelling import as_typed, suggestions
from hybridstore.search.stopwords import stopwords_in
from hybridstore.search.transforms import transform_query
from hybridstore.search.unknown_fields import about_unknown_fields
from hybridstore.search.vector_legs import KEYWORD, AddedLeg, QueryVectors, names
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import Expression, describe, passes_empty, positive_words


def search(backend: Backend, analyser: Analyser, request: Request) -> Trace:
    """Run a request and return its Trace. Everything is read from one state of the store."""
    clock = Clock()
    query_plan = plan(request.query, analyser, request.syntax, tuple(request.exclude))
    notes = list(query_plan.notes)
    clock.lap("plan")
    embedded = request.embed(query_plan.text) if request.mode != "keyword" else None
    clock.lap("embed")
    with backend.snapshot(stale=True):
        state = state_of(backend, request)
        query_plan, restriction = satisfiable(backend, analyser, query_plan, request, notes)
        keyword = vector = query = model = None
        missing = EMPTY.chunks
        added: tuple[AddedLeg, ...] = ()
        terms: tuple[Term, ...] = ()
        if request.mode != "vector":
            keyword, terms = backend.match(query_plan.keyword, request.candidates, restriction)
            terms = as_typed(terms, query_plan.text, analyser)
            notes += suggestions(backend, analyser, terms, restriction)
        clock.lap("keyword")
        if embedded is not None:
            notes += embedded.notes
            if embedded.vector is not None:
                query, model = transform_query(state.model, state.embedding, embedded.vector, embedded.fingerprint)
                vector = backend.nearest(query, request.candidates, restriction)
                missing = backend.missing()
                if len(missing):
                    notes.append(while_filling(len(missing), state.chunks))
            if embedded.added:
                added = added_legs(backend, state, embedded, request.candidates, restriction)
        elif request.mode != "keyword" and query_plan.text.strip():
            notes.append(without_vectors(state, request))
        clock.lap("vector")
        legs = LegResults(query_plan.text, keyword, vector, terms, query, restriction, missing, added)
        fused = fuse(backend, request, state, legs)
        if not len(fused.ranking):
            notes += about_unknown_fields(backend, request.where)
        clock.lap("fuse")
        ranking = relevant(fused, request.min_relevance, notes)
        second = None
        if request.rerank is not None:
            ranking, second = reranked(backend, ranking, query_plan.text, request.rerank)
            clock.lap("rerank")
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
        hits=hits_of(selected, keyword, vector, fused.evidence),
        timings=clock.laps,
        notes=tuple(notes),
        revision=state.revision,
        replica=state.replica,
        selection=selected.selection,
        evidence=fused.evidence,
        ignored=query_plan.ignored,
        power=fused.power,
        syntax=request.syntax,
        matching=query_plan.keyword.matching,
        model=model,
        second=second,
        legs=_legs(state, legs, fused),
        filled=state.filled(len(missing)),
    )


def while_filling(missing: int, chunks: int) -> str:
    """Return the note for a search while not all chunks have a vector."""
    share = 100 * (chunks - missing) // max(chunks, 1)
    vectors = "1 vector is" if missing == 1 else f"{missing:,} vectors are"
    return (
        f"Meaning: {share} % of passages so far; {vectors} still to be made (`hybridstore embed` does it), and "
        "estimated from the passages' words until then."
    )


def added_legs(
    backend: Backend, state: SearchState, embedded: QueryVectors, depth: int, restriction: Restriction
) -> tuple[AddedLeg, ...]:
    """Search those of the added legs that the query was embedded for, unless another process has dropped them."""
    found = []
    for leg in state.legs:
        fingerprint = leg.embedding.fingerprint
        query = embedded.added.get(fingerprint)
        if query is not None and leg.calibration is not None:
            ranking = backend.nearest(query, depth, restriction, fingerprint)
            found.append(AddedLeg(fingerprint, leg.calibration, query, ranking))
    return tuple(found)


def _legs(state: SearchState, results: LegResults, fused: Fused) -> tuple[Leg, ...]:
    """Return the legs that ran, with what each counted."""
    legs = []
    if results.keyword is not None:
        legs.append(Leg(name=KEYWORD, ranking=results.keyword, weight=fused.weights[0]))
    vectors: list[tuple[str, Ranking, Calibration | None]] = []
    if results.vector is not None and state.embedding is not None:
        vectors.append((state.embedding.fingerprint, results.vector, state.calibration))
    vectors += [(leg.fingerprint, leg.ranking, leg.calibration) for leg in results.added]
    named = names([fingerprint for fingerprint, *_ in vectors])
    shares = fused.shares or (1.0,) * len(vectors)
    for (fingerprint, ranking, measured), share in zip(vectors, shares, strict=True):
        power = None if measured is None else measured.power
        legs.append(Leg(name=named[fingerprint], ranking=ranking, weight=fused.weights[1] * share, power=power))
    return tuple(legs)


def without_vectors(state: SearchState, request: Request) -> str:
    """Return the note for a search whose vector leg could not run."""
    reason = "has no vectors" if state.embedding is None else "was opened without an embedder"
    searched = "only keywords were" if request.mode == "hybrid" else "nothing was"
    return f"The store {reason}, so {searched} searched."


def state_of(backend: Backend, request: Request) -> SearchState:
    """Return the store's state, with the model version and the calibration of the request, if it is a trial."""
    state = backend.state()
    if request.model == ACTIVE and request.calibration is None:
        return state
    model = state.model if request.model == ACTIVE else request.model
    return replace(state, model=model, calibration=request.calibration or state.calibration)


def satisfiable(
    backend: Backend, analyser: Analyser, query_plan: Plan, request: Request, notes: list[str]
) -> tuple[Plan, Restriction]:
    """Replace phrases that occur nowhere by their words, with a note, as web search does.

    So are those that do not occur together with the ones before them. Conditions that no chunk meets are dropped
    likewise; in the advanced syntax they stay.
    """
    where, keyword = request.where, query_plan.keyword
    if not keyword.phrases and not keyword.matching:
        return query_plan, Restriction(where, excluded=keyword.excluded)
    phrases: dict[str, tuple[str, ...]] = {}
    dropped: list[str] = []
    for text, phrase in zip(query_plan.phrases, keyword.phrases, strict=True):
        if backend.holds(phrase, Restriction(where, tuple(phrases.values()))):
            phrases[text] = phrase
        else:
            dropped.append(text)
            alone = bool(phrases) and backend.holds(phrase, Restriction(where))
            notes.append(
                f'No passage contains the phrase "{text}"{_beside(phrases) if alone else ""}, '
                "so its words were searched for instead."
            )
    matching: list[Expression] = []
    for condition in keyword.matching:
        together = Restriction(where, tuple(phrases.values()), matching=(*matching, condition))
        if request.syntax == "advanced" or passes_empty(condition) or _is_met(backend, condition, together):
            matching.append(condition)
        else:
            alone = bool(phrases or matching) and _is_met(backend, condition, Restriction(where, matching=(condition,)))
            beside = _beside(phrases, matching) if alone else ""
            notes.append(f"No passage has {describe(condition)}{beside}, so it was searched for anywhere.")
    words = " ".join(dropped).split()
    stopwords = stopwords_in(words, analyser.language, alone=not (keyword.terms or phrases))
    more = analyser.terms(" ".join(word for word in words if word not in stopwords))
    keyword = replace(keyword, terms=(*keyword.terms, *more), phrases=tuple(phrases.values()), matching=tuple(matching))
    ignored = tuple(dict.fromkeys((*query_plan.ignored, *stopwords)))
    satisfiable = replace(query_plan, keyword=keyword, phrases=tuple(phrases), ignored=ignored)
    return satisfiable, Restriction(where, keyword.phrases, keyword.excluded, keyword.matching)


def _beside(phrases: Iterable[str], matching: Iterable[Expression] = ()) -> str:
    others = [*(f'"{text}"' for text in phrases), *map(describe, matching)]
    return f" together with {' and '.join(others)}"


def _is_met(backend: Backend, condition: Expression, restriction: Restriction) -> bool:
    return any(backend.holds(words.tokens, restriction) for words in positive_words(condition))


def hits_of(
    selected: SelectedPassages, keyword: Ranking | None, vector: Ranking | None, evidence: Evidence | Truths | None
) -> tuple[Hit, ...]:
    """Return the hits of selected passages, with their ranks in each leg, and their relevance by the evidence."""
    shown = np.array([passage.chunk for passage in selected.passages], np.int64)
    keyword_ranks, vector_ranks = _ranks_of(shown, keyword or EMPTY), _ranks_of(shown, vector or EMPTY)
    hits = []
    for rank, (passage, score) in enumerate(zip(selected.passages, selected.scores, strict=True), start=1):
        keyword_rank, vector_rank = keyword_ranks[rank - 1], vector_ranks[rank - 1]
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
                relevance=None if evidence is None else evidence.relevance_of(passage.chunk),
            )
        )
    return tuple(hits)


def _ranks_of(chunks: NDArray[np.int64], ranking: Ranking) -> list[int | None]:
    """Return the rank of each chunk, None for one that is not in the ranking."""
    if not len(ranking):
        return [None] * len(chunks)
    same = chunks[:, None] == ranking.chunks
    found = zip(same.any(axis=1).tolist(), same.argmax(axis=1).tolist(), strict=True)
    return [place + 1 if there else None for there, place in found]


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
