"""The second stage: a reader that sees question and passage together puts the best of a ranking in a new order.

Off unless a search asks for it: reading thirty passages takes far longer than finding them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.errors import InputError
from hybridstore.records import Ranking, SecondStage

_TOGETHER = 5  # passages scored between two looks at the clock


@runtime_checkable
class Reranker(Protocol):
    """Anything that reads a question with a passage. `name` is for people."""

    name: str

    def score(self, query: str, texts: Sequence[str]) -> Sequence[float] | NDArray[np.float32]:
        """Return for each text, from 0 to 1, how well it answers the query; a search may call it several times."""
        ...


@dataclass(frozen=True, slots=True)
class Rerank:
    """How a search reads its best passages again; see `Store.search`.

    The best `depth` passages are read, in their order, until `milliseconds` are over (None: all of them; the first few
    always). A passage's new score is `weight` times the reranker's and 1 - `weight` times that of the search, as a
    share of the best one's if that is above 1. Those not read stay below the others.

    Raises InputError for invalid values.
    """

    reranker: Reranker
    depth: int = 30
    weight: float = 0.5
    milliseconds: float | None = None

    def __post_init__(self) -> None:
        """Raise InputError for an invalid value."""
        if not isinstance(self.reranker, Reranker):
            raise InputError(
                f"rerank takes an object with a name and a method score(query, texts), such as "
                f"hybridstore.CrossEncoder(folder), not {self.reranker!r}"
            )
        if not isinstance(self.depth, int) or self.depth < 1:
            raise InputError(f"the depth of reranking must be a whole number of at least 1, not {self.depth!r}")
        if not isinstance(self.weight, int | float) or not 0.0 < self.weight <= 1.0:
            raise InputError(f"the weight of reranking must be a number above 0 and up to 1, not {self.weight!r}")
        if self.milliseconds is not None and not self.milliseconds > 0:
            raise InputError(f"the milliseconds of reranking must be a number above 0, not {self.milliseconds!r}")


def rerank_of(value: Reranker | Rerank | None) -> Rerank | None:
    """Return the options of a search's `rerank` argument. Raises InputError."""
    return value if value is None or isinstance(value, Rerank) else Rerank(value)


def reranked(backend: Backend, ranking: Ranking, query: str, options: Rerank) -> tuple[Ranking, SecondStage]:
    """Return a ranking in its new order, and what the reranker made of the passages that it read.

    Raises InputError if the reranker returns anything but a finite number for each text.
    """
    until = None if options.milliseconds is None else time.perf_counter() + options.milliseconds / 1000
    passages = backend.passages(ranking.chunks[: options.depth].tolist())
    read: dict[int, float] = {}
    for at in range(0, len(passages), _TOGETHER):
        if at and until is not None and time.perf_counter() >= until:
            break
        batch = passages[at : at + _TOGETHER]
        texts = ["\n".join(filter(None, (passage.title, passage.heading, passage.text))) for passage in batch]
        read |= dict(zip([passage.chunk for passage in batch], _checked(options.reranker, query, texts), strict=True))
    second = SecondStage(options.reranker.name, options.weight, read)
    if not read:
        return ranking, second
    # A passage that was not read counts as one of score 0. It was behind all that were read, so it stays behind them.
    scores = ranking.scores / max(float(ranking.scores.max()), 1.0) * (1.0 - options.weight)
    scores += options.weight * np.array([read.get(chunk, 0.0) for chunk in ranking.chunks.tolist()])
    order = np.argsort(-scores, kind="stable")
    return Ranking(ranking.chunks[order], scores[order]), second


def _checked(reranker: Reranker, query: str, texts: list[str]) -> list[float]:
    given = reranker.score(query, texts)
    try:
        scores = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        scores = np.empty(0)
    if scores.shape != (len(texts),) or not ((scores >= 0.0) & (scores <= 1.0)).all():
        raise InputError(
            f"the reranker {reranker.name} must return a number from 0 to 1 for each of {len(texts)} texts, "
            f"not {given!r}"
        )
    result: list[float] = scores.tolist()
    return result
