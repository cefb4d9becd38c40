"""Runner: searches a collection's queries with every search method and measures the rankings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hybridstore.errors import InputError
from hybridstore.evaluation.evaluation_results import Evaluation, Measured
from hybridstore.evaluation.judgments import Qrels, Run
from hybridstore.evaluation.metrics import STANDARD, metric, score
from hybridstore.search.query_plan import has_words
from hybridstore.search.request import FUSIONS, MODES
from hybridstore.search.vector_legs import KEYWORD
from hybridstore.text.chunking import approximate_token_starts

MOST_TOKENS = 2_048
"""About how many tokens a document has at most that is indexed as one chunk: eight windows of the default model. Chunks
gain .086 nDCG@10 on meetings of 64 windows, and lose .006 on articles of four (docs/experiments.md)."""

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hybridstore.evaluation.collections import Collection, Query
    from hybridstore.records import AddReport, Document, Hit, Trace
    from hybridstore.store import Store

    Progress = Callable[[str, int, int], None]
    """Called with the search method, the number of its queries done, and their total."""


def index(
    store: Store,
    collection: Collection,
    *,
    chunk: bool | None = None,
    progress: Callable[[AddReport], None] | None = None,
) -> AddReport:
    """Add a collection's corpus, title and text, to a store; documents that are there already are skipped.

    Published figures treat a whole document as one chunk, so that is the default, except for documents of more than
    MOST_TOKENS, which are divided. `chunk` says whether all are.
    """
    if chunk is not None:
        return store.add(collection.corpus(), chunk=chunk, progress=progress)
    whole = store.add((each for each in collection.corpus() if not _is_long(each)), chunk=False, progress=progress)
    long = (each for each in collection.corpus() if _is_long(each))
    return whole + store.add(long, progress=progress and (lambda report: progress(whole + report)))


def _is_long(document: Document) -> bool:
    return len(document.text) > MOST_TOKENS and len(approximate_token_starts(document.text)) > MOST_TOKENS


def ways(
    modes: Sequence[str] = MODES, fusions: Sequence[str] = (), legs: Sequence[Sequence[str]] = ()
) -> dict[str, dict[str, Any]]:
    """Return the search methods of modes, fusions and choices of legs: name → keyword arguments of `Store.search`.

    Without fusions there is one "hybrid", with the store's own default; else there is "hybrid (NAME)" for each. A
    choice of legs is called "NAME + NAME". An unknown mode or fusion is an InputError.
    """
    for known, names, kind in ((MODES, modes, "mode"), (FUSIONS, fusions, "fusion")):
        if unknown := [name for name in names if name not in known]:
            raise InputError(f"unknown {kind} {unknown[0]!r}; choose from {', '.join(known)}")
    methods: dict[str, dict[str, Any]] = {}
    for mode in modes:
        if mode == "hybrid" and fusions:
            methods |= {f"hybrid ({name})": {"mode": mode, "fusion": name} for name in fusions}
        else:
            methods[mode] = {"mode": mode}
    return methods | {" + ".join(names): {"legs": tuple(names)} for names in legs}


def evaluate(
    store: Store,
    collection: Collection,
    *,
    split: str = "test",
    qrels: Qrels | None = None,
    modes: Sequence[str] = MODES,
    fusions: Sequence[str] = (),
    legs: Sequence[Sequence[str]] = (),
    metrics: Sequence[str] = STANDARD,
    limit: int = 100,
    leave_out_identical: bool = False,
    where_group: str | None = None,
    queries: int | Iterable[str] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Search for every judged query in every mode and measure the rankings, `limit` documents deep.

    A document ranks where its best chunk does, with that chunk's score. `qrels` are judgments to use instead of the
    collection's; `split` is then only their name. Each of `fusions` is measured by itself; without any, hybrid uses
    the store's default. Each of `legs` names legs of the store that are searched together, as in `Store.search`; they
    are measured beside the modes. `leave_out_identical` drops documents that have the query's id or its text, for
    collections whose queries are documents. `where_group` names a metadata field: each query then searches only among
    the documents that share its value. `queries` limits the run to the first so many, or to these ids.

    The time of embedding a query counts in every search method that needs it, though a store remembers the vector.
    Everything but the times is the same whenever it is done. An unknown mode, fusion, leg, metric, split or query id, a
    limit below 1 and a query without the group's field are InputErrors.
    """
    if limit < 1:
        raise InputError(f"limit must be at least 1, not {limit}")
    if not metrics:
        raise InputError(f"name at least one metric, such as {STANDARD[0]}")
    for name in metrics:
        metric(name)  # an unknown one is rejected before anything is searched
    methods = ways(modes, fusions, legs)
    with store.unlogged():
        for names in legs:
            store.search("a", limit=1, legs=names)  # an unknown one is rejected before anything is measured
    qrels = collection.qrels(split) if qrels is None else qrels
    coverage = collection.coverage(qrels)
    selected = _selected(collection.queries(), qrels, queries)
    dropped = _identical(collection, selected) if leave_out_identical else {}
    judged = Qrels({query.id: qrels.of(query.id) for query in selected})
    measured, embedding = {}, dict[str, float]()
    for name, options in methods.items():
        search = _Search(store, options, limit, embedding)
        hits_of: dict[str, tuple[Hit, ...]] = {}
        seconds = []
        for done, query in enumerate(selected, start=1):
            where = None if where_group is None else _same_group(query, where_group)
            with store.unlogged():
                hits_of[query.id], taken = search(query.text, where, dropped.get(query.id, frozenset()))
            seconds.append(taken)
            if progress is not None:
                progress(name, done, len(selected))
        run = Run.from_ranked(
            {query: [(hit.document_id, hit.score) for hit in hits] for query, hits in hits_of.items()}
        )
        measured[name] = Measured(run, score(run, judged, metrics), tuple(seconds), search.fusion, _relevance(hits_of))
    return Evaluation(
        collection=collection.name,
        split=split,
        limit=limit,
        n=len(selected),
        modes=measured,
        judged=judged,
        texts={query.id: query.text for query in selected},
        metrics=tuple(dict.fromkeys(metrics)),
        left_out=qrels.unanswerable,
        unknown_queries=coverage.unknown_queries,
        unknown_documents=coverage.unknown_documents,
    )


