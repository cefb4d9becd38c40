"""What a tuning learns from and is examined with: questions of all kinds, parted by the documents that answer them.

A fifth of the documents, always the same, is for the examination alone: no question that any of them answers, and no
passage of theirs, is ever trained on.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.embedders.protocol import ManyQueries
from hybridstore.errors import InputError
from hybridstore.tuning import synthetic_questions
from hybridstore.tuning.adapter import TrainingExamples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hybridstore.store import Store
    from hybridstore.tuning.soft_labels import Taught

MOST = 5_000  # questions made out of the store's own text; twice as many gain no more (docs/experiments.md)
_HELD_OUT = 5  # one document in so many
_AT_ONCE = 500  # passages read, questions embedded


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledQuestion:
    """A question of a `kind`, the chunks that answer it, the best known first, and all documents known to answer it.

    `origin` is the chunk that its words were cut from, None where a person asked. `ignored` are chunks that may answer
    it as well, for all that is known; `negatives` are chunks that do not.
    """

    text: str
    kind: str
    answers: tuple[int, ...]
    documents: tuple[str, ...]
    origin: int | None = None
    ignored: tuple[int, ...] = ()
    negatives: tuple[int, ...] = ()

    @property
    def held_out(self) -> bool:
        """Say whether a document that answers it is kept for the examination."""
        return any(held_out(document) for document in self.documents)


def held_out(document_id: str) -> bool:
    """Say whether a document is one of the fifth that is never trained on; the same for ever."""
    return hashlib.blake2b(document_id.encode(), digest_size=4).digest()[0] % _HELD_OUT == 0


def collect(store: Store, *, most: int = MOST, seed: int = 0) -> list[LabelledQuestion]:
    """Give the store's triples as questions, and at most so many made out of its own text.

    Raises InputError where there is nothing to ask.
    """
    made = list(synthetic_questions.from_corpus(store, most=most, seed=seed)) if most else []
    kept: defaultdict[tuple[str, str], list[tuple[int, tuple[int, ...], tuple[int, ...]]]] = defaultdict(list)
    for triple in store.learning.triples():
        if triple.origin is None or triple.kind not in synthetic_questions.KINDS:  # those of the corpus are made anew
            doubted = tuple(each.chunk for each in triple.negatives if each.excluded)
            sure = tuple(each.chunk for each in triple.negatives if not each.excluded)
            kept[triple.query, triple.kind].append((triple.positive, doubted, sure))
    chunks = {question.positive for question in made if question.positive is not None}
    chunks.update(positive for some in kept.values() for positive, _, _ in some)
    documents = documents_of(store, chunks)
    items = [
        LabelledQuestion(
            text=question.text,
            kind=question.kind,
            answers=(question.positive,),
            documents=(documents[question.positive],),
            origin=question.origin,
        )
        for question in made
        if question.positive in documents
    ]
    for (text, kind), some in kept.items():
        answers = tuple(dict.fromkeys(positive for positive, _, _ in some if positive in documents))
        if answers:
            ignored = {chunk for _, unsure, _ in some for chunk in unsure}
            wrong = {chunk for _, _, certain in some for chunk in certain} - ignored - set(answers)
            items.append(
                LabelledQuestion(
                    text=text,
                    kind=kind,
                    answers=answers,
                    documents=tuple(dict.fromkeys(documents[answer] for answer in answers)),
                    ignored=tuple(sorted(ignored)),
                    negatives=tuple(sorted(wrong)),
                )
            )
    if not items:
        raise InputError(
            "there is nothing to learn from: no question can be made of this store's text, and there are no triples; "
            "add documents, or run `hybridstore harvest` with questions of your own"
        )
    return _with_all_documents(items)


def _with_all_documents(items: Sequence[LabelledQuestion]) -> list[LabelledQuestion]:
    """Add the documents that answer the same words in an item of another kind, behind its own."""
    answering: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for item in items:
        answering[item.text.casefold()].update(dict.fromkeys(item.documents))
    return [
        replace(item, documents=tuple(dict.fromkeys((*item.documents, *answering[item.text.casefold()]))))
        for item in items
    ]


def documents_of(store: Store, chunks: Iterable[int]) -> dict[int, str]:
    """Give the documents' ids of those of the chunks that are there."""
    ordered, found = sorted(chunks), {}
    for first in range(0, len(ordered), _AT_ONCE):
        for passage in store.chunks.passages(ordered[first : first + _AT_ONCE]):
            found[passage.chunk] = passage.document_id
    return found


