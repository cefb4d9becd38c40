"""A store's documents as a stream of Arrow batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridstore.backends.protocols import Backend
from hybridstore.filters import Filter
from hybridstore.tables import DOCUMENT_COLUMNS, Column, reader

if TYPE_CHECKING:
    import pyarrow as pa


def stream(backend: Backend, where: Filter | None, *, vectors: bool) -> pa.RecordBatchReader:
    """Give the documents that pass the filter; with `vectors` those of their chunks, null where one is missing.

    Raises MissingExtra without pyarrow.
    """
    columns: tuple[Column, ...] = DOCUMENT_COLUMNS
    if vectors:
        embedding = backend.embeddings().active
        dim = 0 if embedding is None else embedding.dim
        columns = (*columns, Column("vectors", "vectors", nullable=True, dim=dim))
    names = [column.name for column in DOCUMENT_COLUMNS]
    rows = (
        {name: getattr(stored.document, name) for name in names}
        | ({"vectors": None if stored.vectors is None else list(stored.vectors)} if vectors else {})
        for stored in backend.scan(where, vectors=vectors)
    )
    return reader(columns, rows)