class _Search:
    """Searches for documents, not chunks: asks for as many chunks as it takes to fill the limit.

    The chunks-to-documents factor is learned on the way, so nearly every query takes one search; the time returned is
    that of the search that was enough. `embedding` is text → seconds, shared by all methods: a store caches a query's
    vector, and without this only the first method would pay for the model.
    """

    def __init__(self, store: Store, options: Mapping[str, Any], limit: int, embedding: dict[str, float]) -> None:
        self.store, self.options, self.limit, self.embedding = store, options, limit, embedding
        self.factor = 1
        self.fusion: str | None = None

    def __call__(
        self, text: str, where: Mapping[str, Any] | None, dropped: frozenset[str]
    ) -> tuple[tuple[Hit, ...], float]:
        while has_words(text):
            wanted = (self.limit + len(dropped)) * self.factor
            start = time.perf_counter()
            results = self.store.search(text, limit=wanted, where=where, **self.options)
            taken = time.perf_counter() - start + self._cached_seconds(text, results.trace)
            best: dict[str, Hit] = {}  # the first hit of each document
            for hit in results:
                if hit.document_id not in dropped:
                    best.setdefault(hit.document_id, hit)
            if len(best) >= self.limit or len(results) < wanted:
                self.fusion = results.trace.fusion
                return tuple(best.values())[: self.limit], taken
            self.factor *= 2
        return (), 0.0

    def _cached_seconds(self, text: str, trace: Trace) -> float:
        """Return the seconds that this search saved because the query's vector was cached."""
        if self.options.get("mode") == KEYWORD or self.options.get("legs") == (KEYWORD,):
            return 0.0
        paid = trace.timings.get("embed", 0.0)
        self.embedding[text] = max(paid, self.embedding.get(text, 0.0))
        return self.embedding[text] - paid


def _relevance(hits_of: Mapping[str, Sequence[Hit]]) -> dict[str, dict[str, float]]:
    relevances = {
        query: {hit.document_id: hit.relevance for hit in hits if hit.relevance is not None}
        for query, hits in hits_of.items()
    }
    return {query: relevance for query, relevance in relevances.items() if relevance}


def _selected(known: Mapping[str, Query], qrels: Qrels, subset: int | Iterable[str] | None) -> tuple[Query, ...]:
    answerable = set(qrels.answerable)
    judged = tuple(query for query in known.values() if query.id in answerable)
    if subset is None:
        return judged
    if isinstance(subset, int):
        if subset < 1:
            raise InputError(f"queries must be at least 1, not {subset}")
        return judged[:subset]
    ids = set(subset)
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
