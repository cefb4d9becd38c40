"""Tuning with an adapter: collect questions, train, pass the gate, and promote or refuse the new version."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hybridstore.backends.learning import ModelVersion
from hybridstore.errors import InputError
from hybridstore.search import transforms
from hybridstore.search.pipeline import Clock
from hybridstore.store.embedder_choice import GIVEN
from hybridstore.store.expectations import broken_by
from hybridstore.tuning import adapter, gate, training_set
from hybridstore.tuning.adapter import AdapterSettings
from hybridstore.tuning.gate import GateQuery, Verdict
from hybridstore.tuning.model_versions import promote
from hybridstore.tuning.training_set import LabelledQuestion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hybridstore.backends.values import Embedding
    from hybridstore.embedders.protocol import Embedder
    from hybridstore.search.transforms import Adapter
    from hybridstore.store import Store

GATE_QUESTIONS = 1_000  # about ten seconds before and after
PROMOTING = "Promoting"  # the step after which the new version is used
_GATE_DOCUMENTS = 500  # the gate's interval is then a few thousandths wide
_EXAMPLES = 6  # half of them gains, half losses
_EXAMPLE_DOCUMENTS = 5  # listed of each
_TRIED = 12  # questions of each, to find so many examples
_PEOPLE = 0.4  # share of people's questions in training, which are repeated if they are few
_REPEATED = 8  # times at most


class Progress(Protocol):
    """A callback that gets the step's name, how much of it is done, of how much, and a note, or ""."""

    def __call__(self, step: str, done: int, of: int, note: str = "", /) -> None:
        """Show it; called often, in the order of the steps."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedRanking:
    """A question of the gate, and the documents it finds before and after; `answer` is the one it is about."""

    kind: str
    query: str
    answer: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneReport:
    """The result of a tuning: the version's number, whether it is active now, the gate's verdict, and the time taken.

    `questions` counts the training questions by kind; `seconds` are those of each step; `broken` says of each
    expectation of the store that the version breaks what comes of it.
    """

    number: int
    promoted: bool
    verdict: Verdict
    questions: Mapping[str, int]
    settings: Mapping[str, Any]
    seconds: Mapping[str, float]
    examples: Sequence[ChangedRanking] = ()
    broken: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report in JSON types."""
        return asdict(self)

    def for_history(self) -> dict[str, Any]:
        """Return what the version's history stores: no texts, for these must go when their documents do."""
        facts = asdict(self)
        del facts["examples"], facts["broken"], facts["number"], facts["promoted"]
        return {**facts, "seconds": {step: round(seconds, 2) for step, seconds in self.seconds.items()}}


