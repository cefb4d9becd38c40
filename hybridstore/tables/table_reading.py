"""Tables of other programs as documents; every cell of a batch is checked before any of its documents is yielded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridstore.errors import InputError
from hybridstore.tables.arrow_cells import (
    Converter,
    VectorColumn,
    cell_error,
    cells_of,
    is_list,
    is_text,
    json_converter,
    metadata_converter,
)
from hybridstore.tables.table_writing import BATCH_ROWS, DOCUMENT_COLUMNS, arrow

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_TEXT_FIELDS = tuple(column.name for column in DOCUMENT_COLUMNS if column.kind == "text")
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")  # an unnamed index of a frame that was filtered or sorted

Check = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True)
class TablePage:
    """Some rows of a table: documents as `Store.add` takes them, and float32 (n, dim) if they have vectors."""

    documents: list[dict[str, Any]]
    vectors: NDArray[np.float32] | None = None


def is_table(value: object) -> bool:
    """Return whether a value can be read as a table: it has `__arrow_c_stream__` or `__arrow_c_array__`."""
    return hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__")


def documents_from(table: object) -> Iterator[dict[str, Any]]:
    """Yield a table's rows as mappings with a Document's fields, as `Store.add` takes them.

    `table` is anything with `__arrow_c_stream__` or `__arrow_c_array__`: a pyarrow table, batch or reader, a frame of
    polars or pandas, Results. "text" (required), "id", "title", "uri" and "format" are strings; only text must not be
    null. "metadata" is a struct, a map or a JSON object as a string. A column "vector" is ignored (see `pages_from`),
    and so is an unnamed pandas index. Every other column becomes metadata under its own name and takes precedence over
    "metadata": dates and times as ISO 8601, null as absent.

    Raises InputError, naming column and row, for cells that cannot be used, and MissingExtra without pyarrow. Batches
    are read one at a time, each checked before its first document is yielded.
    """
    for page in pages_from(table):
        yield from page.documents


def pages_from(table: object, check: Check | None = None) -> Iterator[TablePage]:
    """Yield a table's rows in pages, as `documents_from` does, with their vectors from a column "vector".

    A vector is a list of floats; all have the same length and none is null. `check` is called with each document before
    any document of its batch is yielded; an InputError it raises is raised again with the row's number.
    """
    stream = _open(table)
    rows = _RowReader(stream.schema)
    first = 0
    for batch in _batches(stream, type(table).__name__):
        parts = [(first + at, batch.slice(at, BATCH_ROWS)) for at in range(0, len(batch), BATCH_ROWS)]
        for start, part in parts:  # converted twice, so that a large batch is never held as Python objects
            documents = rows.page(part, start).documents
            if check:
                _check_documents(documents, start, check)
        for start, part in parts:
            yield rows.page(part, start)
        first += len(batch)


def _open(table: object) -> pa.RecordBatchReader:
    pa = arrow()
    try:
        if hasattr(table, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(table)
        batch = pa.record_batch(table)
        return pa.RecordBatchReader.from_batches(batch.schema, [batch])
    except (pa.ArrowException, TypeError) as error:
        raise _unreadable(type(table).__name__, error) from error


def _batches(stream: pa.RecordBatchReader, name: str) -> Iterator[pa.RecordBatch]:
    while True:
        try:
            batch = stream.read_next_batch()
        except StopIteration:
            return
        except arrow().ArrowException as error:
            raise _unreadable(name, error) from error
        yield batch


def _unreadable(name: str, error: Exception) -> InputError:
    return InputError(f"the {name} cannot be read as a table: {error}")


def _check_documents(documents: list[dict[str, Any]], first: int, check: Check) -> None:
    for row, document in enumerate(documents, start=first):
        try:
            check(document)
        except InputError as error:
            raise InputError(f"row {row} (counted from 0): {error}") from error


class _RowReader:
    """Converts batches of one schema to documents; raises InputError for a schema that cannot be used."""

    def __init__(self, schema: pa.Schema) -> None:
        names = [name for name in schema.names if not _PANDAS_INDEX.fullmatch(name)]
        _check_names(schema, names)
        self._text_columns = [name for name in _TEXT_FIELDS if name in names]
        self._vectors = VectorColumn(schema.field("vector").type) if "vector" in names else None
        self._metadata = metadata_converter(schema.field("metadata").type) if "metadata" in names else None
        others = [name for name in names if name not in (*_TEXT_FIELDS, "metadata", "vector")]
        self._others = {name: json_converter(name, schema.field(name).type) for name in others}

    def page(self, batch: pa.RecordBatch, first: int) -> TablePage:
        """Convert a batch that starts at row `first` of the table."""
        documents: list[dict[str, Any]] = [{} for _ in range(len(batch))]
        for name in self._text_columns:
            for row, cell in enumerate(cells_of(batch, name, first)):
                if cell is not None:
                    documents[row][name] = cell
                elif name == "text":
                    reason = "is null, but a document needs a text; leave the row out, or fill it"
                    raise cell_error(name, first + row, reason)
        if self._metadata is not None:
            for document, cell in zip(documents, _convert(batch, "metadata", self._metadata, first), strict=True):
                document["metadata"] = cell or {}
        for name, converter in self._others.items():
            for document, cell in zip(documents, _convert(batch, name, converter, first), strict=True):
                if cell is not None:
                    document.setdefault("metadata", {})[name] = cell
        return TablePage(documents, self._vectors.array(batch.column("vector"), first) if self._vectors else None)


def _check_names(schema: pa.Schema, names: list[str]) -> None:
    if duplicates := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"the table has two columns {duplicates[0]!r}; rename one of them")
    if "text" not in names:
        raise InputError(f"the table has no column 'text', only {', '.join(map(repr, names)) or 'none'}; rename one")
    if "vectors" in names and is_list(kind := schema.field("vectors").type) and is_list(kind.value_type):
        raise InputError(
            "the column 'vectors' has many vectors per row; move such a store with `hybridstore export` and `import`"
        )
    for name in _TEXT_FIELDS:
        if name in names and not is_text(kind := schema.field(name).type):
            raise InputError(f"the column {name!r} is {kind}, not text; cast it to strings first")


def _convert(batch: pa.RecordBatch, name: str, converter: Converter, first: int) -> Iterator[Any]:
    for row, cell in enumerate(cells_of(batch, name, first), start=first):
        try:
            yield None if cell is None else converter(cell)
        except ValueError as error:
            raise cell_error(name, row, str(error)) from error
