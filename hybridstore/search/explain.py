"""A Trace in words: why each hit is where it is, and where an expected document got lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from hybridstore.analysis import Analyser
from hybridstore.backends.base import Backend, Restriction
from hybridstore.expressions import tell
from hybridstore.filters import Filter
from hybridstore.records import Hit, KeywordQuery, Ranking, Selection, Term, Trace

_DEEP = 4096  # how far down a leg is followed for an expected document; sqlite-vec's limit
_TERMS_TOLD = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Where a document that ought to be found got lost.

    `lost` names the first stage that lost it ("restricted", "legs", "fusion", "selection"), or is None when it is
    among the hits. Ranks are its best chunk's in each leg, followed deeper than the search went.
    """

    document_id: str
    lost: str | None
    story: str
    rank: int | None = None
    keyword_rank: int | None = None
    vector_rank: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation(Trace):
    """A search's Trace that can tell itself: `str()` is the story; `expected` is about the document asked for."""

    expected: Expected | None = None

    def __str__(self) -> str:
        return "\n".join(_story(self))


def explain(
    trace: Trace, backend: Backend, analyser: Analyser, *, expect: str | None = None, where: Filter | None = None
) -> Explanation:
    """Make a Trace tell itself, and follow an expected document through it; raises NotFound for an unknown id."""
    values = {field.name: getattr(trace, field.name) for field in fields(Trace)}
    expected = None if expect is None else _follow(trace, backend, analyser, expect, where)
    return Explanation(**values, expected=expected)


def _story(trace: Explanation) -> list[str]:
    legs = {"hybrid": "both legs", "keyword": "the keyword leg alone", "vector": "the vector leg alone"}
    lines = [f"Query: {trace.query}", f"Searched with {legs[trace.mode]}, at most {trace.depth} candidates each."]
    lines += [f"Note: {note}" for note in trace.notes]
    if trace.phrases:
        lines.append("Must hold: " + ", ".join(f'"{phrase}"' for phrase in trace.phrases))
    if trace.excluded:
        lines.append("Must not hold: " + ", ".join(trace.excluded))
    if trace.matching:
        lines.append(f"Must pass: {'; '.join(map(tell, trace.matching))}.")
    if trace.keyword is not None:
        lines.append(f"Terms, rarest first: {_terms([term for term in trace.terms if term.used])}.")
        if unused := [term for term in trace.terms if not term.used]:
            why = "Only within phrases" if trace.phrases else "So common that they add little, and were left out"
            lines.append(f"{why}: {_terms(unused)}.")
        lines.append(f"Keyword leg: {len(trace.keyword)} candidates{_spread(trace.keyword, 'BM25')}.")
    if trace.vector is not None:
        lines.append(f"Vector leg: {len(trace.vector)} candidates{_spread(trace.vector, 'cosine')}.")
    if trace.keyword is not None and trace.vector is not None:
        shared = len(np.intersect1d(trace.keyword.chunks[:10], trace.vector.chunks[:10]))
        lines.append(
            f"Fused by {trace.fusion}, weights {trace.weights[0]:g} and {trace.weights[1]:g}; "
            f"the legs share {shared} of their top 10."
        )
    if trace.selection is not None:
        lines.append(tell_selection(trace.selection))
    lines.append("")
    lines += [line for hit in trace.hits for line in _hit(hit)] or ["Nothing was found."]
    if trace.expected is not None:
        lines += ["", trace.expected.story]
    steps = ", ".join(f"{step} {seconds * 1000:.1f}" for step, seconds in trace.timings.items())
    return [*lines, "", f"Milliseconds: {steps}."]


def _terms(terms: Sequence[Term]) -> str:
    told = sorted(terms, key=lambda term: -term.idf)
    words = [f"{term.text} (in {term.document_frequency}, idf {term.idf:.2f})" for term in told[:_TERMS_TOLD]]
    return (", ".join(words) or "none") + (f" and {len(told) - _TERMS_TOLD} more" if len(told) > _TERMS_TOLD else "")


def tell_selection(selection: Selection) -> str:
    """Tell in a sentence what was asked of the selection and what it left out."""
    said = []
    if selection.unique:
        said.append(f"near-copies folded ({len(selection.folded)})")
    if selection.per_document is not None:
        said.append(f"at most {selection.per_document} of a document ({len(selection.capped)} left out)")
    if selection.diversity:
        said.append(f"diversity {selection.diversity:g}")
    return f"Selected from the best {selection.looked}: {', '.join(said)}."


def _spread(ranking: Ranking, measure: str) -> str:
    return f", {measure} {ranking.scores[0]:.3f} down to {ranking.scores[-1]:.3f}" if len(ranking) else ""


def _hit(hit: Hit) -> list[str]:
    name = f"{hit.document_id}" + (f"  {hit.title}" if hit.title else "")
    place = f"[{hit.start}:{hit.end}]" + (f" under {hit.heading}" if hit.heading else "")
    copies = [f"   the same in {', '.join(hit.copies)}"] if hit.copies else []
    return [f"{hit.rank}. {name}  {place}", f"   score {hit.score:.4f}: {_leg(hit)}", *copies]


