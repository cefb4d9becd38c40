"""Rows as tables: lists of dictionaries, Arrow, pandas, and anything that reads Arrow's C data interface."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hybridstore.errors import MissingExtra

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

BATCH_ROWS = 1_000

Kind = Literal["text", "integer", "number", "texts", "json", "vectors"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, the kind of its cells, and whether a cell may be null.

    "integer" is int64, "number" float64, "texts" a list of strings. "json" is any JSON value, written as a string
    because Arrow has no type for what differs from row to row. "vectors" is a list of float32 vectors of length `dim`.
    """

    name: str
    kind: Kind = "text"
    nullable: bool = False
    dim: int = 0


DOCUMENT_COLUMNS = (
    Column("id"),
    Column("text"),
    Column("title"),
    Column("uri"),
    Column("metadata", "json"),
    Column("format"),
)
"""The columns of a table of documents: the fields of Document."""


class Tabular:
    """Mixin for an iterable whose items are the rows of a table.

    A subclass names its `columns`; a cell is the item's attribute of that name (override `rows` for anything else).
    The columns are the same however many rows there are, including none.
    """

    __slots__ = ()
    columns: ClassVar[tuple[Column, ...]] = ()

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Return the rows as mappings from column name to Python value."""
        names = [column.name for column in self.columns]
        items: Any = self
        return ({name: getattr(item, name) for name in names} for item in items)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries ready for JSON; metadata stays a dictionary."""
        return [to_plain(row) for row in self.rows()]

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table, metadata as JSON strings. Raises MissingExtra without pyarrow."""
        return reader(self.columns, self.rows()).read_all()

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas frame, metadata as JSON strings. Raises MissingExtra without pyarrow and pandas.

        Integers are pandas' `Int64`, so a column has the same type whether or not a rank is missing.
        """
        table = self.to_arrow()
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtra("pandas", "a frame of pandas", "pandas") from error
        return table.to_pandas(types_mapper={arrow().int64(): pd.Int64Dtype()}.get)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return an ArrowArrayStream capsule, through which polars, DuckDB, pandas and others read the rows.

        See https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html.
        """
        return self.to_arrow().__arrow_c_stream__(requested_schema)


def to_plain(value: Any) -> Any:
    """Return a value in terms that JSON knows: dataclasses and mappings as dictionaries, sequences and arrays as lists.

    Arrays become Python numbers; strings, numbers, booleans and None are unchanged.
    """
    if isinstance(value, Mapping):
        return {name: to_plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(part) for part in value]
    if is_dataclass(value):
        return {part.name: to_plain(getattr(value, part.name)) for part in fields(value)}
    return value.tolist() if hasattr(value, "tolist") else value


def arrow() -> ModuleType:
    """Return the package pyarrow; raises MissingExtra if it is not installed."""
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtra("arrow", "exchanging tables", "pyarrow") from error
    package: ModuleType = pa
    return package


def reader(columns: tuple[Column, ...], rows: Iterable[Mapping[str, Any]]) -> pa.RecordBatchReader:
    """Return rows as a stream of Arrow batches, of which only one is in memory at a time; `.read_all()` makes a table.

    Raises MissingExtra without pyarrow.
    """
    schema = _schema(columns)
    return arrow().RecordBatchReader.from_batches(schema, _batches(schema, columns, iter(rows)))


def _schema(columns: tuple[Column, ...]) -> pa.Schema:
    pa = arrow()
    types = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "texts": pa.list_(pa.string()),
        "json": pa.string(),
    }

    def type_of(column: Column) -> Any:
        return pa.list_(pa.list_(pa.float32(), column.dim)) if column.kind == "vectors" else types[column.kind]

    return pa.schema([pa.field(column.name, type_of(column), column.nullable) for column in columns])


def _batches(
    schema: pa.Schema, columns: tuple[Column, ...], rows: Iterator[Mapping[str, Any]]
) -> Iterator[pa.RecordBatch]:
    json_columns = {column.name for column in columns if column.kind == "json"}
    while page := list(islice(rows, BATCH_ROWS)):
        cells = [{name: _as_json(cell) if name in json_columns else cell for name, cell in row.items()} for row in page]
        yield arrow().RecordBatch.from_pylist(cells, schema=schema)


def _as_json(value: Any) -> str | None:
    return None if value is None else json.dumps(to_plain(value), ensure_ascii=False)
