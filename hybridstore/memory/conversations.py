"""Remembering a conversation: each turn is a note with a number in its session, a speaker and a time.

Agents send the last turn, the last few, or the whole conversation each time. So the turns passed are aligned with the
stored ones: those stored already, in that order, are not stored again, and the rest is appended. Turns that were
forgotten or have expired keep their numbers: between stored turns, what is passed for them is not stored again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hybridstore.errors import InputError
from hybridstore.filters import field
from hybridstore.memory import note_ids
from hybridstore.memory.note_space import NoteChange, NoteSpace
from hybridstore.memory.notes import Moment, Note, Span, check_metadata, moment_of, note_of, span_of
from hybridstore.memory.remembering import Remembered, expiry

Message = Mapping[str, Any]

_TIMES = ("time", "timestamp", "occurred_at", "created_at")
_FIELDS = {"role", "content", "name", "id", "metadata", *_TIMES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A checked message."""

    text: str
    role: str
    name: str | None = None
    message: str | None = None
    occurred_at: datetime | None = None
    metadata: Mapping[str, Any]

    def is_stored_as(self, note: Note) -> bool:
        """Return whether a note holds this turn: by the message's id, else by speaker, text, and time if known."""
        if self.message is not None and note.message is not None:
            return self.message == note.message
        same = (self.text, self.role, self.name) == (note.text, note.role, note.name)
        return same and (self.occurred_at is None or self.occurred_at == note.occurred_at)


def turns_of(messages: Sequence[Message], occurred_at: datetime | None) -> list[Turn]:
    """Read messages, {"role": "user", "content": "…"} and more; raises InputError naming the unreadable one.

    `content` is a text, or a list of parts as model providers send them; parts that are not text are represented by
    their type. Messages without content, such as tool calls, are left out.
    """
    turns = (_turn(message, f"message {number}", occurred_at) for number, message in enumerate(messages, start=1))
    return [turn for turn in turns if turn is not None]


def _turn(message: object, where: str, occurred_at: datetime | None) -> Turn | None:
    if not isinstance(message, Mapping) or "content" not in message:
        raise InputError(f'{where} must be a mapping as {{"role": "user", "content": "…"}}, not {message!r}')
    role, name, id_ = message.get("role", "user"), message.get("name"), message.get("id")
    for what, value in (("role", role), ("name", name), ("id", id_)):
        if not isinstance(value, str | None) or value == "":
            raise InputError(f"the {what} of {where} must be a non-empty text, not {value!r}")
    if unknown := [str(key) for key in message if key not in _FIELDS]:
        raise InputError(
            f"{where} has the unknown fields {', '.join(unknown)}; known are {', '.join(sorted(_FIELDS))} "
            "(put others into metadata)"
        )
    times = [message[key] for key in _TIMES if message.get(key) is not None]
    when = moment_of(times[0], f"the time of {where}") if times else occurred_at
    text = _content(message["content"], where)
    if not text.strip():
        return None
    metadata = check_metadata(message.get("metadata"))
    return Turn(text=text, role=role or "user", name=name, message=id_, occurred_at=when, metadata=metadata)


def _content(content: object, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, Sequence):
        raise InputError(f"the content of {where} must be a text or a list of parts, not {content!r}")
    parts = []
    for part in content:
        if not isinstance(part, str | Mapping):
            raise InputError(f"a part of {where}'s content must be a text or a mapping, not {part!r}")
        text = part if isinstance(part, str) else part.get("text")
        parts.append(text if isinstance(text, str) else f"[{part.get('type', 'part')}]")  # type: ignore[union-attr]
    return "\n".join(parts)


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
    if not isinstance(messages, list | tuple) or not messages:
        raise InputError(f"remember takes a text or a list of messages, not {messages!r}")
    turns = turns_of(messages, moment_of(occurred_at, "occurred_at"))
    if not turns:
        raise InputError("there is nothing to remember: no message has any content")
    name = session if session is not None else _session_of(turns)
    return space.change(lambda change: _append(space, change, name, turns, shared, lifetime))


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
