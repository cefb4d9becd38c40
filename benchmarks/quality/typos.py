"""Typos: a misspelt word in a query, which the keyword leg cannot match; and a word that is in no document."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from cases import Case, Claim, Means, Setting, Suite, not_below
from sample_stores import SampleStore, content_words, sentences, vocabulary

QUESTIONS = 40
MARGIN = 0.05

_KEYS = "qwertyuiop", "asdfghjkl", "zxcvbnm"
_NEIGHBOURS = {one: other for row in _KEYS for one, other in pairwise(row)} | {"p": "o", "l": "k", "m": "n"}
_UNKNOWN = ("blorptak", "wuzzlefenk", "grimblequat", "snorvelix", "plaktoomin")


def swapped(word: str, at: int) -> str:
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def dropped(word: str, at: int) -> str:
    return word[:at] + word[at + 1 :]


def doubled(word: str, at: int) -> str:
    return word[:at] + word[at] + word[at:]


def slipped(word: str, at: int) -> str:
    return word[:at] + _NEIGHBOURS.get(word[at], "x") + word[at + 1 :]


_WAYS = {
    "two letters swapped": swapped,
    "a letter dropped": dropped,
    "a letter doubled": doubled,
    "a neighbouring key": slipped,
}


def known_items(sample: SampleStore, chance: random.Random, count: int) -> list[tuple[str, tuple[str, ...]]]:
    """Draw questions with the documents that answer them; sentences of documents where no question is known."""
    if sample.asked:
        return chance.sample(sample.asked, min(count, len(sample.asked)))
    documents = sample.documents()
    drawn = []
    for document in chance.sample(documents, min(count, len(documents))):
        longest = max(sentences(document.text), key=len, default="")
        if asked := " ".join(content_words(longest)[:6]):
            drawn.append((asked, (str(document.id),)))
    return drawn


def misspelt(sample: SampleStore, chance: random.Random) -> Iterator[Setting]:
    known = vocabulary(sample.documents())
    cases = []
    for question, right in known_items(sample, chance, QUESTIONS):
        options = [word for word in content_words(question, 5) if known[word] and word.isascii()]
        if not options:
            continue
        word = min(options, key=lambda each: (known[each], each))  # the one that tells most
        cases.append(_case("spelt right", question, right))
        for kind, way in _WAYS.items():
            wrong = _wrong(word, way, known, chance)
            if wrong:
                cases.append(_case(kind, question.lower().replace(word, wrong), right))
        cases.append(_case("a word nobody knows", f"{question} {chance.choice(_UNKNOWN)}", right))
    with sample.copy() as store:
        yield Setting(store, tuple(cases))


def _wrong(word: str, way: Callable[[str, int], str], known: Mapping[str, int], chance: random.Random) -> str:
    """Misspell a word into one that is in no document; "" where every try gave a known one."""
    places = list(range(1, len(word) - 2))
    chance.shuffle(places)
    tries = (way(word, at) for at in places)
    return next((each for each in tries if each != word and not known[each]), "")


def _case(kind: str, query: str, right: tuple[str, ...]) -> Case:
    return Case(kind=kind, query=query, expected=right, every=False)


def _claims(means: Means) -> list[Claim]:
    kinds = [*_WAYS, "a word nobody knows"]
    return [
        claim
        for kind in kinds
        if f"{kind}/mrr" in means["vector"]
        for claim in not_below(means, "vector", f"{kind}/mrr", MARGIN)
    ]


SUITES = (
    Suite(
        "typos",
        "the rarest word of a question misspelt, and a word added that no document has",
        misspelt,
        _claims,
    ),
)
