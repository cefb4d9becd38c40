"""Synthetic questions with known answers, made from a store's own text.

A passage answers its title, its heading, and any fragment of itself. Such questions are cheap and never wrong about
their answer, but they use the passage's words. Sources: the inverse cloze task (Lee, Chang & Toutanova, "Latent
Retrieval for Weakly Supervised Open Domain Question Answering", ACL 2019) and random crops (Izacard et al.,
"Unsupervised Dense Information Retrieval with Contrastive Learning", TMLR 2022).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hybridstore.errors import InputError
from hybridstore.tuning import fragments

if TYPE_CHECKING:
    from hybridstore.backends.values import StoredDocument
    from hybridstore.store import Store

KINDS = ("title", "heading", "opening", "sentence", "crop", "keywords", "template")
_TEMPLATES = (
    "what is {0} and how does it relate to {1}?",
    "how does {0} affect {1}?",
    "what is known about {0} and {1}?",
    "is there a connection between {0} and {1}?",
    "why is {0} important for {1}?",
)
_ENGLISH_SIGNS = frozenset({"the", "of", "and", "to", "is", "in"})  # English prose of any subject holds some of them
_UNIT_SEPARATOR = " > "  # between the parts of a heading's path


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and what is known about its answer.

    `kind` is one of KINDS, or "log", "feedback", "labelled", "endpoint". `origin` is the chunk that its words came
    from, `positive` the chunk that answers it; where only the answering `document` is known, its best chunk counts.
    `answers` are all documents known to answer, which are never negatives; `wrong` are chunks known not to.
    """

    text: str
    kind: str
    origin: int | None = None
    positive: int | None = None
    document: str | None = None
    answers: frozenset[str] = frozenset()
    wrong: frozenset[int] = frozenset()

    @property
    def certain(self) -> bool:
        """Whether an answer is known, so that no other may replace it."""
        return self.positive is not None or self.document is not None or self.origin is not None


@dataclass(frozen=True, slots=True)
class _Chunk:
    number: int
    text: str
    heading: tuple[str, ...]


