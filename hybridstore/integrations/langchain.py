"""A store in LangChain: a vector store for chains and indexing, and a retriever with all of hybrid search.

    vectors = HybridStoreVectorStore("notes.db")                       the file's own embedder
    vectors = HybridStoreVectorStore("notes.db", OpenAIEmbeddings())   vectors from LangChain's Embeddings
    retriever = HybridStoreRetriever(store=hs.open("notes.db"), k=5, min_relevance=0.5)

Implements `VectorStore` and `BaseRetriever` of the package `langchain-core` (https://github.com/langchain-ai/langchain).
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import partial
from typing import Any, Self

import numpy as np

from hybridstore.backends.values import Embedding
from hybridstore.errors import EmbedderMismatch, EmptyQuery, InputError, MissingExtra, NotFound
from hybridstore.records import Document as Stored
from hybridstore.records import Hit
from hybridstore.search.neighbours import Around
from hybridstore.search.request import MODES, check_choice
from hybridstore.search.second_stage import Rerank, Reranker
from hybridstore.search.selection import Candidates, SelectionRequest, select
from hybridstore.store import Holder, Store
from hybridstore.store.embedder_choice import GIVEN, unit
from hybridstore.store.inputs import SearchOptions, Where

try:
    from langchain_core.callbacks.manager import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables.config import run_in_executor
    from langchain_core.vectorstores import VectorStore
except ImportError as error:
    raise MissingExtra("langchain", "the store in LangChain", "langchain-core") from error

_Scored = list[tuple[Document, float]]

_HIT_FIELDS = tuple(field.name for field in fields(Hit) if field.name not in ("document_id", "text", "metadata"))
_OPTIONS = SearchOptions.__annotations__.keys() - {"limit"}
_MISMATCH = "the stored vectors are made by {} and not by these Embeddings; leave embedding out, or use another file"


class HybridStoreVectorStore(Holder, VectorStore):
    """A store as LangChain's vector store. A context manager; `close` closes a store that it opened.

    `store` is a Store, or the path of one. With `embedding` it makes all vectors, of documents and queries; without it
    the store's own embedder does, which also makes relevance available. A file belongs to one of the two. `mode` is the
    default for searches, see `Store.search`.

    A LangChain document is one document and one chunk; documents added in other ways are found too, passage by passage.
    Metadata must be JSON. Searches take the arguments of `Store.search` by name, with `filter` for `where`.

    Raises InputError if the file's vectors were not made by `embedding`.
    """

    def __init__(
        self, store: Store | str | os.PathLike[str], embedding: Embeddings | None = None, *, mode: str = "hybrid"
    ) -> None:
        self._hold(store)
        self._embedding, self._mode = embedding, mode
        try:
            _check_embedding(self.store, embedding, mode)
            check_choice("mode", mode, MODES)
        except BaseException:
            self.close()
            raise

    @property
    def embeddings(self) -> Embeddings | None:
        """The Embeddings that make the vectors; None if the store embeds."""
        return self._embedding

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        store: Store | str | os.PathLike[str] = ":memory:",
        mode: str = "hybrid",
        **kwargs: Any,
    ) -> Self:
        """Create a vector store over `store` and add texts to it; the other arguments are those of `add_texts`."""
        created = cls(store, embedding, mode=mode)
        try:
            created.add_texts(texts, metadatas, ids=ids, **kwargs)
        except BaseException:
            created.close()
            raise
        return created

    # writing

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Add texts, replacing those of the same id; return their ids, which are random where not passed.

        `batch_size` texts are embedded and committed at a time, None: all. Raises InputError for lists of different
        lengths, unknown arguments and what cannot be stored.
        """
        if kwargs:
            raise InputError(f"add takes metadatas, ids and batch_size, not {', '.join(kwargs)}")
        listed = list(texts)
        for name, values in (("metadatas", metadatas), ("ids", ids)):
            if values is not None and len(values) != len(listed):
                raise InputError(f"there are {len(listed)} texts but {len(values)} {name}; pass one for each, or none")
        size = len(listed) or 1 if batch_size is None else batch_size
        if size < 1:
            raise InputError(f"batch_size must be at least 1, not {size}")
        all_ids = [str(uuid.uuid4()) if id_ is None else id_ for id_ in ids or [None] * len(listed)]
        documents = [
            Stored(id=id_, text=text, metadata=metadata or {})
            for id_, text, metadata in zip(all_ids, listed, metadatas or [{}] * len(listed), strict=True)
        ]
        for first in range(0, len(documents), size):
            self._add(documents[first : first + size])
        return all_ids

    def _add(self, documents: list[Stored]) -> None:
        if self._embedding is None:
            self.store.add(documents, chunk=False)
            return
        vectors = unit(
            self._embedding.embed_documents([document.text for document in documents]),
            (None, None),
            "the result of the Embeddings",
        )
        dim = vectors.shape[1]
        try:  # or a store opened with an embedder would take them for its own
            self.store.writer().expect_vectors(Embedding(f"{GIVEN}@{dim}", GIVEN, dim))
        except EmbedderMismatch as error:
            raise InputError(_MISMATCH.format(error.stored)) from error
        self.store.add(documents, vectors=vectors)

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete documents by id; unknown ids are ignored. Raises InputError without `ids`, deleting nothing."""
        if ids is None or kwargs:
            raise InputError("delete takes ids, and nothing else; to delete everything remove the store's file")
        self.store.remove(ids)
        return True

    # reading

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the stored documents with these ids, whole and in this order."""
        documents = []
        for id_ in dict.fromkeys(ids):
            with suppress(NotFound):
                stored = self.store.get(id_)
                documents.append(Document(id=id_, page_content=stored.text, metadata=dict(stored.metadata)))
        return documents

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """Return the `k` best documents for a query, by keyword and by vector."""
        return [_document(hit) for hit in self._search(query, k, kwargs)]

    def similarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> _Scored:
        """Return documents with their scores, higher is better: from 0 to 1 by default (see `Hit.score`)."""
        return [(_document(hit), hit.score) for hit in self._search(query, k, kwargs)]

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        """Return the documents nearest to a vector, regardless of words."""
        return self.similarity_search("", k, **{"mode": "vector", "vector": embedding, **kwargs})

    def _similarity_search_with_relevance_scores(self, query: str, k: int = 4, **kwargs: Any) -> _Scored:
        """Return documents with `Hit.relevance`; 0.5 separates best what has an answer here from what has none.

        In a store without calibration (the vectors come from `embedding`) it is the score, with mode="vector" the
        cosine, or 0 below that.
        """
        if kwargs.get("mode", self._mode) == "keyword":
            raise InputError("keyword scores have no upper bound; use another mode for relevance")
        relevance = [
            (hit, hit.score if hit.relevance is None else hit.relevance) for hit in self._search(query, k, kwargs)
        ]
        return [(_document(hit), min(max(score, 0.0), 1.0)) for hit, score in relevance]

    async def _asimilarity_search_with_relevance_scores(self, query: str, k: int = 4, **kwargs: Any) -> _Scored:
        return await run_in_executor(None, self._similarity_search_with_relevance_scores, query, k, **kwargs)

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Return `k` of the `fetch_k` best documents for a query that are unlike each other.

        `lambda_mult`, from 0 to 1, is the weight of the first criterion: 1 - `diversity` of `Store.search`.
        """
        if k < 1 or not 0.0 <= lambda_mult <= 1.0:
            raise InputError(f"k must be at least 1 and lambda_mult from 0 to 1, not {k!r} and {lambda_mult!r}")
        hits = self._search(query, max(k, fetch_k), kwargs)
        candidates = Candidates(
            scores=np.array([hit.score for hit in hits]),
            vectors=self.store.chunks.vectors([hit.chunk_id for hit in hits]),
            documents=[hit.document_id for hit in hits],
            texts=[hit.text for hit in hits],
        )
        chosen = select(candidates, k, SelectionRequest(diversity=1.0 - lambda_mult))
        return [_document(hits[position]) for position in chosen.shown]

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Return `k` of the `fetch_k` documents nearest to a vector that are unlike each other."""
        by_vector = {"mode": "vector", "vector": embedding, **kwargs}
        return self.max_marginal_relevance_search("", k, fetch_k, lambda_mult, **by_vector)

    def _search(self, query: str, k: int, options: Mapping[str, Any]) -> Sequence[Hit]:
        if "filter" in options and "where" in options:
            raise InputError("filter and where are the same; pass one of them, with $and for both")
        named = {("where" if name == "filter" else name): value for name, value in options.items()}
        return _hits(self.store, self._embedding, query, k, {"mode": self._mode, **named})


