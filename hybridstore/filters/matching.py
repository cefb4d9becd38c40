"""A filter held against documents in memory: what every other way of filtering must agree with."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hybridstore.errors import InputError
from hybridstore.filters.tree import INT64, And, Comparison, Filter, Not, Or, kind_of, place_of

Test = Callable[[Mapping[str, Any], Mapping[str, str]], bool]
"""Tells whether a document passes: its metadata (JSON values), and its own "id", "title" and "uri"."""

_TESTS: dict[str, Callable[[Any, Any], object]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "prefix": lambda value, wanted: value.startswith(wanted),
    # a number contains no number: only texts, and lists before it comes to this, contain anything
    "contains": lambda value, wanted: isinstance(value, str) and wanted in value,
}
_MISSING = object()


def matches(
    filter: Filter | None,  # noqa: A002 - the word for it
    metadata: Mapping[str, Any],
    *,
    id: str = "",  # noqa: A002 - the document's own word
    title: str = "",
    uri: str = "",
) -> bool:
    """Tell whether a document with this metadata (JSON values) passes; None passes everything."""
    return matching(filter)(metadata, {"id": id, "title": title, "uri": uri})


def matching(filter: Filter | None) -> Test:  # noqa: A002 - the word for it
    """Give a filter as a test of many documents: it is read once, which takes longer than a test."""
    match filter:
        case None:
            return lambda metadata, own: True  # noqa: ARG005 - whatever they are
        case And(members):
            return _all([matching(member) for member in members])
        case Or(members):
            tests = [matching(member) for member in members]
            return lambda metadata, own: any(test(metadata, own) for test in tests)
        case Not(member):
            denied = matching(member)
            return lambda metadata, own: not denied(metadata, own)
        case Comparison(name, sign, wanted):
            return _comparing(place_of(name), _holding(sign, wanted))
    raise InputError(f"a filter is made with parse or field(…), not {filter!r}")


def _all(tests: Sequence[Test]) -> Test:
    def passes(metadata: Mapping[str, Any], own: Mapping[str, str]) -> bool:
        for test in tests:  # noqa: SIM110 - all(…) of a generator takes half as long again, and most filters are one
            if not test(metadata, own):
                return False
        return True

    return passes


def _comparing(place: str | tuple[str, ...], holds: Callable[[Any], bool]) -> Test:
    if isinstance(place, str):
        return lambda metadata, own: holds(own[place])  # noqa: ARG005 - it is the document's own field

    def test(metadata: Mapping[str, Any], own: Mapping[str, str]) -> bool:  # noqa: ARG001 - as above
        value: Any = metadata
        for key in place:
            # The type first: asking for the abstract class takes three times as long.
            value = value.get(key, _MISSING) if type(value) is dict or isinstance(value, Mapping) else _MISSING
        return holds(value)

    return test


def _holding(sign: str, wanted: Any) -> Callable[[Any], bool]:
    """Give whether a comparison holds for a value, which is _MISSING where there is none."""
    if sign == "exists":
        return lambda value: (value is not _MISSING) is wanted
    if sign in ("in", "nin"):
        equal = [_holding("eq", one) for one in wanted]
        return lambda value: any(holds(value) for holds in equal) is (sign == "in")
    equals = _holding("eq", wanted) if sign in ("ne", "contains") else None
    if sign == "ne" and equals:
        return lambda value: not equals(value)
    kind, test = kind_of(wanted), _TESTS[sign]

    def holds(value: Any) -> bool:
        if equals is not None and isinstance(value, list | tuple):  # only "contains" comes to this
            return any(equals(element) for element in value)
        return kind_of(value) == kind and bool(test(_as_stored(value), wanted))

    return holds


def _as_stored(value: Any) -> Any:
    if not isinstance(value, int) or value in INT64:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
