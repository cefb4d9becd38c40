"""What became of a fact: the notes it superseded, and those that superseded it."""

from __future__ import annotations

from hybridstore.memory.notes import Note
from hybridstore.memory.place import Place


def history(place: Place, note: str) -> list[Note]:
    """Give a note with all that it superseded and that superseded it, oldest first; raises NotFound."""
    with place.store.backend.snapshot():
        found = {note: place.required(note).note}
        front = [note]
        while front:
            here = found[front.pop()]
            for near in (*here.supersedes, *([here.superseded_by] if here.superseded_by else [])):
                if near not in found and (there := place.read(near)) is not None:  # it may have been forgotten
                    found[near] = there.note
                    front.append(near)
    return sorted(found.values(), key=by_age)


def by_age(note: Note) -> tuple[float, float, str]:
    """Give what notes are sorted by: when they were written down, from when they hold, their ids."""
    return (
        note.recorded_at.timestamp() if note.recorded_at else 0.0,
        note.valid_from.timestamp() if note.valid_from else 0.0,
        note.id,
    )
