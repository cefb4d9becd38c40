"""Training data for an adapter: labelled questions, split by document, and the soft labels of the fused ranking.

A fifth of the documents, always the same, is held out for the gate: no question that any of them answers, and no
passage of theirs, is ever trained on.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.embedders.protocol import ManyQueries
from hybridstore.errors import InputError
from hybridstore.tuning import synthetic_questions
from hybridstore.tuning.adapter import TrainingExamples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hybridstore.backends.learning import Triple
    from hybridstore.store import Store

MOST = 5_000  # questions made of the store's own text; twice as many gain no more (docs/experiments.md)
_HELD_OUT = 5  # one document in so many
_BATCH = 500  # passages read, or questions embedded, at a time
_SOFT_LABELS = 16  # passages a question; those below have almost no weight
_SOFTNESS = 0.05  # temperature of the softmax over fused scores
_DEPTH = 50  # candidates of each leg


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledQuestion:
    """A question of a `kind`, the chunks that answer it, best first, and all documents known to answer it.

    `origin` is the chunk that its words were cut from, None for a person's question. `ignored` are chunks that may
    answer it as well; `negatives` are chunks that do not.
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
        """Whether a document that answers it is held out."""
        return any(held_out(document) for document in self.documents)


@dataclass(frozen=True, slots=True)
class SoftLabels:
    """For each question the chunks that the fused ranking puts first, (n, k), and their weights, (n, k).

    A question's weights sum to 1; where fewer chunks are found, the rest are -1 with weight 0.
    """

    chunks: NDArray[np.int64]
    weights: NDArray[np.float32]


def held_out(document_id: str) -> bool:
    """Return whether a document is one of the fifth that is never trained on; the same for ever."""
    return hashlib.blake2b(document_id.encode(), digest_size=4).digest()[0] % _HELD_OUT == 0


def collect(store: Store, *, most: int = MOST, seed: int = 0) -> list[LabelledQuestion]:
    """Return the store's triples as questions, and at most `most` questions made of its own text.

    Raises InputError where there are none.
    """
    made = list(synthetic_questions.from_corpus(store, most=most, seed=seed)) if most else []
    triples: defaultdict[tuple[str, str], list[Triple]] = defaultdict(list)
    for triple in store.learning.triples():
        if triple.origin is None or triple.kind not in synthetic_questions.KINDS:  # those of the text are made anew
            triples[triple.query, triple.kind].append(triple)
    chunks = {question.positive for question in made if question.positive is not None}
    chunks.update(triple.positive for group in triples.values() for triple in group)
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
    labelled = (_from_triples(text, kind, group, documents) for (text, kind), group in triples.items())
    items += [item for item in labelled if item is not None]
    if not items:
        raise InputError(
            "there is nothing to learn from: no question can be made of this store's text, and there are no triples; "
            "add documents, or run `hybridstore harvest` with questions of your own"
        )
    return _with_all_documents(items)


def _from_triples(
    text: str, kind: str, triples: Sequence[Triple], documents: Mapping[int, str]
) -> LabelledQuestion | None:
    """Return one question for all triples of its words and kind, None where no answer is left."""
    answers = tuple(dict.fromkeys(triple.positive for triple in triples if triple.positive in documents))
    if not answers:
        return None
    negatives = [negative for triple in triples for negative in triple.negatives]
    ignored = {negative.chunk for negative in negatives if negative.excluded}
    return LabelledQuestion(
        text=text,
        kind=kind,
        answers=answers,
        documents=tuple(dict.fromkeys(documents[answer] for answer in answers)),
        ignored=tuple(sorted(ignored)),
        negatives=tuple(sorted({negative.chunk for negative in negatives} - ignored - set(answers))),
    )


def _with_all_documents(items: Sequence[LabelledQuestion]) -> list[LabelledQuestion]:
    """Append the documents that answer the same words in an item of another kind."""
    answering: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for item in items:
        answering[item.text.casefold()].update(dict.fromkeys(item.documents))
    return [
        replace(item, documents=tuple(dict.fromkeys((*item.documents, *answering[item.text.casefold()]))))
        for item in items
    ]


def documents_of(store: Store, chunks: Iterable[int]) -> dict[int, str]:
    """Return the document ids of those chunks that still exist."""
    ordered, documents = sorted(chunks), {}
    for first in range(0, len(ordered), _BATCH):
        for passage in store.chunks.passages(ordered[first : first + _BATCH]):
            documents[passage.chunk] = passage.document_id
    return documents


