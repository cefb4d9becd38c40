"""A store in LangChain: a vector store that its chains and indexing know, and a retriever of the whole hybrid search.

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
from hybridstore.errors import EmbedderMismatch, InputError, MissingExtra, NotFound
from hybridstore.records import Document as Stored
from hybridstore.records import Hit
from hybridstore.search.neighbours import Around
from hybridstore.search.selection import Candidates, SelectionRequest, select
from hybridstore.store import Holder, Store
from hybridstore.store.embedder_choice import GIVEN, unit
from hybridstore.store.search_options import SearchOptions, Where

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

_TOLD = tuple(field.name for field in fields(Hit) if field.name not in ("document_id", "text", "metadata"))
_OPTIONS = SearchOptions.__annotations__.keys() - {"limit"}
_OTHERS = "the vectors here are made by {} and not by the Embeddings given; leave embedding out, or take another file"


class HybridStoreVectorStore(Holder, VectorStore):
    """A store as LangChain's vector store. A context manager; what it opened itself, `close` closes.

    `store` is a Store, or the path of one (":memory:" goes with us). With `embedding` all vectors are made by it, of
    documents and of queries; without it by the store's own embedder, which also measures how relevant hits are. One
    file keeps to one of the two. `mode` is that of `Store.search`, "hybrid" unless a search says otherwise.

    A LangChain document is one document and one chunk. What came into the file in other ways is found too, passage by
    passage. Metadata must be JSON. Searches take the arguments of `Store.search` by name, with `filter` for `where`.

    Raises InputError where the file's vectors and `embedding` do not belong together.
    """

    def __init__(
        self, store: Store | str | os.PathLike[str], embedding: Embeddings | None = None, *, mode: str = "hybrid"
    ) -> None:
        self._hold(store)
        self._embedding, self._mode = embedding, mode
        try:
            _see_that_they_belong_together(self.store, embedding, mode)
            self.store.search("", mode=mode)  # so that a wrong mode is told now
        except BaseException:
            self.close()
            raise

    @property
    def embeddings(self) -> Embeddings | None:
        """The Embeddings that were handed over; None where the store embeds."""
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
        """Make a vector store over `store` and add texts to it; the other arguments are those of `add_texts`."""
        made = cls(store, embedding, mode=mode)
        try:
            made.add_texts(texts, metadatas, ids=ids, **kwargs)
        except BaseException:
            made.close()
            raise
        return made

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
        """Add texts, replacing those of the same id; give their ids. Those without one get a random one.

        `batch_size` is how many are embedded and committed at a time, None: all. Raises InputError for lists of
        different lengths, unknown arguments and what cannot be stored.
        """
        if kwargs:
            raise InputError(f"add takes metadatas, ids and batch_size, not {', '.join(kwargs)}")
        listed = list(texts)
        for what, given in (("metadatas", metadatas), ("ids", ids)):
            if given is not None and len(given) != len(listed):
                raise InputError(f"there are {len(listed)} texts but {len(given)} {what}; give one for each, or none")
        size = len(listed) or 1 if batch_size is None else batch_size
        if size < 1:
            raise InputError(f"batch_size must be at least 1, not {size}")
        named = [str(uuid.uuid4()) if each is None else each for each in ids or [None] * len(listed)]
        documents = [
            Stored(id=id_, text=text, metadata=metadata or {})
            for id_, text, metadata in zip(named, listed, metadatas or [{}] * len(listed), strict=True)
        ]
        for first in range(0, len(documents), size):
            self._add(documents[first : first + size])
        return named

    def _add(self, documents: list[Stored]) -> None:
        if self._embedding is None:
            self.store.add(documents, chunk=False)
            return
        made = self._embedding.embed_documents([document.text for document in documents])
        vectors = unit(made, (None, None), "what the Embeddings made")
        dim = vectors.shape[1]
        try:  # a store that was opened with an embedder would take them for that one's
            self.store.writer().bring(Embedding(f"{GIVEN}@{dim}", GIVEN, dim))
        except EmbedderMismatch as error:
            raise InputError(_OTHERS.format(error.stored)) from error
        self.store.add(documents, vectors=vectors)

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete documents by id; unknown ids are no error. Raises InputError without `ids`: nothing is deleted."""
        if ids is None or kwargs:
            raise InputError("delete takes ids, and nothing else; to delete everything remove the store's file")
        self.store.remove(ids)
        return True

    # reading

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Give the documents that are there, whole, in the order of `ids`."""
        found = []
        for id_ in dict.fromkeys(ids):
            with suppress(NotFound):
                stored = self.store.get(id_)
                found.append(Document(id=id_, page_content=stored.text, metadata=dict(stored.metadata)))
        return found

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """Find the `k` documents that answer a query best, by word and by meaning."""
        return [_document(hit) for hit in self._search(query, k, kwargs)]

    def similarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> _Scored:
        """Find documents with their scores, higher is better: with the usual fusion from 0 to 1 (see `Hit.score`)."""
        return [(_document(hit), hit.score) for hit in self._search(query, k, kwargs)]

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        """Find the documents nearest to a vector; words play no part."""
        return self.similarity_search("", k, **{"mode": "vector", "vector": embedding, **kwargs})

    def _similarity_search_with_relevance_scores(self, query: str, k: int = 4, **kwargs: Any) -> _Scored:
        """Give `Hit.relevance`, of which 0.5 tells best what is answered here from what is not.

        Where the store has not measured its vectors (they come from `embedding`) it is the score; with mode="vector"
        the cosine, or 0 below that.
        """
        if kwargs.get("mode", self._mode) == "keyword":
            raise InputError("the scores of keywords alone have no upper bound; ask for relevance in another mode")
        relevance = [
            (hit, hit.score if hit.relevance is None else hit.relevance) for hit in self._search(query, k, kwargs)
        ]
        return [(_document(hit), min(max(score, 0.0), 1.0)) for hit, score in relevance]

    async def _asimilarity_search_with_relevance_scores(self, query: str, k: int = 4, **kwargs: Any) -> _Scored:
        return await run_in_executor(None, self._similarity_search_with_relevance_scores, query, k, **kwargs)

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Choose `k` of the `fetch_k` best that answer a query and are unlike each other.

        `lambda_mult`, from 0 to 1, is how much the first counts: 1 - `diversity` of `Store.search`.
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
        return [_document(hits[place]) for place in chosen.shown]

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Choose `k` of the `fetch_k` nearest to a vector so that they are unlike each other."""
        by_vector = {"mode": "vector", "vector": embedding, **kwargs}
        return self.max_marginal_relevance_search("", k, fetch_k, lambda_mult, **by_vector)

    def _search(self, query: str, k: int, told: Mapping[str, Any]) -> Sequence[Hit]:
        if "filter" in told and "where" in told:
            raise InputError("filter and where are the same; give one of them, with $and for both")
        named = {("where" if name == "filter" else name): value for name, value in told.items()}
        return _found(self.store, self._embedding, query, k, {"mode": self._mode, **named})


