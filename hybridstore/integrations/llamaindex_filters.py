"""LlamaIndex's filters, and what else it says of the nodes it means, as a store's filters."""

from __future__ import annotations

from collections.abc import Iterable

try:
    from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters
except ImportError as missing:
    from hybridstore.errors import MissingExtra

    raise MissingExtra("llamaindex", "a store in LlamaIndex", "llama-index-core") from missing

from hybridstore.errors import InputError
from hybridstore.filters import And, Comparison, Filter, Not, Or, field

NODE = "_node_content"  # where LlamaIndex's node_to_metadata_dict puts the node itself
EMPTY = "_hybridstore_empty"  # the names of the fields that are empty lists, which no comparison can tell

_SIGNS = {
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
    """Give LlamaIndex's filters as the store's.

    The condition NOT holds where none of its filters does. NE and NIN keep what lacks the field and the others do not,
    but for IS_EMPTY. Numbers compare with numbers, text with text. Raises InputError for a value that an operator does
    not take, and for TEXT_MATCH_INSENSITIVE, as a store's filters tell upper from lower case.
    """
    if isinstance(filters, MetadataFilter):
        return _compared(filters)
    members = tuple(filter_of(each) for each in filters.filters)
    match filters.condition:
        case FilterCondition.OR:
            return Or(members)
        case FilterCondition.NOT:
            return Not(Or(members))
        case _:
            return And(members)


def _compared(condition: MetadataFilter) -> Filter:
    key, sign, value = condition.key, condition.operator, condition.value
    name = "".join(f"\\{each}" if each in ".@$\\" else each for each in key)  # the key as it stands, no path
    if sign in _SIGNS:
        return Comparison(name, _SIGNS[sign], value)
    if sign == FilterOperator.IS_EMPTY:
        nothing = (Comparison(name, "exists", False), Comparison(name, "in", (None, "")))
        return Or((*nothing, Comparison(EMPTY, "contains", key)))
    if sign == FilterOperator.TEXT_MATCH:
        if not isinstance(value, str):
            raise InputError(f"text_match of {key!r} takes a text, not {value!r}")
        return And((Comparison(name, "contains", value), Comparison(name, "gte", "")))  # which only a text is
    if sign in (FilterOperator.ANY, FilterOperator.ALL):
        if not isinstance(value, list) or not value:
            raise InputError(f"{sign.value} of {key!r} takes a list of at least one value, not {value!r}")
        held = tuple(Comparison(name, "contains", each) for each in value)
        return Or(held) if sign == FilterOperator.ANY else And(held)
    raise InputError(
        f"the operator {sign.value!r} of {key!r} is not known to a store, whose filters tell upper from lower case; "
        "use text_match on a field kept in lower case, or put the words into the query"
    )


def where_of(
    node_ids: Iterable[str] | None, doc_ids: Iterable[str] | None, filters: MetadataFilters | None
) -> Filter | None:
    """Give the filter for nodes that have one of the ids, stem from one of the documents and pass the filters.

    What is None does not restrict; an empty list of ids leaves nothing. None where all three are.
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
    """Ask for nodes by the documents they stem from; a document that LlamaIndex did not write stems from itself."""
    doc_ids = list(doc_ids)
    return field("ref_doc_id").in_(doc_ids) | (field(NODE).exists(False) & field("@id").in_(doc_ids))
