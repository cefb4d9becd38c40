"""Identifiers: error codes, part numbers, function names and rare surnames, planted in a document or found in it.

Each planted one has a sibling in another document that differs in a character or a part, so that the pieces alone do
not tell them apart.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cases import Case, Claim, Means, Setting, Suite, hybrids
from sample_stores import SampleStore

import hybridstore as hs

PLANTED = 24
FOUND = 12

_SYLLABLES = ("vor", "zel", "quim", "bra", "ndok", "ulf", "tys", "mer", "gho", "plin", "ask", "ew", "dru", "xan")
_VERBS, _NOUNS = ("flush", "merge", "rotate", "settle", "unwrap"), ("rows", "leases", "tokens", "shards", "ledgers")
_SAID = {
    "error code": ("The display then shows {name}.", "what does {name} mean when it suddenly stops"),
    "part number": ("The spare part is number {name}.", "where do I order a replacement for {name} in winter"),
    "function": ("This is done by {name} in the control program.", "why would {name} be called twice after a restart"),
    "surname": ("It was described by {name}.", "which of the descriptions is by {name} and what does it say"),
}
_IDENTIFIER = re.compile(r"(?<![\w.-])(?=[\w.-]*\d)(?=[\w.-]*[A-Za-z])[A-Za-z0-9](?:[\w-]|\.(?=\w)){3,20}(?![\w-])")


def named(sample: SampleStore, chance: random.Random) -> Iterator[Setting]:
    documents = sample.documents()
    holders = chance.sample(documents, min(len(documents), 2 * PLANTED))
    half = len(holders) // 2
    kinds = [list(_SAID)[n % len(_SAID)] for n in range(half)]
    pairs = [_pair(kind, n, chance) for n, kind in enumerate(kinds)]
    cases = []
    with sample.copy() as store:
        for n, (kind, (name, sibling)) in enumerate(zip(kinds, pairs, strict=True)):
            sentence, question = _SAID[kind]
            for holder, planted in ((holders[n], name), (holders[half + n], sibling)):
                text = f"{sentence.format(name=planted)} {holder.text}"
                store.add(replace(holder, text=text), chunk=False)
            cases += _asked(name, question, str(holders[n].id))
        for name, holder_id in _there_already(documents, chance):
            cases.append(_case("found, as it is", name, holder_id))
            cases.append(_case("found, in a question", f"what is said about {name} here", holder_id))
        yield Setting(store, tuple(cases))


def _asked(name: str, question: str, holder: str) -> list[Case]:
    other = name.lower() if name != name.lower() else name.upper()
    return [
        _case("as it is", name, holder),
        _case("in another case", other, holder),
        _case("in a question", question.format(name=name), holder),
        _case("partly quoted", question.format(name=f'"{name}"'), holder),
    ]


def _case(kind: str, query: str, holder: str) -> Case:
    return Case(kind=kind, query=query, expected=(holder,), within=1)


def _pair(kind: str, number: int, chance: random.Random) -> tuple[str, str]:
    digits = f"{1000 + 37 * number + chance.randrange(37)}"
    if kind == "error code":
        return f"ERR_{digits}-B", f"ERR_{digits}-C"
    if kind == "part number":
        return f"KX-{digits}/09", f"KX-{digits}/19"
    if kind == "function":
        verb, noun = _VERBS[number // 4 % len(_VERBS)], _NOUNS[chance.randrange(len(_NOUNS))]
        return f"{verb}_pending_{noun}_v{number}", f"{verb}_{noun}_v{number}"
    first, *rest = chance.sample(_SYLLABLES, 4)
    stem = first + rest[0] + f"{rest[1]}{number}".translate(str.maketrans("0123456789", "aeiouyrlnk"))
    return f"{stem}sky".capitalize(), f"{stem}sen".capitalize()


def _there_already(documents: Sequence[hs.Document], chance: random.Random) -> list[tuple[str, str]]:
    """Find identifiers that stand in one document only."""
    counted: Counter[str] = Counter()
    where: dict[str, str] = {}
    for document in documents:
        for name in set(_IDENTIFIER.findall(f"{document.title} {document.text}")):
            counted[name.lower()] += 1
            where.setdefault(name, str(document.id))
    alone = sorted(name for name in where if counted[name.lower()] == 1)
    return [(name, where[name]) for name in chance.sample(alone, min(FOUND, len(alone)))]


def _claims(means: Means) -> list[Claim]:
    return [
        Claim(
            f"{way}: nine of ten first",
            f"{means[way]['passed']:.3f} (keyword {means['keyword']['passed']:.3f})",
            means[way]["passed"] >= 0.9,
        )
        for way in hybrids(means)
    ]


SUITES = (
    Suite(
        "identifiers",
        "an error code, part number, function or surname in one document, a sibling of it in another",
        named,
        _claims,
    ),
)
