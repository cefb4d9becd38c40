# ruff: noqa: D102 - the protocols document each method
"""The reference backend: the protocols in dicts and lists, short and obvious rather than fast."""

from __future__ import annotations

import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice, takewhile
from operator import methodcaller
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.in_memory import searching
from hybridstore.backends.in_memory.contents import Contents, DocumentRecord, leg_state
from hybridstore.backends.in_memory.handle import Handle, SharedContents
from hybridstore.backends.in_memory.memory_learning import MemoryLearning
from hybridstore.backends.in_memory.upkeep import check, quoted
from hybridstore.backends.protocols import Backend, SearchState
from hybridstore.backends.values import (
    Calibration,
    Capabilities,
    CompactReport,
    Embedding,
    Embeddings,
    Entry,
    Passage,
    Problem,
    PurgeReport,
    Restriction,
    Stats,
    StoredDocument,
    check_not_removed,
    check_replaces,
    check_vectors_fit,
)
from hybridstore.backends.versions import Removal
from hybridstore.errors import InputError, NotFound, Unsupported
from hybridstore.filters import Filter
from hybridstore.records import AddReport, CorpusStatistics, Folder, KeywordQuery, Ranking, Source, Term
from hybridstore.text.analysis import Analyser


class MemoryBackend(Backend):
    """A store that lives in memory and goes with its process. `shared` makes another handle on the store of one."""

    def __init__(self, *, language: str | None = None, shared: SharedContents | None = None) -> None:
        self.shared = shared or SharedContents(language or "english")
        self._analyser = Analyser(self.language)
        self._handle = Handle(self.shared)
        self._learning = MemoryLearning(self._handle)
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def location(self) -> str:
        return ":memory:"

    @property
    def folder(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="hybridstore-")
        return Path(self._folder.name)

    @property
    def language(self) -> str:
        return self.shared.language

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            compacting="a store in memory has no file to compact; backup() writes a compact one",
            codecs="a store in memory keeps vectors as float32; backup() writes a file, which can be recoded",
        )

    @property
    def learning(self) -> MemoryLearning:
        return self._learning

    def close(self) -> None:
        self._handle.close()
        if self._folder is not None:
            self._folder.cleanup()

    # documents

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
        with self._handle.lock, self._handle.writing() as draft:
            if embedding is not None:
                draft.require(embedding)
            if isinstance(removing, Mapping):
                for id_, digest in removing.items():
                    check_replaces(id_, digest, draft.digest(id_))
            report = AddReport()
            for entry in entries:
                report += draft.put(entry, self._analyser, embedded=embedding is not None)
            removed = 0
            for source, ids in (finished or {}).items():
                removed += draft.remove(draft.of_source(source.key) - ids)
                draft.sources[source.key] = source
            removed += draft.remove(removing, removals)
            draft.join(removals or {})
            return report + AddReport(removed=removed)

    def remove(self, ids: Iterable[str]) -> int:
        with self._handle.lock, self._handle.writing() as draft:
            return draft.remove(ids)

    def remove_where(self, where: Filter) -> int:
        with self._handle.lock, self._handle.writing() as draft:
            return draft.remove([id_ for id_, _ in draft.passing(where)])

    def remove_sources(self, keys: Iterable[str]) -> int:
        with self._handle.lock, self._handle.writing() as draft:
            removed = 0
            for key in keys:
                removed += draft.remove(draft.of_source(key))
                draft.sources.pop(key, None)
            return removed

    def get(self, document_id: str, *, vectors: bool = False) -> StoredDocument:
        contents = self._handle.contents()
        if document_id not in contents.documents:
            raise NotFound(document_id)
        return _stored(contents, contents.documents[document_id], vectors=vectors)

    def folders(self) -> list[Folder]:
        return [folder for _, folder in sorted(self._handle.contents().folders.items())]

    def remember_folder(self, folder: Folder) -> None:
        with self._handle.lock, self._handle.writing() as draft:
            draft.folders[folder.path] = folder

    def forget_folder(self, path: str) -> bool:
        with self._handle.lock, self._handle.writing() as draft:
            return draft.folders.pop(path, None) is not None

    def scan(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[StoredDocument]:
        contents = self._handle.contents()
        for _, record in contents.passing(where):
            yield _stored(contents, record, vectors=vectors)

    def ids(self, where: Filter | None = None) -> list[str]:
        return [id_ for id_, _ in self._handle.contents().passing(where)]

    def metadata(self, where: Filter | None = None) -> list[Mapping[str, object]]:
        return [record.document.metadata for _, record in self._handle.contents().passing(where)]

    def count(self) -> int:
        return len(self._handle.contents().documents)

    def digests(self, ids: Sequence[str]) -> dict[str, bytes]:
        documents = self._handle.contents().documents
        return {id_: documents[id_].digest for id_ in ids if id_ in documents}

    def versions(self, ids: Sequence[str] | None = None) -> dict[str, tuple[bytes, str]]:
        documents = self._handle.contents().documents
        wanted = documents if ids is None else [id_ for id_ in ids if id_ in documents]
        return {id_: (documents[id_].digest, documents[id_].version) for id_ in wanted}

    def removals(self, keys: Collection[bytes] | None = None) -> dict[bytes, Removal]:
        removals = self._handle.contents().removals
        return removals.copy() if keys is None else {key: removals[key] for key in keys if key in removals}

    def chunk_vectors(self, document_id: str, leg: str | None = None) -> dict[bytes, NDArray[np.float32]]:
        contents = self._handle.contents()
        record, active = contents.documents.get(document_id), contents.of_leg(leg)
        if record is None or active is None:
            return {}
        known = [chunk for chunk in record.chunks if chunk in active.vectors]
        return {contents.chunks[chunk].digest: active.vectors[chunk].copy() for chunk in known}

    def sources(self) -> dict[str, Source]:
        return dict(sorted(self._handle.contents().sources.items()))

    # searching

    def snapshot(self, *, stale: bool = False) -> AbstractContextManager[object]:  # noqa: ARG002 - there is one state
        return self._handle.snapshot()

    def state(self) -> SearchState:
        contents = self._handle.contents()
        return SearchState(
            chunks=len(contents.chunks),
            embedding=contents.embeddings().active,
            calibration=contents.measured(),
            model=contents.model(),
            revision=contents.revision,
            legs=tuple(leg for leg in contents.legs() if leg.calibration),
        )

    def match(self, query: KeywordQuery, depth: int, restriction: Restriction) -> tuple[Ranking, tuple[Term, ...]]:
        return searching.match(self._handle.contents(), query, depth, restriction)

    def nearest(
        self, vector: NDArray[np.float32], depth: int, restriction: Restriction, leg: str | None = None
    ) -> Ranking:
        return searching.nearest(self._handle.contents(), vector, depth, restriction, leg)

    def statistics(self, query: KeywordQuery) -> CorpusStatistics:
        return searching.statistics(self._handle.contents(), query)

    def evidence(
        self,
        chunks: NDArray[np.int64],
        terms: Sequence[Term],
        vector: NDArray[np.float32] | None,
        average: float | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
        return searching.evidence(self._handle.contents(), chunks, terms, vector, average)

    def cosines(self, chunks: NDArray[np.int64], vector: NDArray[np.float32], leg: str) -> NDArray[np.float64]:
        return searching.cosines(self._handle.contents().of_leg(leg), chunks.tolist(), vector)

    def sample(self, leg: str | None = None) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        active = self._handle.contents().of_leg(leg)
        chunks = searching.sample(sorted(active.vectors) if active else [])
        return chunks, active.rows(chunks.tolist()) if active else np.zeros((0, 0), np.float32)

    def first_vectors(self, step: int, limit: int, shift: int = 0, leg: str | None = None) -> NDArray[np.int64]:
        active = self._handle.contents().of_leg(leg)
        return searching.first_of_steps(sorted(active.vectors) if active else (), step, limit, shift)

    def last_chunk(self) -> int:
        return max(self._handle.contents().chunks, default=0)

    def vocabulary(self, beginnings: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Return tokens that begin so, and in how many chunks each is."""
        contents, found = self._handle.contents(), list[tuple[str, int]]()
        for beginning, limit in beginnings:
            start = bisect_left(contents.vocabulary, beginning)
            tokens = takewhile(methodcaller("startswith", beginning), contents.vocabulary[start : start + limit])
            found += [(token, len(contents.postings[token])) for token in tokens]
        return found

    def holds(self, phrase: tuple[str, ...], restriction: Restriction) -> bool:
        contents = self._handle.contents()
        found, allowed = searching.frequencies(contents, phrase), searching.passing(contents, restriction)
        return bool(found if allowed is None else found.keys() & allowed)

    def passages(self, chunks: Sequence[int]) -> list[Passage]:
        return self._handle.contents().passages(chunks)

    def vectors(self, chunks: Sequence[int], leg: str | None = None) -> NDArray[np.float32]:
        active = self._handle.contents().of_leg(leg)
        return active.rows(chunks) if active else np.zeros((len(chunks), 0), np.float32)

    def chunks_of(self, ids: Sequence[str], restriction: Restriction) -> dict[str, list[int]]:
        contents = self._handle.contents()
        allowed = searching.passing(contents, restriction)
        chunks = {id_: contents.documents[id_].chunks for id_ in ids if id_ in contents.documents}
        within = {id_: [chunk for chunk in own if allowed is None or chunk in allowed] for id_, own in chunks.items()}
        return {id_: own for id_, own in within.items() if own}

    def documents_of(self, chunks: Sequence[int]) -> list[str]:
        known = self._handle.contents().chunks
        return [known[chunk].document_id for chunk in chunks if chunk in known]

    # embeddings

    def embeddings(self) -> Embeddings:
        return self._handle.contents().embeddings()

    def calibrate(self, calibration: Calibration) -> None:
        with self._handle.lock, self._handle.writing() as draft:
            if (state := leg_state(calibration.fingerprint)) in draft.generations:
                draft.calibrations[state] = calibration
            else:
                draft.calibration = calibration

    def begin(self, embedding: Embedding) -> None:
        with self._handle.lock, self._handle.writing() as draft:
            draft.begin(embedding)

    def add_leg(self, embedding: Embedding) -> None:
        with self._handle.lock, self._handle.writing() as draft:
            draft.add_leg(embedding)

    def drop_leg(self, fingerprint: str) -> bool:
        with self._handle.lock, self._handle.writing() as draft:
            return draft.drop_leg(fingerprint)

    def pending(self, limit: int, leg: str | None = None) -> list[Passage]:
        contents = self._handle.contents()
        return contents.passages(islice(contents.pending(leg), limit))

    def pending_count(self, leg: str | None = None) -> int:
        return sum(1 for _ in self._handle.contents().pending(leg))

    def missing(self) -> NDArray[np.int64]:
        return self._handle.contents().missing()

    def fill(self, embedding: Embedding, chunks: Sequence[int], vectors: NDArray[np.float32]) -> int:
        with self._handle.lock, self._handle.writing() as draft:
            return draft.fill(embedding, chunks, vectors)

    def switch(self, *, keep: bool = False, promote: int | None = None) -> bool:
        with self._handle.lock, self._handle.writing() as draft:
            return draft.switch(keep=keep, promote=promote)

    # upkeep

    def stats(self) -> Stats:
        contents = self._handle.contents()
        embeddings, model = contents.embeddings(), contents.model()
        generations = contents.generations.values()
        return Stats(
            documents=len(contents.documents),
            chunks=len(contents.chunks),
            vectors=len(contents.active.vectors) if contents.active else 0,
            sources=len(contents.sources),
            revision=contents.revision,
            bytes=sum(len(record.document.text.encode()) for record in contents.documents.values())
            + sum(4 * generation.embedding.dim * len(generation.vectors) for generation in generations),
            language=self.language,
            embedding=embeddings.active,
            building=embeddings.building,
            created=self.shared.created,
            background=contents.measured(),
            kept=embeddings.kept,
            model=model.number if model else None,
            triples=len(contents.triples),
            analysis=self._analyser.version,
            legs=contents.legs(),
        )

    def check(
        self,
        *,
        repair: bool = False,  # noqa: ARG002 - nothing here can be damaged
        progress: Callable[[int, int], None] | None = None,  # noqa: ARG002
    ) -> list[Problem]:
        return check(self._handle.contents(), self._analyser)

    @property
    def analyser(self) -> Analyser:
        return self._analyser

    def reindex(self) -> int:
        return len(self._handle.contents().chunks)  # what is in memory was made by this version

    def recode(self, codec: str, progress: Callable[[int, int], None] | None = None) -> int:  # noqa: ARG002
        raise Unsupported(self.location, str(self.capabilities.codecs))

    def backup(self, path: str) -> None:
        from hybridstore.backends.in_memory.file_copy import write_file

        write_file(self._handle.contents(), self.language, self.shared.created, path)

    def compact(self) -> CompactReport:
        raise Unsupported(self.location, str(self.capabilities.compacting))

    def purge(
        self, ids: Iterable[str], *, verify: bool = True, removals: Mapping[bytes, Removal] | None = None
    ) -> PurgeReport:
        began, named = time.perf_counter(), list(dict.fromkeys(ids))
        if "" in named:
            raise InputError("an id must not be empty; name the documents to purge")
        if self._handle.snapshot_taken:
            raise InputError("a snapshot still reads what is to be purged; leave it first")
        with self._handle.lock, self._handle.writing() as draft:
            before = draft.draft()
            documents = draft.remove(named)
            draft.purged(named, before)
            draft.removals |= removals or {}
            draft.expectations = {key: each for key, each in draft.expectations.items() if key[1] not in named}
            queries = quoted(before, draft, named, self._analyser)
            draft.forget_queries(queries)
        remedies = []
        if self.shared.snapshots_taken:
            remedies.append("a snapshot still reads the store as it was: wait until it ends")
        if self._folder is not None and any(Path(self._folder.name).glob(".*/*")):
            remedies.append("a copy that was made for tuning may hold it too: wait for the tuning")
        return PurgeReport(
            documents=documents,
            chunks=len(before.chunks) - len(draft.chunks),
            questions=len(queries),
            missing=tuple(id_ for id_ in named if id_ not in before.documents),
            clean=not remedies if verify else None,
            wal_clean=True,
            remedy="; ".join(remedies),
            seconds=time.perf_counter() - began,
        )


def _stored(contents: Contents, record: DocumentRecord, *, vectors: bool) -> StoredDocument:
    spans = tuple(contents.chunks[chunk].span for chunk in record.chunks)
    own = None
    if vectors and contents.active and all(chunk in contents.active.vectors for chunk in record.chunks):
        own = contents.active.rows(record.chunks)
    return StoredDocument(record.copy(), spans, record.source, record.changed, own)
