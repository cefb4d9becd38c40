"""The gate: a version of the model is accepted only if it is better, beyond chance, on documents it never saw.

It is evaluated with questions cut from held-out documents. To make them as hard as people's questions, which use other
words than the passages that answer them, the keyword leg sees a random half of their words, and the vector leg all of
them. There are three tasks: to find the document that the question was cut from ("find"), those that its text finds by
words ("words"), and those that its text finds by words and meaning with the plain embedder ("both"). "words" measures
whether the vectors come nearer to what the keyword leg knows, for which they were not trained; "both" whether they
keep what they knew.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hybridstore.evaluation.metrics import ndcg
from hybridstore.evaluation.significance import RunComparison, paired_bootstrap
from hybridstore.tuning.fragments import cleaned, content_words, spaced

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hybridstore.backends.learning import ModelVersion
    from hybridstore.store import Store
    from hybridstore.store.expectations import TestedExpectation
    from hybridstore.store.trial import Trial
    from hybridstore.tuning.training_set import LabelledQuestion

TASKS: Mapping[str, str] = {
    "find": "finding the document asked about",
    "words": "finding the documents most like it by words",
    "both": "finding the documents most like it by words and meaning",
}
FEWEST = 20  # documents, for a meaningful interval
DEPTH = 10  # ranks that count, as in nDCG@10
_FEWEST_OF_A_KIND = 10
_RESAMPLES = 2_000
_SHOWN = 0.5  # chance of a word to be shown to the keyword leg
# How many similar documents are relevant in a task. Words find them less precisely, so more of them count.
_SIMILAR = {"words": 30, "both": 10}
_WORDS = 40  # of a document, to find similar ones by: all words of a long one take seconds, and find the same


@dataclass(frozen=True, slots=True)
class GateQuery:
    """A question of a `kind`: `text` is what the keyword leg sees, `vector` (d,) is of all its words.

    `answers` are the documents that answer it. `similar` has, for the tasks "words" and "both", the documents most
    similar to the one it was cut from; it is empty for a person's question.
    """

    kind: str
    text: str
    vector: NDArray[np.float32]
    answers: frozenset[str]
    similar: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def document(self) -> str:
        """The document that it is about: results of one document are not independent."""
        return min(self.answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a version is accepted, and why.

    `overall`, `kinds` (of questions) and `tasks` compare before (a) and after (b), document by document. `reason` is a
    sentence for people. With too few documents `overall` is None, and `kinds` and `tasks` are empty. `questions` counts
    those searched.
    """

    accepted: bool
    reason: str
    overall: RunComparison | None
    kinds: Mapping[str, RunComparison]
    tasks: Mapping[str, RunComparison]
    questions: int


