"""Store: one file of documents, searched by word and by meaning."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridstore import filters
from hybridstore.analysis import Analyser
from hybridstore.backends.base import Backend
from hybridstore.backends.values import Problem, Stats
from hybridstore.embedders.base import Embedder
from hybridstore.errors import EmbedderMismatch, InputError
from hybridstore.records import AddReport, Document, Results, Source, Trace
from hybridstore.search.explain import Explanation, explain
from hybridstore.search.pipeline import search
from hybridstore.search.remedies import Asked
from hybridstore.search.request import Request
from hybridstore.search.selection import Wanted
from hybridstore.store import background
from hybridstore.store.documents import document_from
from hybridstore.store.embedding import StoreEmbedder, embedded_text, identify, unit
from hybridstore.store.options import Options, Where
from hybridstore.store.writer import Progress, Writer

_REEMBEDDED_AT_ONCE = 256  # chunks embedded between two commits

Addable = str | Document | Mapping[str, Any]


def open(  # noqa: A001 - `hybridstore.open`, as `gzip.open`
    path: str | os.PathLike[str],
    *,
    embedder: str | Path | Embedder | None = None,
    language: str | None = None,
    threads: int | None = None,
    busy_timeout: float = 30.0,
    memory: int = 1024,
    create: bool = True,
) -> Store:
    """Open a store's file, making it if it is not there.

    `embedder` None is the file's own (all-MiniLM-L6-v2 in a new file); "none" is no embedder, for keyword search
    alone; else a name from the catalog, a folder, or any Embedder. `language` ("english" in a new file) decides
    about stemming and cannot be changed later. `threads` is for the model. `busy_timeout`, in seconds, is how
    long to wait for another process that is writing. `memory`, in MiB, is how much copies of codes, postings and
    metadata may take, which make searches fast; with less than they need SQLite is asked, and the answers are the
    same. Nothing is loaded until it is needed.

    Raises FileRefused for a file that is not ours or too new, EmbedderMismatch when the file was filled by
    another embedder than the one named, InputError for a language that is not known or not the file's.
    """
    from hybridstore.backends.sqlite import SQLiteBackend

    if not isinstance(memory, int) or memory < 0:
        raise InputError(f"memory is a whole number of MiB, not {memory!r}")
    backend = SQLiteBackend(os.fspath(path), language=language, busy_timeout=busy_timeout, create=create, memory=memory)
    try:
        return Store(backend, embedder=embedder, threads=threads)
    except BaseException:
        backend.close()
        raise


class Store:
    """Documents that can be searched. Made by `open`; a context manager; safe to use from many threads."""

    def __init__(
        self, backend: Backend, *, embedder: str | Path | Embedder | None = None, threads: int | None = None
    ) -> None:
        self.backend = backend
        self._analyser = Analyser(backend.language)
        self._embedder = StoreEmbedder(backend, embedder, threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self.backend.close()

    # writing

    def add(
        self,
        documents: Addable | Iterable[Addable],
        *,
        vectors: ArrayLike | None = None,
        chunk: bool = True,
        progress: Progress | None = None,
    ) -> AddReport:
        """Add documents: texts, Documents, mappings with a Document's fields, or an iterable of these.

        A known id with the same content does nothing; with other content it replaces the document, embedding only
        chunks that changed. Long iterables are committed as they come. `vectors` is (n, dim), one for each
        document, scaled to unit norm; no model runs then. With `vectors` or `chunk=False` a document is one chunk.
        `progress` is called with the report so far. Raises InputError for a document that cannot be stored.
        """
        many: Any = [documents] if isinstance(documents, str | Document | Mapping) else documents
        if isinstance(many, bytes) or not isinstance(many, Iterable):
            raise InputError(
                f"documents are texts, Documents, mappings or an iterable of these, not {type(many).__name__}"
            )
        if vectors is None:
            with self.writer(chunk=chunk, progress=progress) as writer:
                for document in many:
                    writer.add(document_from(document))
            return writer.report
        listed = [document_from(document) for document in many]
        array = unit(vectors, (None, None), "vectors") if listed else np.empty((0, 1), np.float32)
        if len(array) != len(listed):
            raise InputError(f"there are {len(listed)} documents but {len(array)} vectors; give one for each")
        with self.writer(chunk=False, progress=progress) as writer:
            for document, vector in zip(listed, array, strict=True):
                writer.add(document, vector=vector)
        return writer.report

    def writer(self, *, chunk: bool = True, progress: Progress | None = None) -> Writer:
        """Give a Writer, to add documents one by one and have them committed in batches."""
        return Writer(self.backend, self._embedder, chunk=chunk, progress=progress)

    def remove(self, ids: str | Iterable[str]) -> int:
        """Remove documents by id; give how many there were. Unknown ids are no error."""
        wanted = [ids] if isinstance(ids, str) else list(ids)
        if unfit := [each for each in wanted if not isinstance(each, str)]:
            raise InputError(f"an id is a text, not {unfit[0]!r}")
        return self.backend.remove(wanted)

    # searching

    def search(
        self,
        query: str,
        *,
        limit: int = 10,
        where: Where = None,
        mode: str = "hybrid",
        fusion: str = "adaptive",
        depth: int | None = None,
        syntax: str = "simple",
        min_relevance: float | None = None,
        vector: ArrayLike | None = None,
        unique: bool = False,
        per_document: int | None = None,
        diversity: float = 0.0,
    ) -> Results:
        """Find the chunks that answer a query best, in the words it uses or in its meaning.

        Any text is a valid query; `"quoted words"` must occur as a phrase, `title:word` in the title, and `-word` must
        not occur. With `syntax` "advanced", AND, OR, NOT, parentheses and `prefix*` are binding, and can be mistaken.
        `where` restricts what is searched, before anything is ranked. `mode` is "hybrid", "keyword" (no model is
        needed) or "vector". `depth` is how many candidates each leg gives (at least `limit`; default 200). `vector`
        is the query's embedding (dim,), if the caller has it.

        `fusion` "adaptive" goes by what speaks for each candidate in both legs, weighted by what the store measured
        about its vectors; its scores lie in [0, 1] and compare across a store's queries. "rrf", "idf-rrf" and "convex"
        are there to be compared with. `min_relevance` leaves out what is less relevant (`Hit.relevance`): 0.5 is what
        tells best a question that the store can answer from one that it cannot.

        `unique` shows one of near-identical chunks, the best, and names the others' documents in its `copies`.
        `per_document` is the most chunks of one document. `diversity`, from 0 to 1, is how much a chunk loses for
        being like those above it (at most `limit` of the 5 · `limit` best are chosen so); hits are then no longer in
        the order of their scores. Raises InputError for arguments that make no sense.
        """
        request = Request(
            query=query,
            limit=limit,
            mode=mode,
            fusion=fusion,
            depth=depth,
            where=filters.parse(where),
            embed=self._embed if vector is None else _given(vector),
            wanted=Wanted(unique, per_document, diversity),
            syntax=syntax,
            min_relevance=min_relevance,
        )
        try:
            return Results(search(self.backend, self._analyser, request))
        except EmbedderMismatch:
            if vector is not None or not self._embedder.follows_file:
                raise
            # Another process finished a re-embedding between our embedding the query and our reading the file.
            return Results(search(self.backend, self._analyser, request))

    def explain(self, query: str, *, expect: str | None = None, **options: Unpack[Options]) -> Explanation:
        """Search, and tell how the results came about: a Trace whose `str()` is the story.

        `expect` is the id of a document that ought to be found: the explanation says where it got lost, and what
        would bring it back. The other arguments are those of `search`.
        """

        def again(**changes: Unpack[Options]) -> Trace:
            return self.search(query, **(options | changes)).trace

        where, depth, least = filters.parse(options.get("where")), options.get("depth"), options.get("min_relevance")
        return explain(again(), self.backend, self._analyser, Asked(where, depth, least, again), expect=expect)

    def _embed(self, text: str) -> tuple[NDArray[np.float32], str] | None:
        return self._embedder.query(text) if text.strip() else None

    # reading

    def get(self, document_id: str) -> Document:
        """Give a document as it was added; raises NotFound."""
        return self.backend.get(document_id).document

    def documents(self, where: Where = None) -> Iterator[Document]:
        """Give all documents that pass the filter, in the order they were first added, a few at a time."""
        return (stored.document for stored in self.backend.scan(filters.parse(where)))

    def count(self) -> int:
        """Count the documents."""
        return self.backend.count()

    def stats(self) -> Stats:
        """Say what the store holds, and which embedder made its vectors."""
        return self.backend.stats()

    def sources(self) -> dict[str, Source]:
        """Give the files that were read into the store, as they were then."""
        return self.backend.sources()

    def remove_sources(self, keys: Iterable[str]) -> int:
        """Forget files and remove the documents read from them; give how many documents there were."""
        return self.backend.remove_sources(keys)

    # keeping

    def check(self, *, repair: bool = False) -> list[Problem]:
        """Hold documents, keywords and vectors against each other, both ways; [] when all is well.

        With `repair`, mend what can be derived. Missing vectors are made by `reembed()`.
        """
        return self.backend.check(repair=repair)

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Write a compact copy to a new file, while others go on reading and writing."""
        self.backend.backup(os.fspath(path))

    def reembed(
        self, embedder: str | Path | Embedder | None = None, *, progress: Callable[[int, int], None] | None = None
    ) -> int:
        """Give every chunk a vector of another embedder, and switch to it in one step; give how many were made.

        Others go on searching with the old one meanwhile. Stopped half-way, the next call goes on from there.
        `embedder` None goes on with what was begun, else makes the vectors that are missing for the file's own; a
        name gives up what was begun for another. `progress` gets (done, of).
        """
        begun = self.backend.building() if self._embedder.follows_file else None
        wanted = begun.reference if embedder is None and begun is not None else embedder
        target = self._embedder.for_writing() if wanted is None else self._embedder.load(wanted)
        if target is None:
            raise InputError("name the embedder to change to, such as 'all-MiniLM-L6-v2'")
        identity = identify(target)
        done = 0
        while True:
            self.backend.begin(identity)
            total = done + self.backend.pending_count()  # counted once: counting reads every vector's page
            while some := self.backend.pending(_REEMBEDDED_AT_ONCE):
                texts = [embedded_text(passage.title, passage.heading, passage.text) for passage in some]
                self.backend.fill(identity, [passage.chunk for passage in some], target.embed_documents(texts))
                done += len(some)
                if progress:
                    progress(done, max(done, total))
            with suppress(InputError):  # nothing is being built: it is the file's own, or another process has switched
                self.backend.switch()
            active = self.backend.embedding()
            if active is not None and active.fingerprint == identity.fingerprint and not self.backend.pending(1):
                self._embedder.adopt(target)
                background.settle(self.backend, target)
                return done


def _given(vector: ArrayLike) -> Callable[[str], tuple[NDArray[np.float32], None]]:
    checked_vector = unit(vector, (None,), "vector")
    return lambda _: (checked_vector, None)
