"""The versions of a fact: the notes that a note superseded, and those that superseded it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hybridstore.memory import note_ids
from hybridstore.memory.note_space import NoteSpace, StoredNote
from hybridstore.memory.notes import Note


def history(space: NoteSpace, note: str) -> list[Note]:
    """Return a note with all that it superseded and that superseded it, oldest first; raises NotFound."""
    now = space.now()
    with space.store.snapshot():
        versions = {note: space.required(note).note}
        if versions[note].expired(now):
            raise space.not_found(note)
        pending = [note]
        while pending:
            current = versions[pending.pop()]
            for id_ in (*current.supersedes, *([current.superseded_by] if current.superseded_by else [])):
                stored = None if id_ in versions else space.read(id_)
                if stored is not None and not stored.note.expired(now):  # it may have been forgotten
                    versions[id_] = stored.note
                    pending.append(id_)
    return _in_order(sorted(versions.values(), key=_age))


def with_versions(space: NoteSpace, ids: Sequence[str]) -> list[StoredNote]:
    """Return these notes and what each of them replaced, except what is valid again or belongs to other notes.

    Of a note that is gone, its id stands for the older versions it left; raises NotFound if there are none.
    """
    versions: dict[str, StoredNote] = {}
    pending = [space.read(id_) or _last_version(space, id_) for id_ in ids]
    while pending:
        current = pending.pop()
        if current.note.id in versions:
            continue
        versions[current.note.id] = current
        own = note_ids.base_id(current.note.id)
        older = [stored for id_ in current.note.supersedes if id_ not in versions and (stored := space.read(id_))]
        pending += [stored for stored in older if own == note_ids.base_id(stored.note.superseded_by or "")]
    return sorted(versions.values(), key=lambda stored: _age(stored.note))


def _last_version(space: NoteSpace, note: str) -> StoredNote:
    versions = space.versions(note)
    if not versions:
        raise space.not_found(note)
    return space.required(versions[-1])


def _in_order(notes: list[Note]) -> list[Note]:
    """Sort notes, which come by age, after those they superseded, even if written in the same moment."""
    ordered: dict[str, Note] = {}
    rest = {note.id: note for note in notes}
    while rest:
        ready = (note for note in rest.values() if not _must_wait(note, rest))
        note = next(ready, None) or next(iter(rest.values()))  # in a damaged file they may form a circle
        ordered[note.id] = rest.pop(note.id)
    return list(ordered.values())


def _must_wait(note: Note, rest: Mapping[str, Note]) -> bool:
    """Return whether any note is left that this one replaced, other than one that was remembered anew since."""
    older = [rest[id_] for id_ in note.supersedes if id_ in rest]
    own = note_ids.base_id(note.id)
    return any(note_ids.base_id(before.superseded_by or "") == own for before in older)


def _age(note: Note) -> tuple[float, float, str]:
    return (
        note.recorded_at.timestamp() if note.recorded_at else 0.0,
        note.valid_from.timestamp() if note.valid_from else 0.0,
        note.id,
    )
