"""What a recall gives: the evidence that was packed, what was left out, and the block of text for a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, overload

from hybridstore.memory.notes import Note
from hybridstore.records import Trace
from hybridstore.tables import Column, Tabular

CONFIDENT = 0.5
"""The confidence below which the store rather has no answer; see `Results.confidence`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """A note, or a chunk of a long one, that was recalled.

    `note.text` is the chunk's; `start` and `end` are its character offsets in the document `uri`. `score` compares
    within one recall, `relevance` see Hit. `beside` is the id of the turn beside which it is shown, None for what was
    found by itself.
    """

    note: Note
    start: int
    end: int
    chunk_id: int
    score: float
    relevance: float | None = None
    beside: str | None = None

    @property
    def id(self) -> str:
        """The note's id."""
        return self.note.id

    @property
    def text(self) -> str:
        """What it says."""
        return self.note.text

    @property
    def uri(self) -> str:
        """Where it is found."""
        return self.note.uri

    @property
    def session(self) -> str | None:
        """The conversation it is a turn of, or was kept with."""
        return self.note.session

    @property
    def speaker(self) -> str | None:
        """Who said it."""
        return self.note.speaker

    @property
    def time(self) -> datetime | None:
        """When it happened, or else when it was written down."""
        return self.note.time

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON can hold it."""
        return {
            **self.note.to_dict(),
            "uri": self.uri,
            "start": self.start,
            "end": self.end,
            "score": self.score,
            "relevance": self.relevance,
            "beside": self.beside,
        }


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many passages matched and are not shown: for want of room, or as copies of what is shown."""

    over_budget: int = 0
    copies: int = 0


class Recall(Tabular, Sequence[Recalled]):
    """The evidence for a question, best first (or by time, if asked), within a budget of tokens.

    `str()` gives the block to hand to a model, `tokens` is its length and never more than asked for. `confidence`, from
    0 to 1, says how likely there is an answer at all, None where the store cannot tell; `confident` whether it is
    likely. `trace` tells how it was found. As a table (`to_arrow`, `to_pandas`, or handed to polars or DuckDB as it is)
    an item is a row, its time in ISO 8601.
    """

    __slots__ = ("_text", "confidence", "items", "left_out", "query", "tokens", "trace")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("id"),
        Column("text"),
        Column("uri"),
        Column("start", "integer"),
        Column("end", "integer"),
        Column("time", nullable=True),
        Column("speaker", nullable=True),
        Column("session", nullable=True),
        Column("metadata", "json"),
        Column("score", "number"),
        Column("relevance", "number", nullable=True),
        Column("beside", nullable=True),
    )

    def __init__(
        self,
        *,
        query: str,
        items: tuple[Recalled, ...],
        left_out: LeftOut,
        confidence: float | None,
        tokens: int,
        text: str,
        trace: Trace,
    ) -> None:
        self.query, self.items, self.left_out, self.trace = query, items, left_out, trace
        self.confidence, self.tokens, self._text = confidence, tokens, text

    @property
    def confident(self) -> bool:
        """Whether there is something, and nothing speaks against its being an answer."""
        return bool(self.items) and (self.confidence is None or self.confidence >= CONFIDENT)

    @property
    def sessions(self) -> tuple[str, ...]:
        """The sessions that the evidence is from, that of the best first."""
        best = sorted(self.items, key=lambda item: -item.score)
        return tuple(dict.fromkeys(item.session for item in best if item.session is not None))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give the rows of the table."""
        for item in self.items:
            row = {column.name: getattr(item, column.name, None) for column in self.columns}
            yield {**row, "time": item.time.isoformat() if item.time else None, "metadata": item.note.metadata}

    def to_dicts(self) -> list[dict[str, Any]]:
        """Give the evidence as JSON can hold it, with all facts of its notes."""
        return [item.to_dict() for item in self.items]

    @overload
    def __getitem__(self, index: int) -> Recalled: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Recalled]: ...
    def __getitem__(self, index: int | slice) -> Recalled | Sequence[Recalled]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Recalled]:
        return iter(self.items)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Recall({len(self)} items, {self.tokens} tokens for {self.query!r})"
