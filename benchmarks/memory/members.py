"""Typed access to members of JSON objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from hybridstore.errors import InputError

Kind = TypeVar("Kind")

_NAMES = {str: "a string", list: "a list", dict: "an object", int: "a whole number"}


def member(row: Any, name: str, kind: type[Kind], where: str) -> Kind:
    """Return a member of an object; raises InputError with its location if it is missing or of another type."""
    if not isinstance(row, Mapping):
        raise InputError(f"{where}: here should be an object with {name!r}, not {type(row).__name__}")
    if name not in row:
        raise InputError(f"{where}: {name!r} is missing")
    return of_kind(row[name], kind, f"{where}: {name!r}")


def of_kind(value: Any, kind: type[Kind], what: str) -> Kind:
    """Return a value of the expected type, else raise InputError."""
    if not isinstance(value, kind):
        raise InputError(f"{what} should be {_NAMES[kind]}, not {type(value).__name__}")
    return value
