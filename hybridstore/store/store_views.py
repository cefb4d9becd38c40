"""What a store offers to the code that works with it: stored documents, chunks, vectors, what it has learned.

`Store` inherits StoreParts; applications need little of it, the memory, tuning, integrations and serving all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from hybridstore import filters
from hybridstore.backends.learning import LearningBackend
from hybridstore.backends.protocols import Backend, SearchState
from hybridstore.backends.values import (
    Calibration,
    Capabilities,
    Embedding,
    Passage,
    Restriction,
    StoredDocument,
)
from hybridstore.backends.versions import MERGED
from hybridstore.records import Folder
from hybridstore.store.inputs import Where
from hybridstore.tables import DOCUMENT_COLUMNS, Column, reader
from hybridstore.text.analysis import Analyser

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


class ChunkView:
    """The chunks of a store, read by their ids: integers that are never reused (`Hit.chunk_id`)."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def count(self) -> int:
        """Return the number of chunks."""
        return self._backend.state().chunks

    def passages(self, chunks: Sequence[int]) -> list[Passage]:
        """Return chunks with their text, in the order of the ids; removed ones are left out."""
        return self._backend.passages(chunks)

    def vectors(self, chunks: Sequence[int]) -> NDArray[np.float32]:
        """Return the exact vectors of chunks, (n, dim), in the order of the ids; zeros for a chunk without one."""
        return self._backend.vectors(chunks)

    def documents(self, chunks: Sequence[int]) -> list[str]:
        """Return the id of each chunk's document, in the order of the chunks; removed ones are left out."""
        return self._backend.documents_of(chunks)

    def of(self, document_ids: Sequence[str], where: Where = None) -> dict[str, list[int]]:
        """Return the chunks of documents, each document's in order; documents without any are left out.

        `where` restricts the documents as in a search.
        """
        return self._backend.chunks_of(document_ids, Restriction(where=filters.parse(where)))

    def sample(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return ids (n,) and vectors (n, dim) of some hundred chunks, spread evenly over the store.

        They depend on what is stored alone; empty without vectors.
        """
        return self._backend.sample()


class EmbeddingView:
    """The generations of vectors in a store: those searched, those being built for another embedder, those kept.

    `Store.reembed` uses them from beginning to end; a caller that has the new vectors already, such as those of a copy
    of the store, builds them with `begin`, `pending` and `fill`, and leaves the switch to `reembed`.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def active(self) -> Embedding | None:
        """The embedding whose vectors are searched; None while there are none."""
        return self._backend.embeddings().active

    @property
    def building(self) -> Embedding | None:
        """The embedding that an unfinished re-embedding is for."""
        return self._backend.embeddings().building

    @property
    def added(self) -> tuple[Embedding, ...]:
        """The embeddings of the vector legs beside the store's own."""
        return self._backend.embeddings().added

    @property
    def kept(self) -> Embedding | None:
        """The earlier embedding whose vectors were kept, so that `Store.reembed` can go back to it at once."""
        return self._backend.embeddings().kept

    def begin(self, embedding: Embedding) -> None:
        """Start, or continue, building vectors of another embedding; what was built for a third one is dropped."""
        self._backend.begin(embedding)

    def pending(self, limit: int) -> list[Passage]:
        """Return chunks that have no vector yet of the embedding being built, or of the active one, by ascending id."""
        return self._backend.pending(limit)

    def pending_count(self, leg: str | None = None) -> int:
        """Return the number of chunks that have no vector yet; in an added leg, if its fingerprint is given."""
        return self._backend.pending_count(leg)

    def missing_count(self) -> int:
        """Return the number of chunks that only keywords find: without a vector in a store that has some.

        While a re-embedding is unfinished it is 0, as it makes all of them.
        """
        return 0 if self._backend.embeddings().building is not None else len(self._backend.missing())

    def fill(self, embedding: Embedding, chunks: Sequence[int], vectors: NDArray[np.float32]) -> int:
        """Store vectors of chunks; return how many. Chunks that are gone, or have one by now, are skipped."""
        return self._backend.fill(embedding, chunks, vectors)

    def switch(self, *, keep: bool = False, promote: int | None = None) -> bool:
        """Make the vectors that were built those that are searched, in one step; False while any are pending.

        With `keep` those before stay in the store; model version `promote` becomes active in the same step.
        """
        return self._backend.switch(keep=keep, promote=promote)

    def calibrate(self, calibration: Calibration) -> None:
        """Record a calibration of the active vectors that was measured elsewhere, such as before an export."""
        self._backend.calibrate(calibration)


class StoreParts:
    """The parts of a store, beside its searches and writes.

    `chunks` are read by their ids, `embeddings` are the vectors that are searched, built and kept, `learning` is what
    the store has learned and learns from: model versions, triples, the query log, feedback. `language` is that of the
    keyword index. `location` is for people and messages: a file's path. `capabilities` say what this kind of store
    cannot do, and why. `key` is what its file is encrypted with.
    """

    chunks: ChunkView
    embeddings: EmbeddingView
    learning: LearningBackend
    language: str
    location: str
    capabilities: Capabilities
    key: str | None

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.chunks, self.embeddings, self.learning = ChunkView(backend), EmbeddingView(backend), backend.learning
        self.language, self.location = backend.language, backend.location
        self.capabilities, self.key = backend.capabilities, backend.key

    @property
    def folder(self) -> Path | None:
        """Where files made for this store may be put; None where there is no such place."""
        return self._backend.folder

    @property
    def analyser(self) -> Analyser:
        """The analysis of words that the store's keywords were made with, which `reindex` brings up to date."""
        return self._backend.analyser

    @property
    def merged(self) -> bool:
        """Whether the store was ever merged with another one."""
        return self._backend.capabilities.merging is None and bool(self._backend.removals(MERGED))

    def snapshot(self) -> AbstractContextManager[object]:
        """Make all reads of this thread in the block see one state of the store, whatever others write meanwhile."""
        return self._backend.snapshot()

    def state(self) -> SearchState:
        """Return what every search reads first: the number of chunks, embedding, calibration, model and revision."""
        return self._backend.state()

    def ids(self, where: Where = None) -> list[str]:
        """Return the ids of all documents that pass the filter, in the order they were first added."""
        return self._backend.ids(filters.parse(where))

    def metadata(self, where: Where = None) -> list[Mapping[str, object]]:
        """Return the metadata of all documents that pass the filter, in the order they were first added."""
        return self._backend.metadata(filters.parse(where))

    def digests(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Return the content digests of those of the documents that are stored; see `Store.update`."""
        return self._backend.digests(ids)

    def stored(self, document_id: str, *, vectors: bool = False) -> StoredDocument:
        """Return a document with its chunks and the file it was read from; raises NotFound."""
        return self._backend.get(document_id, vectors=vectors)

    def folders(self) -> list[Folder]:
        """Return the folders that were read into the store, which `hybridstore sync` reads again, by path."""
        return self._backend.folders()

    def remember_folder(self, folder: Folder) -> None:
        """Let `hybridstore sync` read a folder; reading it does this by itself."""
        self._backend.remember_folder(folder)

    def forget_folder(self, path: str) -> bool:
        """Let `hybridstore sync` read a folder no more; its documents stay. Return whether it was remembered."""
        return self._backend.forget_folder(path)

    def scan(self, where: Where = None, *, vectors: bool = False) -> Iterator[StoredDocument]:
        """Yield all documents that pass the filter as `stored` does, with `vectors` also those of their chunks."""
        return self._backend.scan(filters.parse(where), vectors=vectors)

    def to_arrow(self, where: Where = None, *, vectors: bool = False) -> pa.RecordBatchReader:
        """Return all documents that pass the filter as a stream of Arrow batches; `.read_all()` makes a table of it.

        Its columns are a Document's fields, with metadata as a string of JSON, so that `add` takes the stream. With
        `vectors` there is a column of that name too: a list of float32 vectors, one for each chunk in the order of the
        text, null where one is missing. Raises MissingExtra without pyarrow.
        """
        columns: tuple[Column, ...] = DOCUMENT_COLUMNS
        if vectors:
            embedding = self.embeddings.active
            columns = (*columns, Column("vectors", "vectors", nullable=True, dim=embedding.dim if embedding else 0))
        names = [column.name for column in DOCUMENT_COLUMNS]
        rows = (
            {name: getattr(stored.document, name) for name in names}
            | ({"vectors": None if stored.vectors is None else list(stored.vectors)} if vectors else {})
            for stored in self.scan(where, vectors=vectors)
        )
        return reader(columns, rows)
