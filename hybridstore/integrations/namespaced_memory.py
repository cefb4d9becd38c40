"""An agent's memories in a store: values under namespaces and keys, each a document, until their time is over.

A memory's id is "langgraph:", its namespace with a dot after each label, another dot, and its key: labels are not empty
and hold no dot, so the first two dots in a row end the namespace, and a prefix of namespaces is a prefix of ids. The
text is what the memory is found by, one chunk for each text of a field, and the value stands in the metadata.
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
from hybridstore.integrations.memory_values import narrowed, passes
from hybridstore.records import Chunk, Document
from hybridstore.store import Store, Writer
from hybridstore.store.embedder_choice import GIVEN, unit
from hybridstore.text.chunking import chunk as cut

Place = tuple[tuple[str, ...], str]
"""A namespace and a key."""

MARK = "langgraph:"
_WINDOW = 200  # approximate tokens of a piece of a long text; the default model reads 256
_DEPTH = 200  # candidates of each leg at first, as in any search
_BETWEEN = "\n\n"  # two texts of a memory
_SEARCHED = Comparison("searched", "eq", True)
_OTHERS = "the vectors here are made by {} and not by index['embed']; leave it out, or take another file"


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A memory as it is kept; `ttl` in minutes, None: for good. `score` only where it was searched for."""

    place: Place
    value: dict[str, Any]
    created: datetime
    updated: datetime
    ttl: float | None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """What is to be kept at a place, None: nothing any more. `texts` is what it is found by, () where by nothing."""

    value: dict[str, Any] | None
    texts: Sequence[str] = ()
    ttl: float | None = None


