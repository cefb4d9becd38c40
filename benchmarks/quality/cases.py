"""Suites and their cases: queries of a store with their expected results."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sample_stores import SampleStore

import hybridstore as hs
from hybridstore.records import Results

Search = Callable[..., Results]
"""Searches the case's store in the way being measured; options of `Store.search` override the case's."""

Means = Mapping[str, Mapping[str, float]]
"""Way of searching → "passed", "mrr", "recall" or "value", and each with "KIND/" before it → mean over the cases."""

LEGS = ("keyword", "vector")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A question and what must come of it.

    The `expected` documents must stand among the first `within`: each of them, or any where `every` is False. `check`
    gives a value from 0 to 1, which must be at least `least`; `says` tells in words what is expected. `kind` groups
    cases of a suite. `options` go to every search.
    """

    kind: str
    query: str
    expected: tuple[str, ...] = ()
    within: int = 10
    every: bool = True
    check: Callable[[Search, Results], float] | None = None
    least: float = 1.0
    says: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def description(self) -> str:
        """What is expected, in words."""
        named = ", ".join(self.expected[:3]) + (f" and {len(self.expected) - 3} more" if self.expected[3:] else "")
        which = "" if self.every or len(self.expected) < 2 else "one of "
        place = "first" if self.within == 1 else f"in the first {self.within}"
        return "; ".join(filter(None, (f"{which}{named} {place}" if named else "", self.says)))


@dataclass(frozen=True, slots=True)
class Setting:
    """Cases and the store they are put to."""

    store: hs.Store
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that should be true of a suite's means, with what was found."""

    says: str
    found: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Suite:
    """A named family of cases.

    `make` gives the settings one after the other, and closes each store when the next one is asked for; `own` suites
    bring their own text and use the ground only for its folder. `claims` judges the means.
    """

    name: str
    about: str
    make: Callable[[SampleStore, random.Random], Iterator[Setting]]
    claims: Callable[[Means], list[Claim]] = lambda _: []
    own: bool = False


def hybrids(means: Means) -> list[str]:
    return [way for way in means if way not in LEGS]


def not_below(means: Means, leg: str, measure: str, margin: float) -> list[Claim]:
    """Claim for every hybrid that its mean is at most `margin` below the leg's."""
    floor = means[leg][measure]
    return [
        Claim(
            f"{way}: {measure} at most {margin:g} below the {leg} leg's",
            f"{means[way][measure]:.3f} against {floor:.3f}",
            means[way][measure] >= floor - margin - 1e-9,
        )
        for way in hybrids(means)
    ]


def at_least(means: Means, way: str, measure: str, floor: float) -> Claim:
    found = means[way][measure]
    return Claim(f"{way}: {measure} at least {floor:g}", f"{found:.3f}", found >= floor - 1e-9)


def at_most(means: Means, way: str, measure: str, ceiling: float) -> Claim:
    found = means[way][measure]
    return Claim(f"{way}: {measure} at most {ceiling:g}", f"{found:.3f}", found <= ceiling + 1e-9)
