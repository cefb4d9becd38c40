"""The loader: what a database has to provide so that its chunks can be searched in memory.

A backend implements `Loader` and passes it to `ResidentCache`; ranking, filtering and following the change log are the
same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.values import ChunkChange, Embedding, Passage, Restriction
from hybridstore.filters.tree import Paths
from hybridstore.records import Ranking

Ids = NDArray[np.int64]
Codes = NDArray[np.int8]
FieldPath = str | Paths  # what filters.field_path returns
Postings = tuple[Ids, NDArray[np.float32]]
FieldTexts = tuple[list[str], NDArray[np.intp]]


class Loader(Protocol):
    """Reads of one state of a store: a loader is bound to one read transaction and is not kept beyond it.

    Chunk ids are positive, never reused, and larger for chunks added later. No result depends on the order of rows in
    the database. "Vectors" and "codes" are those of the active embedding, or those of the added `leg` with this
    fingerprint.
    """

    @property
    def leg(self) -> str | None:
        """The fingerprint of the added leg whose vectors are read; None for the active embedding's."""
        ...

    def revision(self) -> int:
        """Return the number of this state: larger after every write that changes chunks or their vectors."""
        ...

    def changes(self, since: int) -> list[ChunkChange] | None:
        """Return what happened to chunks after an earlier revision, oldest first; None where the log begins later."""
        ...

    # The keyword index

    def lengths(self, limit: int) -> tuple[Ids, NDArray[np.float32]] | None:
        """Return all indexed chunks, ascending, and their lengths in tokens, both (n,); None where n is above a limit.

        A chunk's length is the number of its tokens in all columns.
        """
        ...

    def frequencies(self, words: Sequence[str]) -> list[int]:
        """Return for each word the number of indexed chunks that contain it."""
        ...

    def postings(self, words: Sequence[str]) -> list[Postings]:
        """Return for each word the chunks that contain it, ascending, and its weighted frequency in each, both (n,).

        A weighted frequency is the sum over the columns of weight · occurrences, a multiple of one half.
        """
        ...

    def passages(self, chunks: Sequence[int]) -> list[Passage]:
        """Return chunks with their text and their documents' fields, in the order asked for, without missing ones."""
        ...

    # The vectors

    def embedding(self) -> tuple[int, Embedding] | None:
        """Return the active embedding and its number, which no other embedding has ever had; None where none is."""
        ...

    def coded(self, limit: int) -> Ids | None:
        """Return the chunks that have a code, ascending, (n,): those whose vector is not zero; None above a limit."""
        ...

    def code_blocks(self, sample: int | None = None) -> Iterator[tuple[Ids, Codes]]:
        """Return all int8 codes, block by block: chunks (m,) in any order, and codes (m, dim) as `int8.encode` gives.

        With `sample`, return about so many blocks, evenly spread over all.
        """
        ...

    def vectors(self, chunks: Sequence[int]) -> tuple[Ids, NDArray[np.float32]]:
        """Return the exact vectors of chunks: ids (n,) ascending and (n, dim), without chunks that have none."""
        ...

    def exact(self, chunks: Sequence[int]) -> NDArray[np.float32]:
        """Return the exact vectors (n, dim) of ascending chunks that all have one."""
        ...

    def codes_of(self, chunks: Sequence[int]) -> tuple[Ids, Codes]:
        """Return the codes of those of the chunks that have one: ids (n,) ascending, codes (n, dim)."""
        ...

    def scan(
        self, query: NDArray[np.float32], count: int, restriction: Restriction, allowed: Callable[[], Ids | None]
    ) -> Ranking:
        """Rank at least `count` chunks nearest by code within a restriction, without copies in memory.

        `allowed` returns the chunks that pass it, None for all.
        """
        ...

    def first_vectors(self, step: int, limit: int, shift: int = 0) -> Ids:
        """Return the first chunk that has a vector in each run of ids with the same (id + shift) // step, ascending.

        At most the first `limit` of them.
        """
        ...

    def last_vector(self) -> int | None:
        """Return the largest id of a chunk that has a vector; None where there is none."""
        ...

    # The documents

    def owners(self, chunks: Sequence[int] | None = None) -> tuple[Ids, Ids]:
        """Return chunks, ascending, and the number of each one's document, both (n,): all, or those asked for.

        A document keeps its number as long as it is stored.
        """
        ...

    def metadata(self, documents: Sequence[int]) -> list[str]:
        """Return the metadata of stored documents as JSON objects, in the order asked for."""
        ...

    def columns(self, paths: Sequence[FieldPath]) -> tuple[Ids, list[FieldTexts]]:
        """Return the values of fields in all documents: the documents' numbers, ascending, (n,), and each field.

        A field is its distinct values as JSON texts, and which of them each document has, (n,). The first text is "",
        which stands for a field that a document does not have.
        """
        ...

    def passing(self, restriction: Restriction) -> Ids:
        """Return the chunks that pass a restriction, ascending, as the database evaluates it."""
        ...
