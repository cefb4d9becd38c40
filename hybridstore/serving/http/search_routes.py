"""Searching: passages for a question, how they were ranked, and what the ranking is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import fields
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from hybridstore import filters
from hybridstore.records import Hit, Results, Trace
from hybridstore.serving.http.context import CACHED, Context, Shared
from hybridstore.store.inputs import SearchOptions

router = APIRouter(tags=["search"])

MOST = 200  # results of one request


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
    syntax: Literal["simple", "advanced"] = Field("simple", description="advanced has AND, OR, NOT and prefix*.")
    min_relevance: float | None = Field(None, ge=0, le=1, description="Leave out what is less relevant.")
    unique: bool = Field(False, description="Only the best of near-identical passages.")
    per_document: int | None = Field(None, ge=1, description="The most passages of one document.")
    diversity: float = Field(0.0, ge=0, le=1, description="The penalty for being like passages above.")
    log: bool = Field(False, description="Keep the question in the store's query log, if the server keeps one.")

    def options(self, context: Context) -> SearchOptions:
        """Return the options of `Store.search`; raises InputError for a condition that cannot be read."""
        own = {"q", "kind", "where", "log"}
        options: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields if name not in own}
        where = filters.And(tuple(map(filters.from_text, self.where)))
        return cast("SearchOptions", options | {"where": context.scope.filter(self.kind, where=where)})


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


class SearchAnswer(BaseModel):
    """The passages, best first. A `confidence` below 0.5 says that probably nothing here answers the question."""

    query: str
    hits: list[Passage]
    confidence: float | None
    notes: list[str] = Field(description="Sentences for people, such as that a word was probably mistyped.")
    filled: float = Field(description="The share of the passages that have a vector already.")
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
        notes=list(trace.notes),
        filled=trace.filled,
        milliseconds=1000 * sum(trace.timings.values()),
        revision=trace.revision,
    )