class HybridStoreRetriever(BaseRetriever):
    """Hybrid search as a retriever: the best `k` passages, and for each of them how it was found.

    The fields are the arguments of `Store.search`, with `k` for `limit`; `invoke` takes them too, for one query.
    `embedding` makes the queries' vectors if the store's vectors came from LangChain's Embeddings.

    A document has the id and metadata of the passage's document. Under the key "hybridstore" it has the Hit's other
    fields: score, rank, relevance, the ranks and scores of both legs, chunk_id, title, uri, heading, start, end and
    copies. Invalid fields raise pydantic's ValidationError at once.
    """

    store: Store
    embedding: Embeddings | None = None
    k: int = 4
    where: Where = None
    mode: str = "hybrid"
    fusion: str = "adaptive"
    depth: int | None = None
    syntax: str = "simple"
    min_relevance: float | None = None
    unique: bool = False
    per_document: int | None = None
    diversity: float = 0.0
    around: Around | None = None
    exclude: Sequence[str] = ()
    rerank: Reranker | Rerank | None = None
    legs: str | Sequence[str] | None = None
    per: str = "chunk"
    norm: str = "product"
    hops: int = 1
    rewrite: Any = None

    def model_post_init(self, _context: Any, /) -> None:
        """Raise InputError for invalid fields, before the first query."""
        _check_embedding(self.store, self.embedding, self.mode)
        with suppress(EmptyQuery):  # which is raised last
            _hits(self.store, None, "", self.k, self._options())

    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _OPTIONS - {"vector"}}

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        del run_manager  # a search has no events
        options = {**self._options(), "k": self.k, **kwargs}
        hits = _hits(self.store, self.embedding, query, options.pop("k"), options)
        return [_document(hit, {name: getattr(hit, name) for name in _HIT_FIELDS}) for hit in hits]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        search = partial(self._get_relevant_documents, query, run_manager=run_manager.get_sync(), **kwargs)
        return await run_in_executor(None, search)


