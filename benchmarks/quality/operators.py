"""Operators of the query syntax: quoted phrases and excluded words, compared with a scan of the text."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, pairwise

from cases import LEGS, Case, Claim, Means, Search, Setting, Suite
from sample_stores import STOP_WORDS, SampleStore, content_words, vocabulary, words
from typos import known_items

import hybridstore as hs
from hybridstore.records import Hit, Results

PHRASES = 20
PLANTED = 20
EXCLUSIONS = 40
IN_ORDER = 0.9  # of the pairs: fusing ranks again, without those left out, may exchange neighbours
DEEP = 100


# Phrases


def phrases(sample: SampleStore, chance: random.Random) -> Iterator[Setting]:
    """Search for pairs of words that are a phrase in one to three documents, and scattered in others."""
    documents = sample.documents()
    found = _phrases(documents, chance)
    texts = {str(each.id): f"{each.title} {each.text}" for each in documents}
    cases = []
    for pair, holders in found:
        beside = [word for word in content_words(texts[holders[0]]) if word not in pair]
        cases += _asked("found", pair, holders, chance.choice(beside) if beside else "")
    with sample.copy() as store:
        taken = {pair for pair, _ in found}
        drawn = chance.sample(documents, min(2 * PLANTED, len(documents)))
        for scattered, holder in zip(drawn[::2], drawn[1::2], strict=False):
            options = [word for word in content_words(texts[str(scattered.id)]) if word.isalpha()]
            if len(options) < 2:
                continue
            pair = (options[-1], options[0])
            if pair not in taken and not any(adjacent(pair, text, same=_alike) for text in texts.values()):
                store.add(replace(holder, text=f"Mind the {' '.join(pair)}. {holder.text}"), chunk=False)
                cases += _asked(
                    "planted", pair, (str(holder.id),), chance.choice(content_words(holder.text) or ["the"])
                )
        yield Setting(store, tuple(cases))


def _asked(kind: str, pair: tuple[str, str], holders: tuple[str, ...], beside: str) -> list[Case]:
    phrase = " ".join(pair)
    return [
        Case(
            kind=f"{kind}{more}",
            query=query,
            expected=holders,
            check=_phrase_first(pair),
            says=f"before any passage with “{phrase}” scattered",
        )
        for more, query in (("", f'"{phrase}"'), (", with a word", f'{beside} "{phrase}"'))
    ]


def _phrases(documents: Sequence[hs.Document], chance: random.Random) -> list[tuple[tuple[str, str], tuple[str, ...]]]:
    """Draw word pairs that follow each other in one to three documents and stand scattered in another."""
    known = vocabulary(documents)
    holding: dict[tuple[str, str], set[str]] = {}
    having: dict[str, set[str]] = {}
    for document in documents:
        for part in (document.title, document.text):
            listed = words(part)
            for word in listed:
                having.setdefault(word, set()).add(str(document.id))
            for pair in pairwise(listed):
                if all(len(word) > 3 and word.isalpha() and word not in STOP_WORDS for word in pair):
                    holding.setdefault(pair, set()).add(str(document.id))
    fit = sorted(
        pair
        for pair, holders in holding.items()
        if pair[0] != pair[1] and len(holders) <= 3 and min(known[word] for word in pair) > len(holders)
        and (having[pair[0]] & having[pair[1]]) - holders
    )  # fmt: skip
    return [(pair, tuple(sorted(holding[pair]))) for pair in chance.sample(fit, min(PHRASES, len(fit)))]


def adjacent(pair: tuple[str, str], text: str, *, same: Callable[[str, str], bool]) -> bool:
    return any(same(one, pair[0]) and same(other, pair[1]) for one, other in pairwise(words(text)))


def _phrase_first(pair: tuple[str, str]) -> Callable[[Search, Results], float]:
    """Return 1 if no hit without the phrase ranks above one with it; stems may differ, so four letters decide."""

    def check(_: Search, results: Results) -> float:
        exact = [_holds(hit, pair, lambda a, b: a == b) for hit in results]
        alike = [_holds(hit, pair, _alike) for hit in results]
        last = max((n for n, here in enumerate(exact) if here), default=-1)
        return float(last >= 0 and all(alike[: last + 1]))

    return check


def _alike(one: str, other: str) -> bool:
    return one[:4] == other[:4]


def _holds(hit: Hit, pair: tuple[str, str], same: Callable[[str, str], bool]) -> bool:
    return any(adjacent(pair, text, same=same) for text in (hit.title, hit.text))


# Words with a minus


def negation(sample: SampleStore, chance: random.Random) -> Iterator[Setting]:
    with sample.copy() as store:
        cases = []
        for question, _ in known_items(sample, chance, EXCLUSIONS):
            shown = store.search(question)
            there = [word for hit in shown for word in {*words(f"{hit.title} {hit.text}")}]
            fit = {word for word in there if len(word) > 3 and word.isascii() and word.isalpha()}
            options = sorted(word for word in fit if there.count(word) < len(shown))
            own = [word for word in options if word in words(question)]
            for kind, pool in (("a word of hits", options), ("a word of the question", own)):
                if pool:
                    word = chance.choice(pool)
                    cases.append(
                        Case(
                            kind=kind,
                            query=f'{question} -"{word}"',
                            check=_without(question, word),
                            least=IN_ORDER,
                            says=f"no hit with “{word}”, the others as before",
                        )
                    )
        yield Setting(store, tuple(cases))


def _without(question: str, word: str) -> Callable[[Search, Results], float]:
    """Return 0 if a hit contains the word, else the share of pairs of hits in the order without the exclusion."""

    def check(search: Search, results: Results) -> float:
        if any(word in words(f"{hit.title} {hit.text}") for hit in results):
            return 0.0
        before = {hit.chunk_id: hit.rank for hit in search(question, limit=DEEP)}
        ranks = [before[hit.chunk_id] for hit in results if hit.chunk_id in before]
        return in_order(ranks)

    return check


def in_order(ranks: Sequence[int]) -> float:
    """Return the share of pairs in ascending order: Kendall's tau, scaled to [0, 1]; 1 without any pair."""
    pairs = [first < second for first, second in combinations(ranks, 2)]
    return sum(pairs) / len(pairs) if pairs else 1.0


def _negation_claims(means: Means) -> list[Claim]:
    return [
        Claim(
            f"{leg}: no hit holds the word, and the others are in the order without it",
            f"{means[leg]['value']:.3f} of pairs",
            means[leg]["value"] == 1,
        )
        for leg in LEGS
    ]


SUITES = (
    Suite("phrases", "a quoted phrase of two words that other documents hold scattered", phrases),
    Suite("negation", "a question with a word of its hits, or of itself, excluded", negation, _negation_claims),
)
