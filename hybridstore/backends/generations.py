# ruff: noqa: D102 - the protocols of rows say what they do by their names
"""Re-embedding in a database: a second generation of vectors is filled beside the first, then switched to.

The order of the steps is the same whatever the SQL: a backend passes the modules that have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.change_runs import ChangeRuns
from hybridstore.backends.values import Embedding, Embeddings, Passage, check_new_leg
from hybridstore.errors import EmbedderMismatch, InputError

C = TypeVar("C")
C_contra = TypeVar("C_contra", contravariant=True)
Numbered = tuple[int, Embedding]


class Tables(Protocol[C_contra]):
    """The rows of embeddings and of their vectors, through a connection."""

    def by_state(self, connection: C_contra, state: str, /) -> Numbered | None: ...

    def of_leg(self, connection: C_contra, leg: str | None, /) -> Numbered | None: ...

    def embeddings(self, connection: C_contra, /) -> Embeddings: ...

    def make(self, connection: C_contra, embedding: Embedding, state: str, /) -> int: ...

    def drop(self, connection: C_contra, number: int, /) -> None: ...

    def set_state(self, connection: C_contra, number: int, state: str, /) -> None: ...

    def forget_calibration(self, connection: C_contra, number: int, /) -> None: ...

    def unembedded(self, connection: C_contra, number: int, /) -> NDArray[np.int64]: ...

    def missing(self, connection: C_contra, number: int, limit: int, /) -> list[int]: ...

    def without_vector(self, connection: C_contra, number: int, chunks: Sequence[int], /) -> set[int]: ...

    def write(
        self, connection: C_contra, number: int, chunks: Sequence[int], vectors: NDArray[np.float32], /
    ) -> None: ...


class Models(Protocol[C_contra]):
    """The rows of model versions."""

    def promote(self, connection: C_contra, number: int | None, /) -> bool: ...

    def retire_others(self, connection: C_contra, fingerprint: str, /) -> None: ...


class Documents(Protocol[C_contra]):
    """The rows of documents."""

    def passages(self, connection: C_contra, chunks: Sequence[int], /) -> list[Passage]: ...


class Generations(Generic[C]):
    """What `EmbeddingBackend` promises, step by step, within a transaction of a connection."""

    def __init__(self, tables: Tables[C], models: Models[C], documents: Documents[C]) -> None:
        self._tables, self._models, self._documents = tables, models, documents

    def require(self, connection: C, new: Embedding, state: str = "active") -> int:
        """Return the number of the embedding in this state, recording it if there is none.

        Raises EmbedderMismatch if it is another embedder's, InputError if only the length differs.
        """
        found = self._tables.by_state(connection, state)
        if found is None:
            return self._tables.make(connection, new, state)
        number, embedding = found
        if embedding.fingerprint != new.fingerprint:
            raise EmbedderMismatch(embedding.fingerprint, new.fingerprint)
        if embedding.dim != new.dim:
            raise InputError(f"the store's vectors have {embedding.dim} dimensions, these have {new.dim}")
        return number

    def begin(self, connection: C, embedding: Embedding) -> None:
        """Start or continue building vectors of an embedder; see the protocol."""
        tables = self._tables
        active, building, kept = (tables.by_state(connection, state) for state in ("active", "building", "kept"))
        if building is not None and building[1].fingerprint != embedding.fingerprint:
            tables.drop(connection, building[0])
            building = None
        if active is not None and active[1].fingerprint == embedding.fingerprint:
            return
        there = tables.of_leg(connection, embedding.fingerprint) or kept
        if building is None and there is not None and there[1].fingerprint == embedding.fingerprint:
            tables.forget_calibration(connection, there[0])
            tables.set_state(connection, there[0], "building")
        self.require(connection, embedding, "building")

    def add_leg(self, connection: C, embedding: Embedding) -> None:
        """Add a vector leg; see the protocol."""
        tables = self._tables
        there = tables.embeddings(connection)
        check_new_leg(there, embedding)
        for state in ("building", "kept"):
            found = tables.by_state(connection, state)
            if found is not None and found[1] == embedding:
                tables.set_state(connection, found[0], "added")
                return
        if embedding.fingerprint not in {each.fingerprint for each in there.added}:
            tables.make(connection, embedding, "added")

    def drop_leg(self, connection: C, fingerprint: str) -> bool:
        """Remove an added leg; return whether it was there."""
        leg = self._tables.of_leg(connection, fingerprint)
        if leg is not None:
            self._tables.drop(connection, leg[0])
        return leg is not None

    def pending(self, connection: C, limit: int, leg: str | None = None) -> list[Passage]:
        """Return chunks that have no vector yet of the embedding being built, or of the active one, or of a leg."""
        number = self._target(connection, leg)
        missing = [] if number is None else self._tables.missing(connection, number, limit)
        return self._documents.passages(connection, missing) if missing else []

    def pending_count(self, connection: C, leg: str | None = None) -> int:
        """Return the number of those chunks."""
        number = self._target(connection, leg)
        return 0 if number is None else len(self._tables.unembedded(connection, number))

    def missing(self, connection: C) -> NDArray[np.int64]:
        """Return the chunks without a vector of the active embedding; see the protocol."""
        active = self._tables.by_state(connection, "active")
        return np.empty(0, np.int64) if active is None else self._tables.unembedded(connection, active[0])

    def fill(
        self,
        connection: C,
        log: ChangeRuns,
        embedding: Embedding,
        chunks: Sequence[int],
        vectors: NDArray[np.float32],
    ) -> int:
        """Store vectors (n, dim) for chunks that still exist and have none; return how many these are."""
        tables = self._tables
        building = tables.by_state(connection, "building") is not None
        if (leg := tables.of_leg(connection, embedding.fingerprint)) is not None:
            number = leg[0]
        else:
            number = self.require(connection, embedding, "building" if building else "active")
        here = tables.without_vector(connection, number, chunks)
        accepted = [n for n, chunk in enumerate(chunks) if chunk in here]
        tables.write(connection, number, [chunks[n] for n in accepted], vectors[accepted])
        if not building or leg is not None:
            log.note_all("embedded", sorted(chunks[n] for n in accepted))
        return len(accepted)

    def switch(self, connection: C, log: ChangeRuns, *, keep: bool = False, promote: int | None = None) -> bool:
        """Make the embedding being built the active one; see the protocol."""
        tables = self._tables
        if self.pending_count(connection):
            return False
        building = tables.by_state(connection, "building")
        if building is None:
            raise InputError("no re-embedding is under way; run `hybridstore reembed`")
        active, kept = (tables.by_state(connection, state) for state in ("active", "kept"))
        if active is not None and keep:
            if kept is not None:
                tables.drop(connection, kept[0])
            tables.set_state(connection, active[0], "kept")
        elif active is not None:
            tables.drop(connection, active[0])
        tables.set_state(connection, building[0], "active")
        if promote is not None:
            self._models.promote(connection, promote)
        self._models.retire_others(connection, building[1].fingerprint)
        log.restart()  # every vector is different now
        return True

    def _target(self, connection: C, leg: str | None = None) -> int | None:
        if leg is not None:
            added = self._tables.of_leg(connection, leg)
            return added[0] if added else None
        target = self._tables.by_state(connection, "building") or self._tables.by_state(connection, "active")
        return target[0] if target else None
