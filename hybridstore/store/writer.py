"""The way of documents into the store: checked, compared with what is there, cut, embedded, and put in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import (
    ANYTHING,
    Conflict,
    Embedding,
    Entry,
    Outdated,
    StoredDocument,
    Whatever,
    check_replaces,
)
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import EmbedderMismatch, InputError, ModelUnavailable
from hybridstore.records import AddReport, Chunk, Document, Source
from hybridstore.store import calibration
from hybridstore.store.document_checks import checked, content_digest, digest_of
from hybridstore.store.embedder_choice import GIVEN, StoreEmbedder, embedded_text, identify

# A commit's worth of text. With a model: about three seconds of embedding on two cores, so that progress is seen
# and little is lost by Ctrl-C. Without one: enough that a commit's fixed cost disappears.
_EMBEDDED_CHARACTERS = 120_000
_PLAIN_CHARACTERS = 4_000_000
_MOST_DOCUMENTS = 2_000
_EMBEDDED_AT_ONCE = 128  # chunks between two signs of progress
_PLAIN_WINDOW = 256  # tokens of a chunk in a store without an embedder

Progress = Callable[[AddReport], None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A document on its way: `chunks` None are still to be cut, `vectors` None still to be made if `embed`."""

    document: Document
    digest: bytes
    source: str | None
    chunks: Sequence[Chunk] | None = None
    vectors: NDArray[np.float32] | None = None
    embed: bool = True
    replaces: bytes | Whatever | None = ANYTHING


