"""What a table's columns are called and hold, told without the package that makes tables."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from hybridstore.errors import MissingExtra

Kind = Literal["text", "integer", "number", "texts", "json", "vectors"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, what its cells hold, and whether a cell may be null.

    "text" is a string, "integer" an int64, "number" a float64, "texts" a list of strings. "json" is any JSON value,
    written as a string of JSON, for Arrow has no type for what differs from row to row. "vectors" is a list of float32
    vectors, each of `dim` numbers.
    """

    name: str
    kind: Kind = "text"
    nullable: bool = False
    dim: int = 0


COLUMNS_OF_DOCUMENTS = (
    Column("id"),
    Column("text"),
    Column("title"),
    Column("uri"),
    Column("metadata", "json"),
    Column("format"),
)
"""The columns of a table of documents: a Document's fields."""


def arrow() -> ModuleType:
    """Give the package that makes tables; raises MissingExtra where it is not installed."""
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtra("arrow", "exchanging tables", "pyarrow") from error
    package: ModuleType = pa
    return package


def schema_of(columns: tuple[Column, ...]) -> Any:
    """Give the Arrow schema of the columns."""
    pa = arrow()
    plain = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "texts": pa.list_(pa.string()),
        "json": pa.string(),
    }
    return pa.schema(
        [
            pa.field(
                column.name,
                pa.list_(pa.list_(pa.float32(), column.dim)) if column.kind == "vectors" else plain[column.kind],
                column.nullable,
            )
            for column in columns
        ]
    )
