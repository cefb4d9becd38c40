"""An agent's memories in a store: JSON values under namespaces and keys, each a document, until they expire.

A memory's id is "langgraph:", its namespace with a dot after each label, another dot, and its key: labels are not empty
and have no dots, so the first two dots in a row end the namespace, and a prefix of namespaces is a prefix of ids. The
text is what is searched, with one chunk or more for each text of a field, and the value is in the metadata.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hybridstore.backends.values import Embedding
from hybridstore.errors import EmbedderMismatch, InputError, NotFound
from hybridstore.filters import And, Comparison, Filter, Not
from hybridstore.integrations.memory_values import passes, prefilter
from hybridstore.records import Chunk, Document
from hybridstore.search.request import MODES, check_choice
from hybridstore.store import Store, Writer
from hybridstore.store.embedder_choice import GIVEN, unit
from hybridstore.text.chunking import chunk as cut

MemoryKey = tuple[tuple[str, ...], str]
"""A namespace and a key there."""

PREFIX = "langgraph:"
_CHUNK_TOKENS = 200  # of a long text, approximately; the default model reads 256
_DEPTH = 200  # candidates of each leg at first, as in any search
_SEPARATOR = "\n\n"  # of the texts of a memory
_SEARCHED = Comparison("searched", "eq", True)
_MISMATCH = "the stored vectors are made by {} and not by index['embed']; leave it out, or use another file"


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A stored memory; `ttl` in minutes, None: it never expires. `score` is that of a search, if there was one."""

    key: MemoryKey
    value: dict[str, Any]
    created: datetime
    updated: datetime
    ttl: float | None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """A value to store under a key, or None to remove it. `texts` are what is searched."""

    value: dict[str, Any] | None
    texts: Sequence[str] = ()
    ttl: float | None = None


