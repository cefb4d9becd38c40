"""Remembering a conversation: each turn is a note with a number in its session, a speaker and a time.

Agents send the last turn, the last few, or the whole conversation each time. So the turns passed are aligned with the
stored ones: those stored already, in that order, are not stored again, and the rest is appended. Turns that were
forgotten or have expired keep their numbers: between stored turns, what is passed for them is not stored again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hybridstore.errors import InputError
from hybridstore.filters import field
from hybridstore.memory import note_ids
from hybridstore.memory.note_space import NoteChange, NoteSpace
from hybridstore.memory.notes import Moment, Note, Span, check_metadata, moment_of, note_of, span_of
from hybridstore.memory.remembering import Remembered, expiry

if TYPE_CHECKING:
    from hybridstore.ingest.chat_messages import ChatMessage

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A checked message."""

    text: str
    role: str
    name: str | None = None
    message: str | None = None
    occurred_at: datetime | None = None
    metadata: Mapping[str, Any]
    former: str = ""  # the text by which earlier versions stored it

    def is_stored_as(self, note: Note) -> bool:
        """Return whether a note holds this turn: by the message's id, else by speaker, text, and time if known."""
        if self.message is not None and note.message is not None:
            return self.message == note.message
        from hybridstore.ingest.chat_messages import ROLES  # here, as a recall needs none of the readers

        role = ROLES.get(str(note.role).lower(), note.role)  # earlier versions kept "human" and "ai"
        same = (self.role, self.name) == (role, note.name) and note.text in {self.text, self.former or self.text}
        return same and (self.occurred_at is None or self.occurred_at == note.occurred_at)


def turns_of(messages: Sequence[Message], occurred_at: datetime | None) -> tuple[list[Turn], list[tuple[str, str]]]:
    """Return the turns of messages, and (which message, why) of those that cannot be read.

    Messages without words, such as empty ones, become no turn. See `chat_messages` for their forms.
    """
    from hybridstore.ingest.chat_messages import chat_messages

    turns: list[Turn] = []
    left_out: list[tuple[str, str]] = []
    for number, message in enumerate(messages, start=1):
        where = f"message {number}"
        try:
            turns += [_turn(one, where, occurred_at) for one in chat_messages(message, where) if one.text.strip()]
        except InputError as error:
            left_out.append((where, str(error)))
    return turns, left_out


def _turn(message: ChatMessage, where: str, occurred_at: datetime | None) -> Turn:
    return Turn(
        text=message.text,
        role=message.role,
        name=message.name,
        message=message.id,
        occurred_at=occurred_at if message.time is None else moment_of(message.time, f"the time of {where}"),
        metadata=check_metadata(message.metadata),
        former=message.former,
    )


def append(
    space: NoteSpace,
    messages: Sequence[Message],
    *,
    session: str | None,
    metadata: Mapping[str, Any] | None,
    occurred_at: Moment | None,
    ttl: Span | None,
) -> Remembered:
    """Append the new turns of a conversation to its session; without a session, a name is made from all messages."""
    lifetime, shared = None if ttl is None else span_of(ttl, "ttl"), check_metadata(metadata)
    if session is not None:
        note_ids.check_session(session)
    if isinstance(messages, Mapping) or hasattr(messages, "model_dump"):
        messages = [messages]  # type: ignore[list-item]
    if not isinstance(messages, list | tuple) or not messages:
        raise InputError(f"remember takes a text or a list of messages, not {messages!r}")
    turns, left_out = turns_of(messages, moment_of(occurred_at, "occurred_at"))
    if not turns:
        raise InputError(left_out[0][1] if left_out else "there is nothing to remember: no message has any content")
    name = session if session is not None else _session_of(turns)
    remembered = space.change(lambda change: _append(space, change, name, turns, shared, lifetime))
    return replace(remembered, left_out=tuple(left_out))


