"""Tables of other programs as documents, each batch checked to its last cell before any of it is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridstore.errors import InputError
from hybridstore.tables.arrow_cells import (
    Converter,
    VectorColumn,
    cells_of,
    is_list,
    is_text,
    refused,
    to_json,
    to_metadata,
)
from hybridstore.tables.table_columns import COLUMNS_OF_DOCUMENTS, arrow

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_TEXTS = tuple(column.name for column in COLUMNS_OF_DOCUMENTS if column.kind == "text")
_ROWS_AT_ONCE = 1_000
_INDEX = re.compile(r"__index_level_\d+__")  # what pandas calls the index of a frame that was filtered or sorted

Check = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True)
class TablePage:
    """Some rows of a table: documents as `Store.add` takes them, and float32 (n, dim) where they have vectors."""

    documents: list[dict[str, Any]]
    vectors: NDArray[np.float32] | None = None


def is_table(given: object) -> bool:
    """Say whether something can be read as a table: it has `__arrow_c_stream__` or `__arrow_c_array__`."""
    return hasattr(given, "__arrow_c_stream__") or hasattr(given, "__arrow_c_array__")


def documents_from(table: object) -> Iterator[dict[str, Any]]:
    """Give a table's rows as mappings with a Document's fields, as `Store.add` takes them.

    `table` is anything with `__arrow_c_stream__` or `__arrow_c_array__`: a table, batch or reader of pyarrow, a frame
    of polars or pandas, Results. The columns "text" (which must be there), "id", "title", "uri" and "format" are texts;
    only text must not be null. "metadata" is a struct, a map or a JSON object as text. A column "vector" is left to
    `pages_from`. Every other column is metadata by its own name, before what "metadata" has under that name: dates
    and times as ISO 8601, null as if it were not there. An index of pandas without a name is left out.

    Raises InputError, naming column and row, for cells that cannot be used, and MissingExtra without pyarrow. Batches
    are read one by one, and none gives a document before all its cells were seen.
    """
    for page in pages_from(table):
        yield from page.documents


def pages_from(table: object, check: Check | None = None) -> Iterator[TablePage]:
    """Give a table's rows as `documents_from` does, some at a time, and their vectors from a column "vector".

    That is a list of floats of one length, null in no row. `check` is called with each document before any document of
    its batch is given, and the row is named in an InputError that it raises.
    """
    reader = _opened(table)
    rows = _Rows(reader.schema)
    first = 0
    for batch in _batches(reader, type(table).__name__):
        parts = [(first + at, batch.slice(at, _ROWS_AT_ONCE)) for at in range(0, len(batch), _ROWS_AT_ONCE)]
        for start, part in parts:  # made twice, so that a large batch need not be held as Python's objects
            _see(rows.page(part, start).documents, start, check)
        for start, part in parts:
            yield rows.page(part, start)
        first += len(batch)


def _opened(table: object) -> pa.RecordBatchReader:
    pa = arrow()
    try:
        if hasattr(table, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(table)
        batch = pa.record_batch(table)
        return pa.RecordBatchReader.from_batches(batch.schema, [batch])
    except (pa.ArrowException, TypeError) as error:
        raise _unreadable(type(table).__name__, error) from error


def _batches(reader: pa.RecordBatchReader, name: str) -> Iterator[pa.RecordBatch]:
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except arrow().ArrowException as error:
            raise _unreadable(name, error) from error
        yield batch


def _unreadable(name: str, error: Exception) -> InputError:
    return InputError(f"the {name} cannot be read as a table: {error}")


def _see(documents: list[dict[str, Any]], first: int, check: Check | None) -> None:
    if check is None:
        return
    for row, document in enumerate(documents, start=first):
        try:
            check(document)
        except InputError as error:
            raise InputError(f"row {row} (counted from 0): {error}") from error


class _Rows:
    """Makes documents of batches that all have one schema; raises InputError for a schema that cannot be."""

    def __init__(self, schema: pa.Schema) -> None:
        names = [name for name in schema.names if not _INDEX.fullmatch(name)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"the table has two columns {twice[0]!r}; rename one of them")
        if "text" not in names:
            raise InputError(
                f"the table has no column 'text', only {', '.join(map(repr, names)) or 'none'}; rename one"
            )
        if "vectors" in names and is_list(kind := schema.field("vectors").type) and is_list(kind.value_type):
            raise InputError(
                "the column 'vectors' has many vectors a row; `hybridstore export` and `import` carry them"
            )
        self._texts = [name for name in _TEXTS if name in names]
        for name in self._texts:
            kind = schema.field(name).type
            if not is_text(kind):
                raise InputError(f"the column {name!r} is {kind}, not text; cast it to strings first")
        self._vectors = VectorColumn(schema.field("vector").type) if "vector" in names else None
        self._metadata: Converter | None = to_metadata(schema.field("metadata").type) if "metadata" in names else None
        others = [name for name in names if name not in (*_TEXTS, "metadata", "vector")]
        self._others = {name: to_json(name, schema.field(name).type) for name in others}

    def page(self, batch: pa.RecordBatch, first: int) -> TablePage:
        """Make documents of a batch whose first row is row `first` of the table."""
        documents: list[dict[str, Any]] = [{} for _ in range(len(batch))]
        for name in self._texts:
            for row, (document, cell) in enumerate(
                zip(documents, cells_of(batch, name, first), strict=True), start=first
            ):
                if cell is not None:
                    document[name] = cell
                elif name == "text":
                    raise refused(name, row, "is null, and a document needs a text; leave the row out, or fill it")
        if self._metadata is not None:
            for document, cell in zip(
                documents, self._converted(batch, "metadata", self._metadata, first), strict=True
            ):
                document["metadata"] = cell or {}
        for name, converter in self._others.items():
            for document, cell in zip(documents, self._converted(batch, name, converter, first), strict=True):
                if cell is not None:
                    document.setdefault("metadata", {})[name] = cell
        return TablePage(documents, self._vectors.array(batch.column("vector"), first) if self._vectors else None)

    def _converted(self, batch: pa.RecordBatch, name: str, converter: Converter, first: int) -> Iterator[Any]:
        for row, cell in enumerate(cells_of(batch, name, first), start=first):
            try:
                yield None if cell is None else converter(cell)
            except ValueError as error:
                raise refused(name, row, str(error)) from error
