"""Match expressions: what a chunk must contain to be a candidate at all.

An expression is made of analysed tokens, joined by and, or, not. It knows neither the query syntax nor a database.
`search` builds it, a backend applies it, and `explain` describes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as attribute

# The parts of a chunk that can be named. Its text has no name: words without a field are looked for in all three.
FIELDS = ("title", "heading")


@dataclass(frozen=True, slots=True)
class WordSequence:
    """One or more consecutive tokens in `field`, or in any one field if it is "".

    A last token that ends in `*` matches by prefix. `written` is the user's own spelling.
    """

    tokens: tuple[str, ...]
    field: str = ""
    written: str = attribute(default="", compare=False)


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of the members hold; there is at least one."""

    members: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the members holds."""

    members: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class NotOf:
    """The member does not hold."""

    member: Expression


Expression = WordSequence | AllOf | AnyOf | NotOf


def passes_empty(expression: Expression) -> bool:
    """Return whether a chunk with none of the words passes, as it does when everything is negated.

    This is true of exactly one of an expression and its negation. If false, only chunks with a positive word pass.
    """
    match expression:
        case WordSequence():
            return False
        case NotOf(member):
            return not passes_empty(member)
        case AllOf(members):
            return all(map(passes_empty, members))
        case AnyOf(members):
            return any(map(passes_empty, members))


def positive_words(expression: Expression, *, negated: bool = False) -> Iterator[WordSequence]:
    """Yield the words under an even number of negations, in order: a chunk may pass by containing them."""
    match expression:
        case WordSequence():
            if not negated:
                yield expression
        case NotOf(member):
            yield from positive_words(member, negated=not negated)
        case AllOf(members) | AnyOf(members):
            for member in members:
                yield from positive_words(member, negated=negated)


def nesting(expression: Expression) -> int:
    """Return how deeply groups are nested: 0 for words alone; a negation adds nothing."""
    match expression:
        case WordSequence() | NotOf(WordSequence()):
            return 0
        case NotOf(member):
            return nesting(member)
        case AllOf(members) | AnyOf(members):
            return 1 + max(map(nesting, members))


def describe(expression: Expression) -> str:
    """Return the expression in words: `"mars" or "venus"`, `not "rust" in the title`."""
    match expression:
        case WordSequence(tokens, field, written):
            return f'"{written or " ".join(tokens)}"' + (f" in the {field}" if field else "")
        case NotOf(member):
            return f"not {_in_brackets(member)}"
        case AllOf(members):
            return " and ".join(map(_in_brackets, members))
        case AnyOf(members):
            return " or ".join(map(_in_brackets, members))


def _in_brackets(expression: Expression) -> str:
    description = describe(expression)
    return f"({description})" if isinstance(expression, AllOf | AnyOf) else description
