"""Views of a store for the code that works with its chunks and vectors: `Store.chunks` and `Store.embeddings`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hybridstore import filters
from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Calibration, Embedding, Passage, Restriction
from hybridstore.store.search_options import Where

if TYPE_CHECKING:
    import numpy as np
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
    def kept(self) -> Embedding | None:
        """The earlier embedding whose vectors were kept, so that `Store.reembed` can go back to it at once."""
        return self._backend.embeddings().kept

    def begin(self, embedding: Embedding) -> None:
        """Start, or continue, building vectors of another embedding; what was built for a third one is dropped."""
        self._backend.begin(embedding)

    def pending(self, limit: int) -> list[Passage]:
        """Return chunks that have no vector yet of the embedding being built, or of the active one, by ascending id."""
        return self._backend.pending(limit)

    def pending_count(self) -> int:
        """Return the number of chunks that have no vector yet."""
        return self._backend.pending_count()

    def fill(self, embedding: Embedding, chunks: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Store vectors of chunks; removed chunks are skipped."""
        self._backend.fill(embedding, chunks, vectors)

    def switch(self, *, keep: bool = False, promote: int | None = None) -> bool:
        """Make the vectors that were built those that are searched, in one step; False while any are pending.

        With `keep` those before stay in the store; model version `promote` becomes active in the same step.
        """
        return self._backend.switch(keep=keep, promote=promote)

    def calibrate(self, calibration: Calibration) -> None:
        """Record a calibration of the active vectors that was measured elsewhere, such as before an export."""
        self._backend.calibrate(calibration)
