"""Parsing: filters from mappings and from the command line's text, and back to mappings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from hybridstore.errors import InputError
from hybridstore.filters.tree import KNOWN_OPERATORS, And, Comparison, Filter, Not, Or, field, members_of

MAX_LEVELS = 64  # keeps recursion over a tree shallow, and SQLite's expressions under its limit of 1,000 levels
# SQLite prepares that many in 0.4 s, and 5,000 in 5 s; its limit is 32,766 values, of which a comparison takes 5.
MAX_CONDITIONS = 2_000

_SIGN = re.compile(r"!=|>=|<=|\^=|==?|>|<|~")
_SIGN_CHARACTERS = "!<>=~^"
_ANOTHER = re.compile(  # `++`: from each of n spaces to their end would take n²/2 steps
    r"(?<!\s)(?:\s++(?:and|or|&&?+|\|\|?+)\s++|\s*+[,;&|]\s*+)[\w.@]++\s*+(?:[!<>^]=|[=<>~])", re.IGNORECASE
)
_EXAMPLES = "year>=2020, lang=en, title~word, uri^=http, tag? or a JSON object"
_MOST_SHOWN = 200  # characters
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
    """Return the filter for `where`; None (no restriction) for None and the empty mapping.

    Raises InputError for an unknown operator, a value that cannot be compared, or a tree that is too deep or too large.
    """
    if where is None or (isinstance(where, Mapping) and not where):
        return None
    tree = _parse(where, 1)
    level, conditions, nodes = 0, 0, [tree]
    while nodes:
        level, conditions = level + 1, conditions + len(nodes)
        if level > MAX_LEVELS or conditions > MAX_CONDITIONS:
            raise InputError(
                f"the filter is over {MAX_LEVELS} levels deep or {MAX_CONDITIONS:,} conditions large; "
                "flatten it, or use $in for many values of one field"
            )
        nodes = [member for node in nodes for member in members_of(node)]
    return tree


def _parse(where: object, level: int) -> Filter:
    if isinstance(where, Filter):
        return where
    if not isinstance(where, Mapping):
        raise InputError(f"a filter is a mapping or made with field(…); {where!r} is neither")
    if level > MAX_LEVELS:  # checked here too, as a mapping may contain itself
        raise InputError(f"the filter is over {MAX_LEVELS} levels deep; flatten it")
    parts: list[Filter] = []
    for key, value in where.items():
        if key in ("$and", "$or"):
            if not isinstance(value, list | tuple):
                raise InputError(f"{key} takes a list of filters, not {value!r}")
            members = tuple(_parse(member, level + 1) for member in value)
            parts.append(And(members) if key == "$and" else Or(members))
        elif key == "$not":
            parts.append(Not(_parse(value, level + 1)))
        elif isinstance(value, Mapping):
            parts.extend(_comparisons(key, value))
        else:
            parts.append(Comparison(key, "eq", value))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _comparisons(name: str, operators: Mapping[Any, Any]) -> Iterator[Filter]:
    unknown = [key for key in operators if not (isinstance(key, str) and key.startswith("$"))]
    if unknown or not operators:
        raise InputError(
            f"the mapping for {name!r} has {f'the key {unknown[0]!r}' if unknown else 'no keys'}; operators are "
            f'{KNOWN_OPERATORS}, and nested fields are written with dots: "author.name"'
        )
    for key, value in operators.items():
        if key == "$all":
            if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
                raise InputError(f"$all of {name!r} takes a list of values, not {value!r}")
            yield field(name).all_(value)
        else:
            yield Comparison(name, "in" if key == "$any" else key[1:], value)


def to_dict(filter: Filter) -> dict[str, Any]:  # noqa: A002 - the plain word
    """Return the mapping form, ready for JSON: `parse(to_dict(filter))` is the same filter."""
    match filter:
        case Comparison(name, sign, value):
            plain = list(value) if isinstance(value, tuple) else value
            return {name: plain if sign == "eq" else {f"${sign}": plain}}
        case Not(member):
            return {"$not": to_dict(member)}
        case _:
            return {"$and" if isinstance(filter, And) else "$or": [to_dict(member) for member in members_of(filter)]}


def from_text(text: str) -> Filter:
    """Return the filter for a command line's text: a JSON object, `name OP value`, or `name?` (exists).

    OP is = != > >= < <= ~ (contains) or ^= (prefix). For the value see `value_from_text`; after ^= it is always a
    string. Raises InputError for anything else.
    """
    text = text.strip()
    if text.startswith("{"):
        try:
            where = json.loads(text, object_pairs_hook=_without_duplicates)
        except InputError:
            raise
        except (ValueError, RecursionError) as error:
            raise InputError(f"the filter is not a valid JSON object: {error}") from error
        tree = parse(where)
        return And(()) if tree is None else tree
    match = _SIGN.search(text, 1)
    if match is None:
        if len(text) > 1 and text.endswith("?"):
            return Comparison(text[:-1].rstrip(), "exists", True)
        raise _unreadable(text, len(text), f"there is no comparison; write {_EXAMPLES}")
    name, sign, value = text[: match.start()].rstrip(), match.group(), text[match.end() :].lstrip()
    start = len(text) - len(value)  # of the value
    missing = not value and _SIGNS[sign] in ("gt", "gte", "lt", "lte")  # equal to nothing is an empty text
    if name[-1] in _SIGN_CHARACTERS or missing or value.startswith(tuple(_SIGN_CHARACTERS)):
        place = start if name[-1] not in _SIGN_CHARACTERS else len(name) - 1
        what = "a value is missing" if missing else "this is not part of a comparison"
        raise _unreadable(text, place, f"{what}; write {_EXAMPLES}, and a text with such signs in double quotes")
    operand = value_from_text(value)
    if operand is value and value and sign != "^=":
        _check_bare(text, value, start)
    return Comparison(name, _SIGNS[sign], value if sign == "^=" and not isinstance(operand, str) else operand)


def _check_bare(text: str, value: str, start: int) -> None:
    """Raise InputError for a value without quotes that was meant as more than a value."""
    if value[0] == '"' or (len(value) > 1 and value[0] == value[-1] == "'"):
        raise _unreadable(text, start, "texts need no quotes, or two double ones that the shell does not take away")
    if another := _ANOTHER.search(value):
        raise _unreadable(
            text,
            start + another.start(),
            "only one comparison fits here; repeat the option for another, or write a JSON filter, or quote the text",
        )


def _unreadable(text: str, place: int, message: str) -> InputError:
    shown = "".join(sign if sign.isprintable() else " " for sign in text[:_MOST_SHOWN])
    caret = f"\n  {shown}\n  {' ' * place}^" if place <= _MOST_SHOWN else ""
    return InputError(f"{text[:_MOST_SHOWN]!r} is not a filter, at character {place + 1}: {message}{caret}")


def value_from_text(text: str) -> Any:
    """Return the value of a command line's text: parsed if it is JSON (2020, true, "2020"), else the text itself."""
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        return text


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise InputError("the filter has the same key twice; combine both conditions with $and")
    return dict(pairs)


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(name)