class Memories:
    """The memories in a store; other documents in it are never touched. Searches go by `mode`, see `Store.search`.

    `given` says that the vectors come from the caller; raises InputError where the store's are of the other kind.
    """

    def __init__(self, store: Store, mode: str, *, given: bool) -> None:
        self._store, self._mode, self._given = store, mode, given
        store.search("", mode=mode)  # so that a wrong mode is told now
        stored = store.embeddings.active
        if given and stored is not None and stored.reference != GIVEN:
            raise InputError(_OTHERS.format(stored.fingerprint))
        if not given and stored is not None and stored.reference == GIVEN:
            try:
                store.embedder()
            except InputError as error:
                raise InputError(
                    "the vectors here were made outside of the store; say by what in index['embed']"
                ) from error

    # reading

    def get(self, place: Place) -> StoredValue | None:
        """Give the memory of a place; None where there is none, or its time is over."""
        try:
            document = self._store.get(id_of(place))
        except NotFound:
            return None
        return None if _is_over(document.metadata) else _memory(str(document.id), document.metadata)

    def namespaces(self) -> set[tuple[str, ...]]:
        """Give the namespaces that have memories."""
        return {place_of(id_)[0] for id_ in self._store.ids(_alive(()))}

    def search(
        self,
        prefix: Sequence[str],
        page: slice,
        wanted: Mapping[str, Any] | None,
        query: str | None = None,
        vector: ArrayLike | None = None,
    ) -> list[StoredValue]:
        """Give a page of the memories under a prefix that pass a filter: the best for a query first, if there is one.

        After those with a score come those in which nothing is searched, unless there are some that only lack the
        query's words. Without a query all come in the order they were first put.
        """
        if page.start == page.stop:
            return []
        where = _alive(prefix)
        if query is None:
            return list(islice(self._passing(where, wanted), page.start, page.stop))
        if wanted:
            where = And((where, Comparison("@id", "in", [id_of(each.place) for each in self._passing(where, wanted)])))
        searched = And((where, _SEARCHED))
        found = self._ranked(query, vector, searched, page.stop)
        if len(found) < page.stop and len(found) == len(self._store.ids(searched)):
            found += islice(self._passing(And((where, Not(_SEARCHED))), None), page.stop - len(found))
        return found[page]

    def _passing(self, where: Filter, wanted: Mapping[str, Any] | None) -> Iterator[StoredValue]:
        asked = And((where, narrowed(wanted, "value"))) if wanted else where
        for document in self._store.documents(asked):
            memory = _memory(str(document.id), document.metadata)
            if not wanted or passes(memory.value, wanted):
                yield memory

    def _ranked(self, query: str, vector: ArrayLike | None, where: Filter, most: int) -> list[StoredValue]:
        """Give the `most` best memories, each by its best chunk."""
        depth = max(_DEPTH, 2 * most)
        while True:
            hits = self._store.search(
                query, limit=most, where=where, mode=self._mode, vector=vector, per_document=1, depth=depth
            )
            legs = [leg for leg in (hits.trace.keyword, hits.trace.vector) if leg is not None]
            if len(hits) >= most or all(len(leg) < depth for leg in legs):
                return [_memory(hit.document_id, hit.metadata, hit.score) for hit in hits]
            depth *= 4  # the candidates were chunks of too few memories

    # writing

    def write(self, puts: Mapping[Place, Put], vectors: Mapping[str, ArrayLike]) -> None:
        """Keep what is put in place of what was there; `vectors` are those of all texts where the caller gives them."""
        kept = {place: put for place, put in puts.items() if put.value is not None}
        made = unit(list(vectors.values()), (None, None), "what the Embeddings made") if vectors else np.empty((0, 0))
        by_text = dict(zip(vectors, made, strict=True))
        with self._store.writer() as writer:
            if vectors:
                dim = made.shape[1]
                try:
                    writer.bring(Embedding(f"{GIVEN}@{dim}", GIVEN, dim))
                except EmbedderMismatch as error:
                    raise InputError(_OTHERS.format(error.stored)) from error
            for place, put in kept.items():
                document, chunks = self._document(place, put)
                if not put.texts and (self._given or self._store.embeddings.active):
                    writer.flush()  # so that they lie in the order they were put
                    self._put_unsearched(document)
                elif self._given:
                    writer.add_cut(document, chunks, np.stack([by_text[text] for text in put.texts]))
                else:
                    writer.add_cut(document, chunks)
        if gone := [id_of(place) for place in puts if place not in kept]:
            self._store.remove(gone)

    def _document(self, place: Place, put: Put) -> tuple[Document, list[Chunk]]:
        moment, earlier = now(), self.get(place)
        updated = datetime.fromtimestamp(moment, UTC)
        metadata: dict[str, Any] = {
            "value": put.value,
            "created": (earlier.created if earlier else updated).isoformat(),
            "updated": updated.isoformat(),
            "searched": bool(put.texts),
        }
        if put.ttl is not None:
            metadata |= {"ttl": put.ttl, "expires": moment + 60 * put.ttl}
        chunks, start = [] if put.texts else [Chunk(0, 0)], 0
        for text in put.texts:
            pieces = [Chunk(0, len(text))] if self._given else cut(text, max_tokens=_WINDOW)
            chunks += [Chunk(start + piece.start, start + piece.end) for piece in pieces]
            start += len(text) + len(_BETWEEN)
        return Document(id=id_of(place), text=_BETWEEN.join(put.texts), metadata=metadata), chunks

    def _put_unsearched(self, document: Document) -> None:
        embedding = self._store.embeddings.active
        with self._store.writer(embed=False) as writer:
            # A vector without a direction is near to nothing; without one `check` would miss it.
            vectors = None if embedding is None else np.zeros((1, embedding.dim), np.float32)
            if embedding is not None:
                writer.bring(embedding)
            writer.add_cut(document, (Chunk(0, 0),), vectors, whole=True)

    def put_off(self, place: Place) -> None:
        """Let a memory's time begin again; nothing where it is over, or another process has removed it."""
        id_ = id_of(place)

        def decide(writer: Writer) -> None:
            stored = next(self._store.scan(Comparison("@id", "eq", id_), vectors=True), None)
            if stored is None or _is_over(stored.document.metadata) or "ttl" not in stored.document.metadata:
                return
            metadata = {**stored.document.metadata, "expires": now() + 60 * stored.document.metadata["ttl"]}
            later = replace(stored.document, metadata=metadata)
            writer.keep(stored, later, replaces=self._store.digests([id_])[id_])

        with suppress(EmbedderMismatch):  # another process is changing the embedder
            self._store.update(decide, embed=False)

    def sweep(self) -> int:
        """Remove the memories whose time is over; give how many."""
        return self._store.remove_where(And((_within(()), _over())))


def now() -> float:
    """Give the seconds since 1970."""
    return time.time()


def id_of(place: Place) -> str:
    """Give the id of a place's document."""
    namespace, key = place
    return MARK + "".join(f"{label}." for label in namespace) + "." + key


def place_of(id_: str) -> Place:
    """Give the place of an id."""
    rest = id_.removeprefix(MARK)
    if rest.startswith("."):
        return (), rest[1:]
    namespace, _, key = rest.partition("..")
    return tuple(namespace.split(".")), key


def _memory(id_: str, metadata: Mapping[str, Any], score: float | None = None) -> StoredValue:
    created, updated = (datetime.fromisoformat(metadata[name]) for name in ("created", "updated"))
    return StoredValue(place_of(id_), metadata["value"], created, updated, metadata.get("ttl"), score)


def _is_over(metadata: Mapping[str, Any]) -> bool:
    return bool(metadata.get("expires", float("inf")) <= now())


def _over() -> Filter:
    return Comparison("expires", "lte", now())


def _within(prefix: Sequence[str]) -> Filter:
    return Comparison("@id", "prefix", MARK + "".join(f"{label}." for label in prefix))


def _alive(prefix: Sequence[str]) -> Filter:
    return And((_within(prefix), Not(_over())))
