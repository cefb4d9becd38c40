"""An expected document, followed through a search: the first stage that lost it, and what would have shown it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Restriction
from hybridstore.records import Trace
from hybridstore.search import remedies
from hybridstore.search.remedies import DEEP, Changes, FailedSearch, best
from hybridstore.search.trace_text import tell_parts, tell_ranks
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import describe


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Where a document that ought to be found got lost.

    `lost` names the first stage that lost it ("restricted", "legs", "relevance", "fusion", "selection"), or is None
    when it is among the hits. Ranks are its best chunk's in each leg, followed deeper than the search went, and in the
    fused ranking; `relevance` is the highest of its chunks. Each of `remedies` holds arguments for the same search that
    show it. `weights` is the range (least, most) of the keyword leg's weight within which it would be shown; None where
    there is no such range, or weights did not lose it.
    """

    document_id: str
    lost: str | None
    story: str
    rank: int | None = None
    keyword_rank: int | None = None
    vector_rank: int | None = None
    relevance: float | None = None
    remedies: tuple[Changes, ...] = ()
    weights: tuple[float, float] | None = None


def follow(trace: Trace, backend: Backend, analyser: Analyser, asked: FailedSearch, document_id: str) -> Expected:
    """Follow a document through the search; raises NotFound for an unknown id."""
    here = [hit for hit in trace.hits if hit.document_id == document_id]
    if here:
        first = here[0]
        return Expected(
            document_id=document_id,
            lost=None,
            story=f"{document_id} was found, at rank {first.rank}: {tell_ranks(first)}."
            + _left_out(trace, backend, document_id),
            rank=first.rank,
            keyword_rank=first.keyword_rank,
            vector_rank=first.vector_rank,
            relevance=first.relevance,
        )
    backend.get(document_id)  # raises NotFound, with what to do
    chunks: set[int] = set()
    for reason, restriction in _restrictions(trace, backend, analyser, asked):
        left = set(backend.chunks_of(document_id, restriction))
        if not left:
            found = None if chunks else _unfiltered(backend, asked, document_id)
            remedy = f" Without the filter it is shown{_also(found, 'where')}." if found else ""
            return Expected(
                document_id=document_id,
                lost="restricted",
                story=f"{document_id} was not searched at all: {reason}.{remedy}",
                remedies=(found,) if found else (),
            )
        chunks = left
    return _SearchPath(trace, asked, document_id, frozenset(chunks)).through()


def _restrictions(
    trace: Trace, backend: Backend, analyser: Analyser, asked: FailedSearch
) -> Iterator[tuple[str, Restriction]]:
    """Give what a chunk had to pass, each with all before it, and what to say of a document that fails there."""
    where = asked.where
    phrases = tuple(filter(None, (analyser.phrase(phrase) for phrase in trace.phrases)))
    kept = tuple(phrase for phrase in phrases if backend.holds(phrase, Restriction(where=where)))
    excluded = tuple(filter(None, (analyser.phrase(phrase) for phrase in trace.excluded)))
    yield "it does not pass the filter", Restriction(where=where)
    yield "no chunk of it that passes holds every quoted phrase", Restriction(where=where, phrases=kept)
    yield "each chunk of it that passes holds an excluded word", Restriction(where, kept, excluded)
    for count, part in enumerate(trace.matching, start=1):
        why = f"of its chunks that pass the rest, each fails at: {describe(part)}"
        yield why, Restriction(where, kept, excluded, trace.matching[:count])


def _unfiltered(backend: Backend, asked: FailedSearch, document_id: str) -> Changes | None:
    if asked.where is None:
        return None
    return remedies.working(asked, document_id, backend.chunks_of(document_id, Restriction()), {"where": None})


@dataclass(frozen=True, slots=True)
class _Lost:
    """What a stage did to a document it lost, in words and in remedies."""

    stage: str
    why: str
    remedies: tuple[Changes, ...]
    more: str = ""
    weights: tuple[float, float] | None = None
    weighed: str = ""


