"""What a store learns from and what it has learned: questions asked, feedback, triples, and the models made of them.

The values, and the `Learning` protocol by which a backend keeps them beside the documents they came from: whatever
names a document goes with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hybridstore.backends.values import Calibration

KINDS = ("adapter", "drift", "embedder")
STATES = ("candidate", "refused", "active", "retired")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One version of what stands between a question and the vectors searched, as the file remembers it.

    `kind` "adapter" turns the vectors of the file's own embedder, "drift" those of another embedder into the space of
    the vectors stored, "embedder" is a change of all vectors. Questions are embedded by `source` (found by `reference`)
    and compared with vectors of `target`, both fingerprints; they differ for "drift" alone. `weights` are the arrays as
    `search.transforms` writes them, empty for "embedder". `previous` is the number of the version that was active
    before this one, None for the plain embedder. `report` is what was measured about it, JSON's types only. `made` is
    UTC, as 2026-01-31T12:00:00Z. `number` is given by the file, from 1, and never used twice.
    """

    kind: str
    source: str
    target: str
    reference: str
    state: str = "candidate"
    report: Mapping[str, Any] = field(default_factory=dict)
    weights: bytes = field(default=b"", repr=False)
    number: int = 0
    made: str = ""
    previous: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Negative:
    """A chunk that a question found and that does not answer it, as far as the guards can tell.

    `leg` is the one that ranked it high while the other did not: "keyword" or "vector". `score` is its fused score, a
    soft label. `excluded` says which guard doubted it ("margin", "judge"); it is then not trained on, but shown.
    """

    chunk: int
    leg: str
    score: float
    excluded: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Triple:
    """A question, a chunk that answers it, and chunks that only look as if they did.

    `kind` says where the question came from ("title", "keywords", "log", "feedback", "labelled", "endpoint" …);
    `origin` is the chunk that its words were taken from, None where a person asked. `score` is the positive's fused
    score. `disagreed` says whether the two legs differed about it; `promoted` whether the judge put this positive in
    place of another. `number` is the file's.
    """

    query: str
    kind: str
    positive: int
    score: float
    negatives: tuple[Negative, ...] = ()
    origin: int | None = None
    disagreed: bool = True
    promoted: bool = False
    number: int = 0


@dataclass(frozen=True, slots=True)
class LoggedQuestion:
    """A question from the store's own log: how often it was asked, and when last (UTC)."""

    query: str
    times: int
    last: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """A caller's word on a hit: whether the chunk was of use for the question."""

    query: str
    chunk: int
    document_id: str
    used: bool
    when: str


class Learning(Protocol):
    """Where a backend keeps all this. Methods may be called from any thread; each is atomic by itself.

    Removing a document removes the feedback about it, the triples whose positive or origin it held, and it from the
    negatives of others. Replacing it does so for the chunks that are not in it any more; what names a chunk whose words
    are still the same names the new one. Only what changes the answers (`promote`) adds a revision.
    """

    # models

    def model(self) -> ModelVersion | None:
        """Give the active version; None for the plain embedder. Cheap: searches ask it every time."""
        ...

    def models(self) -> list[ModelVersion]:
        """Give all versions, oldest first, without their weights."""
        ...

    def version(self, number: int) -> ModelVersion:
        """Give a version with its weights; raises NotFound."""
        ...

    def propose(self, model: ModelVersion) -> int:
        """Keep a version as a "candidate" or "refused" one; give its number."""
        ...

    def promote(self, number: int | None, *, measured: Calibration | None = None) -> ModelVersion | None:
        """Make a version the active one, in one step, and retire the one before; None is the plain embedder. Give it.

        Its `previous` is then the one before; going back to that one leaves its own `previous` as it was, so that going
        back once more goes further back. Raises NotFound for an unknown number, InputError where its `target` is not
        the embedder of the vectors searched. A number of the kind "embedder" is only noted as active: whoever re-embeds
        promotes it in step with the switch. `measured` is what searches go by from then on, written in the same step.
        """
        ...

    # triples

    def keep_triples(self, triples: Sequence[Triple]) -> None:
        """Add triples; those whose chunks are gone meanwhile are left out, or lose the negatives that are."""
        ...

    def triples(self, *, kind: str | None = None, limit: int | None = None) -> Iterator[Triple]:
        """Give the triples in the order they were kept, a few at a time."""
        ...

    def count_triples(self) -> int:
        """Count them."""
        ...

    def drop_triples(self) -> int:
        """Forget all triples; give how many there were."""
        ...

    # what people asked, and what they said about the answers

    def note_asked(self, queries: Sequence[str]) -> None:
        """Add questions to the log, each as often as it stands there."""
        ...

    def asked(self) -> list[LoggedQuestion]:
        """Give the log, the questions asked most first; ties in alphabetical order."""
        ...

    def forget_asked(self, queries: Sequence[str] | None = None) -> int:
        """Forget some of the log's questions, or all of them; give how many.

        Their triples and feedback go with them, for questions named here also where the log does not hold them.
        Nothing of their text is left in the file's pages.
        """
        ...

    def note_feedback(self, query: str, chunk: int, *, used: bool) -> None:
        """Keep a caller's word on a chunk, in place of an earlier one; raises NotFound for a chunk that is gone."""
        ...

    def hand_over(self, chunks: Mapping[int, int]) -> None:
        """Give the feedback about each chunk to another, where that one has none on the same question.

        Of several words on a question that come to one chunk, the last counts; a chunk that is gone is given none.
        """
        ...

    def feedback(self) -> list[Feedback]:
        """Give all feedback, oldest first."""
        ...