def _hits(store: Store, embedding: Embeddings | None, query: str, k: int, options: Mapping[str, Any]) -> Sequence[Hit]:
    if unknown := options.keys() - _OPTIONS:
        raise InputError(f"a search does not take {', '.join(sorted(unknown))}; it takes {', '.join(sorted(_OPTIONS))}")
    if not isinstance(k, int) or k < 1:
        raise InputError(f"k must be a whole number of at least 1, not {k!r}")
    vector = options.get("vector")
    if vector is None and embedding is not None and options["mode"] != "keyword" and query.strip():
        vector = embedding.embed_query(query)
    return store.search(query, **{**options, "vector": vector, "limit": k})


def _document(hit: Hit, own: Mapping[str, Any] | None = None) -> Document:
    metadata = {**hit.metadata} if own is None else {**hit.metadata, "hybridstore": dict(own)}
    return Document(id=hit.document_id, page_content=hit.text, metadata=metadata)


def _check_embedding(store: Store, embedding: Embeddings | None, mode: str) -> None:
    stored = store.embeddings.active
    if stored is None:
        return
    if embedding is not None and stored.reference != GIVEN:
        raise InputError(_MISMATCH.format(stored.fingerprint))
    if embedding is None and stored.reference == GIVEN and mode != "keyword":
        try:
            store.embedder()
        except InputError as error:
            raise InputError(
                "the stored vectors were made outside the store; pass the Embeddings that made them, or search "
                "with mode='keyword'"
            ) from error
