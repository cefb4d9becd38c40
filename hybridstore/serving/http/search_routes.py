"""Searching: passages for a question, how they were ranked, and what the ranking is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import fields
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, HTTPException, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from hybridstore.errors import InputError
from hybridstore.integrations import openai
from hybridstore.records import MAX_ERROR, Hit, Results, Trace
from hybridstore.search.completion import completed
from hybridstore.search.query_plan import has_words
from hybridstore.search.rewriting import Rewrite
from hybridstore.search.spelling import corrected
from hybridstore.serving import warm_search
from hybridstore.serving.http.context import CACHED, Context, Shared, all_of
from hybridstore.serving.http.guard import is_local
from hybridstore.store.inputs import SearchOptions
from hybridstore.tables import to_plain

router = APIRouter(tags=["search"])

MOST = 200  # results of one request
_TEXTS = ("keywords", "meaning", "answer")  # of a caller that rewrites by itself


class SearchParameters(BaseModel):
    """What to search for, and how; see `Store.search`."""

    model_config = ConfigDict(extra="forbid")

    q: str = Field(description='The question or the words; "quoted words" must occur as a phrase.', max_length=10_000)
    limit: int = Field(10, ge=1, le=MOST, description="Number of passages.")
    kind: Literal["all", "documents", "notes"] = Field("all", description="What to search.")
    where: list[str] = Field(
        [],
        max_length=50,
        description='Conditions on metadata that must all hold: year>=2020, lang=en, tags~word, or {"lang": "en"}.',
    )
    exclude: list[str] = Field([], max_length=50, description="Words and phrases that must not occur.")
    mode: Literal["hybrid", "keyword", "vector"] = Field("hybrid", description="Both legs, or one of them.")
    legs: list[str] | None = Field(
        None, description="Instead of a mode: keyword, vector, or embedders' names.", max_length=10
    )
    fusion: Literal["adaptive", "rrf", "idf-rrf", "convex"] = Field("adaptive", description="How both legs are fused.")
    depth: int | None = Field(None, ge=1, le=10_000, description="Candidates of each leg.")
    syntax: Literal["simple", "advanced", "algebra", "web"] = Field(
        "simple",
        description="advanced has AND, OR, NOT and prefix*; algebra joins what is searched for by & | ~; web is as for "
        "web search: quotation marks do not bind.",
    )
    per: Literal["chunk", "document"] = Field("chunk", description="What meets the conditions of an algebra query.")
    norm: Literal["product", "lukasiewicz", "godel"] = Field(
        "product", description="How an algebra query joins truths."
    )
    hops: int = Field(
        1, ge=1, le=4, description="How many searches deep the best passages are followed to others by names in them."
    )
    rewrite: bool = Field(
        False, description="Where the search looks unsure, ask the server's language model (`serve --rewrite`) as well."
    )
    keywords: str = Field("", max_length=2_000, description="Instead: more words that a passage may have.")
    meaning: str = Field("", max_length=2_000, description="And the question in other words, for its meaning alone.")
    answer: str = Field("", max_length=2_000, description="And a passage, as an answer might have it.")
    min_relevance: float | None = Field(None, ge=0, le=1, description="Leave out what is less relevant.")
    max_error: float = Field(
        MAX_ERROR, gt=0, lt=1, description="The share of what is `answered` that may have no answer here."
    )
    unique: bool = Field(False, description="Only the best of near-identical passages.")
    per_document: int | None = Field(None, ge=1, description="The most passages of one document.")
    diversity: float = Field(0.0, ge=0, le=1, description="The penalty for being like passages above.")
    log: bool = Field(True, description="False keeps it out of the query log, if the server keeps one (`--log`).")

    def options(self, context: Context) -> SearchOptions:
        """Return the options of `Store.search`; raises InputError for a condition that cannot be read."""
        own = {"q", "kind", "where", "log", "expect", "rewrite", "max_error", *_TEXTS}
        options: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields if name not in own}
        visible = context.scope.filter(self.kind, where=all_of(self.where))
        return cast("SearchOptions", options | {"where": visible, "rewrite": self._rewrite(context)})

    def _rewrite(self, context: Context) -> Rewrite | dict[str, str] | None:
        if texts := {name: text for name in _TEXTS if (text := getattr(self, name))}:
            return texts
        if self.rewrite and context.rewrite is None:
            raise InputError("this server has no language model: start it with --rewrite URL, or leave out rewrite")
        return context.rewrite if self.rewrite else None


class Passage(BaseModel):
    """A passage that was found. `highlights` are the spans of `text`, in characters, of words that were searched for.

    `relevance`, from 0 to 1, is how likely it is that the question has an answer here. `start` and `end` are characters
    of the document. `keyword_score` is BM25, `vector_score` the cosine; null where the leg did not find the passage.
    """

    document_id: str
    text: str
    score: float
    rank: int
    title: str
    uri: str
    heading: str
    start: int
    end: int
    chunk_id: int
    metadata: dict[str, Any]
    relevance: float | None
    keyword_rank: int | None
    keyword_score: float | None
    vector_rank: int | None
    vector_score: float | None
    copies: list[str]
    highlights: list[tuple[int, int]]


class Hop(BaseModel):
    """A search that a passage led to: how deep it is, the passage, its query, and the best chunks that it found."""

    number: int
    chunk_id: int
    document_id: str
    query: str
    found: list[int]


class Rewritten(BaseModel):
    """Whether the language model was asked, and why not; the texts that were searched for as well, or the error."""

    asked: bool
    reason: str
    texts: list[dict[str, Any]]
    error: str
    seconds: float


class SearchAnswer(BaseModel):
    """The passages, best first. A `confidence` below 0.5 says that probably nothing here answers the question.

    `answered` says whether it passes for the share of errors that was asked for; null where the confidence is.
    """

    query: str
    hits: list[Passage]
    confidence: float | None
    answered: bool | None
    notes: list[str] = Field(description="Sentences for people, such as that a word was probably mistyped.")
    filled: float = Field(description="The share of the passages that have a vector already.")
    path: list[Hop] = Field(description="With `hops`: which passage led where.")
    rewriting: Rewritten | None = Field(description="With `rewrite` or texts instead: what became of it.")
    milliseconds: float
    revision: int


def passages(context: Context, trace: Trace, hits: Sequence[Hit]) -> Iterator[Passage]:
    """Yield hits with the places of the words that were searched for."""
    terms = {term.text for term in trace.terms}
    analyser = context.store.analyser
    for hit in hits:
        facts = {each.name: getattr(hit, each.name) for each in fields(Hit)}
        yield Passage(**facts, highlights=list(analyser.spans(hit.text, terms)))


@router.get("/search", dependencies=[CACHED])
def search(context: Shared, request: Annotated[SearchParameters, Query()]) -> SearchAnswer:
    """Find the passages that best answer a question, by its words and by its meaning."""
    with nullcontext() if request.log else context.store.unlogged():
        results: Results = context.store.search(request.q, **request.options(context))
    trace = results.trace
    return SearchAnswer(
        query=request.q,
        hits=list(passages(context, trace, trace.hits)),
        confidence=results.confidence,
        answered=results.answered(request.max_error),
        notes=list(trace.notes),
        filled=trace.filled,
        path=[Hop(**to_plain(hop)) for hop in trace.path],
        rewriting=None if trace.rewriting is None else Rewritten(**to_plain(trace.rewriting)),
        milliseconds=1000 * sum(trace.timings.values()),
        revision=trace.revision,
    )


class CommandSearch(BaseModel):
    """A search of the command line; see `hybridstore.serving.warm_search`."""

    query: str
    conditions: list[str]
    how: dict[str, Any]


command = APIRouter(include_in_schema=False)


@command.post(warm_search.PATH)
def search_for_command(context: Shared, request: Request, body: CommandSearch) -> dict[str, Any]:
    """Search everything for the owner of the file, who may read all of it."""
    if not is_local(request.scope):
        raise HTTPException(404)
    where = all_of(body.conditions) if body.conditions else None
    with context.store.unlogged():
        return warm_search.search(context.store, body.query, body.how | {"where": where})


class ExplainParameters(SearchParameters):
    """What to search for, and a document that should be found."""

    expect: str | None = Field(None, description="The document's id.", max_length=4096)


class Line(BaseModel):
    """A line of an explanation; `kind` is query, note, fact, confidence, hit, detail, expected, timing or empty."""

    text: str
    kind: str


class ExplainAnswer(BaseModel):
    """A search explained: in lines for people, and as the whole trace, with both legs' rankings."""

    lines: list[Line]
    trace: dict[str, Any]


