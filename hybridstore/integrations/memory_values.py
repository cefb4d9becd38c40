"""JSON values, filters and namespace patterns of an agent's memory, independent of any store.

The semantics are those of `langgraph.store.memory.InMemoryStore`, which has no other specification; except that where
it raises because two values have no order, nothing matches here.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hybridstore.errors import InputError
from hybridstore.filters import And, Comparison, Filter, Or

_MAX_LEVELS = 200  # levels; SQLite reads JSON of 1,000, and the value is not the outermost
_EXACT_FLOATS = 2**53  # below it floats represent whole numbers exactly
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_OPERATORS = ("$eq", "$ne", *_ORDERS)


def json_copy(value: object, where: str = "the value", level: int = 0) -> Any:
    """Return a copy of a JSON value, tuples as lists; raises InputError for what JSON cannot represent exactly."""
    if level > _MAX_LEVELS:
        raise InputError(f"{where} is over {_MAX_LEVELS} levels deep; flatten it")
    if isinstance(value, Mapping):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise InputError(f"{where} has the key {wrong[0]!r}; the keys of JSON must be texts")
        return {json_copy(key, where): json_copy(item, f"{where}[{key!r}]", level + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_copy(item, f"{where}[{n}]", level + 1) for n, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where} is {value!r}, which JSON cannot represent; use None or a text")
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{where} contains a lone surrogate, which cannot be stored") from error
    if not (value is None or isinstance(value, str | int | float)):
        raise InputError(
            f"{where} is a {type(value).__name__}; memories are JSON: text, number, true, false, null, list, mapping"
        )
    return value


def check_filter(condition: Mapping[str, Any] | None) -> None:
    """Raise InputError for an invalid filter or an unknown operator."""
    if not (condition is None or isinstance(condition, Mapping)):
        raise InputError(f"a filter must be a mapping of keys to values, not {condition!r}")
    pending: list[Any] = [condition]
    while pending:
        part = pending.pop()
        if isinstance(part, Mapping):
            if wrong := [key for key in part if not isinstance(key, str)]:
                raise InputError(f"a filter has the key {wrong[0]!r}; the keys of memories must be texts")
            if _has_operator(part) and (unknown := [key for key in part if key not in _OPERATORS]):
                raise InputError(f"a filter has the operator {unknown[0]!r}; known are {', '.join(_OPERATORS)}")
        pending += part.values() if isinstance(part, Mapping) else part if isinstance(part, list | tuple) else ()


def passes(value: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    """Return whether a memory's value passes a filter: every value equals the filter's or compares as it says."""
    return all(_matches(value.get(key), part) for key, part in condition.items())


def _matches(value: Any, condition: Any) -> bool:
    if isinstance(condition, Mapping):
        if _has_operator(condition):
            return all(_compare(value, operator, operand) for operator, operand in condition.items())
        return isinstance(value, Mapping) and passes(value, condition)
    if isinstance(condition, list | tuple):
        same_length = isinstance(value, list) and len(value) == len(condition)
        return same_length and all(_matches(item, part) for item, part in zip(value, condition, strict=True))
    return bool(value == condition)


def _has_operator(condition: Mapping[Any, Any]) -> bool:
    return any(isinstance(key, str) and key.startswith("$") for key in condition)


def _compare(value: Any, operator_: str, operand: Any) -> bool:
    if operator_ in ("$eq", "$ne"):
        return bool(value == operand) is (operator_ == "$eq")
    if not (isinstance(value, int | float) and isinstance(operand, int | float)):
        try:  # a number in a text is a number
            value, operand = float(value), float(operand)
        except (TypeError, ValueError):
            if not (isinstance(value, str) and isinstance(operand, str)):
                return False
    return _ORDERS[operator_](value, operand)


def prefilter(condition: Mapping[str, Any], field: str) -> Filter:
    """Return a store's filter that keeps all values that pass, and as few others as it can express.

    `field` is the metadata field with the values.
    """
    parts: list[Filter] = []
    for key, part in condition.items():
        if key.isprintable():  # names in a store cannot have NUL
            name = f"$.{field}." + "".join(f"\\{sign}" if sign in ".@$\\" else sign for sign in key)
            operators = part if isinstance(part, Mapping) and _has_operator(part) else {"$eq": part}
            parts += [
                node for operator_, operand in operators.items() for node in _prefilters(name, operator_, operand)
            ]
    return And(tuple(parts))


def _prefilters(name: str, operator_: str, operand: Any) -> list[Filter]:
    if operator_ == "$eq" and isinstance(operand, str):
        return [Comparison(name, "eq", operand)] if operand.isprintable() else []
    if operator_ == "$ne" or not isinstance(operand, int | float) or not abs(operand) < _EXACT_FLOATS:
        return []
    # The store may read a number from JSON with a rounding error; true and false are numbers here; a text may be one.
    slack = abs(operand) * 1e-12
    least: Filter = Comparison(name, "gte", operand - slack)
    most: Filter = Comparison(name, "lte", operand + slack)
    near = And((least, most)) if operator_ == "$eq" else least if operator_ in ("$gt", "$gte") else most
    booleans = [Comparison(name, "eq", truth) for truth in (True, False)]
    return [Or((near, *booleans) if operator_ == "$eq" else (near, *booleans, Comparison(name, "prefix", "")))]


def matches_path(namespace: Sequence[str], kind: str, path: Sequence[str]) -> bool:
    """Return whether a namespace begins (kind "prefix") or ends ("suffix") with a path, in which "*" is any label."""
    if len(path) > len(namespace):
        return False
    labels = namespace[: len(path)] if kind == "prefix" else namespace[len(namespace) - len(path) :]
    return all(part in ("*", label) for label, part in zip(labels, path, strict=True))
