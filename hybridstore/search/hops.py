"""Hops: a question whose answer is in a passage that another passage leads to, followed without another model.

The best passages of a search each lead to a next query: its vector is that of the question, moved by what is new in the
passage, unit(q + ½ · (p - (p · q) q)); its words are the names in the passage that the question lacks, and the
question's words that the passage lacks. The idea, and that a rule says where to stop, are from "TreeHop: Generate and
Filter Next Query Embeddings Efficiently for Multi-hop Question Answering"; nothing is trained here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Passage
from hybridstore.records import Hop, Ranking, Trace
from hybridstore.search.pipeline import hits_of, search
from hybridstore.search.request import Request
from hybridstore.search.second_stage import reranked
from hybridstore.search.selection import select_passages
from hybridstore.search.vector_legs import QueryVectors
from hybridstore.text.analysis import Analyser

_BRANCHES = 2  # passages of each search that lead on
_STOP = 0.8  # of the best passage's score: weaker ones lead nowhere
_NEW = 0.5  # how much of what is new in a passage moves the vector
_NAMES = 8  # of a passage that are searched for
# Reciprocal ranks are 1 / (10 + rank), so that only the first few of a search count much; all that follow from one
# together weigh 1.2 times as much as it. Settings: docs/experiments.md.
_RANK, _WEIGHT = 10, 1.2
_NAME = re.compile(r"\b[^\W\d_a-zß-ÿ][\w'’-]+(?:\s+(?:(?:of|the|de|and|von)\s+)?[^\W\d_a-zß-ÿ][\w'’-]+)*")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class _Leading:
    """A passage that leads on, with the vector of the query that found it, and what the searches from it weigh."""

    chunk: int
    vector: NDArray[np.float32] | None
    weight: float


def follow(backend: Backend, analyser: Analyser, request: Request) -> Trace:
    """Run a request, and what its passages lead to, `request.hops` searches deep; return the Trace, with its `path`.

    A hit's score is the sum of its reciprocal ranks in all searches, as a share of the highest possible. Where no
    passage leads on, the Trace is that of a plain search.
    """
    alone, embedded = replace(request, hops=1), dict[str, QueryVectors | None]()

    def embed(text: str) -> QueryVectors | None:
        if text not in embedded:
            embedded[text] = request.embed(text)
        return embedded[text]

    with backend.snapshot(stale=True):
        first = search(backend, analyser, replace(alone, embed=embed, rerank=None))
        vectors = next(iter(embedded.values()), None)
        started = perf_counter()
        rankings, path = [(first.fused, 1.0)], list[Hop]()
        start = None if vectors is None else vectors.vector
        leading = _strong(first.fused, start, _WEIGHT, {-1})
        seen = {each.chunk for each in leading}
        for number in range(2, request.hops + 1):
            following: list[_Leading] = []
            for passage, source in _passages(backend, leading):
                text, vector = _next(backend, request.query, passage, source.vector)
                if not text:
                    continue
                found = search(backend, analyser, _asking(alone, text, vectors, vector)).fused
                rankings.append((found, source.weight / len(leading)))
                path.append(
                    Hop(number, passage.chunk, passage.document_id, text, tuple(found.chunks[: request.limit].tolist()))
                )
                following += _strong(found, vector, source.weight / len(leading), seen)[:1]
                seen |= {each.chunk for each in following}
            leading = following
        timings = {**first.timings, "follow": perf_counter() - started}
        fused, second = _summed(rankings) if path else first.fused, None
        if request.rerank is not None:
            fused, second = reranked(backend, fused, request.query, request.rerank)
        selected = select_passages(backend, fused, request.limit, request.selection)
        hits = hits_of(selected, first.keyword, first.vector, first.evidence)
    return replace(
        first,
        fused=fused,
        hits=hits,
        path=tuple(path),
        selection=selected.selection,
        second=second,
        timings=timings,
    )


def _strong(found: Ranking, vector: NDArray[np.float32] | None, weight: float, seen: set[int]) -> list[_Leading]:
    """Return the passages that lead on: the first few, unless they are far weaker than the best (the stop rule)."""
    best = float(found.scores.max(initial=0.0))
    first = zip(found.chunks[:_BRANCHES].tolist(), found.scores[:_BRANCHES].tolist(), strict=True)
    return [_Leading(chunk, vector, weight) for chunk, score in first if score >= _STOP * best and chunk not in seen]


def _passages(backend: Backend, leading: Sequence[_Leading]) -> list[tuple[Passage, _Leading]]:
    there = {each.chunk: each for each in leading}
    return [(passage, there[passage.chunk]) for passage in backend.passages(list(there))]


def _next(
    backend: Backend, question: str, passage: Passage, vector: NDArray[np.float32] | None
) -> tuple[str, NDArray[np.float32] | None]:
    """Return the words and the vector of the query that a passage leads to; "" where it says nothing new."""
    asked = {word.casefold() for word in _WORD.findall(question)}
    whole = f"{passage.title}. {passage.text}"
    there = {word.casefold() for word in _WORD.findall(whole)}
    names = dict.fromkeys(" ".join(name.split()) for name in (passage.title, *_NAME.findall(passage.text)) if name)
    new = [name for name in names if not {word.casefold() for word in _WORD.findall(name)} <= asked]
    if not new:
        return "", None
    rest = [word for word in _WORD.findall(question) if word.casefold() not in there]
    return " ".join([*new[:_NAMES], *rest]), _moved(backend, passage.chunk, vector)


def _moved(backend: Backend, chunk: int, vector: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    stored = backend.vectors([chunk])[0]
    if vector is None or stored.shape != vector.shape:
        return vector
    moved = vector + _NEW * (stored - (stored @ vector) * vector)
    return np.asarray(moved / max(float(np.linalg.norm(moved)), 1e-12), np.float32)


def _asking(request: Request, text: str, vectors: QueryVectors | None, vector: NDArray[np.float32] | None) -> Request:
    """Return the request for a next query; vectors of added legs stay those of the question."""
    moved = None if vectors is None else vectors._replace(vector=vector)
    embed: Callable[[str], QueryVectors | None] = lambda _: moved  # noqa: E731 - as `Request` takes it
    return replace(request, query=text.replace('"', " "), embed=embed, rerank=None)


def _summed(rankings: Sequence[tuple[Ranking, float]]) -> Ranking:
    scores: dict[int, float] = {}
    for ranking, weight in rankings:
        for rank, chunk in enumerate(ranking.chunks.tolist(), start=1):
            scores[chunk] = scores.get(chunk, 0.0) + weight / (_RANK + rank)
    highest = sum(weight for _, weight in rankings) / (_RANK + 1)
    order = sorted(scores, key=lambda chunk: (-scores[chunk], chunk))
    return Ranking(np.array(order, np.int64), np.array([scores[chunk] / highest for chunk in order]))
