"""A store as LangGraph's long-term memory: `builder.compile(store=HybridStoreMemory("memory.db"))`.

Implements `BaseStore` of the package `langgraph-checkpoint` (https://github.com/langchain-ai/langgraph): values under
namespaces and keys, searched by keyword and by vector, in a file that several processes may use.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hybridstore.errors import InputError, MissingExtra
from hybridstore.integrations.memory_values import check_filter, json_copy, matches_path
from hybridstore.integrations.namespaced_memory import Memories, MemoryKey, Put, StoredValue, now
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

_SWEEP_INTERVAL = 5  # minutes, unless the TTLConfig says otherwise


@dataclass(frozen=True, slots=True)
class _Plan:
    """A checked batch: all operations in order, and the last write for each key."""

    ops: Sequence[Op]
    puts: Mapping[MemoryKey, Put]

    def texts(self) -> list[str]:
        """Return the texts to embed, each once."""
        return list(dict.fromkeys(text for put in self.puts.values() for text in put.texts))

    def queries(self) -> list[str]:
        """Return the queries, each once."""
        return list(dict.fromkeys(query for op in self.ops if isinstance(op, SearchOp) and (query := _query(op))))


@dataclass(frozen=True, slots=True)
class _Vectors:
    """Vectors from the caller's Embeddings, of texts and of queries."""

    texts: Mapping[str, Any] = field(default_factory=dict)
    queries: Mapping[str, Any] = field(default_factory=dict)


