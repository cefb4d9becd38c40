"""The filter tree: comparisons of a field with a value, joined by and, or, not; and how it is built in Python."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import lru_cache
from typing import Any, NoReturn

from hybridstore.errors import InputError

OPERATORS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "prefix", "exists")
OWN_FIELDS = ("@id", "@title", "@uri")
INT64 = range(-(2**63), 2**63)  # the integers SQLite keeps as integers
KNOWN_OPERATORS = ", ".join(f"${name}" for name in OPERATORS)

_ORDERED = ("gt", "gte", "lt", "lte")


@lru_cache(maxsize=1024)
def place_of(name: str) -> str | tuple[str, ...]:
    """Give where a field's values stand: "id", "title" or "uri", or the keys that lead to it in the metadata.

    Raises InputError for an unknown "@" field, a leading "$", a stray backslash, or what no stored key can be.
    """
    if name in OWN_FIELDS:
        return name[1:]
    if name.startswith("@"):
        raise InputError(f"no field {name!r}; there are {', '.join(OWN_FIELDS)}, and metadata so named is \\{name}")
    if name.startswith("$"):
        raise InputError(f"{name!r} is not $and, $or or $not; a field so named is written \\{name}")
    if "\0" in name or not _is_utf8(name):  # SQLite compares JSON keys only up to a NUL
        raise InputError(f"the field name {name!r} holds a NUL or half a surrogate pair; rename that field")
    keys = [""]
    for sign in re.findall(r"\\.?|[^\\]", name, flags=re.DOTALL):
        if sign == ".":
            keys.append("")
        elif sign in ("\\.", "\\@", "\\$", "\\\\"):
            keys[-1] += sign[1]
        elif sign.startswith("\\"):
            raise InputError(f"the field name {name!r} has a stray backslash; a backslash itself is written \\\\")
        else:
            keys[-1] += sign
    return tuple(keys)


def kind_of(value: object) -> str:
    """Give the type a value is compared as: "null", "boolean", "number", "text", or "other" for all else."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "other"


class Filter:
    """A condition on a document: a Comparison, or And, Or, Not of conditions; combined with `&`, `|` and `~`."""

    __slots__ = ()

    def __and__(self, other: Filter) -> And:
        return And((*_flat(And, self), *_flat(And, other)))

    def __or__(self, other: Filter) -> Or:
        return Or((*_flat(Or, self), *_flat(Or, other)))

    def __invert__(self) -> Not:
        return Not(self)

    def __bool__(self) -> NoReturn:  # `a and b` or `1 < field("x") < 5` would silently drop a half
        raise InputError("a filter is neither true nor false; combine filters with & | ~ and put each in brackets")


@dataclass(frozen=True, slots=True)
class Comparison(Filter):
    """`field` compared with `value` by `operator`, one of OPERATORS; the values of in and nin become a tuple.

    `kind` is kind_of(value), or a tuple of them; it makes "= 1" and "= True" unequal. Raises InputError for a
    field, operator or value that cannot be.
    """

    field: str
    operator: str
    value: Any
    kind: str | tuple[str, ...] = attribute(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.field, str):
            raise InputError(f"a field's name is text, not {self.field!r}")
        place_of(self.field)
        if self.operator not in OPERATORS:
            raise InputError(f"{self.field!r}: unknown operator {self.operator!r}; there are {KNOWN_OPERATORS}")
        here = f"${self.operator} of {self.field!r}"
        if self.operator in ("in", "nin"):
            if isinstance(self.value, str | bytes | Mapping) or not isinstance(self.value, Iterable):
                raise InputError(f"{here} takes a list of values, not {self.value!r}")
            object.__setattr__(self, "value", tuple(self.value))
            object.__setattr__(self, "kind", tuple(_operand_kind(here, value) for value in self.value))
            return
        kind = _operand_kind(here, self.value)
        object.__setattr__(self, "kind", kind)
        wanted = {"exists": "boolean", "prefix": "text"}.get(self.operator, kind)
        if kind != wanted:
            raise InputError(f"{here} takes {'true or false' if wanted == 'boolean' else 'a text'}, not {self.value!r}")
        if self.operator in _ORDERED and kind == "null":
            raise InputError(f"{here}: null has no order; use $eq, $ne or $exists")


@dataclass(frozen=True, slots=True)
class And(Filter):
    """All of `filters` hold; of none, it keeps everything."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """At least one of `filters` holds; of none, it keeps nothing."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """`filter` does not hold."""

    filter: Filter


def _comparing(name: str) -> Callable[[Field, object], Comparison]:
    return lambda self, value: Comparison(self.name, name, value)


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field on its way into a comparison: `field("year") >= 2020`, and so on with == != > < <=.

    `.in_([…])` and `.nin([…])`: equal to one, or none, of the values. `.contains(x)`: a list with that element
    or a text with that part. `.prefix(x)`: a text that begins so. `.exists()`, `.exists(False)`: is there, is not.
    """

    name: str

    __hash__ = None  # type: ignore[assignment]  # == builds a comparison, so it cannot find a key
    __eq__ = _comparing("eq")  # type: ignore[assignment]
    __ne__ = _comparing("ne")  # type: ignore[assignment]
    __gt__, __ge__ = _comparing("gt"), _comparing("gte")
    __lt__, __le__ = _comparing("lt"), _comparing("lte")
    in_, nin = _comparing("in"), _comparing("nin")
    contains, prefix = _comparing("contains"), _comparing("prefix")

    def exists(self, value: bool = True) -> Comparison:
        """Ask that the field is there (null counts), or with False that it is not."""
        return Comparison(self.name, "exists", value)


def field(name: str) -> Field:
    """Name a field to compare: `field("author.name") == "Ada"`."""
    return Field(name)


def members_of(node: Filter) -> tuple[Filter, ...]:
    """Give the filters that a filter is made of; () for a comparison."""
    match node:
        case And(members) | Or(members):
            return members
        case Not(member):
            return (member,)
        case _:
            return ()


def _operand_kind(here: str, value: object) -> str:
    kind = kind_of(value)
    if kind == "other":
        raise InputError(
            f"{here} cannot compare with {value!r}: a value is a text, number, true, false or null; "
            "for a list write $in or $contains"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{here} cannot compare with {value!r}, which no JSON number can be")
    if kind == "number" and isinstance(value, int) and value not in INT64:
        raise InputError(f"{here} cannot compare with {value!r}: integers go from -2**63 to 2**63 - 1; use a float")
    if isinstance(value, str) and not _is_utf8(value):
        raise InputError(f"{here} cannot compare with {value!r}: it holds half a surrogate pair")
    return kind


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _flat(group: type[And | Or], node: Filter) -> tuple[Filter, ...]:
    if not isinstance(node, Filter):
        raise InputError(f"a filter is combined with filters, not with {node!r}; put each comparison in brackets")
    return members_of(node) if isinstance(node, group) else (node,)
