"""Matching: filters applied to documents in memory, the reference for every other way of filtering."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hybridstore.errors import InputError
from hybridstore.filters.text_tests import compared_instant, found, instant, same_ignoring_case
from hybridstore.filters.tree import INT64, And, Comparison, Filter, Not, Or, Paths, field_path, kind_of

Predicate = Callable[[Mapping[str, Any], Mapping[str, str]], bool]
"""Returns whether a document passes, by its metadata (JSON values) and its own "id", "title" and "uri"."""

_TESTS: dict[str, Callable[[Any, Any], object]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "prefix": lambda value, operand: value.startswith(operand),
    # A number contains nothing; lists are handled before this.
    "contains": lambda value, operand: isinstance(value, str) and operand in value,
    "ieq": same_ignoring_case,
    "regex": found,
}
DATED = ("eq", "in", "gt", "gte", "lt", "lte")
"""The comparisons with a date or time that are about instants, in metadata."""
_MISSING = object()


def matches(
    filter: Filter | None,  # noqa: A002 - the plain word
    metadata: Mapping[str, Any],
    *,
    id: str = "",  # noqa: A002 - the name of the field
    title: str = "",
    uri: str = "",
) -> bool:
    """Return whether a document with this metadata (JSON values) passes; every document passes None."""
    return predicate(filter)(metadata, {"id": id, "title": title, "uri": uri})


def predicate(filter: Filter | None) -> Predicate:  # noqa: A002 - the plain word
    """Return a filter as a function of one document; building it takes longer than calling it."""
    match filter:
        case None:
            return lambda metadata, own: True  # noqa: ARG005 - every document passes
        case And(members):
            return _all([predicate(member) for member in members])
        case Or(members):
            parts = [predicate(member) for member in members]
            return lambda metadata, own: any(part(metadata, own) for part in parts)
        case Not(member):
            negated = predicate(member)
            return lambda metadata, own: not negated(metadata, own)
        case Comparison(name, sign, operand):
            path = field_path(name)
            return _of_field(path, _value_test(sign, operand, dates=not isinstance(path, str)))
    raise InputError(f"make a filter with parse or field(…); {filter!r} is not one")


def _all(parts: Sequence[Predicate]) -> Predicate:
    def passes(metadata: Mapping[str, Any], own: Mapping[str, str]) -> bool:
        for part in parts:  # noqa: SIM110 - all(…) takes half as long again, and most filters are an And
            if not part(metadata, own):
                return False
        return True

    return passes


def value_at(metadata: Mapping[str, Any], paths: Paths, missing: object) -> Any:
    """Return the value that the first path to one leads to; `missing` where none does."""
    for path in paths:
        value: Any = metadata
        for key in path:
            # The exact type first: a check for the abstract class takes three times as long.
            value = value.get(key, missing) if type(value) is dict or isinstance(value, Mapping) else missing
        if value is not missing:
            return value
    return missing


def _of_field(path: str | Paths, test: Callable[[Any], bool]) -> Predicate:
    if isinstance(path, str):
        return lambda metadata, own: test(own[path])  # noqa: ARG005 - one of the document's own fields
    return lambda metadata, own: test(value_at(metadata, path, _MISSING))  # noqa: ARG005 - as above


def _value_test(sign: str, operand: Any, *, dates: bool) -> Callable[[Any], bool]:
    """Return whether the comparison holds for a value, as a function; a missing value is _MISSING."""
    if sign == "exists":
        return lambda value: (value is not _MISSING) is operand
    if sign in ("ne", "nin"):
        negated = _value_test("eq" if sign == "ne" else "in", operand, dates=dates)
        return lambda value: not negated(value)
    if sign == "in":
        members = [_value_test("eq", member, dates=dates) for member in operand]
        return lambda value: any(equals(value) for equals in members)
    holds = _scalar_test(sign, operand, dates=dates)
    of_element = _scalar_test("eq", operand, dates=dates) if sign == "contains" else holds
    return lambda value: any(map(of_element, value)) if isinstance(value, list | tuple) else holds(value)


def _scalar_test(sign: str, operand: Any, *, dates: bool) -> Callable[[Any], bool]:
    kind, test = kind_of(operand), _TESTS[sign]
    wanted = compared_instant(operand) if dates and sign in DATED else None
    if wanted is None:
        return lambda value: kind_of(value) == kind and bool(test(_as_stored(value), operand))

    def holds(value: Any) -> bool:
        at = instant(value) if isinstance(value, str) else None
        return at is not None and bool(test(at, wanted))

    return holds


def _as_stored(value: Any) -> Any:
    if not isinstance(value, int) or value in INT64:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def passes_all(node: Filter) -> bool:
    """Return whether a filter restricts nothing, whatever is stored: And(()), an empty prefix, `nin []` and the like.

    Before a delete, such a filter should be an explicit choice.
    """
    match node:
        case And(members):
            return all(passes_all(member) for member in members)
        case Or(members):
            return any(passes_all(member) for member in members)
        case Not(member):
            return _passes_none(member)
        case Comparison(_, "prefix" | "contains" | "regex", value):
            return bool(value == "")
        case Comparison(_, "nin", value):
            return not value
    return False


def _passes_none(node: Filter) -> bool:
    match node:
        case Or(members):
            return all(_passes_none(member) for member in members)
        case And(members):
            return any(_passes_none(member) for member in members)
        case Not(member):
            return passes_all(member)
        case Comparison(_, "in", value):
            return not value
    return False
