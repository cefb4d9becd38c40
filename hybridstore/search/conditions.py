"""What a structured query requires of every answer, and whether there is anything that it requires."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from hybridstore.backends.values import Restriction
from hybridstore.errors import InputError
from hybridstore.filters import And, Filter, Not, Or
from hybridstore.search.algebra import About, Conjunction, Negation, StructuredQuery, Where, Words
from hybridstore.text.expressions import AllOf, AnyOf, Expression, NotOf

T = TypeVar("T")

Conditions = Mapping[Words, Expression]
"""What each `words` of a query means to a backend; those that are missing restrict nothing."""


class Signed(NamedTuple):
    """A part of a query that is not a negation, and whether it is meant as it stands, or negated."""

    part: StructuredQuery
    positive: bool

    @property
    def joins_all(self) -> bool:
        """Whether all of its members must hold, by De Morgan's laws; else one of them."""
        return isinstance(self.part, Conjunction) == self.positive

    @property
    def members(self) -> list[Signed]:
        """Its members, with their signs."""
        return [signed(member, self.positive) for member in self.part.members]


def signed(query: StructuredQuery, positive: bool = True) -> Signed:
    """Return a query without the negations it begins with."""
    while isinstance(query, Negation):
        query, positive = query.member, not positive
    return Signed(query.with_weight(1.0), positive)


def narrowed(within: Restriction, query: Signed, conditions: Conditions) -> Restriction:
    """Return the restriction of what is within one and meets all that this query requires for a truth above 0."""
    where, matching = _required(query, conditions)
    if where is not None:
        within = replace(within, where=where if within.where is None else And((within.where, where)))
    if matching is not None and matching not in within.matching:
        within = replace(within, matching=(*within.matching, matching))
    return within


def _required(query: Signed, conditions: Conditions) -> tuple[Filter | None, Expression | None]:
    part, positive = query
    match part:
        case Where(where):
            return (where if positive else Not(where)), None
        case Words():
            condition = conditions.get(part)
            return None, condition if positive or condition is None else NotOf(condition)
        case About():
            return None, None
    below = [_required(member, conditions) for member in query.members]
    filters = [where for where, _ in below if where is not None]
    matching = [condition for _, condition in below if condition is not None]
    if query.joins_all:
        return _joined(And, filters), _joined(AllOf, matching)
    # An alternative that requires nothing leaves nothing to require of all.
    complete = len(filters) == len(below), len(matching) == len(below)
    return _joined(Or, filters) if complete[0] else None, _joined(AnyOf, matching) if complete[1] else None


def _joined(kind: Callable[[tuple[T, ...]], T], parts: Sequence[T]) -> T | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    return kind(tuple(parts))


def attracts(query: Signed) -> bool:
    """Return whether `about` and `words` alone lead to all answers of a query, so that nothing need be listed."""
    if not query.part.members:
        return query.positive and not isinstance(query.part, Where)
    return (any if query.joins_all else all)(map(attracts, query.members))


def check_bounded(query: StructuredQuery) -> None:
    """Raise InputError for a query that is true of what has none of it: nearly everything would be an answer."""
    if _passes_empty(signed(query)):
        raise InputError(
            f"nearly everything would be an answer to {query}: it says only what is not wanted. Join it by & with what "
            "is, or with a filter, within which all passages are judged"
        )


def _passes_empty(query: Signed) -> bool:
    if not query.part.members:
        return not query.positive
    return (all if query.joins_all else any)(map(_passes_empty, query.members))


def alternatives(query: StructuredQuery) -> list[list[About]]:
    """Return the `about` that are alternatives to each other; none that has another place in the query as well."""
    groups = set(_groups(signed(query)))
    places = Counter(leaf for group in groups for leaf in group) + Counter(set(_outside(signed(query))))
    alone = ([leaf for leaf in group if isinstance(leaf, About) and places[leaf] == 1] for group in groups)
    return [sorted(group, key=str) for group in alone]


def _groups(query: Signed) -> Iterator[frozenset[StructuredQuery]]:
    """Yield the leaves of each part of which one must hold; alternatives of alternatives are of the same part."""
    if query.members and not query.joins_all:
        yield frozenset(member.part for member in _flat(query) if not member.members and member.positive)
    for member in _flat(query):
        yield from _groups(member)


def _outside(query: Signed) -> Iterator[StructuredQuery]:
    """Yield the leaves that are no alternatives: negated ones, and those that must hold."""
    for member in _flat(query) if query.members else [query]:
        if member.members:
            yield from _outside(member)
        elif not member.positive or not query.members or query.joins_all:
            yield member.part


def _flat(query: Signed) -> Iterator[Signed]:
    for member in query.members:
        if member.members and member.joins_all == query.joins_all:
            yield from _flat(member)
        else:
            yield member
