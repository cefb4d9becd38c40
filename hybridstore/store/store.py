"""Store: one file of documents, searched by word and by meaning."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridstore import filters
from hybridstore.backends.learning import LoggedQuestion, ModelVersion
from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Problem, Purged, Stats
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import EmbedderMismatch
from hybridstore.records import AddReport, Document, Hit, Results, Source, Trace
from hybridstore.search import remedies
from hybridstore.search.explain import Explanation, explain
from hybridstore.search.neighbours import Around
from hybridstore.search.pipeline import search
from hybridstore.search.request import Request
from hybridstore.search.selection import SelectionRequest
from hybridstore.store import calibration
from hybridstore.store.arrow_stream import stream
from hybridstore.store.conditional_replace import replace
from hybridstore.store.document_checks import ids_from
from hybridstore.store.embedder_choice import StoreEmbedder, unit
from hybridstore.store.inputs import Addable, Table, add
from hybridstore.store.query_log import Asking
from hybridstore.store.reembed import reembed
from hybridstore.store.search_options import SearchOptions, Where
from hybridstore.store.trial import Supposing
from hybridstore.store.writer import Progress, Writer
from hybridstore.text.analysis import Analyser

if TYPE_CHECKING:
    import pyarrow as pa


class Store:
    """Documents that can be searched. Made by `open`; a context manager; safe to use from many threads."""

    def __init__(
        self,
        backend: Backend,
        *,
        embedder: str | Path | Embedder | None = None,
        threads: int | None = None,
        log_queries: bool = False,
    ) -> None:
        self.backend = backend
        self._asking = Asking(backend.learning, kept=log_queries)
        self._analyser = Analyser(backend.language)
        self._embedder = StoreEmbedder(backend, embedder, threads)
        self._supposing = Supposing(backend, self._embedder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, with the questions that were to be kept. Closing twice is harmless."""
        try:
            self._asking.close()
        finally:
            self.backend.close()

    # writing

    def add(
        self,
        documents: Addable | Iterable[Addable] | Table,
        *,
        vectors: ArrayLike | None = None,
        chunk: bool = True,
        progress: Progress | None = None,
    ) -> AddReport:
        """Add documents: texts, Documents, mappings with a Document's fields, an iterable of these, or a table.

        A known id with the same content does nothing; with other content it replaces the document, embedding only
        chunks that changed. Long iterables are committed as they come. `vectors` is (n, dim), one for each
        document, scaled to unit norm; no model runs then. With `vectors` or `chunk=False` a document is one chunk.
        `progress` is called with the report so far. A table is anything that gives Arrow data, such as a frame of
        polars or pandas: `hybridstore.tables.documents_from` says how its columns are read, and a column "vector"
        stands for `vectors`. Raises InputError for a document that cannot be stored.
        """
        return add(self.writer, documents, vectors=vectors, chunk=chunk, progress=progress)

    def writer(self, *, chunk: bool = True, progress: Progress | None = None, together: bool = False) -> Writer:
        """Give a Writer, to add documents one by one and have them committed in batches, or all `together`."""
        return Writer(self.backend, self._embedder, chunk=chunk, progress=progress, together=together)

    def replace(self, before: Iterable[Document], after: Iterable[Addable], *, chunk: bool = True) -> AddReport | None:
        """Put documents in the place of others in one step, unless somebody changed something meanwhile.

        `before` are documents as `get` gave them; those whose ids `after` does not have are removed. None, and nothing
        is written, where one of `before` is not stored as it is here any more, or an id of `after` that `before` does
        not have is taken: read again, and decide again. Raises InputError for what cannot be stored, and for an id
        that comes twice.
        """
        return replace(self.backend, self._embedder, before, after, chunk=chunk)

    def remove(self, ids: str | Iterable[str]) -> int:
        """Remove documents by id; give how many there were. Unknown ids are no error."""
        return self.backend.remove(ids_from(ids))

    def purge(self, ids: str | Iterable[str], *, verify: bool = True) -> Purged:
        """Remove documents so that none of their bytes is left in the file, and look through the file whether any is.

        Gone are a document's text and all that was made of it, the bytes that earlier versions left behind, feedback
        and triples about it, and questions that hold a word, or twelve bytes in a row, of it that no document holds any
        more. The file is written anew: others can read meanwhile, but not write. `clean` in what it gives is False
        while another process still reads the file as it was, or a copy made for tuning holds it; `remedy` says what to
        do, and `purge([])` finishes it. `verify=False` does not look. Raises InputError for an empty id.

        Not touched are backups, exports, blocks that the file system let go of, and models tuned on the documents.
        """
        self._asking.flush()  # a question that waits may hold the document's words
        return self.backend.purge(ids_from(ids), verify=verify)

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
        around: Around | None = None,
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
        the order of their scores.

        `around` gives for a document's id the ids of those it stands among in a conversation, two to either side, in
        order and itself included, or nothing: a chunk is then judged in the light of its neighbours. Raises InputError
        for arguments that make no sense.
        """
        request = Request(
            query=query,
            limit=limit,
            mode=mode,
            fusion=fusion,
            depth=depth,
            where=filters.parse(where),
            embed=self._embed if vector is None else _given(vector),
            wanted=SelectionRequest(unique, per_document, diversity),
            syntax=syntax,
            min_relevance=min_relevance,
            around=around,
        )
        try:
            trace = search(self.backend, self._analyser, request)
        except EmbedderMismatch:
            # Another process changed the embedder or the model after the query was embedded, before the file was read.
            trace = search(self.backend, self._analyser, request)
        self._asking.note(query)
        return Results(trace)

    def explain(self, query: str, *, expect: str | None = None, **options: Unpack[SearchOptions]) -> Explanation:
        """Search, and tell how the results came about: a Trace whose `str()` is the story.

        `expect` is the id of a document that ought to be found: the explanation says where it got lost, and what
        would bring it back. The other arguments are those of `search`.
        """

        def again(**changes: Unpack[SearchOptions]) -> Trace:
            with self.unlogged():
                return self.search(query, **(options | changes)).trace

        where, depth, least = filters.parse(options.get("where")), options.get("depth"), options.get("min_relevance")
        return explain(
            again(), self.backend, self._analyser, remedies.FailedSearch(where, depth, least, again), expect=expect
        )

    def _embed(self, text: str) -> tuple[NDArray[np.float32], str] | None:
        return self._embedder.query(text) if text.strip() else None

    # reading

    def get(self, document_id: str) -> Document:
        """Give a document as it was added; raises NotFound."""
        return self.backend.get(document_id).document

    def documents(self, where: Where = None) -> Iterator[Document]:
        """Give all documents that pass the filter, in the order they were first added, a few at a time."""
        return (stored.document for stored in self.backend.scan(filters.parse(where)))

    def to_arrow(self, where: Where = None, *, vectors: bool = False) -> pa.RecordBatchReader:
        """Give all documents that pass the filter as a stream of Arrow batches; `.read_all()` makes a table of it.

        Its columns are a Document's fields, with metadata as a string of JSON, so that `add` takes the stream. With
        `vectors` there is a column of that name too: a list of float32 vectors, one for each chunk in the order of the
        text, null where one is missing. Raises MissingExtra without pyarrow.
        """
        return stream(self.backend, filters.parse(where), vectors=vectors)

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

    # what people asked

    def feedback(self, query: str, hit: Hit | int, used: bool = True) -> None:
        """Keep a word on a hit, given itself or by its `chunk_id`: whether it was of use for the question.

        The last word on the same question and chunk counts. Raises NotFound for a chunk that is gone meanwhile.
        """
        self._asking.feedback(query, hit, used=used)

    def asked(self) -> list[LoggedQuestion]:
        """Give the questions kept by stores that were opened with `log_queries`, those asked most often first.

        They are written to the file 64 at a time, and when a store is closed: up to 4,096 characters long, never those
        of `explain` and `evaluate`. They leave this machine with the file only.
        """
        return self._asking.asked()

    def forget_asked(self, queries: str | Iterable[str] | None = None) -> int:
        """Forget some questions, or all that were kept, with the triples and the feedback for them; give how many."""
        return self._asking.forget(queries)

    def unlogged(self) -> AbstractContextManager[None]:
        """Keep no question that this thread searches for in the block, where it is a program that asks."""
        return self._asking.paused()

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
        self,
        embedder: str | Path | Embedder | None = None,
        *,
        keep: bool = False,
        promote: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Give every chunk a vector of another embedder, and switch to it in one step; give how many were made.

        Others go on searching with the old one meanwhile. Stopped half-way, the next call goes on from there.
        `embedder` None goes on with what was begun, else makes the vectors that are missing for the file's own; a
        name gives up what was begun for another. With `keep` the vectors there were stay in the file, so that naming
        their embedder here goes back at once; model number `promote` becomes active in the same step. `progress` gets
        (done, of).
        """
        return reembed(self.backend, self._embedder, embedder, keep=keep, promote=promote, progress=progress)

    def embedder(self) -> Embedder | None:
        """Give the embedder of questions, loaded; None in a store without vectors, or opened without an embedder."""
        return self._embedder.for_searching()

    def supposed(self, model: ModelVersion | None) -> Backend:
        """Give the backend as if this version of the model were active (None: the plain embedder), measured with it."""
        return self._supposing.backend(model)

    def settle(self) -> None:
        """Measure anew what `fusion="adaptive"` and `min_relevance` go by, after a change of the active model."""
        if (embedder := self.embedder()) is not None:
            calibration.settle(self.backend, embedder)


def _given(vector: ArrayLike) -> Callable[[str], tuple[NDArray[np.float32], None]]:
    checked_vector = unit(vector, (None,), "vector")
    return lambda _: (checked_vector, None)
