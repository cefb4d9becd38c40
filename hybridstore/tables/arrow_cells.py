"""Conversion of Arrow cells to what a document holds (strings, JSON, vectors), by the column's type."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hybridstore.errors import InputError
from hybridstore.tables.table_writing import arrow

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

Converter = Callable[[Any], Any]
"""Converts a cell that is not null to JSON; raises ValueError with the reason if it cannot."""


def cell_error(column: str, row: int, reason: str) -> InputError:
    """Return the error for a cell that cannot be used."""
    return InputError(f"column {column!r}, row {row} (counted from 0): {reason}")


def is_text(kind: pa.DataType) -> bool:
    """Return whether columns of this type hold strings (or only null)."""
    types = arrow().types
    kind = _value_type(kind)
    tests = (types.is_string, types.is_large_string, types.is_string_view, types.is_null)
    return any(test(kind) for test in tests)


def is_list(kind: pa.DataType) -> bool:
    """Return whether columns of this type hold lists."""
    types = arrow().types
    return any(test(kind) for test in (types.is_list, types.is_large_list, types.is_fixed_size_list))


def cells_of(batch: pa.RecordBatch, name: str, first: int) -> list[Any]:
    """Return a column's cells as Python values; raises InputError for a cell that Python has no value for."""
    column = batch.column(name)
    try:
        cells: list[Any] = column.to_pylist()
    except ValueError:  # pyarrow does not say which cell it was
        cells = []
        for row, cell in enumerate(column, start=first):
            try:
                cells.append(cell.as_py())
            except ValueError as error:
                raise cell_error(name, row, f"cannot be read ({error})") from error
    return cells


def metadata_converter(kind: pa.DataType) -> Converter:
    """Return the converter for the "metadata" column: structs, maps, or JSON objects as strings."""
    types = arrow().types
    if types.is_struct(kind) or types.is_map(kind) or types.is_null(kind):
        return json_converter("metadata", kind)
    if is_text(kind):
        return _parse_object
    raise InputError(f"the column 'metadata' is {kind}; it must be structs, maps, or JSON objects as strings")


def json_converter(name: str, kind: pa.DataType) -> Converter:
    """Return the converter for a column of this type; raises InputError for a type with no equivalent in JSON."""
    types = arrow().types
    kind = _value_type(kind)
    if is_text(kind) or types.is_boolean(kind) or types.is_integer(kind):
        return lambda cell: cell
    if types.is_floating(kind):
        return _finite
    if types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind):
        return lambda cell: str(cell.isoformat())
    if types.is_map(kind):
        if not is_text(kind.key_type):
            raise InputError(f"the column {name!r} has maps with keys of type {kind.key_type}; JSON needs strings")
        return _from_map(json_converter(name, kind.item_type))
    if types.is_struct(kind):
        return _from_struct({part.name: json_converter(name, part.type) for part in kind})
    if is_list(kind):
        return _from_list(json_converter(name, kind.value_type))
    raise InputError(
        f"the column {name!r} is {kind}, which metadata cannot hold (it must be JSON); cast it to strings or numbers, "
        "or leave it out"
    )


class VectorColumn:
    """Converts a column of vectors batch by batch; all its vectors have the same length.

    Raises InputError if the type is not a list of floats.
    """

    def __init__(self, kind: pa.DataType) -> None:
        types = arrow().types
        if not is_list(kind) or not types.is_floating(kind.value_type):
            raise InputError(f"the column 'vector' is {kind}; a vector is a list of floats")
        self._dim: int | None = kind.list_size if types.is_fixed_size_list(kind) else None

    def array(self, column: pa.Array, first: int) -> NDArray[np.float32]:
        """Return the vectors, (n, dim), of a column that starts at row `first` of the table.

        Raises InputError for the first row that is null, of another length, or holds null, NaN or infinity.
        """
        import numpy as np
        import pyarrow.compute as pc

        for row, length in enumerate(pc.list_value_length(column).to_pylist(), start=first):
            if length is None:
                raise cell_error("vector", row, "is null; give every row a vector, or leave the column out")
            self._dim = length if self._dim is None else self._dim
            if length != self._dim or not length:
                raise cell_error("vector", row, f"has {length} numbers, but the first vector has {self._dim}")
        numbers = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)  # null becomes NaN
        array: NDArray[np.float32] = numbers.reshape(len(column), self._dim or 1)
        unusable = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if len(unusable):
            raise cell_error("vector", first + int(unusable[0]), "holds null, NaN, or a number beyond float32")
        return array


def _value_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values inside dictionary-encoded, run-end-encoded and extension types."""
    pa = arrow()
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return kind.value_type
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _finite(cell: float) -> float:
    if not math.isfinite(cell):
        raise ValueError(f"is {cell}, which is not valid JSON; make it null, or leave the column out")
    return cell


def _parse_object(cell: str) -> dict[str, Any]:
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise ValueError(f"is not a JSON object: {cell[:60]}")  # noqa: TRY004 - reported like every other bad cell
    return value


def _from_map(inner: Converter) -> Converter:
    def convert(cell: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(cell)) < len(cell):
            raise ValueError("has a key twice")
        return {key: None if value is None else inner(value) for key, value in cell}

    return convert


def _from_struct(inner: dict[str, Converter]) -> Converter:
    # Every row of a struct has all its fields, with null for those the row lacks.
    return lambda cell: {name: inner[name](value) for name, value in cell.items() if value is not None}


def _from_list(inner: Converter) -> Converter:
    return lambda cell: [None if value is None else inner(value) for value in cell]
