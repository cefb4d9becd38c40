"""What a store has learned and learns from: model versions, triples, the query log, feedback and expectations.

The values, and `LearningBackend`, the protocol by which a backend stores them with the documents they are about:
removing a document removes what names it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hybridstore.backends.values import Calibration
from hybridstore.backends.versions import removal_key
from hybridstore.errors import InputError

KINDS = ("adapter", "drift", "embedder")
LEGS = ("keyword", "vector")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One version of the model that turns query vectors into vectors that can be compared with those stored.

    `kind` "adapter" transforms vectors of the store's own embedder, "drift" those of another embedder into the space of
    the stored vectors; "embedder" stands for a change of all vectors. Queries are embedded by the embedder `source`
    (loaded by `reference`) and compared with vectors of `target`, both fingerprints; they differ for "drift" alone.
    `weights` are the arrays as `search.transforms` writes them, empty for "embedder". `previous` is the number of the
    version that was active before this one, None for the plain embedder. `report` is what was measured about it, JSON
    types only. `state` is "candidate", "refused", "active" or "retired". `made` is UTC, as in 2026-01-31T12:00:00Z.
    `number` is assigned by the store, from 1, and never reused.
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
    """A chunk that a query found and that does not answer it, as far as the guards can tell.

    `leg` ("keyword" or "vector") is the one that ranked it high while the other did not. `score` is its fused score, a
    soft label. `excluded` names the guard that doubted it ("margin", "judge"); it is then shown, but not trained on.
    """

    chunk: int
    leg: str
    score: float
    excluded: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Triple:
    """A query, a chunk that answers it, and chunks that only look as if they did.

    `kind` says where the query comes from ("title", "keywords", "log", "feedback", "labelled", "endpoint" …); `origin`
    is the chunk that its words were taken from, None where a person asked. `score` is the positive's fused score.
    `disagreed` says whether the two legs differed about it; `promoted` whether the judge replaced another positive by
    this one. `number` is assigned by the store.
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
    """A query from the store's own log: how often it was searched for, and when last (UTC)."""

    query: str
    times: int
    last: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """A caller's feedback on a hit: whether the chunk was useful for the query."""

    query: str
    chunk: int
    document_id: str
    used: bool
    when: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """A query whose answer is known: the document with this id is to be among the first `within` documents.

    `made` is UTC, assigned by the store when it is made or changed.
    """

    query: str
    document_id: str
    within: int
    made: str = ""

    @property
    def key(self) -> bytes:
        """The key of its removal."""
        return removal_key(f"{self.document_id}\0{self.query}", "expectation")


