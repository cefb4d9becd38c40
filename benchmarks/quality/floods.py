"""Floods: near-copies that fill one leg must not displace the right document that only the other leg finds."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from cases import Case, Setting, Suite
from sample_stores import SampleStore, content_words, sentences
from vectors import Vector, near, texts, unit

import hybridstore as hs

FLOODS = 8
COPIES = 60
DEPTH = 50  # candidates a leg: fewer than there are copies
FILLING = 400
LEAST = 20  # words; in a shorter passage one other word makes too much of a difference

_MARKS = ("QX-7731", "ZB-1094", "VK-3368", "WJ-5527", "HP-8812", "TN-2046", "GR-6695", "LD-9470")


# Given vectors: everything is known


def given(sample: SampleStore, chance: random.Random) -> Iterator[Setting]:
    generator = np.random.default_rng(chance.randrange(2**32))
    documents = [hs.Document(id=f"filling-{n}", text=text) for n, text in enumerate(texts(FILLING, 60, chance))]
    vectors = [unit(generator) for _ in documents]
    cases = []
    for n in range(FLOODS):
        for leg in ("keyword", "vector"):
            question = texts(1, 6, chance)[0]
            centre, asked = unit(generator), unit(generator)
            passage = f"{question} {texts(1, 40, chance)[0]}"
            mark = f" {_MARKS[n]}" if leg == "vector" else ""
            right = f"{leg}-{n}-right"
            documents += _copies(passage, f"{leg}-{n}", chance)
            if leg == "vector":  # the copies are what the query means; the right document has a word of it
                centre = near(asked, 0.95, generator)
                vectors += [near(centre, 0.995, generator) for _ in range(COPIES)] + [unit(generator)]
                documents.append(hs.Document(id=right, text=f"{texts(1, 30, chance)[0]}{mark}"))
            else:  # the copies have the words; the right document is what the query means
                vectors += [near(centre, 0.995, generator) for _ in range(COPIES)] + [near(asked, 0.9, generator)]
                documents.append(hs.Document(id=right, text=texts(1, 30, chance)[0]))
            cases += _cases(f"{leg} leg flooded", question + mark, right, {"vector": asked})
    with sample.empty(language="none") as store:  # made-up words have no stems
        store.add(documents, vectors=np.array(vectors))
        yield Setting(store, tuple(cases))


def _cases(kind: str, query: str, right: str, options: dict[str, Vector]) -> list[Case]:
    return [
        Case(
            kind=f"{kind}{', unique' if unique else ''}",
            query=query,
            expected=(right,),
            options={**options, "unique": unique, "depth": DEPTH},
        )
        for unique in (False, True)
    ]


# Embedded


def embedded(sample: SampleStore, chance: random.Random) -> Iterator[Setting]:
    """Flood the vector leg with copies of a passage, and ask for it and for a number that stands elsewhere."""
    documents = sample.documents()
    fit = [each for each in documents if len(each.text.split()) >= LEAST and sentences(each.text)]
    drawn = chance.sample(fit, min(2 * FLOODS, len(fit)))
    cases = []
    with sample.copy() as store:
        for n, (one, other) in enumerate(zip(drawn[::2], drawn[1::2], strict=False)):
            copies = _copies(" ".join(one.text.split()[:120]), f"copy-{n}", chance)
            store.add([replace(each, title=one.title) for each in copies], chunk=False)
            store.add(replace(other, text=f"Part {_MARKS[n]}. {other.text}"), chunk=False)
            asked = content_words(f"{one.title} {sentences(one.text)[0]}")[:3]  # few: the number must outweigh them
            query = f"{' '.join(asked)} {_MARKS[n]}"
            cases += _cases("copies embedded", query, str(other.id), {})
        yield Setting(store, tuple(cases))


def _copies(text: str, name: str, chance: random.Random) -> Sequence[hs.Document]:
    """Return near-copies: one with a word in capitals, the next with a word doubled or omitted."""
    listed = text.split()
    made = []
    for n in range(COPIES):
        at = chance.randrange(len(listed))
        other = (listed[at].upper(), f"{listed[at]} {listed[at]}", "")[n % 3]
        changed = " ".join([*listed[:at], other, *listed[at + 1 :]]).replace("  ", " ")
        made.append(hs.Document(id=f"{name}-{n}", text=f"{changed} "))
    return made


SUITES = (
    Suite(
        "floods",
        f"{COPIES} near-copies that fill all {DEPTH} candidates of a leg, with given vectors",
        given,
        own=True,
    ),
    Suite("floods, embedded", f"{COPIES} near-copies of a passage, and a number that stands in another one", embedded),
)
