"""The retriever: a pipeline component that finds Documents by keyword and by vector."""

from __future__ import annotations

from typing import Any, Self

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.document_stores.types import FilterPolicy, apply_filter_policy

from hybridstore.errors import InputError
from hybridstore.integrations.haystack.document_store import HybridStoreDocumentStore
from hybridstore.integrations.haystack.metadata_summary import in_thread


@component
class HybridStoreHaystackRetriever:
    """Returns the `top_k` best Documents of a HybridStoreDocumentStore for a query, with the store's own embedder.

    `mode`, `fusion`, `min_relevance`, `unique` and `diversity` are those of `Store.search`; `passages` returns parts
    instead of Documents (`HybridStoreDocumentStore.search`), `return_embedding` adds embeddings. `filters` are replaced
    by those of a run, or with FilterPolicy.MERGE joined to them. Raises InputError for another document store and a
    `top_k` below 1.
    """

    def __init__(
        self,
        document_store: HybridStoreDocumentStore,
        *,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        mode: str = "hybrid",
        fusion: str = "adaptive",
        min_relevance: float | None = None,
        unique: bool = False,
        diversity: float = 0.0,
        passages: bool = False,
        return_embedding: bool = False,
        filter_policy: str | FilterPolicy = FilterPolicy.REPLACE,
    ) -> None:
        if not isinstance(document_store, HybridStoreDocumentStore):
            raise InputError(f"document_store must be a HybridStoreDocumentStore, not {type(document_store).__name__}")
        if top_k < 1:
            raise InputError(f"top_k must be a whole number of at least 1, not {top_k!r}")
        self.document_store, self.filters, self.top_k = document_store, filters, top_k
        self.filter_policy = FilterPolicy.from_str(filter_policy) if isinstance(filter_policy, str) else filter_policy
        self._options: dict[str, Any] = {
            "mode": mode,
            "fusion": fusion,
            "min_relevance": min_relevance,
            "unique": unique,
            "diversity": diversity,
            "passages": passages,
            "return_embedding": return_embedding,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return it, with its document store, for `from_dict`."""
        return default_to_dict(
            self,
            document_store=self.document_store,
            filters=self.filters,
            top_k=self.top_k,
            filter_policy=self.filter_policy.value,
            **self._options,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the retriever of a `to_dict`."""
        made: Self = default_from_dict(cls, data)
        return made

    @component.output_types(documents=list[Document])
    def run(
        self,
        query: str,
        query_embedding: list[float] | None = None,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """Return {"documents": […]}, best first, each with its score.

        `query_embedding` is for stores whose vectors the Documents brought; the others embed the query. Raises
        FilterError for invalid filters, InputError for a query that needs a vector and has none.
        """
        documents = self.document_store.search(
            query,
            filters=apply_filter_policy(self.filter_policy, self.filters, filters),
            top_k=self.top_k if top_k is None else top_k,
            query_embedding=query_embedding,
            **self._options,
        )
        return {"documents": documents}

    run_async = component.output_types(documents=list[Document])(in_thread(run))