def gate_queries(
    store: Store,
    items: Sequence[LabelledQuestion],
    vectors: NDArray[np.float32],
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[GateQuery]:
    """Make a gate query of each question and its vector (n, d). A person's question keeps all its words."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    known: dict[int, dict[str, frozenset[str]]] = {}
    queries = []
    for done, (item, vector) in enumerate(zip(items, vectors, strict=True), start=1):
        answers = frozenset(item.documents)
        if item.origin is None:
            queries.append(GateQuery(item.kind, item.text, vector, answers))
        else:
            if item.origin not in known:
                known[item.origin] = _similar(store, item.origin, answers)
            queries.append(GateQuery(item.kind, _half(item.text, rng), vector, answers, known[item.origin]))
        if progress and (done % 20 == 0 or done == len(items)):
            progress(done, len(items))
    return queries


def evaluate(
    store: Store,
    queries: Sequence[GateQuery],
    model: ModelVersion | None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[float]]:
    """Search every query with a version of the store's model (None: the plain embedder); return each task's nDCG@10.

    A task's value is NaN for a query that has no such documents.
    """
    trial = store.trial(model)
    values: dict[str, list[float]] = {task: [] for task in TASKS}
    for done, query in enumerate(queries, start=1):
        documents = search_documents(trial, query.text, query.vector, DEPTH + len(query.answers))
        others = [document for document in documents if document not in query.answers]
        values["find"].append(_ndcg(documents, query.answers))
        for task in _SIMILAR:
            values[task].append(_ndcg(others, query.similar[task]) if query.similar.get(task) else math.nan)
        if progress and (done % 20 == 0 or done == len(queries)):
            progress(done, len(queries))
    return values


def search_documents(trial: Trial, text: str, vector: NDArray[np.float32] | None, limit: int) -> list[str]:
    """Return the distinct documents that a question finds, best first; by keywords alone without a vector."""
    return [hit.document_id for hit in trial.search(text, vector, limit=limit, per_document=1).hits]


def decide(
    queries: Sequence[GateQuery], before: Mapping[str, Sequence[float]], after: Mapping[str, Sequence[float]]
) -> Verdict:
    """Accept a version if its interval over documents is above zero, and no kind of question and no task loses.

    A loss is an interval below zero. All intervals are of 95 %, by paired bootstrap over documents, because the
    questions of one document are not independent.
    """
    documents = {query.document for query in queries}
    if len(documents) < FEWEST:
        reason = f"only {len(documents)} documents could be asked about, and {FEWEST} are needed to tell gain from luck"
        return Verdict(accepted=False, reason=reason, overall=None, kinds={}, tasks={}, questions=len(queries))

    def compare(kind: str | None = None, task: str | None = None) -> RunComparison:
        a, b = (means_by_document(queries, values, kind=kind, task=task) for values in (before, after))
        return paired_bootstrap(a, b, resamples=_RESAMPLES)

    of_kind = {kind: {query.document for query in queries if query.kind == kind} for kind in _kinds(queries)}
    kinds = {kind: compare(kind=kind) for kind, some in of_kind.items() if len(some) >= _FEWEST_OF_A_KIND}
    tasks = {task: compare(task=task) for task in TASKS if means_by_document(queries, before, task=task)}
    overall = compare()
    accepted, reason = _judge(overall, kinds, tasks)
    return Verdict(accepted=accepted, reason=reason, overall=overall, kinds=kinds, tasks=tasks, questions=len(queries))


def expecting(verdict: Verdict, broken: Sequence[TestedExpectation]) -> Verdict:
    """Return the verdict on a version that would break these expectations of the store: it is not accepted.

    The reason does not quote them, as it is kept when their documents are purged.
    """
    if not (verdict.accepted and broken):
        return verdict
    reason = f"{verdict.reason}, but it breaks {len(broken)} of the store's expectations (`hybridstore test`)"
    return replace(verdict, accepted=False, reason=reason)


def means_by_document(
    queries: Sequence[GateQuery],
    values: Mapping[str, Sequence[float]],
    *,
    kind: str | None = None,
    task: str | None = None,
) -> dict[str, float]:
    """Return each document's mean over its queries and tasks, or over those of one kind or one task."""
    known: dict[str, list[float]] = {}
    for place, query in enumerate(queries):
        if kind in (None, query.kind):
            own = (values[name][place] for name in (TASKS if task is None else (task,)))
            known.setdefault(query.document, []).extend(value for value in own if not math.isnan(value))
    return {document: sum(own) / len(own) for document, own in known.items() if own}


def _kinds(queries: Sequence[GateQuery]) -> list[str]:
    return sorted({query.kind for query in queries})


def _judge(
    overall: RunComparison, kinds: Mapping[str, RunComparison], tasks: Mapping[str, RunComparison]
) -> tuple[bool, str]:
    summary = f"{overall.difference:+.4f} nDCG@10 on {overall.n:,} held-out documents ({_interval(overall)})"
    if overall.low <= 0:
        return False, f"{summary}: {'it loses there' if overall.high < 0 else 'that may be luck'}"
    for kind, change in kinds.items():
        if change.high < 0:
            loss = f"{change.difference:+.4f} ({_interval(change)})"
            return False, f"{summary}, but questions of the kind {kind} lose {loss}"
    for task, change in tasks.items():
        if change.high < 0:
            loss = f"{change.difference:+.4f} ({_interval(change)})"
            return False, f"{summary}, but it loses at {TASKS[task]}: {loss}"
    return True, summary


def _interval(comparison: RunComparison) -> str:
    return f"95 % of resamples between {comparison.low:+.4f} and {comparison.high:+.4f}"


def _similar(store: Store, chunk: int, answers: frozenset[str]) -> dict[str, frozenset[str]]:
    """Return the documents that a chunk's own text finds with the plain embedder, other than its own."""
    trial = store.trial(None)
    text = _gist(" ".join(passage.text for passage in store.chunks.passages([chunk])), store.language)
    similar = {}
    for task, count in _SIMILAR.items():
        vector = store.chunks.vectors([chunk])[0] if task == "both" else None
        documents = search_documents(trial, text, vector, count + len(answers))
        similar[task] = frozenset([document for document in documents if document not in answers][:count])
    return similar


def _gist(text: str, language: str) -> str:
    """Return at most 40 of a text's content words, spread evenly over it."""
    if not spaced(text):
        return cleaned(text)[: 2 * _WORDS]
    words = content_words(text, language)
    return " ".join(words[:: -(-len(words) // _WORDS)] if words else cleaned(text).split()[:_WORDS])


def _half(text: str, rng: random.Random) -> str:
    """Return about half of a question's words, at random, at least one; half of a text without spaces."""
    if not spaced(text):
        half = max(len(text) // 2, 1)
        first = rng.randrange(len(text) - half + 1)
        return text[first : first + half]
    words = text.split()
    shown = [word for word in words if rng.random() < _SHOWN]
    return " ".join(shown or [rng.choice(words)])


def _ndcg(documents: Sequence[str], relevant: frozenset[str]) -> float:
    """Return nDCG@10 where all relevant documents are equally so."""
    return ndcg(documents, dict.fromkeys(relevant, 1), DEPTH)
