"""Changes: what a merge reads of another store, be it all of its state or the part that was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Calibration, Embedding, StoredDocument
from hybridstore.backends.versions import Removal
from hybridstore.store.merged_learning import Learned, learned

Versions = Mapping[str, tuple[bytes, str]]
"""Content digests and versions of documents by their ids; see `backends.versions`."""


class Changes(Protocol):
    """What came to be in another store: versions of documents, removals, and what it was told.

    `embedding` is that of the documents' vectors, `calibration` what was measured about all of them.
    """

    language: str
    embedding: Embedding | None
    calibration: Calibration | None

    def versions(self) -> Versions:
        """Return the versions of the documents."""
        ...

    def removals(self) -> dict[bytes, Removal]:
        """Return what is left of removed documents and forgotten queries, by key."""
        ...

    def get(self, document_id: str, *, vectors: bool = False) -> StoredDocument:
        """Return a whole document; raises NotFound."""
        ...

    def learned(self) -> Learned:
        """Return the queries, feedback and expectations."""
        ...


class StoreChanges:
    """The whole state of a store; to be made and read within one snapshot of it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.language = backend.language
        self.embedding = backend.embeddings().active
        self.calibration = backend.state().calibration
        self.versions, self.removals, self.get = backend.versions, backend.removals, backend.get

    def learned(self) -> Learned:
        """Return the queries, feedback and expectations."""
        return learned(self._backend)
