"""The way of a query, top to bottom: read it, ask both legs, fuse, select and fetch what is shown, keep the Trace."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.analysis import Analyser
from hybridstore.backends.base import Backend, Restriction
from hybridstore.errors import EmbedderMismatch, InputError
from hybridstore.expressions import Expression, passes_empty, positive, tell
from hybridstore.filters import Filter
from hybridstore.records import Hit, Ranking, Term, Trace
from hybridstore.search import fusion
from hybridstore.search.planning import Plan, plan
from hybridstore.search.selection import Chosen, Wanted, choose
from hybridstore.search.syntax import SYNTAXES

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODES = ("hybrid", "keyword", "vector")
FUSIONS = ("rrf",)
# Candidates a leg, at least. Between 50 and 1,000 the fused quality moves by 0.013 nDCG@10 on eleven collections;
# beyond 200 the scan's cost grows faster than that.
DEPTH = 200

_EMPTY = Ranking(np.empty(0, np.int64), np.empty(0, np.float64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a caller asked for, checked.

    `embed` gives the query's vector and the fingerprint of what made it (None: the caller), or None where the
    store has no vectors or the query no words.
    """

    query: str
    limit: int
    mode: str
    fusion: str
    depth: int
    where: Filter | None
    embed: Callable[[str], tuple[NDArray[np.float32], str | None] | None]
    wanted: Wanted
    syntax: str = "simple"


def search(backend: Backend, analyser: Analyser, request: Request) -> Trace:
    """Run a request and give the Trace. Everything is read from one state of the store."""
    clock = _Clock()
    notes: list[str] = []
    asked = plan(request.query, analyser, request.syntax)
    clock.lap("plan")
    embedded = request.embed(asked.text) if request.mode != "keyword" else None
    clock.lap("embed")
    with backend.snapshot():
        asked, restriction = _satisfiable(backend, asked, request, notes)
        keyword_ranking = vector_ranking = None
        terms: tuple[Term, ...] = ()
        if request.mode != "vector":
            keyword_ranking, terms = backend.match(asked.keyword, request.depth, restriction)
        clock.lap("keyword")
        if embedded is not None:
            if embedded[1] is not None:
                _agree(backend, embedded[1])
            vector_ranking = backend.nearest(embedded[0], request.depth, restriction)
        elif request.mode != "keyword" and asked.text.strip():
            why = "has no vectors" if backend.embedding() is None else "was opened without an embedder"
            what = "only keywords were" if request.mode == "hybrid" else "nothing was"
            notes.append(f"The store {why}, so {what} searched.")
        clock.lap("vector")
        fused = _fuse(keyword_ranking, vector_ranking)
        clock.lap("fuse")
        chosen = choose(backend, fused, request.limit, request.wanted)
        clock.lap("fetch")
        revision = backend.revision()
    return Trace(
        query=request.query,
        mode=request.mode,
        fusion=request.fusion,
        limit=request.limit,
        depth=request.depth,
        terms=terms,
        phrases=asked.phrases,
        excluded=asked.excluded,
        keyword=keyword_ranking,
        vector=vector_ranking,
        weights=(1.0, 1.0),
        fused=fused,
        hits=_hits(chosen, keyword_ranking, vector_ranking),
        timings=clock.laps,
        notes=tuple(notes),
        revision=revision,
        selection=chosen.selection,
        syntax=request.syntax,
        matching=asked.keyword.matching,
    )


def checked(query: str, *, limit: int, mode: str, fusion: str, depth: int | None, syntax: str = "simple") -> int:
    """Check a caller's arguments and give the depth to use; raises InputError."""
    if not isinstance(query, str):
        raise InputError(f"a query is a string, not {type(query).__name__}")
    if not isinstance(limit, int) or limit < 1:
        raise InputError(f"limit must be a whole number of at least 1, not {limit!r}")
    if mode not in MODES:
        raise InputError(f"mode {mode!r} is not known; choose one of {', '.join(MODES)}")
    if fusion not in FUSIONS:
        raise InputError(f"fusion {fusion!r} is not known; choose one of {', '.join(FUSIONS)}")
    if syntax not in SYNTAXES:
        raise InputError(f"syntax {syntax!r} is not known; choose one of {', '.join(SYNTAXES)}")
    if depth is not None and (not isinstance(depth, int) or depth < limit):
        raise InputError(
            f"depth (candidates of each leg) must be a whole number of at least limit = {limit}, not {depth!r}"
        )
    return depth or max(DEPTH, 2 * limit)


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
            notes.append(f"No passage has {tell(each)}, so it was searched for anywhere.")
    keyword = replace(read, terms=(*read.terms, *loose), phrases=tuple(kept), matching=tuple(matching))
    return replace(asked, keyword=keyword), Restriction(where, keyword.phrases, keyword.excluded, keyword.matching)


def _passed(backend: Backend, expression: Expression, where: Filter | None) -> bool:
    return any(
        backend.holds(words.tokens, Restriction(where, matching=(expression,))) for words in positive(expression)
    )


def _agree(backend: Backend, fingerprint: str) -> None:
    stored = backend.embedding()
    if stored is not None and stored.fingerprint != fingerprint:
        raise EmbedderMismatch(stored.fingerprint, fingerprint)


def _fuse(keyword: Ranking | None, vector: Ranking | None) -> Ranking:
    if keyword is None or vector is None:
        return keyword or vector or _EMPTY
    return fusion.rrf(keyword, vector)


def _hits(chosen: Chosen, keyword: Ranking | None, vector: Ranking | None) -> tuple[Hit, ...]:
    keyword_ranks, vector_ranks = (keyword or _EMPTY).ranks(), (vector or _EMPTY).ranks()
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
            )
        )
    return tuple(hits)


class _Clock:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.laps[step] = now - self._last
        self._last = now