class HybridStoreRetriever(BaseRetriever):
    """The whole hybrid search as a retriever: the best `k` passages, and with each of them how it was found.

    The fields are the arguments of `Store.search`, with `k` for `limit`; `invoke` takes them too, for one query.
    `embedding` makes the queries' vectors where the store's vectors came from LangChain's Embeddings.

    A document's id is that of the document the passage is from, and its metadata are that document's. Under the key
    "hybridstore" stand the Hit's other fields: score, rank, relevance, the ranks and scores of both legs, chunk_id,
    title, uri, heading, start, end and copies. What makes no sense is a pydantic ValidationError at once.
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

    def model_post_init(self, _context: Any, /) -> None:
        """Raise InputError for what makes no sense, before the first query."""
        _see_that_they_belong_together(self.store, self.embedding, self.mode)
        # Asked for nothing, which only the advanced syntax does not allow.
        syntax = "simple" if self.syntax == "advanced" else self.syntax
        _found(self.store, None, "", self.k, {**self._options(), "syntax": syntax})

    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _OPTIONS - {"vector"}}

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        del run_manager  # a search tells of nothing on its way
        options = {**self._options(), "k": self.k, **kwargs}
        hits = _found(self.store, self.embedding, query, options.pop("k"), options)
        return [_document(hit, told={name: getattr(hit, name) for name in _TOLD}) for hit in hits]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        asked = partial(self._get_relevant_documents, query, run_manager=run_manager.get_sync(), **kwargs)
        return await run_in_executor(None, asked)


def _found(store: Store, embedding: Embeddings | None, query: str, k: int, options: Mapping[str, Any]) -> Sequence[Hit]:
    if unknown := options.keys() - _OPTIONS:
        raise InputError(f"a search does not take {', '.join(sorted(unknown))}; it takes {', '.join(sorted(_OPTIONS))}")
    if not isinstance(k, int) or k < 1:
        raise InputError(f"k must be a whole number of at least 1, not {k!r}")
    vector = options.get("vector")
    if vector is None and embedding is not None and options["mode"] != "keyword" and query.strip():
        vector = embedding.embed_query(query)
    return store.search(query, **{**options, "vector": vector, "limit": k})


def _document(hit: Hit, told: Mapping[str, Any] | None = None) -> Document:
    metadata = {**hit.metadata} if told is None else {**hit.metadata, "hybridstore": dict(told)}
    return Document(id=hit.document_id, page_content=hit.text, metadata=metadata)


def _see_that_they_belong_together(store: Store, embedding: Embeddings | None, mode: str) -> None:
    stored = store.embeddings.active
    if stored is None:
        return
    if embedding is not None and stored.reference != GIVEN:
        raise InputError(_OTHERS.format(stored.fingerprint))
    if embedding is None and stored.reference == GIVEN and mode != "keyword":
        try:
            store.embedder()
        except InputError as error:
            raise InputError(
                "the vectors here were made outside of the store; hand over the Embeddings that made them, or search "
                "with mode='keyword'"
            ) from error
