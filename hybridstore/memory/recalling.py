"""Recalling: search, each turn in the light of its neighbours, weigh by age if asked, pack under a token budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from hybridstore.errors import InputError
from hybridstore.filters import Filter
from hybridstore.memory import note_ids
from hybridstore.memory.note_storage import Place
from hybridstore.memory.notes import note_of
from hybridstore.memory.recall_result import LeftOut, Recall, Recalled, render_block
from hybridstore.memory.timestamps import Span, span_of
from hybridstore.memory.token_budget import pack
from hybridstore.memory.visibility import Where, visible
from hybridstore.records import Hit
from hybridstore.search.selection import plain

ORDERS = ("score", "time")
# Passages among which what fits is chosen: as many as could fit if all were a word, within bounds.
_LEAST_LOOKED, _MOST_LOOKED, _TOKENS_EACH = 50, 1000, 16
_MOST_BESIDE = 1000  # neighbours to either side: each is looked up for each piece that is found


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
class RecallRequest:
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
        if self.neighbours > _MOST_BESIDE:
            raise InputError(f"neighbours is at most {_MOST_BESIDE:,}, not {self.neighbours:,}")
        if self.order not in ORDERS:
            raise InputError(f"order is one of {', '.join(ORDERS)}, not {self.order!r}")
        if not isinstance(self.query, str) or not self.query.strip():
            raise InputError("there is nothing to recall: the query is empty; say what about")


def recall(place: Place, wanted: RecallRequest, count_tokens: Callable[[str], int]) -> Recall:
    """Find what answers, and pack the best of it."""
    now = place.now()
    as_of = None if wanted.as_of is None else wanted.as_of.timestamp()
    where = visible(place.namespace, now.timestamp(), as_of=as_of, session=wanted.session, where=wanted.where)
    looked = min(max(wanted.max_tokens // _TOKENS_EACH, _LEAST_LOOKED), _MOST_LOOKED)
    with place.store.snapshot():
        results = place.store.search(
            wanted.query, limit=looked, where=where, min_relevance=wanted.min_relevance, around=note_ids.neighbours
        )
        items: Iterable[Recalled] = map(recalled, results)
        if wanted.recency is not None:
            items = _weighed(items, wanted.recency, wanted.as_of or now)
        copies: list[Recalled] = []
        confidence = results.confidence

        def left_out(shown: Sequence[Recalled]) -> LeftOut:
            found = {hit.chunk_id for hit in results}
            return LeftOut(len(found.difference(item.chunk_id for item in (*shown, *copies))), len(copies))

        def block(shown: Sequence[Recalled]) -> str:
            return render_block(
                place.namespace.prefix, wanted.query, _arranged(shown, wanted.order), left_out(shown), confidence
            )

        def beside(item: Recalled) -> list[Recalled]:
            return _beside(place, item, wanted.neighbours, where) if wanted.neighbours else []

        shown, text, tokens = pack(_without_copies(items, copies), beside, block, count_tokens, wanted.max_tokens)
    return Recall(
        query=wanted.query,
        items=tuple(_arranged(shown, wanted.order)),
        left_out=left_out(shown),
        confidence=confidence,
        tokens=tokens,
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


def _weighed(items: Iterable[Recalled], recency: Recency, at: datetime) -> list[Recalled]:
    """Multiply scores by what each note's age leaves of them; the best first."""
    weighed = []
    for item in items:
        when = item.note.time
        age = 0.0 if when is None else (at - when).total_seconds()
        weighed.append(replace(item, score=item.score * recency.factor(age)))
    return sorted(weighed, key=lambda item: -item.score)


def _without_copies(items: Iterable[Recalled], copies: list[Recalled]) -> Iterator[Recalled]:
    """Give what says something that nothing better says, by the same speaker; the others go to `copies`.

    Only case and white space may differ: two notes that are nearly alike may well be a fact and its correction.
    """
    met: set[tuple[str | None, str]] = set()
    for item in items:
        said = (item.note.speaker, plain(item.note.text))
        if said in met:
            copies.append(item)
        else:
            met.add(said)
            yield item


def _beside(place: Place, item: Recalled, reach: int, where: Filter) -> list[Recalled]:
    """Give the turns that stand beside an item's, nearest first, those before it before those after it."""
    store, own = place.store, item.note.uri
    line = list(note_ids.neighbours(own, reach))
    if not line:
        return []
    middle = line.index(own)
    near = sorted((id_ for id_ in line if id_ != own), key=lambda id_: abs(line.index(id_) - middle))
    chunks = store.chunks.of(near, where)
    passages = store.chunks.passages([chunk for id_ in near for chunk in chunks.get(id_, ())])
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


def _arranged(items: Sequence[Recalled], order: str) -> Sequence[Recalled]:
    return sorted(items, key=_by_time) if order == "time" else items


def _by_time(item: Recalled) -> tuple[float, str, int, int]:
    note = item.note
    return (note.time.timestamp() if note.time else 0.0, note.session or "", note.turn or 0, item.start)
