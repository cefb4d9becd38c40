"""Values of Python, NumPy and pandas as JSON's types, for metadata and for filters.

Dates, times and datetimes become ISO 8601; UUIDs and paths text; a Decimal a number; an Enum its value; NumPy's scalars
and arrays numbers and lists; sets sorted lists; NaN and infinity null. Nothing here imports NumPy or pandas.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from hybridstore.errors import InputError

_LARGEST = 2**63
_MOST_LEVELS = 200  # SQLite reads JSON of 1,000 levels
_NULLS = frozenset({"NaTType", "NAType"})  # pandas' missing values
_TAKEN = "numbers, text, true/false, null, lists, objects, dates, UUIDs, Decimals, paths, enums and NumPy's numbers"


def plain_scalar(value: Any) -> Any:
    """Return a single value as JSON's type, or the value itself where it is one already or cannot become one."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    converted = value
    match value:
        case Enum():
            converted = plain_scalar(value.value)
        case _ if type(value).__name__ in _NULLS:
            converted = None
        case date() | time():
            converted = value.isoformat()
        case Decimal():
            whole = value.is_finite() and value == value.to_integral_value() and value.adjusted() < 18
            converted = int(value) if whole else float(value)
        case UUID() | PurePath():
            converted = str(value)
        case _ if getattr(value, "shape", None) == () and hasattr(value, "dtype") and hasattr(value, "item"):
            dated = getattr(value.dtype, "kind", "") == "M"  # its item() is a number of nanoseconds
            converted = str(value.astype("U")) if dated else value.item()
            converted = None if dated and converted == "NaT" else converted
    return converted


def plain_object(values: Mapping[Any, Any], name: str) -> dict[str, Any]:
    """Return a mapping as a JSON object, copied.

    Raises InputError that names the place ('authors[2].born' in `name`) for what JSON cannot represent: bytes, other
    objects, two keys that are written alike, lone surrogates, and what contains itself.
    """
    if all(map(_is_plain, values, values.values())):
        return dict(values)
    try:
        text = json.dumps(dict(values), allow_nan=False, ensure_ascii=False)
        text.encode()
        copy: dict[str, Any] = json.loads(text)
        if len(copy) == len(values):
            return copy
    except (TypeError, ValueError, RecursionError):
        pass  # the slower way below converts what json cannot, and says what it is
    plain: dict[str, Any] = _object(values, name, "", 0)
    return plain


def _is_plain(key: Any, value: Any) -> bool:
    """Return whether this is a name in ASCII and a value that JSON has, as most metadata are."""
    if type(key) is not str or not key.isascii():
        return False
    if type(value) is int:
        return -_LARGEST <= value < _LARGEST
    return value is None or type(value) is bool or (type(value) is str and value.isascii())


def _object(values: Mapping[Any, Any], name: str, path: str, level: int) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for given, value in values.items():
        key = plain_scalar(given)
        if not (key is None or isinstance(key, str | int | float)):
            raise InputError(f"{_at(name, path)} has the key {given!r}; the keys of JSON are texts")
        key = key if isinstance(key, str) else json.dumps(key)
        _check_text(key, name, path)
        if key in plain:
            raise InputError(f"{_at(name, path)} has two keys that are written {key!r}; rename one")
        plain[key] = _plain(value, name, f"{path}.{key}" if path else key, level + 1)
    return plain


def _plain(value: Any, name: str, path: str, level: int) -> Any:
    if level > _MOST_LEVELS:
        raise InputError(f"{_at(name, path[:80])}… is over {_MOST_LEVELS} levels deep, or contains itself; flatten it")
    value = plain_scalar(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        _check_text(value, name, path)
        return value
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return _object(value, name, path, level)
    if isinstance(value, bytes | bytearray | memoryview):
        raise InputError(f"{_at(name, path)} is bytes; decode them to text, or write them as base64")
    if isinstance(value, AbstractSet):
        members = [_plain(member, name, f"{path}[…]", level + 1) for member in value]
        return sorted(members, key=json.dumps)  # a set has no order, and equal content must stay equal
    return [_plain(member, name, f"{path}[{n}]", level + 1) for n, member in enumerate(_members(value, name, path))]


def _members(value: Any, name: str, path: str) -> Iterable[Any]:
    """Return the members of a sequence or an array."""
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        members = value.astype("U").tolist() if kind == "M" else value.tolist()
        return [None if member == "NaT" else member for member in members] if kind == "M" else members
    if isinstance(value, Sequence):
        return value
    what = f"of the type {type(value).__name__}"
    raise InputError(f"{_at(name, path)} is {what}; metadata takes {_TAKEN}: convert it, for example with str()")


def _check_text(text: str, name: str, path: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{_at(name, path)} contains half of a character (a lone surrogate), which cannot be stored"
            ) from error


def _at(name: str, path: str) -> str:
    return f"{path!r} in {name}" if path else name