def embed_questions(
    store: Store, texts: Sequence[str], *, progress: Callable[[int, int], None] | None = None
) -> NDArray[np.float32]:
    """Embed questions with the store's plain embedder, (n, d); repeated ones are embedded once.

    Raises InputError for a store without an embedder.
    """
    embedder = store.embedder()
    if embedder is None:
        raise InputError("this store has no vectors to learn for; `hybridstore reembed --embedder NAME` makes them")
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    distinct = list(places)
    vectors = np.empty((len(distinct), embedder.dim), np.float32)
    for first in range(0, len(distinct), _BATCH):
        batch = distinct[first : first + _BATCH]
        if isinstance(embedder, ManyQueries):
            vectors[first : first + len(batch)] = embedder.embed_queries(batch)
        else:
            vectors[first : first + len(batch)] = [embedder.embed_query(text) for text in batch]
        if progress:
            progress(first + len(batch), len(distinct))
    return vectors[[places[text] for text in texts]]


def soft_labels(
    store: Store,
    texts: Sequence[str],
    vectors: NDArray[np.float32],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> SoftLabels:
    """Search for questions and their vectors (n, d) with the plain embedder; return softmax(fused score / 0.05).

    A question made of a passage is labelled with that passage alone, though others answer it more or less; the fused
    scores are the best estimate of how much (listwise distillation: Cao et al., "Learning to Rank: From Pairwise
    Approach to Listwise Approach", ICML 2007).
    """
    chunks = np.full((len(texts), _SOFT_LABELS), -1, np.int64)
    weights = np.zeros((len(texts), _SOFT_LABELS), np.float32)
    trial = store.trial(None)
    for place, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
        ranking = trial.search(text, vector, limit=1, depth=_DEPTH).fused
        count = min(len(ranking), _SOFT_LABELS)
        if count:
            scores = ranking.scores[:count]
            powers = np.exp((scores - scores.max()) / _SOFTNESS)
            chunks[place, :count], weights[place, :count] = ranking.chunks[:count], powers / powers.sum()
        if progress and (place % 20 == 19 or place + 1 == len(texts)):
            progress(place + 1, len(texts))
    return SoftLabels(chunks, weights)


def training_examples(
    store: Store, items: Sequence[LabelledQuestion], vectors: NDArray[np.float32], soft: SoftLabels | None = None
) -> TrainingExamples:
    """Combine questions, their vectors (n, d) and soft labels with the passages to contrast them with.

    A question with several answers gives one example for each. Passages are all answers, negatives and softly labelled
    chunks that have a vector. No other passage of a document that answers a question is a negative for it.
    """
    chunks = {chunk for item in items for chunk in (*item.answers, *item.negatives)}
    if soft is not None:
        chunks.update(np.unique(soft.chunks[soft.chunks >= 0]).tolist())
    with store.snapshot():
        documents = documents_of(store, chunks)
        pool = [chunk for chunk in sorted(chunks) if chunk in documents and not held_out(documents[chunk])]
        passages = store.chunks.vectors(pool)
    embedded = passages.any(axis=1)
    pool, passages = [pool[row] for row in np.flatnonzero(embedded)], passages[embedded]
    rows = {chunk: row for row, chunk in enumerate(pool)}
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for chunk, row in rows.items():
        rows_of[documents[chunk]].append(row)
    questions: list[int] = []
    answers: list[int] = []
    ignored: list[tuple[int, int]] = []
    for place, item in enumerate(items):
        doubted = {rows[chunk] for chunk in item.ignored if chunk in rows}
        for chunk in item.answers:
            if chunk in rows:
                answering = [document for document in item.documents if document != documents[chunk]]
                also = doubted.union(*(rows_of.get(document, ()) for document in answering))
                ignored += [(len(questions), row) for row in also]
                questions.append(place)
                answers.append(rows[chunk])
    numbers = {document: number for number, document in enumerate(rows_of)}
    return TrainingExamples(
        questions=vectors[questions],
        passages=passages,
        answers=np.array(answers, np.int64),
        documents=np.array([numbers[documents[chunk]] for chunk in pool], np.int64),
        ignored=np.array(ignored, np.int64).reshape(-1, 2),
        soft_passages=None if soft is None else _rows(soft.chunks[questions], pool),
        soft_weights=None if soft is None else soft.weights[questions],
    )


def _rows(chunks: NDArray[np.int64], pool: Sequence[int]) -> NDArray[np.int64]:
    """Return the chunks' places in the pool, -1 for those that are not in it."""
    if not pool:
        return np.full_like(chunks, -1)
    places = np.minimum(np.searchsorted(pool, chunks), len(pool) - 1)
    return np.where(np.asarray(pool)[places] == chunks, places, -1)
