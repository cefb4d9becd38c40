"""The memory: remembering, recalling, what held when, and forgetting; for the notes of one namespace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from hybridstore import filters
from hybridstore.backends.values import PurgeReport
from hybridstore.errors import InputError
from hybridstore.filters import Filter
from hybridstore.memory import ForgetReport, Note, Recalled, Remembered
from hybridstore.memory.recall_result import LeftOut
from hybridstore.serving.http.context import WRITES, Conditions, Context, Shared, all_of

router = APIRouter(prefix="/memory", tags=["memory"])

MOST = 1000  # notes of one answer
_LONGEST = 4096  # characters of an id

Moment = Annotated[datetime | None, Query(description="What held at this time, ISO 8601, instead of now.")]
Session = Annotated[str | None, Query(description="Only this conversation.", max_length=_LONGEST)]
Id = Annotated[str, Query(description="The note's id.", max_length=_LONGEST)]


class NewMemory(BaseModel):
    """A fact to remember, or the messages of a conversation; see `Memory.remember`."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(None, description="One fact, understandable on its own.")
    messages: list[dict[str, Any]] | None = Field(
        None, max_length=MOST, description='[{"role": "user", "content": "…"}]'
    )
    id: str | None = Field(None, max_length=_LONGEST, description="A name of its own; an older text becomes history.")
    session: str | None = Field(None, max_length=_LONGEST, description="The conversation's name.")
    metadata: dict[str, Any] | None = Field(None, description="Facts to filter by.")
    occurred_at: datetime | None = Field(None, description="When it happened, ISO 8601, if not now.")
    valid_from: datetime | None = Field(None, description="From when on it holds, if not since it happened.")
    valid_to: datetime | None = Field(None, description="Until when it holds.")
    ttl: float | None = Field(None, gt=0, le=1e10, description="Seconds until it expires.")
    supersedes: list[str] = Field([], max_length=MOST, description="Ids of notes that no longer hold.")
    on_similar: Literal["keep", "link", "supersede", "error"] = Field("keep", description="If similar notes exist.")


class NotePage(BaseModel):
    """A part of the list: how many there are in all, and the `offset` of the next part, null after the last."""

    notes: list[Note]
    total: int
    next: int | None


class RecallAnswer(BaseModel):
    """What was recalled, best first, and `text`: the block for a model, of `tokens` tokens."""

    query: str
    items: list[Recalled]
    confidence: float | None
    confident: bool
    left_out: LeftOut
    tokens: int
    text: str


class Target(BaseModel):
    """Notes by id, or by a filter over their metadata."""

    model_config = ConfigDict(extra="forbid")

    ids: list[str] | None = Field(None, max_length=MOST, description="These notes.")
    where: dict[str, Any] | None = Field(None, description="Or those that pass a filter over their metadata.")

    def target(self, context: Context) -> Sequence[str] | Mapping[str, Any]:
        """Return what the memory's methods take; raises InputError unless exactly one of both is there."""
        if bool(self.ids) == bool(self.where):
            raise InputError("name the notes either by ids or by a filter; nothing was forgotten")
        filters.parse(self.where)
        return [context.scope.note_id(name) for name in self.ids or ()] or self.where or []


class Forget(Target):
    """Notes to forget for good, with their older versions; with `dry_run`, the default, it is only said which."""

    dry_run: bool = Field(True, description="Only say which.")


@router.post("", status_code=201, dependencies=[WRITES])
async def remember(context: Shared, body: NewMemory) -> Remembered:
    """Remember a fact, or the messages of a conversation. The same text is kept only once."""
    if bool((body.text or "").strip()) == bool(body.messages):
        raise InputError("give either a text or messages to remember")
    how = body.model_dump(exclude={"text", "messages", "supersedes"})
    what: Any = body.messages or body.text
    supersedes = [context.scope.note_id(name) for name in body.supersedes]
    return await context.in_thread(context.memory.remember, what, supersedes=supersedes, **how)


@router.get("")
def list_notes(
    context: Shared,
    *,
    session: Session = None,
    as_of: Moment = None,
    where: Conditions = (),
    limit: Annotated[int, Query(ge=1, le=MOST, description="Notes of one answer.")] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9, description="How many to skip.")] = 0,
) -> NotePage:
    """List the notes that hold now, or held at a time, the newest first."""
    notes = context.memory.notes(where=_filter(where), session=session, as_of=as_of)[::-1]
    following = offset + limit if offset + limit < len(notes) else None
    return NotePage(notes=notes[offset : offset + limit], total=len(notes), next=following)


@router.get("/recall")
def recall(
    context: Shared,
    *,
    q: Annotated[str, Query(description="What you want to know, best as a question.", max_length=10_000)],
    max_tokens: Annotated[int, Query(ge=1, le=1_000_000, description="The longest block.")] = 2000,
    session: Session = None,
    as_of: Moment = None,
    where: Conditions = (),
    neighbours: Annotated[int, Query(ge=0, le=20, description="Turns to show to either side of each.")] = 0,
    order: Annotated[Literal["score", "time"], Query(description="The order of the items.")] = "score",
) -> RecallAnswer:
    """Search the notes, and pack the best of them into a block for a model."""
    with context.store.unlogged():
        found = context.memory.recall(
            q,
            max_tokens=max_tokens,
            session=session,
            as_of=as_of,
            where=_filter(where),
            neighbours=neighbours,
            order=order,
        )
    return RecallAnswer(**{name: getattr(found, name) for name in RecallAnswer.model_fields})


@router.get("/history")
def history(context: Shared, id: Id) -> list[Note]:  # noqa: A002 - the parameter's name
    """Return all versions of a note, oldest first: what it superseded, and what superseded it."""
    return context.memory.history(context.scope.note_id(id))


@router.post("/forget", dependencies=[WRITES])
async def forget(context: Shared, body: Forget) -> ForgetReport:
    """Forget notes. Ask first with `dry_run`, show what it names, and then without."""
    return await context.in_thread(context.memory.forget, body.target(context), dry_run=body.dry_run)


@router.post("/purge", dependencies=[WRITES])
async def purge_notes(context: Shared, body: Target) -> PurgeReport:
    """Forget notes so that no byte of them is left in the file, which is rewritten."""
    return await context.in_thread(context.memory.purge, body.target(context))


@router.get("/note")
def get_note(context: Shared, id: Id) -> Note:  # noqa: A002 - as above
    """Return a note by its id, whether it still holds or not."""
    return context.memory.get(context.scope.note_id(id))


def _filter(conditions: Sequence[str]) -> Filter | None:
    return all_of(conditions) if conditions else None
