"""Recalling: search, with each turn in the context of its neighbours, weighting by age, packing under a token budget.

Also what callers say about the use of what they recalled, which is recorded for the chunks so that the store can learn.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from hybridstore.backends.values import Passage
from hybridstore.errors import InputError, NotFound
from hybridstore.filters import Filter
from hybridstore.memory import forks, note_ids
from hybridstore.memory.fillers import is_filler
from hybridstore.memory.note_space import NoteSpace
from hybridstore.memory.notes import Span, note_of, span_of
from hybridstore.memory.recall_result import Frame, LeftOut, Recall, Recalled
from hybridstore.memory.token_budget import Counter, pack
from hybridstore.records import Hit
from hybridstore.search.query_plan import has_words
from hybridstore.search.selection import normalised
from hybridstore.store.inputs import Where

ORDERS = ("score", "time")
# Passages searched: as many as could fit if each took 16 tokens, within bounds.
_LEAST_HITS, _MOST_HITS, _TOKENS_EACH = 50, 1000, 16
_CHANCE = 0.05  # relevance below which a turn of one word is a filler
# Added to the score, from 0 to 1, of what a person said whom the query names. LoCoMo's first four conversations: any@5
# .728 → .738, all@10 .693 → .705; with twice as much .744 and .703 (docs/experiments.md).
_NAMED = 0.05
_QUESTION_MARKS = ("?", "？", "؟", "՞", "፧")
_MOST_NEIGHBOURS = 1000  # to either side: each is looked up for each item


@dataclass(frozen=True, slots=True)
class Recency:
    """How much the age of a note takes from its score: half of what it can lose in `half_life` seconds, and again.

    The score is multiplied by floor + (1 - floor) · 2^(-age / half_life), so that however old, it keeps `floor` of it.
    """

    half_life: Span
    floor: float = 0.5

    def __post_init__(self) -> None:
        """Raise InputError for invalid values."""
        object.__setattr__(self, "half_life", span_of(self.half_life, "recency's half_life"))
        if not isinstance(self.floor, int | float) or not 0.0 <= self.floor <= 1.0:
            raise InputError(f"recency's floor must be a number from 0 to 1, not {self.floor!r}")

    def factor(self, age: float) -> float:
        """Return the factor for the score of a note of this age in seconds; a negative age counts as 0."""
        decay = math.exp2(-max(age, 0.0) / span_of(self.half_life, "recency's half_life"))
        return self.floor + (1.0 - self.floor) * decay


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallRequest:
    """The checked arguments of `Memory.recall`."""

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
        """Raise InputError for invalid values."""
        for name, value, least in (("max_tokens", self.max_tokens, 1), ("neighbours", self.neighbours, 0)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InputError(f"{name} must be a whole number of at least {least}, not {value!r}")
        if self.neighbours > _MOST_NEIGHBOURS:
            raise InputError(f"neighbours must be at most {_MOST_NEIGHBOURS:,}, not {self.neighbours:,}")
        if self.order not in ORDERS:
            raise InputError(f"order must be one of {', '.join(ORDERS)}, not {self.order!r}")
        if not isinstance(self.query, str) or not has_words(self.query):
            raise InputError("there is nothing to recall: the query has no words")


def recall(space: NoteSpace, request: RecallRequest, count_tokens: Counter) -> Recall:
    """Search, and pack the best of what was found."""
    where = space.visible(as_of=request.as_of, session=request.session, where=request.where)
    limit = min(max(request.max_tokens // _TOKENS_EACH, _LEAST_HITS), _MOST_HITS)
    with space.store.snapshot():
        results = space.store.search(
            request.query, limit=limit, where=where, min_relevance=request.min_relevance, around=note_ids.neighbours
        )
        recalled = _by_named_speakers([_recalled(hit) for hit in results], request.query)
        items, fillers = _without_fillers(recalled, request.query)
        if request.recency is not None:
            items = _weighted(items, request.recency, request.as_of or space.now())
        if space.store.merged:
            items = forks.marked(space, items, request.as_of or space.now())
        copies: list[Recalled] = []
        confidence = results.confidence

        def left_out(shown: Sequence[Recalled]) -> LeftOut:
            matching = {hit.chunk_id for hit in results}
            beside = {item.chunk_id for item in (*shown, *copies, *fillers)}
            return LeftOut(len(matching - beside), len(copies), len(fillers))

        frame = Frame(space.namespace.prefix, request.query, confidence)
        frame = frame.within(request.max_tokens, count_tokens)

        def render(shown: Sequence[Recalled]) -> str:
            return frame.block(_ordered(shown, request.order), left_out(shown))

        def neighbours(item: Recalled) -> list[Recalled]:
            return _neighbours(space, item, request.neighbours, where) if request.neighbours else []

        def cost(item: Recalled) -> int:
            return count_tokens(f"{frame.item(item)}\n") + 1

        candidates = _without_copies(items, copies)
        shown, text, tokens = pack(
            candidates, neighbours, render, cost, count_tokens=count_tokens, budget=request.max_tokens
        )
    return Recall(
        query=request.query,
        items=tuple(_ordered(shown, request.order)),
        left_out=left_out(shown),
        confidence=confidence,
        tokens=tokens,
        text=text,
        trace=results.trace,
    )


def _recalled(hit: Hit) -> Recalled:
    return Recalled(
        note=note_of(hit.document_id, hit.text, hit.metadata),
        start=hit.start,
        end=hit.end,
        chunk_id=hit.chunk_id,
        score=hit.score,
        relevance=hit.relevance,
    )


def _by_named_speakers(items: Sequence[Recalled], query: str) -> Sequence[Recalled]:
    """Return the items with those said by somebody whom the query names a little higher, unless it names all speakers.

    The name is a word of their text already, but no more than one in a turn that only mentions it.
    """
    asked = query.casefold()
    speakers = {item.note.name for item in items if item.note.name}
    named = {name for name in speakers if _names(name.casefold(), asked)}
    if not named or named == speakers:
        return items
    raised = [replace(item, score=min(item.score + _NAMED, 1.0)) if item.note.name in named else item for item in items]
    return sorted(raised, key=lambda item: -item.score)


def _names(name: str, text: str) -> bool:
    """Return whether a text has a name as words of its own; in scripts without spaces, anywhere."""
    if not name.isascii():
        return name in text
    return re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", text) is not None


def _without_fillers(items: Sequence[Recalled], query: str) -> tuple[list[Recalled], list[Recalled]]:
    """Split items into those that say something and fillers; the answer to a question is not one, however short."""
    questions = {(item.session, item.note.turn) for item in items if item.text.rstrip().endswith(_QUESTION_MARKS)}
    kept: list[Recalled] = []
    fillers: list[Recalled] = []
    for item in items:
        turn = item.note.turn
        by_chance = turn is not None and item.relevance is not None and item.relevance < _CHANCE
        answers = turn is not None and (item.session, turn - 1) in questions
        (fillers if not answers and is_filler(item.text, query, by_chance=by_chance) else kept).append(item)
    return kept, fillers


def _weighted(items: Iterable[Recalled], recency: Recency, at: datetime) -> list[Recalled]:
    """Return the items with their scores reduced by age, best first."""
    weighted = []
    for item in items:
        when = item.note.time
        age = 0.0 if when is None else (at - when).total_seconds()
        weighted.append(replace(item, score=item.score * recency.factor(age)))
    return sorted(weighted, key=lambda item: -item.score)


def _without_copies(items: Iterable[Recalled], copies: list[Recalled]) -> Iterator[Recalled]:
    """Yield the items that do not repeat a better one by the same speaker; the others are added to `copies`.

    Only case and white space may differ: two notes that are nearly alike may well be a fact and its correction.
    """
    seen: set[tuple[str | None, str]] = set()
    for item in items:
        key = (item.note.speaker, normalised(item.note.text))
        if key in seen:
            copies.append(item)
        else:
            seen.add(key)
            yield item


def _neighbours(space: NoteSpace, item: Recalled, reach: int, where: Filter) -> list[Recalled]:
    """Return the turns next to an item's, nearest first, and before it before after it."""
    own, chunks = item.note.uri, space.store.chunks
    line = list(note_ids.neighbours(own, reach))
    if not line:
        return []
    middle = line.index(own)
    near = sorted((id_ for id_ in line if id_ != own), key=lambda id_: abs(line.index(id_) - middle))
    by_turn = chunks.of(near, where)
    passages = chunks.passages([chunk for id_ in near for chunk in by_turn.get(id_, ())])
    return [_neighbour(passage, item) for passage in passages]


