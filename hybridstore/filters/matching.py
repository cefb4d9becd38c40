"""A filter held against one document in memory: what every other way of filtering must agree with."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from hybridstore.errors import InputError
from hybridstore.filters.tree import INT64, And, Comparison, Filter, Not, Or, kind_of, place_of

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
    match filter:
        case None:
            return True
        case And(members):
            return all(matches(member, metadata, id=id, title=title, uri=uri) for member in members)
        case Or(members):
            return any(matches(member, metadata, id=id, title=title, uri=uri) for member in members)
        case Not(member):
            return not matches(member, metadata, id=id, title=title, uri=uri)
        case Comparison(name, sign, wanted):
            place = place_of(name)
            value: Any = {"id": id, "title": title, "uri": uri}[place] if isinstance(place, str) else metadata
            for key in () if isinstance(place, str) else place:
                value = value.get(key, _MISSING) if isinstance(value, Mapping) else _MISSING
            return _holds(sign, value, wanted)
    raise InputError(f"a filter is made with parse or field(…), not {filter!r}")


def _holds(sign: str, value: Any, wanted: Any) -> bool:
    if sign == "exists":
        return (value is not _MISSING) is wanted
    if sign in ("in", "nin"):
        return any(_holds("eq", value, one) for one in wanted) is (sign == "in")
    if sign == "ne":
        return not _holds("eq", value, wanted)
    if sign == "contains" and isinstance(value, list | tuple):
        return any(_holds("eq", element, wanted) for element in value)
    return kind_of(value) == kind_of(wanted) and bool(_TESTS[sign](_as_stored(value), wanted))


def _as_stored(value: Any) -> Any:
    if not isinstance(value, int) or value in INT64:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
