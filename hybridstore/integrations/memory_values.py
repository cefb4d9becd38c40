"""What an agent's memory holds and how it is asked for, before any store: JSON values, filters, namespaces.

The meanings are those of `langgraph.store.memory.InMemoryStore`, which has no other specification. Where that raises
because two values have no order, nothing here is raised and nothing matches.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hybridstore.errors import InputError
from hybridstore.filters import And, Comparison, Filter, Or

_DEEPEST = 200  # levels; SQLite reads JSON of 1,000, and the value is not the outermost
_EXACT = 2**53  # below it whole numbers are floats exactly
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_OPERATORS = ("$eq", "$ne", *_ORDERS)


def plain(value: object, where: str = "the value", level: int = 0) -> Any:
    """Give a copy of a JSON value, tuples as lists; raises InputError for what JSON cannot give back as it was."""
    if level > _DEEPEST:
        raise InputError(f"{where} is over {_DEEPEST} levels deep; flatten it")
    if isinstance(value, Mapping):
        if unfit := [key for key in value if not isinstance(key, str)]:
            raise InputError(
                f"{where} has the key {unfit[0]!r}; the keys of JSON are texts, and would come back as such"
            )
        return {plain(key, where): plain(each, f"{where}[{key!r}]", level + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each, f"{where}[{n}]", level + 1) for n, each in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where} is {value!r}, which no JSON number can be; use None or a text")
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{where} holds half of a character (a lone surrogate), which cannot be stored") from error
    if not (value is None or isinstance(value, str | int | float)):
        raise InputError(
            f"{where} is a {type(value).__name__}; memories are JSON: text, number, true, false, null, list, mapping"
        )
    return value


def check_filter(wanted: Mapping[str, Any] | None) -> None:
    """Raise InputError for what is no filter, or has an operator that there is not."""
    if not (wanted is None or isinstance(wanted, Mapping)):
        raise InputError(f"a filter is a mapping of keys to the values wanted, not {wanted!r}")
    front: list[Any] = [wanted]
    while front:
        each = front.pop()
        if isinstance(each, Mapping):
            if unfit := [key for key in each if not isinstance(key, str)]:
                raise InputError(f"a filter has the key {unfit[0]!r}; the keys of memories are texts")
            if _asks(each) and (unknown := [key for key in each if key not in _OPERATORS]):
                raise InputError(f"a filter has the operator {unknown[0]!r}; there are {', '.join(_OPERATORS)}")
        front += each.values() if isinstance(each, Mapping) else each if isinstance(each, list | tuple) else ()


def passes(value: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Say whether a memory's value passes a filter: every key's value is the one wanted, or stands in that order."""
    return all(_matches(value.get(key), each) for key, each in wanted.items())


def _matches(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        if _asks(wanted):
            return all(_compared(value, sign, each) for sign, each in wanted.items())
        return isinstance(value, Mapping) and passes(value, wanted)
    if isinstance(wanted, list | tuple):
        alike = isinstance(value, list) and len(value) == len(wanted)
        return alike and all(_matches(one, other) for one, other in zip(value, wanted, strict=True))
    return bool(value == wanted)


def _asks(wanted: Mapping[Any, Any]) -> bool:
    return any(isinstance(key, str) and key.startswith("$") for key in wanted)


def _compared(value: Any, sign: str, wanted: Any) -> bool:
    if sign in ("$eq", "$ne"):
        return bool(value == wanted) is (sign == "$eq")
    if not (isinstance(value, int | float) and isinstance(wanted, int | float)):
        try:  # a number in a text is a number
            value, wanted = float(value), float(wanted)
        except (TypeError, ValueError):
            if not (isinstance(value, str) and isinstance(wanted, str)):
                return False
    return _ORDERS[sign](value, wanted)


def narrowed(wanted: Mapping[str, Any], field: str) -> Filter:
    """Give what a store can see to itself: a filter that keeps all that passes, and as little else as it can.

    `field` is where in the metadata the values stand.
    """
    kept: list[Filter] = []
    for key, each in wanted.items():
        if key.isprintable():  # a store knows no NUL in names
            name = f"{field}." + "".join(f"\\{sign}" if sign in ".@$\\" else sign for sign in key)
            asked = each if isinstance(each, Mapping) and _asks(each) else {"$eq": each}
            kept += [condition for sign, operand in asked.items() for condition in _kept(name, sign, operand)]
    return And(tuple(kept))


def _kept(name: str, sign: str, wanted: Any) -> list[Filter]:
    if sign == "$eq" and isinstance(wanted, str):
        return [Comparison(name, "eq", wanted)] if wanted.isprintable() else []
    if sign == "$ne" or not isinstance(wanted, int | float) or not abs(wanted) < _EXACT:
        return []
    # A number may be read from JSON a little otherwise there; true and false are numbers here; a text may hold one.
    slack = abs(wanted) * 1e-12
    least: Filter = Comparison(name, "gte", wanted - slack)
    most: Filter = Comparison(name, "lte", wanted + slack)
    near = And((least, most)) if sign == "$eq" else least if sign in ("$gt", "$gte") else most
    others = [Comparison(name, "eq", truth) for truth in (True, False)]
    return [Or((near, *others) if sign == "$eq" else (near, *others, Comparison(name, "prefix", "")))]


def fits(namespace: Sequence[str], kind: str, path: Sequence[str]) -> bool:
    """Say whether a namespace begins (kind "prefix") or ends ("suffix") with a path, of which "*" is any one label."""
    if len(path) > len(namespace):
        return False
    labels = namespace[: len(path)] if kind == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for label, wanted in zip(labels, path, strict=True))
