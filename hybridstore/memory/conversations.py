"""Keeping a conversation: each turn a note, in its place in its session, with who said it and when.

Agents send the last turn, the last few, or the whole conversation each time. So what is given is laid over what is
stored: turns that stand there already, in that order, are not kept again, and what follows them is appended. Places
whose turns were forgotten, or have expired, stay known by their numbers: between turns that are there, what is given
for them is not kept again.
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
from hybridstore.memory.note_storage import NoteChange, Place
from hybridstore.memory.notes import Note, check_metadata, note_of
from hybridstore.memory.remembering import Remembered, expiry
from hybridstore.memory.timestamps import Moment, Span, moment_of, span_of

Message = Mapping[str, Any]

_TIMES = ("time", "timestamp", "occurred_at", "created_at")
_KNOWN = {"role", "content", "name", "id", "metadata", *_TIMES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A message as it was given, checked."""

    text: str
    role: str
    name: str | None = None
    message: str | None = None
    occurred_at: datetime | None = None
    metadata: Mapping[str, Any]

    def is_kept_as(self, note: Note) -> bool:
        """Say whether a note keeps this turn: by the id of its message, else by who said what, and when if known."""
        if self.message is not None and note.message is not None:
            return self.message == note.message
        same = (self.text, self.role, self.name) == (note.text, note.role, note.name)
        return same and (self.occurred_at is None or self.occurred_at == note.occurred_at)


def turns_of(messages: Sequence[Message], occurred_at: datetime | None) -> list[Turn]:
    """Read messages, {"role": "user", "content": "…"} and more; raises InputError naming the one that is not readable.

    `content` is a text, or a list of parts as model providers send them; what is no text in it is told by its type.
    A message of no content at all, as calls of tools are, is left out.
    """
    turns = []
    for number, message in enumerate(messages, start=1):
        here = f"message {number}"
        if not isinstance(message, Mapping) or "content" not in message:
            raise InputError(f'{here} is a mapping as {{"role": "user", "content": "…"}}, not {message!r}')
        role, name, id_ = message.get("role", "user"), message.get("name"), message.get("id")
        for what, value in (("role", role), ("name", name), ("id", id_)):
            if not isinstance(value, str | None) or value == "":
                raise InputError(f"the {what} of {here} is a text, not {value!r}")
        if unknown := [str(key) for key in message if key not in _KNOWN]:
            raise InputError(
                f"{here} has the unknown fields {', '.join(unknown)}; there are {', '.join(sorted(_KNOWN))} "
                "(put others into metadata)"
            )
        times = [message[key] for key in _TIMES if message.get(key) is not None]
        when = moment_of(times[0], f"the time of {here}") if times else occurred_at
        text = _content(message["content"], here)
        if text.strip():
            metadata = check_metadata(message.get("metadata"))
            turns.append(
                Turn(text=text, role=role or "user", name=name, message=id_, occurred_at=when, metadata=metadata)
            )
    return turns


def _content(content: object, here: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, Sequence):
        raise InputError(f"the content of {here} is a text or a list of parts, not {content!r}")
    parts = []
    for part in content:
        if not isinstance(part, str | Mapping):
            raise InputError(f"a part of {here}'s content is a text or a mapping, not {part!r}")
        text = part if isinstance(part, str) else part.get("text")
        parts.append(text if isinstance(text, str) else f"[{part.get('type', 'part')}]")  # type: ignore[union-attr]
    return "\n".join(parts)


def append(
    place: Place,
    messages: Sequence[Message],
    *,
    session: str | None,
    metadata: Mapping[str, Any] | None,
    occurred_at: Moment | None,
    ttl: Span | None,
) -> Remembered:
    """Append what is new of a conversation to its session; a session without a name is named by all that it holds."""
    lifetime, told = None if ttl is None else span_of(ttl, "ttl"), check_metadata(metadata)
    if session is not None:
        note_ids.check_session(session)
    if not isinstance(messages, list | tuple) or not messages:
        raise InputError(f"what is to be remembered is a text or a list of messages, not {messages!r}")
    turns = turns_of(messages, moment_of(occurred_at, "occurred_at"))
    if not turns:
        raise InputError("there is nothing to remember: no message has any content")
    name = session if session is not None else _made(turns)
    return place.changed(lambda change: _decided(place, change, name, turns, told, lifetime))


