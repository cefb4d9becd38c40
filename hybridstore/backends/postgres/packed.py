"""Columns read as one value: a server sends a million numbers in one `bytea` sooner than a thousand rows.

Also the checks of what is read, which NumPy relies on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.postgres.connection import Connection, rows

FLOAT = np.dtype("<f4")
NO_IDS = np.empty(0, np.int64)


def ids(connection: Connection, expression: str, rest: str, *values: object) -> NDArray[np.int64]:
    """Return a bigint of all rows of `rest` ("FROM … WHERE …"), ascending."""
    (found,) = numbers(connection, [expression], f"{rest} ORDER BY 1", *values)
    return found


def numbers(connection: Connection, expressions: Sequence[str], rest: str, *values: object) -> list[NDArray[np.int64]]:
    """Return bigints of all rows of `rest`, which says in which order they are, as one array for each expression."""
    names = [f"c{n}" for n in range(len(expressions))]
    inner = ", ".join(f"({each})::bigint AS {name}" for each, name in zip(expressions, names, strict=True))
    joined = ", ".join(f"string_agg(int8send({name}), ''::bytea)" for name in names)
    ((*blobs,),) = rows(connection, f"SELECT {joined} FROM (SELECT {inner} {rest}) AS ordered", *values)
    return [np.frombuffer(blob or b"", ">i8").astype(np.int64) for blob in blobs]


def text(stored: bytes) -> str:
    """Return a text from its bytes."""
    return stored.decode()


def json_object(stored: bytes | str) -> dict[str, Any]:
    """Return an object from its JSON."""
    if stored == b"{}":  # what most documents have
        return {}
    found = json.loads(stored)
    if not isinstance(found, dict):
        raise TypeError("there is no JSON object where one belongs")
    return found


def float_rows(blobs: Sequence[bytes], dim: int) -> NDArray[np.float32]:
    """Return vectors (n, dim) from their bytes."""
    if any(len(blob) != FLOAT.itemsize * dim for blob in blobs):
        raise ValueError(f"a vector has not the {dim} dimensions of its embedding")
    return np.frombuffer(b"".join(blobs), dtype=FLOAT).reshape(-1, dim)
