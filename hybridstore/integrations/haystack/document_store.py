"""The document store: Haystack's Documents written to, read from, and sought in one file."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

from haystack import Document, default_from_dict, default_to_dict
from haystack.core.errors import SerializationError
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from numpy.typing import ArrayLike

from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import InputError
from hybridstore.filters import And, Filter, field
from hybridstore.integrations.haystack.async_methods import in_thread
from hybridstore.integrations.haystack.document_conversion import KEPT, from_store, meta_of, to_store, with_meta
from hybridstore.integrations.haystack.filter_conversion import filter_of, narrowing
from hybridstore.integrations.haystack.metadata_summary import MetaFacts
from hybridstore.records import Hit
from hybridstore.store import Store, Writer
from hybridstore.store import open as open_store
from hybridstore.store.document_checks import checked
from hybridstore.store.embedder_choice import GIVEN, unit
from hybridstore.store.search_options import SearchOptions

Filters = dict[str, Any]

_AT_ONCE = 500  # documents whose meta is changed before the next are read


class HybridStoreDocumentStore(MetaFacts):
    """A store's file as a document store, opened when it is first used. A context manager, so that it is closed.

    `path`, `embedder`, `language`, `memory` and `threads` are those of `hybridstore.open`. Without `embedder` the file
    decides; and an empty file takes the embeddings of the first Documents if any of these has one, else the default
    model's. Where Documents bring the vectors, those without are found by their words alone, and a question needs its
    own `query_embedding`. Where an embedder makes them, a Document's embedding must be that embedder's, and what has
    neither embedding nor content gets none. With `chunk` long Documents are cut to the embedder's window, to be found
    by any of their parts; they stay whole all the same.

    `write_documents` and `filter_documents` give back what was written: id, content, blob, score, embeddings, and meta
    as far as it is JSON. Each method has a twin that ends in `_async`.
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
        """The Store, opened if it is not; raises what `hybridstore.open` raises."""
        with self._lock:
            if self._opened is None:
                self._opened = open_store(self._path, embedder=self._embedder, **self._opening)
            return self._opened

    def close(self) -> None:
        """Close the file. What is asked for next opens it again."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def to_dict(self) -> dict[str, Any]:
        """Give what `from_dict` makes it from; raises SerializationError for an embedder that is no name or folder."""
        embedder = self._embedder
        if not isinstance(embedder, str | Path | None):
            raise SerializationError(
                f"an embedder of the class {type(embedder).__name__} cannot be written down; name one from the catalog "
                "or a folder, or leave it out where the file has its own"
            )
        name = None if embedder is None else str(embedder)
        return default_to_dict(self, path=self._path, embedder=name, chunk=self._chunk, **self._opening)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Make it of what `to_dict` gave."""
        made: Self = default_from_dict(cls, data)
        return made

    # writing

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Write Documents; give how many. Without a policy, one whose id is there already fails.

        Raises DuplicateDocumentError then, and InputError (a ValueError) for what is no Document, meta that is no
        JSON, and embeddings that do not fit each other or the vectors there are, all before anything is written.
        """
        given: object = documents
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise InputError(f"documents are a list of Documents, not {given!r}")
        documents = list(given)
        if unfit := [each for each in documents if not isinstance(each, Document)]:
            raise InputError(f"documents are a list of Documents, and {unfit[0]!r} is none")
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
                    f"a document with the id {document.id!r} is there already; write with DuplicatePolicy.OVERWRITE "
                    "or SKIP"
                )
        return new

    def _write(self, documents: Sequence[Document]) -> None:
        lengths = sorted({len(each.embedding) for each in documents if each.embedding is not None})
        if len(lengths) > 1:
            raise InputError(f"the documents' embeddings have different lengths: {', '.join(map(str, lengths))}")
        stored = self.store.embeddings.active
        if lengths and stored is not None and lengths[0] != stored.dim:
            raise InputError(
                f"the documents' embeddings have {lengths[0]} dimensions, and the store's vectors {stored.dim}; embed "
                "both with the same model, or leave the embeddings out"
            )
        given = bool(lengths) if stored is None else stored.reference == GIVEN
        embed = not (given and self._embedder is None)
        ready = [
            (
                embed and not (document.embedding is None and not document.content),
                checked(to_store(document)),
                None
                if document.embedding is None
                else unit(document.embedding, (None,), f"embedding of {document.id}"),
            )
            for document in documents
        ]
        for embed, some in groupby(ready, key=lambda one: one[0]):
            with self.store.writer(chunk=self._chunk, embed=embed) as writer:
                for _, document, vector in some:
                    writer.add(document, vector=vector)

    def delete_documents(self, document_ids: list[str]) -> None:
        """Delete Documents by id; those that are not there are no error."""
        self.store.remove(document_ids)

    def delete_all_documents(self) -> None:
        """Delete every document of the file, those that were not written from Haystack too."""
        self.store.remove(self._ids(None))

    def delete_by_filter(self, filters: Filters) -> int:
        """Delete what passes the filter; give how many. Raises FilterError for a filter that names nothing."""
        return self.store.remove_where(narrowing(filters, "delete_all_documents() deletes all of them"))

    def update_by_filter(self, filters: Filters, meta: dict[str, Any]) -> int:
        """Set fields in the meta of what passes the filter; give how many Documents that are. Nothing is embedded anew.

        Raises FilterError for a filter that names nothing, InputError for meta that is no JSON.
        """
        where = narrowing(filters, "name what all of them have, as with meta.name != 'x'")
        ids = self._ids(where)
        return sum(self._update(where, ids[first : first + _AT_ONCE], meta) for first in range(0, len(ids), _AT_ONCE))

    def _update(self, where: Filter, ids: Sequence[str], meta: dict[str, Any]) -> int:
        """Set fields of those of the ids that pass the filter, all in one step; what others change is read again."""

        def decide(writer: Writer) -> int:
            digests = self.store.digests(ids)
            found = list(self.store.scan(And((where, _among(ids))), vectors=True))
            for stored in found:
                document = replace(stored.document, metadata=with_meta(stored.document, meta))
                given = "embedding" in document.metadata.get(KEPT, {})
                digest = digests[str(document.id)]
                writer.keep(stored, document, replaces=digest, whole=not self._chunk, given=given)
            return len(found)

        return self.store.update(decide, embed=False)

    def _ids(self, where: Filter | None) -> list[str]:
        return [str(document.id) for document in self.store.documents(where)]

    # reading

    def count_documents(self) -> int:
        """Count the Documents."""
        return self.store.count()

    def filter_documents(self, filters: Filters | None = None) -> list[Document]:
        """Give the Documents that pass the filter, in the order they were first written."""
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
        """Give the `top_k` Documents that answer a query best, each with its score, found by its best part.

        With `passages` the parts themselves are given, as Documents of their own whose meta also says of which
        `document_id` they are the text from `start` to `end`. `query_embedding` is the query's vector, where the store
        shall not make it. The other options are those of `Store.search`.
        """
        if top_k == 0:
            return []
        told: SearchOptions = {**options, "limit": top_k, "where": filter_of(filters), "vector": query_embedding}
        if passages:
            return [_passage(hit) for hit in self.store.search(query, **told)]
        told["per_document"] = 1
        hits = self.store.search(query, **told)
        whole = {each.id: each for each in self.store.documents(_among(hit.document_id for hit in hits))}
        return [  # what another has deleted meanwhile is not given
            from_store(whole[hit.document_id], score=hit.score, embedding=return_embedding)
            for hit in hits
            if hit.document_id in whole
        ]

    # what there is

    def count_documents_by_filter(self, filters: Filters) -> int:
        """Count the Documents that pass the filter."""
        return sum(1 for _ in self.store.documents(filter_of(filters)))

    def metas(self, filters: Filters | None = None) -> Iterator[Mapping[str, Any]]:
        """Give the meta of each Document that passes the filter."""
        for document in self.store.documents(filter_of(filters)):
            yield meta_of(document.metadata, title=document.title, uri=document.uri)

    # the asynchronous twins

    write_documents_async = in_thread(write_documents)
    delete_documents_async = in_thread(delete_documents)
    delete_all_documents_async = in_thread(delete_all_documents)
    delete_by_filter_async = in_thread(delete_by_filter)
    update_by_filter_async = in_thread(update_by_filter)
    count_documents_async = in_thread(count_documents)
    filter_documents_async = in_thread(filter_documents)
    search_async = in_thread(search)
    count_documents_by_filter_async = in_thread(count_documents_by_filter)


def _among(ids: Iterable[str]) -> Filter:
    return field("@id").in_(ids)


def _passage(hit: Hit) -> Document:
    """Give a part of a document as one of its own."""
    where = {"document_id": hit.document_id, "start": hit.start, "end": hit.end}
    meta = meta_of(hit.metadata, title=hit.title, uri=hit.uri, heading=hit.heading)
    return Document(id=f"{hit.document_id}#{hit.start}-{hit.end}", content=hit.text, meta=meta | where, score=hit.score)
