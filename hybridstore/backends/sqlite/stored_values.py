"""Values out of a file, checked before NumPy or anything else relies on their type, form and length.

A damaged or hostile file may hold anything in any column. `apsw.CorruptError` is what SQLite itself raises for damage.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.codecs.kept_vectors import codec_of

_LARGEST = 1 << 60


def vector_rows(blobs: Sequence[object], dim: int) -> NDArray[np.float32]:
    """Return vectors (n, dim) from their bytes, each of the codec that its length says."""
    found = [blob for blob in blobs if type(blob) is bytes]
    codecs = {size: codec_of(size, dim) for size in {len(blob) for blob in found}}
    known = {size: codec for size, codec in codecs.items() if codec is not None}
    if len(found) < len(blobs) or len(known) < len(codecs):
        raise apsw.CorruptError(f"a vector has not the {dim} dimensions of its embedding")
    if len(known) == 1:
        return next(iter(known.values())).decode(b"".join(found), dim)
    vectors = [known[len(blob)].decode(blob, dim) for blob in found]
    return np.concatenate(vectors or [np.empty((0, dim), np.float32)])


def integers(lines: str, separator: str = "\n") -> NDArray[np.int64]:
    """Return the integers of a text."""
    if not lines:
        return np.empty(0, np.int64)
    try:
        found = np.fromstring(lines, np.int64, sep=separator)
    except (DeprecationWarning, ValueError, TypeError) as error:
        raise apsw.CorruptError("a value that should be an integer is not") from error
    if len(found) != lines.count(separator) + 1:
        raise apsw.CorruptError("a value that should be an integer is not")
    return found


def json_object(text: object) -> dict[str, Any]:
    """Return an object from its JSON."""
    if text == "{}":  # what most documents have
        return {}
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise apsw.CorruptError("there is no JSON object where one belongs")
    return found


def json_lists(text: object, length: int) -> list[list[Any]]:
    """Return a list of lists of this length from its JSON."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(row, list) and len(row) == length for row in found):
        raise apsw.CorruptError("there is no JSON list where one belongs")
    return found


def whole_number(value: object) -> int:
    """Return a value that must be an integer, and can be counted up."""
    if type(value) is not int:
        raise apsw.CorruptError(f"there is {type(value).__name__} where an integer belongs")
    if not 0 <= value < _LARGEST:
        raise apsw.CorruptError(f"{value} is not a number that a store has counted to")
    return value


def check_types(values: Sequence[object], kinds: str) -> None:
    """Check a row: "t" for text, "T" for text or NULL, "i" for an integer, "b" for bytes, "." for anything."""
    if list(map(type, values)) == _usual_types(kinds):
        return
    for value, kind in zip(values, kinds, strict=True):
        if type(value) not in _TYPES[kind]:
            raise apsw.CorruptError(f"there is {type(value).__name__} in a column where {_NAMES[kind]} belongs")


_TYPES: dict[str, tuple[type, ...]] = {
    "t": (str,),
    "T": (str, type(None)),
    "i": (int,),
    "b": (bytes,),
    ".": (str, int, float, bytes, type(None)),
}
_NAMES = {"t": "text", "T": "text", "i": "an integer", "b": "a BLOB"}


@cache
def _usual_types(kinds: str) -> list[type]:
    return [_TYPES[kind][0] for kind in kinds]


def varints(data: bytes) -> Iterator[int]:
    """Yield SQLite's variable-length integers (https://sqlite.org/fileformat2.html#varint) one after another."""
    number = count = 0
    for byte in data:
        count += 1
        if count == 9:  # the ninth byte counts whole
            yield number << 8 | byte
        elif byte & 0x80:
            number = number << 7 | byte & 0x7F
            continue
        else:
            yield number << 7 | byte
        number = count = 0
