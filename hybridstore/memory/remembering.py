"""Remembering a note: nothing is lost, nothing is stored twice, and what changed has a history."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, count
from typing import Any

from hybridstore.errors import InputError
from hybridstore.memory import note_ids
from hybridstore.memory.consolidation import SimilarNote, check_similarity, find_similar
from hybridstore.memory.note_space import NoteChange, NoteSpace, StoredNote, ended
from hybridstore.memory.notes import Note

ON_SIMILAR = ("keep", "link", "supersede", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The outcome of remembering a note or a conversation.

    `status` is "added", "unchanged" (it was there already), "updated" (it was there, and got new metadata, times or
    lifetime) or "superseded" (it replaced the notes in `supersedes`). `ids` are those of all turns of a conversation,
    `added` how many of them are new; `id` is the note's, or the last turn's. `similar` are the similar notes found, as
    (id, cosine); they are only searched if `on_similar` is not "keep". `left_out` are (which message, why) of
    those that could not be read.
    """

    id: str
    status: str
    ids: tuple[str, ...] = ()
    added: int = 0
    supersedes: tuple[str, ...] = ()
    similar: tuple[tuple[str, float], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """How many notes were `added`, were there already (`unchanged`), or got new content (`updated`).

    `conflicts` are the ids under which something else is stored, which stays. `left_out` are (what, why): files, lines
    and documents that became no note.
    """

    added: int = 0
    unchanged: int = 0
    updated: int = 0
    conflicts: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()

    def __add__(self, other: ImportReport) -> ImportReport:
        return ImportReport(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteInput:
    """The checked arguments of `Memory.remember` for a note. Times that are None were not passed."""

    text: str
    id: str | None = None
    metadata: Mapping[str, Any] | None = None
    occurred_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    session: str | None = None
    ttl: float | None = None
    supersedes: Sequence[str] = ()
    format: str = "plain"


def remember(space: NoteSpace, new: NoteInput, *, on_similar: str, similarity: float) -> Remembered:
    """Store one note, unless it is there already."""
    if not new.text.strip():
        raise InputError("the text is empty; there is nothing to remember")
    if on_similar not in ON_SIMILAR:
        raise InputError(f"on_similar must be one of {', '.join(ON_SIMILAR)}, not {on_similar!r}")
    check_similarity(similarity)
    similar: list[SimilarNote] = []
    if on_similar != "keep":
        own = {_slot(space, new, space.now())[0], *new.supersedes}  # a note is not similar to itself
        similar = [match for match in find_similar(space, new.text, similarity) if match.id not in own]
    if similar and on_similar == "error":
        matches = ", ".join(f"{match.id!r} ({match.cosine:.2f})" for match in similar)
        raise InputError(
            f"there are similar notes: {matches}; pass on_similar='keep' to keep both, or supersedes= with that id"
        )
    outcome = space.change(lambda change: plan_note(space, change, new, similar, on_similar))
    return replace(outcome, similar=tuple((match.id, match.cosine) for match in similar))


def plan_note(
    space: NoteSpace, change: NoteChange, new: NoteInput, similar: Sequence[SimilarNote] = (), on_similar: str = "keep"
) -> Remembered:
    """Fill a change with what storing a note requires, by what is stored now; return the outcome."""
    now = space.now()
    id_, stored = _slot(space, new, now)
    previous: list[str] = []  # versions of the same note that it replaces
    versions: list[str] = []  # versions that a note left when it expired
    again = stored is not None and _is_stored_as(new, stored.note, now)
    if stored is not None and again:
        note = _renewed(stored.note, new, now)
    else:
        note = _note(space, new, id_, now)
        if stored is not None and not stored.note.expired(now):
            note = _until_successor(note, stored.note, new, now)
            previous = [_set_aside(space, change, stored, note, now)]
        elif new.id is not None:
            versions = space.versions(id_)[-1:]
    near = [
        match for candidate in similar if (match := space.read(candidate.id)) is not None
    ]  # it may be forgotten since
    named = [name for name in new.supersedes if name != id_ or stored is None]  # its own older version goes anyway
    named += [match.note.id for match in near if on_similar == "supersede"]
    if previous and note.superseded_by is None:
        named.append(id_)  # what had replaced it is no longer valid
    note = replace(note, supersedes=tuple(dict.fromkeys((*note.supersedes, *versions, *previous))))
    note, older = _related(space, change, note, named, near if on_similar == "link" else [])
    same = stored is not None and stored.is_now(note)
    if stored is None:
        change.add(note)
    elif not same:
        change.replace(stored, note)
    replaced = (*previous, *older)
    status = "superseded" if replaced else "added" if not again else "unchanged" if same else "updated"
    return Remembered(id=id_, status=status, ids=(id_,), added=int(not again), supersedes=replaced)


def _related(
    space: NoteSpace, change: NoteChange, note: Note, superseded: Sequence[str], similar: Sequence[StoredNote]
) -> tuple[Note, tuple[str, ...]]:
    """Let a note supersede others and link it with similar ones; return it and the ids of those it supersedes."""
    older = {head.note.id: head for id_ in superseded if (head := _latest(space, id_, note.id)).note.id != note.id}
    linked = {match.note.id: match for match in similar if match.note.id not in {note.id, *older}}
    note = replace(
        note,
        supersedes=tuple(dict.fromkeys((*note.supersedes, *older))),
        links=tuple(dict.fromkeys((*note.links, *linked))),
    )
    for match in older.values():
        change.replace(match, ended(match.note, note, space.now()))
    for match in linked.values():
        change.replace(match, replace(match.note, links=tuple(dict.fromkeys((*match.note.links, note.id)))))
    return note, tuple(older)


def _is_stored_as(new: NoteInput, note: Note, now: datetime) -> bool:
    """Return whether a note has this text and is valid or will be; or was, if the input says just that."""
    if note.text != new.text or note.expired(now):
        return False
    if note.valid_to is None or note.valid_to > now:
        return note.holds(now) or new.valid_from == note.valid_from
    same_end = note.superseded_by is None and new.valid_to == note.valid_to
    return same_end and new.valid_from in {None, note.valid_from}


def _until_successor(note: Note, before: Note, new: NoteInput, now: datetime) -> Note:
    """Return a note that replaces one whose successor is yet to come: that one comes all the same."""
    end = before.valid_to
    comes = before.superseded_by is not None and before.holds(now) and new.valid_to is None
    if not comes or end is None or note.valid_from is None or note.valid_from >= end:
        return note
    return replace(note, valid_to=end, superseded_by=before.superseded_by)


def _slot(space: NoteSpace, new: NoteInput, now: datetime) -> tuple[str, StoredNote | None]:
    """Return the id for a note, and what is stored there; without an id, the first that is free or has the same note.

    The id is made from the text, time and session, so that a repeated note finds itself; but a note that is repeated
    after it was superseded is new.
    """
    if new.id is not None:
        return new.id, space.read(new.id)
    made = made_id(new.text, new.session, new.occurred_at)
    slots = ((id_, space.read(id_)) for id_ in chain([made], (f"{made}-{number}" for number in count(2))))
    return next((id_, stored) for id_, stored in slots if stored is None or _is_stored_as(new, stored.note, now))


def made_id(text: str, session: str | None = None, occurred_at: datetime | None = None) -> str:
    """Return the id for a note whose caller chose none."""
    parts = (text, session or "", occurred_at.isoformat() if occurred_at else "")
    return hashlib.blake2b("\x00".join(parts).encode(errors="replace"), digest_size=8).hexdigest()


def _note(space: NoteSpace, new: NoteInput, id_: str, now: datetime) -> Note:
    since = new.valid_from or min(new.occurred_at or now, now)
    _check_order(since, new.valid_to)
    return Note(
        id=id_,
        text=new.text,
        namespace=space.namespace.parts,
        metadata=new.metadata or {},
        occurred_at=new.occurred_at,
        valid_from=since,
        valid_to=new.valid_to,
        expires_at=expiry(new.ttl, now),
        recorded_at=now,
        session=new.session,
        format=new.format,
    )


def _renewed(before: Note, new: NoteInput, now: datetime) -> Note:
    """Return a stored note with new metadata added, and times and lifetime as far as they are new."""
    since = new.valid_from or before.valid_from
    if new.valid_from is None and new.occurred_at is not None and before.recorded_at is not None:
        recorded = before.recorded_at
        if since == min(before.occurred_at or recorded, recorded):  # the default, not a caller's choice
            since = min(new.occurred_at, recorded)
    if since is not None and (new.valid_from or new.valid_to):
        _check_order(since, new.valid_to or before.valid_to)
    return replace(
        before,
        metadata={**before.metadata, **(new.metadata or {})},
        occurred_at=new.occurred_at or before.occurred_at,
        valid_from=since,
        valid_to=new.valid_to or before.valid_to,
        session=new.session or before.session,
        expires_at=expiry(new.ttl, now) or before.expires_at,
    )


def _check_order(since: datetime, until: datetime | None) -> None:
    if until is not None and until <= since:
        raise InputError(
            f"valid_to, {until.isoformat()}, is not after {since.isoformat()}, when the note becomes valid"
        )


def _set_aside(space: NoteSpace, change: NoteChange, stored: StoredNote, note: Note, now: datetime) -> str:
    """Store the older version of a note under an id of its own; return that id."""
    id_ = stored.note.id
    numbers = [note_ids.version_number(id_, version) or 0 for version in space.versions(id_)[-1:]]
    aside = note_ids.version_id(id_, max(numbers, default=0) + 1)
    change.add(replace(ended(stored.note, note, now), id=aside))
    return aside


def _latest(space: NoteSpace, note: str, new_id: str) -> StoredNote:
    """Return the end of a note's chain of successors, so that two notes superseding one fact form a chain, not a fork.

    A chain that reaches `new_id` ends there: that note has replaced it already.
    """
    head, visited = space.required(note), {note}
    while (successor := head.note.superseded_by) is not None and successor not in visited:
        visited.add(successor)
        following = space.read(successor)
        if following is None:  # forgotten since
            break
        head = following
        if successor == new_id:
            break
    return head


def expiry(ttl: float | None, now: datetime) -> datetime | None:
    """Return when something with a lifetime of `ttl` seconds expires; None without one."""
    if ttl is None:
        return None
    try:
        return now + timedelta(seconds=ttl)
    except OverflowError as error:
        raise InputError(f"ttl is {ttl:g} seconds, which ends after the year 9999; leave it out to keep it") from error