@router.get("/explain", dependencies=[CACHED])
async def explain(context: Shared, request: Annotated[ExplainParameters, Query()]) -> ExplainAnswer:
    """Search, and explain the ranking: what each leg found, how both are fused, where an expected document got lost."""

    def explained() -> ExplainAnswer:
        if request.expect is not None:
            context.scope.check_visible(request.expect)
        explanation = context.store.explain(request.q, expect=request.expect, **request.options(context))
        lines = [Line(text=line.text, kind=line.kind) for line in explanation.lines()]
        return ExplainAnswer(lines=lines, trace=explanation.to_dict())

    return await context.in_thread(explained)  # it may search several times


class Candidate(BaseModel):
    """A candidate of either leg: its ranks, its scores, and the evidence that the fused score is made of.

    `keyword` and `coverage` are from 0 to 1, `vector` is a z-score (estimated, where the vector is still to be made).
    """

    chunk_id: int
    document_id: str
    title: str
    fused_rank: int
    score: float
    keyword_rank: int | None
    keyword_score: float | None
    vector_rank: int | None
    vector_score: float | None
    keyword: float | None
    coverage: float | None
    vector: float | None
    relevance: float | None
    estimated: bool


class EvidenceAnswer(BaseModel):
    """The best candidates as the fusion ranked them. `weights` are those of the keyword and the vector leg."""

    query: str
    weights: tuple[float, float]
    power: float | None
    confidence: float | None
    candidates: list[Candidate]


