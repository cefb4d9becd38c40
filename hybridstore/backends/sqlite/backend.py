"""The SQLite backend: one transaction for each method of the protocols."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path

import apsw

from hybridstore.backends import forking
from hybridstore.backends.generations import Generations
from hybridstore.backends.protocols import Backend, SearchState
from hybridstore.backends.resident.resident_cache import ResidentCache
from hybridstore.backends.sqlite import (
    corpus_scoring,
    document_rows,
    document_writes,
    file_creation,
    integrity_check,
    keyword_index,
    model_rows,
    removal_rows,
    searching,
    store_state,
    vector_tables,
)
from hybridstore.backends.sqlite.change_log import Log
from hybridstore.backends.sqlite.connection import Connections, value
from hybridstore.backends.sqlite.encryption import check_key
from hybridstore.backends.sqlite.keyword_check import analysis_of, rebuild, update_analysis
from hybridstore.backends.sqlite.loader import SQLiteLoader
from hybridstore.backends.sqlite.migrations import prepare
from hybridstore.backends.sqlite.purge import Purging
from hybridstore.backends.sqlite.read_only import Access
from hybridstore.backends.sqlite.sqlite_learning import SQLiteLearning
from hybridstore.backends.sqlite.translation import translated
from hybridstore.backends.sqlite.where_sql import restricted
from hybridstore.backends.stored_documents import StoredDocuments
from hybridstore.backends.stored_embeddings import StoredEmbeddings
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
from hybridstore.errors import FileDamaged, InputError
from hybridstore.records import AddReport, CorpusStatistics, KeywordQuery, Source
from hybridstore.text.analysis import ANALYSIS_VERSION, Analyser

_MOST_WORDS = 320_000  # of the vocabulary that are kept, by beginning: at most 20 MB, 2 MB in a store of 77,000 words
MEMORY = 1024  # MiB that copies in memory may take, unless the caller says otherwise


def _revision(connection: apsw.Connection) -> int:
    return SQLiteLoader(connection).revision()


class _Turns:
    """Locks that threads share out among themselves.

    Many threads that alternate in a leg's short array operations get a third less done than a few. These are no
    semaphore, for that is released in Python, where an exception that a signal raises can come between.
    """

    def __init__(self, number: int) -> None:
        self._locks = [threading.Lock() for _ in range(number)]
        self._threads, self._local = count(), threading.local()

    def mine(self) -> threading.Lock:
        """Return the lock of this thread."""
        if not hasattr(self._local, "lock"):
            self._local.lock = self._locks[next(self._threads) % len(self._locks)]
        lock: threading.Lock = self._local.lock
        return lock


@translated
class SQLiteBackend(StoredDocuments[apsw.Connection], StoredEmbeddings[apsw.Connection], Backend):
    """Documents, keywords and vectors in one SQLite file at `path`.

    Raises FileRefused for a file that is not ours or too new, InputError for a language it was not created with, or
    another codec.
    """

    _connections: Connections
    _documents, _writes, _removals = document_rows, document_writes, removal_rows
    _vectors = vector_tables
    _facts, _searching = store_state, searching
    _value = staticmethod(value)
    _generations = Generations(vector_tables, model_rows, document_rows)
    _log = Log
    _revision = staticmethod(_revision)
    _read_embeddings = staticmethod(vector_tables.embeddings)
    _write_calibration = staticmethod(vector_tables.write_calibration)

    def __init__(
        self,
        path: str,
        *,
        language: str | None = None,
        busy_timeout: float = 30.0,
        create: bool = True,
        memory: int = MEMORY,
        key: str | None = None,
        durability: str = "normal",
        read_only: bool = False,
        vfs: str | None = None,
        codec: str | None = None,
    ) -> None:
        if language is not None:
            Analyser(language)  # raises for an unknown language before a file is created
        if key is not None:
            check_key(path, key)
        self._path = path
        self._connections = Connections(path, busy_timeout, key, durability, Access(read_only, vfs))
        try:
            with self._connections.translated():
                prepare(self._connections, language=language, analysis=ANALYSIS_VERSION, create=create, codec=codec)
                with self._connections.reading() as connection:
                    self._language = str(value(connection, "SELECT value FROM meta WHERE key = 'language'"))
                self._analysers = {ANALYSIS_VERSION: self._analyser_of_file()}
                update_analysis(self._connections, self._analysers[ANALYSIS_VERSION])
        except BaseException:
            self.close()
            raise
        self._learning = SQLiteLearning(self._connections)
        self._memory_bytes = memory * 2**20
        self.after_fork()
        forking.register(self)

    def quiet(self) -> bool:
        """Return True: what other threads are doing in memory is dropped in a child."""
        return True

    def after_fork(self) -> None:
        """Begin with locks that nobody holds."""
        self._turns = _Turns(max(os.cpu_count() or 2, 2))
        self._memory = ResidentCache(lambda: self.analyser, self._memory_bytes)
        self._vocabulary: dict[tuple[int, str, int], list[tuple[str, int]]] = {}
        self._words = 0  # in it
        self._missing = None
        self._purging = Purging(self._connections, lambda: self.analyser)

    def _analyser_of_file(self) -> Analyser:
        try:
            return Analyser(self._language)
        except InputError as error:
            raise FileDamaged(self._path, f"its language is {self._language!r}, which is none") from error

    @property
    def location(self) -> str:
        return self._path

    @property
    def key(self) -> str | None:
        return self._connections.key

    @property
    def folder(self) -> Path:
        return Path(self._path).absolute().parent

    @property
    def analyser(self) -> Analyser:
        return self._analyser_in(self._connections.for_one_statement())

    def _analysis(self, connection: apsw.Connection) -> int:
        return analysis_of(connection)

    def _loader(self, connection: apsw.Connection, leg: str | None = None) -> SQLiteLoader:
        return SQLiteLoader(connection, leg)

    def _turn(self) -> threading.Lock:
        return self._turns.mine()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities()

    @property
    def learning(self) -> SQLiteLearning:
        return self._learning

    def state(self) -> SearchState:
        with self._connections.reading() as connection:
            return store_state.state(connection, self._learning)

    def snapshot(self, *, stale: bool = False) -> AbstractContextManager[object]:  # noqa: ARG002 - it has no replica
        return self._connections.reading()

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
            removed = document_writes.finish(connection, log, finished or {}) + document_writes.remove_ids(
                connection, log, removing, removals or {}
            )
            return report + AddReport(removed=removed)

    def purge(
        self, ids: Iterable[str], *, verify: bool = True, removals: Mapping[bytes, Removal] | None = None
    ) -> PurgeReport:
        self._connections.access.check_may_write(self._path)
        return self._purging.purge(list(ids), removals or {}, verify=verify)

    def compact(self) -> CompactReport:
        self._connections.access.check_may_write(self._path)
        return self._purging.compact()

    # searching

    def vocabulary(self, beginnings: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        with self._connections.reading() as connection:
            revision = SQLiteLoader(connection).revision()
            return [found for each in beginnings for found in self._words_from(connection, revision, *each)]

    def _words_from(
        self, connection: apsw.Connection, revision: int, beginning: str, limit: int
    ) -> list[tuple[str, int]]:
        # A look-up takes 0.1 ms, and 2 microseconds a word: most of the time of finding the one that was meant.
        key = revision, beginning, limit
        found = self._vocabulary.get(key)
        if found is None:
            if self._words > _MOST_WORDS:
                self._vocabulary.clear()
                self._words = 0
            self._vocabulary[key] = found = keyword_index.vocabulary(connection, beginning, limit)
            self._words += len(found) + 1
        return found

    # reading

    def statistics(self, query: KeywordQuery) -> CorpusStatistics:
        with self._connections.reading() as connection:
            return corpus_scoring.statistics(connection, self._memory, query)

    def holds(self, phrase: tuple[str, ...], restriction: Restriction) -> bool:
        with self._connections.reading() as connection:
            return keyword_index.holds(connection, phrase, *restricted(restriction))

    def stats(self) -> Stats:
        with self._connections.reading() as connection:
            return store_state.stats(connection, self._connections.file.path)

    # keeping

    def check(self, *, repair: bool = False, progress: Callable[[int, int], None] | None = None) -> list[Problem]:
        return integrity_check.check(
            self._connections, self._analysers[ANALYSIS_VERSION], repair=repair, progress=progress
        )

    def reindex(self) -> int:
        with self._connections.atomic() as connection, Log(connection) as log:
            return rebuild(connection, log, self._analysers[ANALYSIS_VERSION])

    def recode(self, codec: str, progress: Callable[[int, int], None] | None = None) -> int:
        with self._connections.atomic() as connection, Log(connection) as log:
            changed = vector_tables.recode(connection, codec, progress)
            if changed:
                log.restart()  # codes are different now
            return changed

    def backup(self, path: str) -> None:
        file_creation.backup(self._connections, path)