def storable(text: str) -> str:
    """Return a query as it can be stored: half of a surrogate pair becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def check_triples(triples: Sequence[Triple]) -> None:
    """Raise InputError for a triple that cannot be stored."""
    for triple in triples:
        if not all(map(math.isfinite, (triple.score, *(negative.score for negative in triple.negatives)))):
            raise InputError(f"the scores of the triple for {triple.query!r} must be numbers, not NaN or infinite")
        for negative in triple.negatives:
            if negative.leg not in LEGS:
                raise InputError(f"a negative's leg is 'keyword' or 'vector', not {negative.leg!r}")


def report_json(model: ModelVersion) -> str:
    """Return the report of a proposed version as JSON; raises InputError for one that cannot be proposed."""
    if model.kind not in KINDS:
        raise InputError(f"a model's kind is one of {', '.join(KINDS)}, not {model.kind!r}")
    if model.state not in {"candidate", "refused"}:
        raise InputError(
            f"a model is proposed as 'candidate' or 'refused', not {model.state!r}; promote() does the rest"
        )
    try:
        return json.dumps(dict(model.report), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"a model's report must be JSON: {error}") from error


class LearningBackend(Protocol):
    """Stores all of this. Methods may be called from any thread; each is atomic by itself.

    Removing a document keeps the expectations of it, which then fail; only a purge takes them away. It removes the
    feedback about it, the triples whose positive or origin it contains, and it from the
    negatives of others. Replacing it does so for the chunks that it no longer contains; what names a chunk whose words
    are unchanged names the new chunk. Only what changes answers (`promote`) adds a revision.
    """

    # models

    def model(self) -> ModelVersion | None:
        """Return the active version; None for the plain embedder."""
        ...

    def models(self) -> list[ModelVersion]:
        """Return all versions, oldest first, without their weights."""
        ...

    def version(self, number: int) -> ModelVersion:
        """Return a version with its weights; raises NotFound."""
        ...

    def propose(self, model: ModelVersion) -> int:
        """Add a version as a "candidate" or "refused" one; return its number."""
        ...

    def promote(self, number: int | None, *, calibration: Calibration | None = None) -> ModelVersion | None:
        """Make a version the active one, in one step, and retire the one before; None is the plain embedder. Return it.

        Its `previous` is then the one before; going back to that one leaves its own `previous` unchanged, so that going
        back once more goes further back. Raises NotFound for an unknown number, InputError where its `target` is not
        the embedder of the vectors searched. A version of the kind "embedder" is only marked as active: the caller that
        re-embeds promotes it together with the switch. `calibration` is recorded in the same step.
        """
        ...

    # triples

    def add_triples(self, triples: Sequence[Triple]) -> None:
        """Add triples; those whose chunks are gone are left out, or lose the negatives that are gone."""
        ...

    def triples(self, *, kind: str | None = None, limit: int | None = None) -> Iterator[Triple]:
        """Yield the triples in the order they were added, a few at a time."""
        ...

    def count_triples(self) -> int:
        """Return the number of triples."""
        ...

    def drop_triples(self) -> int:
        """Remove all triples; return how many there were."""
        ...

    # the query log and feedback

    def log_queries(self, queries: Sequence[str]) -> None:
        """Add queries to the log, each as often as it is listed."""
        ...

    def query_log(self) -> list[LoggedQuestion]:
        """Return the log, the most frequent queries first; ties in alphabetical order."""
        ...

    def forget_queries(self, queries: Sequence[str] | None = None) -> int:
        """Remove some of the log's queries, or all of them; return how many there were.

        Their triples, feedback and expectations are removed as well, for queries named here even where the log does not
        hold them.
        Nothing of their text is left in the store's files.
        """
        ...

    def add_feedback(self, query: str, chunk: int, *, used: bool) -> None:
        """Record feedback on a chunk, in place of earlier feedback; raises NotFound for a chunk that is gone."""
        ...

    def move_feedback(self, chunks: Mapping[int, int]) -> None:
        """Move the feedback about each chunk to another, unless that one has feedback on the same query.

        Where several move to one chunk for the same query, the latest counts; none moves to a chunk that is gone.
        """
        ...

    def feedback(self) -> list[Feedback]:
        """Return all feedback, oldest first."""
        ...

    # expectations

    def expect(self, query: str, document_id: str, within: int) -> None:
        """Add an expectation, or change its `within`; raises NotFound for a document that is not stored."""
        ...

    def expectations(self) -> list[Expectation]:
        """Return all expectations, oldest first."""
        ...

    def drop_expectations(self, expectations: Sequence[Expectation]) -> int:
        """Remove the expectations of these queries and documents; return how many there were."""
        ...

    def move_expectations(self, documents: Mapping[str, str]) -> int:
        """Let the expectations of each document be of another one; return how many there were.

        One that the other document has already stays as it is.
        """
        ...

    # what another store has

    def absorb(
        self,
        *,
        queries: Sequence[LoggedQuestion] = (),
        feedback: Sequence[Feedback] = (),
        expectations: Sequence[Expectation] = (),
        forgotten: Mapping[str, str] | None = None,
        dropped: Sequence[Expectation] = (),
    ) -> None:
        """Record what another store has, with its numbers and times, in place of what is here of the same, in one step.

        `feedback` names chunks of this store; about others it is left out. First, `dropped` expectations are removed,
        and what was told of `forgotten` queries up to a time; triples for these have no time and are removed.
        """
        ...
