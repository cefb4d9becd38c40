"""Languages unknown to the embedder, where vectors are noise that hybrid search must not follow."""

from __future__ import annotations

import random
from collections.abc import Iterator

from cases import Case, Claim, Means, Setting, Suite, not_below
from multilingual_passages import PASSAGES
from sample_stores import SampleStore

import hybridstore as hs


def foreign(sample: SampleStore, chance: random.Random) -> Iterator[Setting]:  # noqa: ARG001 - nothing is drawn
    documents, cases = [], []
    for language, rows in PASSAGES.items():
        for n, (passage, question) in enumerate(rows):
            documents.append(hs.Document(id=f"{language.lower()}-{n}", text=passage))
            cases.append(Case(kind=language, query=question, expected=(f"{language.lower()}-{n}",), within=1))
    with sample.empty() as store:
        store.add(documents)
        yield Setting(store, tuple(cases))


def _claims(means: Means) -> list[Claim]:
    return [
        claim
        for kind in ("", *(f"{each}/" for each in PASSAGES))
        for claim in not_below(means, "keyword", f"{kind}mrr", 0)
    ]


SUITES = (
    Suite(
        "unknown languages",
        "questions in Finnish, Greek, Hindi and Arabic that share words with a passage",
        foreign,
        _claims,
        own=True,
    ),
)
