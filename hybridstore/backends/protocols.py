"""The Backend protocol: what the store asks of the database that keeps its chunks.

A backend keeps documents, their chunks, a keyword index and vectors, and changes all four together or not at
all. It is told tokens, vectors and filters; it knows no model and no query language. Chunk ids are integers that
are never used twice. Every implementation passes the one contract test in tests/backends/contract.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from hybridstore.backends.learning import Learning
from hybridstore.backends.values import (
    Calibration,
    ChunkChange,
    Embedding,
    Entry,
    Passage,
    Problem,
    Purged,
    Restriction,
    Stats,
    StoredDocument,
)
from hybridstore.records import AddReport, KeywordQuery, Ranking, Source, Term

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hybridstore.filters import Filter


class Backend(Protocol):
    """One place where chunks live. Methods may be called from any thread; each is atomic by itself."""

    @property
    def path(self) -> str:
        """Where the file lies; copies of it and models made for it are put beside it."""
        ...

    @property
    def language(self) -> str:
        """The language the keyword index was made for."""
        ...

    @property
    def learning(self) -> Learning:
        """Where questions, triples and the models made of them are kept, beside the chunks they name."""
        ...

    def close(self) -> None:
        """Let go of everything; the backend is unusable afterwards. Closing twice is harmless."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Make all reads inside see one state of the store, whatever others write meanwhile."""
        ...

    # writing

    def put(
        self,
        entries: Sequence[Entry],
        *,
        embedding: Embedding | None = None,
        finished: Mapping[Source, frozenset[str]] | None = None,
        removing: Collection[str] | Mapping[str, bytes] = (),
    ) -> AddReport:
        """Write entries, all or none, replacing documents of the same id.

        `embedding` names the embedder of the entries' vectors; the first one is recorded, another one later
        raises EmbedderMismatch and nothing is written. `finished` maps a source to the ids of all documents it
        has now: its other documents are removed and its state is recorded. Raises InputError for vectors that
        do not fit their chunks or the embedding, Outdated for an entry without chunks that is not stored, Conflict for
        one that finds something else than it `replaces`: conditions are held against what is stored at the moment of
        the write, the entries before in this call included. Documents named by `removing` are removed in the same step,
        unknown ones being no error; where it gives their digests, Conflict for one that is not stored as that.
        InputError for one that an entry writes.
        """
        ...

    def remove(self, ids: Iterable[str]) -> int:
        """Remove documents with their chunks, keywords and vectors; give how many there were."""
        ...

    def remove_where(self, where: Filter) -> int:
        """Remove the documents that pass the filter at this moment, as `remove` does; give how many there were."""
        ...

    def purge(self, ids: Iterable[str], *, verify: bool = True) -> Purged:
        """Remove documents so that none of their bytes is left in the file or beside it, and look whether that is so.

        Gone are their text, facts, keywords and vectors of every embedding, learning that names them, and the bytes
        that earlier versions of them, and all that was removed before, left in the file. Questions go that hold what no
        other document holds: a word, an id, a title, twelve bytes in a row of theirs. The file is written anew, so it
        takes as long as that, and others wait to write meanwhile. Ids that name nothing are told of, and looked for; no
        ids at all purge nothing, and finish what a purge before could not. Never is it said to be clean while somebody
        still reads what was there before, or a copy that was made for learning holds it.

        Raises InputError for an empty id, and within `snapshot`. What file systems, backups and exports keep, and what
        models have learned, is beyond its reach.
        """
        ...

    def remove_sources(self, keys: Iterable[str]) -> int:
        """Forget sources and remove all their documents; give how many documents there were."""
        ...

    # searching

    def match(self, query: KeywordQuery, depth: int, restriction: Restriction) -> tuple[Ranking, tuple[Term, ...]]:
        """Rank the chunks that hold any term or phrase of the query by BM25, at most `depth` of them.

        With the ranking come the facts of the query's tokens, and which of them were used.
        """
        ...

    def nearest(self, vector: NDArray[np.float32], depth: int, restriction: Restriction) -> Ranking:
        """Rank chunks by cosine to a unit vector, at most `depth` of them; empty without vectors.

        Cosines and order are exact for the first 64, and within 0.01 for those below.
        A zero vector has no direction: nothing is near to it, and it is near to nothing.
        """
        ...

    def impacts(self, terms: Sequence[Term], chunks: NDArray[np.int64]) -> NDArray[np.float32]:
        """Give how much each term counts in each chunk, (n, t) from 0 (it is not there) to 1.

        That is BM25's part without IDF and its factor k1 + 1: frequency / (frequency + k1 · (1 - b + b · length)).
        """
        ...

    def cosines(self, vector: NDArray[np.float32], chunks: NDArray[np.int64]) -> NDArray[np.float64]:
        """Give the cosines of different chunks to a unit vector, (n,), within 0.01; NaN for those without a vector."""
        ...

    def sample(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Give some hundred chunks' ids (n,) and vectors (n, dim), spread over the store, the same at each call.

        Empty without vectors. What it gives depends on what is stored alone.
        """
        ...

    def indexed(self) -> int:
        """Count the chunks."""
        ...

    def holds(self, phrase: tuple[str, ...], restriction: Restriction) -> bool:
        """Say whether any chunk within the restriction holds the phrase."""
        ...

    def passages(self, chunks: Sequence[int]) -> list[Passage]:
        """Fetch chunks to show, in the order asked for."""
        ...

    def chunks_of(self, document_id: str, restriction: Restriction) -> list[int]:
        """Give the ids of a document's chunks within the restriction, in order; [] when there are none."""
        ...

    def documents_of(self, chunks: Sequence[int]) -> list[str]:
        """Give the id of each chunk's document, in the order asked for; gone chunks are left out."""
        ...

    def chunks_among(self, ids: Sequence[str], restriction: Restriction) -> dict[str, list[int]]:
        """Give the chunks within the restriction of those of the documents that have any, each document's in order."""
        ...

    # reading

    def digests(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Give the content digests of those of the ids that are stored."""
        ...

    def vectors_of(self, document_id: str) -> dict[bytes, NDArray[np.float32]]:
        """Give a document's vectors by the digest of what was embedded."""
        ...

    def vectors(self, chunks: Sequence[int]) -> NDArray[np.float32]:
        """Give the exact vectors of chunks, (n, dim), in the order asked for; zeros where there is none.

        Without an embedding dim is 0.
        """
        ...

    def get(self, document_id: str) -> StoredDocument:
        """Give a whole document; raises NotFound."""
        ...

    def scan(self, where: Filter | None = None, *, vectors: bool = False) -> Iterator[StoredDocument]:
        """Give all documents that pass the filter in the order they were first added, a few at a time."""
        ...

    def ids(self, where: Filter | None = None) -> list[str]:
        """Give the ids of all documents that pass the filter, in the order they were first added."""
        ...

    def count(self) -> int:
        """Count the documents."""
        ...

    def stats(self) -> Stats:
        """Say what the store holds."""
        ...

    def sources(self) -> dict[str, Source]:
        """Give the sources whose documents were read to the end, by key."""
        ...

    # following changes

    def revision(self) -> int:
        """Give the number of the last change; every committed write that changed chunks or answers adds one."""
        ...

    def changes(self, since: int) -> list[ChunkChange] | None:
        """Give the changes after a revision, oldest first; None when the log no longer reaches back so far."""
        ...

    # embeddings

    def embedding(self) -> Embedding | None:
        """Give the embedder of the vectors that searches use; None while there are none."""
        ...

    def building(self) -> Embedding | None:
        """Give the embedder that an unfinished re-embedding is for."""
        ...

    def background(self) -> Calibration | None:
        """Give what was last measured about the vectors that searches use; None where nothing was."""
        ...

    def remember(self, measured: Calibration) -> None:
        """Keep what was measured about the vectors, in place of what was kept before."""
        ...

    def begin(self, embedding: Embedding) -> None:
        """Start, or go on with, re-embedding for another embedder; drops what was built for a third one.

        For the embedder that searches use already, only drop what was being built.
        """
        ...

    def pending(self, limit: int) -> list[Passage]:
        """Give chunks that have no vector of the embedding being built yet (the active one if none is)."""
        ...

    def pending_count(self) -> int:
        """Count them."""
        ...

    def fill(self, embedding: Embedding, chunks: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Store vectors for chunks of the embedding being built (or the active one); gone chunks are skipped."""
        ...

    def switch(self, *, keep: bool = False, promote: int | None = None) -> bool:
        """Make the embedding being built the one searches use, in one step; False while chunks are pending.

        With `keep` the one before stays, in place of an older one that was kept. In the same step an active model that
        is for other vectors is retired, and model number `promote` becomes active, as by `Learning.promote`.
        """
        ...

    def kept(self) -> Embedding | None:
        """Give the embedder whose vectors were kept by a switch; removed chunks lose theirs, new ones get none."""
        ...

    def restore(self) -> bool:
        """Take the kept vectors up again as those being built, in place of others; False where none are kept.

        `begin` for the kept embedder does the same. `pending`, `fill` and `switch` then finish it.
        """
        ...

    def forget_kept(self) -> bool:
        """Drop the kept vectors; False where none are kept."""
        ...

    # keeping

    def check(self, *, repair: bool = False) -> list[Problem]:
        """Hold documents, chunks, keywords and vectors against each other, both ways; [] when all is well.

        With `repair`, mend what can be derived: keywords from text, codes from vectors; drop what belongs to
        nothing, learning that names it too. Missing vectors are left to `pending` and `fill`.
        """
        ...

    def backup(self, path: str) -> None:
        """Write a compact copy to a new file while others read and write."""
        ...
