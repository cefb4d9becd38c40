"""Keeping a note: nothing said is dropped, what was said before is not kept twice, what changed has a history."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, count
from typing import Any

from hybridstore.errors import InputError
from hybridstore.memory import note_ids
from hybridstore.memory.note_storage import NoteChange, Place, StoredNote, ended
from hybridstore.memory.notes import Note, seen_to
from hybridstore.memory.similarity import SimilarNote, similar
from hybridstore.memory.timestamps import Moment, Span, moment_of, span_of

ON_SIMILAR = ("keep", "link", "supersede", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What became of what was to be remembered.

    `status` is "added", "unchanged" (it was there already), "updated" (it was there; its metadata or lifetime is new
    now) or "superseded" (it is kept, and the notes in `supersedes` are history now). `ids` are those of all turns of a
    conversation, `added` how many of them are new; `id` is the note's, or the last turn's. `similar` are the notes that
    were found to be much like it, as (id, cosine); they are only looked for if `on_similar` is not "keep".
    """

    id: str
    status: str
    ids: tuple[str, ...] = ()
    added: int = 0
    supersedes: tuple[str, ...] = ()
    similar: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a caller says about a note, checked: see `Memory.remember`. Times None were not given."""

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

    @classmethod
    def of(
        cls,
        text: str,
        *,
        id: str | None,  # noqa: A002 - the word for it
        metadata: Mapping[str, Any] | None,
        occurred_at: Moment | None,
        valid_from: Moment | None,
        valid_to: Moment | None,
        session: str | None,
        ttl: Span | None,
        supersedes: str | Iterable[str],
    ) -> Said:
        """Check what a caller says; raises InputError."""
        if not text.strip():
            raise InputError("an empty text says nothing that could be remembered")
        if not isinstance(supersedes, Iterable):
            raise InputError(f"supersedes is a note's id, or several, not {supersedes!r}")
        return cls(
            text=text,
            id=None if id is None else note_ids.checked(id),
            metadata=None if metadata is None else seen_to(metadata),
            occurred_at=moment_of(occurred_at, "occurred_at"),
            valid_from=moment_of(valid_from, "valid_from"),
            valid_to=moment_of(valid_to, "valid_to"),
            session=None if session is None else note_ids.checked_session(session),
            ttl=None if ttl is None else span_of(ttl, "ttl"),
            supersedes=(supersedes,) if isinstance(supersedes, str) else tuple(supersedes),
        )


def remember(place: Place, said: Said, *, on_similar: str, similarity: float) -> Remembered:
    """Keep one note, or say that it is there already."""
    if on_similar not in ON_SIMILAR:
        raise InputError(f"on_similar is one of {', '.join(ON_SIMILAR)}, not {on_similar!r}")
    if isinstance(similarity, bool) or not isinstance(similarity, int | float) or not 0.0 < similarity <= 1.0:
        raise InputError(f"similarity is a cosine above 0 and at most 1, not {similarity!r}")
    alike: list[SimilarNote] = []
    if on_similar != "keep":
        barred = {_slot(place, said, place.now())[0], *said.supersedes}  # what is there already is not like itself
        alike = [each for each in similar(place, said.text, similarity) if each.id not in barred]
    if alike and on_similar == "error":
        near = ", ".join(f"{each.id!r} ({each.cosine:.2f})" for each in alike)
        raise InputError(
            f"there are notes much like it: {near}; pass on_similar='keep' to keep both, or supersedes= that id"
        )
    found = place.changed(lambda change: decided(place, change, said, alike, on_similar))
    return replace(found, similar=tuple((each.id, each.cosine) for each in alike))


def decided(
    place: Place, change: NoteChange, said: Said, alike: Sequence[SimilarNote] = (), on_similar: str = "keep"
) -> Remembered:
    """Fill a change with what keeping a note comes to, by what is stored; give what will have become of it."""
    now = place.now()
    here, there = _slot(place, said, now)
    again = there is not None and _is_kept(said, there.note, now)
    note = _renewed(there.note, said, now) if again and there is not None else _note(place, said, here, now)
    aside: tuple[str, ...] = ()
    left: list[str] = []  # older versions of one that has expired since
    if there is not None and not again and not there.note.expired(now):
        note = _bounded(note, there.note, said, now)
        aside = (_set_aside(place, change, there, note, now),)
    elif not again and said.id is not None:
        left = place.versions(here)[-1:]
    found = [near for each in alike if (near := place.read(each.id)) is not None]  # it may be forgotten since
    named = [id_ for id_ in said.supersedes if id_ != here or there is None]  # its own older version goes anyway
    named += [near.note.id for near in found if on_similar == "supersede"]
    if aside and note.superseded_by is None:
        named.append(here)  # what had taken its place is no longer so
    older = {head.note.id: head for each in named if (head := _head(place, each, here)).note.id != here}
    beside = found if on_similar == "link" else []
    linked = {near.note.id: near for near in beside if near.note.id not in {here, *older}}
    note = replace(
        note,
        supersedes=tuple(dict.fromkeys((*note.supersedes, *left, *aside, *older))),
        links=tuple(dict.fromkeys((*note.links, *linked))),
    )
    for before in older.values():
        change.replace(before, ended(before.note, note, now))
    for before in linked.values():
        change.replace(before, replace(before.note, links=tuple(dict.fromkeys((*before.note.links, here)))))
    same = there is not None and there.is_now(note)
    if there is None:
        change.add(note)
    elif not same:
        change.replace(there, note)
    replaced = (*aside, *older)
    if again and there is not None:
        status = "superseded" if replaced else "unchanged" if same else "updated"
    else:
        status = "superseded" if replaced else "added"
    return Remembered(id=here, status=status, ids=(here,), added=int(not again), supersedes=replaced)


def _is_kept(said: Said, note: Note, now: datetime) -> bool:
    """Say whether a note keeps what is said: the same text, that holds or is to hold; or did, if just that is said."""
    if note.text != said.text or note.expired(now):
        return False
    if note.valid_to is None or note.valid_to > now:
        return note.holds(now) or said.valid_from == note.valid_from
    told = note.superseded_by is None and said.valid_to == note.valid_to
    return told and said.valid_from in {None, note.valid_from}


def _bounded(note: Note, before: Note, said: Said, now: datetime) -> Note:
    """Give what is said in place of a note whose successor is still to come: that one comes all the same."""
    end = before.valid_to
    comes = before.superseded_by is not None and before.holds(now) and said.valid_to is None
    if not comes or end is None or note.valid_from is None or note.valid_from >= end:
        return note
    return replace(note, valid_to=end, superseded_by=before.superseded_by)


def _slot(place: Place, said: Said, now: datetime) -> tuple[str, StoredNote | None]:
    """Give the id a note is to have, and what stands there; for one without id, the first that is free or its own.

    Its id is made from what it says, and when and where: what is said again is found again, but what is said again
    after it had been superseded is news.
    """
    if said.id is not None:
        return said.id, place.read(said.id)
    made = made_id(said.text, said.session, said.occurred_at)
    slots = ((here, place.read(here)) for here in chain([made], (f"{made}-{number}" for number in count(2))))
    return next((here, there) for here, there in slots if there is None or _is_kept(said, there.note, now))


def made_id(text: str, session: str | None = None, occurred_at: datetime | None = None) -> str:
    """Give the id that is made for a note without one."""
    parts = (text, session or "", occurred_at.isoformat() if occurred_at else "")
    return hashlib.blake2b("\x00".join(parts).encode(errors="replace"), digest_size=8).hexdigest()


def _note(place: Place, said: Said, here: str, now: datetime) -> Note:
    since = said.valid_from or min(said.occurred_at or now, now)
    _see_that_it_ends_later(since, said.valid_to)
    return Note(
        id=here,
        text=said.text,
        namespace=place.namespace.parts,
        metadata=said.metadata or {},
        occurred_at=said.occurred_at,
        valid_from=since,
        valid_to=said.valid_to,
        expires_at=expiry(said.ttl, now),
        recorded_at=now,
        session=said.session,
        format=said.format,
    )


def _renewed(before: Note, said: Said, now: datetime) -> Note:
    """Take over what is new about a note that is there: metadata are added to, times and lifetime given anew."""
    since = said.valid_from or before.valid_from
    if said.valid_from is None and said.occurred_at is not None and before.recorded_at is not None:
        written = before.recorded_at
        if since == min(before.occurred_at or written, written):  # nobody said otherwise
            since = min(said.occurred_at, written)
    if since is not None and (said.valid_from or said.valid_to):
        _see_that_it_ends_later(since, said.valid_to or before.valid_to)
    return replace(
        before,
        metadata={**before.metadata, **(said.metadata or {})},
        occurred_at=said.occurred_at or before.occurred_at,
        valid_from=since,
        valid_to=said.valid_to or before.valid_to,
        session=said.session or before.session,
        expires_at=expiry(said.ttl, now) or before.expires_at,
    )


def _see_that_it_ends_later(since: datetime, until: datetime | None) -> None:
    if until is not None and until <= since:
        raise InputError(f"valid_to, {until.isoformat()}, is not after {since.isoformat()}, from when it holds")


def _set_aside(place: Place, change: NoteChange, there: StoredNote, note: Note, now: datetime) -> str:
    """Keep the older version of a note under an id of its own; give that."""
    before = place.versions(there.note.id)[-1:]
    number = max((note_ids.version_of(there.note.id, id_) or 0 for id_ in before), default=0) + 1
    aside = note_ids.version(there.note.id, number)
    change.add(replace(ended(there.note, note, now), id=aside))
    return aside


def _head(place: Place, note: str, here: str) -> StoredNote:
    """Give the note that stands at the end of a chain: two that supersede the same fact make one chain, not a fork.

    A chain that comes to `here` ends there: that one has taken the note's place already.
    """
    head, met = place.required(note), {note}
    while (after := head.note.superseded_by) is not None and after not in met:
        met.add(after)
        following = place.read(after)
        if following is None:  # forgotten since
            break
        head = following
        if after == here:
            break
    return head


def expiry(ttl: float | None, now: datetime) -> datetime | None:
    """Give when what lives so many seconds from now on vanishes."""
    if ttl is None:
        return None
    try:
        return now + timedelta(seconds=ttl)
    except OverflowError as error:
        raise InputError(f"ttl is {ttl:g} seconds, which ends after the year 9999; leave it out to keep it") from error
