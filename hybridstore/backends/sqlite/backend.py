"""The SQLite backend: what the protocol promises, told table by table in the rooms beside this one."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.analysis import ANALYSIS_VERSION, Analyser
from hybridstore.backends.base import Change, Embedding, Entry, Passage, Problem, Restriction, Stats, Stored
from hybridstore.backends.sqlite import check, documents, keyword, reembedding, vector, writing
from hybridstore.backends.sqlite.connection import Connections, rows, value
from hybridstore.backends.sqlite.migrations import prepare
from hybridstore.backends.sqlite.resident.memory import Memory
from hybridstore.backends.sqlite.resident.scoring import score
from hybridstore.backends.sqlite.revisions import Log, changes
from hybridstore.backends.sqlite.where import compile_where, restricted
from hybridstore.errors import FileRefused, InputError, NotFound
from hybridstore.filters import Filter
from hybridstore.records import AddReport, KeywordQuery, Ranking, Source, Term

MEMORY = 1024  # MiB that copies in memory may take, unless the caller says otherwise
_SCANNED_AT_ONCE = 200  # documents a scan holds in memory


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
    ) -> AddReport:
        if embedding is not None:
            writing.see_that_vectors_fit(entries, embedding)
        with self._connections.atomic() as connection, Log(connection) as log:
            number = None if embedding is None else vector.require(connection, embedding)
            report = writing.put(connection, log, self._analyser, entries, number)
            return report + AddReport(removed=writing.finish(connection, log, finished or {}))

    def remove(self, ids: Iterable[str]) -> int:
        with self._connections.atomic() as connection, Log(connection) as log:
            gone = [row for row, _, _ in documents.known(connection, list(ids)).values()]
            return writing.remove(connection, log, gone)

    def remove_sources(self, keys: Iterable[str]) -> int:
        with self._connections.atomic() as connection, Log(connection) as log:
            return sum(writing.remove_source(connection, log, key) for key in keys)

    # searching

    def match(self, query: KeywordQuery, depth: int, restriction: Restriction) -> tuple[Ranking, tuple[Term, ...]]:
        condition, bindings = restricted(restriction)
        with self._turns, self._connections.reading() as connection:
            plain = not query.phrases and not any(term.endswith("*") for term in query.terms)
            if plain and (postings := self._memory.postings(connection)) is not None:
                allowed = self._memory.allowed(connection, restriction, condition, bindings)
                ranking, terms = score(connection, postings, query.terms, depth, allowed)
                if not keyword.missed(ranking, terms, depth, restriction.matching, allowed):
                    return ranking, terms
            ranking = keyword.match(connection, query, depth, condition, bindings)
            terms = keyword.terms(connection, query.terms)
            alone = set(query.terms)
            bound = [token for phrase in query.phrases for token in phrase if token not in alone]
            return ranking, (*terms, *(replace(term, used=False) for term in keyword.terms(connection, bound)))

    def nearest(self, vector_: NDArray[np.float32], depth: int, restriction: Restriction) -> Ranking:
        condition, bindings = restricted(restriction)
        with self._turns, self._connections.reading() as connection:
            active = vector.by_state(connection, "active")
            if active is None or depth < 1 or not vector_.any():
                return Ranking(np.empty(0, np.int64), np.empty(0, np.float64))
            number, embedding = active
            if vector_.shape != (embedding.dim,):
                raise InputError(
                    f"the query vector has shape {vector_.shape}; the file's vectors have {embedding.dim} dimensions"
                )
            codes = self._memory.codes(connection)
            allowed = self._memory.allowed(connection, restriction, condition, bindings) if codes else None
            looked_up = vector.candidates(depth)
            while True:
                count = max(looked_up, depth)
                if codes is not None:
                    found, in_order = codes.nearest(vector_, count, allowed)
                else:
                    found, in_order = vector.scan(connection, number, vector_, count, condition, bindings), True
                exactly = looked_up if in_order else len(found)
                ranking, proved = vector.rescored(connection, number, vector_, found, depth, exactly)
                if proved or len(found) <= exactly:
                    return ranking
                looked_up *= 4

    def holds(self, phrase: tuple[str, ...], restriction: Restriction) -> bool:
        with self._connections.reading() as connection:
            return keyword.holds(connection, phrase, *restricted(restriction))

    def passages(self, chunks: Sequence[int]) -> list[Passage]:
        with self._connections.reading() as connection:
            return documents.passages(connection, chunks)

    def chunks_of(self, document_id: str, restriction: Restriction) -> list[int]:
        condition, bindings = restricted(restriction)
        sql = f"""SELECT chunk FROM chunks JOIN documents USING (document) WHERE id = ?
                  {f"AND chunk IN ({condition})" if condition else ""} ORDER BY position"""
        with self._connections.reading() as connection:
            return [chunk for (chunk,) in connection.execute(sql, (document_id, *bindings))]

    # reading

    def digests(self, ids: Sequence[str]) -> dict[str, bytes]:
        with self._connections.reading() as connection:
            return {id_: digest for id_, (_, digest, _) in documents.known(connection, ids).items()}

    def vectors_of(self, document_id: str) -> dict[bytes, NDArray[np.float32]]:
        with self._connections.reading() as connection:
            found = documents.known(connection, [document_id]).get(document_id)
            active = vector.by_state(connection, "active")
            if found is None or active is None:
                return {}
            digests = dict(rows(connection, "SELECT chunk, digest FROM chunks WHERE document = ?", (found[0],)))
            chunks, vectors = vector.fetch(connection, active[0], active[1].dim, list(digests))
            return {digests[int(chunk)]: row for chunk, row in zip(chunks, vectors, strict=True)}

    def vectors(self, chunks: Sequence[int]) -> NDArray[np.float32]:
        with self._connections.reading() as connection:
            if (active := vector.by_state(connection, "active")) is None:
                return np.zeros((len(chunks), 0), np.float32)
            return vector.in_order(connection, active[0], active[1].dim, chunks)

    def get(self, document_id: str) -> Stored:
        with self._connections.reading() as connection:
            found = documents.known(connection, [document_id]).get(document_id)
            if found is None:
                raise NotFound(document_id)
            return self._stored(connection, found[0], vectors=False)

    def _stored(self, connection: apsw.Connection, row: int, *, vectors: bool) -> Stored:
        stored = documents.read(connection, row)
        active = vector.by_state(connection, "active") if vectors else None
        if active is None:
            return Stored(*stored)
        ids = documents.chunk_ids(connection, row)
        chunks, found = vector.fetch(connection, active[0], active[1].dim, ids)
        complete = len(chunks) == len(ids)
        return Stored(*stored, vectors=found[np.searchsorted(chunks, ids)] if complete else None)

    def scan(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[Stored]:
        condition, bindings = ("true", []) if where is None else compile_where(where)
        last = 0
        while True:
            with self._connections.reading() as connection:
                paged = f"document > ? AND ({condition})"
                found = documents.document_rows(connection, paged, (last, *bindings), _SCANNED_AT_ONCE)
                page = [self._stored(connection, row, vectors=vectors) for row in found]
            yield from page
            if len(found) < _SCANNED_AT_ONCE:
                return
            last = found[-1]

    def count(self) -> int:
        with self._connections.reading() as connection:
            return int(value(connection, "SELECT count(*) FROM documents"))

    def stats(self) -> Stats:
        with self._connections.reading() as connection:
            active = vector.by_state(connection, "active")
            building = vector.by_state(connection, "building")
            facts = documents.meta(connection)
            return Stats(
                documents=value(connection, "SELECT count(*) FROM documents"),
                chunks=value(connection, "SELECT count(*) FROM chunks"),
                vectors=value(connection, f"SELECT count(*) FROM vectors_{active[0]}") if active else 0,
                sources=value(connection, "SELECT count(*) FROM sources"),
                revision=int(str(facts["revision"])),
                bytes=sum(path.stat().st_size for path in map(Path, (self.path, f"{self.path}-wal")) if path.exists()),
                language=self._language,
                embedding=active[1] if active else None,
                building=building[1] if building else None,
                created=str(facts["created"]),
            )

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
        with self._connections.reading() as connection:
            active = vector.by_state(connection, "active")
        return active[1] if active else None

    def building(self) -> Embedding | None:
        with self._connections.reading() as connection:
            building = vector.by_state(connection, "building")
        return building[1] if building else None

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

    def switch(self) -> bool:
        with self._connections.atomic() as connection, Log(connection) as log:
            return reembedding.switch(connection, log)

    # keeping

    def check(self, *, repair: bool = False) -> list[Problem]:
        if not repair:
            with self._connections.reading() as connection:
                return check.check(connection, self._analyser, repair=False)
        with self._connections.atomic() as connection, Log(connection) as log:
            problems = check.check(connection, self._analyser, repair=True)
            if problems:
                log.restart()
        return problems

    def backup(self, path: str) -> None:
        if Path(path).exists():
            raise FileRefused(path, "is already there; choose another name, or remove it first")
        with self._connections.translated():
            self._connections.get().execute("VACUUM INTO ?", (path,))