def _leg(hit: Hit) -> str:
    parts = []
    if hit.keyword_rank is not None:
        parts.append(f"keyword rank {hit.keyword_rank} (BM25 {hit.keyword_score:.3f})")
    if hit.vector_rank is not None:
        parts.append(f"vector rank {hit.vector_rank} (cosine {hit.vector_score:.3f})")
    return " + ".join(parts)


def _follow(trace: Trace, backend: Backend, analyser: Analyser, document_id: str, where: Filter | None) -> Expected:
    here = [hit for hit in trace.hits if hit.document_id == document_id]
    if here:
        best = here[0]
        return Expected(
            document_id=document_id,
            lost=None,
            story=f"{document_id} was found, at rank {best.rank}: {_leg(best)}."
            + _left_out(trace, backend, document_id),
            rank=best.rank,
            keyword_rank=best.keyword_rank,
            vector_rank=best.vector_rank,
        )
    backend.get(document_id)  # raises NotFound, with what to do
    phrases = tuple(filter(None, (analyser.phrase(phrase) for phrase in trace.phrases)))
    kept = tuple(phrase for phrase in phrases if backend.holds(phrase, Restriction(where=where)))
    excluded = tuple(filter(None, (analyser.phrase(phrase) for phrase in trace.excluded)))
    restrictions = [
        ("it does not pass the filter", Restriction(where=where)),
        ("no chunk of it that passes holds every quoted phrase", Restriction(where=where, phrases=kept)),
        ("each chunk of it that passes holds an excluded word", Restriction(where, kept, excluded)),
    ]
    for count, part in enumerate(trace.matching, start=1):
        why = f"of its chunks that pass the rest, each fails at: {tell(part)}"
        restrictions.append((why, Restriction(where, kept, excluded, trace.matching[:count])))
    chunks: list[int] = []
    for reason, restriction in restrictions:
        chunks = backend.chunks_of(document_id, restriction)
        if not chunks:
            story = f"{document_id} was not searched at all: {reason}."
            return Expected(document_id=document_id, lost="restricted", story=story)
    return _through_legs(trace, backend, document_id, set(chunks), restrictions[-1][1])


def _through_legs(
    trace: Trace, backend: Backend, document_id: str, chunks: set[int], restriction: Restriction
) -> Expected:
    said = []
    query = KeywordQuery(
        terms=tuple(text for term in trace.terms if term.used for text in [term.text] * term.count),
        phrases=restriction.phrases,
    )
    keyword_rank = vector_rank = None
    if trace.keyword is not None:
        deep, _ = backend.match(query, _DEEP, restriction)
        keyword_rank = _best(deep, chunks)
        where_to = (
            f"at {keyword_rank}" if keyword_rank else f"not among the first {_DEEP}" if len(deep) == _DEEP else ""
        )
        said.append(f"the keyword leg has it {where_to}" if where_to else "it shares no word with the query")
    if trace.vector is not None:
        vector_rank = _best(trace.vector, chunks)
        said.append(f"the vector leg has it {f'at {vector_rank}' if vector_rank else f'below its first {trace.depth}'}")
    fused = _best(trace.fused, chunks)
    if fused is not None:
        lost, why, remedy = _not_shown(trace, fused)
        return Expected(
            document_id=document_id,
            lost=lost,
            story=f"{document_id} was ranked at {fused}, {why}: {'; '.join(said)}. {remedy}",
            rank=fused,
            keyword_rank=keyword_rank,
            vector_rank=vector_rank,
        )
    remedy = f" It becomes a candidate with depth={keyword_rank}." if keyword_rank else ""
    return Expected(
        document_id=document_id,
        lost="legs",
        story=f"{document_id} was no candidate: {'; '.join(said)}.{remedy}",
        keyword_rank=keyword_rank,
        vector_rank=vector_rank,
    )


def _not_shown(trace: Trace, fused: int) -> tuple[str, str, str]:
    """Say which stage lost the document whose best chunk is the fused ranking's at this rank, why, and the remedy."""
    selection = trace.selection
    if selection is not None:
        into = selection.folded.get(int(trace.fused.chunks[fused - 1]))
        shown = next((hit for hit in trace.hits if hit.chunk_id == into), None)
        if shown is not None:
            why = f"and folded into {shown.document_id} at rank {shown.rank}, which says the same"
            return "selection", why, "It is shown without unique."
        if selection.diversity and fused <= trace.limit:
            why = f"but those shown were chosen for being less alike, with diversity {selection.diversity:g}"
            return "selection", why, "It is shown without diversity."
    why = f"below the {len(trace.hits)} shown"
    if trace.hits and (selection is None or not selection.diversity):
        why += f", the last of which scored {trace.hits[-1].score:.4f}, this {trace.fused.scores[fused - 1]:.4f}"
    return "fusion", why, f"It is {'shown' if selection is None else 'reached'} with limit={fused}."


def _left_out(trace: Trace, backend: Backend, document_id: str) -> str:
    """Tell how many more chunks of a document that was found its share kept out."""
    if trace.selection is None or not trace.selection.capped:
        return ""
    more = len(set(trace.selection.capped).intersection(backend.chunks_of(document_id, Restriction())))
    return f" {more} more of its chunks were left out by per_document={trace.selection.per_document}." if more else ""


def _best(ranking: Ranking, chunks: set[int]) -> int | None:
    places = np.flatnonzero(np.isin(ranking.chunks, list(chunks)))
    return int(places[0]) + 1 if len(places) else None