def _append(  # noqa: PLR0917 - what is appended, and where
    space: NoteSpace,
    change: NoteChange,
    session: str,
    turns: Sequence[Turn],
    metadata: Mapping[str, Any],
    ttl: float | None,
) -> Remembered:
    now = space.now()
    ids = _turn_documents(space, session)
    last = turn_number(ids[-1]) if ids else 0
    # Only a list of turns can match earlier ones; a single turn is compared with the last alone.
    stored = _stored_turns(space, ids, 1, now) if len(turns) > 1 else _stored_turns(space, ids[-1:], last, now)
    known, first = _overlap(turns, stored)
    unchanged = [note.id for note in stored[first : first + known] if note is not None]
    for number, turn in enumerate(turns[known:], start=last + 1):
        at = turn.occurred_at
        change.add(
            Note(
                id=note_ids.turn_id(session, number),
                text=turn.text,
                namespace=space.namespace.parts,
                kind="turn",
                metadata={**metadata, **turn.metadata},
                occurred_at=at,
                valid_from=min(at or now, now),
                expires_at=expiry(ttl, now),
                recorded_at=now,
                session=session,
                turn=number,
                role=turn.role,
                name=turn.name,
                message=turn.message,
            )
        )
    added = [note.id for note, _ in change.written]
    all_ids = (*unchanged, *added)
    return Remembered(id=all_ids[-1], status="added" if added else "unchanged", ids=all_ids, added=len(added))


def turn_number(document_id: str) -> int:
    """Return a turn's number in its session by its document id."""
    return int(document_id.rpartition("%2F")[2])


def _turn_documents(space: NoteSpace, session: str) -> list[str]:
    """Return the document ids of a session's turns, in order; a note with the id SESSION/something is not a turn."""
    prefix = note_ids.session_prefix(space.namespace, session)
    ids = space.store.ids(field("@id").prefix(prefix))
    return sorted((id_ for id_ in ids if note_ids.is_turn_number(id_[len(prefix) :])), key=turn_number)


def _stored_turns(space: NoteSpace, ids: Sequence[str], first: int, now: datetime) -> list[Note | None]:
    """Return the turns by number, from `first` to the last stored one; None for one that is gone or expired."""
    documents = [space.store.get(id_) for id_ in ids]
    notes = [note_of(str(document.id), document.text, document.metadata) for document in documents]
    by_number = {turn_number(note.uri): note for note in notes if not note.expired(now)}
    return [by_number.get(n) for n in range(first, max(by_number, default=0) + 1)]


def _overlap(turns: Sequence[Turn], stored: Sequence[Note | None]) -> tuple[int, int]:
    """Return how many of the first turns are stored already, and from which position on.

    All of them, anywhere; or as many as possible, at the end.
    """
    for first in range(len(stored) - len(turns), -1, -1):
        if _matches(turns, stored, first):
            return len(turns), first
    for count in range(min(len(turns), len(stored)), 0, -1):
        if _matches(turns[:count], stored, len(stored) - count):
            return count, len(stored) - count
    return 0, len(stored)


def _matches(turns: Sequence[Turn], stored: Sequence[Note | None], first: int) -> bool:
    """Return whether these turns are stored from a position on; one that is gone may have been any.

    But not the last, nor the first of a few unless two are there: nothing is dropped that may be new.
    """
    notes = stored[first : first + len(turns)]
    if notes[-1] is None or (notes[0] is None and first > 0 and len(notes) - notes.count(None) < 2):
        return False
    return all(note is None or turn.is_stored_as(note) for turn, note in zip(turns, notes, strict=True))


def _session_of(turns: Sequence[Turn]) -> str:
    facts = [(turn.role, turn.name, turn.text, str(turn.occurred_at), turn.message) for turn in turns]
    return hashlib.blake2b(json.dumps(facts).encode(errors="replace"), digest_size=8).hexdigest()


__all__ = ["Message", "Turn", "append", "turn_number", "turns_of"]
