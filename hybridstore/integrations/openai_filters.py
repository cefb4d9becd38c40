"""OpenAI's filters as this store's own: comparisons of an attribute with a value, joined by and, or."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import repr as short
from typing import Any

from hybridstore.errors import InputError
from hybridstore.filters import MAX_LEVELS, And, Comparison, Filter, Or

COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
COMPOUNDS = {"and": And, "or": Or}

_VALUE: dict[str, Any] = {"type": ["string", "number", "boolean"]}
FILTER_SCHEMA: dict[str, Any] = {
    "filter": {
        "description": "Restricts the search to documents with these attributes; leave it out if you know of none.",
        "anyOf": [{"$ref": "#/$defs/comparison"}, {"$ref": "#/$defs/compound"}],
    },
    "comparison": {
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": list(COMPARISONS)},
            "key": {"type": "string"},
            "value": {"anyOf": [_VALUE, {"type": "array", "items": _VALUE}]},
        },
        "required": ["type", "key", "value"],
        "additionalProperties": False,
    },
    "compound": {
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": list(COMPOUNDS)},
            "filters": {"type": "array", "items": {"$ref": "#/$defs/filter"}},
        },
        "required": ["type", "filters"],
        "additionalProperties": False,
    },
}
"""The JSON schema of filters, for `$defs`."""


def filter_from(wanted: object, level: int = 1) -> Filter:
    """Give the filter that one of OpenAI's means; raises InputError, which says what one looks like.

    A value is compared as in this store's own filters: only with values of its type, and ne and nin keep documents
    without the attribute.
    """
    if level > MAX_LEVELS:
        raise InputError(f"the filter is over {MAX_LEVELS} levels deep; flatten it")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if not isinstance(wanted, Mapping) or not isinstance(kind, str) or kind not in (*COMPARISONS, *COMPOUNDS):
        raise InputError(
            f"a filter is a mapping whose type is one of {', '.join((*COMPARISONS, *COMPOUNDS))}, not {short(wanted)}"
        )
    parts = ("type", "filters") if kind in COMPOUNDS else ("type", "key", "value")
    if set(wanted) != set(parts):
        raise InputError(
            f"a filter of the type {kind!r} has {', '.join(parts)}, and this one {', '.join(map(str, wanted))}"
        )
    if kind not in COMPOUNDS:
        return Comparison(wanted["key"], kind, wanted["value"])
    if not isinstance(wanted["filters"], list | tuple):
        raise InputError(f"filters of the type {kind!r} come in a list, not as {short(wanted['filters'])}")
    return COMPOUNDS[kind](tuple(filter_from(each, level + 1) for each in wanted["filters"]))
