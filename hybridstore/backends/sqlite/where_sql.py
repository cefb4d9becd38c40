"""Filters and restrictions as SQL, equivalent to `filters.matches`.

Every comparison is 0 or 1 and never NULL, so that NOT is its complement. A JSON value is compared together with its
type, because json_extract returns 1 for both 1 and true, and text for a list. Prefixes are ranges and substrings are
instr, because LIKE folds case, GLOB has wildcards and substr stops at a NUL. What SQLite lacks (dates, regular
expressions, case folding beyond ASCII) are functions of the connection.
"""

from __future__ import annotations

import json
from typing import Any

from hybridstore.backends.sqlite import keyword_index
from hybridstore.backends.values import Restriction
from hybridstore.filters import And, Comparison, Filter, Not, Or, field_path, kind_of, parse
from hybridstore.filters.matching import DATED
from hybridstore.filters.text_tests import compared_instant
from hybridstore.filters.tree import Paths
from hybridstore.text.expressions import AllOf, NotOf, passes_empty

Sql = tuple[str, list[object]]

# json_type's words for each type of ours.
_TYPES = {"text": "('text')", "number": "('integer', 'real')", "boolean": "('true', 'false')"}
_SIGNS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_FUNCTIONS = {"contains": "instr", "ieq": "same_ignoring_case", "regex": "found"}
_NEGATIONS = {"ne": "eq", "nin": "in"}


def compile_where(filter: Filter, *, table: str = "documents") -> Sql:  # noqa: A002 - the word for it
    """Return the SQL expression that is true where `filter` matches, and the values of its `?`, in order.

    `table` (a table's name or alias) has the columns metadata (TEXT, one JSON object) and id, title and uri
    (TEXT), none of them NULL, in a UTF-8 database. The expression is 0 or 1. Raises InputError for a tree over
    the bounds of `filters.parse`.
    """
    parse(filter)  # for its limits on depth and number of values
    return _condition(filter, '"' + table.replace('"', '""') + '"')


def restricted(restriction: Restriction) -> tuple[str, list[object]]:
    """Return a restriction as a SELECT of the chunk ids that meet it; "" if all do."""
    parts: list[str] = []
    bindings: list[object] = []
    if restriction.where is not None:
        sql, bound = compile_where(restriction.where)
        parts.append(f"document IN (SELECT document FROM documents WHERE {sql})")
        bindings += bound
    if restriction.phrases:
        parts.append("chunk IN (SELECT rowid FROM keywords WHERE keywords MATCH ?)")
        bindings.append(keyword_index.expression(restriction.phrases, "AND"))
    if restriction.excluded:
        parts.append("chunk NOT IN (SELECT rowid FROM keywords WHERE keywords MATCH ?)")
        bindings.append(keyword_index.expression(restriction.excluded))
    if restriction.matching:
        every = AllOf(restriction.matching)
        barred = passes_empty(every)
        parts.append(f"chunk {'NOT ' if barred else ''}IN (SELECT rowid FROM keywords WHERE keywords MATCH ?)")
        bindings.append(keyword_index.sought(NotOf(every) if barred else every))
    return (f"SELECT chunk FROM chunks WHERE {' AND '.join(parts)}" if parts else ""), bindings


def _condition(node: Filter, table: str) -> Sql:
    match node:
        case And(members):
            return _joined("AND", [_condition(member, table) for member in members]) if members else ("1", [])
        case Or(members):
            return _joined("OR", [_condition(member, table) for member in members]) if members else ("0", [])
        case Not(member):
            return _negated(_condition(member, table))
        case Comparison(name, sign, value):
            place = field_path(name)
            asked = _NEGATIONS.get(sign, sign)
            found = (
                _own(f"{table}.{place}", asked, value)
                if isinstance(place, str)
                else _metadata(f"{table}.metadata", place, asked, value)
            )
            return found if asked == sign else _negated(found)
    raise TypeError(node)  # parse accepts nothing else


def _joined(word: str, parts: list[Sql]) -> Sql:
    # Halved recursively: a chain of n would be n deep, and SQLite stops at 1,000.
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    (left, left_values), (right, right_values) = _joined(word, parts[:middle]), _joined(word, parts[middle:])
    return f"({left} {word} {right})", left_values + right_values


def _negated(condition: Sql) -> Sql:
    return f"(NOT {condition[0]})", condition[1]


def path_of(keys: tuple[str, ...]) -> str:
    """Return the keys that lead to a value as a JSON path."""
    # A quoted label of a JSON path takes JSON's own escapes.
    return "$" + "".join(f".{json.dumps(key, ensure_ascii=False)}" for key in keys)


