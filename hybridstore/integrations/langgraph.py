"""A store as LangGraph's long-term memory: `builder.compile(store=HybridStoreMemory("memory.db"))`.

Implements `BaseStore` of the package `langgraph-checkpoint` (https://github.com/langchain-ai/langgraph): values under
namespaces and keys, found again by word and by meaning, in a file that several processes may use.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hybridstore.errors import InputError, MissingExtra
from hybridstore.integrations.memory_values import check_filter, fits, plain
from hybridstore.integrations.namespaced_memory import Memories, Place, Put, StoredValue, now
from hybridstore.store import Holder, Store

try:
    from langgraph.store.base import (
        BaseStore,
        GetOp,
        IndexConfig,
        InvalidNamespaceError,
        Item,
        ListNamespacesOp,
        Op,
        PutOp,
        Result,
        SearchItem,
        SearchOp,
        TTLConfig,
        ensure_embeddings,
        get_text_at_path,
    )
except ImportError as error:
    raise MissingExtra("langgraph", "the store in LangGraph", "langgraph-checkpoint") from error

_SWEPT_EVERY = 5  # minutes, unless the TTLConfig says otherwise


@dataclass(frozen=True, slots=True)
class _Plan:
    """A batch, checked: all operations in order, and of the writes the last for each place."""

    ops: Sequence[Op]
    puts: Mapping[Place, Put]

    def texts(self) -> list[str]:
        """Give the texts that are to be embedded, each once."""
        return list(dict.fromkeys(text for put in self.puts.values() for text in put.texts))

    def queries(self) -> list[str]:
        """Give the queries, each once."""
        return list(dict.fromkeys(query for op in self.ops if isinstance(op, SearchOp) and (query := _query(op))))


@dataclass(frozen=True, slots=True)
class _Made:
    """Vectors that the caller's Embeddings made: of texts and of queries."""

    texts: Mapping[str, Any] = field(default_factory=dict)
    queries: Mapping[str, Any] = field(default_factory=dict)


