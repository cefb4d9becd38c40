"""Explanation: a search's Trace that can describe itself, and say where an expected document was lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from hybridstore.backends.protocols import Backend
from hybridstore.records import Hit, Ranking, Trace
from hybridstore.search.missing_document import Expected, follow
from hybridstore.search.rank_fusion import Parts, parts_of
from hybridstore.search.remedies import FailedSearch
from hybridstore.search.trace_text import (
    describe_alone,
    describe_confidence,
    describe_hops,
    describe_model,
    describe_parts,
    describe_path,
    describe_ranks,
    describe_reading,
    describe_replica,
    describe_rewriting,
    describe_rewritten,
    describe_second,
    describe_selection,
    describe_spread,
    describe_terms,
    describe_threshold,
    describe_truth,
    describe_truths,
    describe_weights,
)
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import describe

_LOOKED, _ALONE = 10, 3  # chunks of a leg's ranking that are read, to name so many documents
_OTHER_SHARES = np.linspace(0.0, 1.0, 101).tolist()  # of the words in the weights: those that a slider has
_MOST_OTHERS = 20  # hits of a ranking under other weights
_SHOWN = 240  # characters of a candidate's text
_LEGS = {"hybrid": "both legs", "keyword": "the keyword leg alone", "vector": "the vector leg alone"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an explanation.

    `kind` is "query", "note", "fact", "confidence", "hit", "detail" (of a hit), "expected", "timing" or "" (empty).
    """

    text: str
    kind: str = "fact"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that other weights may show: the beginning of its text, and its value in each of `OtherWeights.legs`."""

    chunk_id: int
    document_id: str
    title: str
    heading: str
    text: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class OtherWeights:
    """All that it takes to rank anew under other weights of the legs: score = Σ weight · value / scale.

    `legs` names those that `scales` and `weights` (the search's own) belong to. The ranking is that before a selection
    or a second stage. `candidates`, by ascending id, are the chunks among the first `limit` with the words having 0,
    0.01, … 1 of the weights, or their own share; ties go to the smaller id.
    """

    legs: tuple[str, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    limit: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Explanation(Trace):
    """A search's Trace that describes itself: `lines()` for a program that styles them, `str()` for reading.

    `alone` holds for each of several legs the ids of the documents that it would have ranked first by itself, at most
    three. `windows` say of hits longer than the embedder's window which part is nearest, by chunk id. `min_relevance`
    is that of the search; `expected` says what became of the document named by `expect`.
    `other_weights` are None where one leg decided alone.
    """

    alone: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    windows: Mapping[int, str] = field(default_factory=dict)
    min_relevance: float | None = None
    expected: Expected | None = None
    other_weights: OtherWeights | None = None

    def __str__(self) -> str:
        return "\n".join(line.text for line in self.lines())

    def lines(self) -> list[Line]:
        """Return the explanation line by line: the query, what each leg found, the fusion, the hits, the timings."""
        lines = [Line(f"Query: {self.query}", "query"), *(Line(f"Note: {note}", "note") for note in self.notes)]
        lines += map(Line, self._facts())
        if confidence := describe_confidence(self.confidence):
            lines.append(Line(confidence, "confidence"))
        lines.append(Line("", ""))
        lines += [line for hit in self.hits for line in self._hit(hit)] or [Line("Nothing was found.")]
        if self.expected is not None:
            lines += [Line("", ""), Line(self.expected.story, "expected")]
        steps = ", ".join(f"{step} {seconds * 1000:.1f}" for step, seconds in self.timings.items())
        return [*lines, Line("", ""), Line(f"Milliseconds: {steps}.", "timing")]

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, the confidence and the lines, ready for JSON; evidence only for the hits."""
        lines = [{"kind": line.kind, "text": line.text} for line in self.lines() if line.text]
        return {**Trace.to_dict(self), "lines": lines}

    def _facts(self) -> list[str]:
        legs = _LEGS[self.mode]
        if self.added:
            legs = f"{' and '.join(leg.name for leg in self.legs)} {'alone' if len(self.legs) == 1 else 'together'}"
        lines = [f"Searched with {legs}, at most {self.depth:,} candidates each.", *describe_replica(self)]
        if self.phrases and self.truths is None:
            lines.append("Must contain: " + ", ".join(f'"{phrase}"' for phrase in self.phrases))
        if self.excluded:
            lines.append("Must not contain: " + ", ".join(self.excluded))
        if self.matching:
            lines.append(f"Must match: {'; '.join(map(describe, self.matching))}.")
        lines += describe_terms(self)
        lines += describe_truths(self)
        if self.keyword is not None:
            lines.append(f"Keyword leg: {describe_spread(self.keyword, 'BM25')}.")
        if self.vector is not None:
            lines.append(f"Vector leg: {describe_spread(self.vector, 'cosine')}.")
        lines += [f"{leg.name}: {describe_spread(leg.ranking, 'cosine')}." for leg in self.added]
        lines += describe_model(self)
        lines += describe_weights(self)
        lines += describe_alone(self.alone, self.hits)
        lines += describe_threshold(self, self.min_relevance)
        lines += describe_path(self)
        lines += describe_rewriting(self)
        lines += describe_second(self)
        return lines if self.selection is None else [*lines, describe_selection(self.selection)]

    def _hit(self, hit: Hit) -> list[Line]:
        title = f"  {hit.title}" if hit.title not in {"", hit.document_id} else ""
        heading = f" under {hit.heading}" if hit.heading else ""
        parts, ranks = describe_parts(self, hit.chunk_id), describe_ranks(hit, self.added)
        reading, score = describe_reading(self, hit)
        truths = describe_truth(self, hit)
        details = (
            [*reading, f"score {score:.3f} = {parts}", ranks] if parts else [*reading, f"score {score:.4f}: {ranks}"]
        )
        if truths:
            details = [*reading, *truths]
        elif hit.relevance is not None:
            details[-1] += f"; relevance {hit.relevance:.2f}"
        details += [*describe_hops(self, hit), *describe_rewritten(self, hit)]
        if hit.chunk_id in self.windows:
            details.append(self.windows[hit.chunk_id])
        if hit.copies:
            details.append(f"the same in {', '.join(hit.copies)}")
        head = f"{hit.rank}. {hit.document_id}{title}  [{hit.start}:{hit.end}]{heading}"
        return [Line(head, "hit"), *(Line(f"   {detail}", "detail") for detail in details)]


def explain(
    trace: Trace,
    backend: Backend,
    analyser: Analyser,
    search: FailedSearch,
    *,
    windows: Mapping[int, str],
    expect: str | None = None,
) -> Explanation:
    """Make an Explanation of a Trace; `expect` is followed through the search. Raises NotFound for an unknown id."""
    values = {item.name: getattr(trace, item.name) for item in fields(Trace)}
    legs = {"keyword": trace.keyword, "vector": trace.vector}
    if trace.added:
        legs = {leg.name: leg.ranking for leg in trace.legs}
    alone = {leg: _documents(backend, ranking) for leg, ranking in legs.items() if ranking is not None}
    return Explanation(
        **values,
        alone=alone if len(alone) == len(legs) > 1 else {},
        windows=windows,
        min_relevance=search.min_relevance,
        expected=None if expect is None else follow(trace, backend, analyser, search, expect),
        other_weights=_other_weights(trace, backend, search.min_relevance),
    )


def _other_weights(trace: Trace, backend: Backend, least: float | None) -> OtherWeights | None:
    parts, evidence = parts_of(trace), trace.evidence
    if parts is None:
        return None
    if least is not None and evidence is not None and evidence.relevance is not None:
        passed = evidence.relevance[evidence.chunks.searchsorted(parts.chunks)] >= least
        parts = Parts(parts.chunks[passed], parts.values[passed], parts.scales, parts.weights)
    limit = min(trace.limit, _MOST_OTHERS)
    tried = [parts.weights, *map(parts.shared, _OTHER_SHARES)]
    shown = np.unique(np.concatenate([parts.ranking(weights).chunks[:limit] for weights in tried]))
    values = dict(zip(shown.tolist(), parts.values[parts.chunks.searchsorted(shown)].tolist(), strict=True))
    candidates = (
        Candidate(each.chunk, each.document_id, each.title, each.heading, each.text[:_SHOWN], tuple(values[each.chunk]))
        for each in backend.passages(shown.tolist())
    )
    vectors = [leg.name for leg in trace.legs if leg.name != "keyword"] if len(parts.weights) > 2 else ["meaning"]
    return OtherWeights(("words", *vectors), parts.scales, parts.weights, limit, tuple(candidates))


def _documents(backend: Backend, ranking: Ranking) -> tuple[str, ...]:
    passages = backend.passages(ranking.chunks[:_LOOKED].tolist())
    return tuple(dict.fromkeys(passage.document_id for passage in passages))[:_ALONE]