def _neighbour(passage: Passage, item: Recalled) -> Recalled:
    return Recalled(
        note=note_of(passage.document_id, passage.text, passage.metadata),
        start=passage.start,
        end=passage.end,
        chunk_id=passage.chunk,
        score=item.score,
        relevance=None,
        beside=item.note.id,
    )


def _ordered(items: Sequence[Recalled], order: str) -> Sequence[Recalled]:
    return sorted(items, key=_time_key) if order == "time" else items


def _time_key(item: Recalled) -> tuple[float, str, int, int]:
    note = item.note
    return (note.time.timestamp() if note.time else 0.0, note.session or "", note.turn or 0, item.start)


def record_feedback(space: NoteSpace, recall: Recall, *, used: Iterable[str], unused: Iterable[str]) -> None:
    """Record for each recalled chunk of these notes whether it was of use.

    Raises InputError for an id that was not recalled, and NotFound for a note that was forgotten or got another text
    meanwhile, before anything is recorded.
    """
    verdicts: dict[int, tuple[Recalled, bool]] = {}
    for ids, verdict in ((used, True), (unused, False)):
        for id_ in [ids] if isinstance(ids, str) else ids:
            items = [item for item in recall if item.id == id_]
            if not items:
                raise InputError(f"{id_!r} is not among what was recalled; its items have their ids as `id`")
            verdicts |= {item.chunk_id: (item, verdict) for item in items}
    chunks = [(_current_chunk(space, item), verdict) for item, verdict in verdicts.values()]
    for chunk, verdict in chunks:
        space.store.feedback(recall.query, chunk, used=verdict)


def _current_chunk(space: NoteSpace, item: Recalled) -> int:
    """Return the chunk that was recalled, or the equal one that replaced it: new facts of a note make new chunks."""
    chunks = space.store.chunks
    with space.store.snapshot():
        if chunks.documents([item.chunk_id]):
            return item.chunk_id
        for passage in chunks.passages(chunks.of([item.uri]).get(item.uri, ())):
            note = note_of(passage.document_id, passage.text, passage.metadata)
            if (passage.start, passage.end, note.text) == (item.start, item.end, item.text):
                return passage.chunk
    raise NotFound(item.id, f"the note {item.id!r} was forgotten or changed since it was recalled; recall it again")