class HybridStoreMemory(Holder, BaseStore):
    """A store as LangGraph's memory. A context manager; what it opened itself, `close` closes.

    `store` is a Store or the path of one, and may hold other documents too: memories have ids that begin with
    "langgraph:". `index` is LangGraph's: `fields` are what is searched (["$"], the whole value, unless said), and
    `embed` makes the vectors, `dims` long, in place of the store's embedder. `mode` is that of `Store.search`.

    Each text of a field has a vector of its own, and a memory's score is that of its best. Those put with `index=False`
    follow those with a score, as in LangGraph's own store. Without a query memories come in the order they were first
    put. Values are JSON, and come back as they were.

    `ttl` is LangGraph's too, in minutes: what has expired is not seen any more, whatever `omit_expired` says. It is
    removed by `sweep_ttl`, and by writes that have a TTL, every `sweep_interval_minutes` (5; None: never). Reading a
    memory that has one puts off its end, which is a write to the file.

    The reads of a batch see what was there before its writes, of which the last for a key counts. Raises InputError for
    what cannot be stored or asked, and LangGraph's InvalidNamespaceError.
    """

    supports_ttl = True

    def __init__(
        self,
        store: Store | str | os.PathLike[str],
        *,
        index: IndexConfig | None = None,
        ttl: TTLConfig | None = None,
        mode: str = "hybrid",
    ) -> None:
        told: IndexConfig = index or {}
        self._embeddings = None if told.get("embed") is None else ensure_embeddings(told["embed"])
        self._fields, self._dims = list(told.get("fields") or ["$"]), told.get("dims")
        self.ttl_config, self._swept = ttl, 0.0
        self._hold(store)
        try:
            self._memories = Memories(self.store, mode, given=self._embeddings is not None)
        except BaseException:
            self.close()
            raise

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Answer the reads, then make the writes; give one result for each, in order, None for a write."""
        plan, embeddings = self._plan(ops), self._embeddings
        if embeddings is None:
            return self._run(plan, _Made())
        texts, queries = plan.texts(), plan.queries()
        vectors = embeddings.embed_documents(texts) if texts else []
        return self._run(plan, self._made(texts, vectors, queries, [embeddings.embed_query(each) for each in queries]))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do what `batch` does while the event loop goes on: Embeddings are awaited, the store works in a thread."""
        plan, embeddings = self._plan(ops), self._embeddings
        if embeddings is None:
            return await asyncio.to_thread(self._run, plan, _Made())
        texts, queries = plan.texts(), plan.queries()
        vectors = await embeddings.aembed_documents(texts) if texts else []
        asked = await asyncio.gather(*(embeddings.aembed_query(each) for each in queries))
        return await asyncio.to_thread(self._run, plan, self._made(texts, vectors, queries, asked))

    def sweep_ttl(self) -> int:
        """Remove what has expired; give how many memories that were."""
        self._swept = now()
        return self._memories.sweep()

    def _made(self, texts: list[str], vectors: Sequence[Any], queries: list[str], asked: Sequence[Any]) -> _Made:
        if len(vectors) != len(texts):
            raise InputError(
                f"index['embed'] made {len(vectors)} vectors of {len(texts)} texts; it must make one of each"
            )
        wrong = {len(each) for each in (*vectors, *asked)} - {self._dims}
        if self._dims is not None and wrong:
            raise InputError(f"index['dims'] is {self._dims}, but index['embed'] makes vectors of length {wrong.pop()}")
        return _Made(dict(zip(texts, vectors, strict=True)), dict(zip(queries, asked, strict=True)))

    def _plan(self, ops: Iterable[Op]) -> _Plan:
        listed, puts = list(ops), dict[Place, Put]()
        for op in listed:
            match op:
                case PutOp():
                    puts[_place(op)] = self._put(op)
                case GetOp():
                    _place(op)
                case SearchOp():
                    _see_that_they_are_labels(op.namespace_prefix)
                    check_filter(op.filter)
                    _page(op)
                case ListNamespacesOp():
                    _page(op)
                    for kind, path in op.match_conditions or ():
                        _see_that_they_are_labels(path)
                        if kind not in ("prefix", "suffix"):
                            raise InputError(f"namespaces are matched by 'prefix' or 'suffix', not {kind!r}")
                case _:
                    raise InputError(f"a batch is of GetOp, PutOp, SearchOp and ListNamespacesOp, not {op!r}")
        return _Plan(listed, puts)

    def _put(self, op: PutOp) -> Put:
        if op.value is None:
            return Put(None)
        if not isinstance(op.value, Mapping):
            raise InputError(f"a memory is a mapping, not {op.value!r}; put it under a key of one")
        if op.ttl is not None and not (isinstance(op.ttl, int | float) and math.isfinite(op.ttl) and op.ttl > 0):
            raise InputError(f"ttl is a number of minutes above 0, or None for no end, not {op.ttl!r}")
        paths = [] if op.index is False else self._fields if op.index is None else op.index
        if not isinstance(paths, list | tuple):
            raise InputError(f"index is a list of paths, False or None, not {op.index!r}")
        value = plain(op.value)
        return Put(value, [text for path in paths for text in get_text_at_path(value, path) if text.strip()], op.ttl)

    def _run(self, plan: _Plan, made: _Made) -> list[Result]:
        results: list[Result] = []
        put_off: dict[Place, None] = {}
        for op in plan.ops:
            found: list[StoredValue] = []
            match op:
                case GetOp():
                    memory = self._memories.get(_place(op))
                    found = [] if memory is None else [memory]
                    results.append(_item(memory) if memory else None)
                case SearchOp():
                    query = _query(op)
                    vector = made.queries.get(query) if query else None
                    found = self._memories.search(op.namespace_prefix, _page(op), op.filter, query, vector)
                    results.append([_search_item(each) for each in found])
                case ListNamespacesOp():
                    results.append(self._namespaces(op))
                case _:
                    results.append(None)
            if isinstance(op, GetOp | SearchOp) and op.refresh_ttl:
                put_off |= {memory.place: None for memory in found if memory.ttl is not None}
        for place in put_off:
            self._memories.put_off(place)
        if plan.puts:
            self._memories.write(plan.puts, made.texts)
            self._sweep_now_and_then(plan)
        return results

    def _namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        wanted = op.match_conditions or ()
        found = (each for each in self._memories.namespaces() if all(fits(each, kind, path) for kind, path in wanted))
        return sorted({namespace[: op.max_depth] for namespace in found})[_page(op)]

    def _sweep_now_and_then(self, plan: _Plan) -> None:
        minutes = (self.ttl_config or {}).get("sweep_interval_minutes", _SWEPT_EVERY)
        has_ttl = any(put.ttl is not None for put in plan.puts.values())
        if has_ttl and minutes is not None and now() >= self._swept + 60 * minutes:
            self.sweep_ttl()


def _place(op: GetOp | PutOp) -> Place:
    _see_that_they_are_labels(op.namespace)
    if not isinstance(op.key, str):
        raise InputError(f"a key is a text, not {op.key!r}")
    return tuple(plain(op.namespace, "a namespace")), plain(op.key, "a key")


def _see_that_they_are_labels(namespace: Sequence[str]) -> None:
    for label in [namespace] if isinstance(namespace, str) else namespace:
        if isinstance(namespace, str) or not isinstance(label, str) or not label or "." in label:
            raise InvalidNamespaceError(
                f"{label!r} of {namespace!r} is no label: a namespace is a tuple of texts without dots"
            )


def _page(op: SearchOp | ListNamespacesOp) -> slice:
    if op.limit < 0 or op.offset < 0:
        raise InputError(f"limit and offset count from 0, so they cannot be {op.limit} and {op.offset}")
    return slice(op.offset, op.offset + op.limit)


def _query(op: SearchOp) -> str | None:
    return op.query if op.query and op.query.strip() else None


def _item(memory: StoredValue) -> Item:
    namespace, key = memory.place
    return Item(value=memory.value, key=key, namespace=namespace, created_at=memory.created, updated_at=memory.updated)


def _search_item(memory: StoredValue) -> SearchItem:
    return SearchItem(*memory.place, memory.value, memory.created, memory.updated, memory.score)
