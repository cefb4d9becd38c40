# ruff: noqa: D102 - the protocols say what each method promises
"""The parts of DocumentBackend and SearchBackend that read alike in every database, whatever the SQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.batches import in_order
from hybridstore.backends.change_runs import ChangeRuns
from hybridstore.backends.resident import legs
from hybridstore.backends.resident.loader import Loader
from hybridstore.backends.resident.resident_cache import ResidentCache
from hybridstore.backends.stored_learning import Transactions
from hybridstore.backends.values import Embedding, Passage, Restriction, StoredDocument
from hybridstore.backends.versions import Known, Removal
from hybridstore.filters import Filter
from hybridstore.records import Folder, KeywordQuery, Ranking, Source, Term
from hybridstore.text.analysis import Analyser
from hybridstore.text.analysis_versions import analyser_of

C = TypeVar("C")
C_contra = TypeVar("C_contra", contravariant=True)


class DocumentRows(Protocol[C_contra]):
    """The rows of documents and chunks, through a connection."""

    def known(self, connection: C_contra, ids: Sequence[str], /) -> Mapping[str, Known]: ...

    def versions(self, connection: C_contra, ids: Sequence[str] | None, /) -> dict[str, tuple[bytes, str]]: ...

    def rows_passing(self, connection: C_contra, where: Filter | None, /) -> list[int]: ...

    def passages(self, connection: C_contra, chunks: Sequence[int], /) -> list[Passage]: ...

    def documents_of(self, connection: C_contra, chunks: Sequence[int], /) -> list[str]: ...

    def chunks_of(self, connection: C_contra, ids: Sequence[str], /) -> list[tuple[str, int]]: ...

    def chunk_digests(self, connection: C_contra, document: int, /) -> list[tuple[int, bytes]]: ...

    def get(self, connection: C_contra, document_id: str, /, *, vectors: bool = False) -> StoredDocument: ...

    def ids(self, connection: C_contra, where: Filter | None, /) -> list[str]: ...

    def metadata(self, connection: C_contra, where: Filter | None, /) -> list[Mapping[str, object]]: ...

    def scan(self, connections: Any, where: Filter | None, /, *, vectors: bool) -> Iterator[StoredDocument]: ...

    def sources(self, connection: C_contra, /) -> dict[str, Source]: ...


class RemovalRows(Protocol[C_contra]):
    """What is left of removed documents."""

    def read(self, connection: C_contra, keys: Collection[bytes] | None, /) -> dict[bytes, Removal]: ...


class DocumentWrites(Protocol[C_contra]):
    """Removing documents with all that depends on them."""

    def remove(self, connection: C_contra, log: Any, rows: Sequence[int], /) -> int: ...

    def remove_ids(self, connection: C_contra, log: Any, ids: Sequence[str], /) -> int: ...

    def remove_source(self, connection: C_contra, log: Any, key: str, /) -> int: ...


class VectorRows(Protocol[C_contra]):
    """The rows of embeddings and their vectors."""

    def of_leg(self, connection: C_contra, leg: str | None, /) -> tuple[int, Embedding] | None: ...

    def fetch(
        self, connection: C_contra, number: int, dim: int, chunks: Sequence[int], /
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]: ...


class StateRows(Protocol[C_contra]):
    """What a store holds as a whole."""

    def folders(self, connection: C_contra, /) -> dict[str, Folder]: ...

    def write_folders(self, connection: C_contra, remembered: Iterable[Folder], /) -> None: ...


class Searching(Protocol[C_contra]):
    """Ranking by words: what the database does itself where there are no copies in memory."""

    def match(
        self, connection: C_contra, memory: ResidentCache, query: KeywordQuery, depth: int, restriction: Restriction, /
    ) -> tuple[Ranking, tuple[Term, ...]]: ...

    def impacts(
        self, connection: C_contra, terms: Sequence[Term], chunks: NDArray[np.int64], average: float | None, /
    ) -> NDArray[np.float32]: ...


class StoredDocuments(Generic[C]):
    """A backend has `_connections`, `_memory` and `_language`, and sets the rest."""

    _connections: Transactions[C]
    _memory: ResidentCache
    _language: str
    _analysers: dict[int, Analyser]
    _documents: DocumentRows[C]
    _writes: DocumentWrites[C]
    _removals: RemovalRows[C]
    _vectors: VectorRows[C]
    _facts: StateRows[C]
    _searching: Searching[C]
    _log: Callable[[C], AbstractContextManager[ChangeRuns]]
    _value: Callable[..., Any]

    def _loader(self, connection: C, leg: str | None = None) -> Loader:
        raise NotImplementedError

    def _analysis(self, connection: C) -> int:
        """Return the version of the analyser that made the keywords in this state of the store."""
        raise NotImplementedError

    def _turn(self) -> AbstractContextManager[object]:
        """Return what a thread enters for a leg."""
        return nullcontext()

    @property
    def language(self) -> str:
        return self._language

    def _analyser_in(self, connection: C) -> Analyser:
        """Return the analyser that made the keywords in this state of the store."""
        version = self._analysis(connection)
        if version not in self._analysers:
            self._analysers[version] = analyser_of(self._language, version)
        return self._analysers[version]

    def close(self) -> None:
        self._connections.close()

    # removing

    def remove(self, ids: Iterable[str]) -> int:
        with self._connections.atomic() as connection, self._log(connection) as log:
            return self._writes.remove_ids(connection, log, list(ids))

    def remove_where(self, where: Filter) -> int:
        with self._connections.atomic() as connection, self._log(connection) as log:
            return self._writes.remove(connection, log, self._documents.rows_passing(connection, where))

    def remove_sources(self, keys: Iterable[str]) -> int:
        with self._connections.atomic() as connection, self._log(connection) as log:
            return sum(self._writes.remove_source(connection, log, key) for key in keys)

    # searching

    def match(self, query: KeywordQuery, depth: int, restriction: Restriction) -> tuple[Ranking, tuple[Term, ...]]:
        with self._turn(), self._connections.reading() as connection:
            return self._searching.match(connection, self._memory, query, depth, restriction)

    def nearest(
        self, vector: NDArray[np.float32], depth: int, restriction: Restriction, leg: str | None = None
    ) -> Ranking:
        with self._turn(), self._connections.reading() as connection:
            return legs.nearest(self._loader(connection, leg), self._memory, vector, depth, restriction)

    def evidence(
        self,
        chunks: NDArray[np.int64],
        terms: Sequence[Term],
        vector: NDArray[np.float32] | None,
        average: float | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
        with self._connections.reading() as connection:
            loader = self._loader(connection)
            impacts = legs.impacts(
                loader,
                self._memory,
                terms,
                chunks,
                average,
                lambda some: self._searching.impacts(connection, some, chunks, average),
            )
            return impacts, None if vector is None else legs.cosines(loader, self._memory, vector, chunks)

    def cosines(self, chunks: NDArray[np.int64], vector: NDArray[np.float32], leg: str) -> NDArray[np.float64]:
        with self._connections.reading() as connection:
            return legs.cosines(self._loader(connection, leg), self._memory, vector, chunks)

    def sample(self, leg: str | None = None) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        with self._connections.reading() as connection:
            sample = self._memory.sample(self._loader(connection, leg))
        return sample.chunks, sample.vectors

    def first_vectors(self, step: int, limit: int, shift: int = 0, leg: str | None = None) -> NDArray[np.int64]:
        with self._connections.reading() as connection:
            loader = self._loader(connection, leg)
            return np.empty(0, np.int64) if loader.embedding() is None else loader.first_vectors(step, limit, shift)

    def last_chunk(self) -> int:
        with self._connections.reading() as connection:
            return int(self._value(connection, "SELECT max(chunk) FROM chunks") or 0)

    def passages(self, chunks: Sequence[int]) -> list[Passage]:
        with self._connections.reading() as connection:
            return self._documents.passages(connection, chunks)

    def documents_of(self, chunks: Sequence[int]) -> list[str]:
        with self._connections.reading() as connection:
            return self._documents.documents_of(connection, chunks)

    def chunks_of(self, ids: Sequence[str], restriction: Restriction) -> dict[str, list[int]]:
        with self._connections.reading() as connection:
            found = self._documents.chunks_of(connection, ids)
            return legs.by_document(self._loader(connection), self._memory, found, restriction)

    def vectors(self, chunks: Sequence[int], leg: str | None = None) -> NDArray[np.float32]:
        with self._connections.reading() as connection:
            active = self._vectors.of_leg(connection, leg)
            if active is None:
                return np.zeros((len(chunks), 0), np.float32)
            return in_order(*self._vectors.fetch(connection, active[0], active[1].dim, chunks), chunks)

    # reading

    def digests(self, ids: Sequence[str]) -> dict[str, bytes]:
        with self._connections.reading() as connection:
            return {id_: known.digest for id_, known in self._documents.known(connection, ids).items()}

    def versions(self, ids: Sequence[str] | None = None) -> dict[str, tuple[bytes, str]]:
        with self._connections.reading() as connection:
            return self._documents.versions(connection, ids)

    def removals(self, keys: Collection[bytes] | None = None) -> dict[bytes, Removal]:
        with self._connections.reading() as connection:
            return self._removals.read(connection, keys)

    def chunk_vectors(self, document_id: str, leg: str | None = None) -> dict[bytes, NDArray[np.float32]]:
        with self._connections.reading() as connection:
            found = self._documents.known(connection, [document_id]).get(document_id)
            active = self._vectors.of_leg(connection, leg)
            if found is None or active is None:
                return {}
            digests = dict(self._documents.chunk_digests(connection, found.row))
            chunks, vectors = self._vectors.fetch(connection, active[0], active[1].dim, list(digests))
            return {digests[chunk]: row for chunk, row in zip(chunks.tolist(), vectors, strict=True)}

    def get(self, document_id: str, *, vectors: bool = False) -> StoredDocument:
        with self._connections.reading() as connection:
            return self._documents.get(connection, document_id, vectors=vectors)

    def folders(self) -> list[Folder]:
        with self._connections.reading() as connection:
            return [folder for _, folder in sorted(self._facts.folders(connection).items())]

    def remember_folder(self, folder: Folder) -> None:
        with self._connections.atomic() as connection:
            known = self._facts.folders(connection)
            if known.get(folder.path) != folder:
                self._facts.write_folders(connection, (known | {folder.path: folder}).values())

    def forget_folder(self, path: str) -> bool:
        with self._connections.atomic() as connection:
            known = self._facts.folders(connection)
            if path in known:
                self._facts.write_folders(connection, [each for each in known.values() if each.path != path])
            return path in known

    def scan(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[StoredDocument]:
        return self._documents.scan(self._connections, where, vectors=vectors)

    def ids(self, where: Filter | None = None) -> list[str]:
        with self._connections.reading() as connection:
            return self._documents.ids(connection, where)

    def metadata(self, where: Filter | None = None) -> list[Mapping[str, object]]:
        with self._connections.reading() as connection:
            return self._documents.metadata(connection, where)

    def count(self) -> int:
        with self._connections.reading() as connection:
            return int(self._value(connection, "SELECT count(*) FROM documents"))

    def sources(self) -> dict[str, Source]:
        with self._connections.reading() as connection:
            return self._documents.sources(connection)
