"""Long questions about short texts, and short questions about long texts."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence

from cases import Case, Search, Setting, Suite
from sample_stores import SampleStore, sentences
from synthetic_text import FACTS

import hybridstore as hs
from hybridstore.records import Results

QUESTIONS = 24
WORDS = 200
NOISE = 12  # words of each other document at most, so that none of them holds as much of the question
LEAST = 30  # words a document must have for a share of the question to be its own
LONG = 12  # documents to plant in
LENGTH = 2_000  # words of a long document, which is other documents joined


# Long questions


def long_questions(sample: SampleStore, chance: random.Random) -> Iterator[Setting]:
    documents = sample.documents()
    fit = [each for each in documents if len(each.text.split()) >= LEAST]
    cases = []
    for document in chance.sample(fit, min(QUESTIONS, len(fit))):
        for share in (0.5, 0.25):
            query = _long(document, documents, share, chance)
            cases.append(Case(kind=f"{share:.0%} its own words", query=query, expected=(str(document.id),), within=1))
    with sample.copy() as store:
        yield Setting(store, tuple(cases))


def _long(document: hs.Document, documents: Sequence[hs.Document], share: float, chance: random.Random) -> str:
    """Mix sentences of a document with pieces of others, in any order, up to the words wanted."""
    parts: list[str] = []
    left = int(WORDS * share)
    for sentence in chance.sample(own := sentences(document.text), len(own)):
        taken = sentence.split()[:left]
        parts.append(" ".join(taken))
        left -= len(taken)
    count = sum(len(part.split()) for part in parts)
    for other in chance.sample(documents, min(len(documents), WORDS)):
        listed = other.text.split()
        if count >= WORDS:
            break
        if other.id != document.id and len(listed) >= 5:
            start = chance.randrange(max(1, len(listed) - NOISE))
            taken = listed[start : start + min(NOISE, WORDS - count)]
            parts.append(" ".join(taken))
            count += len(taken)
    chance.shuffle(parts)
    return " ".join(filter(None, parts))


# Long texts


def planted(sample: SampleStore, chance: random.Random) -> Iterator[Setting]:
    """Plant two facts in each of some long documents, which are cut into chunks, and ask for them in other words."""
    texts = [" ".join(each.text.split()) for each in sample.documents() if each.text.strip()]
    facts = chance.sample(FACTS, len(FACTS))[: 2 * LONG]
    cases = []
    with sample.empty() as store:
        for n in range(LONG):
            parts: list[str] = []
            left = LENGTH
            for text in chance.sample(texts, len(texts)):
                if left <= 0:
                    break
                parts.append(" ".join(text.split()[:left]))
                left -= len(text.split())
            mine = facts[2 * n : 2 * n + 2]
            for fact, _ in mine:
                parts.insert(chance.randrange(len(parts) + 1), fact)
            text = " ".join(parts)
            store.add(hs.Document(id=f"long-{n}", text=text))
            for fact, question in mine:
                start = text.index(fact)
                cases.append(
                    Case(
                        kind="planted",
                        query=question,
                        check=_covered(f"long-{n}", start, start + len(fact)),
                        least=0.1,
                        says=f"in the first 10, the passage of long-{n} with “{fact}”",
                    )
                )
        yield Setting(store, tuple(cases))


def _covered(document: str, start: int, end: int) -> Callable[[Search, Results], float]:
    """Return 1 / the rank of the first hit that contains the middle of the span, 0 if none does."""
    middle = (start + end) // 2

    def check(_: Search, results: Results) -> float:
        here = (hit.rank for hit in results if hit.document_id == document and hit.start <= middle < hit.end)
        return 1 / next(here, math.inf)

    return check


SUITES = (
    Suite(
        "long questions",
        f"{WORDS} words: sentences of one document, and pieces of at most {NOISE} words of many others",
        long_questions,
    ),
    Suite("planted facts", f"a sentence in one of {LONG} long documents, asked for in other words", planted),
)
