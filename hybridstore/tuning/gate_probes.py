"""Questions with known answers, put to the store as it is and as it would be with another version of its model.

They are cut from documents that nothing was trained on. So that they are no easier than people's questions, which use
other words than the passages that answer them, the keyword leg gets to see half of their words, drawn by lot, and
the vector leg all of them. Three things are asked of the answers: that the document it was cut from is among them
("find"), and that those are that its own text finds, by words ("words"), and as a search finds them by words and
meaning without what was learned ("both"). The first of the two asks whether the vectors come nearer to what the keyword
leg knows, which they were not trained for; the second whether they keep what they knew themselves.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hybridstore.backends.learning import ModelVersion
from hybridstore.evaluation.metrics import ndcg
from hybridstore.tuning.fragments import cleaned, content_words, spaced

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hybridstore.store import Store
    from hybridstore.store.trial import Trial
    from hybridstore.tuning.training_set import LabelledQuestion

TASKS = ("find", "words", "both")
DEPTH = 10  # answers that count, as in nDCG@10
_SHOWN = 0.5  # chance of a word to be shown to the keyword leg
_TOLD = 5  # documents named of an example
# Documents most like the question's own. Words find them coarsely, so more of them count.
_KIN = {"words": 30, "both": 10}
_WORDS = 40  # of a document, by which those like it are found: all of a long one's take seconds, and find the same


@dataclass(frozen=True, slots=True)
class Probe:
    """A question of a `kind`: `text` is what the keyword leg sees, `vector` (d,) stands for the whole of it.

    `answers` are the documents that answer it, `kin` those most like the one it was cut from, for the tasks "words" and
    "both"; empty if a person asked.
    """

    kind: str
    text: str
    vector: NDArray[np.float32]
    answers: frozenset[str]
    kin: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """What stands or falls together with this probe: the document that it is about."""
        return min(self.answers)


def make(
    store: Store,
    items: Sequence[LabelledQuestion],
    vectors: NDArray[np.float32],
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Probe]:
    """Make a probe of each question and its vector (n, d). What a person asked is asked in that person's words."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    known: dict[int, dict[str, frozenset[str]]] = {}
    probes = []
    for done, (item, vector) in enumerate(zip(items, vectors, strict=True), start=1):
        answers = frozenset(item.documents)
        if item.origin is None:
            probes.append(Probe(item.kind, item.text, vector, answers))
        else:
            if item.origin not in known:
                known[item.origin] = _kin(store, item.origin, answers)
            probes.append(Probe(item.kind, _some(item.text, rng), vector, answers, known[item.origin]))
        if progress and (done % 20 == 0 or done == len(items)):
            progress(done, len(items))
    return probes


def values(
    store: Store,
    probes: Sequence[Probe],
    model: ModelVersion | None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[float]]:
    """Search every probe with a version of the store's model (None: the plain embedder) and give each task's nDCG@10.

    All goes the way that people's questions go; nothing in the file is touched.
    """
    trial = store.trial(model)
    found: dict[str, list[float]] = {task: [] for task in TASKS}
    for done, probe in enumerate(probes, start=1):
        documents = _documents(trial, probe.text, probe.vector, DEPTH + len(probe.answers))
        found["find"].append(_ndcg(documents, probe.answers))
        others = [document for document in documents if document not in probe.answers]
        for task in _KIN:
            found[task].append(_ndcg(others, probe.kin[task]) if probe.kin.get(task) else math.nan)
        if progress and (done % 20 == 0 or done == len(probes)):
            progress(done, len(probes))
    return found


def found(store: Store, text: str, vector: NDArray[np.float32], model: ModelVersion | None) -> tuple[str, ...]:
    """Give the documents that a question finds first, five at most, with a version of the store's model."""
    return tuple(_documents(store.trial(model), text, vector, _TOLD))


def _documents(trial: Trial, text: str, vector: NDArray[np.float32] | None, limit: int) -> list[str]:
    """Return the different documents that a question finds, best first; with words alone where there is no vector."""
    return [hit.document_id for hit in trial.search(text, vector, limit=limit, per_document=1).hits]


def _kin(store: Store, chunk: int, answers: frozenset[str]) -> dict[str, frozenset[str]]:
    """Give the documents that a chunk's own text finds, other than its own."""
    trial = store.trial(None)
    text = _gist(" ".join(passage.text for passage in store.chunks.passages([chunk])), store.language)
    kin = {}
    for task, count in _KIN.items():
        vector = store.chunks.vectors([chunk])[0] if task == "both" else None
        documents = _documents(trial, text, vector, count + len(answers))
        kin[task] = frozenset([each for each in documents if each not in answers][:count])
    return kin


def _gist(text: str, language: str) -> str:
    """Give at most so many of a text's words as say what it is about, spread evenly over it."""
    if not spaced(text):
        return cleaned(text)[: 2 * _WORDS]
    words = content_words(text, language)
    return " ".join(words[:: -(-len(words) // _WORDS)] if words else cleaned(text).split()[:_WORDS])


def _some(text: str, rng: random.Random) -> str:
    """Give some of a question's words, each by even chance, at least one; half of a text without spaces."""
    if not spaced(text):
        half = max(len(text) // 2, 1)
        first = rng.randrange(len(text) - half + 1)
        return text[first : first + half]
    words = text.split()
    shown = [word for word in words if rng.random() < _SHOWN]
    return " ".join(shown or [rng.choice(words)])


def _ndcg(documents: Sequence[str], relevant: frozenset[str]) -> float:
    """Give nDCG@10 where all relevant documents are equally so."""
    return ndcg(documents, dict.fromkeys(relevant, 1), DEPTH)


def by_document(
    probes: Sequence[Probe], found: Mapping[str, Sequence[float]], *, kind: str | None = None, task: str | None = None
) -> dict[str, float]:
    """Give each document's mean over its probes and tasks, or those of one kind and one task."""
    sums: dict[str, list[float]] = {}
    for place, probe in enumerate(probes):
        if kind in (None, probe.kind):
            values = (found[each][place] for each in (TASKS if task is None else (task,)))
            sums.setdefault(probe.unit, []).extend(value for value in values if not math.isnan(value))
    return {document: sum(each) / len(each) for document, each in sums.items() if each}