class HybridStoreMemory(Holder, BaseStore):
    """A store as LangGraph's memory. A context manager; `close` closes a store that it opened.

    `store` is a Store or the path of one, and may have other documents too: ids of memories begin with "langgraph:".
    `index` is LangGraph's: `fields` are searched (by default ["$"], the whole value), and `embed` makes the vectors, of
    length `dims`, instead of the store's embedder. `mode` is that of `Store.search`.

    Each text of a field has a vector of its own, and a memory has the score of its best. Those stored with
    `index=False` follow those with a score, as in LangGraph's own store. Without a query memories are in the order they
    were first stored. Values must be JSON.

    `ttl` is LangGraph's too, in minutes: expired memories are invisible, regardless of `omit_expired`. They are removed
    by `sweep_ttl`, and by writes with a TTL every `sweep_interval_minutes` (5; None: never). Reading a memory with a
    TTL restarts it, which is a write to the file.

    The reads of a batch come before its writes, of which the last for a key counts. Raises InputError for invalid
    operations and values, and LangGraph's InvalidNamespaceError.
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
        config: IndexConfig = index or {}
        self._embeddings = None if config.get("embed") is None else ensure_embeddings(config["embed"])
        self._fields, self._dims = list(config.get("fields") or ["$"]), config.get("dims")
        self.ttl_config, self._swept = ttl, 0.0
        self._hold(store)
        try:
            self._memories = Memories(self.store, mode, external=self._embeddings is not None)
        except BaseException:
            self.close()
            raise

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Run the reads, then the writes; return one result for each operation, in order, None for a write."""
        plan, embeddings = self._plan(ops), self._embeddings
        if embeddings is None:
            return self._run(plan, _Vectors())
        texts, queries = plan.texts(), plan.queries()
        vectors = embeddings.embed_documents(texts) if texts else []
        query_vectors = [embeddings.embed_query(query) for query in queries]
        return self._run(plan, self._checked(texts, vectors, queries, query_vectors))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Like `batch`, without blocking: Embeddings are awaited, and the store works in a thread."""
        plan, embeddings = self._plan(ops), self._embeddings
        if embeddings is None:
            return await asyncio.to_thread(self._run, plan, _Vectors())
        texts, queries = plan.texts(), plan.queries()
        vectors = await embeddings.aembed_documents(texts) if texts else []
        query_vectors = await asyncio.gather(*(embeddings.aembed_query(query) for query in queries))
        return await asyncio.to_thread(self._run, plan, self._checked(texts, vectors, queries, query_vectors))

    def sweep_ttl(self) -> int:
        """Remove expired memories; return their number."""
        self._swept = now()
        return self._memories.sweep()

    def _checked(
        self, texts: list[str], vectors: Sequence[Any], queries: list[str], query_vectors: Sequence[Any]
    ) -> _Vectors:
        if len(vectors) != len(texts):
            raise InputError(
                f"index['embed'] returned {len(vectors)} vectors for {len(texts)} texts; it must return one for each"
            )
        wrong = {len(vector) for vector in (*vectors, *query_vectors)} - {self._dims}
        if self._dims is not None and wrong:
            raise InputError(
                f"index['dims'] is {self._dims}, but index['embed'] returns vectors of length {wrong.pop()}"
            )
        return _Vectors(dict(zip(texts, vectors, strict=True)), dict(zip(queries, query_vectors, strict=True)))

    def _plan(self, ops: Iterable[Op]) -> _Plan:
        listed, puts = list(ops), dict[MemoryKey, Put]()
        for op in listed:
            match op:
                case PutOp():
                    puts[_key(op)] = self._put(op)
                case GetOp():
                    _key(op)
                case SearchOp():
                    _check_labels(op.namespace_prefix)
                    check_filter(op.filter)
                    _page(op)
                case ListNamespacesOp():
                    _page(op)
                    for kind, path in op.match_conditions or ():
                        _check_labels(path)
                        if kind not in ("prefix", "suffix"):
                            raise InputError(f"namespaces must be matched by 'prefix' or 'suffix', not {kind!r}")
                case _:
                    raise InputError(f"a batch consists of GetOp, PutOp, SearchOp and ListNamespacesOp, not {op!r}")
        return _Plan(listed, puts)

    def _put(self, op: PutOp) -> Put:
        if op.value is None:
            return Put(None)
        if not isinstance(op.value, Mapping):
            raise InputError(f"a memory must be a mapping, not {op.value!r}; put it under a key of one")
        if op.ttl is not None and not (isinstance(op.ttl, int | float) and math.isfinite(op.ttl) and op.ttl > 0):
            raise InputError(f"ttl must be a number of minutes above 0, or None, not {op.ttl!r}")
        paths = [] if op.index is False else self._fields if op.index is None else op.index
        if not isinstance(paths, list | tuple):
            raise InputError(f"index must be a list of paths, False or None, not {op.index!r}")
        value = json_copy(op.value)
        return Put(value, [text for path in paths for text in get_text_at_path(value, path) if text.strip()], op.ttl)

    def _run(self, plan: _Plan, vectors: _Vectors) -> list[Result]:
        results: list[Result] = []
        renewed: dict[MemoryKey, None] = {}
        for op in plan.ops:
            memories: list[StoredValue] = []
            match op:
                case GetOp():
                    memory = self._memories.get(_key(op))
                    memories = [] if memory is None else [memory]
                    results.append(_item(memory) if memory else None)
                case SearchOp():
                    query = _query(op)
                    vector = vectors.queries.get(query) if query else None
                    memories = self._memories.search(op.namespace_prefix, _page(op), op.filter, query, vector)
                    results.append([_search_item(memory) for memory in memories])
                case ListNamespacesOp():
                    results.append(self._namespaces(op))
                case _:
                    results.append(None)
            if isinstance(op, GetOp | SearchOp) and op.refresh_ttl:
                renewed |= {memory.key: None for memory in memories if memory.ttl is not None}
        for key in renewed:
            self._memories.renew(key)
        if plan.puts:
            self._memories.write(plan.puts, vectors.texts)
            self._sweep_now_and_then(plan)
        return results

    def _namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        conditions = op.match_conditions or ()
        matching = {
            namespace[: op.max_depth]
            for namespace in self._memories.namespaces()
            if all(matches_path(namespace, kind, path) for kind, path in conditions)
        }
        return sorted(matching)[_page(op)]

    def _sweep_now_and_then(self, plan: _Plan) -> None:
        minutes = (self.ttl_config or {}).get("sweep_interval_minutes", _SWEEP_INTERVAL)
        has_ttl = any(put.ttl is not None for put in plan.puts.values())
        if has_ttl and minutes is not None and now() >= self._swept + 60 * minutes:
            self.sweep_ttl()


def _key(op: GetOp | PutOp) -> MemoryKey:
    _check_labels(op.namespace)
    if not isinstance(op.key, str):
        raise InputError(f"a key must be a text, not {op.key!r}")
    return tuple(json_copy(op.namespace, "a namespace")), json_copy(op.key, "a key")


def _check_labels(namespace: Sequence[str]) -> None:
    for label in [namespace] if isinstance(namespace, str) else namespace:
        if isinstance(namespace, str) or not isinstance(label, str) or not label or "." in label:
            raise InvalidNamespaceError(
                f"{label!r} of {namespace!r} is not a label: a namespace must be a tuple of texts without dots"
            )


def _page(op: SearchOp | ListNamespacesOp) -> slice:
    if op.limit < 0 or op.offset < 0:
        raise InputError(f"limit and offset must be at least 0, not {op.limit} and {op.offset}")
    return slice(op.offset, op.offset + op.limit)


def _query(op: SearchOp) -> str | None:
    return op.query if op.query and op.query.strip() else None


def _item(memory: StoredValue) -> Item:
    namespace, key = memory.key
    return Item(value=memory.value, key=key, namespace=namespace, created_at=memory.created, updated_at=memory.updated)


def _search_item(memory: StoredValue) -> SearchItem:
    return SearchItem(*memory.key, memory.value, memory.created, memory.updated, memory.score)
