"""Filters that keep everything, whatever is stored: before a delete, somebody has to have meant that."""

from __future__ import annotations

from hybridstore.filters.tree import And, Comparison, Filter, Not, Or


def passes_all(node: Filter) -> bool:
    """Say whether a filter restricts nothing: all of none, a prefix or part that is empty, an exclusion from nothing.

    What all that is stored happens to pass is something else.
    """
    match node:
        case And(members):
            return all(passes_all(member) for member in members)
        case Or(members):
            return any(passes_all(member) for member in members)
        case Not(member):
            return _passes_none(member)
        case Comparison(_, "prefix" | "contains", value):
            return bool(value == "")
        case Comparison(_, "nin", value):
            return not value
    return False


def _passes_none(node: Filter) -> bool:
    match node:
        case Or(members):
            return all(_passes_none(member) for member in members)
        case And(members):
            return any(_passes_none(member) for member in members)
        case Not(member):
            return passes_all(member)
        case Comparison(_, "in", value):
            return not value
    return False
