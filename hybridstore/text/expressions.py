"""What a chunk must hold to be found at all: words that stand together, joined by and, or, not.

A query's restriction as every room reads it: search makes it, a backend obeys it, explain tells it. It is made of
analysed tokens and knows neither the syntax that people write nor a database.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as attribute

# The parts of a chunk that can be named; its text has no name, because words without a field are sought in all three.
FIELDS = ("title", "heading")


@dataclass(frozen=True, slots=True)
class WordSequence:
    """The tokens, at least one, stand one after another in `field`, or in any one of the fields where it is "".

    A last token that ends in `*` stands for every token that begins so. `said` is what the person wrote.
    """

    tokens: tuple[str, ...]
    field: str = ""
    said: str = attribute(default="", compare=False)


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of the members holds, of which there is at least one."""

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
    """Say whether a chunk without any of the words would pass, as with nothing but negations.

    Exactly one of an expression and its negation does; what does not pass only chunks that hold a positive word.
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


def positive(expression: Expression, *, wanted: bool = True) -> Iterator[WordSequence]:
    """Give the words that a chunk may pass by holding, in order: those under an even number of negations."""
    match expression:
        case WordSequence():
            if wanted:
                yield expression
        case NotOf(member):
            yield from positive(member, wanted=not wanted)
        case AllOf(members) | AnyOf(members):
            for member in members:
                yield from positive(member, wanted=wanted)


def levels(expression: Expression) -> int:
    """Count how deep and, or and not stand in each other; 0 for words alone. A not right before words is none."""
    match expression:
        case WordSequence() | NotOf(WordSequence()):
            return 0
        case NotOf(member):
            return levels(member)
        case AllOf(members) | AnyOf(members):
            return 1 + max(map(levels, members))


def tell(expression: Expression) -> str:
    """Say it in words: `"mars" or "venus"`, `not "rust" in the title`."""
    match expression:
        case WordSequence(tokens, field, said):
            return f'"{said or " ".join(tokens)}"' + (f" in the {field}" if field else "")
        case NotOf(member):
            return f"not {_enclosed(member)}"
        case AllOf(members):
            return " and ".join(map(_enclosed, members))
        case AnyOf(members):
            return " or ".join(map(_enclosed, members))


def _enclosed(expression: Expression) -> str:
    told = tell(expression)
    return f"({told})" if isinstance(expression, AllOf | AnyOf) else told
