"""A store in LlamaIndex: as the vector store of an index, and as a retriever that needs no embedding model of its own.

    index = VectorStoreIndex.from_vector_store(HybridStoreVectorStore(store), embed_model=…)
    HybridStoreRetriever(store, similarity_top_k=5).retrieve("what does yeast ferment?")

Implements `BasePydanticVectorStore` and `BaseRetriever` of the package `llama-index-core`
(https://github.com/run-llama/llama_index). A node is a document of the store: its id, its text, and the metadata that
LlamaIndex's own `node_to_metadata_dict` makes of it. What others put into the store is found as well, passage by
passage: `ref_doc_id` is then the document's id.
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
from hybridstore.store.search_options import SearchOptions

_NO_SOURCE = "None"  # what node_to_metadata_dict says of a node without a source

_MODES = {
    VectorStoreQueryMode.DEFAULT: "vector",
    VectorStoreQueryMode.MMR: "vector",
    VectorStoreQueryMode.HYBRID: "hybrid",
    VectorStoreQueryMode.TEXT_SEARCH: "keyword",
    VectorStoreQueryMode.SPARSE: "keyword",
}


class HybridStoreLlamaVectorStore(BasePydanticVectorStore):
    """An open Store as LlamaIndex's vector store. The store stays its caller's, to be closed by him.

    Nodes come with embeddings, all of one `add` or none: theirs are then the store's vectors, and without them the
    store's own embedder makes some. `flat_metadata` refuses metadata that is not text, number or null, which a store
    does not need. Raises InputError for what is no Store.
    """

    stores_text: bool = True
    flat_metadata: bool = False
    _store: Store = PrivateAttr()

    def __init__(self, store: Store, *, flat_metadata: bool = False) -> None:
        super().__init__(stores_text=True)
        self.flat_metadata, self._store = flat_metadata, _opened(store)

    @classmethod
    def class_name(cls) -> str:
        """Give the name LlamaIndex knows it by."""
        return "HybridStoreVectorStore"

    @property
    def client(self) -> Store:
        """The Store."""
        return self._store

    def add(self, nodes: Sequence[BaseNode], **_others: Any) -> list[str]:
        """Write nodes, replacing those of the same id; give their ids.

        Raises InputError where only some have embeddings, or they do not fit the store's; ValueError for metadata
        that is not flat where it must be.
        """
        nodes = list(nodes)
        bare = sum(node.embedding is None for node in nodes)
        if bare not in (0, len(nodes)):
            raise InputError(f"{bare} of {len(nodes)} nodes have no embedding; embed all of them, or none")
        vectors = None if bare or not nodes else [node.get_embedding() for node in nodes]
        self._store.add([_document(node, flat=self.flat_metadata) for node in nodes], vectors=vectors)
        return [node.node_id for node in nodes]

    async def async_add(self, nodes: Sequence[BaseNode], **others: Any) -> list[str]:
        """As `add`, in a thread."""
        return await asyncio.to_thread(self.add, nodes, **others)

    def delete(self, ref_doc_id: str, **_others: Any) -> None:
        """Remove the nodes of a source document. Raises InputError where none is named."""
        if not isinstance(ref_doc_id, str) or ref_doc_id in ("", _NO_SOURCE):
            raise InputError(f"{ref_doc_id!r} names no source document; to delete nodes by their ids use delete_nodes")
        self._remove(of_sources([ref_doc_id]))

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **_others: Any
    ) -> None:
        """Remove the nodes that have one of the ids and pass the filters, where each is given.

        Raises InputError where there is neither, or filters that pass everything: `clear` removes everything.
        """
        where = where_of(node_ids, None, filters)
        if where is None or passes_all(where):
            raise InputError("neither node_ids nor filters say which nodes to delete; clear() removes all of them")
        self._remove(where)

    def clear(self) -> None:
        """Remove every document of the store, others' too."""
        self._remove(None)

    def _remove(self, where: Filter | None) -> None:
        wanted = parse(where)
        # In one step: what another process has made something else meanwhile is not meant.
        self._store.remove_where(And(()) if wanted is None else wanted)

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """Give the nodes that have one of the ids and pass the filters, in the order of the ids, else of the store."""
        documents = self._store.documents(where_of(node_ids, None, filters))
        nodes = {str(document.id): _node(document) for document in documents}
        return list(nodes.values()) if node_ids is None else [nodes[each] for each in node_ids if each in nodes]

    def query(self, query: VectorStoreQuery, **others: Any) -> VectorStoreQueryResult:
        """Find nodes by meaning (modes default and mmr), by words (sparse and text_search) or by both (hybrid).

        The query's embedding is compared, or else its text as the store embeds it; similarities are the scores of the
        store, from 0 to 1. `similarity_top_k` says how many are given, unless `hybrid_top_k` does in the mode hybrid,
        or `sparse_top_k` in those by words. The threshold of mmr, the query's or `mmr_threshold=` (0.5), is 1 less
        the store's `diversity`. Empty lists of ids restrict nothing.

        Raises InputError for another mode, a text or embedding that the mode needs and is missing, and an `alpha`
        that would weigh the legs: a store weighs them by what it measured about itself. 0 and 1 are one leg alone.
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
            # An index that knows no ids asks for [].
            "where": where_of(query.node_ids or None, query.doc_ids or None, query.filters),
            "mode": mode,
            "vector": None if mode == "keyword" else query.query_embedding,
            "diversity": diversity,
        }
        found = _found(self._store, query.query_str or "", limit, options)
        return VectorStoreQueryResult(
            nodes=[node for node, _ in found],
            similarities=[score for _, score in found],
            ids=[node.node_id for node, _ in found],
        )

    async def aquery(self, query: VectorStoreQuery, **others: Any) -> VectorStoreQueryResult:
        """As `query`, in a thread."""
        return await asyncio.to_thread(self.query, query, **others)


class HybridStoreLlamaRetriever(BaseRetriever):
    """The best `similarity_top_k` nodes of a Store, found by words and by meaning with the store's own embedder.

    `filters` are LlamaIndex's; the other options are those of `Store.search`, its own filter `where` among them. A
    QueryBundle that has an embedding brings the question's vector. Scores are the store's. Raises InputError for
    filters that a store does not know.
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
                "similarity_top_k takes the place of limit=, and a QueryBundle's embedding that of vector="
            )
        self._store, self._limit = _opened(store), similarity_top_k
        conditions = [each for each in (parse(options.get("where")), where_of(None, None, filters)) if each is not None]
        self._options: SearchOptions = {**options, "where": And(tuple(conditions)) if conditions else None}
        super().__init__(callback_manager=callback_manager)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        options: SearchOptions = {**self._options, "vector": query_bundle.embedding}
        found = _found(self._store, query_bundle.query_str, self._limit, options)
        return [NodeWithScore(node=node, score=score) for node, score in found]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