@router.get("/evidence", dependencies=[CACHED])
def evidence(context: Shared, request: Annotated[SearchParameters, Query()]) -> EvidenceAnswer:
    """Return the evidence for the best candidates, at most `limit`, so that other weights can be tried."""
    store = context.store
    with store.snapshot(), store.unlogged():
        trace = store.search(request.q, **request.options(context)).trace
        best = trace.fused.chunks[: request.limit].tolist()
        there = {passage.chunk: passage for passage in store.chunks.passages(best)}
    legs = {name: (leg.ranks(), leg.scores) for name in ("keyword", "vector") if (leg := getattr(trace, name))}
    candidates = []
    for rank, chunk in enumerate(best, start=1):
        found: dict[str, Any] = {}
        for name in ("keyword", "vector"):
            ranks, scores = legs.get(name, ({}, ()))
            at = ranks.get(chunk)
            found |= {f"{name}_rank": at, f"{name}_score": None if at is None else float(scores[at - 1])}
        candidates.append(
            Candidate(
                chunk_id=chunk,
                document_id=there[chunk].document_id,
                title=there[chunk].title,
                fused_rank=rank,
                score=float(trace.fused.scores[rank - 1]),
                **found,
                **_parts(trace, chunk),
            )
        )
    confidence = None if trace.evidence is None else trace.evidence.confidence
    return EvidenceAnswer(
        query=request.q, weights=trace.weights, power=trace.power, confidence=confidence, candidates=candidates
    )


def _parts(trace: Trace, chunk: int) -> dict[str, Any]:
    known = trace.evidence
    index = None if known is None else known.at(chunk)
    if known is None or index is None:
        return dict.fromkeys(("keyword", "coverage", "vector", "relevance")) | {"estimated": False}
    parts: dict[str, Any] = {name: float(getattr(known, name)[index]) for name in ("keyword", "coverage", "vector")}
    relevance = None if known.relevance is None else float(known.relevance[index])
    return parts | {"relevance": relevance, "estimated": known.is_estimated(chunk)}


class Suggestions(BaseModel):
    """What a query that is being typed may become: with its last word completed, and with words that are known."""

    queries: list[str] = Field(description="The query with its last word completed, the most frequent first.")
    corrected: str | None = Field(description="The query without words that were probably mistyped.")


@router.get("/suggestions", dependencies=[CACHED])
def suggestions(
    context: Shared,
    q: Annotated[str, Query(max_length=1000, description="What has been typed.")] = "",
    limit: Annotated[int, Query(ge=1, le=50, description="Queries of the answer.")] = 8,
) -> Suggestions:
    """Complete the last word of a query from the store's vocabulary, and correct words that no passage has."""
    store, visible = context.store, context.scope.filter()
    words = store.complete(q, limit=limit, where=visible)
    notes: Sequence[str] = ()
    if has_words(q) and not words:
        with store.unlogged():
            notes = store.search(q, limit=1, mode="keyword", where=visible).notes
    return Suggestions(queries=[completed(q, word) for word in words], corrected=corrected(q, notes))


class OpenAISearch(BaseModel):
    """The body of a search of OpenAI's vector stores."""

    query: str | list[str] = Field(description="The question, or several.")
    max_num_results: int = Field(10, description="From 1 to 50.")
    filters: dict[str, Any] | None = Field(None, description="OpenAI's comparisons and compounds.")
    ranking_options: dict[str, Any] | None = Field(None, description='{"score_threshold": 0.5}')
    rewrite_query: bool = Field(False, description="Without effect.")


@router.post("/v1/vector_stores/{vector_store_id}/search")
def search_like_openai(
    context: Shared,
    vector_store_id: Annotated[str, Path(description="Any name; there is one store.")],
    body: OpenAISearch,
) -> dict[str, Any]:
    """Search with OpenAI's request and answer: its client works with `base_url=".../api/v1"`."""
    del vector_store_id
    with context.store.unlogged():
        return dict(openai.search(context.store, where=context.scope.filter("documents"), **body.model_dump()))
