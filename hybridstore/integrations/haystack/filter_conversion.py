"""Haystack's filters as a store's: https://docs.haystack.deepset.ai/docs/metadata-filtering says what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from haystack.errors import FilterError

from hybridstore.errors import InputError
from hybridstore.filters import And, Comparison, Filter, Not, Or, parse, passes_all
from hybridstore.integrations.haystack.document_conversion import KEPT, moment

_ORDERED = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_OPERATORS = ("==", "!=", *_ORDERED, "in", "not in")
_GROUPS = ("AND", "OR", "NOT")
_OTHERS = ("content", "blob", "meta", "score", "embedding", "sparse_embedding")  # of a Document, not of the store


def filter_of(filters: Mapping[str, Any] | None) -> Filter | None:
    """Give the store's filter; None where nothing is asked for.

    Fields are `id`, `meta.name` or `name`; dots nest. None equals a field that is missing, and nothing is above or
    below it; `!=`, `not in` and NOT are plain negations. Dates, which are datetimes or ISO 8601 texts that begin
    YYYY-MM-DD, are equal, above or below as moments, and one without a zone is taken to be in the other's; so it is
    with what was written from Haystack. Other types compare with their own alone. Raises FilterError for what is not
    understood.
    """
    if not filters:
        return None
    try:
        return parse(_read(filters))
    except InputError as error:
        raise FilterError(str(error)) from error
    except RecursionError as error:
        raise FilterError("the filter is nested too deep, or in itself; flatten it") from error


def narrowing(filters: Mapping[str, Any] | None, remedy: str) -> Filter:
    """Give the filter of a change, which has to name something: else raises FilterError with the remedy."""
    where = filter_of(filters)
    if where is None or passes_all(where):
        raise FilterError(f"the filter names nothing, so it would mean every document; {remedy}")
    return where


def _read(condition: object) -> Filter:
    if not isinstance(condition, Mapping):
        raise FilterError(f"a filter is a dictionary, not {condition!r}")
    wanted = ("operator", "value") if "field" in condition else ("operator", "conditions")
    for key in wanted:
        if key not in condition:
            raise FilterError(f"the key {key!r} is missing in {condition!r}")
    if "field" in condition:
        return _compared(condition["field"], condition["operator"], condition["value"])
    operator, conditions = condition["operator"], condition["conditions"]
    if operator not in _GROUPS:
        raise FilterError(f"{operator!r} joins no conditions; there are {', '.join(_GROUPS)}")
    if not isinstance(conditions, list | tuple):
        raise FilterError(f"conditions are a list of filters, not {conditions!r}")
    members = tuple(_read(each) for each in conditions)
    if operator == "OR":
        return Or(members)
    return Not(And(members)) if operator == "NOT" else And(members)


def _compared(field: object, operator: object, value: Any) -> Filter:
    if operator not in _OPERATORS:
        raise FilterError(f"{operator!r} compares nothing; there are {', '.join(_OPERATORS)}")
    names = _names(field)
    if operator in _ORDERED:
        return _ordered(names, _ORDERED[str(operator)], value)
    if operator in ("==", "!="):
        same = _equal(names, [value])
        return same if operator == "==" else Not(same)
    if not isinstance(value, list):
        raise FilterError(f"{operator!r} of {field!r} takes a list, not {value!r}")
    some = _equal(names, value)
    return some if operator == "in" else Not(some)


def _names(field: object) -> tuple[str, str]:
    """Give the store's names of a field: that of its value, and that of its moment, "" where it can have none."""
    if not isinstance(field, str) or field in _OTHERS:
        raise FilterError(f"documents are not filtered by {field!r}, but by id and by meta: 'meta.name'")
    if field == "id":
        return "@id", ""
    name = "".join(f"\\{each}" if each in "@$\\" else each for each in field.removeprefix("meta."))
    return name, f"{KEPT}.dates.{name}"


def _equal(names: tuple[str, str], values: Iterable[Any]) -> Filter:
    """Ask that a field equals one of the values."""
    name, dated = names
    plain: list[Any] = []
    parts: list[Filter] = []
    for value in values:
        if not isinstance(value, datetime):
            plain.append(value)
        if value is None:
            parts.append(Comparison(name, "exists", False))
        elif dated and isinstance(value, str | datetime) and (when := moment(value)) is not None:
            parts.append(_at(dated, "eq", when))
    return Or((Comparison(name, "in", plain), *parts))


def _ordered(names: tuple[str, str], sign: str, value: Any) -> Filter:
    name, dated = names
    if value is None:
        return Or(())
    if not isinstance(value, str | datetime):
        return Comparison(name, sign, value)
    when = moment(value)
    if when is None or not dated:
        raise FilterError(
            f"{value!r} has no order that a filter goes by; numbers have, and dates written as YYYY-MM-DD or "
            "YYYY-MM-DDTHH:MM:SS, in meta"
        )
    return _at(dated, sign, when)


def _at(dated: str, sign: str, when: Mapping[str, int]) -> Filter:
    """Compare moments: in UTC where both name their zones, else by the clocks on the wall."""
    walls = Comparison(f"{dated}.wall", sign, when["wall"])
    if "utc" not in when:
        return walls
    zoneless = And((Comparison(f"{dated}.utc", "exists", False), walls))
    return Or((Comparison(f"{dated}.utc", sign, when["utc"]), zoneless))