def _mode(query: VectorStoreQuery) -> str:
    """Give the store's mode for a query, having seen that the query has what it takes."""
    mode = _MODES.get(query.mode)
    if mode is None:
        known = ", ".join(each.value for each in _MODES)
        raise InputError(f"the query mode {query.mode!r} is not known to a store; choose one of {known}")
    if mode == "hybrid" and query.alpha is not None:
        if query.alpha not in (0, 1):
            raise InputError(
                f"alpha = {query.alpha!r} would weigh words and meaning by hand, but a store weighs them by what it "
                "measured about itself; leave alpha out, or give 0 (words alone) or 1 (meaning alone)"
            )
        mode = "vector" if query.alpha else "keyword"
    if query.embedding_field is not None:
        raise InputError(f"a store has one vector a node and no field {query.embedding_field!r}; leave it out")
    if not query.query_str and (mode != "vector" or query.query_embedding is None):
        raise InputError(f"a query of the mode {query.mode.value!r} needs a query_str")
    return mode


def _found(store: Store, text: str, limit: int, options: SearchOptions) -> list[tuple[BaseNode, float]]:
    """Search for at most `limit` different nodes, best first, with their scores."""

    def ask(asked: int) -> Results:
        told: SearchOptions = {**options, "limit": asked}
        if asked == limit:
            return store.search(text, **told)
        if depth := options.get("depth"):
            told["depth"] = max(depth, asked)
        with store.unlogged():  # it is still the same question
            return store.search(text, **told)

    best = _distinct(limit, ask)
    cut = [hit.document_id for hit in best if NODE in hit.metadata]
    texts = {document.id: document.text for document in store.documents({"@id": {"$in": cut}})} if cut else {}
    return [(_node_of_hit(hit, texts.get(hit.document_id, hit.text)), hit.score) for hit in best]


def _distinct(limit: int, ask: Callable[[int], Results]) -> list[Hit]:
    """Give hits of which no two are one node: a node that the store cut can be found more than once."""
    asked = limit
    while True:
        results, best = ask(asked), dict[str | int, Hit]()
        for hit in results:
            best.setdefault(hit.document_id if NODE in hit.metadata else hit.chunk_id, hit)
        if len(best) >= limit or len(results) < asked:
            return list(best.values())[:limit]
        asked *= 2


def _document(node: BaseNode, *, flat: bool) -> Document:
    metadata = node_to_metadata_dict(node, remove_text=True, flat_metadata=flat)
    if empty := [key for key, value in node.metadata.items() if value == []]:
        metadata[EMPTY] = empty
    return Document(id=node.node_id, text=node.get_content(metadata_mode=MetadataMode.NONE), metadata=metadata)


def _node(document: Document) -> BaseNode:
    if NODE in document.metadata:
        return metadata_dict_to_node(dict(document.metadata), text=document.text)
    told = _told(document.metadata, title=document.title, uri=document.uri)
    return TextNode(id_=str(document.id), text=document.text, metadata=told)


def _node_of_hit(hit: Hit, text: str) -> BaseNode:
    if NODE in hit.metadata:
        return metadata_dict_to_node(dict(hit.metadata), text=text)
    return TextNode(
        id_=f"{hit.document_id}#{hit.start}-{hit.end}",
        text=hit.text,
        metadata=_told(hit.metadata, title=hit.title, uri=hit.uri, heading=hit.heading),
        start_char_idx=hit.start,
        end_char_idx=hit.end,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=hit.document_id)},
    )


def _told(metadata: Mapping[str, Any], **own: str) -> dict[str, Any]:
    """Give the metadata with what the document itself is called, unless it says so already."""
    return {**{name: value for name, value in own.items() if value}, **metadata}


def _opened(store: object) -> Store:
    if not isinstance(store, Store):
        raise InputError(f"a Store is needed, not {type(store).__name__}; open one with hybridstore.open(path)")
    return store
