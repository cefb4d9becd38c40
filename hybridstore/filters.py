r"""What a search is restricted to: a tree of typed comparisons, built, parsed and matched in memory.

    {"year": {"$gte": 2020}, "lang": "en"}                the mapping form
    (field("year") >= 2020) & (field("lang") == "en")     the built form
    year>=2020                                            the command line's form of one comparison

A comparison holds only between values of one type: numbers with numbers (1 equals 1.0), text with text (by code
point), booleans with booleans (True is not 1), null with an explicit null. Another type, or no such field, is
no match and no error; `$ne`, `$nin` and `$not` are plain negations, so they keep what lacks the field.

Dots nest ("author.name"); @id, @title and @uri are the document's own. `\.`, `\@`, `\$` and `\\` put that sign
into a name. A stored integer beyond int64 is compared as a float, which is how SQLite reads it.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import lru_cache
from typing import Any, NoReturn

from hybridstore.errors import InputError

OPERATORS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "prefix", "exists")
OWN_FIELDS = ("@id", "@title", "@uri")
MAX_LEVELS = 64  # keeps every recursion over a tree shallow, and SQLite's expressions under its depth of 1,000
MAX_CONDITIONS = (
    2_000  # SQLite prepares that many in 0.4 s, and 5,000 in 5 s; it takes 32,766 values, 5 a comparison
)

_ORDER = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
_TESTS: dict[str, Callable[[Any, Any], object]] = {
    **_ORDER,
    "eq": operator.eq,
    "prefix": lambda value, wanted: value.startswith(wanted),
    # a number contains no number: only texts, and lists before it comes to this, contain anything
    "contains": lambda value, wanted: isinstance(value, str) and wanted in value,
}
_INT64 = range(-(2**63), 2**63)
_MISSING = object()
_KNOWN = ", ".join(f"${name}" for name in OPERATORS)
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


@lru_cache(maxsize=1024)
def place_of(name: str) -> str | tuple[str, ...]:
    """Give where a field's values stand: "id", "title" or "uri", or the keys that lead to it in the metadata.

    Raises InputError for an unknown "@" field, a leading "$", a stray backslash, or what no stored key can be.
    """
    if name in OWN_FIELDS:
        return name[1:]
    if name.startswith("@"):
        raise InputError(
            f"no field {name!r}; there are {', '.join(OWN_FIELDS)}, and metadata so named is \\{name}"
        )
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
            raise InputError(f"{self.field!r}: unknown operator {self.operator!r}; there are {_KNOWN}")
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
            raise InputError(
                f"{here} takes {'true or false' if wanted == 'boolean' else 'a text'}, not {self.value!r}"
            )
        if self.operator in _ORDER and kind == "null":
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
        front = [member for node in front for member in _members(node)]
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
            f'operators are {_KNOWN}, and nested fields are written with dots: "author.name"'
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
            return {"$and" if isinstance(filter, And) else "$or": [to_dict(member) for member in _members(filter)]}


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
    try:
        operand = json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # no JSON, hence a plain text
        operand = value
    return Comparison(name, _SIGNS[sign], value if sign == "^=" and not isinstance(operand, str) else operand)


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
    if not isinstance(value, int) or value in _INT64:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _operand_kind(here: str, value: object) -> str:
    kind = kind_of(value)
    if kind == "other":
        raise InputError(
            f"{here} cannot compare with {value!r}: a value is a text, number, true, false or null; "
            "for a list write $in or $contains"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{here} cannot compare with {value!r}, which no JSON number can be")
    if kind == "number" and isinstance(value, int) and value not in _INT64:
        raise InputError(
            f"{here} cannot compare with {value!r}: integers go from -2**63 to 2**63 - 1; use a float"
        )
    if isinstance(value, str) and not _is_utf8(value):
        raise InputError(f"{here} cannot compare with {value!r}: it holds half a surrogate pair")
    return kind


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _members(node: Filter) -> tuple[Filter, ...]:
    match node:
        case And(members) | Or(members):
            return members
        case Not(member):
            return (member,)
        case _:
            return ()


def _flat(group: type[And | Or], node: Filter) -> tuple[Filter, ...]:
    if not isinstance(node, Filter):
        raise InputError(f"a filter is combined with filters, not with {node!r}; put each comparison in brackets")
    return _members(node) if isinstance(node, group) else (node,)


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise InputError("the filter names one key twice, which would drop the first; put both into $and")
    return dict(pairs)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
