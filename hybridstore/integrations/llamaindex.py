"""A store in LlamaIndex: a vector store for an index, and a retriever that needs no separate embedding model.

    index = VectorStoreIndex.from_vector_store(HybridStoreLlamaVectorStore(store), embed_model=…)
    HybridStoreLlamaRetriever(store, similarity_top_k=5).retrieve("what does yeast ferment?")

Implements `BasePydanticVectorStore` and `BaseRetriever` of the package `llama-index-core`
(https://github.com/run-llama/llama_index). A node is a document of the store with the node's id, text, and the metadata
from LlamaIndex's own `node_to_metadata_dict`. Documents added in other ways are found too, passage by passage, with the
document's id as `ref_doc_id`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

try:
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.bridge.pydantic import PrivateAttr
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.schema import (
        BaseNode,
        MetadataMode,
        NodeRelationship,
        NodeWithScore,
        QueryBundle,
        RelatedNodeInfo,
        TextNode,
    )
    from llama_index.core.vector_stores.types import (
        BasePydanticVectorStore,
        MetadataFilters,
        VectorStoreQuery,
        VectorStoreQueryMode,
        VectorStoreQueryResult,
    )
    from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict
except ImportError as missing:
    from hybridstore.errors import MissingExtra

    raise MissingExtra("llamaindex", "a store in LlamaIndex", "llama-index-core") from missing

from hybridstore.errors import InputError
from hybridstore.filters import And, Filter, parse, passes_all
from hybridstore.integrations.llamaindex_filters import EMPTY, NODE, of_sources, where_of
from hybridstore.records import Document, Hit, Results
from hybridstore.store import Store
from hybridstore.store.inputs import SearchOptions

_NO_SOURCE = "None"  # the source of a node without one in node_to_metadata_dict

_MODES = {
    VectorStoreQueryMode.DEFAULT: "vector",
    VectorStoreQueryMode.MMR: "vector",
    VectorStoreQueryMode.HYBRID: "hybrid",
    VectorStoreQueryMode.TEXT_SEARCH: "keyword",
    VectorStoreQueryMode.SPARSE: "keyword",
}


class HybridStoreLlamaVectorStore(BasePydanticVectorStore):
    """An open Store as LlamaIndex's vector store. The caller closes the store.

    All nodes of one `add` have embeddings, which become the store's vectors, or none has, and the store's own embedder
    makes them. `flat_metadata` rejects metadata that is not text, number or null; a store does not need it. Raises
    InputError for anything but a Store.
    """

    stores_text: bool = True
    flat_metadata: bool = False
    _store: Store = PrivateAttr()

    def __init__(self, store: Store, *, flat_metadata: bool = False) -> None:
        super().__init__(stores_text=True)
        self.flat_metadata, self._store = flat_metadata, _opened(store)

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex uses for it."""
        return "HybridStoreVectorStore"

    @property
    def client(self) -> Store:
        """The Store."""
        return self._store

    def add(self, nodes: Sequence[BaseNode], **_ignored: Any) -> list[str]:
        """Write nodes, replacing those of the same id; return their ids.

        Raises InputError if only some have embeddings, or embeddings that do not fit the store's; ValueError for
        metadata that is not flat if it must be.
        """
        nodes = list(nodes)
        missing = sum(node.embedding is None for node in nodes)
        if missing not in (0, len(nodes)):
            raise InputError(f"{missing} of {len(nodes)} nodes have no embedding; embed all of them, or none")
        vectors = None if missing or not nodes else [node.get_embedding() for node in nodes]
        self._store.add([_document(node, flat=self.flat_metadata) for node in nodes], vectors=vectors)
        return [node.node_id for node in nodes]

    async def async_add(self, nodes: Sequence[BaseNode], **others: Any) -> list[str]:
        """Like `add`, in a thread."""
        return await asyncio.to_thread(self.add, nodes, **others)

    def delete(self, ref_doc_id: str, **_ignored: Any) -> None:
        """Remove the nodes of a source document. Raises InputError if none is named."""
        if not isinstance(ref_doc_id, str) or ref_doc_id in ("", _NO_SOURCE):
            raise InputError(f"{ref_doc_id!r} names no source document; to delete nodes by their ids use delete_nodes")
        self._remove(of_sources([ref_doc_id]))

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **_ignored: Any
    ) -> None:
        """Remove the nodes with one of the ids that pass the filters; either may be left out.

        Raises InputError without both, or for filters that everything passes: `clear` removes everything.
        """
        where = where_of(node_ids, None, filters)
        if where is None or passes_all(where):
            raise InputError("neither node_ids nor filters say which nodes to delete; clear() removes all of them")
        self._remove(where)

    def clear(self) -> None:
        """Remove every document of the store, including those added in other ways."""
        self._remove(None)

    def _remove(self, where: Filter | None) -> None:
        parsed = parse(where)
        # In one step, so that what another process changes meanwhile is not removed.
        self._store.remove_where(And(()) if parsed is None else parsed)

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """Return the nodes with one of the ids that pass the filters, in the order of the ids, else of the store."""
        documents = self._store.documents(where_of(node_ids, None, filters))
        nodes = {str(document.id): _node(document) for document in documents}
        return list(nodes.values()) if node_ids is None else [nodes[id_] for id_ in node_ids if id_ in nodes]

    def query(self, query: VectorStoreQuery, **others: Any) -> VectorStoreQueryResult:
        """Return nodes by vector (modes default and mmr), by keyword (sparse and text_search) or by both (hybrid).

        The query's embedding is compared, or else its text as the store embeds it; similarities are the scores of the
        store, from 0 to 1. `similarity_top_k` nodes are returned, or `hybrid_top_k` in mode hybrid and `sparse_top_k`
        by keyword if these are set. The threshold of mmr, the query's or `mmr_threshold=` (0.5), is 1 minus the store's
        `diversity`. Empty lists of ids do not restrict.

        Raises InputError for other modes, a missing text or embedding, and an `alpha` that would weight the legs: a
        store does that by its calibration. 0 and 1 stand for one leg alone.
        """
        mode, limit, diversity = _mode(query), query.similarity_top_k, 0.0
        if query.mode == VectorStoreQueryMode.MMR:
            threshold = others.get("mmr_threshold") if query.mmr_threshold is None else query.mmr_threshold
            diversity = 1.0 - (0.5 if threshold is None else threshold)
        elif query.mode == VectorStoreQueryMode.HYBRID:
            limit = query.hybrid_top_k or limit
        elif mode == "keyword":
            limit = query.sparse_top_k or limit
        options: SearchOptions = {
            # An index without ids passes [].
            "where": where_of(query.node_ids or None, query.doc_ids or None, query.filters),
            "mode": mode,
            "vector": None if mode == "keyword" else query.query_embedding,
            "diversity": diversity,
        }
        scored = _scored_nodes(self._store, query.query_str or "", limit, options)
        return VectorStoreQueryResult(
            nodes=[node for node, _ in scored],
            similarities=[score for _, score in scored],
            ids=[node.node_id for node, _ in scored],
        )

    async def aquery(self, query: VectorStoreQuery, **others: Any) -> VectorStoreQueryResult:
        """Like `query`, in a thread."""
        return await asyncio.to_thread(self.query, query, **others)


