"""Suites on attributes (who likes what), which a vector of fixed length cannot tell apart but words can.

After LIMIT: Weller, Boratko, Naim and Lee, "On the Theoretical Limitations of Embedding-Based Retrieval", 2025. Every
person likes 46 things; what is asked for is liked by exactly two, and no two of these couples are the same.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import product

from cases import Case, Claim, Means, Setting, Suite, at_least, at_most, not_below
from nouns import GIVEN_NAMES, NOUNS, SURNAMES
from sample_stores import SampleStore

import hybridstore as hs

PEOPLE = 500
LIKED = 46
ASKED = 60  # of each kind

_NAMED = (
    "copper paper glass wooden silver velvet rubber marble woollen plastic wicker bamboo ceramic tin granite leather "
    "cotton linen bronze iron steel nylon cork clay ivory felt slate amber jade cardboard concrete denim enamel pewter "
    "platinum satin suede titanium tweed zinc"
)
_MATERIALS = tuple(_NAMED.split())


class _Person:
    """Somebody, what they like, and the words of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.likes: list[str] = []
        self.words: set[str] = set()

    def take(self, thing: str) -> None:
        self.likes.append(thing)
        self.words.update(thing.split())

    def may_like(self, thing: str, asked: Sequence[str]) -> bool:
        """Return whether the liked words would still contain no other thing that is queried."""
        held = self.words | set(thing.split())
        return thing not in self.likes and not any(
            other != thing and other not in self.likes and held.issuperset(other.split()) for other in asked
        )


def population(chance: random.Random) -> tuple[list[_Person], dict[str, tuple[str, str]]]:
    """Make the people, and give the two who like each thing asked for: single words first, then pairs of words."""
    people = [_Person(" ".join(pair)) for pair in chance.sample(sorted(product(GIVEN_NAMES, SURNAMES)), PEOPLE)]
    nouns = chance.sample(NOUNS, len(NOUNS))
    single, halves, filling = nouns[:ASKED], nouns[ASKED : ASKED + 30], nouns[ASKED + 30 :]
    pairs = [" ".join(each) for each in chance.sample(sorted(product(_MATERIALS, halves)), ASKED)]
    right: dict[str, tuple[str, str]] = {}
    couples: set[frozenset[str]] = set()
    for thing in (*single, *pairs):
        while True:
            one, other = chance.sample(people, 2)
            couple = frozenset((one.name, other.name))
            if couple not in couples and one.may_like(thing, pairs) and other.may_like(thing, pairs):
                break
        couples.add(couple)
        one.take(thing)
        other.take(thing)
        right[thing] = (one.name, other.name)
    for person in people:
        while len(person.likes) < LIKED:
            # The halves of what is asked for are common among all the others; only together they are rare.
            noun = chance.choice(halves) if chance.random() < 0.1 else chance.choice(filling)
            thing = noun if noun in halves or chance.random() < 0.8 else f"{chance.choice(_MATERIALS)} {noun}"
            if person.may_like(thing, pairs):
                person.take(thing)
        chance.shuffle(person.likes)
    return people, right


def attributes(sample: SampleStore, chance: random.Random) -> Iterator[Setting]:
    people, right = population(chance)
    documents = [hs.Document(id=each.name, text=f"{each.name} likes {', '.join(each.likes)}.") for each in people]
    cases = [
        Case(
            kind="two words" if " " in thing else "one word",
            query=f"Who likes {thing}?",
            expected=couple,
            within=2,
        )
        for thing, couple in right.items()
    ]
    with sample.empty() as store:
        store.add(documents, chunk=False)
        yield Setting(store, tuple(cases))


def _claims(means: Means) -> list[Claim]:
    return [
        at_least(means, "keyword", "recall", 0.9),
        at_most(means, "vector", "recall", 0.2),
        *not_below(means, "keyword", "recall", 0.1),
    ]


SUITES = (
    Suite(
        "attributes",
        f"{PEOPLE} people who like {LIKED} things each; exactly two like what is asked for (after LIMIT)",
        attributes,
        _claims,
        own=True,
    ),
)
