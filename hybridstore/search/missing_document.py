"""An expected document followed through a search: the first stage that lost it, and what would have shown it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Restriction
from hybridstore.records import Trace, Truths
from hybridstore.search import remedies
from hybridstore.search.remedies import DEEP, Changes, FailedSearch, best
from hybridstore.search.trace_text import describe_parts, describe_ranks
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import describe


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What became of an expected document.

    `lost` names the first stage that lost it ("restricted", "legs", "relevance", "fusion", "selection"); None when it
    is among the hits. Ranks are those of its best chunk in each leg, followed deeper than the search went, and in the
    fused ranking; `relevance` is the highest of its chunks. Each of `remedies` holds arguments with which the same
    search shows it. `weights` is the range (least, most) of the keyword leg's weight within which it would be shown;
    None where there is no such range, or weights did not lose it.
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


def follow(trace: Trace, backend: Backend, analyser: Analyser, search: FailedSearch, document_id: str) -> Expected:
    """Follow a document through the search; raises NotFound for an unknown id."""
    first = next((hit for hit in trace.hits if hit.document_id == document_id), None)
    if first is not None:
        return Expected(
            document_id=document_id,
            lost=None,
            story=f"{document_id} was found, at rank {first.rank}"
            + (f": {ranks}." if (ranks := describe_ranks(first)) else ".")
            + _left_out(trace, backend, document_id),
            rank=first.rank,
            keyword_rank=first.keyword_rank,
            vector_rank=first.vector_rank,
            relevance=first.relevance,
        )
    backend.get(document_id)  # raises NotFound, with what to do
    if trace.truths is not None:
        return _judged(trace, trace.truths, backend, document_id)
    chunks: set[int] = set()
    for reason, restriction in _restrictions(trace, analyser, search):
        left = set(_chunks(backend, document_id, restriction))
        if not left:
            remedy = None if chunks else _unfiltered(backend, search, document_id)
            hint = f" Without the filter it is shown{_also(remedy, 'where')}." if remedy else ""
            return Expected(
                document_id=document_id,
                lost="restricted",
                story=f"{document_id} was not searched at all: {reason}.{hint}",
                remedies=(remedy,) if remedy else (),
            )
        chunks = left
    return _SearchPath(trace, search, document_id, frozenset(chunks)).follow()


def _judged(trace: Trace, truths: Truths, backend: Backend, document_id: str) -> Expected:
    """Say how true the parts of a structured query are of a document that is not among the hits."""
    chunks = _chunks(backend, document_id, Restriction())
    judged = {chunk: parts for chunk in chunks if (parts := truths.of(chunk))}
    if not judged:
        story = f"{document_id} was no candidate: it does not meet the conditions, or is far from every part."
        return Expected(document_id=document_id, lost="legs", story=story)
    parts = max(judged.values(), key=lambda each: float(each[0]["truth"]))
    rank = best(trace.fused, judged)
    least = min((part for part in parts if part["level"] == min(1, parts[-1]["level"])), key=lambda part: part["truth"])
    where = "left out" if rank is None else f"ranked {rank}"
    story = f"{document_id} was {where}, with a truth of {parts[0]['truth']:.3f}"
    story += f"; what it lacks most is {least['part']} ({least['truth']:.3f})." if len(parts) > 1 else "."
    lost = "relevance" if rank is None else "fusion" if rank > trace.limit else "selection"
    return Expected(document_id=document_id, lost=lost, story=story, rank=rank, relevance=parts[0]["truth"])


def _restrictions(trace: Trace, analyser: Analyser, search: FailedSearch) -> Iterator[tuple[str, Restriction]]:
    """Yield the conditions on a chunk, each with all before it, and what to say of a document that fails there."""
    where = search.where
    phrases = tuple(filter(None, (analyser.phrase(phrase) for phrase in trace.phrases)))
    excluded = tuple(filter(None, (analyser.phrase(phrase) for phrase in trace.excluded)))
    yield "it does not pass the filter", Restriction(where=where)
    yield "none of its chunks that pass contains every quoted phrase", Restriction(where=where, phrases=phrases)
    yield "each of its chunks that pass contains an excluded word", Restriction(where, phrases, excluded)
    for count, part in enumerate(trace.matching, start=1):
        why = f"all of its chunks that pass the rest fail at: {describe(part)}"
        yield why, Restriction(where, phrases, excluded, trace.matching[:count])


def _chunks(backend: Backend, document_id: str, restriction: Restriction) -> list[int]:
    return backend.chunks_of([document_id], restriction).get(document_id, [])


def _unfiltered(backend: Backend, search: FailedSearch, document_id: str) -> Changes | None:
    if search.where is None:
        return None
    return remedies.working(search, document_id, _chunks(backend, document_id, Restriction()), {"where": None})


@dataclass(frozen=True, slots=True)
class _Loss:
    """What a stage did to a document it lost, in words, and the remedies."""

    stage: str
    why: str
    remedies: tuple[Changes, ...]
    more: str = ""
    weights: tuple[float, float] | None = None
    weights_text: str = ""


@dataclass(frozen=True, slots=True)
class _SearchPath:
    """The path of a document's searched `chunks` through legs, threshold, fusion and selection."""

    trace: Trace
    search: FailedSearch
    document_id: str
    chunks: Collection[int]

    def follow(self) -> Expected:
        trace = self.trace
        keyword_rank, vector_rank, legs = self._legs()
        rank = best(trace.fused, self.chunks)
        reached = Expected(
            document_id=self.document_id,
            lost="legs",
            story=f"{self.document_id} was no candidate: {legs}.",
            rank=rank,
            keyword_rank=keyword_rank,
            vector_rank=vector_rank,
            relevance=max(self._relevances().values(), default=None),
        )
        if rank is None:
            return self._no_candidate(reached)
        least, relevance = self.search.min_relevance, reached.relevance
        if least is not None and relevance is not None and relevance < least:
            loss = self._irrelevant(least, relevance)
        else:
            rank = best(trace.fused, self._relevant(least)) or rank
            loss = self._deselected(rank) or self._outranked(rank, keyword_rank, vector_rank)
        return replace(
            reached,
            rank=rank,
            lost=loss.stage,
            story=f"{self.document_id} was ranked at {rank}, {loss.why}: {legs}.{loss.more}"
            f"{_shown_with(loss.remedies)}{loss.weights_text}",
            remedies=loss.remedies,
            weights=loss.weights,
        )

    def _legs(self) -> tuple[int | None, int | None, str]:
        """Return the rank in each leg, searched deeper where a leg does not have it, and both in words."""
        trace = self.trace
        keyword_rank, vector_rank = best(trace.keyword, self.chunks), best(trace.vector, self.chunks)
        missing = (trace.keyword and not keyword_rank) or (trace.vector and not vector_rank)
        deep = self.search.again(depth=max(DEEP, trace.limit)) if missing else trace
        parts = []
        if trace.keyword is not None:
            keyword_rank = keyword_rank or best(deep.keyword, self.chunks)
            parts.append(_leg("keyword", keyword_rank, deep, "it contains none of the words searched for"))
        if trace.vector is not None:
            vector_rank = vector_rank or best(deep.vector, self.chunks)
            otherwise = "it has no vector" if len(trace.vector) else "the vector leg found nothing"
            parts.append(_leg("vector", vector_rank, deep, otherwise))
        for leg in deep.added:
            rank = best(leg.ranking, self.chunks)
            lacks = f"the {leg.name} leg does not have it among its first {deep.depth:,}"
            parts.append(lacks if rank is None else f"the {leg.name} leg ranks it at {rank}")
        return keyword_rank, vector_rank, "; ".join(parts)

    def _relevant(self, least: float | None) -> Collection[int]:
        """Return those of the chunks that pass the threshold."""
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
        remedy = remedies.working(self.search, self.document_id, self.chunks, changes)
        return () if remedy is None else (remedy,)

    def _no_candidate(self, reached: Expected) -> Expected:
        ranks = [rank for rank in (reached.keyword_rank, reached.vector_rank) if rank]
        start = max(min(ranks, default=0), self.trace.depth + 1)
        deeper = remedies.deep_enough(self.search, self.chunks, start) if ranks else None
        if deeper is None:
            return reached
        depth, rank = deeper
        shown = self._working({"depth": depth})
        story = f"{reached.story} It becomes a candidate with depth={depth}, ranked at {rank}"
        if shown and shown[0] == {"depth": depth}:
            story += ", and is shown"
        elif shown:
            story += f", and is shown with {_call(shown[0])}"
        return replace(reached, story=f"{story}.", remedies=shown)

    def _irrelevant(self, least: float, relevance: float) -> _Loss:
        why = f"but its relevance is {relevance:.2f}, below the required {least:.2f}"
        return _Loss("relevance", why, self._working({"min_relevance": math.floor(100 * relevance) / 100}))

    def _deselected(self, rank: int) -> _Loss | None:
        """Say what the selection did to it; None where it is not the selection that lost it."""
        trace, selection = self.trace, self.trace.selection
        if selection is None:
            return None
        into = selection.folded.get(int(trace.fused.chunks[rank - 1]))
        copy = next((hit for hit in trace.hits if hit.chunk_id == into), None)
        if copy is not None:
            why = f"and folded into {copy.document_id} at rank {copy.rank}, which says the same"
            return _Loss("selection", why, self._working({"unique": False}))
        if selection.diversity and rank <= trace.limit:
            why = f"but the hits were chosen to be less alike, with diversity {selection.diversity:g}"
            return _Loss("selection", why, self._working({"diversity": 0.0}))
        return None

    def _outranked(self, rank: int, keyword_rank: int | None, vector_rank: int | None) -> _Loss:
        trace, least = self.trace, self.search.min_relevance
        why = f"below the {len(trace.hits)} shown"
        if trace.hits and (trace.selection is None or not trace.selection.diversity):
            score = trace.fused.scores[rank - 1]
            why += f", the last of which scored {trace.hits[-1].score:.4f}, this one {score:.4f}"
        parts = describe_parts(trace, int(trace.fused.chunks[rank - 1]))
        shown = self._working({"limit": rank})
        if trace.mode == "hybrid" and least is None:  # a leg by itself knows no relevance
            for leg, place in (("keyword", keyword_rank), ("vector", vector_rank)):
                if place is not None and place <= trace.limit:
                    shown += self._working({"mode": leg})
        loss = _Loss("fusion", why, shown, more=f" Its score is {parts}." if parts else "")
        if parts is None or trace.selection is not None:
            return loss
        weights = remedies.weights(trace, self.chunks, least)
        return replace(loss, weights=weights, weights_text=_weights_text(weights, trace))


