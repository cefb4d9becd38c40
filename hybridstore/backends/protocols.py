"""The backend protocols: what a store needs from the database that holds its chunks.

A backend stores documents, their chunks, a keyword index and vectors, and changes all of them together or not at all.
It receives tokens, vectors and filters; it knows no model and no query language. Chunk ids are integers that are never
reused. `Backend` is the sum of four small protocols and `LearningBackend`; code that needs one part should ask for that
part only. Every implementation passes the contract tests in tests/backends. No result depends on the order of rows in
the database: where scores tie, the smaller chunk id comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hybridstore.backends.learning import LearningBackend, ModelVersion
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
    VectorLeg,
)
from hybridstore.backends.versions import Removal
from hybridstore.records import AddReport, CorpusStatistics, Folder, KeywordQuery, Ranking, Replica, Source, Term

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hybridstore.filters import Filter
    from hybridstore.text.analysis import Analyser


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchState:
    """What every search reads first, of one state of the store.

    `embedding` made the store's own vectors, `calibration` is what was last measured about them, `model` is the active
    model version. `legs` are the vector legs beside it that are searched: those with a calibration. `replica` is the
    standby server that is read, if one is.
    """

    chunks: int = 0
    embedding: Embedding | None = None
    calibration: Calibration | None = None
    model: ModelVersion | None = None
    revision: int = 0
    legs: tuple[VectorLeg, ...] = ()
    replica: Replica | None = None

    def filled(self, missing: int) -> float:
        """Return the share of the chunks that have a vector, from 0 to 1, where so many are `missing`."""
        return 1.0 - missing / max(self.chunks, 1)


class DocumentBackend(Protocol):
    """Documents: written, removed and read whole."""

    def put(
        self,
        entries: Sequence[Entry],
        *,
        embedding: Embedding | None = None,
        finished: Mapping[Source, frozenset[str]] | None = None,
        removing: Collection[str] | Mapping[str, bytes] = (),
        removals: Mapping[bytes, Removal] | None = None,
    ) -> AddReport:
        """Write entries, all or none, replacing documents of the same id.

        `embedding` is that of the entries' vectors. The first one is recorded; another one later raises
        EmbedderMismatch. `finished` maps a source to the ids of all documents it has now: its other documents are
        removed, and its state is recorded. Documents named by `removing` are removed in the same step; unknown ids are
        ignored, but where it maps ids to digests, Conflict is raised for a document that is not stored with its digest.
        `removals` are those of another store: they are recorded where they are later than what is recorded here, and
        for what `removing` names in place of a removal of now.

        Raises InputError for vectors that do not fit their chunks or the embedding, and for an id that is both written
        and removed; Outdated for an entry without chunks whose content is not stored; Conflict for an entry that
        `replaces` something else than what is stored at the moment of the write, earlier entries of this call included.
        Nothing is written then.
        """
        ...

    def remove(self, ids: Iterable[str]) -> int:
        """Remove documents with their chunks, keywords and vectors; return how many there were."""
        ...

    def remove_where(self, where: Filter) -> int:
        """Remove the documents that match the filter at this moment; return how many there were."""
        ...

    def remove_sources(self, keys: Iterable[str]) -> int:
        """Forget sources and remove all their documents; return how many documents there were."""
        ...

    def get(self, document_id: str, *, vectors: bool = False) -> StoredDocument:
        """Return a whole document; raises NotFound."""
        ...

    def folders(self) -> list[Folder]:
        """Return the folders that are remembered, by path."""
        ...

    def remember_folder(self, folder: Folder) -> None:
        """Remember a folder, in place of what was remembered of the same path."""
        ...

    def forget_folder(self, path: str) -> bool:
        """Forget a folder, but not its documents; return whether it was remembered."""
        ...

    def scan(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[StoredDocument]:
        """Yield all documents that match the filter in the order they were first added, a few at a time."""
        ...

    def ids(self, where: Filter | None = None) -> list[str]:
        """Return the ids of all documents that match the filter, in the order they were first added."""
        ...

    def metadata(self, where: Filter | None = None) -> list[Mapping[str, object]]:
        """Return the metadata of all documents that match the filter, in the order they were first added."""
        ...

    def count(self) -> int:
        """Return the number of documents."""
        ...

    def digests(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Return the content digests of those of the ids that are stored."""
        ...

    def versions(self, ids: Sequence[str] | None = None) -> dict[str, tuple[bytes, str]]:
        """Return the content digests and the versions of documents by their ids, of all where ids are None.

        Every write of new content makes a version that is later than what it replaces: see `backends.versions`.
        """
        ...

    def removals(self, keys: Collection[bytes] | None = None) -> dict[bytes, Removal]:
        """Return what is left of removed documents and of forgotten queries, by key; all where keys are None.

        A document that is written again is not removed any more, but how often it was purged stays known.
        """
        ...

    def chunk_vectors(self, document_id: str, leg: str | None = None) -> dict[bytes, NDArray[np.float32]]:
        """Return a document's vectors by the digest of what was embedded; {} where there are none."""
        ...

    def sources(self) -> dict[str, Source]:
        """Return the sources whose documents were read to the end, by key."""
        ...