@dataclass(slots=True)
class _Document:
    """A document that questions are made of; `left` holds for each kind the chunks not yet used."""

    title: str
    chunks: list[_Chunk]
    rng: random.Random
    order: list[str]
    left: dict[str, list[_Chunk]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Corpus:
    """Some documents of a store, in how many of all documents each title and heading occurs, and words' IDF."""

    documents: list[_Document]
    names: Counter[str]
    idf: Mapping[str, float]
    language: str


def from_corpus(store: Store, *, most: int, seed: int = 0, kinds: Sequence[str] = KINDS) -> Iterator[Question]:
    """Make at most `most` distinct questions from a store's text, spread evenly over its documents.

    They are the same for the same store and `seed`. Every document gives one before any gives a second, and its kinds
    take turns. Titles and headings that several documents have, that are one word, or that name a file are skipped;
    templates are filled with words of English text only. Raises InputError for an unknown kind.
    """
    if most < 1:
        raise InputError(f"most must be at least 1 question, not {most}")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise InputError(f"unknown kind of questions: {unknown[0]!r}; choose from {', '.join(KINDS)}")
    corpus = _read(store, most, seed, tuple(dict.fromkeys(kinds)))
    seen: set[str] = set()
    before = -1
    while before < len(seen) < most:
        before = len(seen)
        for document in corpus.documents:
            question = _next(document, corpus, seen)
            if question is not None:
                yield question
                if len(seen) == most:
                    return


def _next(document: _Document, corpus: _Corpus, seen: set[str]) -> Question | None:
    """Return the document's next new question, its kinds taking turns; None when there is none."""
    for _ in range(len(document.order)):
        kind = document.order.pop(0)
        document.order.append(kind)
        while document.left[kind]:
            chunk = document.left[kind].pop()
            text = _MADE[kind](document, chunk, corpus)
            if text and text.casefold() not in seen and text.casefold() != chunk.text.strip().casefold():
                seen.add(text.casefold())
                return Question(text, kind, chunk.number, chunk.number)
    return None


def _read(store: Store, most: int, seed: int, kinds: tuple[str, ...]) -> _Corpus:
    """Read all documents' titles and headings, and the text of as many documents as there will be questions."""
    documents: list[_Document] = []
    names: Counter[str] = Counter()
    frequency: Counter[str] = Counter()
    with store.snapshot():
        total = store.count()
        places = set(random.Random(seed).sample(range(total), min(total, most)))  # noqa: S311 - no secret
        for place, stored in enumerate(store.scan()):
            names.update({name.casefold() for name in _names(stored)})
            if place in places:
                ids = store.chunks.of([str(stored.document.id)]).get(str(stored.document.id), [])
                documents.append(_document(stored, ids, kinds, seed))
    for document in documents:
        for chunk in document.chunks:
            frequency.update(fragments.content_words(chunk.text, store.language))
    chunks = sum(len(document.chunks) for document in documents)
    # A word that only one chunk has is more often a name or a typo than a subject of questions.
    idf = {word: math.log1p((chunks - df + 0.5) / (df + 0.5)) for word, df in frequency.items() if df > 1}
    random.Random(seed).shuffle(documents)  # noqa: S311
    return _Corpus(documents, names, idf, store.language)


def _document(stored: StoredDocument, ids: Sequence[int], kinds: Sequence[str], seed: int) -> _Document:
    rng = random.Random(f"{seed} {stored.document.id}")  # noqa: S311
    text, title = stored.document.text, stored.document.title
    chunks = [
        _Chunk(number, text[chunk.start : chunk.end], _path(chunk.heading))
        for number, chunk in zip(ids, stored.chunks, strict=True)
    ]
    order = rng.sample(kinds, len(kinds))
    left = {kind: rng.sample(chunks, len(chunks)) for kind in kinds}
    if "title" in left:
        left["title"] = chunks[:1]  # a title is used once, and the first chunk answers it
    return _Document(title, chunks, rng, order, left)


def _path(heading: str) -> tuple[str, ...]:
    return tuple(part for part in heading.split(_UNIT_SEPARATOR) if part.strip())


def _names(stored: StoredDocument) -> Iterator[str]:
    yield stored.document.title
    for chunk in stored.chunks:
        yield from _headings(_path(chunk.heading), stored.document.title)


def _headings(path: tuple[str, ...], title: str) -> Iterator[str]:
    """Return a chunk's heading as questions: alone, and behind the heading or title above it."""
    if path:
        yield path[-1]
        yield f"{path[-2] if len(path) > 1 else title} {path[-1]}"


def _title(document: _Document, _: _Chunk, corpus: _Corpus) -> str | None:
    return _name(document.title, corpus)


def _heading(document: _Document, chunk: _Chunk, corpus: _Corpus) -> str | None:
    return next(filter(None, (_name(heading, corpus) for heading in _headings(chunk.heading, document.title))), None)


def _name(name: str, corpus: _Corpus) -> str | None:
    text = fragments.cleaned(name)
    shared = corpus.names[name.casefold()] > 1
    return None if shared or fragments.length(text) < 2 or fragments.is_file_name(name) else text


def _keywords(document: _Document, chunk: _Chunk, corpus: _Corpus) -> str | None:
    count = document.rng.randint(2, 4)
    words = fragments.keywords(chunk.text, count, corpus.idf, corpus.language, document.rng)
    return " ".join(words) if words else None


def _template(document: _Document, chunk: _Chunk, corpus: _Corpus) -> str | None:
    if corpus.language != "english" or len(_ENGLISH_SIGNS.intersection(chunk.text.lower().split())) < 2:
        return None
    words = fragments.keywords(chunk.text, 2, corpus.idf, corpus.language, document.rng)
    return document.rng.choice(_TEMPLATES).format(*words) if words else None


_MADE: Mapping[str, Callable[[_Document, _Chunk, _Corpus], str | None]] = {
    "title": _title,
    "heading": _heading,
    "opening": lambda _, chunk, __: fragments.opening(chunk.text),
    "sentence": lambda document, chunk, _: fragments.sentence(chunk.text, document.rng),
    "crop": lambda document, chunk, _: fragments.crop(chunk.text, document.rng),
    "keywords": _keywords,
    "template": _template,
}
