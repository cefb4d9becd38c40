"""Store: documents in one place, written, searched by keyword and by vector, and looked after."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, cast

from numpy.typing import ArrayLike

from hybridstore import filters
from hybridstore.backends.learning import Expectation, LoggedQuestion, ModelVersion
from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import CompactReport, Embedding, Problem, PurgeReport, Restriction, Stats
from hybridstore.codecs.kept_vectors import check_codec
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import EmbedderMismatch, EmptyQuery, InputError
from hybridstore.locations import is_address
from hybridstore.records import AddReport, Document, Hit, Results, Source, Trace
from hybridstore.search import remedies
from hybridstore.search.algebra import StructuredQuery
from hybridstore.search.algebra_text import logged, structure_of
from hybridstore.search.completion import completions
from hybridstore.search.explain import Explanation, explain
from hybridstore.search.hops import follow
from hybridstore.search.neighbours import Around
from hybridstore.search.query_plan import has_words
from hybridstore.search.request import Request
from hybridstore.search.rewriting import RewriteOption, rewrite_of, settled
from hybridstore.search.rewritten_search import search_rewritten
from hybridstore.search.second_stage import Rerank, Reranker, rerank_of
from hybridstore.search.selection import SelectionRequest
from hybridstore.search.structured import search_structured
from hybridstore.search.vector_legs import QueryVectors, chosen
from hybridstore.store import calibration, conflicts, filling, merging, write_operations
from hybridstore.store.chunk_vectors import nearest_windows
from hybridstore.store.embedder_choice import GIVEN, StoreEmbedder, unit
from hybridstore.store.expectations import WITHIN, TestedExpectation, checked, tested
from hybridstore.store.folders import Paths, SyncProgress, SyncReport, add_folder, add_paths
from hybridstore.store.inputs import Addable, SearchOptions, Table, Where, checked_path, ids_from, names_arguments
from hybridstore.store.merging import MergeReport
from hybridstore.store.message_stream import Readable, Writable
from hybridstore.store.prepared_adding import Prepared, add_prepared
from hybridstore.store.query_log import QueryLog
from hybridstore.store.reembed import add_leg, drop_leg, embed_legs, reembed
from hybridstore.store.store_views import StoreParts
from hybridstore.store.trial import Trial, TrialCalibrations
from hybridstore.store.writer import Progress, Vectors, Writer
from hybridstore.text.analysis import Analyser

if TYPE_CHECKING:
    from hybridstore.store.shared_folder import ExchangeReport

T = TypeVar("T")

_FOUND, _FOUND_A_QUERY = 1024, 32  # chunks that are remembered to be embedded first


class Store(StoreParts):
    """Documents that can be searched. Made by `open`; a context manager; safe to use from many threads."""

    def __init__(
        self,
        backend: Backend,
        *,
        embedder: str | Path | Embedder | None = None,
        threads: int | None = None,
        log_queries: bool = False,
    ) -> None:
        if isinstance(backend, str | os.PathLike):
            raise InputError(f"hybridstore.open({os.fspath(backend)!r}) opens a store; the class is what it returns")
        super().__init__(backend)
        self._query_log = QueryLog(backend.learning, enabled=log_queries)
        self._embedder = StoreEmbedder(backend, embedder, threads)
        self._found: deque[int] = deque(maxlen=_FOUND)  # chunks that searches found while vectors were missing
        self._trial_calibrations = TrialCalibrations(backend, self._embedder)
        self.reopen: partial[Store] | None = None

    def __reduce__(self) -> tuple[Callable[[], Store], tuple[()]]:
        """Pickle a store as its location and the options of `open`: it is opened again.

        Raises InputError for a store in memory, and for an encrypted one, whose key would be in the pickle.
        """
        reopen = self._reopening()
        if reopen.keywords.get("key") is not None:
            raise InputError("an encrypted store cannot be pickled, for its key would be in there; open it by its path")
        return reopen, ()

    def _reopening(self) -> partial[Store]:
        if self.reopen is None:
            raise InputError(
                "a store in memory cannot be copied or pickled; write it to a file with backup(), and open that"
            )
        return self.reopen

    def __copy__(self) -> Store:
        return self._reopening()()

    def __deepcopy__(self, _memo: dict[int, Any]) -> Store:
        return self.__copy__()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write the logged queries and close the store. Closing twice is harmless."""
        try:
            self._query_log.close()
        finally:
            self._backend.close()

    @property
    def _analyser(self) -> Analyser:
        return self._backend.analyser

    # writing

    @names_arguments
    def add(
        self,
        documents: Addable | os.PathLike[str] | Iterable[Addable | os.PathLike[str]] | Table,
        *,
        vectors: ArrayLike | Literal["soon", "later"] | None = None,
        chunk: bool = True,
        progress: Progress | None = None,
    ) -> AddReport:
        """Add documents: texts, Documents, mappings with a Document's fields, an iterable of these, or a table.

        A known id with the same content changes nothing; with other content it replaces the document, embedding only
        chunks that changed. Long iterables are committed in batches. `vectors` is (n, dim), one for each document,
        scaled to unit norm; no document is embedded then. In a new store that was opened with the `embedder` they come
        from, that embedder is used for queries; otherwise queries must bring their `vector`. With such `vectors` or
        `chunk=False` a document is one chunk, however long it is; `add_prepared` takes a vector for each chunk. With
        `vectors="later"` nothing is embedded yet: words find the documents at once, and `embed` makes the vectors; with
        "soon" that is so if embedding takes more than about two seconds. `progress` is called with the report so far. A
        table is anything that exports Arrow data, such as a frame of polars or pandas:
        `hybridstore.tables.documents_from` describes how its columns are read, and a column "vector" stands for
        `vectors`.

        A `Path` is read, be it a file or a folder: see `add_folder`. A text that is the path of something that exists
        is refused, as it is hardly the text that was meant. Raises InputError for a document that cannot be stored, and
        for a file that cannot be read.
        """
        paths: list[os.PathLike[str]] = []
        when = write_operations.when_to_embed(vectors)
        report = write_operations.add(
            partial(self.writer, vectors=when or "now"),
            documents,
            vectors=None if when else vectors,
            chunk=chunk,
            progress=progress,
            paths=paths,
        )
        return report + add_paths(self, paths) if paths else report

    def add_prepared(self, batches: Prepared, *, progress: Progress | None = None) -> AddReport:
        """Add documents that were divided and embedded elsewhere: Arrow batches as `hybridstore.prepare` yields them.

        No document is embedded here, and the store is then what `add` of the same documents makes it. Each batch is
        written whole or not at all, in one transaction; those before one that cannot be written stay. Of two documents
        with the same id in a batch the last one counts. At the end the store is measured, where its embedder is
        available; otherwise `calibrate` does it later. `progress` is called with the report so far.

        A new store takes the batches' embedder as its own. Raises EmbedderMismatch for batches of another embedder than
        the store's; InputError for those of another version of the chunker, for documents that were changed since they
        were prepared, and for what is not a prepared batch; MissingExtra without pyarrow.
        """
        return add_prepared(self._backend, self._embedder, partial(self.writer, together=True), batches, progress)

    @names_arguments
    def add_folder(
        self,
        path: Paths,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        hidden: bool = False,
        follow_links: bool = False,
        prune: bool = False,
        dry_run: bool = False,
        max_file_size: int | None = None,
        encoding: str | None = None,
        progress: Callable[[SyncProgress], None] | None = None,
    ) -> SyncReport:
        """Read a folder, a file, or several of them into the store, as `hybridstore add` does; return what was done.

        Unchanged files are not opened again, and changed ones replace their documents, so it can be called at any time.
        `include` and `exclude` are patterns as in a .gitignore, relative to the folder; what .gitignore excludes,
        hidden files (unless `hidden`), links (unless `follow_links`) and files without readable text are skipped.
        `prune` removes the documents of files below `path` that are gone. With `dry_run` nothing is written: the report
        says what would be. `max_file_size` is in bytes after unpacking (default: 2 GiB for text and tables, else 64
        MiB). `encoding` is that of text files that are not UTF-8, instead of what they declare or a guess; with it
        unchanged files are read again. `progress` is called with the counts so far. A file's document has its absolute
        path as id.

        A file that cannot be read stops nothing: `failed` and `left_out` of the report name it. Raises InputError for
        a path that does not exist, and an unknown encoding.
        """
        return add_folder(
            self,
            path,
            include=include,
            exclude=exclude,
            hidden=hidden,
            follow_links=follow_links,
            prune=prune,
            dry_run=dry_run,
            max_file_size=max_file_size,
            encoding=encoding,
            progress=progress,
        )

    def writer(
        self,
        *,
        chunk: bool = True,
        progress: Progress | None = None,
        together: bool = False,
        embed: bool = True,
        vectors: Vectors = "now",
    ) -> Writer:
        """Return a Writer, which adds documents one by one and commits them in batches, or all `together`.

        With `embed=False` no model runs: chunks that come without vectors get none. `vectors` says when others get
        theirs: "now", with the commit; "later", by `embed`; "soon", now if the documents are embedded in about two
        seconds, and else later.
        """
        embedder = self._embedder if embed else self._embedder.none()
        return Writer(self._backend, embedder, chunk=chunk, progress=progress, together=together, vectors=vectors)

    def update(self, decide: Callable[[Writer], T], *, chunk: bool = True, embed: bool = True) -> T:
        """Let `decide` write by what it reads, all in one step; return what it returned.

        `decide` reads one state of the store and gives the Writer documents to add and to remove, with the content
        digests that were read (`replaces`, `stored`; see `digests`). Where another process has changed one of these
        documents before the step is committed, nothing is written and `decide` is called again. No lock is held while a
        model runs. Raises StoreBusy where others were first 200 times.
        """
        return write_operations.update(
            self._backend, lambda: self.writer(chunk=chunk, together=True, embed=embed), decide
        )

    def replace(self, before: Iterable[Document], after: Iterable[Addable], *, chunk: bool = True) -> AddReport | None:
        """Replace documents by others in one step, unless another process has changed something meanwhile.

        `before` are documents as `get` returned them; those whose ids `after` lacks are removed. Returns None, with
        nothing written, where one of `before` is not stored like this any more, or an id of `after` that `before` lacks
        is taken: read again, and decide again (or let `update` do so). Raises InputError for what cannot be stored, and
        for an id that comes twice.
        """
        return write_operations.replace(self._backend, lambda: self.writer(chunk=chunk, together=True), before, after)

    def remove(self, ids: str | Iterable[str]) -> int:
        """Remove documents by id; return how many there were. Unknown ids are no error."""
        return self._backend.remove(ids_from(ids))

    def remove_where(self, where: Mapping[str, Any] | filters.Filter) -> int:
        """Remove all documents that pass the filter at this moment; return how many there were.

        The empty filter passes every document.
        """
        wanted = filters.parse(where)
        return self._backend.remove_where(filters.And(()) if wanted is None else wanted)

    def remove_sources(self, keys: Iterable[str]) -> int:
        """Forget files and remove the documents read from them; return how many documents there were."""
        return self._backend.remove_sources(keys)

    def purge(self, ids: str | Iterable[str], *, verify: bool = True) -> PurgeReport:
        """Remove documents so that none of their bytes is left in the file, and search the file for any that are.

        Removed are a document's text and all that was derived from it, bytes that earlier versions left in the file,
        feedback and triples about it, copies that a merge kept of it, and logged queries that contain a word, or twelve
        bytes in a row, of it that no other document contains. The file is rewritten: others can read meanwhile, but not
        write. The report's `clean` is False while another process still reads the old file, or a copy made for tuning
        contains it; its `remedy` says what to do, and `purge([])` finishes it. `verify=False` skips the search. Other
        stores purge the same when they are merged with this one. Raises InputError for an empty id.

        Backups, exports, blocks that the file system has freed, and models tuned on the documents are not touched.
        """
        self._query_log.flush()  # a query that is not written yet may contain the document's words
        return self._backend.purge(conflicts.with_copies(self._backend, ids_from(ids)), verify=verify)

    def merge(
        self,
        other: Store | str | os.PathLike[str],
        *,
        dry_run: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> MergeReport:
        """Bring in what another store holds, removed, purged and was told; return what that was.

        `other`, which is only read, is a store, or the path of one with the same key; a file of a version before 6 is
        brought up to date first. Merged in any order and any number of times, stores come to hold the same: the later
        version of each document, whatever the clocks say about a change that was made of another. A document that was
        changed on both sides keeps the later version; the other one becomes a document of its own, see `conflicts`.
        What was purged there is purged here, and the report has the proof. Vectors are taken over where the embedder is
        the same; `embed` makes others. Model versions, triples, calibrations, and which files were read remain each
        store's own. Each batch is one step, and a merge that was stopped can be repeated. With `dry_run` nothing is
        written. `progress` is called with (done, total).

        Raises InputError for the store itself, and within a snapshot.
        """
        if not isinstance(other, Store):
            from hybridstore.store.opening import open_other

            with open_other(checked_path(other), key=self._backend.key) as opened:
                return self.merge(opened, dry_run=dry_run, progress=progress)
        theirs = other._backend  # noqa: SLF001 - of the same class
        for log in (self._query_log, other._query_log):  # noqa: SLF001 - the same
            log.flush()
        return merging.merge(self._backend, theirs, fits=self._takes_over, dry_run=dry_run, progress=progress)

    def exchange(
        self,
        folder: str | os.PathLike[str],
        *,
        name: str | None = None,
        dry_run: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> ExchangeReport:
        """Exchange changes with other devices through a folder that all of them see, such as one of Syncthing's.

        What other devices have put there is merged as by `merge`, and what they lack is put there, in a subfolder of
        this device: files that are never changed, encrypted with the store's key where it has one. Files of other
        devices are only read. One that is torn, or has not arrived yet, is left for the next time. What was purged is
        taken out of this device's files at once, and out of another's when that exchanges next. `name` is the device's,
        by default made of the machine's name and the store's place. With `dry_run` nothing is written. `progress` is
        called with (done, total).

        In place of the folder stands the address of another store's server, as `hybridstore serve --exchange` prints
        it: http://box.lan:8766/?token=…. Then this is like `exchange_over`, by a few requests.

        Raises InputError for a folder that is not there and a name that cannot be used; FileRefused where the folder
        cannot be read or written, or holds files that were not written with this store's key, and for a server that
        cannot be reached or refuses. Then nothing is written, except what came in before the folder could not be.
        """
        from hybridstore.store.exchange import exchange
        from hybridstore.store.http_streams import ServerStreams

        if is_address(folder):
            with ServerStreams(folder) as streams:
                return self.exchange_over(streams, streams, dry_run=dry_run, progress=progress)
        self._query_log.flush()
        place = Path(checked_path(folder))
        return exchange(self._backend, place, name=name, fits=self._takes_over, dry_run=dry_run, progress=progress)

    def exchange_over(
        self,
        reader: Readable,
        writer: Writable,
        *,
        dry_run: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> ExchangeReport:
        """Exchange changes with a store at the other end of two streams, where this is called, too.

        Only what the other side lacks is sent. Nothing is changed before all has been received, so streams that end
        early leave both stores as they were, or one of them whole. What is sent is not encrypted: ssh does that. With
        `dry_run` on either side both stay as they are. `progress` is called with (done, total).

        Raises FileRefused where the streams end early, InputError where something else is at their end.
        """
        from hybridstore.store.stream_exchange import exchange_over

        self._query_log.flush()
        return exchange_over(self._backend, reader, writer, fits=self._takes_over, dry_run=dry_run, progress=progress)

    def _takes_over(self, embedding: Embedding) -> bool:
        """Return whether vectors of another store with this embedding can become this store's."""
        own = self._backend.embeddings().active
        if own is None and self._embedder.identity(embedding.dim).reference == GIVEN:
            return True
        own = own or self._embedder.identity(embedding.dim)
        return (own.fingerprint, own.dim) == (embedding.fingerprint, embedding.dim)

    def conflicts(self) -> list[tuple[str, str]]:
        """Return the documents that were changed in two stores before these were merged, with the ids of the copies.

        The document has the later version, the copy the other one; both are found. `keep_version` ends a conflict, as
        does removing the copy.
        """
        return list(conflicts.conflicts(self._backend))

    def keep_version(self, document_id: str) -> None:
        """End a conflict: keep this version of a document, or the copy of this id in its place; remove the others.

        The next merge tells the other stores. Raises InputError for a document that is not in conflict.
        """
        self.update(lambda writer: conflicts.keep_version(self._backend, writer, document_id), embed=False)

    # searching

    @names_arguments
    def search(
        self,
        query: str | StructuredQuery,
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
        exclude: Iterable[str] = (),
        rerank: Reranker | Rerank | None = None,
        legs: str | Iterable[str] | None = None,
        per: str = "chunk",
        norm: str = "product",
        hops: int = 1,
        rewrite: RewriteOption | None = None,
    ) -> Results:
        """Find the chunks that answer a query best, by its words and by its meaning.

        Any text with a word is a valid query; `"quoted words"` must occur as a phrase, `title:word` in the title, and
        `-"quoted words"` must not occur, nor may the words and phrases in `exclude`. With `syntax` "advanced", AND, OR,
        NOT, parentheses and `prefix*` are operators, and can be malformed. `syntax` "web" is for queries as models
        write them for web search: quoted words need not stand together, and what follows NOT or a minus must not occur.
        `where` restricts what is searched, before
        anything is ranked. `mode` is "hybrid", "keyword" (no model is needed) or "vector". `depth` is the number of
        candidates of each leg (at least `limit`; default 200).
        `vector` is the query's embedding (dim,), if the caller has it; then only the store's own vectors are searched.
        `legs` names those that are searched instead of a mode: "keyword", "vector" for all embedders of the store, or
        an embedder's name, as in `legs=["keyword", "multilingual-e5-small"]`.

        `fusion` "adaptive" weighs the evidence for each candidate in both legs by the store's calibration; its scores
        lie in [0, 1] and compare across a store's queries. "rrf", "idf-rrf" and "convex" are there for comparison.
        `min_relevance` leaves out what is less relevant (`Hit.relevance`): 0.5 separates best the queries that the
        store can answer from those that it cannot.

        `unique` shows only the best of near-identical chunks, with the others' documents in its `copies`.
        `per_document` is the most chunks of one document. `diversity`, from 0 to 1, is how much a chunk loses for
        being like those above it (at most `limit` of the 5 · `limit` best are chosen so); hits are then no longer in
        the order of their scores.

        `around` maps a document's id to the ids around it in a conversation, two to either side, in order and itself
        included, or to nothing: a chunk is then ranked in the light of its neighbours.

        `rerank` reads the best 30 passages again, with the question, and puts them in a new order: a `CrossEncoder`,
        any object with its method `score`, or a `Rerank` that says how many and for how long.

        A structured query, such as `about("solar power") & ~about("lithium")`, or its text with `syntax` "algebra", is
        judged by its parts: a hit's score and relevance are its truth, and `results.trace.truths` has that of each
        part. With `per` "document" different passages of a document may meet its conditions, and a document is one hit.
        `norm` says how truths are joined: "product", "lukasiewicz" or "godel" (the least). It is logged as JSON.

        `hops` is how many searches deep the best passages are followed to others, for questions whose answer is in
        several passages that lead to each other (at most 4); see `follow`.

        `rewrite` searches for the question in other words as well, as further evidence: `Rewrites` (or a mapping of
        their fields) that the caller has, or who writes them: a function of the question, or an `Endpoint`, to which
        then the question is sent, and nothing else. It is asked only where the plain search looks unsure; a `Rewrite`
        says otherwise, and for how long to wait. A rewriter that fails is named in a note. See
        `results.trace.rewriting`.

        Raises InputError for invalid arguments, among them EmptyQuery for a query without words that comes without a
        `vector`.
        """
        structured = structure_of(query, syntax)
        if structured is not None and vector is not None:
            raise InputError("vector is for a text: a structured query has a vector for each of its parts")
        embed: Callable[[str], QueryVectors | None] = self._embed if vector is None else _constant(vector)
        if legs is not None:
            if mode != "hybrid" or vector is not None:
                raise InputError("legs chooses what is searched: leave out mode and vector")
            mode, vectors = self._chosen(legs)
            embed = partial(self._embed, legs=vectors)
        request = Request(
            query=cast("str", query) if structured is None else str(structured),  # checked there
            limit=limit,
            mode=mode,
            fusion=fusion,
            depth=depth,
            where=filters.parse(where),
            embed=embed,
            selection=SelectionRequest(unique, per_document, diversity),
            syntax=syntax,
            min_relevance=min_relevance,
            around=around,
            exclude=exclude,
            rerank=rerank_of(rerank),
            per=per,
            norm=norm,
            structured=structured,
            hops=hops,
            rewrite=rewrite_of(rewrite),
        )
        if structured is None and vector is None and not has_words(request.query):
            raise EmptyQuery(request.query)
        run = search_structured if structured is not None else follow if hops > 1 else search_rewritten
        try:
            trace = run(self._backend, self._analyser, request)
        except EmbedderMismatch:
            # Another process changed the embedder or the model between the embedding of the query and the search.
            trace = run(self._backend, self._analyser, request)
        if trace.filled < 1.0:
            self._found.extendleft(trace.fused.chunks[_FOUND_A_QUERY - 1 :: -1].tolist())
        self._query_log.add(request.query if structured is None else logged(structured))
        return Results(trace)

    def follow(self, query: str, **options: Unpack[SearchOptions]) -> Results:
        """Find the passages that answer a question together, where one leads to the next: `search` with `hops`.

        The best passages of a search each lead to another, for the names in them that the question lacks, `hops` deep
        (at most 4); passages far weaker than the best lead nowhere. `results.trace.path` says
        which passage led where, and a hit's score is made of its ranks. The other options are those of `search`.
        """
        options.setdefault("hops", 2)
        return self.search(query, **options)

    def explain(
        self, query: str | StructuredQuery, *, expect: str | None = None, **options: Unpack[SearchOptions]
    ) -> Explanation:
        """Search, and explain the results: a Trace that `str()` renders.

        `expect` is the id of a document that should be found: the explanation says where it got lost, and what would
        bring it back. The other arguments are those of `search`.
        """

        def again(**changes: Unpack[SearchOptions]) -> Trace:
            how = options | changes
            if "mode" in changes:
                how.pop("legs", None)
            with self.unlogged():
                return self.search(query, **how).trace

        where, depth, least = filters.parse(options.get("where")), options.get("depth"), options.get("min_relevance")
        trace, search = again(), remedies.FailedSearch(where, depth, least, again)
        if trace.rewriting is not None:  # a language model is asked once, however often the search is repeated
            options["rewrite"] = settled(rewrite_of(options.get("rewrite")), trace.rewriting.texts)
        windows = self._nearest_windows(trace)
        return explain(trace, self._backend, self._analyser, search, windows=windows, expect=expect)

    def _nearest_windows(self, trace: Trace) -> dict[int, str]:
        plain = trace.vector is not None and trace.model is None and trace.truths is None
        embedder = self.embedder() if plain else None
        if embedder is None:
            return {}
        return nearest_windows(embedder, embedder.embed_query(trace.query), trace.hits)

    def complete(self, query: str, *, limit: int = 8, where: Where = None) -> list[str]:
        """Return words of the store that the query's last word may be the beginning of, the most frequent first.

        They are for a list that is shown while somebody types: at most `limit`, in lower case, as passages have them.
        `where` restricts the documents that the words are from. Empty where the query ends in a space, or in less than
        two letters. No model runs.
        """
        return completions(self._backend, self._analyser, query, limit, Restriction(where=filters.parse(where)))

    def trial(self, model: ModelVersion | None) -> Trial:
        """Return the store as it would be with this model version active (None: the plain embedder), measured with it.

        Nothing is written. Raises ModelUnavailable where the version's embedder is not available.
        """
        return Trial(self._backend, self._analyser, model, self._trial_calibrations.of(model), self._embedder)

    def _embed(self, text: str, legs: Collection[str] | None = None) -> QueryVectors | None:
        return self._embedder.query(text, legs) if text.strip() else None

    def _chosen(self, legs: str | Iterable[str]) -> tuple[str, frozenset[str]]:
        """Return the mode that the named legs make, and the fingerprints of the vector legs among them."""
        state = self._backend.state()
        there = [state.embedding] if state.embedding else []
        there += [leg.embedding for leg in state.legs]
        known = {each.fingerprint: {each.fingerprint.partition("@")[0], each.reference} for each in there}
        keyword, vectors = chosen((legs,) if isinstance(legs, str) else legs, known)
        return ("hybrid" if keyword and vectors else "keyword" if keyword else "vector"), vectors

    # reading

    def get(self, document_id: str) -> Document:
        """Return a document as it was added; raises NotFound."""
        return self._backend.get(document_id).document

    def documents(self, where: Where = None) -> Iterator[Document]:
        """Yield all documents that pass the filter, in the order they were first added."""
        return (stored.document for stored in self.scan(where))

    def count(self) -> int:
        """Return the number of documents."""
        return self._backend.count()

    def stats(self) -> Stats:
        """Return the numbers of documents, chunks and vectors, the store's embedder, and more."""
        return self._backend.stats()

    def sources(self) -> dict[str, Source]:
        """Return the files that were read into the store, as they were then."""
        return self._backend.sources()

    # tests that live in the store

    def expect(self, query: str, document_id: str, *, within: int = WITHIN) -> None:
        """Expect a document among the first `within` that a query finds: a test that is kept in the store.

        `test` runs it, and so does everything that changes the ranking (`tune`, `reembed`, promoting a version,
        `reindex`), which is refused where it would break what holds. Expecting it again changes `within`. Raises
        NotFound for a document that is not stored.
        """
        self.learning.expect(*checked(query, document_id, within))

    def expectations(self) -> list[Expectation]:
        """Return what is expected of this store's searches, oldest first."""
        return self.learning.expectations()

    def drop_expectation(self, query: str, document_id: str) -> bool:
        """Expect a document for a query no more; return whether it was expected. A purge drops its documents' own."""
        query, document_id, within = checked(query, document_id, WITHIN)
        return bool(self.learning.drop_expectations([Expectation(query, document_id, within)]))

    def test(self, expectations: Sequence[Expectation] | None = None) -> list[TestedExpectation]:
        """Search for the query of each expectation, and return what came of them, oldest first; or of these alone.

        Each counts documents, not passages, of a plain hybrid search. Their queries are not logged.
        """
        with self.unlogged():
            find = lambda query, most: self.search(query, limit=most, per_document=1).trace  # noqa: E731
            return tested(self._backend, find, expectations)

    # the query log and feedback

    def feedback(self, query: str, hit: Hit | int, used: bool = True) -> None:
        """Record whether a hit, passed itself or by its `chunk_id`, was useful for the query.

        The latest feedback on the same query and chunk counts. Raises NotFound for a chunk that was removed.
        """
        self._query_log.feedback(query, hit, used=used)

    def query_log(self) -> list[LoggedQuestion]:
        """Return the queries logged by stores that were opened with `log_queries`, the most frequent first.

        They are written 64 at a time, and when a store is closed: up to 4,096 characters long, never those of `explain`
        and `evaluate`. They leave this machine only with the file.
        """
        return self._query_log.read()

    def forget_queries(self, queries: str | Iterable[str] | None = None) -> int:
        """Remove some logged queries, or all, with the triples and the feedback for them; return how many."""
        return self._query_log.forget(queries)

    def unlogged(self) -> AbstractContextManager[None]:
        """Log no query of this thread in the block, where a program searches and not a person."""
        return self._query_log.paused()

    # upkeep

    def check(self, *, repair: bool = False, progress: Callable[[int, int], None] | None = None) -> list[Problem]:
        """Check that what is stored is what was written, and that its parts fit each other; [] when all is well.

        With `repair`, what can be derived is repaired. Missing vectors are made by `reembed()`. `progress` is called
        with (done, total). Damage is reported, never raised.
        """
        return self._backend.check(repair=repair, progress=progress)

    def reindex(self, *, force: bool = False) -> int:
        """Make all keywords anew with this version's analysis of words; return the number of chunks.

        A store that an earlier version made goes on working with that version's analysis until then
        (`stats().analysis`). No model runs. It is one step: others search the old keywords meanwhile, and where it is
        stopped, nothing has changed. It is tried on a copy first where expectations hold: raises ExpectationsBroken,
        unless `force`, if one would not afterwards.
        """
        if not force and self.expectations():
            self._rehearse(lambda copy: copy.reindex(force=True), "Making the keywords anew")
        return self._backend.reindex()

    def recode(self, codec: str, *, force: bool = False, progress: Callable[[int, int], None] | None = None) -> int:
        """Keep the store's vectors by another codec, in one step; return how many were changed.

        "float32" is all of each vector, "float16", "int8" and "int4" are ever less of it: docs/storage.md has what is
        saved, and what it costs. What a shorter codec left out does not come back with a longer one: `reembed` makes
        vectors anew. Others read the old vectors meanwhile, and other writers wait. The file gets smaller with
        `compact`. `progress` is called with (done, total).

        It is tried on a copy first where expectations hold: raises ExpectationsBroken, unless `force`, if one would
        not afterwards. Raises InputError for an unknown codec, Unsupported in memory and on a server.
        """
        check_codec(codec)
        if not force and codec != self._backend.stats().codec:
            self._rehearse(lambda copy: copy.recode(codec, force=True), f"Keeping vectors as {codec}")
        return self._backend.recode(codec, progress)

    def _rehearse(self, change: Callable[[Store], object], what: str) -> None:
        from hybridstore.store.store_copy import rehearse

        rehearse(self, change, what)

    def compact(self) -> CompactReport:
        """Rewrite the file without the space that removed and replaced documents left; return both sizes.

        The keyword index is merged and the log emptied. Others can read meanwhile, but not write, and it takes room for
        a second copy of the file. Where another process still reads the old state, `remedy` of the report says so.
        Raises FileRefused for a store that was opened with `read_only` or where there is too little room, and
        Unsupported in memory.
        """
        return self._backend.compact()

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Write a compact copy to a new file, while others read and write."""
        self._backend.backup(checked_path(path))

    def reembed(
        self,
        embedder: str | Path | Embedder | None = None,
        *,
        add: str | Path | Embedder | None = None,
        keep: bool = False,
        promote: int | None = None,
        force: bool = False,
        adopt: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Embed every chunk with another embedder, and switch to it in one step; return how many were made.

        Searches use the old vectors until then. Interrupted, the next call continues. `embedder` None continues what
        was begun, or else makes the missing vectors of the store's own embedder; naming another one drops what was
        begun. With `keep` the old vectors stay in the store, so that naming their embedder here returns to them at
        once; model version `promote` becomes active in the same step. `progress` is called with (done, total).

        `adopt` says that this embedder made the vectors that the store's caller passed: they are kept, those of chunks
        without one are made, and queries need no `vector` any more. Raises InputError where the store's vectors are
        others, or of another length.

        With `add` the store's own vectors stay, and those of this embedder become a vector leg beside them: searches
        use all of them once it is complete, and text that is added later gets vectors of all. `drop_leg` takes a leg
        away.

        Before the switch it is tried on a copy where expectations hold: raises ExpectationsBroken, unless `force`, if
        one would not afterwards. The vectors that were made are kept, and `reembed(force=True)` takes them.
        """
        if add is not None:
            if embedder is not None or keep or adopt or promote is not None:
                raise InputError("add puts vectors beside those there are: leave out embedder, keep, adopt and promote")
            return add_leg(self._backend, self._embedder, add, progress)

        def rehearse(target: Embedder) -> None:
            if not force and self.expectations():
                self._rehearse(lambda copy: copy.reembed(target, force=True), f"Vectors of {target.fingerprint}")

        return reembed(
            self._backend,
            self._embedder,
            embedder,
            keep=keep,
            promote=promote,
            adopt=adopt,
            before_switch=rehearse,
            progress=progress,
        )

    def drop_leg(self, name: str) -> str:
        """Take away an added vector leg, named as in `search(legs=…)`, with its vectors; return its fingerprint.

        Raises NotFound for an unknown name, InputError for the store's own embedder.
        """
        return drop_leg(self._backend, name)

    def embed(
        self,
        *,
        limit: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        work: Callable[[float], None] | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> int:
        """Make the vectors that chunks of this store lack, at most `limit`; return how many were made.

        They were added with `vectors="later"`, or without an embedder (`embedder="none"`, an import), or an earlier
        call was stopped: what it made is kept. Chunks that searches found come first, of this store object and in the
        query log, and then the newest. Several processes can do it at once. `progress` is called with (done, total),
        and before it `work` with the share of the work that is done, by the lengths of the texts: from 0 to 1. Once
        `stopped` returns True, it ends within about a second, and what was made is kept.

        Nothing is made in a store that has no vectors at all, while a re-embedding is unfinished (`reembed` continues
        it), with `embedder="none"`, or where vectors come from the caller. `embeddings.missing_count()` says how many
        are left.
        """
        made = filling.embed(
            self._backend,
            self._embedder,
            limit=limit,
            progress=progress,
            asked=self._found.copy,
            work=work,
            stopped=stopped,
        )
        left = None if limit is None else limit - made
        return made + embed_legs(self._backend, self._embedder, limit=left, progress=progress, stopped=stopped)

    def embedder(self) -> Embedder | None:
        """Return the embedder of queries, loaded; None in a store without vectors, or opened without an embedder."""
        return self._embedder.for_queries()

    def calibrate(self, embedder: Embedder | None = None) -> None:
        """Measure anew what `fusion="adaptive"` and `min_relevance` use, after a change of the active model version.

        `embedder` is that of queries, if the caller has it.
        """
        if (embedder := embedder or self.embedder()) is not None:
            calibration.calibrate(self._backend, embedder, self._embedder.available())

    def use_for_queries(self, embedder: Embedder) -> None:
        """Embed queries with this embedder while the active model version is made for it; it is not loaded by name."""
        self._embedder.use_for_queries(embedder)

    def load_embedder(self, name: str | Path, *, recorded: bool = False) -> Embedder:
        """Load an embedder by its name or folder, with as many threads as the store's own.

        `recorded` says that the name was read from the store's file: see `embedders.load`.
        """
        return self._embedder.load_recorded(str(name)) if recorded else self._embedder.load(name)


def _constant(vector: ArrayLike) -> Callable[[str], QueryVectors]:
    checked_vector = unit(vector, (None,), "vector")
    return lambda _: QueryVectors(checked_vector)