def _decided(  # noqa: PLR0917 - what is given, where it goes
    place: Place,
    change: NoteChange,
    session: str,
    turns: Sequence[Turn],
    metadata: Mapping[str, Any],
    ttl: float | None,
) -> Remembered:
    now = place.now()
    ids = _ids(place, session)
    place_of_last = place_in(ids[-1]) if ids else 0
    # What lies before can only be met by a list; a single turn is held against the last alone.
    there = _line(place, ids, 1, now) if len(turns) > 1 else _line(place, ids[-1:], place_of_last, now)
    kept, first_kept = _laid_over(turns, there)
    known = [note.id for note in there[first_kept : first_kept + kept] if note is not None]
    fresh = []
    for number, turn in enumerate(turns[kept:], start=place_of_last + 1):
        at = turn.occurred_at
        note = Note(
            id=note_ids.turn_id(session, number),
            text=turn.text,
            namespace=place.namespace.parts,
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
        change.add(note)
        fresh.append(note.id)
    every = (*known, *fresh)
    return Remembered(id=every[-1], status="added" if fresh else "unchanged", ids=every, added=len(fresh))


def place_in(document_id: str) -> int:
    """Give a turn's place in its session by its document's id."""
    return int(document_id.rpartition("%2F")[2])


def _ids(place: Place, session: str) -> list[str]:
    """Give the document ids of a session's turns, in order; a note that is called SESSION/something is none of them."""
    found = place.store.ids(field("@id").prefix(note_ids.session_prefix(place.namespace, session)))
    before = len(note_ids.session_prefix(place.namespace, session))
    return sorted((id_ for id_ in found if note_ids.is_turn_number(id_[before:])), key=place_in)


def _line(place: Place, ids: Sequence[str], first: int, now: datetime) -> list[Note | None]:
    """Give the turns in their places, from the first to the last that is there; None where one is gone or expired."""
    documents = [place.store.get(id_) for id_ in ids]
    notes = [note_of(str(each.id), each.text, each.metadata) for each in documents]
    there = {place_in(note.uri): note for note in notes if not note.expired(now)}
    return [there.get(n) for n in range(first, max(there, default=0) + 1)]


def _laid_over(turns: Sequence[Turn], there: Sequence[Note | None]) -> tuple[int, int]:
    """Give how many of the first turns stand in the session already, and from which of its turns on.

    All of them, anywhere; or as many as possible, at its end.
    """
    for first in range(len(there) - len(turns), -1, -1):
        if _fits(turns, there, first):
            return len(turns), first
    for count in range(min(len(turns), len(there)), 0, -1):
        if _fits(turns[:count], there, len(there) - count):
            return count, len(there) - count
    return 0, len(there)


def _fits(turns: Sequence[Turn], there: Sequence[Note | None], first: int) -> bool:
    """Say whether these turns stand there from a place on; one that is gone may have been any.

    But not the last, nor the first of a few unless two are there: nothing is dropped that may be new.
    """
    notes = there[first : first + len(turns)]
    if notes[-1] is None or (notes[0] is None and first > 0 and len(notes) - notes.count(None) < 2):
        return False
    return all(note is None or turn.is_kept_as(note) for turn, note in zip(turns, notes, strict=True))


def _made(turns: Sequence[Turn]) -> str:
    said = [(turn.role, turn.name, turn.text, str(turn.occurred_at), turn.message) for turn in turns]
    return hashlib.blake2b(json.dumps(said).encode(errors="replace"), digest_size=8).hexdigest()


__all__ = ["Message", "Turn", "append", "place_in", "turns_of"]
