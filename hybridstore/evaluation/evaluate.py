"""Run a collection's queries through a store, every mode by itself, and measure what comes back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridstore.errors import InputError
from hybridstore.evaluation.judgments import Qrels, Run
from hybridstore.evaluation.metrics import Scores, score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hybridstore.evaluation.collections import Collection, Query
    from hybridstore.records import AddReport
    from hybridstore.store import Store

    Progress = Callable[[str, int, int], None]
    """Told the mode, how many of its queries are done, and of how many."""

MODES = ("hybrid", "keyword", "vector")


@dataclass(frozen=True, slots=True)
class Measured:
    """One mode's run, its metrics, and how long each search took, in seconds, in the order of the queries."""

    run: Run
    scores: Scores
    seconds: tuple[float, ...]

    def latency(self, percent: float) -> float:
        """Give a percentile of the time of one search, in seconds; 0 where there was no query."""
        return float(np.percentile(self.seconds, percent)) if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation found, mode by mode.

    `left_out` are judged queries without any relevant document, `unknown_queries` judged queries that the
    collection has no text of: neither takes part. `unknown_documents` are judged documents the collection does
    not have; the relevant ones among them count as not found.
    """

    collection: str
    split: str
    limit: int
    n: int
    modes: Mapping[str, Measured]
    left_out: tuple[str, ...] = ()
    unknown_queries: tuple[str, ...] = ()
    unknown_documents: tuple[str, ...] = ()

    def run(self, mode: str) -> Run:
        """Give the rankings of a mode, in documents."""
        return self._measured(mode).run

    def values(self, mode: str, metric: str = "ndcg@10") -> Mapping[str, float]:
        """Give a metric query by query: what `paired_bootstrap` compares."""
        return self._measured(mode).scores.values[metric]

    def mean(self, mode: str, metric: str = "ndcg@10") -> float:
        """Give a metric's mean over the queries."""
        return self._measured(mode).scores.mean(metric)

    def worst(self, mode: str = "hybrid", metric: str = "ndcg@10", count: int = 10) -> tuple[str, ...]:
        """Give the ids of the queries with the lowest values, lowest first, equals by id."""
        values = self.values(mode, metric)
        return tuple(sorted(values, key=lambda query: (values[query], query))[:count])

    def to_dict(self) -> dict[str, Any]:
        """Give everything but the rankings as JSON types; latencies in milliseconds."""
        result: dict[str, Any] = {
            "collection": self.collection,
            "split": self.split,
            "n": self.n,
            "limit": self.limit,
            "left_out": len(self.left_out),
            "unknown_queries": len(self.unknown_queries),
            "unknown_documents": len(self.unknown_documents),
        }
        for mode, measured in self.modes.items():
            result[mode] = {
                **measured.scores.means(),
                "p50_ms": 1000 * measured.latency(50),
                "p95_ms": 1000 * measured.latency(95),
                "no_results": len(measured.scores.empty),
                "worst": list(self.worst(mode)),
            }
        return result

    def _measured(self, mode: str) -> Measured:
        if mode not in self.modes:
            raise InputError(f"mode {mode!r} was not evaluated; there is {', '.join(self.modes) or 'none'}")
        return self.modes[mode]


def index(
    store: Store,
    collection: Collection,
    *,
    chunk: bool = False,
    progress: Callable[[AddReport], None] | None = None,
) -> AddReport:
    """Add a collection's corpus, title and text, to a store; documents that are there already are skipped.

    Published figures take a whole document as one chunk, so that is the default here.
    """
    return store.add(collection.corpus(), chunk=chunk, progress=progress)


