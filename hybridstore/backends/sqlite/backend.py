"""The SQLite backend: what the protocol promises, told table by table in the rooms beside this one."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridstore.analysis import ANALYSIS_VERSION, Analyser
from hybridstore.backends.sqlite import (
    background,
    check,
    documents,
    keyword,
    legs,
    reembedding,
    stored,
    vector,
    writing,
)
from hybridstore.backends.sqlite.connection import Connections, value
from hybridstore.backends.sqlite.learning import SQLiteLearning
from hybridstore.backends.sqlite.migrations import prepare
from hybridstore.backends.sqlite.purging import Purging
from hybridstore.backends.sqlite.resident.memory import Memory
from hybridstore.backends.sqlite.revisions import Log, changes
from hybridstore.backends.sqlite.stats import stats
from hybridstore.backends.sqlite.where import compile_where, restricted
from hybridstore.backends.values import (
    Background,
    Change,
    Embedding,
    Entry,
    Passage,
    Problem,
    Purged,
    Restriction,
    Stats,
    Stored,
)
from hybridstore.errors import FileRefused
from hybridstore.filters import Filter
from hybridstore.records import AddReport, KeywordQuery, Ranking, Source, Term

MEMORY = 1024  # MiB that copies in memory may take, unless the caller says otherwise


class SQLiteBackend:
    """Documents, keywords and vectors in one SQLite file at `path`; ":memory:" is a file that goes with us.

    Raises FileRefused for a file that is not ours or too new, InputError for a language it was not made with.
    """

    def __init__(
        self,
        path: str,
        *,
        language: str | None = None,
        busy_timeout: float = 30.0,
        create: bool = True,
        memory: int = MEMORY,
    ) -> None:
        if language is not None:
            Analyser(language)  # an unknown language is refused before a file is made
        self._folder = tempfile.TemporaryDirectory(prefix="hybridstore-") if path == ":memory:" else None
        self.path = str(Path(self._folder.name) / "memory.db") if self._folder else path
        self._connections = Connections(self.path, busy_timeout)
        try:
            prepare(self._connections, language=language, analysis=ANALYSIS_VERSION, create=create)
            with self._connections.reading() as connection:
                self._language = str(value(connection, "SELECT value FROM meta WHERE key = 'language'"))
            self._analyser = Analyser(self._language)
            check.follow_analysis(self._connections, self._analyser)
        except BaseException:
            self.close()
            raise
        # Threads that take turns at each of a leg's short array operations get a third less done than a few alone.
        self._turns = threading.BoundedSemaphore(max(os.cpu_count() or 2, 2))
        self._memory = Memory(self._analyser, memory * 2**20)
        self.learning = SQLiteLearning(self._connections)
        self._purging = Purging(self._connections, self._analyser)

    @property
    def language(self) -> str:
        return self._language

    def close(self) -> None:
        self._connections.close()
        if self._folder:
            self._folder.cleanup()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with self._connections.reading():
            yield

    # writing

    def put(
        self,
        entries: Sequence[Entry],
        *,
        embedding: Embedding | None = None,
        finished: Mapping[Source, frozenset[str]] | None = None,
        removing: Collection[str] | Mapping[str, bytes] = (),
    ) -> AddReport:
        writing.see_that_none_is_removed(entries, removing)
        if embedding is not None:
            writing.see_that_vectors_fit(entries, embedding)
        with self._connections.atomic() as connection, Log(connection) as log:
            number = None if embedding is None else vector.require(connection, embedding)
            writing.see_that_they_are_stored(connection, removing)
            report = writing.put(connection, log, self._analyser, entries, number)
            removed = writing.finish(connection, log, finished or {}) + writing.remove_ids(connection, log, removing)
            return report + AddReport(removed=removed)

    def remove(self, ids: Iterable[str]) -> int:
        with self._connections.atomic() as connection, Log(connection) as log:
            return writing.remove_ids(connection, log, list(ids))

    def remove_where(self, where: Filter) -> int:
        condition, bindings = compile_where(where)
        with self._connections.atomic() as connection, Log(connection) as log:
            return writing.remove(connection, log, documents.document_rows(connection, condition, bindings))

    def purge(self, ids: Iterable[str], *, verify: bool = True) -> Purged:
        return self._purging.purge(list(ids), verify=verify)

    def remove_sources(self, keys: Iterable[str]) -> int:
        with self._connections.atomic() as connection, Log(connection) as log:
            return sum(writing.remove_source(connection, log, key) for key in keys)

    # searching

    def match(self, query: KeywordQuery, depth: int, restriction: Restriction) -> tuple[Ranking, tuple[Term, ...]]:
        with self._turns, self._connections.reading() as connection:
            return legs.match(connection, self._memory, query, depth, restriction)

    def nearest(self, vector: NDArray[np.float32], depth: int, restriction: Restriction) -> Ranking:
        with self._turns, self._connections.reading() as connection:
            return legs.nearest(connection, self._memory, vector, depth, restriction)

    def impacts(self, terms: Sequence[Term], chunks: NDArray[np.int64]) -> NDArray[np.float32]:
        with self._connections.reading() as connection:
            return legs.impacts(connection, self._memory, terms, chunks)

    def cosines(self, vector: NDArray[np.float32], chunks: NDArray[np.int64]) -> NDArray[np.float64]:
        with self._connections.reading() as connection:
            return legs.cosines(connection, self._memory, vector, chunks)

    def sample(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        with self._connections.reading() as connection:
            sample = self._memory.sample(connection)
        return sample.chunks, sample.vectors

    def indexed(self) -> int:
        with self._connections.reading() as connection:
            return keyword.indexed(connection)

    def holds(self, phrase: tuple[str, ...], restriction: Restriction) -> bool:
        with self._connections.reading() as connection:
            return keyword.holds(connection, phrase, *restricted(restriction))

    def passages(self, chunks: Sequence[int]) -> list[Passage]:
        with self._connections.reading() as connection:
            return documents.passages(connection, chunks)

    def chunks_of(self, document_id: str, restriction: Restriction) -> list[int]:
        with self._connections.reading() as connection:
            return documents.chunks_of(connection, document_id, *restricted(restriction))

    def documents_of(self, chunks: Sequence[int]) -> list[str]:
        with self._connections.reading() as connection:
            return documents.documents_of(connection, chunks)

    def chunks_among(self, ids: Sequence[str], restriction: Restriction) -> dict[str, list[int]]:
        with self._connections.reading() as connection:
            return legs.chunks_among(connection, self._memory, ids, restriction)

    # reading

    def digests(self, ids: Sequence[str]) -> dict[str, bytes]:
        with self._connections.reading() as connection:
            return {id_: digest for id_, (_, digest, _) in documents.known(connection, ids).items()}

    def vectors_of(self, document_id: str) -> dict[bytes, NDArray[np.float32]]:
        with self._connections.reading() as connection:
            return stored.vectors_of(connection, document_id)

    def vectors(self, chunks: Sequence[int]) -> NDArray[np.float32]:
        with self._connections.reading() as connection:
            return stored.vectors(connection, chunks)

    def get(self, document_id: str) -> Stored:
        with self._connections.reading() as connection:
            return stored.get(connection, document_id)

    def scan(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[Stored]:
        return stored.scan(self._connections, where, vectors=vectors)

    def ids(self, where: Filter | None = None) -> list[str]:
        condition, bindings = ("true", []) if where is None else compile_where(where)
        with self._connections.reading() as connection:
            return documents.ids(connection, condition, bindings)

    def count(self) -> int:
        with self._connections.reading() as connection:
            return int(value(connection, "SELECT count(*) FROM documents"))

    def stats(self) -> Stats:
        with self._connections.reading() as connection:
            return stats(connection, self.path)

    def sources(self) -> dict[str, Source]:
        with self._connections.reading() as connection:
            return documents.sources(connection)

    # following changes

    def revision(self) -> int:
        with self._connections.reading() as connection:
            return int(value(connection, "SELECT value FROM meta WHERE key = 'revision'"))

    def changes(self, since: int) -> list[Change] | None:
        with self._connections.reading() as connection:
            return changes(connection, since)

    # embeddings

    def embedding(self) -> Embedding | None:
        return self._in_state("active")

    def building(self) -> Embedding | None:
        return self._in_state("building")

    def background(self) -> Background | None:
        with self._connections.reading() as connection:
            return background.read(connection)

    def remember(self, measured: Background) -> None:
        with self._connections.atomic() as connection:
            background.write(connection, measured)

    def begin(self, embedding: Embedding) -> None:
        with self._connections.atomic() as connection:
            reembedding.begin(connection, embedding)

    def pending(self, limit: int) -> list[Passage]:
        with self._connections.reading() as connection:
            return reembedding.pending(connection, limit)

    def pending_count(self) -> int:
        with self._connections.reading() as connection:
            return reembedding.pending_count(connection)

    def fill(self, embedding: Embedding, chunks: Sequence[int], vectors: NDArray[np.float32]) -> None:
        with self._connections.atomic() as connection, Log(connection) as log:
            reembedding.fill(connection, log, embedding, chunks, vectors)

    def switch(self, *, keep: bool = False, promote: int | None = None) -> bool:
        with self._connections.atomic() as connection, Log(connection) as log:
            return reembedding.switch(connection, log, keep=keep, promote=promote)

    def kept(self) -> Embedding | None:
        return self._in_state("kept")

    def _in_state(self, state: str) -> Embedding | None:
        with self._connections.reading() as connection:
            found = vector.by_state(connection, state)
        return found[1] if found else None

    def restore(self) -> bool:
        with self._connections.atomic() as connection:
            return reembedding.restore(connection)

    def forget_kept(self) -> bool:
        with self._connections.atomic() as connection:
            return reembedding.forget_kept(connection)

    # keeping

    def check(self, *, repair: bool = False) -> list[Problem]:
        return check.check(self._connections, self._analyser, repair=repair)

    def backup(self, path: str) -> None:
        if Path(path).exists():
            raise FileRefused(path, "is already there; choose another name, or remove it first")
        with self._connections.translated():
            self._connections.get().execute("VACUUM INTO ?", (path,))
