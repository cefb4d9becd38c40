"""What became of a fact: the notes it superseded, and those that superseded it."""

from __future__ import annotations

from collections.abc import Mapping

from hybridstore.memory import note_ids
from hybridstore.memory.note_storage import Place
from hybridstore.memory.notes import Note


def history(place: Place, note: str) -> list[Note]:
    """Give a note with all that it superseded and that superseded it, oldest first; raises NotFound."""
    now = place.now()
    with place.store.snapshot():
        found = {note: place.required(note).note}
        if found[note].expired(now):
            raise place.unknown(note)
        front = [note]
        while front:
            here = found[front.pop()]
            for near in (*here.supersedes, *([here.superseded_by] if here.superseded_by else [])):
                there = None if near in found else place.read(near)
                if there is not None and not there.note.expired(now):  # it may have been forgotten
                    found[near] = there.note
                    front.append(near)
    return _in_order(sorted(found.values(), key=by_age))


def _in_order(notes: list[Note]) -> list[Note]:
    """Put notes, given by age, after those they superseded, which may have been written down in the same moment."""
    ordered: dict[str, Note] = {}
    left = {note.id: note for note in notes}
    while left:
        ready = (note for note in left.values() if not _waits(note, left))
        note = next(ready, None) or next(iter(left.values()))  # in a damaged file they may go round
        ordered[note.id] = left.pop(note.id)
    return list(ordered.values())


def _waits(note: Note, left: Mapping[str, Note]) -> bool:
    """Say whether any is left whose place a note took; one that was remembered anew since is none."""
    older = [left[id_] for id_ in note.supersedes if id_ in left]
    return any(note_ids.base_id(each.superseded_by or "") == note_ids.base_id(note.id) for each in older)


def by_age(note: Note) -> tuple[float, float, str]:
    """Give what notes are sorted by: when they were written down, from when they hold, their ids."""
    return (
        note.recorded_at.timestamp() if note.recorded_at else 0.0,
        note.valid_from.timestamp() if note.valid_from else 0.0,
        note.id,
    )