class Memories:
    """The memories in a store, whose other documents are never touched. `mode` is that of `Store.search`.

    `external` says that the caller makes the vectors; raises InputError if the stored ones are of the other kind.
    """

    def __init__(self, store: Store, mode: str, *, external: bool) -> None:
        self._store, self._mode, self._external = store, mode, external
        check_choice("mode", mode, MODES)
        stored = store.embeddings.active
        if external and stored is not None and stored.reference != GIVEN:
            raise InputError(_MISMATCH.format(stored.fingerprint))
        if not external and stored is not None and stored.reference == GIVEN:
            try:
                store.embedder()
            except InputError as error:
                raise InputError("the stored vectors were made outside the store; pass index['embed']") from error

    # reading

    def get(self, key: MemoryKey) -> StoredValue | None:
        """Return the memory under a key; None if there is none or it has expired."""
        try:
            document = self._store.get(id_of(key))
        except NotFound:
            return None
        return None if _has_expired(document.metadata) else _memory(str(document.id), document.metadata)

    def namespaces(self) -> set[tuple[str, ...]]:
        """Return the namespaces that have memories."""
        return {key_of(id_)[0] for id_ in self._store.ids(_unexpired(()))}

    def search(
        self,
        prefix: Sequence[str],
        page: slice,
        condition: Mapping[str, Any] | None,
        query: str | None = None,
        vector: ArrayLike | None = None,
    ) -> list[StoredValue]:
        """Return a page of the memories under a prefix that pass a filter, for a query the best first.

        Memories without texts follow those with a score, unless some with texts only lack the query's words. Without a
        query memories are in the order they were first stored.
        """
        if page.start == page.stop:
            return []
        where = _unexpired(prefix)
        if query is None:
            return list(islice(self._passing(where, condition), page.start, page.stop))
        if condition:
            ids = [id_of(memory.key) for memory in self._passing(where, condition)]
            where = And((where, Comparison("@id", "in", ids)))
        searched = And((where, _SEARCHED))
        memories = self._ranked(query, vector, searched, page.stop)
        if len(memories) < page.stop and len(memories) == len(self._store.ids(searched)):
            memories += islice(self._passing(And((where, Not(_SEARCHED))), None), page.stop - len(memories))
        return memories[page]

    def _passing(self, where: Filter, condition: Mapping[str, Any] | None) -> Iterator[StoredValue]:
        for document in self._store.documents(And((where, prefilter(condition, "value"))) if condition else where):
            memory = _memory(str(document.id), document.metadata)
            if not condition or passes(memory.value, condition):
                yield memory

    def _ranked(self, query: str, vector: ArrayLike | None, where: Filter, limit: int) -> list[StoredValue]:
        """Return the best memories, each by its best chunk."""
        depth = max(_DEPTH, 2 * limit)
        while True:
            hits = self._store.search(
                query, limit=limit, where=where, mode=self._mode, vector=vector, per_document=1, depth=depth
            )
            legs = [leg for leg in (hits.trace.keyword, hits.trace.vector) if leg is not None]
            if len(hits) >= limit or all(len(leg) < depth for leg in legs):
                return [_memory(hit.document_id, hit.metadata, hit.score) for hit in hits]
            depth *= 4  # the candidates were chunks of too few memories

    # writing

    def write(self, puts: Mapping[MemoryKey, Put], vectors: Mapping[str, ArrayLike]) -> None:
        """Store and remove values; `vectors` are those of all texts if the caller makes them."""
        stored = {key: put for key, put in puts.items() if put.value is not None}
        units = unit(list(vectors.values()), (None, None), "the embeddings") if vectors else np.empty((0, 0))
        by_text = dict(zip(vectors, units, strict=True))
        with self._store.writer() as writer:
            if vectors:
                dim = units.shape[1]
                try:
                    writer.expect_vectors(Embedding(f"{GIVEN}@{dim}", GIVEN, dim))
                except EmbedderMismatch as error:
                    raise InputError(_MISMATCH.format(error.stored)) from error
            for key, put in stored.items():
                document, chunks = self._document(key, put)
                if not put.texts and (self._external or self._store.embeddings.active):
                    writer.flush()  # to store memories in order
                    self._put_unsearched(document)
                elif self._external:
                    writer.add_chunked(document, chunks, np.stack([by_text[text] for text in put.texts]))
                else:
                    writer.add_chunked(document, chunks)
        if removed := [id_of(key) for key in puts if key not in stored]:
            self._store.remove(removed)

    def _document(self, key: MemoryKey, put: Put) -> tuple[Document, list[Chunk]]:
        moment, before = now(), self.get(key)
        updated = datetime.fromtimestamp(moment, UTC)
        metadata: dict[str, Any] = {
            "value": put.value,
            "created": (before.created if before else updated).isoformat(),
            "updated": updated.isoformat(),
            "searched": bool(put.texts),
        }
        if put.ttl is not None:
            metadata |= {"ttl": put.ttl, "expires": moment + 60 * put.ttl}
        chunks, start = [] if put.texts else [Chunk(0, 0)], 0
        for text in put.texts:
            pieces = [Chunk(0, len(text))] if self._external else cut(text, max_tokens=_CHUNK_TOKENS)
            chunks += [Chunk(start + piece.start, start + piece.end) for piece in pieces]
            start += len(text) + len(_SEPARATOR)
        return Document(id=id_of(key), text=_SEPARATOR.join(put.texts), metadata=metadata), chunks

    def _put_unsearched(self, document: Document) -> None:
        embedding = self._store.embeddings.active
        with self._store.writer(embed=False) as writer:
            # A zero vector is near to nothing; without any vector `check` would report the chunk.
            vectors = None if embedding is None else np.zeros((1, embedding.dim), np.float32)
            if embedding is not None:
                writer.expect_vectors(embedding)
            writer.add_chunked(document, (Chunk(0, 0),), vectors, whole=True)

    def renew(self, key: MemoryKey) -> None:
        """Restart a memory's TTL, unless it has expired or was removed."""
        id_ = id_of(key)

        def decide(writer: Writer) -> None:
            stored = next(self._store.scan(Comparison("@id", "eq", id_), vectors=True), None)
            if stored is None or _has_expired(stored.document.metadata) or "ttl" not in stored.document.metadata:
                return
            metadata = {**stored.document.metadata, "expires": now() + 60 * stored.document.metadata["ttl"]}
            renewed = replace(stored.document, metadata=metadata)
            writer.rewrite(stored, renewed, replaces=self._store.digests([id_])[id_])

        with suppress(EmbedderMismatch):  # another process is changing the embedder
            self._store.update(decide, embed=False)

    def sweep(self) -> int:
        """Remove expired memories; return their number."""
        return self._store.remove_where(And((_within(()), _expired())))


def now() -> float:
    """Return the time in seconds since 1970."""
    return time.time()


def id_of(memory_key: MemoryKey) -> str:
    """Return the document id for a key."""
    namespace, key = memory_key
    return PREFIX + "".join(f"{label}." for label in namespace) + "." + key


def key_of(id_: str) -> MemoryKey:
    """Return the key for a document id."""
    rest = id_.removeprefix(PREFIX)
    if rest.startswith("."):
        return (), rest[1:]
    namespace, _, key = rest.partition("..")
    return tuple(namespace.split(".")), key


def _memory(id_: str, metadata: Mapping[str, Any], score: float | None = None) -> StoredValue:
    created, updated = (datetime.fromisoformat(metadata[name]) for name in ("created", "updated"))
    return StoredValue(key_of(id_), metadata["value"], created, updated, metadata.get("ttl"), score)


def _has_expired(metadata: Mapping[str, Any]) -> bool:
    return bool(metadata.get("expires", float("inf")) <= now())


def _expired() -> Filter:
    return Comparison("expires", "lte", now())


def _within(prefix: Sequence[str]) -> Filter:
    return Comparison("@id", "prefix", PREFIX + "".join(f"{label}." for label in prefix))


def _unexpired(prefix: Sequence[str]) -> Filter:
    return And((_within(prefix), Not(_expired())))
