"""The document store: Haystack's Documents, written, read and searched in one file."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, Self, Unpack

import numpy as np
from haystack import Document, default_from_dict, default_to_dict
from haystack.core.errors import SerializationError
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from numpy.typing import ArrayLike, NDArray

from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import InputError
from hybridstore.filters import And, Filter, field
from hybridstore.integrations.haystack.conversion import (
    OURS,
    filter_of,
    from_store,
    meta_of,
    restricting_filter,
    to_store,
    with_meta,
)
from hybridstore.integrations.haystack.metadata_summary import MetaSummary, in_thread
from hybridstore.records import Hit
from hybridstore.store import Store, Writer
from hybridstore.store import open as open_store
from hybridstore.store.embedder_choice import GIVEN, unit
from hybridstore.store.inputs import SearchOptions, checked

Filters = dict[str, Any]

_BATCH = 500  # documents whose meta is changed in one step


class HybridStoreDocumentStore(MetaSummary):
    """A store's file as a document store, opened when it is first used. A context manager that closes it.

    `path`, `embedder`, `language`, `memory` and `threads` are those of `hybridstore.open`. Without `embedder` the file
    decides; an empty file takes the embeddings of the first Documents if any of these has one, else the default
    model's. If Documents bring the vectors, those without are found by keyword alone, and a query needs its own
    `query_embedding`. If an embedder makes them, a Document's embedding must be that embedder's, and a Document without
    embedding and content gets none. With `chunk` long Documents are split to the embedder's window and found by any of
    their parts, but returned whole.

    Documents are returned as they were written: id, content, blob, score, embeddings, and meta, which must be JSON.
    Each method has an asynchronous variant that ends in `_async`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        embedder: str | Path | Embedder | None = None,
        language: str | None = None,
        memory: int = 1024,
        threads: int | None = None,
        chunk: bool = True,
    ) -> None:
        self._path, self._embedder, self._chunk = os.fspath(path), embedder, chunk
        self._opening: dict[str, Any] = {"language": language, "memory": memory, "threads": threads}
        self._opened: Store | None = None
        self._lock = threading.RLock()

    @property
    def store(self) -> Store:
        """The Store, opened if necessary; raises what `hybridstore.open` raises."""
        with self._lock:
            if self._opened is None:
                self._opened = open_store(self._path, embedder=self._embedder, **self._opening)
            return self._opened

    def close(self) -> None:
        """Close the file. The next call opens it again."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def to_dict(self) -> dict[str, Any]:
        """Return it for `from_dict`; raises SerializationError for an embedder that is not a name or folder."""
        embedder = self._embedder
        if not isinstance(embedder, str | Path | None):
            raise SerializationError(
                f"an embedder of the class {type(embedder).__name__} cannot be serialized; pass the name of one, or "
                "a folder, or leave it out if the file has its own"
            )
        name = None if embedder is None else str(embedder)
        return default_to_dict(self, path=self._path, embedder=name, chunk=self._chunk, **self._opening)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the document store of a `to_dict`."""
        made: Self = default_from_dict(cls, data)
        return made

    # writing

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Write Documents; return their number. Without a policy, a known id raises DuplicateDocumentError.

        Raises InputError (a ValueError) for what is not a Document, meta that is not JSON, and embeddings of different
        length or other than the stored vectors. Nothing is written in case of an error.
        """
        values: object = documents
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise InputError(f"documents must be a list of Documents, not {values!r}")
        documents = list(values)
        if wrong := [document for document in documents if not isinstance(document, Document)]:
            raise InputError(f"documents must be a list of Documents, and {wrong[0]!r} is not one")
        if policy != DuplicatePolicy.OVERWRITE:
            documents = self._new(documents, skip=policy == DuplicatePolicy.SKIP)
        self._write(documents)
        return len(documents)

    def _new(self, documents: Sequence[Document], *, skip: bool) -> list[Document]:
        known = set(self.store.digests([document.id for document in documents]))
        new = []
        for document in documents:
            if document.id not in known:
                known.add(document.id)
                new.append(document)
            elif not skip:
                raise DuplicateDocumentError(
                    f"a document with the id {document.id!r} exists already; write with DuplicatePolicy.OVERWRITE "
                    "or SKIP"
                )
        return new

    def _write(self, documents: Sequence[Document]) -> None:
        lengths = sorted({len(document.embedding) for document in documents if document.embedding is not None})
        if len(lengths) > 1:
            raise InputError(f"the documents' embeddings have different lengths: {', '.join(map(str, lengths))}")
        stored = self.store.embeddings.active
        if lengths and stored is not None and lengths[0] != stored.dim:
            raise InputError(
                f"the documents' embeddings have {lengths[0]} dimensions, and the store's vectors {stored.dim}; embed "
                "both with the same model, or leave the embeddings out"
            )
        external = bool(lengths) if stored is None else stored.reference == GIVEN
        embeds = not (external and self._embedder is None)
        ready = [
            (embeds and bool(document.embedding is not None or document.content), checked(to_store(document)), vector)
            for document, vector in zip(documents, map(_vector, documents), strict=True)
        ]
        for embed, batch in groupby(ready, key=lambda entry: entry[0]):
            with self.store.writer(chunk=self._chunk, embed=embed) as writer:
                for _, document, vector in batch:
                    writer.add(document, vector=vector)

    def delete_documents(self, document_ids: list[str]) -> None:
        """Delete Documents by id; unknown ids are ignored."""
        self.store.remove(document_ids)

    def delete_all_documents(self) -> None:
        """Delete every document of the file, including those that were not written from Haystack."""
        self.store.remove(self._ids(None))

    def delete_by_filter(self, filters: Filters) -> int:
        """Delete what passes the filter; return the number. Raises FilterError for a filter that everything passes."""
        return self.store.remove_where(restricting_filter(filters, "delete_all_documents() deletes all of them"))

    def update_by_filter(self, filters: Filters, meta: dict[str, Any]) -> int:
        """Set fields in the meta of the Documents that pass the filter; return their number. Nothing is embedded again.

        Raises FilterError for a filter that everything passes, InputError for meta that is not JSON.
        """
        where = restricting_filter(filters, "use one that they all pass for a reason, such as meta.name != 'x'")
        ids = self._ids(where)
        return sum(self._update(where, ids[first : first + _BATCH], meta) for first in range(0, len(ids), _BATCH))

    def _update(self, where: Filter, ids: Sequence[str], meta: dict[str, Any]) -> int:
        """Set fields of those of the ids that still pass the filter, all in one step."""

        def decide(writer: Writer) -> int:
            digests = self.store.digests(ids)
            documents = list(self.store.scan(And((where, _among(ids))), vectors=True))
            for stored in documents:
                document = replace(stored.document, metadata=with_meta(stored.document, meta))
                external = "embedding" in document.metadata.get(OURS, {})
                digest = digests[str(document.id)]
                writer.rewrite(stored, document, replaces=digest, whole=not self._chunk, given=external)
            return len(documents)

        return self.store.update(decide, embed=False)

    def _ids(self, where: Filter | None) -> list[str]:
        return [str(document.id) for document in self.store.documents(where)]

    # reading

    def count_documents(self) -> int:
        """Return the number of Documents."""
        return self.store.count()

    def filter_documents(self, filters: Filters | None = None) -> list[Document]:
        """Return the Documents that pass the filter, in the order they were first written."""
        return [from_store(document) for document in self.store.documents(filter_of(filters))]

    def search(
        self,
        query: str,
        *,
        filters: Filters | None = None,
        top_k: int = 10,
        query_embedding: ArrayLike | None = None,
        return_embedding: bool = False,
        passages: bool = False,
        **options: Unpack[SearchOptions],
    ) -> list[Document]:
        """Return the `top_k` best Documents for a query, each with the score of its best part.

        With `passages` the parts themselves are returned, as Documents whose meta also has the `document_id` whose text
        they are, from `start` to `end`. `query_embedding` is the query's vector, if the store should not make it. The
        other options are those of `Store.search`.
        """
        if top_k == 0:
            return []
        merged: SearchOptions = {**options, "limit": top_k, "where": filter_of(filters), "vector": query_embedding}
        if passages:
            return [_passage(hit) for hit in self.store.search(query, **merged)]
        merged["per_document"] = 1
        hits = self.store.search(query, **merged)
        whole = {document.id: document for document in self.store.documents(_among(hit.document_id for hit in hits))}
        return [  # without those that another process has deleted meanwhile
            from_store(whole[hit.document_id], score=hit.score, embedding=return_embedding)
            for hit in hits
            if hit.document_id in whole
        ]

    # summaries

    def count_documents_by_filter(self, filters: Filters) -> int:
        """Return the number of Documents that pass the filter."""
        return sum(1 for _ in self.store.documents(filter_of(filters)))

    def metas(self, filters: Filters | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield the meta of each Document that passes the filter."""
        for document in self.store.documents(filter_of(filters)):
            yield meta_of(document.metadata, title=document.title, uri=document.uri)

    # asynchronous variants

    write_documents_async = in_thread(write_documents)
    delete_documents_async = in_thread(delete_documents)
    delete_all_documents_async = in_thread(delete_all_documents)
    delete_by_filter_async = in_thread(delete_by_filter)
    update_by_filter_async = in_thread(update_by_filter)
    count_documents_async = in_thread(count_documents)
    filter_documents_async = in_thread(filter_documents)
    search_async = in_thread(search)
    count_documents_by_filter_async = in_thread(count_documents_by_filter)


def _vector(document: Document) -> NDArray[np.float32] | None:
    if document.embedding is None:
        return None
    return unit(document.embedding, (None,), f"embedding of {document.id}")


def _among(ids: Iterable[str]) -> Filter:
    return field("@id").in_(ids)


def _passage(hit: Hit) -> Document:
    """Return a part of a document as a Document."""
    where = {"document_id": hit.document_id, "start": hit.start, "end": hit.end}
    meta = meta_of(hit.metadata, title=hit.title, uri=hit.uri, heading=hit.heading)
    return Document(id=f"{hit.document_id}#{hit.start}-{hit.end}", content=hit.text, meta=meta | where, score=hit.score)
