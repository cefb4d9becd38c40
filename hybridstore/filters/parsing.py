"""Filters from what people and programs write: the mapping form, and the command line's text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from hybridstore.errors import InputError
from hybridstore.filters.tree import KNOWN_OPERATORS, And, Comparison, Filter, Not, Or, members_of

MAX_LEVELS = 64  # keeps every recursion over a tree shallow, and SQLite's expressions under its depth of 1,000
# SQLite prepares that many in 0.4 s, and 5,000 in 5 s; it takes 32,766 values, 5 a comparison.
MAX_CONDITIONS = 2_000

_SIGNS = {
    "=": "eq",
    "==": "eq",
    "!=": "ne",
    ">": "gt",
    ">=": "gte",
    "<": "lt",
    "<=": "lte",
    "~": "contains",
    "^=": "prefix",
}


def parse(where: Mapping[str, Any] | Filter | None) -> Filter | None:
    """Give the filter that `where` means; None (no restriction) for None and the empty mapping.

    Raises InputError for an unknown operator, a value that cannot be compared, or a tree over the bounds.
    """
    if where is None or (isinstance(where, Mapping) and not where):
        return None
    tree = _parsed(where, 1)
    level, conditions, front = 0, 0, [tree]
    while front:
        level, conditions = level + 1, conditions + len(front)
        if level > MAX_LEVELS or conditions > MAX_CONDITIONS:
            raise InputError(
                f"the filter is over {MAX_LEVELS} levels deep or {MAX_CONDITIONS:,} conditions large; "
                "flatten it, or put many values of one field into $in"
            )
        front = [member for node in front for member in members_of(node)]
    return tree


def _parsed(where: object, level: int) -> Filter:
    if isinstance(where, Filter):
        return where
    if not isinstance(where, Mapping):
        raise InputError(f"a filter is a mapping, or made with field(…), not {where!r}")
    if level > MAX_LEVELS:  # asked here too, as a mapping may contain itself
        raise InputError(f"the filter is over {MAX_LEVELS} levels deep; flatten it")
    parts: list[Filter] = []
    for key, value in where.items():
        if key in ("$and", "$or"):
            if not isinstance(value, list | tuple):
                raise InputError(f"{key} takes a list of filters, not {value!r}")
            members = tuple(_parsed(member, level + 1) for member in value)
            parts.append(And(members) if key == "$and" else Or(members))
        elif key == "$not":
            parts.append(Not(_parsed(value, level + 1)))
        elif isinstance(value, Mapping):
            parts.extend(_compared(key, value))
        else:
            parts.append(Comparison(key, "eq", value))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _compared(name: str, operators: Mapping[Any, Any]) -> Iterable[Comparison]:
    unknown = [key for key in operators if not (isinstance(key, str) and key.startswith("$"))]
    if unknown or not operators:
        raise InputError(
            f"{name!r} is compared with a mapping that has {f'the key {unknown[0]!r}' if unknown else 'no keys'}; "
            f'operators are {KNOWN_OPERATORS}, and nested fields are written with dots: "author.name"'
        )
    return (Comparison(name, key[1:], value) for key, value in operators.items())


def to_dict(filter: Filter) -> dict[str, Any]:  # noqa: A002 - the word for it
    """Give the mapping form, ready for JSON: `parse(to_dict(filter))` is the filter again."""
    match filter:
        case Comparison(name, sign, value):
            plain = list(value) if isinstance(value, tuple) else value
            return {name: plain if sign == "eq" else {f"${sign}": plain}}
        case Not(member):
            return {"$not": to_dict(member)}
        case _:
            return {"$and" if isinstance(filter, And) else "$or": [to_dict(member) for member in members_of(filter)]}


def from_text(text: str) -> Filter:
    """Give the filter a command line means: a JSON object, `name OP value`, or `name?` (is there).

    OP is = != > >= < <= ~ (contains) or ^= (prefix). The value is read as JSON where it is JSON (2020, true,
    "2020"), else as it stands; after ^= it is always a text. Raises InputError for anything else.
    """
    text = text.strip()
    if text.startswith("{"):
        try:
            where = json.loads(text, object_pairs_hook=_no_key_twice)
        except InputError:
            raise
        except (ValueError, RecursionError) as error:
            raise InputError(f"the filter begins like a JSON object but is none: {error}") from error
        tree = parse(where)
        return And(()) if tree is None else tree
    found = re.fullmatch(r"(.+?)\s*(!=|>=|<=|\^=|==?|>|<|~)\s*(.*)", text, flags=re.DOTALL)
    if found is None:
        if len(text) > 1 and text.endswith("?"):
            return Comparison(text[:-1].rstrip(), "exists", True)
        raise InputError(
            f"{text!r} is no filter; write year>=2020, lang=en, title~word, uri^=http, tag? or a JSON object"
        )
    name, sign, value = found.groups()
    operand = value_from_text(value)
    return Comparison(name, _SIGNS[sign], value if sign == "^=" and not isinstance(operand, str) else operand)


def value_from_text(text: str) -> Any:
    """Give the value a command line means: JSON where it is JSON (2020, true, "2020"), else the text as it stands."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise InputError("the filter names one key twice, which would drop the first; put both into $and")
    return dict(pairs)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
