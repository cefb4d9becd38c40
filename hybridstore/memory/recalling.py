"""Recalling: search, each turn in the light of its neighbours, weigh by age if asked, pack under a token budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from hybridstore.backends.values import Restriction
from hybridstore.errors import InputError
from hybridstore.filters import Filter
from hybridstore.memory import naming
from hybridstore.memory.notes import note_of
from hybridstore.memory.packing import pack
from hybridstore.memory.place import Place
from hybridstore.memory.recall import LeftOut, Recall, Recalled
from hybridstore.memory.rendering import rendered
from hybridstore.memory.scope import Where, visible
from hybridstore.memory.times import Span, span_of
from hybridstore.records import Hit
from hybridstore.search.selection import plain

ORDERS = ("score", "time")
_LOOKED = 200  # passages among which what fits is chosen


@dataclass(frozen=True, slots=True)
class Recency:
    """How much the age of a note takes from its score: half of what it can lose in `half_life` seconds, and again.

    The score is multiplied by floor + (1 - floor) · 2^(-age / half_life), so that however old, it keeps `floor` of it.
    """

    half_life: Span
    floor: float = 0.5

    def __post_init__(self) -> None:
        """Raise InputError for values that make no sense."""
        object.__setattr__(self, "half_life", span_of(self.half_life, "recency's half_life"))
        if not isinstance(self.floor, int | float) or not 0.0 <= self.floor <= 1.0:
            raise InputError(f"recency's floor is a number from 0 to 1, not {self.floor!r}")

    def factor(self, age: float) -> float:
        """Give what the score of a note of this age, in seconds, is multiplied by; what is to come has no age."""
        decay = math.exp2(-max(age, 0.0) / span_of(self.half_life, "recency's half_life"))
        return self.floor + (1.0 - self.floor) * decay


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a recall is asked for, checked; see `Memory.recall`."""

    query: str
    max_tokens: int
    as_of: datetime | None
    session: str | None
    where: Where
    recency: Recency | None
    neighbours: int
    min_relevance: float | None
    order: str

    def __post_init__(self) -> None:
        """Raise InputError for values that make no sense."""
        for what, value, least in (("max_tokens", self.max_tokens, 1), ("neighbours", self.neighbours, 0)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InputError(f"{what} is a whole number of at least {least}, not {value!r}")
        if self.order not in ORDERS:
            raise InputError(f"order is one of {', '.join(ORDERS)}, not {self.order!r}")
        if not isinstance(self.query, str) or not self.query.strip():
            raise InputError("there is nothing to recall: the query is empty; say what about")


def recall(place: Place, wanted: Wanted, count_tokens: Callable[[str], int]) -> Recall:
    """Find what answers, and pack the best of it."""
    now = place.now()
    as_of = None if wanted.as_of is None else wanted.as_of.timestamp()
    where = visible(place.namespace, now.timestamp(), as_of=as_of, session=wanted.session, where=wanted.where)
    with place.store.backend.snapshot():
        results = place.store.search(
            wanted.query, limit=_LOOKED, where=where, min_relevance=wanted.min_relevance, around=naming.around
        )
        items = [recalled(hit) for hit in results]
        if wanted.recency is not None:
            items = _weighed(items, wanted.recency, wanted.as_of or now)
        single, copies = _without_copies(items)
        confidence = results.confidence

        def block(shown: Sequence[Recalled], over_budget: int) -> str:
            ordered = sorted(shown, key=_by_time) if wanted.order == "time" else shown
            return rendered(wanted.query, ordered, LeftOut(over_budget, copies), confidence)

        def beside(item: Recalled) -> list[Recalled]:
            return _beside(place, item, wanted.neighbours, where) if wanted.neighbours else []

        shown, over_budget, text = pack(single, beside, block, count_tokens, wanted.max_tokens)
    return Recall(
        query=wanted.query,
        items=tuple(sorted(shown, key=_by_time) if wanted.order == "time" else shown),
        left_out=LeftOut(over_budget, copies),
        confidence=confidence,
        tokens=count_tokens(text) if text else 0,
        text=text,
        trace=results.trace,
    )


def recalled(hit: Hit) -> Recalled:
    """Give a hit as evidence."""
    return Recalled(
        note=note_of(hit.document_id, hit.text, hit.metadata),
        start=hit.start,
        end=hit.end,
        chunk_id=hit.chunk_id,
        score=hit.score,
        relevance=hit.relevance,
    )


def _weighed(items: Sequence[Recalled], recency: Recency, at: datetime) -> list[Recalled]:
    """Multiply scores by what each note's age leaves of them; the best first."""
    weighed = []
    for item in items:
        when = item.note.time
        age = 0.0 if when is None else (at - when).total_seconds()
        weighed.append(replace(item, score=item.score * recency.factor(age)))
    return sorted(weighed, key=lambda item: -item.score)


def _without_copies(items: Sequence[Recalled]) -> tuple[list[Recalled], int]:
    """Leave out what says the same, by the same speaker, as something better; give how many that were.

    Only case and white space may differ: two notes that are nearly alike may well be a fact and its correction.
    """
    single: dict[tuple[str | None, str], Recalled] = {}
    for item in items:
        single.setdefault((item.note.speaker, plain(item.note.text)), item)
    return list(single.values()), len(items) - len(single)


def _beside(place: Place, item: Recalled, reach: int, where: Filter) -> list[Recalled]:
    """Give the turns that stand beside an item's, nearest first, those before it before those after it."""
    backend, own = place.store.backend, item.note.uri
    line = list(naming.around(own, reach))
    if not line:
        return []
    middle = line.index(own)
    near = sorted((id_ for id_ in line if id_ != own), key=lambda id_: abs(line.index(id_) - middle))
    chunks = backend.chunks_among(near, Restriction(where=where))
    passages = backend.passages([chunk for id_ in near for chunk in chunks.get(id_, ())])
    return [
        Recalled(
            note=note_of(passage.document_id, passage.text, passage.metadata),
            start=passage.start,
            end=passage.end,
            chunk_id=passage.chunk,
            score=item.score,
            relevance=None,
            beside=item.note.id,
        )
        for passage in passages
    ]


def _by_time(item: Recalled) -> tuple[float, str, int, int]:
    note = item.note
    return (note.time.timestamp() if note.time else 0.0, note.session or "", note.turn or 0, item.start)
