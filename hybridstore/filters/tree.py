"""The filter tree: comparisons of fields with values, joined by and, or, not; and `field`, which builds them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import lru_cache
from typing import Any, NoReturn

from hybridstore.errors import InputError
from hybridstore.filters.text_tests import compiled
from hybridstore.tables.plain_values import plain_scalar

OPERATORS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "prefix", "exists", "ieq", "regex")
OWN_FIELDS = ("@id", "@title", "@uri")
INT64 = range(-(2**63), 2**63)  # the integers SQLite keeps as integers
KNOWN_OPERATORS = ", ".join(f"${name}" for name in (*OPERATORS, "any", "all"))

_ORDERED = ("gt", "gte", "lt", "lte")
_MOST_SPLIT = 4  # keys of a name with dots of which any neighbours may be one stored key; of more, none or all

Paths = tuple[tuple[str, ...], ...]
"""The ways to a field in the metadata, each as keys; the first that leads to a value counts."""


@lru_cache(maxsize=1024)
def field_path(name: str) -> str | Paths:
    """Return the ways to a field in the metadata, or "id", "title" or "uri" for the document's own fields.

    "a.b" is the key b in a or, where that is missing, the one key "a.b"; "$.a.b" is only the former. Raises InputError
    for an unknown "@" field, a leading "$", a stray backslash, or a name that no stored key can have.
    """
    if name in OWN_FIELDS:
        return name[1:]
    if name.startswith("@"):
        raise InputError(
            f"unknown field {name!r}; known are {', '.join(OWN_FIELDS)}; write \\{name} for metadata of that name"
        )
    nested = name.removeprefix("$.")
    if nested.startswith("$"):
        raise InputError(f"{name!r} is not $and, $or or $not; write \\{name} for a field of that name")
    if "\0" in name or not _is_utf8(name):  # SQLite compares JSON keys only up to a NUL
        raise InputError(f"the field name {name!r} contains NUL or a lone surrogate; rename the field")
    keys = _keys(nested)
    return (keys,) if nested != name else _spellings(keys)


def _keys(name: str) -> tuple[str, ...]:
    keys: list[list[str]] = [[]]  # the pieces of each
    for sign in re.findall(r"\\.?|[^\\]", name, flags=re.DOTALL):
        if sign == ".":
            keys.append([])
        elif sign in ("\\.", "\\@", "\\$", "\\\\"):
            keys[-1].append(sign[1])
        elif sign.startswith("\\"):
            raise InputError(f"the field name {name!r} has a stray backslash; write \\\\ for a backslash")
        else:
            keys[-1].append(sign)
    return tuple("".join(pieces) for pieces in keys)


def _spellings(keys: tuple[str, ...]) -> Paths:
    """Return the keys as they are, then with ever more neighbours joined by a dot into one key."""
    if len(keys) > _MOST_SPLIT:
        return keys, (".".join(keys),)
    ways: list[tuple[str, ...]] = [keys[:1]]
    for key in keys[1:]:
        ways = [way for old in ways for way in ((*old, key), (*old[:-1], f"{old[-1]}.{key}"))]
    return tuple(sorted(ways, key=len, reverse=True))


def kind_of(value: object) -> str:
    """Return the type a value is compared as: "null", "boolean", "number", "text" or "other"."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "other"


class TakesFilters:
    """What takes filters as parts of itself: `filter & it` and `filter | it` are left to it."""

    __slots__ = ()


class Filter:
    """A condition on a document: a Comparison, or And, Or, Not of conditions; combined with `&`, `|` and `~`."""

    __slots__ = ()

    def __and__(self, other: Filter) -> And:
        if isinstance(other, TakesFilters):
            return NotImplemented
        return And((*_flat(And, self), *_flat(And, other)))

    def __or__(self, other: Filter) -> Or:
        if isinstance(other, TakesFilters):
            return NotImplemented
        return Or((*_flat(Or, self), *_flat(Or, other)))

    def __invert__(self) -> Not:
        return Not(self)

    def __bool__(self) -> NoReturn:  # `a and b` and `1 < field("x") < 5` would silently drop one half
        raise InputError("a filter has no truth value; combine filters with & | ~ and put each in brackets")


