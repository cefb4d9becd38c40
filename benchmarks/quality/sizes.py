"""The smallest store and a large one: two documents, and twenty thousand."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
from cases import Case, Claim, Means, Setting, Suite, at_least, hybrids
from sample_stores import SampleStore
from synthetic_text import FACTS
from vectors import near, texts, unit, word

import hybridstore as hs

PAIRS = 10
LARGE = 20_000
ASKED = 60


def two_documents(sample: SampleStore, chance: random.Random) -> Iterator[Setting]:
    facts = chance.sample(FACTS, 2 * PAIRS)
    for n in range(PAIRS):
        pair = facts[2 * n : 2 * n + 2]
        with sample.empty() as store:
            store.add([hs.Document(id=f"{which}", text=fact) for which, (fact, _) in zip("ab", pair, strict=True)])
            cases = [
                Case(kind=kind, query=query, expected=(which,), within=1)
                for which, (fact, question) in zip("ab", pair, strict=True)
                for kind, query in (("in other words", question), ("in its words", fact.rstrip(".").lower()))
            ]
            yield Setting(store, tuple(cases))


def large(sample: SampleStore, chance: random.Random) -> Iterator[Setting]:
    generator = np.random.default_rng(chance.randrange(2**32))
    listed = texts(LARGE, 40, chance)
    vectors = np.array([unit(generator) for _ in listed])
    cases = []
    for n, row in enumerate(chance.sample(range(LARGE), ASKED)):
        mark = word(100_000 + 7 * n)  # beyond the words of the texts
        listed[row] += f" {mark}"
        own = chance.sample(listed[row].split()[:-1], 4)
        others = " ".join(chance.sample(listed[(row + 1) % LARGE].split(), 4))
        close, far = near(vectors[row], 0.7, generator), unit(generator)
        for kind, query, vector, within in (
            ("both legs know it", " ".join([*own, mark]), close, 1),
            ("only its word", f"{others} {mark}", far, 10),
            ("only its meaning", others, close, 10),
        ):
            cases.append(
                Case(
                    kind=kind,
                    query=query,
                    expected=(f"d{row}",),
                    within=within,
                    options={"vector": vector},
                )
            )
    with sample.empty(language="none") as store:  # made-up words have no stems
        documents = [hs.Document(id=f"d{n}", text=text) for n, text in enumerate(listed)]
        store.add(documents, vectors=vectors)
        yield Setting(store, tuple(cases))


def _claims(means: Means) -> list[Claim]:
    return [at_least(means, way, "both legs know it/passed", 1.0) for way in hybrids(means)]


SUITES = (
    Suite("two documents", "a store of two sentences, asked for each", two_documents, own=True),
    Suite("a large store", f"{LARGE:,} made-up passages with given vectors", large, _claims, own=True),
)
