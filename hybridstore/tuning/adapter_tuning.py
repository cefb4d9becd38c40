"""One turn of learning, on one page: questions, an adapter, the gate, and the change over or the refusal."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hybridstore.backends.learning import ModelVersion
from hybridstore.errors import InputError
from hybridstore.search import transforms
from hybridstore.search.pipeline import Clock
from hybridstore.store.embedder_choice import GIVEN
from hybridstore.tuning import adapter, gate, gate_probes, training_set
from hybridstore.tuning.adapter import AdapterSettings
from hybridstore.tuning.gate import Verdict
from hybridstore.tuning.model_versions import promote
from hybridstore.tuning.soft_labels import teach
from hybridstore.tuning.training_set import LabelledQuestion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hybridstore.backends.values import Embedding
    from hybridstore.embedders.protocol import Embedder
    from hybridstore.search.transforms import Adapter
    from hybridstore.store import Store

PROBES = 1_000  # questions of the gate: about ten seconds before and after
PROMOTING = "Changing over"  # the step after which questions are answered by the new version
_EXAMINED = 500  # documents at the gate: its interval is then a few thousandths wide
_EXAMPLES = 6  # half of them gains, half losses
_LOOKED_AT = 12  # questions of each, to find so many
_PEOPLE = 0.4  # share that people's questions have of the lessons, repeated if they are few
_REPEATED = 8  # times at most


class Progress(Protocol):
    """Gets the step's name, how much of it is done, of how much, and in words what else there is to say, or ""."""

    def __call__(self, step: str, done: int, of: int, words: str = "", /) -> None:
        """Show it; called often, in the order of the steps."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedRanking:
    """A question of the gate, and the documents it finds first before and after; `answer` is the one it is about."""

    kind: str
    query: str
    answer: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneReport:
    """What came of a turn: the version's number, whether it is active now, the gate's verdict, and what it cost.

    `questions` counts by kind what was trained on; `seconds` are those of each step.
    """

    number: int
    promoted: bool
    verdict: Verdict
    questions: Mapping[str, int]
    settings: Mapping[str, Any]
    seconds: Mapping[str, float]
    examples: Sequence[ChangedRanking] = ()

    def told(self) -> dict[str, Any]:
        """Give it as JSON's types."""
        return asdict(self)


def tune(
    store: Store,
    *,
    settings: AdapterSettings | None = None,
    most: int = training_set.MOST,
    asked: int = PROBES,
    change: bool = True,
    progress: Progress | None = None,
) -> TuneReport:
    """Train an adapter on questions made of the store's text and on its triples; promote it if the gate lets it in.

    `most` questions are made of the text, about `asked` of the gate. With `change` False an accepted version stays a
    candidate. One that is refused is kept in the history with the reason. The store is searched and written meanwhile
    as ever; only the last step changes answers, at once.

    Raises InputError where there is nothing to learn from, no embedder, questions come from another embedder than the
    vectors, or another process changes these meanwhile.
    """
    settings = settings or AdapterSettings()
    if asked < 1:
        raise InputError(f"asked, the questions of the gate, must be at least 1, not {asked}")
    told = progress or (lambda *_: None)
    clock = Clock()
    searched, embedder = embedding_of(store)
    told("Making questions", 0, 1)
    items = training_set.collect(store, most=most, seed=settings.seed)
    trained, held = parted(items, asked, settings.seed)
    clock.lap("questions")
    texts = [item.text for item in (*trained, *held)]
    vectors = training_set.embed(store, texts, progress=lambda done, of: told("Embedding questions", done, of))
    clock.lap("embedding")
    made = _trained(store, trained, vectors[: len(trained)], embedder.fingerprint, settings, told)
    clock.lap("training")
    examined = gate_probes.make(
        store, held, vectors[len(trained) :], progress=lambda done, of: told("Reading what is alike", done, of)
    )
    candidate = ModelVersion(
        kind="adapter",
        source=embedder.fingerprint,
        target=searched.fingerprint,
        reference=searched.reference,
        weights=transforms.write(made),
    )
    while True:
        now = store.learning.model()
        before = gate_probes.values(store, examined, now, progress=lambda done, of: told("Asking as it is", done, of))
        # After, not before: documents that are removed meanwhile speak against the new one.
        after = gate_probes.values(
            store, examined, candidate, progress=lambda done, of: told("Asking as it would be", done, of)
        )
        if store.learning.model() == now:  # else another process has promoted one, which is to be beaten
            break
    _see_that_they_stand(store, searched.fingerprint)
    verdict = gate.decide(examined, before, after)
    clock.lap("gate")
    report = TuneReport(
        number=0,
        promoted=False,
        verdict=verdict,
        questions=dict(Counter(item.kind for item in dict.fromkeys(trained))),  # people's are trained on several times
        settings=asdict(settings),
        seconds=clock.laps,
        examples=examples(
            held,
            before,
            after,
            lambda n: gate_probes.found(store, held[n].text, vectors[len(trained) + n], now),
            lambda n: gate_probes.found(store, held[n].text, vectors[len(trained) + n], candidate),
        ),
    )
    state = "candidate" if verdict.accepted else "refused"
    number = store.learning.propose(replace(candidate, state=state, report=kept(report)))
    if verdict.accepted and change:
        told(PROMOTING, 0, 1)
        promote(store, number)
        clock.lap("promotion")
    return replace(report, number=number, promoted=verdict.accepted and change)


