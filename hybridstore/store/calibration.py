"""What a store finds out about itself, without judgments: how well its vectors tell chunks apart, and what chance is.

It asks two kinds of questions whose answers it knows. Eight words out of a chunk ought to lead back to it: how far its
cosine stands above the others' is the vectors' power. Questions from anywhere ought to find nothing: the best cosine
they find is chance. This happens when text has been embedded, and again whenever the store has doubled or halved or
another model stands between its questions and its vectors: whatever turns a question turns these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.learning import ModelVersion
from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Calibration, Restriction
from hybridstore.embedders.protocol import Embedder, ManyQueries
from hybridstore.errors import EmbedderMismatch
from hybridstore.search import transforms
from hybridstore.search.evidence import at_large
from hybridstore.search.leg_weights import USUAL_POWER
from hybridstore.search.request import ACTIVE

_ASKED = 64  # chunks asked for: the power is then known to a fifth of a deviation
_WORDS = 8  # of a chunk at most, as many as a short question has
_UNSPACED, _CHARACTERS = 20, 24  # characters a word beyond which a text has no spaces; as many of it are taken then
_SHARE = (
    4  # no more than one word in so many: half a sentence leads back to the sentence whatever the vectors are worth
)
_FEWEST = 3
_SEEN = 8  # answers that the usual power is worth, before anything was asked
_CHANGED = 2  # times as many chunks, or one in so many left: measured anew

# Short, and of as many fields of life as there are lines, so that a store is about few of them.
_ANYTHING = (
    "how do I bake sourdough bread at home",
    "who won the football world cup",
    "what is the capital of Australia",
    "best exercises for lower back pain",
    "how does a car engine work",
    "symptoms of vitamin D deficiency",
    "how to write a cover letter",
    "what causes thunder and lightning",
    "history of the Roman empire",
    "cheap flights to Tokyo in spring",
    "how to train a puppy not to bite",
    "what is the interest rate on a mortgage",
    "how do vaccines protect against disease",
    "sort a list of numbers in a program",
    "rules of chess for beginners",
    "why is the sky blue",
    "how to grow tomatoes on a balcony",
    "who painted the Mona Lisa",
    "what does a trade union do",
    "how are laws passed in parliament",
    "the best guitar chords for a love song",
    "how to remove a stain from a carpet",
    "difference between a virus and a bacterium",
    "what time does the museum open",
    "effects of climate change on oceans",
    "how to reset a forgotten password",
    "novels about the second world war",
    "how is steel produced",
    "when should I plant tulip bulbs",
    "tax return deadline for small companies",
    "how far away is the moon",
    "what is the meaning of a dream about water",
)

_asked: dict[str, list[NDArray[np.float32]]] = {}  # by fingerprint


def due(backend: Backend) -> bool:
    """Say whether the store has changed so much since it was last measured that it should be measured anew."""
    state = backend.state()
    known, chunks = state.calibration, state.chunks
    return known is None or not known.chunks / _CHANGED < chunks < known.chunks * _CHANGED


def settle(backend: Backend, embedder: Embedder) -> None:
    """Measure the store and keep what was found; another process's vectors in between are not ours to judge.

    `embedder` is that of the questions. Whoever has changed the active model calls this.
    """
    measured = measure(backend, embedder)
    if measured is not None and (way := _way(backend, embedder, ACTIVE)) and way.stored == measured.fingerprint:
        backend.calibrate(measured)


def measure(
    backend: Backend, embedder: Embedder, model: ModelVersion | Literal["active"] | None = ACTIVE
) -> Calibration | None:
    """Measure the vectors that searches use, by questions of the embedder that searches' questions have.

    None where there are no vectors, or searches' questions are another embedder's. `model` is the version to measure
    with, if it is not the active one.
    """
    with backend.snapshot():
        way = _way(backend, embedder, model)
        if way is None:
            return None
        chunks, vectors = backend.sample()
        count = backend.state().chunks
        step = max(len(chunks) // _ASKED, 1)
        passages = backend.passages(chunks[::step][:_ASKED].tolist())
    fragments = {passage.chunk: _fragment(passage.text, passage.chunk) for passage in passages}
    told = [chunk for chunk, fragment in fragments.items() if fragment]
    asked = dict(zip(told, _embedded(embedder, [fragments[chunk] for chunk in told]), strict=True))
    powers, spreads = [], []
    for place, chunk in enumerate(chunks.tolist()):
        if chunk in asked:
            cosines = vectors @ way.unlearned(asked[chunk])
            mean, deviation = at_large(np.delete(cosines, place))  # it is no chunk like others, and would widen them
            powers.append((float(cosines[place]) - mean) / deviation)
            spreads.append(deviation)
    questions = [way.turned(vector) for vector in _questions(embedder)]
    with backend.snapshot():
        again = _way(backend, embedder, model)
        if again is None or (again.stored, again.number) != (way.stored, way.number):
            return None  # another process has switched while the model ran
        best = [backend.nearest(vector, 1, Restriction()).scores for vector in questions]
    found = [float(scores[0]) for scores in best if len(scores)]
    if not powers or not found:
        return None
    return Calibration(
        fingerprint=way.stored,
        chunks=count,
        power=(sum(powers) + _SEEN * USUAL_POWER) / (len(powers) + _SEEN),
        chance=sum(found) / len(found),
        spread=sum(spreads) / len(spreads),
    )


@dataclass(frozen=True, slots=True)
class _QuestionPath:
    """How an embedder's questions reach the vectors of the fingerprint `stored`: by a version of the model, or none."""

    stored: str
    model: ModelVersion | None

    @property
    def number(self) -> int | None:
        return None if self.model is None else self.model.number

    def turned(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        return vector if self.model is None else transforms.read(self.model)(vector)

    def unlearned(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give a fragment's vector as it is compared, without an adapter: that was trained on such fragments.

        By its own measure an adapter always has more power, and vectors trusted so cost SciFact 0.01 nDCG@10.
        """
        return vector if self.model is None or self.model.kind == "adapter" else self.turned(vector)


def _way(backend: Backend, embedder: Embedder, model: ModelVersion | Literal["active"] | None) -> _QuestionPath | None:
    """Give the way that a search's questions take; None where they are not this embedder's."""
    state = backend.state()
    stored, version = state.embedding, state.model if model == ACTIVE else model
    if stored is None:
        return None
    try:
        applied = transforms.applying(version, stored, embedder.fingerprint)
    except EmbedderMismatch:
        return None
    drifted = version is not None and version.kind == "drift" and version.target == stored.fingerprint
    return None if drifted and applied is None else _QuestionPath(stored.fingerprint, applied)


def _fragment(text: str, chunk: int) -> str:
    """Give some words of a text in a row; which ones is the chunk's number's to say."""
    words = text.split()
    if not words:
        return ""
    if len(text) / len(words) > _UNSPACED:
        count = min(_CHARACTERS, max(len(text) // _SHARE, _FEWEST))
        first = _somewhere(chunk, len(text) - count)
        return text[first : first + count]
    count = min(_WORDS, max(len(words) // _SHARE, _FEWEST))
    first = _somewhere(chunk, len(words) - count)
    return " ".join(words[first : first + count])


def _somewhere(chunk: int, last: int) -> int:
    return chunk * 2_654_435_761 % 2**32 % (last + 1) if last > 0 else 0  # Knuth's multiplicative hash


def _questions(embedder: Embedder) -> list[NDArray[np.float32]]:
    """Give the general questions' vectors; those of the last embedder are remembered, for stores that grow slowly."""
    vectors = _asked.get(embedder.fingerprint)
    if vectors is None:
        vectors = _embedded(embedder, _ANYTHING)
        _asked.clear()
        _asked[embedder.fingerprint] = vectors
    return vectors


def _embedded(embedder: Embedder, questions: Sequence[str]) -> list[NDArray[np.float32]]:
    """Give the questions' vectors; together, where the embedder can, it takes two thirds of the time."""
    if isinstance(embedder, ManyQueries):
        return list(embedder.embed_queries(questions))
    return [embedder.embed_query(question) for question in questions]
