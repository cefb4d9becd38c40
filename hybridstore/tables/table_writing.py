"""Rows as tables: of dictionaries, for Arrow, for pandas, and for whatever reads Arrow's C data interface."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from hybridstore.errors import MissingExtra
from hybridstore.tables.table_columns import Column, arrow, schema_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_ROWS_AT_ONCE = 1_000


class Tabular:
    """What can be iterated over, one row an item, as a table.

    A class that takes this in says in `columns` what its rows have; a row's cell is its item's attribute of that name
    (override `rows` where it is not). The columns are the same however many rows there are, with none too.
    """

    __slots__ = ()
    columns: ClassVar[tuple[Column, ...]] = ()

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Give the rows, cells by the names of `columns`, as Python's own values."""
        names = [column.name for column in self.columns]
        items: Any = self
        return ({name: getattr(item, name) for name in names} for item in items)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Give the rows as dictionaries, ready for JSON: metadata as a dictionary, several texts as a list."""
        return [{name: _plain(cell) for name, cell in row.items()} for row in self.rows()]

    def to_arrow(self) -> pa.Table:
        """Give the rows as an Arrow table; metadata is a string of JSON. Raises MissingExtra without pyarrow."""
        return reader(self.columns, self.rows()).read_all()

    def to_pandas(self) -> pd.DataFrame:
        """Give the rows as a pandas frame; metadata is a string of JSON.

        Integers are pandas' `Int64`, so that a column is of one type whether or not a rank is missing. Raises
        MissingExtra without pyarrow or pandas.
        """
        table = self.to_arrow()
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtra("pandas", "a frame of pandas", "pandas") from error
        return table.to_pandas(types_mapper={arrow().int64(): pd.Int64Dtype()}.get)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Give an ArrowArrayStream in a capsule, by which polars, DuckDB, pandas and others take the rows.

        See https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html.
        """
        return self.to_arrow().__arrow_c_stream__(requested_schema)


def reader(columns: tuple[Column, ...], rows: Iterable[Mapping[str, Any]]) -> pa.RecordBatchReader:
    """Give rows as a stream of Arrow batches, of which one is in memory at a time; `.read_all()` makes a table of it.

    Raises MissingExtra without pyarrow.
    """
    schema = schema_of(columns)
    return arrow().RecordBatchReader.from_batches(schema, _batches(schema, columns, iter(rows)))


def _batches(
    schema: pa.Schema, columns: tuple[Column, ...], rows: Iterator[Mapping[str, Any]]
) -> Iterator[pa.RecordBatch]:
    pa = arrow()
    written = {column.name for column in columns if column.kind == "json"}
    while page := list(islice(rows, _ROWS_AT_ONCE)):
        cells = [{name: _as_json(cell) if name in written else cell for name, cell in row.items()} for row in page]
        yield pa.RecordBatch.from_pylist(cells, schema=schema)


def _as_json(value: Any) -> str | None:
    return None if value is None else json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