def _leg(name: str, rank: int | None, deep: Trace, otherwise: str) -> str:
    """Say where a leg ranks it, or why it does not, as far as the deeper search shows."""
    if rank is not None:
        return f"the {name} leg ranks it at {rank}"
    ranking = deep.keyword if name == "keyword" else deep.vector
    beyond = ranking is not None and len(ranking) >= deep.depth
    return f"the {name} leg does not have it among its first {deep.depth:,}" if beyond else otherwise


def _weights_text(weights: tuple[float, float] | None, trace: Trace) -> str:
    now = f"instead of {trace.weights[0]:.2f}"
    if weights is None:
        return f" No weights of the legs put it among the first {trace.limit}."
    low, high = weights
    if high == 1:
        return f" It would be shown if the keyword leg weighed at least {low:g} {now}."
    if low == 0:
        return f" It would be shown if the keyword leg weighed at most {high:g} {now}."
    return f" It would be shown if the keyword leg weighed from {low:g} to {high:g} {now}."


def _shown_with(changes: tuple[Changes, ...]) -> str:
    return f" It is shown with {', or with '.join(map(_call, changes))}." if changes else ""


def _also(changes: Changes, name: str) -> str:
    more = {key: value for key, value in changes.items() if key != name}
    return f" with {_call(more)}" if more else ""


def _call(changes: Changes) -> str:
    """Write changes as arguments of a call: `limit=14 and depth=431`."""
    return " and ".join(f"{name}={value!r}" for name, value in changes.items())


def _left_out(trace: Trace, backend: Backend, document_id: str) -> str:
    """Say how many more chunks of a document that was found per_document left out."""
    if trace.selection is None or not trace.selection.capped:
        return ""
    more = len(set(trace.selection.capped).intersection(_chunks(backend, document_id, Restriction())))
    return f" {more} more of its chunks were left out by per_document={trace.selection.per_document}." if more else ""
