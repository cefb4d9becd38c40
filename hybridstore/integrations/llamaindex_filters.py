"""LlamaIndex's filters, and its selection of nodes by id and by source, as a store's filters."""

from __future__ import annotations

import re
from collections.abc import Iterable

try:
    from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters
except ImportError as missing:
    from hybridstore.errors import MissingExtra

    raise MissingExtra("llamaindex", "a store in LlamaIndex", "llama-index-core") from missing

from hybridstore.errors import InputError
from hybridstore.filters import And, Comparison, Filter, Not, Or, field

NODE = "_node_content"  # the field for the node in LlamaIndex's node_to_metadata_dict
EMPTY = "_hybridstore_empty"  # the names of fields that are empty lists, which no comparison recognises

_OPERATORS = {
    FilterOperator.EQ: "eq",
    FilterOperator.NE: "ne",
    FilterOperator.GT: "gt",
    FilterOperator.GTE: "gte",
    FilterOperator.LT: "lt",
    FilterOperator.LTE: "lte",
    FilterOperator.IN: "in",
    FilterOperator.NIN: "nin",
    FilterOperator.CONTAINS: "contains",
}


def filter_of(filters: MetadataFilters | MetadataFilter) -> Filter:
    """Return LlamaIndex's filters as the store's.

    The condition NOT is true if none of its filters is. NE, NIN and IS_EMPTY keep nodes that lack the field, the others
    do not. Numbers compare with numbers, text with text. Raises InputError for a value that an operator does not take.
    """
    if isinstance(filters, MetadataFilter):
        return _comparison(filters)
    members = tuple(filter_of(member) for member in filters.filters)
    match filters.condition:
        case FilterCondition.OR:
            return Or(members)
        case FilterCondition.NOT:
            return Not(Or(members))
        case _:
            return And(members)


def _comparison(condition: MetadataFilter) -> Filter:
    key, operator, value = condition.key, condition.operator, condition.value
    name = "".join(f"\\{sign}" if sign in ".@$\\" else sign for sign in key)  # a name, not a path
    if operator in _OPERATORS:
        return Comparison(name, _OPERATORS[operator], value)
    if operator == FilterOperator.IS_EMPTY:
        missing = (Comparison(name, "exists", False), Comparison(name, "in", (None, "")))
        return Or((*missing, Comparison(EMPTY, "contains", key)))
    if operator in (FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE):
        if not isinstance(value, str):
            raise InputError(f"{operator.value} of {key!r} takes a text, not {value!r}")
        if operator == FilterOperator.TEXT_MATCH:
            return Comparison(name, "contains", value)
        return Comparison(name, "regex", f"(?i){re.escape(value)}")
    if operator in (FilterOperator.ANY, FilterOperator.ALL):
        if not isinstance(value, list) or not value:
            raise InputError(f"{operator.value} of {key!r} takes a list of at least one value, not {value!r}")
        members = tuple(Comparison(name, "contains", member) for member in value)
        return Or(members) if operator == FilterOperator.ANY else And(members)
    raise InputError(f"the operator {operator.value!r} of {key!r} is not supported by a store")


def where_of(
    node_ids: Iterable[str] | None, doc_ids: Iterable[str] | None, filters: MetadataFilters | None
) -> Filter | None:
    """Return the filter for nodes with one of the ids, from one of the documents, that pass the filters.

    None does not restrict, an empty list of ids excludes everything. Returns None if all three are None.
    """
    conditions: list[Filter] = []
    if node_ids is not None:
        conditions.append(field("@id").in_(node_ids))
    if doc_ids is not None:
        conditions.append(of_sources(doc_ids))
    if filters is not None:
        conditions.append(filter_of(filters))
    return And(tuple(conditions)) if conditions else None


def of_sources(doc_ids: Iterable[str]) -> Filter:
    """Return the filter for nodes by their source documents; one that LlamaIndex did not write is its own source."""
    doc_ids = list(doc_ids)
    return field("ref_doc_id").in_(doc_ids) | (field(NODE).exists(False) & field("@id").in_(doc_ids))
