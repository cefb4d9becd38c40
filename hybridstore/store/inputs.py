"""What a caller may add at once, whatever it is: texts, Documents, mappings, many of these, or a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridstore.errors import InputError
from hybridstore.records import AddReport, Document
from hybridstore.store.document_checks import checked, document_from
from hybridstore.store.embedder_choice import unit
from hybridstore.store.writer import Progress, Writer
from hybridstore.tables import is_table, pages_from

Addable = str | Document | Mapping[str, Any]


class _Stream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


class _Array(Protocol):
    def __arrow_c_array__(self, requested_schema: object = None) -> object: ...


Table = _Stream | _Array
"""Whatever gives Arrow data: tables, batches and readers of pyarrow, frames of polars and pandas, Results."""


def add(
    writer: Callable[..., Writer],
    documents: Addable | Iterable[Addable] | Table,
    *,
    vectors: ArrayLike | None,
    chunk: bool,
    progress: Progress | None,
) -> AddReport:
    """Add documents by a Writer that `writer` makes; see `Store.add`."""
    if is_table(documents):
        return _add_table(writer, documents, vectors=vectors, chunk=chunk, progress=progress)
    many: Any = [documents] if isinstance(documents, str | Document | Mapping) else documents
    if isinstance(many, bytes) or not isinstance(many, Iterable):
        raise InputError(
            f"documents are texts, Documents, mappings, an iterable of these, or a table, not {type(many).__name__}"
        )
    if vectors is None:
        with writer(chunk=chunk, progress=progress) as writing:
            for document in many:
                writing.add(document_from(document))
        return writing.report
    listed = [document_from(document) for document in many]
    array = unit(vectors, (None, None), "vectors") if listed else np.empty((0, 1), np.float32)
    if len(array) != len(listed):
        raise InputError(f"there are {len(listed)} documents but {len(array)} vectors; give one for each")
    with writer(chunk=False, progress=progress) as writing:
        for document, vector in zip(listed, array, strict=True):
            writing.add(document, vector=vector)
    return writing.report


def _add_table(
    writer: Callable[..., Writer], table: object, *, vectors: ArrayLike | None, chunk: bool, progress: Progress | None
) -> AddReport:
    rows = _rows(table)
    if vectors is not None:
        listed = []
        for document, own in rows:
            if own is not None:
                raise InputError("the table has a column 'vector' and vectors= were given too; leave one of them out")
            listed.append(document)
        return add(writer, listed, vectors=vectors, chunk=chunk, progress=progress)
    with writer(chunk=chunk, progress=progress) as writing:
        for document, vector in rows:
            writing.add(document, vector=vector)
    return writing.report


def _rows(table: object) -> Iterator[tuple[Document, NDArray[np.float32] | None]]:
    for page in pages_from(table, lambda row: checked(document_from(row))):
        array = [None] * len(page.documents) if page.vectors is None else unit(page.vectors, (None, None), "vector")
        yield from zip(map(document_from, page.documents), array, strict=True)