class HybridStoreLlamaRetriever(BaseRetriever):
    """Returns the `similarity_top_k` best nodes of a Store, by keyword and by vector with the store's own embedder.

    `filters` are LlamaIndex's; the other options are those of `Store.search`, including its own filter `where`. The
    embedding of a QueryBundle, if it has one, is the query's vector. Scores are the store's. Raises InputError for
    filters that a store does not support.
    """

    def __init__(
        self,
        store: Store,
        *,
        similarity_top_k: int = 10,
        filters: MetadataFilters | None = None,
        callback_manager: CallbackManager | None = None,
        **options: Unpack[SearchOptions],
    ) -> None:
        if "limit" in options or "vector" in options:
            raise InputError(
                "pass similarity_top_k instead of limit=, and a QueryBundle with an embedding instead of vector="
            )
        self._store, self._limit = _opened(store), similarity_top_k
        conditions = [part for part in (parse(options.get("where")), where_of(None, None, filters)) if part is not None]
        self._options: SearchOptions = {**options, "where": And(tuple(conditions)) if conditions else None}
        super().__init__(callback_manager=callback_manager)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        options: SearchOptions = {**self._options, "vector": query_bundle.embedding}
        scored = _scored_nodes(self._store, query_bundle.query_str, self._limit, options)
        return [NodeWithScore(node=node, score=score) for node, score in scored]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