def _own(column: str, sign: str, value: Any) -> Sql:
    if sign == "exists":
        return ("1" if value else "0"), []
    if sign == "in":  # the column's affinity would take the number 5 for the text "5"
        value = [one for one in value if kind_of(one) == "text"]
    elif kind_of(value) != "text":
        return "0", []
    return _tested(column, [], sign, value)


def _metadata(column: str, paths: Paths, sign: str, value: Any) -> Sql:
    path, at = _first_path(column, paths)
    kind = f"json_type({column}, {path})"
    if sign == "exists":
        return f"({kind} IS {'NOT NULL' if value else 'NULL'})", at
    itself, own_values = _scalar((f"json_extract({column}, {path})", at), (kind, at), sign, value)
    of_element = "eq" if sign == "contains" else sign
    element, element_values = _scalar(("element.value", []), ("element.type", []), of_element, value)
    inside = f"EXISTS (SELECT 1 FROM json_each({column}, {path}) AS element WHERE {element})"
    return f"(CASE {kind} WHEN 'array' THEN {inside} ELSE {itself} END)", [*at, *at, *element_values, *own_values]


def _first_path(column: str, paths: Paths) -> Sql:
    """Return the first of the JSON paths that leads to a value."""
    written = [path_of(path) for path in paths]
    if len(written) == 1:
        return "?", [written[0]]
    # One bound value, however many paths, as a statement can bind 32,766; json_each keeps their order.
    return f"(SELECT value FROM json_each(?) WHERE json_type({column}, value) IS NOT NULL LIMIT 1)", [
        json.dumps(written)
    ]


def _scalar(value: Sql, kind: Sql, sign: str, wanted: Any) -> Sql:
    """Return the test of a value that is no list, by its SQL and that of its type."""
    if sign == "in":
        return _among(value, kind, wanted)
    if sign == "contains" and kind_of(wanted) != "text":
        return "0", []
    if wanted is None or (sign == "eq" and isinstance(wanted, bool)):
        return f"({kind[0]} IS {_constant(wanted)})", kind[1]
    test, values = _tested(*value, sign, wanted, dates=True)
    # The test may be NULL only where the type is not one of these, and NULL AND 0 is 0.
    return f"({test} AND coalesce({kind[0]}, '') IN {_TYPES[kind_of(wanted)]})", [*values, *kind[1]]


def _among(value: Sql, kind: Sql, wanted: tuple[Any, ...]) -> Sql:
    constants = sorted({_constant(one) for one in wanted if one is None or isinstance(one, bool)})
    instants = [at for at in map(compared_instant, wanted) if at is not None]
    plain = [one for one in wanted if kind_of(one) in ("text", "number") and compared_instant(one) is None]
    kind_sql = f"coalesce({kind[0]}, '')"
    parts: list[Sql] = []
    if plain or not (constants or instants):
        test, values = _tested(*value, "in", plain)
        parts.append((f"({test} AND {kind_sql} IN ('text', 'integer', 'real'))", [*values, *kind[1]]))
    if instants:
        test, values = _tested(f"coalesce(instant({value[0]}), 'none')", value[1], "in", instants)
        parts.append((f"({test} AND {kind_sql} = 'text')", [*values, *kind[1]]))
    if constants:
        parts.append((f"({kind_sql} IN ({', '.join(constants)}))", kind[1]))
    return _joined("OR", parts)


def _constant(value: bool | None) -> str:
    return "'null'" if value is None else f"'{str(value).lower()}'"


def _tested(term: str, values: list[object], sign: str, wanted: Any, *, dates: bool = False) -> Sql:
    at = compared_instant(wanted) if dates and sign in DATED else None
    if at is not None:
        return f"((instant({term}) {_SIGNS[sign]} ?) IS TRUE)", [*values, at]
    if sign in _FUNCTIONS:
        return f"({_FUNCTIONS[sign]}({term}, ?) > 0)", [*values, wanted]
    if sign == "in":  # one bound array, however many values, made into a lookup table once
        return f"({term} IN (SELECT value FROM json_each(?)))", [*values, json.dumps(wanted)]
    if sign == "prefix":
        end = _after(wanted)
        if end is None:
            return f"({term} >= ?)", [*values, wanted]
        return f"({term} >= ? AND {term} < ?)", [*values, wanted, *values, end]
    return f"({term} {_SIGNS[sign]} ?)", [*values, int(wanted) if isinstance(wanted, bool) else wanted]


def _after(prefix: str) -> str | None:
    """Return the first text, by code point, after all texts with this prefix; None if there is none."""
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if following == 0xD800 else following)  # surrogates are not characters
