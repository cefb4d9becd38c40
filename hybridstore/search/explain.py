"""A Trace that tells itself: why each hit is where it is, and where an expected document got lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from hybridstore.backends.protocols import Backend
from hybridstore.records import Hit, Ranking, Trace
from hybridstore.search.missing_document import Expected, follow
from hybridstore.search.remedies import FailedSearch
from hybridstore.search.trace_text import (
    tell_alone,
    tell_confidence,
    tell_model,
    tell_parts,
    tell_ranks,
    tell_selection,
    tell_spread,
    tell_terms,
    tell_threshold,
    tell_weights,
)
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import describe

_LOOKED, _ALONE = 10, 3  # of a leg's ranking, so many chunks are looked at for so many documents


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation(Trace):
    """A search's Trace that can tell itself: `str()` is the story.

    `alone` gives for each of two legs the ids of the documents it would have put first, at most three, best first.
    `min_relevance` is what was asked for; `expected` is about the document asked for.
    """

    alone: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    min_relevance: float | None = None
    expected: Expected | None = None

    def __str__(self) -> str:
        return "\n".join(_story(self))


def explain(
    trace: Trace, backend: Backend, analyser: Analyser, asked: FailedSearch, *, expect: str | None = None
) -> Explanation:
    """Make a Trace tell itself, and follow an expected document through it; raises NotFound for an unknown id."""
    values = {each.name: getattr(trace, each.name) for each in fields(Trace)}
    legs = {"keyword": trace.keyword, "vector": trace.vector}
    both = {leg: _documents(backend, ranking) for leg, ranking in legs.items() if ranking is not None}
    return Explanation(
        **values,
        alone=both if len(both) == len(legs) else {},
        min_relevance=asked.min_relevance,
        expected=None if expect is None else follow(trace, backend, analyser, asked, expect),
    )


def _documents(backend: Backend, ranking: Ranking) -> tuple[str, ...]:
    passages = backend.passages(ranking.chunks[:_LOOKED].tolist())
    return tuple(dict.fromkeys(passage.document_id for passage in passages))[:_ALONE]


def _story(trace: Explanation) -> list[str]:
    legs = {"hybrid": "both legs", "keyword": "the keyword leg alone", "vector": "the vector leg alone"}
    lines = [f"Query: {trace.query}", f"Searched with {legs[trace.mode]}, at most {trace.depth} candidates each."]
    lines += [f"Note: {note}" for note in trace.notes]
    if trace.phrases:
        lines.append("Must hold: " + ", ".join(f'"{phrase}"' for phrase in trace.phrases))
    if trace.excluded:
        lines.append("Must not hold: " + ", ".join(trace.excluded))
    if trace.matching:
        lines.append(f"Must pass: {'; '.join(map(describe, trace.matching))}.")
    lines += tell_terms(trace)
    if trace.keyword is not None:
        lines.append(f"Keyword leg: {tell_spread(trace.keyword, 'BM25')}.")
    if trace.vector is not None:
        lines.append(f"Vector leg: {tell_spread(trace.vector, 'cosine')}.")
    lines += tell_model(trace)
    lines += tell_weights(trace)
    lines += tell_alone(trace.alone, trace.hits)
    lines += tell_threshold(trace, trace.min_relevance)
    if trace.selection is not None:
        lines.append(tell_selection(trace.selection))
    if confidence := tell_confidence(trace.evidence):
        lines.append(confidence)
    lines.append("")
    lines += [line for hit in trace.hits for line in _hit(trace, hit)] or ["Nothing was found."]
    if trace.expected is not None:
        lines += ["", trace.expected.story]
    steps = ", ".join(f"{step} {seconds * 1000:.1f}" for step, seconds in trace.timings.items())
    return [*lines, "", f"Milliseconds: {steps}."]


def _hit(trace: Trace, hit: Hit) -> list[str]:
    name = f"{hit.document_id}" + (f"  {hit.title}" if hit.title not in {"", hit.document_id} else "")
    place = f"[{hit.start}:{hit.end}]" + (f" under {hit.heading}" if hit.heading else "")
    parts, ranks = tell_parts(trace, hit.chunk_id), tell_ranks(hit)
    told = [f"   score {hit.score:.3f} = {parts}", f"   {ranks}"] if parts else [f"   score {hit.score:.4f}: {ranks}"]
    if hit.relevance is not None:
        told[-1] += f"; relevance {hit.relevance:.2f}"
    copies = [f"   the same in {', '.join(hit.copies)}"] if hit.copies else []
    return [f"{hit.rank}. {name}  {place}", *told, *copies]