class Writer:
    """Takes documents one by one and commits them in batches; use it as a context manager.

    Leaving normally commits the rest; leaving by an exception drops what was not yet committed. `report` tells
    what has been committed so far, and `progress` is called with it now and then. With `together` all is committed in
    one step at the end, which must fit into memory.
    """

    report: AddReport

    def __init__(
        self,
        backend: Backend,
        embedder: StoreEmbedder,
        *,
        chunk: bool = True,
        progress: Progress | None = None,
        together: bool = False,
    ) -> None:
        self._backend, self._embedders, self._chunk, self._progress = backend, embedder, chunk, progress
        self._together = together
        self._waiting: dict[str, _Waiting] = {}
        self._characters = 0
        self._removing: dict[str, bytes] = {}
        self._met: dict[str, set[str]] = {}
        self._finished: dict[Source, frozenset[str]] = {}
        self._dropped: set[str] = set()  # sources that lost documents on their way
        self._brought: Embedding | None = None
        self.report = AddReport()

    def add(
        self,
        document: Document,
        *,
        source: str | None = None,
        vector: NDArray[np.float32] | None = None,
        replaces: bytes | Whatever | None = ANYTHING,
    ) -> None:
        """Add a document; `vector` (dim,) makes it one chunk with this vector.

        Raises InputError if it cannot be stored. Documents of a `source` (a `Source.key`) belong together: see
        `finish`. `replaces` is the content digest that must be stored under its id when it is committed (as
        `Backend.digests` gives it), None if nothing may be; see `flush`.
        """
        document = checked(document)
        digest = content_digest(document, whole=vector is not None or not self._chunk, vector=vector)
        whole = None if vector is None else (Chunk(0, len(document.text)),)
        if source is not None:
            self._met.setdefault(source, set()).add(str(document.id))
        given = None if vector is None else vector[None, :]
        self._wait(_Waiting(document, digest, source, whole, given, replaces=replaces))

    def remove(self, document_id: str, *, stored: bytes) -> None:
        """Remove a document with what is added; `stored` is the content digest it must have then: see `flush`."""
        if document_id in self._waiting or document_id in self._removing:
            if self._together:
                raise InputError(f"document {document_id!r} is changed twice in one step; write or remove it once")
            self.flush()
        self._removing[document_id] = stored
        if len(self._removing) >= _MOST_DOCUMENTS and not self._together:
            self.flush()

    def bring(self, embedding: Embedding) -> None:
        """Say whose vectors `add_cut` brings from now on; EmbedderMismatch where the store's are another's."""
        mine = self._embedders.identity(embedding.dim)
        free = self._backend.embeddings().active is None and mine.reference == GIVEN
        if not free and mine.fingerprint != embedding.fingerprint:
            raise EmbedderMismatch(mine.fingerprint, embedding.fingerprint)
        self._brought = embedding

    def add_cut(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        vectors: NDArray[np.float32] | None = None,
        *,
        whole: bool = False,
        given: bool = False,
        source: str | None = None,
        replaces: bytes | Whatever | None = ANYTHING,
    ) -> None:
        """Add a document that was cut before, into `chunks` that lie within its text.

        After `bring`, `vectors` (n, dim) of unit norm are the chunks' own, and without them the chunks get none;
        without `bring` they are embedded as in `add`. `whole` and `given` say that it was added with `chunk=False`
        or with its vector, so that adding it so again does nothing. `source` is kept and needs no `finish`; `replaces`
        is that of `add`.
        """
        document = checked(document)
        brought = self._brought is not None
        own = vectors if brought else None
        vector = own[0] if given and own is not None else None
        digest = content_digest(document, whole=whole or given, vector=vector)
        self._wait(_Waiting(document, digest, source, chunks, own, embed=not brought, replaces=replaces))

    def keep(
        self,
        stored: StoredDocument,
        document: Document,
        *,
        replaces: bytes | Whatever | None,
        whole: bool = False,
        given: bool = False,
    ) -> None:
        """Write a document with the chunks, vectors and source of the stored one, of the same text: other metadata.

        `stored` was read with its vectors. The other arguments are those of `add_cut`.
        """
        embedding = self._backend.embeddings().active
        if stored.vectors is not None and self._brought is None and embedding is not None:
            self.bring(embedding)
        self.add_cut(
            document, stored.chunks, stored.vectors, whole=whole, given=given, source=stored.source, replaces=replaces
        )

    def _wait(self, waiting: _Waiting) -> None:
        identifier = str(waiting.document.id)
        earlier = self._waiting.get(identifier)
        # Many duplicates would make many small commits; but a condition is about what was committed before.
        if earlier is not None and earlier.digest == waiting.digest and waiting.replaces is ANYTHING:
            self._waiting[identifier] = replace(earlier, source=waiting.source or earlier.source)
            self.report += AddReport(unchanged=1)
            return
        if earlier is not None or identifier in self._removing:
            if self._together:
                raise InputError(f"document {identifier!r} is changed twice in one step; write its final content once")
            self.flush()
        self._waiting[identifier] = waiting
        self._characters += len(waiting.document.text) + len(waiting.document.title)
        full = self._characters >= self._budget(waiting) or len(self._waiting) >= _MOST_DOCUMENTS
        if full and not self._together:
            self.flush()

    def finish(self, source: Source) -> None:
        """Say that all documents of a source were added: its vanished ones go with the next commit.

        A source that lost documents to a Conflict is not finished, and is read again when it is next met.
        """
        if source.key in self._dropped:
            return
        self._finished[source] = frozenset(self._met.pop(source.key, set()))

    def flush(self) -> None:
        """Commit what is waiting. Where that fails it goes on waiting, so that no source is finished without it.

        But Conflict, where a document finds something else than it `replaces`, or one to be removed is not what was to
        be stored, drops all that was waiting, for it would be raised again and again. `add`, `remove` and leaving the
        block commit too, and raise it as well.
        """
        if not (self._waiting or self._removing or self._finished):
            return
        again = self._brought is None and self._embedders.follows_file
        while True:
            try:
                report = self._put(self._waiting)
                break
            except Outdated:
                continue  # another process has removed or changed what we found unchanged
            except EmbedderMismatch:
                if not again:
                    raise
                again = False  # another process has finished a re-embedding: the file's embedder is another now
            except Conflict:
                self._dropped |= {*self._met, *(source.key for source in self._finished)}
                self._clear()
                raise
        self._clear()
        self.report += report
        if self._progress:
            self._progress(self.report)

    def _clear(self) -> None:
        self._waiting, self._characters, self._removing, self._finished = {}, 0, {}, {}

    def _put(self, waiting: Mapping[str, _Waiting]) -> AddReport:
        known = self._backend.digests([*waiting, *self._removing])
        conditions = {id_: item.replaces for id_, item in waiting.items()} | self._removing
        for id_, replaces in conditions.items():  # looked at again in the write; here it saves embedding in vain
            check_replaces(id_, replaces, known.get(id_))
        fresh = {id_ for id_, item in waiting.items() if known.get(id_) != item.digest}
        lacking = any(waiting[id_].vectors is None and waiting[id_].embed for id_ in fresh)
        embedder = self._embedders.for_writing() if lacking else None
        entries: list[Entry] = []
        for id_, item in waiting.items():
            if id_ not in fresh:
                entries.append(Entry(item.document, item.digest, (), (), None, item.source, item.replaces))
                continue
            chunks = self._cut(item.document, embedder) if item.chunks is None else item.chunks
            digests = [digest_of(_embedded(item.document, chunk)) for chunk in chunks]
            own = item.vectors
            entries.append(Entry(item.document, item.digest, chunks, digests, own, item.source, item.replaces))
        embedded, identity = self._embed(entries, fresh & known.keys(), embedder)
        given = next((entry.vectors for entry in entries if entry.vectors is not None), None)
        if identity is None and given is not None:
            identity = self._brought or self._embedders.identity(given.shape[1])
        return self._backend.put(embedded, embedding=identity, finished=self._finished, removing=self._removing)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.flush()
            if self.report.embedded and calibration.due(self._backend):
                # Another process has switched since, or only others have what questions are embedded by: it is theirs.
                with suppress(EmbedderMismatch, ModelUnavailable):
                    if embedder := self._embedders.for_searching():
                        calibration.settle(self._backend, embedder)

    def _budget(self, waiting: _Waiting) -> int:
        embeds = waiting.vectors is None and waiting.embed and not self._embedders.without
        return _EMBEDDED_CHARACTERS if embeds else _PLAIN_CHARACTERS

    def _cut(self, document: Document, embedder: Embedder | None) -> Sequence[Chunk]:
        if not self._chunk:
            return (Chunk(0, len(document.text)),)
        from hybridstore.text.chunking import chunk as cut  # a search never needs it

        if embedder is None:
            return cut(document.text, format=document.format, max_tokens=_PLAIN_WINDOW)
        # The title is embedded with every chunk, so it takes its share of the window; a heading path may take
        # another eighth of it; what is longer is cut by the embedder, at the chunk's end.
        window = embedder.max_tokens - 2
        title = (
            min(len(embedder.token_starts(document.title)) + 1, window // 4) if document.title else 0
        )  # and its stop
        heading = window // 8 if document.format != "plain" else 0
        return cut(
            document.text,
            format=document.format,
            max_tokens=window - title - heading,
            token_starts=embedder.token_starts,
        )

    def _embed(
        self, entries: list[Entry], replaced: set[str], embedder: Embedder | None
    ) -> tuple[list[Entry], Embedding | None]:
        """Fill in the vectors that are missing, in batches across documents, using again what did not change."""
        if embedder is None:
            return entries, None
        known: dict[bytes, NDArray[np.float32]] = {}
        for id_ in replaced:
            known.update(self._backend.chunk_vectors(id_))
        wanted = {
            digest: _embedded(entry.document, chunk)
            for entry in entries
            if entry.vectors is None
            for chunk, digest in zip(entry.chunks, entry.chunk_digests, strict=True)
            if digest not in known
        }
        digests = list(wanted)
        for first in range(0, len(digests), _EMBEDDED_AT_ONCE):
            some = digests[first : first + _EMBEDDED_AT_ONCE]
            vectors = embedder.embed_documents([wanted[digest] for digest in some])
            known.update(zip(some, vectors, strict=True))
            self.report += AddReport(embedded=len(some))
            if self._progress:
                self._progress(self.report)
        filled = [
            replace(entry, vectors=np.stack([known[digest] for digest in entry.chunk_digests]))
            if entry.vectors is None and entry.chunks
            else entry
            for entry in entries
        ]
        return filled, identify(embedder)


def _embedded(document: Document, chunk: Chunk) -> str:
    return embedded_text(document.title, chunk.heading, document.text[chunk.start : chunk.end])