@dataclass(frozen=True, slots=True)
class Comparison(Filter):
    """`field` compared with `value` by `operator`, one of OPERATORS; the values of in and nin become a tuple.

    `kind` is kind_of(value), or a tuple of them; it makes "= 1" and "= True" unequal. Raises InputError for an invalid
    field, operator or value.
    """

    field: str
    operator: str
    value: Any
    kind: str | tuple[str, ...] = attribute(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.field, str):
            raise InputError(f"a field name must be a string, not {self.field!r}")
        field_path(self.field)
        if self.operator not in OPERATORS:
            raise InputError(f"{self.field!r}: unknown operator {self.operator!r}; use one of {KNOWN_OPERATORS}")
        where = f"${self.operator} of {self.field!r}"
        if self.operator in ("in", "nin"):
            if isinstance(self.value, str | bytes | Mapping) or not isinstance(self.value, Iterable):
                raise InputError(f"{where} takes a list of values, not {self.value!r}")
            object.__setattr__(self, "value", tuple(map(plain_scalar, self.value)))
            object.__setattr__(self, "kind", tuple(_operand_kind(where, value) for value in self.value))
            return
        object.__setattr__(self, "value", plain_scalar(self.value))
        kind = _operand_kind(where, self.value)
        object.__setattr__(self, "kind", kind)
        required = {"exists": "boolean", "prefix": "text", "ieq": "text", "regex": "text"}.get(self.operator, kind)
        if kind != required:
            expected = "true or false" if required == "boolean" else "text"
            raise InputError(f"{where} takes {expected}, not {self.value!r}")
        if self.operator == "regex":
            compiled(self.value)
        if self.operator in _ORDERED and kind == "null":
            raise InputError(f"{where}: null has no order; use $eq, $ne or $exists")


@dataclass(frozen=True, slots=True)
class And(Filter):
    """All of `filters` hold; with no filters, every document passes."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """At least one of `filters` holds; with no filters, no document passes."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """`filter` does not hold."""

    filter: Filter


def _comparing(name: str) -> Callable[[Field, object], Comparison]:
    return lambda self, value: Comparison(self.name, name, value)


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field to be compared with ==, !=, >, >=, < or <=: `field("year") >= 2020`.

    `.in_([…])` and `.nin([…])`: equal to one, or none, of the values; `.all_([…])`: to all of them, as a list can be.
    `.contains(x)`: a list with that element or a string with that substring. `.prefix(x)`: a string that starts so.
    `.ieq(x)`: a string that differs in case at most. `.regex(x)`: a string in which the pattern is found. `.exists()`,
    `.exists(False)`: present, missing.
    """

    name: str

    __hash__ = None  # type: ignore[assignment]  # == builds a comparison, so a Field cannot be a key
    __eq__ = _comparing("eq")  # type: ignore[assignment]
    __ne__ = _comparing("ne")  # type: ignore[assignment]
    __gt__, __ge__ = _comparing("gt"), _comparing("gte")
    __lt__, __le__ = _comparing("lt"), _comparing("lte")
    in_, nin = _comparing("in"), _comparing("nin")
    contains, prefix = _comparing("contains"), _comparing("prefix")
    ieq, regex = _comparing("ieq"), _comparing("regex")

    def all_(self, values: Iterable[object]) -> And:
        """Compare with several values, each of which must be in the list."""
        return And(tuple(Comparison(self.name, "eq", value) for value in values))

    def exists(self, value: bool = True) -> Comparison:
        """Compare by whether the field is present (null counts as present), or with False, missing."""
        return Comparison(self.name, "exists", value)


def field(name: str) -> Field:
    """Return a field to be compared: `field("author.name") == "Ada"`."""
    return Field(name)


def members_of(node: Filter) -> tuple[Filter, ...]:
    """Return the filters that a filter is made of; () for a comparison."""
    match node:
        case And(members) | Or(members):
            return members
        case Not(member):
            return (member,)
        case _:
            return ()


def _operand_kind(where: str, value: object) -> str:
    kind = kind_of(value)
    if kind == "other":
        raise InputError(
            f"{where} cannot compare with {value!r}: a value is a string, number, true, false or null; "
            "for a list use $in or $contains"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where} cannot compare with {value!r}, which is not a JSON number")
    if kind == "number" and isinstance(value, int) and value not in INT64:
        raise InputError(f"{where} cannot compare with {value!r}: integers go from -2**63 to 2**63 - 1; use a float")
    if isinstance(value, str) and not _is_utf8(value):
        raise InputError(f"{where} cannot compare with {value!r}: it contains a lone surrogate")
    return kind


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _flat(group: type[And | Or], node: Filter) -> tuple[Filter, ...]:
    if not isinstance(node, Filter):
        raise InputError(f"filters combine with filters only, not with {node!r}; put each comparison in brackets")
    return members_of(node) if isinstance(node, group) else (node,)
