"""Store: one file of documents, searched by word and by meaning."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridstore import filters
from hybridstore.backends.learning import LearningBackend, LoggedQuestion, ModelVersion
from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Problem, PurgeReport, SearchState, Stats, StoredDocument
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
from hybridstore.store.conditional_writes import replace, update
from hybridstore.store.document_checks import ids_from
from hybridstore.store.embedder_choice import StoreEmbedder, unit
from hybridstore.store.inputs import Addable, Table, add
from hybridstore.store.query_log import Asking
from hybridstore.store.reembed import reembed
from hybridstore.store.search_options import SearchOptions, Where
from hybridstore.store.store_views import ChunkView, EmbeddingView
from hybridstore.store.trial import Trial, TrialCalibrations
from hybridstore.store.writer import Progress, Writer
from hybridstore.text.analysis import Analyser

if TYPE_CHECKING:
    import pyarrow as pa


T = TypeVar("T")


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
        self._backend = backend
        self._chunks, self._embeddings = ChunkView(backend), EmbeddingView(backend)
        self._asking = Asking(backend.learning, kept=log_queries)
        self._analyser = Analyser(backend.language)
        self._embedder = StoreEmbedder(backend, embedder, threads)
        self._trial_calibrations = TrialCalibrations(backend, self._embedder)

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
            self._backend.close()

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

    def writer(
        self, *, chunk: bool = True, progress: Progress | None = None, together: bool = False, embed: bool = True
    ) -> Writer:
        """Return a Writer, which adds documents one by one and commits them in batches, or all `together`.

        With `embed=False` no model runs: chunks that come without vectors get none.
        """
        embedder = self._embedder if embed else self._embedder.none()
        return Writer(self._backend, embedder, chunk=chunk, progress=progress, together=together)

    def update(self, decide: Callable[[Writer], T], *, chunk: bool = True, embed: bool = True) -> T:
        """Let `decide` write by what it reads, all in one step; return what it returned.

        `decide` reads one state of the store and gives the Writer documents to add and to remove, with the content
        digests that were read (`replaces`, `stored`; see `digests`). Where another process has changed one of these
        documents before the step is committed, nothing is written and `decide` is called again. No lock is held while a
        model runs. Raises FileBusy where others were first 200 times.
        """
        return update(self._backend, lambda: self.writer(chunk=chunk, together=True, embed=embed), decide)

    def replace(self, before: Iterable[Document], after: Iterable[Addable], *, chunk: bool = True) -> AddReport | None:
        """Replace documents by others in one step, unless another process has changed something meanwhile.

        `before` are documents as `get` returned them; those whose ids `after` lacks are removed. Returns None, with
        nothing written, where one of `before` is not stored like this any more, or an id of `after` that `before` lacks
        is taken: read again, and decide again (or let `update` do so). Raises InputError for what cannot be stored, and
        for an id that comes twice.
        """
        return replace(self._backend, lambda: self.writer(chunk=chunk, together=True), before, after)

    def remove(self, ids: str | Iterable[str]) -> int:
        """Remove documents by id; give how many there were. Unknown ids are no error."""
        return self._backend.remove(ids_from(ids))

    def remove_where(self, where: Mapping[str, Any] | filters.Filter) -> int:
        """Remove all documents that pass the filter at this moment; return how many there were.

        The empty filter passes every document.
        """
        wanted = filters.parse(where)
        return self._backend.remove_where(filters.And(()) if wanted is None else wanted)

    def purge(self, ids: str | Iterable[str], *, verify: bool = True) -> PurgeReport:
        """Remove documents so that none of their bytes is left in the file, and look through the file whether any is.

        Gone are a document's text and all that was made of it, the bytes that earlier versions left behind, feedback
        and triples about it, and questions that hold a word, or twelve bytes in a row, of it that no document holds any
        more. The file is written anew: others can read meanwhile, but not write. `clean` in what it gives is False
        while another process still reads the file as it was, or a copy made for tuning holds it; `remedy` says what to
        do, and `purge([])` finishes it. `verify=False` does not look. Raises InputError for an empty id.

        Not touched are backups, exports, blocks that the file system let go of, and models tuned on the documents.
        """
        self._asking.flush()  # a question that waits may hold the document's words
        return self._backend.purge(ids_from(ids), verify=verify)

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
            trace = search(self._backend, self._analyser, request)
        except EmbedderMismatch:
            # Another process changed the embedder or the model after the query was embedded, before the file was read.
            trace = search(self._backend, self._analyser, request)
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
            again(), self._backend, self._analyser, remedies.FailedSearch(where, depth, least, again), expect=expect
        )

    def _embed(self, text: str) -> tuple[NDArray[np.float32], str] | None:
        return self._embedder.query(text) if text.strip() else None

    # reading

    def get(self, document_id: str) -> Document:
        """Give a document as it was added; raises NotFound."""
        return self._backend.get(document_id).document

    def documents(self, where: Where = None) -> Iterator[Document]:
        """Give all documents that pass the filter, in the order they were first added, a few at a time."""
        return (stored.document for stored in self._backend.scan(filters.parse(where)))

    def ids(self, where: Where = None) -> list[str]:
        """Return the ids of all documents that pass the filter, in the order they were first added."""
        return self._backend.ids(filters.parse(where))

    def digests(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Return the content digests of those of the documents that are stored; see `update`."""
        return self._backend.digests(ids)

    def stored(self, document_id: str) -> StoredDocument:
        """Return a document with its chunks and the file it was read from; raises NotFound."""
        return self._backend.get(document_id)

    def scan(self, where: Where = None, *, vectors: bool = False) -> Iterator[StoredDocument]:
        """Yield all documents that pass the filter as `stored` does, with `vectors` also those of their chunks."""
        return self._backend.scan(filters.parse(where), vectors=vectors)

    def to_arrow(self, where: Where = None, *, vectors: bool = False) -> pa.RecordBatchReader:
        """Give all documents that pass the filter as a stream of Arrow batches; `.read_all()` makes a table of it.

        Its columns are a Document's fields, with metadata as a string of JSON, so that `add` takes the stream. With
        `vectors` there is a column of that name too: a list of float32 vectors, one for each chunk in the order of the
        text, null where one is missing. Raises MissingExtra without pyarrow.
        """
        return stream(self._backend, filters.parse(where), vectors=vectors)

    def count(self) -> int:
        """Count the documents."""
        return self._backend.count()

    def stats(self) -> Stats:
        """Say what the store holds, and which embedder made its vectors."""
        return self._backend.stats()

    def sources(self) -> dict[str, Source]:
        """Give the files that were read into the store, as they were then."""
        return self._backend.sources()

    def remove_sources(self, keys: Iterable[str]) -> int:
        """Forget files and remove the documents read from them; give how many documents there were."""
        return self._backend.remove_sources(keys)

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
        return self._backend.check(repair=repair)

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Write a compact copy to a new file, while others go on reading and writing."""
        self._backend.backup(os.fspath(path))

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
        return reembed(self._backend, self._embedder, embedder, keep=keep, promote=promote, progress=progress)

    def embedder(self) -> Embedder | None:
        """Give the embedder of questions, loaded; None in a store without vectors, or opened without an embedder."""
        return self._embedder.for_searching()

    def trial(self, model: ModelVersion | None) -> Trial:
        """Return the store as it would be with this model version active (None: the plain embedder), measured with it.

        Nothing is written. Raises ModelUnavailable where the version's embedder is not available.
        """
        return Trial(self._backend, self._analyser, model, self._trial_calibrations.of(model))

    def calibrate(self, embedder: Embedder | None = None) -> None:
        """Measure anew what `fusion="adaptive"` and `min_relevance` use, after a change of the active model version.

        `embedder` is that of queries, if the caller has it.
        """
        if (embedder := embedder or self.embedder()) is not None:
            calibration.settle(self._backend, embedder)

    def use_for_queries(self, embedder: Embedder) -> None:
        """Embed queries with this embedder while the active model version is made for it; it is not loaded by name."""
        self._embedder.adopt_query(embedder)

    def load_embedder(self, name: str | Path) -> Embedder:
        """Load an embedder by its name or folder, with as many threads as the store's own."""
        return self._embedder.load(name)

    # the parts of a store, for the code that works with them

    @property
    def chunks(self) -> ChunkView:
        """The chunks, read by their ids."""
        return self._chunks

    @property
    def embeddings(self) -> EmbeddingView:
        """The vectors that are searched, built and kept."""
        return self._embeddings

    @property
    def learning(self) -> LearningBackend:
        """What the store has learned and learns from: model versions, triples, the query log, feedback."""
        return self._backend.learning

    @property
    def language(self) -> str:
        """The language of the keyword index."""
        return self._backend.language

    @property
    def location(self) -> str:
        """Where the store is, for people and messages: a file's path."""
        return self._backend.location

    @property
    def folder(self) -> Path | None:
        """Where files made for this store may be put; None where there is no such place."""
        return self._backend.folder

    def snapshot(self) -> AbstractContextManager[None]:
        """Make all reads of this thread in the block see one state of the store, whatever others write meanwhile."""
        return self._backend.snapshot()

    def state(self) -> SearchState:
        """Return what every search reads first: the number of chunks, embedding, calibration, model and revision."""
        return self._backend.state()


def _given(vector: ArrayLike) -> Callable[[str], tuple[NDArray[np.float32], None]]:
    checked_vector = unit(vector, (None,), "vector")
    return lambda _: (checked_vector, None)
