# ruff: noqa: D102 - the protocols document each method
"""The PostgreSQL backend: one transaction for each method of the protocols."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np

from hybridstore.backends import forking
from hybridstore.backends.generations import Generations
from hybridstore.backends.learning import Expectation, Feedback, LoggedQuestion
from hybridstore.backends.postgres import (
    address,
    check,
    document_rows,
    document_writes,
    keyword_search,
    learning_rows,
    model_rows,
    posting_blocks,
    removal_rows,
    schema,
    searching,
    store_state,
    vector_tables,
)
from hybridstore.backends.postgres.change_log import Log, revision
from hybridstore.backends.postgres.connection import Connection, remembered, value
from hybridstore.backends.postgres.loader import PostgresLoader
from hybridstore.backends.postgres.purge import ERASURE, purge
from hybridstore.backends.postgres.transactions import Connections
from hybridstore.backends.postgres.translation import raise_translated, translated
from hybridstore.backends.protocols import Backend, SearchState
from hybridstore.backends.resident.resident_cache import ResidentCache
from hybridstore.backends.stored_documents import StoredDocuments
from hybridstore.backends.stored_embeddings import StoredEmbeddings
from hybridstore.backends.stored_learning import StoredLearning
from hybridstore.backends.values import (
    Capabilities,
    CompactReport,
    Embedding,
    Entry,
    Problem,
    PurgeReport,
    Restriction,
    Stats,
    check_not_removed,
    check_vectors_fit,
)
from hybridstore.backends.versions import Removal
from hybridstore.errors import Unsupported
from hybridstore.records import AddReport, CorpusStatistics, KeywordQuery, Source
from hybridstore.text.analysis import ANALYSIS_VERSION, Analyser
from hybridstore.text.analysis_versions import analyser_of

MEMORY = 1024  # MiB that copies in memory may take, unless the caller says otherwise
_CAPABILITIES = Capabilities(
    backup="a server's databases are backed up by the server (pg_dump, pg_basebackup); `hybridstore move` copies "
    "the store, with all it has learned, into a file",
    compacting="the server frees space by itself (autovacuum); VACUUM FULL rewrites tables where that is not enough",
    erasure=ERASURE,
    codecs="a store on a server keeps vectors as float32; a file can keep less of them (`hybridstore move` makes one)",
)


@translated
class PostgresLearning(StoredLearning[Connection]):
    """LearningBackend for PostgreSQL."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections, model_rows, learning_rows, Log, vector_tables.write_calibration)

    def absorb(
        self,
        *,
        queries: Sequence[LoggedQuestion] = (),
        feedback: Sequence[Feedback] = (),
        expectations: Sequence[Expectation] = (),
        forgotten: Mapping[str, str] | None = None,
        dropped: Sequence[Expectation] = (),
    ) -> None:
        with self._connections.atomic() as connection:
            if forgotten:
                learning_rows.forget_until(connection, forgotten)
            learning_rows.remove_expectations(connection, dropped)
            learning_rows.absorb(connection, queries, feedback, expectations)