def evaluate(
    store: Store,
    collection: Collection,
    *,
    split: str = "test",
    modes: Sequence[str] = MODES,
    fusion: str | None = None,
    limit: int = 100,
    leave_out_identical: bool = False,
    where_group: str | None = None,
    queries: int | Iterable[str] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Search for every judged query in every mode and measure the rankings, `limit` documents deep.

    A document ranks where its best chunk does. `leave_out_identical` drops documents that have the query's id or
    its text, for collections whose queries are documents. `where_group` names a metadata field: each query then
    searches only among the documents that share its value. `queries` takes only the first so many, or those with
    the ids given. The store's own default fusion is used unless `fusion` names another.

    An unknown mode, split or query id, a limit below 1 and a query without the group's field are InputErrors.
    """
    if limit < 1:
        raise InputError(f"limit must be at least 1, not {limit}")
    if unknown := [mode for mode in modes if mode not in MODES]:
        raise InputError(f"there is no mode {unknown[0]!r}; there are {', '.join(MODES)}")
    qrels, coverage = collection.qrels(split), collection.coverage(split)
    asked = _chosen(collection.queries(), qrels, queries)
    dropped = _identical(collection, asked) if leave_out_identical else {}
    judged = Qrels({query.id: qrels.of(query.id) for query in asked})
    measured = {}
    for mode in modes:
        options = {"mode": mode} if fusion is None else {"mode": mode, "fusion": fusion}
        search = _Search(store, options, limit)
        rankings, seconds = {}, []
        for done, query in enumerate(asked, start=1):
            where = None if where_group is None else _same_group(query, where_group)
            rankings[query.id], taken = search(query.text, where, dropped.get(query.id, frozenset()))
            seconds.append(taken)
            if progress is not None:
                progress(mode, done, len(asked))
        run = Run.from_rankings(rankings)
        measured[mode] = Measured(run, score(run, judged), tuple(seconds))
    return Evaluation(
        collection=collection.name,
        split=split,
        limit=limit,
        n=len(asked),
        modes=measured,
        left_out=qrels.unanswerable,
        unknown_queries=coverage.unknown_queries,
        unknown_documents=coverage.unknown_documents,
    )


class _Search:
    """Searches for documents, not chunks: asks for as many chunks as it takes to fill the limit.

    How many chunks make a document is learned on the way, so that nearly every query takes one search; the time
    given is that of the one search that was enough.
    """

    def __init__(self, store: Store, options: Mapping[str, Any], limit: int) -> None:
        self.store, self.options, self.limit = store, options, limit
        self.factor = 1

    def __call__(
        self, text: str, where: Mapping[str, Any] | None, dropped: frozenset[str]
    ) -> tuple[tuple[str, ...], float]:
        while True:
            asked = (self.limit + len(dropped)) * self.factor
            start = time.perf_counter()
            results = self.store.search(text, limit=asked, where=where, **self.options)
            taken = time.perf_counter() - start
            documents = tuple(dict.fromkeys(hit.document_id for hit in results if hit.document_id not in dropped))
            if len(documents) >= self.limit or len(results) < asked:
                return documents[: self.limit], taken
            self.factor *= 2


def _chosen(known: Mapping[str, Query], qrels: Qrels, wanted: int | Iterable[str] | None) -> tuple[Query, ...]:
    answerable = set(qrels.answerable)
    judged = tuple(query for query in known.values() if query.id in answerable)
    if wanted is None:
        return judged
    if isinstance(wanted, int):
        if wanted < 1:
            raise InputError(f"queries must be at least 1, not {wanted}")
        return judged[:wanted]
    ids = set(wanted)
    if unknown := sorted(ids.difference(query.id for query in judged)):
        raise InputError(f"query {unknown[0]!r} has no text or no relevant document in this split")
    return tuple(query for query in judged if query.id in ids)


def _identical(collection: Collection, queries: Iterable[Query]) -> dict[str, frozenset[str]]:
    by_text: dict[str, set[str]] = {query.text.strip(): set() for query in queries}
    for document in collection.corpus():
        if document.id is not None and document.text.strip() in by_text:
            by_text[document.text.strip()].add(document.id)
    return {query.id: frozenset({query.id, *by_text[query.text.strip()]}) for query in queries}


def _same_group(query: Query, name: str) -> dict[str, Any]:
    if name not in query.metadata:
        raise InputError(f"query {query.id!r} has no {name!r} in its metadata, so its group is unknown")
    return {name: query.metadata[name]}