@dataclass(frozen=True, slots=True)
class _SearchPath:
    """The way through legs, threshold, fusion and selection of the `chunks` of a document that were searched."""

    trace: Trace
    asked: FailedSearch
    document_id: str
    chunks: Collection[int]

    def through(self) -> Expected:
        trace = self.trace
        keyword_rank, vector_rank = best(trace.keyword, self.chunks), best(trace.vector, self.chunks)
        lacking = (trace.keyword and not keyword_rank) or (trace.vector and not vector_rank)
        deep = self.asked.again(depth=max(DEEP, trace.limit)) if lacking else trace
        said = []
        if trace.keyword is not None:
            keyword_rank = keyword_rank or best(deep.keyword, self.chunks)
            said.append(_leg("keyword", keyword_rank, deep, "it holds no word that was looked for"))
        if trace.vector is not None:
            vector_rank = vector_rank or best(deep.vector, self.chunks)
            otherwise = "it has no vector" if len(trace.vector) else "the vector leg found nothing"
            said.append(_leg("vector", vector_rank, deep, otherwise))
        rank, legs = best(trace.fused, self.chunks), "; ".join(said)
        reached = Expected(
            document_id=self.document_id,
            lost="legs",
            story=f"{self.document_id} was no candidate: {legs}.",
            rank=rank,
            keyword_rank=keyword_rank,
            vector_rank=vector_rank,
            relevance=self._relevance(),
        )
        if rank is None:
            return self._no_candidate(reached)
        least, relevance = self.asked.min_relevance, reached.relevance
        if least is not None and relevance is not None and relevance < least:
            lost = self._irrelevant(least, relevance)
        else:
            rank = best(trace.fused, self._relevant(least)) or rank
            lost = self._passed_over(rank) or self._outranked(rank, keyword_rank, vector_rank)
        return replace(
            reached,
            rank=rank,
            lost=lost.stage,
            story=f"{self.document_id} was ranked at {rank}, {lost.why}: {legs}.{lost.more}{_shown_with(lost.remedies)}"
            + lost.weighed,
            remedies=lost.remedies,
            weights=lost.weights,
        )

    def _relevance(self) -> float | None:
        return max(self._relevances().values(), default=None)

    def _relevant(self, least: float | None) -> Collection[int]:
        """Give those of the chunks that the threshold let through."""
        if least is None:
            return self.chunks
        return [chunk for chunk, relevance in self._relevances().items() if relevance >= least]

    def _relevances(self) -> dict[int, float]:
        evidence = self.trace.evidence
        if evidence is None or evidence.relevance is None:
            return {}
        places = ((chunk, evidence.at(chunk)) for chunk in self.chunks)
        return {chunk: float(evidence.relevance[place]) for chunk, place in places if place is not None}

    def _working(self, changes: Changes) -> tuple[Changes, ...]:
        found = remedies.working(self.asked, self.document_id, self.chunks, changes)
        return () if found is None else (found,)

    def _no_candidate(self, reached: Expected) -> Expected:
        ranks = [rank for rank in (reached.keyword_rank, reached.vector_rank) if rank]
        start = max(min(ranks, default=0), self.trace.depth + 1)
        deeper = remedies.deep_enough(self.asked, self.chunks, start) if ranks else None
        if deeper is None:
            return reached
        depth, rank = deeper
        found = self._working({"depth": depth})
        story = f"{reached.story} It becomes a candidate with depth={depth}, ranked at {rank}"
        if found and found[0] == {"depth": depth}:
            story += ", and is shown"
        elif found:
            story += f", and is shown with {_call(found[0])}"
        return replace(reached, story=f"{story}.", remedies=found)

    def _irrelevant(self, least: float, relevance: float) -> _Lost:
        why = f"but its relevance is {relevance:.2f} of the {least:.2f} asked for"
        return _Lost("relevance", why, self._working({"min_relevance": math.floor(100 * relevance) / 100}))

    def _passed_over(self, rank: int) -> _Lost | None:
        """Say what the selection did to it; None where it is not the selection that lost it."""
        trace, selection = self.trace, self.trace.selection
        if selection is None:
            return None
        into = selection.folded.get(int(trace.fused.chunks[rank - 1]))
        other = next((hit for hit in trace.hits if hit.chunk_id == into), None)
        if other is not None:
            why = f"and folded into {other.document_id} at rank {other.rank}, which says the same"
            return _Lost("selection", why, self._working({"unique": False}))
        if selection.diversity and rank <= trace.limit:
            why = f"but those shown were chosen for being less alike, with diversity {selection.diversity:g}"
            return _Lost("selection", why, self._working({"diversity": 0.0}))
        return None

    def _outranked(self, rank: int, keyword_rank: int | None, vector_rank: int | None) -> _Lost:
        trace, least = self.trace, self.asked.min_relevance
        why = f"below the {len(trace.hits)} shown"
        if trace.hits and (trace.selection is None or not trace.selection.diversity):
            own = trace.fused.scores[rank - 1]
            why += f", the last of which scored {trace.hits[-1].score:.4f}, this {own:.4f}"
        parts = tell_parts(trace, int(trace.fused.chunks[rank - 1]))
        found = self._working({"limit": rank})
        if trace.mode == "hybrid" and least is None:  # one leg alone knows no relevance
            for leg, place in (("keyword", keyword_rank), ("vector", vector_rank)):
                if place is not None and place <= trace.limit:
                    found += self._working({"mode": leg})
        lost = _Lost("fusion", why, found, more=f" Its score is {parts}." if parts else "")
        if parts is None or trace.selection is not None:
            return lost
        weights = remedies.weights(trace, self.chunks, least)
        return replace(lost, weights=weights, weighed=_weighed(weights, trace))


def _leg(name: str, rank: int | None, deep: Trace, otherwise: str) -> str:
    """Tell where a leg has it, or why it does not, as far as the deeper search knows."""
    if rank is not None:
        return f"the {name} leg has it at {rank}"
    ranking = deep.keyword if name == "keyword" else deep.vector
    beyond = ranking is not None and len(ranking) >= deep.depth
    return f"the {name} leg does not have it among its first {deep.depth:,}" if beyond else otherwise


def _weighed(weights: tuple[float, float] | None, trace: Trace) -> str:
    now = f"instead of {trace.weights[0]:.2f}"
    if weights is None:
        return f" No weights of the legs put it among the first {trace.limit}."
    low, high = weights
    if high == 1:
        return f" It would be shown if the keyword leg weighed at least {low:g} {now}."
    if low == 0:
        return f" It would be shown if the keyword leg weighed at most {high:g} {now}."
    return f" It would be shown if the keyword leg weighed from {low:g} to {high:g} {now}."


def _shown_with(found: tuple[Changes, ...]) -> str:
    return f" It is shown with {', or with '.join(map(_call, found))}." if found else ""


def _also(found: Changes, name: str) -> str:
    more = {key: value for key, value in found.items() if key != name}
    return f" with {_call(more)}" if more else ""


def _call(changes: Changes) -> str:
    """Write changes as they are written in a call: `limit=14 and depth=431`."""
    return " and ".join(f"{name}={value!r}" for name, value in changes.items())


def _left_out(trace: Trace, backend: Backend, document_id: str) -> str:
    """Tell how many more chunks of a document that was found its share kept out."""
    if trace.selection is None or not trace.selection.capped:
        return ""
    more = len(set(trace.selection.capped).intersection(backend.chunks_of(document_id, Restriction())))
    return f" {more} more of its chunks were left out by per_document={trace.selection.per_document}." if more else ""