class SearchBackend(Protocol):
    """Chunks: ranked by keyword and by vector, and read.

    A `leg` is the fingerprint of an added vector leg; None is the store's own.
    """

    def snapshot(self, *, stale: bool = False) -> AbstractContextManager[object]:
        """Make all reads of this thread inside the block see one state of the store, whatever others write.

        It is the latest one, or with `stale` one of before this store's own last write, where that was asked for.
        """
        ...

    def state(self) -> SearchState:
        """Return what every search reads first, in one step. Cheap: every search calls it."""
        ...

    def match(self, query: KeywordQuery, depth: int, restriction: Restriction) -> tuple[Ranking, tuple[Term, ...]]:
        """Rank the chunks that hold any term or phrase of the query by BM25, at most `depth` of them.

        Also return the facts of the query's tokens, and which of them were used. Both are by the query's `corpus`, if
        it has one: the sum of the `statistics` of several backends makes them rank as one.
        """
        ...

    def statistics(self, query: KeywordQuery) -> CorpusStatistics:
        """Return what BM25 needs to know about this store's chunks, for the query's `sequences`."""
        ...

    def vocabulary(self, beginnings: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Return the tokens that begin so, in their order, with the numbers of chunks that hold them.

        With each beginning stands how many at most; those of the first come first.
        """
        ...

    def nearest(
        self, vector: NDArray[np.float32], depth: int, restriction: Restriction, leg: str | None = None
    ) -> Ranking:
        """Rank chunks by cosine to a unit vector, at most `depth` of them; empty without vectors.

        Cosines and order are exact for the first 64, and within 0.01 below. A zero vector has no direction: nothing is
        near it, and it is near nothing. Raises InputError for a vector of another length.
        """
        ...

    def evidence(
        self,
        chunks: NDArray[np.int64],
        terms: Sequence[Term],
        vector: NDArray[np.float32] | None,
        average: float | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
        """Return what both legs can say about distinct chunks: impacts (n, t) of terms, and cosines (n,).

        An impact, from 0 (the term is not in the chunk) to 1, is BM25's part without IDF and its factor k1 + 1:
        frequency / (frequency + k1 · (1 - b + b · length / average length)). `average` is that length, None for this
        store's. Cosines to the unit vector are within
        0.01, NaN for chunks without a vector; None where `vector` is.
        """
        ...

    def cosines(self, chunks: NDArray[np.int64], vector: NDArray[np.float32], leg: str) -> NDArray[np.float64]:
        """Return the cosines (n,) of distinct chunks to a unit vector in an added leg, within 0.01; NaN without one."""
        ...

    def sample(self, leg: str | None = None) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return a few hundred chunks' ids (n,) and vectors (n, dim), spread over the store, the same at each call.

        Empty without vectors. The choice depends on what is stored alone: see `backends.ranking.sampled`.
        """
        ...

    def first_vectors(self, step: int, limit: int, shift: int = 0, leg: str | None = None) -> NDArray[np.int64]:
        """Return the first chunk that has a vector in each run of ids with the same (id + shift) // step, ascending.

        At most the first `limit` of them. So the sample of several stores can be chosen as one store's is.
        """
        ...

    def last_chunk(self) -> int:
        """Return the largest id of a chunk; 0 where there is none."""
        ...

    def holds(self, phrase: tuple[str, ...], restriction: Restriction) -> bool:
        """Return whether any chunk within the restriction holds the phrase."""
        ...

    def passages(self, chunks: Sequence[int]) -> list[Passage]:
        """Return chunks as they are shown, in the order of `chunks`; those that no longer exist are left out."""
        ...

    def vectors(self, chunks: Sequence[int], leg: str | None = None) -> NDArray[np.float32]:
        """Return the exact vectors of chunks, (n, dim), in the order of `chunks`; zeros where there is none.

        Without an embedding dim is 0.
        """
        ...

    def chunks_of(self, ids: Sequence[str], restriction: Restriction) -> dict[str, list[int]]:
        """Return the chunks within the restriction of those of the documents that have any, in document order."""
        ...

    def documents_of(self, chunks: Sequence[int]) -> list[str]:
        """Return the id of each chunk's document, in the order of `chunks`; chunks that are gone are left out."""
        ...


class EmbeddingBackend(Protocol):
    """Generations of vectors: the active one, one being built, one kept, and those of added legs."""

    def embeddings(self) -> Embeddings:
        """Return which embedders made the vectors there are."""
        ...

    def calibrate(self, calibration: Calibration) -> None:
        """Record what was measured about the vectors, in place of what was recorded before; no new revision.

        A calibration with the fingerprint of an added leg is that leg's: from then on it is searched.
        """
        ...

    def begin(self, embedding: Embedding) -> None:
        """Start or continue building vectors of another embedder, and drop what was built for a third one.

        The kept vectors become those being built if they are this embedder's, or those of an added leg. For the active
        embedder, only drop what was being built.
        """
        ...

    def add_leg(self, embedding: Embedding) -> None:
        """Add a vector leg, whose vectors are `pending` then; nothing changes where it is there.

        Kept vectors of this embedder, or those being built, become the leg's. Raises InputError for the active embedder
        and for more than MOST_LEGS.
        """
        ...

    def drop_leg(self, fingerprint: str) -> bool:
        """Remove an added leg with its vectors and its calibration; return whether it was there."""
        ...

    def pending(self, limit: int, leg: str | None = None) -> list[Passage]:
        """Return chunks that have no vector yet of the embedding being built (of the active one if none is).

        Or of an added leg; none where it is not there.
        """
        ...

    def pending_count(self, leg: str | None = None) -> int:
        """Return how many chunks are pending."""
        ...

    def missing(self) -> NDArray[np.int64]:
        """Return the chunks without a vector of the active embedding, ascending; empty without one.

        Every search calls it, so it is cheap where nothing is missing, or nothing has changed.
        """
        ...

    def fill(self, embedding: Embedding, chunks: Sequence[int], vectors: NDArray[np.float32]) -> int:
        """Store vectors for chunks of the embedding being built, or of the active one; return how many were stored.

        Chunks that are gone, or have a vector by now, are skipped. Those of an added leg's embedding become that leg's.
        """
        ...

    def switch(self, *, keep: bool = False, promote: int | None = None) -> bool:
        """Make the embedding being built the active one, in one step; return False while chunks are pending.

        With `keep` the vectors that were active are kept, in place of older ones: removed chunks lose theirs, new ones
        get none. In the same step an active model for other vectors is retired, and model number `promote` becomes
        active, as by `LearningBackend.promote`. Raises InputError if nothing is being built.
        """
        ...


class UpkeepBackend(Protocol):
    """The store as a whole: where it is, what it holds, whether it is sound."""

    @property
    def location(self) -> str:
        """The store's place for people and messages: a file's path, ":memory:", a URL without secrets."""
        ...

    @property
    def folder(self) -> Path | None:
        """The folder where files made for this store may be put; None where there is none."""
        ...

    @property
    def language(self) -> str:
        """The language of the keyword index."""
        ...

    @property
    def analyser(self) -> Analyser:
        """The analyser that made the keywords: of the store's language, in the version it was last indexed with."""
        ...

    def reindex(self) -> int:
        """Make all keywords anew with the current version of the analysis, in one step; return the number of chunks.

        Vectors stay. Others search the old keywords meanwhile, and other writers wait.
        """
        ...

    def recode(self, codec: str, progress: Callable[[int, int], None] | None = None) -> int:
        """Keep the vectors of all embeddings by another codec, in one step; return how many were changed.

        `progress` is called with (done, total). Raises Unsupported for a store that keeps float32 only.
        """
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What this kind of store cannot do, and why."""
        ...

    def stats(self) -> Stats:
        """Return what the store holds."""
        ...

    def check(self, *, repair: bool = False, progress: Callable[[int, int], None] | None = None) -> list[Problem]:
        """Compare what is stored with what was written, and its parts with each other; [] when all is well.

        With `repair`, restore what can be derived: keywords from text, codes from vectors. What belongs to nothing is
        dropped, learning that names it included. Missing vectors are left to `pending` and `fill`. `progress` is called
        with (done, total). Damage is reported, never raised.
        """
        ...

    def backup(self, path: str) -> None:
        """Write a compact copy to a new file while others read and write; raises Unsupported where that is impossible.

        Raises FileRefused where the path exists or cannot be written.
        """
        ...

    def compact(self) -> CompactReport:
        """Rewrite the store without the space that removed and replaced content left, its log emptied.

        Others read meanwhile, and writers wait. Raises Unsupported where that is impossible, InputError within
        `snapshot`, StoreRefused where there is too little room for the copy; the store is as before then.
        """
        ...

    def purge(
        self, ids: Iterable[str], *, verify: bool = True, removals: Mapping[bytes, Removal] | None = None
    ) -> PurgeReport:
        """Remove documents so that none of their bytes is left in the store's files, and verify that none is.

        Removed are their text, metadata, keywords and vectors of every embedding, learning that names them, and the
        bytes that earlier versions, and everything removed before, left behind. Queries are removed from the log if
        they hold what no other document holds: a word, an id, a title, twelve bytes in a row. The store is rewritten,
        so it takes as long as that, and other writers wait. Ids that name nothing are reported, and searched for; no
        ids at all purge nothing, and finish what an earlier purge could not. It is never reported clean while another
        process still reads what was there before, or a copy that was made for tuning holds it.

        Other stores purge them when they merge: each purge is recorded, by a digest of the id. `removals` are the
        records of another store that are followed here, and are recorded in the same step.

        Raises InputError for an empty id, and within `snapshot`. What file systems, backups and exports keep, and what
        models have learned, is out of its reach. A store whose `capabilities.erasure` says why it cannot verify reports
        `clean` None.
        """
        ...

    def close(self) -> None:
        """Release everything; the backend is unusable afterwards. Closing twice is harmless."""
        ...


class Backend(DocumentBackend, SearchBackend, EmbeddingBackend, UpkeepBackend, Protocol):
    """One place where chunks live. Methods may be called from any thread; each is atomic by itself."""

    @property
    def key(self) -> str | None:
        """What the store is encrypted with; None where it is not."""
        return None

    @property
    def learning(self) -> LearningBackend:
        """What the store has learned and learns from, stored with the chunks it is about."""
        ...