def tune(
    store: Store,
    *,
    settings: AdapterSettings | None = None,
    most: int = training_set.MOST,
    gate_questions: int = GATE_QUESTIONS,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> TuneReport:
    """Train an adapter on questions made of the store's text and on its triples; promote it if the gate accepts it.

    At most `most` questions are made of the text, and about `gate_questions` are searched at the gate. With `dry_run`
    an accepted version stays a candidate. A refused one stays in the history with the reason. The store can be searched
    and written meanwhile; only the last step changes results, at once.

    Raises InputError where there is nothing to learn from, there is no embedder, questions are embedded by another
    embedder than the vectors, or another process changes these meanwhile.
    """
    settings, progress = settings or AdapterSettings(), progress or (lambda *_: None)
    if gate_questions < 1:
        raise InputError(f"gate_questions must be at least 1, not {gate_questions}")
    clock = Clock()
    searched, embedder = embedding_of(store)
    progress("Making questions", 0, 1)
    items = training_set.collect(store, most=most, seed=settings.seed)
    trained, held_out = split(items, gate_questions, settings.seed)
    clock.lap("questions")
    texts, held_out_texts = ([item.text for item in part] for part in (trained, held_out))
    report_embedding = partial(progress, "Embedding questions")
    vectors = training_set.embed_questions(store, [*texts, *held_out_texts], progress=report_embedding)
    held_out_vectors = vectors[len(texts) :]
    clock.lap("embedding")
    made = _train(store, trained, vectors[: len(texts)], embedder.fingerprint, settings, progress)
    clock.lap("training")
    queries = gate.gate_queries(store, held_out, held_out_vectors, progress=partial(progress, "Preparing the gate"))
    candidate = ModelVersion(
        kind="adapter",
        source=embedder.fingerprint,
        target=searched.fingerprint,
        reference=searched.reference,
        weights=transforms.write(made),
    )
    active, before, after = _evaluate(store, queries, candidate, progress)
    _check_vectors_unchanged(store, searched.fingerprint)
    verdict = gate.decide(queries, before, after)
    broken = broken_by(store.trial(active).test(), store.trial(candidate).test()) if store.expectations() else []
    verdict = gate.expecting(verdict, broken)
    clock.lap("gate")
    rank_before, rank_after = (
        rank_documents(store, model, held_out_texts, held_out_vectors) for model in (active, candidate)
    )
    report = TuneReport(
        number=0,
        promoted=False,
        verdict=verdict,
        questions=dict(Counter(item.kind for item in dict.fromkeys(trained))),  # without repetitions
        settings=asdict(settings),
        seconds=clock.laps,
        examples=examples(held_out, before, after, rank_before, rank_after),
        broken=[str(each) for each in broken],
    )
    state = "candidate" if verdict.accepted else "refused"
    number = store.learning.propose(replace(candidate, state=state, report=report.for_history()))
    promoted = verdict.accepted and not dry_run
    if promoted:
        progress(PROMOTING, 0, 1)
        promote(store, number, force=True)  # the gate has tested the expectations
        clock.lap("promotion")
    return replace(report, number=number, promoted=promoted)


def embedding_of(store: Store) -> tuple[Embedding, Embedder]:
    """Return the embedding that is searched, and its embedder.

    Raises InputError where the store's questions are not embedded by that embedder.
    """
    searched = store.embeddings.active
    if searched is None:
        raise InputError("this store has no vectors to learn for; `hybridstore reembed --embedder NAME` makes them")
    if searched.reference == GIVEN:
        raise InputError(
            "this store's vectors were supplied by the caller, so no question can be embedded to match them; "
            "`hybridstore reembed --embedder NAME` makes others"
        )
    embedder = store.embedder()
    if embedder is None:
        raise InputError("this store was opened without an embedder; open it without embedder='none' to tune it")
    if embedder.fingerprint != searched.fingerprint:
        raise InputError(
            "this store's questions come from another embedder than its vectors; run `hybridstore reembed "
            f"--embedder {getattr(embedder, 'reference', embedder.fingerprint)}` first, then tune"
        )
    return searched, embedder


def _check_vectors_unchanged(store: Store, fingerprint: str) -> None:
    now = store.embeddings.active
    if now is None or now.fingerprint != fingerprint:
        raise InputError("another process has changed this store's vectors meanwhile; nothing was changed, tune again")


def split(
    items: Sequence[LabelledQuestion], gate_questions: int, seed: int
) -> tuple[list[LabelledQuestion], list[LabelledQuestion]]:
    """Return the training questions and the gate's: people's questions first, then a mixture of all kinds."""
    trained = [item for item in items if not item.held_out]
    held_out = [item for item in items if item.held_out]
    random.Random(seed).shuffle(held_out)  # noqa: S311 - no secret
    held_out.sort(key=lambda item: item.origin is not None)
    people = [item for item in trained if item.origin is None]
    if people:
        times = _PEOPLE / (1 - _PEOPLE) * (len(trained) - len(people)) / len(people)
        trained += people * (min(max(round(times), 1), _REPEATED) - 1)
    documents: set[str] = set()
    chosen = []
    for item in held_out:  # reading what is similar to a document costs more than one more question about it
        if len(documents) < _GATE_DOCUMENTS or item.documents[0] in documents:
            documents.add(item.documents[0])
            chosen.append(item)
    return trained, chosen[:gate_questions]


def _train(  # noqa: PLR0917 - what a training needs
    store: Store,
    items: Sequence[LabelledQuestion],
    vectors: NDArray[np.float32],
    fingerprint: str,
    settings: AdapterSettings,
    progress: Progress,
) -> Adapter:
    soft = None
    if settings.soft:
        places = {item: place for place, item in enumerate(items)}  # people's questions come several times
        texts, once = [item.text for item in places], vectors[list(places.values())]
        labels = training_set.soft_labels(store, texts, once, progress=partial(progress, "Computing soft labels"))
        again = {item: place for place, item in enumerate(places)}
        rows = [again[item] for item in items]
        soft = replace(labels, chunks=labels.chunks[rows], weights=labels.weights[rows])
    learned = training_set.training_examples(store, items, vectors, soft)
    _check_vectors_unchanged(store, fingerprint)
    return adapter.train(
        learned,
        fingerprint,
        settings=settings,
        progress=lambda done, of, loss, _: progress("Training the adapter", done, of, f"loss {loss:.3f}"),
    )


def _evaluate(
    store: Store, queries: Sequence[GateQuery], candidate: ModelVersion, progress: Progress
) -> tuple[ModelVersion | None, dict[str, list[float]], dict[str, list[float]]]:
    """Return the active version, and the values of the gate's tasks with it and with the candidate."""
    while True:
        active = store.learning.model()
        before = gate.evaluate(store, queries, active, progress=partial(progress, "Evaluating the active version"))
        # After, not before: documents that are removed meanwhile count against the new one.
        after = gate.evaluate(store, queries, candidate, progress=partial(progress, "Evaluating the new version"))
        if store.learning.model() == active:  # else another process has promoted one, which must be beaten too
            return active, before, after


def rank_documents(
    store: Store, model: ModelVersion | None, texts: Sequence[str], vectors: NDArray[np.float32]
) -> Callable[[int], tuple[str, ...]]:
    """Return a function that searches for the n-th question, with all its words, and returns the best documents."""
    trial = store.trial(model)
    return lambda n: tuple(gate.search_documents(trial, texts[n], vectors[n], _EXAMPLE_DOCUMENTS))


def examples(
    held_out: Sequence[LabelledQuestion],
    before: Mapping[str, Sequence[float]],
    after: Mapping[str, Sequence[float]],
    rank_before: Callable[[int], tuple[str, ...]],
    rank_after: Callable[[int], tuple[str, ...]],
) -> tuple[ChangedRanking, ...]:
    """Return the questions that gain and lose most at finding their document, if their rankings differ."""
    gains = np.array(after["find"]) - np.array(before["find"])
    order = (-gains).argsort(kind="stable").tolist()
    shown: list[ChangedRanking] = []
    for places in ([n for n in order if gains[n] > 0], [n for n in reversed(order) if gains[n] < 0]):
        enough = len(shown) + _EXAMPLES // 2
        for n in places[:_TRIED]:
            item, old, new = held_out[n], rank_before(n), rank_after(n)
            if old != new:
                shown.append(
                    ChangedRanking(kind=item.kind, query=item.text, answer=item.documents[0], before=old, after=new)
                )
            if len(shown) == enough:
                break
    return tuple(shown)