def embed(
    store: Store, texts: Sequence[str], *, progress: Callable[[int, int], None] | None = None
) -> NDArray[np.float32]:
    """Embed questions by the store's plain embedder, (n, d), those that come again only once.

    Raises InputError for a store without one.
    """
    embedder = store.embedder()
    if embedder is None:
        raise InputError("this store has no vectors to learn for; `hybridstore reembed --embedder NAME` makes them")
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    different = list(places)
    vectors = np.empty((len(different), embedder.dim), np.float32)
    for first in range(0, len(different), _AT_ONCE):
        some = different[first : first + _AT_ONCE]
        if isinstance(embedder, ManyQueries):
            vectors[first : first + len(some)] = embedder.embed_queries(some)
        else:
            vectors[first : first + len(some)] = [embedder.embed_query(text) for text in some]
        if progress:
            progress(first + len(some), len(different))
    return vectors[[places[text] for text in texts]]


def lessons(
    store: Store, items: Sequence[LabelledQuestion], vectors: NDArray[np.float32], taught: Taught | None = None
) -> TrainingExamples:
    """Put questions and their vectors (n, d) together with the passages that they are to be told apart from.

    `taught` is what the teacher says about each. A question with several answers comes once for each. Passages are all
    answers, negatives and what the teacher names, as far as they have a vector; of the documents that answer a question
    no passage but the answer itself is held against it.
    """
    chunks = {chunk for item in items for chunk in (*item.answers, *item.negatives)}
    if taught is not None:
        chunks.update(np.unique(taught.chunks[taught.chunks >= 0]).tolist())
    with store.snapshot():
        documents = documents_of(store, chunks)
        pool = [chunk for chunk in sorted(chunks) if chunk in documents and not held_out(documents[chunk])]
        passages = store.chunks.vectors(pool)
    there = passages.any(axis=1)
    pool, passages = [pool[row] for row in np.flatnonzero(there)], passages[there]
    rows = {chunk: row for row, chunk in enumerate(pool)}
    of_document: defaultdict[str, list[int]] = defaultdict(list)
    for chunk, row in rows.items():
        of_document[documents[chunk]].append(row)
    asked: list[int] = []
    answers: list[int] = []
    ignored: list[tuple[int, int]] = []
    for place, item in enumerate(items):
        doubted = {rows[chunk] for chunk in item.ignored if chunk in rows}
        for chunk in item.answers:
            if chunk in rows:
                others = (
                    row for each in item.documents if each != documents[chunk] for row in of_document.get(each, ())
                )
                ignored += [(len(asked), row) for row in doubted.union(others)]
                asked.append(place)
                answers.append(rows[chunk])
    numbers = {document: number for number, document in enumerate(of_document)}
    return TrainingExamples(
        questions=vectors[asked],
        passages=passages,
        answers=np.array(answers, np.int64),
        documents=np.array([numbers[documents[chunk]] for chunk in pool], np.int64),
        ignored=np.array(ignored, np.int64).reshape(-1, 2),
        soft_passages=None if taught is None else _rows(taught.chunks[asked], pool),
        soft_weights=None if taught is None else taught.shares[asked],
    )


def _rows(chunks: NDArray[np.int64], pool: Sequence[int]) -> NDArray[np.int64]:
    """Give the chunks' places in the pool, -1 for those that are not there."""
    if not pool:
        return np.full_like(chunks, -1)
    places = np.minimum(np.searchsorted(pool, chunks), len(pool) - 1)
    return np.where(np.asarray(pool)[places] == chunks, places, -1)