@translated
class PostgresBackend(StoredDocuments[Connection], StoredEmbeddings[Connection], Backend):
    """Documents, keywords and vectors in a schema of a database on a server: "postgresql://user@host/db?store=notes".

    Raises StoreRefused for a server that cannot be reached or does not permit it and for a store that is too new,
    InputError for a URL that cannot be read and for a language that the store was not made with.
    """

    _connections: Connections
    _documents, _writes, _removals = document_rows, document_writes, removal_rows
    _vectors = vector_tables
    _facts, _searching = store_state, searching
    _value = staticmethod(value)
    _generations = Generations(vector_tables, model_rows, document_rows)
    _log = Log
    _revision = staticmethod(revision)
    _read_embeddings = staticmethod(vector_tables.embeddings)
    _write_calibration = staticmethod(vector_tables.write_calibration)

    def __init__(
        self,
        url: str,
        *,
        language: str | None = None,
        busy_timeout: float = 30.0,
        create: bool = True,
        memory: int = MEMORY,
        read_only: bool = False,
    ) -> None:
        Analyser(language or "english")  # raises for an unknown language before a schema is made
        self._address = address.parse(url)
        self._memory_bytes = memory * 2**20
        self._connections = Connections(self._address, busy_timeout, read_only=read_only)
        self._connections.new_history = self.after_fork
        self.after_fork()
        try:
            schema.prepare(self._connections, language=language, analysis=ANALYSIS_VERSION, create=create)
            with self._connections.reading() as connection:
                self._language = str(value(connection, "SELECT value FROM facts WHERE key = 'language'"))
        except Exception as error:
            self._connections.close()
            raise_translated(error, self._connections, closed=False)
            raise
        self._learning = PostgresLearning(self._connections)
        forking.register(self)

    def quiet(self) -> bool:
        """Return True: what other threads are doing in memory is dropped in a child."""
        return True

    def after_fork(self) -> None:
        """Begin with locks that nobody holds."""
        self._memory = ResidentCache(lambda: self.analyser, self._memory_bytes)
        self._analysers: dict[int, Analyser] = {}
        self._serving: dict[int, bool] = {}
        self._missing = None

    @property
    def location(self) -> str:
        return self._address.location

    @property
    def address(self) -> address.Address:
        """What opens this store again; it shows no secret."""
        return self._address

    @property
    def folder(self) -> Path | None:
        return None

    @property
    def analyser(self) -> Analyser:
        return self._connections.read_once(self._analyser_in)

    def _analysis(self, connection: Connection) -> int:
        read = "SELECT value FROM facts WHERE key = 'analysis'"
        return remembered(connection, read, lambda: int(value(connection, read)))

    def _loader(self, connection: Connection, leg: str | None = None) -> PostgresLoader:
        return PostgresLoader(connection, leg, self._serving)

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    @property
    def learning(self) -> PostgresLearning:
        return self._learning

    def state(self) -> SearchState:
        def read(connection: Connection) -> SearchState:
            found = store_state.state(connection, self._learning.known)
            return replace(found, replica=self._connections.replica(connection))

        return self._connections.read_once(read)

    def snapshot(self, *, stale: bool = False) -> AbstractContextManager[object]:
        return self._connections.reading(stale=stale)

    # writing

    def put(
        self,
        entries: Sequence[Entry],
        *,
        embedding: Embedding | None = None,
        finished: Mapping[Source, frozenset[str]] | None = None,
        removing: Collection[str] | Mapping[str, bytes] = (),
        removals: Mapping[bytes, Removal] | None = None,
    ) -> AddReport:
        check_not_removed(entries, removing)
        if embedding is not None:
            check_vectors_fit(entries, embedding)
        with self._connections.atomic() as connection, Log(connection) as log:
            number = None if embedding is None else self._generations.require(connection, embedding)
            document_writes.check_removals_stored(connection, removing)
            report = document_writes.put(connection, log, self._analyser_in(connection), entries, number)
            removed = document_writes.finish(connection, log, finished or {})
            removed += document_writes.remove_ids(connection, log, removing, removals or {})
            return report + AddReport(removed=removed)

    # reading

    def vocabulary(self, beginnings: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        with self._connections.reading() as connection:
            return posting_blocks.vocabulary(connection, beginnings)

    def statistics(self, query: KeywordQuery) -> CorpusStatistics:
        with self._connections.reading() as connection:
            return keyword_search.statistics(connection, query)

    def holds(self, phrase: tuple[str, ...], restriction: Restriction) -> bool:
        with self._connections.reading() as connection:
            held = keyword_search.find(connection, [phrase])[phrase].chunks
            allowed = self._memory.allowed(PostgresLoader(connection), restriction) if len(held) else None
            return bool(len(held if allowed is None else np.intersect1d(held, allowed, assume_unique=True)))

    def stats(self) -> Stats:
        with self._connections.reading() as connection:
            return store_state.stats(connection)

    # keeping

    def check(self, *, repair: bool = False, progress: Callable[[int, int], None] | None = None) -> list[Problem]:
        return check.check(self._connections, self.analyser, repair=repair, progress=progress)

    def reindex(self) -> int:
        with self._connections.atomic() as connection, Log(connection) as log:
            return check.rebuild(connection, log, analyser_of(self._language, ANALYSIS_VERSION))

    def recode(self, codec: str, progress: Callable[[int, int], None] | None = None) -> int:  # noqa: ARG002
        raise Unsupported(self.location, str(_CAPABILITIES.codecs))

    def backup(self, path: str) -> None:  # noqa: ARG002 - it cannot be written
        raise Unsupported(self.location, str(_CAPABILITIES.backup))

    def compact(self) -> CompactReport:
        raise Unsupported(self.location, str(_CAPABILITIES.compacting))

    def purge(
        self,
        ids: Iterable[str],
        *,
        verify: bool = True,  # noqa: ARG002 - it cannot be verified
        removals: Mapping[bytes, Removal] | None = None,
    ) -> PurgeReport:
        return purge(self._connections, self.analyser, list(ids), removals or {})