def _mode(query: VectorStoreQuery) -> str:
    """Return the store's mode for a query; raises InputError if the query does not fit it."""
    mode = _MODES.get(query.mode)
    if mode is None:
        modes = ", ".join(known.value for known in _MODES)
        raise InputError(f"the query mode {query.mode!r} is not supported by a store; use one of {modes}")
    if mode == "hybrid" and query.alpha is not None:
        if query.alpha not in (0, 1):
            raise InputError(
                f"alpha = {query.alpha!r} would weight the legs, but a store does that by its calibration; leave alpha "
                "out, or pass 0 (keyword alone) or 1 (vector alone)"
            )
        mode = "vector" if query.alpha else "keyword"
    if query.embedding_field is not None:
        raise InputError(f"a store has one vector for each node and no field {query.embedding_field!r}; leave it out")
    if not query.query_str and (mode != "vector" or query.query_embedding is None):
        raise InputError(f"a query of the mode {query.mode.value!r} needs a query_str")
    return mode


def _scored_nodes(store: Store, text: str, limit: int, options: SearchOptions) -> list[tuple[BaseNode, float]]:
    """Return at most `limit` different nodes, best first, with their scores."""

    def search(hits: int) -> Results:
        merged: SearchOptions = {**options, "limit": hits}
        if hits == limit:
            return store.search(text, **merged)
        if depth := options.get("depth"):
            merged["depth"] = max(depth, hits)
        with store.unlogged():  # it is still the same query
            return store.search(text, **merged)

    best = _distinct(limit, search)
    whole = [hit.document_id for hit in best if NODE in hit.metadata]
    texts = {document.id: document.text for document in store.documents({"@id": {"$in": whole}})} if whole else {}
    return [(_node_of_hit(hit, texts.get(hit.document_id, hit.text)), hit.score) for hit in best]


def _distinct(limit: int, search: Callable[[int], Results]) -> list[Hit]:
    """Return the best hit of each node: a node that the store split can be found more than once."""
    hits = limit
    while True:
        results, best = search(hits), dict[str | int, Hit]()
        for hit in results:
            best.setdefault(hit.document_id if NODE in hit.metadata else hit.chunk_id, hit)
        if len(best) >= limit or len(results) < hits:
            return list(best.values())[:limit]
        hits *= 2


def _document(node: BaseNode, *, flat: bool) -> Document:
    metadata = node_to_metadata_dict(node, remove_text=True, flat_metadata=flat)
    if empty := [key for key, value in node.metadata.items() if value == []]:
        metadata[EMPTY] = empty
    return Document(id=node.node_id, text=node.get_content(metadata_mode=MetadataMode.NONE), metadata=metadata)


def _node(document: Document) -> BaseNode:
    if NODE in document.metadata:
        return metadata_dict_to_node(dict(document.metadata), text=document.text)
    metadata = _with_own(document.metadata, title=document.title, uri=document.uri)
    return TextNode(id_=str(document.id), text=document.text, metadata=metadata)


def _node_of_hit(hit: Hit, text: str) -> BaseNode:
    if NODE in hit.metadata:
        return metadata_dict_to_node(dict(hit.metadata), text=text)
    return TextNode(
        id_=f"{hit.document_id}#{hit.start}-{hit.end}",
        text=hit.text,
        metadata=_with_own(hit.metadata, title=hit.title, uri=hit.uri, heading=hit.heading),
        start_char_idx=hit.start,
        end_char_idx=hit.end,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=hit.document_id)},
    )


def _with_own(metadata: Mapping[str, Any], **own: str) -> dict[str, Any]:
    """Return metadata with the document's own fields such as the title, unless the metadata have them."""
    return {**{name: value for name, value in own.items() if value}, **metadata}


def _opened(store: object) -> Store:
    if not isinstance(store, Store):
        raise InputError(f"pass a Store, not {type(store).__name__}; open one with hybridstore.open(path)")
    return store