def embedding_of(store: Store) -> tuple[Embedding, Embedder]:
    """Give whose vectors are searched, and that embedder; raises InputError where questions are not embedded by it."""
    searched = store.embeddings.active
    if searched is None:
        raise InputError("this store has no vectors to learn for; `hybridstore reembed --embedder NAME` makes them")
    if searched.reference == GIVEN:
        raise InputError(
            "this store's vectors were given by its caller, and no question can be embedded to fit them; `hybridstore "
            "reembed --embedder NAME` makes others"
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


def _see_that_they_stand(store: Store, fingerprint: str) -> None:
    now = store.embeddings.active
    if now is None or now.fingerprint != fingerprint:
        raise InputError("another process has changed this store's vectors meanwhile; nothing was changed, tune again")


def parted(
    items: Sequence[LabelledQuestion], asked: int, seed: int
) -> tuple[list[LabelledQuestion], list[LabelledQuestion]]:
    """Give what is trained on and what is asked at the gate: people's questions first, then of all kinds alike."""
    trained = [item for item in items if not item.held_out]
    held = [item for item in items if item.held_out]
    random.Random(seed).shuffle(held)  # noqa: S311 - no secret
    held.sort(key=lambda item: item.origin is not None)
    people = [item for item in trained if item.origin is None]
    if people:
        wanted = _PEOPLE / (1 - _PEOPLE) * (len(trained) - len(people)) / len(people)
        trained += people * (min(max(round(wanted), 1), _REPEATED) - 1)
    documents: set[str] = set()
    examined = []
    for item in held:  # what is read of a document for the gate costs more than one more question about it
        if len(documents) < _EXAMINED or item.documents[0] in documents:
            documents.add(item.documents[0])
            examined.append(item)
    return trained, examined[:asked]


def _trained(  # noqa: PLR0917 - what a training needs
    store: Store,
    items: Sequence[LabelledQuestion],
    vectors: NDArray[np.float32],
    fingerprint: str,
    settings: AdapterSettings,
    told: Progress,
) -> Adapter:
    places = {item: place for place, item in enumerate(items)}  # people's questions come several times
    once = list(places)
    taught = None
    if settings.soft:
        found = teach(
            store,
            [item.text for item in once],
            vectors[list(places.values())],
            progress=lambda done, of: told("Asking the teacher", done, of),
        )
        again = {item: place for place, item in enumerate(once)}
        taught = found.of([again[item] for item in items])
    learned = training_set.lessons(store, items, vectors, taught)
    _see_that_they_stand(store, fingerprint)
    return adapter.train(
        learned,
        fingerprint,
        settings=settings,
        progress=lambda done, of, loss, _: told("Training the adapter", done, of, f"loss {loss:.3f}"),
    )


def examples(
    held: Sequence[LabelledQuestion],
    before: Mapping[str, Sequence[float]],
    after: Mapping[str, Sequence[float]],
    found_before: Callable[[int], tuple[str, ...]],
    found_after: Callable[[int], tuple[str, ...]],
) -> tuple[ChangedRanking, ...]:
    """Give the questions that gain most and those that lose most, by whether they find their document.

    The last two give the documents that a question, by its place, finds first; shown are questions where, asked in all
    their words, these differ.
    """
    gains = np.array(after["find"]) - np.array(before["find"])
    order = (-gains).argsort(kind="stable").tolist()
    won, lost = [n for n in order if gains[n] > 0], [n for n in reversed(order) if gains[n] < 0]
    shown: list[ChangedRanking] = []
    for places in (won, lost):
        wanted = len(shown) + _EXAMPLES // 2
        for n in places[:_LOOKED_AT]:
            was, now = found_before(n), found_after(n)
            if was != now:
                shown.append(
                    ChangedRanking(
                        kind=held[n].kind, query=held[n].text, answer=held[n].documents[0], before=was, after=now
                    )
                )
            if len(shown) == wanted:
                break
    return tuple(shown)


def kept(report: TuneReport) -> dict[str, Any]:
    """Give what the history keeps: no texts, for these go when their documents do."""
    told = report.told()
    del told["examples"], told["number"], told["promoted"]
    return {**told, "seconds": {step: round(seconds, 2) for step, seconds in report.seconds.items()}}
