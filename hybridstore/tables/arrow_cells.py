"""A table's cells as what a document can hold: texts, JSON and vectors, by the type that Arrow gives a column."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hybridstore.errors import InputError
from hybridstore.tables.table_columns import arrow

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

Converter = Callable[[Any], Any]
"""Makes JSON of a cell that is not null; raises ValueError, which says why, where it cannot."""


def refused(column: str, row: int, why: str) -> InputError:
    """Give the error for a cell."""
    return InputError(f"column {column!r}, row {row} (counted from 0): {why}")


def is_text(kind: pa.DataType) -> bool:
    """Say whether a column of this type holds texts, or nothing but null."""
    types = arrow().types
    kind = _plain(kind)
    return bool(
        types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind)
    )


def cells_of(batch: pa.RecordBatch, name: str, first: int) -> list[Any]:
    """Give a column's cells as Python's values; raises InputError for one that Python has no value for."""
    column = batch.column(name)
    try:
        cells: list[Any] = column.to_pylist()
    except ValueError:  # which cell it was is only known by trying each
        cells = []
        for row, cell in enumerate(column, start=first):
            try:
                cells.append(cell.as_py())
            except ValueError as error:
                raise refused(name, row, f"cannot be read ({error})") from error
    return cells


def to_metadata(kind: pa.DataType) -> Converter:
    """Give the converter of a column of whole metadata: structs, maps, or JSON objects as texts."""
    types = arrow().types
    if types.is_struct(kind) or types.is_map(kind) or types.is_null(kind):
        return to_json("metadata", kind)
    if is_text(kind):
        return _parsed
    raise InputError(f"the column 'metadata' is {kind}; it must be structs, maps, or JSON objects as texts")


def to_json(name: str, kind: pa.DataType) -> Converter:
    """Give the converter of a column of this type; raises InputError for a type that JSON has nothing for."""
    types = arrow().types
    kind = _plain(kind)
    if is_text(kind) or types.is_boolean(kind) or types.is_integer(kind):
        return _as_it_is
    if types.is_floating(kind):
        return _finite
    if types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind):
        return _iso
    if types.is_map(kind):
        if not is_text(kind.key_type):
            raise InputError(f"the column {name!r} has maps with keys that are {kind.key_type}, not text")
        return _mapping(to_json(name, kind.item_type))
    if types.is_struct(kind):
        return _structure({part.name: to_json(name, part.type) for part in kind})
    if is_list(kind):
        return _listing(to_json(name, kind.value_type))
    raise InputError(
        f"the column {name!r} is {kind}, which metadata cannot hold (it must be JSON); cast it to text or to numbers, "
        "or leave it out"
    )


class VectorColumn:
    """Makes arrays of a column of vectors, batch by batch; all its vectors are of one length.

    Raises InputError for a type that is no list of floats.
    """

    def __init__(self, kind: pa.DataType) -> None:
        types = arrow().types
        if not is_list(kind) or not types.is_floating(kind.value_type):
            raise InputError(f"the column 'vector' is {kind}; a vector is a list of floats")
        self._dim: int | None = kind.list_size if types.is_fixed_size_list(kind) else None

    def array(self, column: pa.Array, first: int) -> NDArray[np.float32]:
        """Give the column's vectors, (n, dim); its first row is row `first` of the table.

        Raises InputError for the first row that is null, of another length, or holds null, NaN or infinity.
        """
        import numpy as np
        import pyarrow.compute as pc

        for row, length in enumerate(pc.list_value_length(column).to_pylist(), start=first):
            if length is None:
                raise refused("vector", row, "is null; give every row a vector, or leave the column out")
            self._dim = length if self._dim is None else self._dim
            if length != self._dim or not length:
                raise refused("vector", row, f"has {length} numbers, but the first vector has {self._dim}")
        numbers = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)  # null becomes NaN
        array: NDArray[np.float32] = numbers.reshape(len(column), self._dim or 1)
        unusable = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if len(unusable):
            raise refused("vector", first + int(unusable[0]), "holds null, NaN, or a number beyond float32")
        return array


def is_list(kind: pa.DataType) -> bool:
    """Say whether a column of this type holds lists."""
    types = arrow().types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _plain(kind: pa.DataType) -> pa.DataType:
    """Give the type of the values, where these are kept in a dictionary or have a name of their own."""
    pa = arrow()
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return kind.value_type
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _as_it_is(cell: Any) -> Any:
    return cell


def _finite(cell: float) -> float:
    if not math.isfinite(cell):
        raise ValueError(f"is {cell}, which JSON does not know; make it null, or leave the column out")
    return cell


def _iso(cell: Any) -> str:
    return str(cell.isoformat())


def _parsed(cell: str) -> dict[str, Any]:
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"is JSON, but no object: {cell[:60]}")  # noqa: TRY004 - told as every other bad cell is
    return found


def _mapping(inner: Converter) -> Converter:
    def converter(cell: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(cell)) < len(cell):
            raise ValueError("has a key twice")
        return {key: None if value is None else inner(value) for key, value in cell}

    return converter


def _structure(inner: dict[str, Converter]) -> Converter:
    # A struct has all its fields in every row, and null where a row has no such field.
    return lambda cell: {name: inner[name](value) for name, value in cell.items() if value is not None}


def _listing(inner: Converter) -> Converter:
    return lambda cell: [None if value is None else inner(value) for value in cell]
