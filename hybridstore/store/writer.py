"""The Writer: documents checked, compared with those stored, chunked, embedded, and committed in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, Self

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
from hybridstore.errors import EmbedderMismatch, InputError
from hybridstore.records import AddReport, Chunk, Document, Source
from hybridstore.store import calibration
from hybridstore.store.chunk_vectors import cut, embed, embedded, fill, fill_known, known_vectors
from hybridstore.store.embedder_choice import GIVEN, StoreEmbedder, identify
from hybridstore.store.inputs import checked, content_digest, digest_of
from hybridstore.store.reembed import fill_documents, measure

# Characters of text in one commit. With a model: about three seconds of embedding on two cores, so that progress is
# visible and Ctrl-C loses little. Without one: enough that a commit's fixed cost disappears.
_EMBEDDED_CHARACTERS = 120_000
_PLAIN_CHARACTERS = 4_000_000
_LATER_CHARACTERS = 1_000_000  # with vectors to follow: about a second, so that words find the first of them soon
_MOST_DOCUMENTS = 2_000
# Characters of all documents up to which they are embedded "soon": less than two seconds.
_SOON = 80_000
# Characters of a document whose vectors are committed as they are made, since embedding it takes ten seconds and more.
_IN_STEPS = 400_000

Progress = Callable[[AddReport], None]
Vectors = Literal["now", "soon", "later"]
"""When added chunks get their vectors; see `Store.writer`."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """A document to be committed: `chunks` None are still to be made, `vectors` None too if `embed`."""

    document: Document
    digest: bytes
    source: str | None
    chunks: Sequence[Chunk] | None = None
    vectors: NDArray[np.float32] | None = None
    embed: bool = True
    replaces: bytes | Whatever | None = ANYTHING
    moved_from: str | None = None


class Writer:
    """Takes documents one by one and commits them in batches; use it as a context manager.

    Leaving the block commits the rest; leaving it by an exception drops what was not yet committed. `report` says what
    has been committed so far, and `progress` is called with it repeatedly. With `together` everything is committed in
    one step at the end, for which it must fit into memory.
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
        vectors: Vectors = "now",
    ) -> None:
        self._backend, self._embedders, self._chunk, self._progress = backend, embedder, chunk, progress
        self._together, self._vectors = together, vectors
        self._pending: dict[str, _Pending] = {}
        self._characters = 0
        self._embedded_share = 0.0  # of `_characters`
        self._removing: dict[str, bytes] = {}
        self._seen: dict[str, set[str]] = {}  # document ids of sources that are not finished yet
        self._finished: dict[Source, frozenset[str]] = {}
        self._dropped: set[str] = set()  # sources that lost documents to a Conflict
        self._fresh: set[str] = set()  # the documents of the last commit that were not there like this
        self._known: dict[str, dict[bytes, NDArray[np.float32]]] = {}  # of added legs, by fingerprint and digest
        self._passed = False  # whether `add` was passed a vector
        self._embedding: Embedding | None = None  # of the vectors that `add_chunked` is passed
        self.report = AddReport()
        self.characters = 0.0  # of the documents added so far, those that are embedded or committed

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
        `Store.digests` returns it), None if nothing may be; see `flush`.
        """
        document = checked(document)
        digest = content_digest(document, whole=vector is not None or not self._chunk, vector=vector)
        whole = None if vector is None else (Chunk(0, len(document.text)),)
        if source is not None:
            self._seen.setdefault(source, set()).add(str(document.id))
        vectors = None if vector is None else vector[None, :]
        self._passed |= vector is not None
        self._enqueue(_Pending(document, digest, source, whole, vectors, replaces=replaces))

    def remove(self, document_id: str, *, stored: bytes) -> None:
        """Remove a document in the next commit; `stored` is the content digest it must have then: see `flush`."""
        if document_id in self._pending or document_id in self._removing:
            if self._together:
                raise InputError(f"document {document_id!r} is changed twice in one step; write or remove it once")
            self.flush()
        self._removing[document_id] = stored
        if len(self._removing) >= _MOST_DOCUMENTS and not self._together:
            self.flush()

    def expect_vectors(self, embedding: Embedding) -> None:
        """Expect vectors of this embedding in `add_chunked`; EmbedderMismatch where the store's are another's."""
        own = self._embedders.identity(embedding.dim)
        free = self._backend.embeddings().active is None and own.reference == GIVEN
        if not free and own.fingerprint != embedding.fingerprint:
            raise EmbedderMismatch(own.fingerprint, embedding.fingerprint)
        self._embedding = embedding

    def add_chunked(
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
        """Add a document that is already divided into `chunks`, which lie within its text.

        After `expect_vectors`, `vectors` (n, dim) of unit norm are the chunks' own, and without them the chunks get
        none; otherwise they are embedded as in `add`. `whole` and `given` say that it was added with `chunk=False` or
        with its vector, so that adding it like that again changes nothing. `source` is recorded and needs no `finish`;
        `replaces` is that of `add`.
        """
        document = checked(document)
        expected = self._embedding is not None
        own = vectors if expected else None
        vector = own[0] if given and own is not None else None
        digest = content_digest(document, whole=whole or given, vector=vector)
        self._enqueue(_Pending(document, digest, source, chunks, own, embed=not expected, replaces=replaces))

    def rewrite(
        self,
        stored: StoredDocument,
        document: Document,
        *,
        replaces: bytes | Whatever | None,
        whole: bool = False,
        given: bool = False,
    ) -> None:
        """Replace a document by one of the same text, such as with other metadata; chunks, vectors and source stay.

        `stored` was read with its vectors. The other arguments are those of `add_chunked`.
        """
        embedding = self._backend.embeddings().active
        if stored.vectors is not None and self._embedding is None and embedding is not None:
            self.expect_vectors(embedding)
        self.add_chunked(
            document, stored.chunks, stored.vectors, whole=whole, given=given, source=stored.source, replaces=replaces
        )

    def move(self, stored: StoredDocument, document: Document, *, source: str) -> None:
        """Let a stored document become one of the same text with another id; its chunks and vectors stay.

        `stored` was read with its vectors. The new one's other fields may differ, even the title, although it is part
        of what was embedded. It belongs to the `source`, as with `add`.
        """
        document = checked(document)
        embedding = self._backend.embeddings().active
        if stored.vectors is not None and self._embedding is None and embedding is not None:
            self.expect_vectors(embedding)
        self._seen.setdefault(source, set()).add(str(document.id))
        digest, vectors = content_digest(document, whole=False), stored.vectors
        moved = _Pending(document, digest, source, stored.chunks, vectors, embed=vectors is None)
        self._enqueue(replace(moved, moved_from=stored.document.id))

    def _enqueue(self, pending: _Pending) -> None:
        identifier = str(pending.document.id)
        earlier = self._pending.get(identifier)
        # Many duplicates would make many small commits; but a condition is about what was committed before it.
        if earlier is not None and earlier.digest == pending.digest and pending.replaces is ANYTHING:
            self._pending[identifier] = replace(earlier, source=pending.source or earlier.source)
            self.report += AddReport(unchanged=1)
            self.characters += len(pending.document.text) + len(pending.document.title)
            return
        if earlier is not None or identifier in self._removing:
            if self._together:
                raise InputError(f"document {identifier!r} is changed twice in one step; write its final content once")
            self.flush()
        self._pending[identifier] = pending
        self._characters += len(pending.document.text) + len(pending.document.title)
        if self._vectors == "soon" and (self._characters >= _SOON or len(self._pending) >= _MOST_DOCUMENTS):
            self._vectors = "later"
        full = self._characters >= self._budget(pending) or len(self._pending) >= _MOST_DOCUMENTS
        if full and not self._together:
            self.flush()

    def finish(self, source: Source) -> None:
        """Declare that all documents of a source were added: its other ones are removed in the next commit.

        A source that lost documents to a Conflict is not finished, so that the next `sync` reads it again.
        """
        if source.key in self._dropped:
            return
        self._finished[source] = frozenset(self._seen.pop(source.key, set()))

    def flush(self) -> None:
        """Commit what is pending. If that fails it stays pending, so that no source is finished without it.

        Conflict, raised where what is stored is not what a document `replaces` or what was to be removed, drops all
        that is pending, as it would be raised again and again. `add`, `remove` and leaving the block commit too, and
        raise it as well.
        """
        if not (self._pending or self._removing or self._finished):
            return
        again = self._embedding is None and self._embedders.follows_store
        while True:
            try:
                report = self._put(self._pending)
                break
            except Outdated:
                continue  # another process has removed or changed what was unchanged
            except EmbedderMismatch:
                if not again:
                    raise
                again = False  # another process has finished a re-embedding: the store has another embedder now
            except Conflict:
                self._dropped |= {*self._seen, *(source.key for source in self._finished)}
                self._clear()
                raise
        if report.chunks and self._vectors != "later" and not self._embedders.without:
            fill_documents(self._backend, self._embedders, self._fresh, self._known)
        self.characters += self._characters * (1 - self._embedded_share)
        self._clear()
        self.report += report
        if self._progress:
            self._progress(self.report)

    def _clear(self) -> None:
        self._pending, self._characters, self._removing, self._finished = {}, 0, {}, {}
        self._embedded_share = 0.0

    def _put(self, pending: Mapping[str, _Pending]) -> AddReport:
        known = self._backend.digests([*pending, *self._removing])
        conditions = {id_: item.replaces for id_, item in pending.items()} | self._removing
        for id_, replaces in conditions.items():  # checked again in the write; here it saves embedding in vain
            check_replaces(id_, replaces, known.get(id_))
        fresh = {id_ for id_, item in pending.items() if known.get(id_) != item.digest}
        self._fresh = fresh
        lacking = any(pending[id_].vectors is None and pending[id_].embed for id_ in fresh)
        embedder = self._embedders.for_writing() if lacking else None
        entries: list[Entry] = []
        for id_, item in pending.items():
            chunks: Sequence[Chunk] = ()
            if id_ in fresh:
                chunks = self._divided(item.document, embedder) if item.chunks is None else item.chunks
            digests = [digest_of(embedded(item.document, chunk)) for chunk in chunks]
            own = item.vectors if id_ in fresh else None
            entries.append(
                Entry(item.document, item.digest, chunks, digests, own, item.source, item.replaces, item.moved_from)
            )
        if embedder is not None and self._vectors == "later":
            return self._put_words(entries, fresh & known.keys(), embedder)
        if embedder is not None and (long := self._to_embed_in_steps(entries)):
            return self._put_in_steps(entries, long, fresh & known.keys(), embedder)
        self._remember_legs(fresh & known.keys())
        filled, identity = embed(self._backend, entries, fresh & known.keys(), embedder, self._made)
        passed = next((entry.vectors for entry in entries if entry.vectors is not None), None)
        if identity is None and passed is not None:
            identity = self._embedding or self._embedders.identity(passed.shape[1])
        return self._backend.put(filled, embedding=identity, finished=self._finished, removing=self._removing)

    def _remember_legs(self, replaced: set[str]) -> None:
        """Read the vectors that documents to be replaced have in added legs, for chunks that did not change."""
        legs = self._backend.embeddings().added if replaced and not self._embedders.without else ()
        self._known = {leg.fingerprint: known_vectors(self._backend, replaced, leg.fingerprint) for leg in legs}

    def _divided(self, document: Document, embedder: Embedder | None) -> Sequence[Chunk]:
        return cut(document, embedder) if self._chunk else (Chunk(0, len(document.text)),)

    def _to_embed_in_steps(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the long documents to be embedded; none where they would have to wait for a re-embedding's switch."""
        if self._together or self._backend.embeddings().building is not None:
            return []
        lacking = (entry for entry in entries if entry.vectors is None and entry.chunks)
        return [entry for entry in lacking if len(entry.document.text) >= _IN_STEPS]

    def _put_in_steps(
        self, entries: list[Entry], long: Sequence[Entry], replaced: set[str], embedder: Embedder
    ) -> AddReport:
        """Commit long documents without vectors, then their vectors as they are made, and at last that it is all there.

        If it is stopped, what was made is kept, and the rest is made as other missing vectors are.
        """
        known = known_vectors(self._backend, replaced & {str(entry.document.id) for entry in long})
        steps = {entry.document.id for entry in long}
        rest = [each for each in entries if each.document.id not in steps]
        others, identity = embed(self._backend, rest, replaced, embedder, self._made)
        report = self._backend.put([*others, *long], embedding=identity, removing=self._removing)
        for entry in long:
            share = len(entry.document.text) / max(self._characters, 1)
            for made, part in fill(self._backend, entry, known, embedder):
                self._made(made, part * share)
        return report + self._backend.put((), finished=self._finished)

    def _put_words(self, entries: Sequence[Entry], replaced: set[str], embedder: Embedder) -> AddReport:
        """Commit documents with the vectors that they came with; chunks that did not change keep theirs."""
        lacking = [entry for entry in entries if entry.vectors is None and entry.document.id in replaced]
        known = known_vectors(self._backend, replaced)
        identity = identify(embedder)
        report = self._backend.put(entries, embedding=identity, finished=self._finished, removing=self._removing)
        for entry in lacking if known else ():
            with suppress(EmbedderMismatch):  # a re-embedding is under way, which makes all vectors anew
                fill_known(self._backend, entry, known, identity)
        return report

    def _made(self, chunks: int, share: float) -> None:
        """Count and report vectors that were made, for a share of the characters that are pending."""
        share = min(share, 1 - self._embedded_share)
        self._embedded_share += share
        self.characters += share * self._characters
        self.report += AddReport(embedded=chunks)
        if self._progress:
            self._progress(self.report)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.flush()
            if (self.report.embedded or self._passed) and calibration.is_due(self._backend):
                measure(self._backend, self._embedders)

    def _budget(self, pending: _Pending) -> int:
        if pending.vectors is not None or not pending.embed or self._embedders.without:
            return _PLAIN_CHARACTERS
        return _LATER_CHARACTERS if self._vectors == "later" else _EMBEDDED_CHARACTERS
