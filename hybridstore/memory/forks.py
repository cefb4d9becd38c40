"""Forks: notes that hold at once although they replaced the same note, in stores that were merged since.

Each store made a chain, and a merge keeps both: it cannot know which is true. Whoever does lets one note supersede the
others, or forgets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from hybridstore.errors import InputError
from hybridstore.memory.note_space import NoteSpace, fact
from hybridstore.memory.notes import Note, note_of
from hybridstore.memory.recall_result import Recalled
from hybridstore.memory.remembering import NoteInput, remember


def marked(space: NoteSpace, items: Sequence[Recalled], at: datetime) -> list[Recalled]:
    """Return recalled items with the notes that dispute them."""
    notes = {item.id: item.note for item in items}
    rivals = _related(space, list(notes.values()), at)
    return [
        replace(item, disputed_by=disputed) if (disputed := _disputing(item.note, rivals)) else item for item in items
    ]


def forks(space: NoteSpace) -> list[tuple[Note, ...]]:
    """Return the notes that hold and replaced the same note, or one of them the other, in groups."""
    now = space.now()
    groups: dict[str, list[Note]] = {}
    for note in space.notes():
        if note.kind == "note" and note.copy_of is None and note.holds(now):
            for name in (note.id, *note.supersedes):
                groups.setdefault(name, []).append(note)
    found = [tuple(notes) for notes in groups.values() if len(notes) > 1]
    return list({frozenset(note.id for note in notes): notes for notes in found}.values())


def choose(space: NoteSpace, id_: str) -> None:
    """Let one note of a fork supersede the others; raises InputError where it is in none."""
    text = space.required(id_).note.text
    rivals = dict.fromkeys(
        note.id for notes in forks(space) if any(each.id == id_ for each in notes) for note in notes if note.id != id_
    )
    if not rivals:
        raise InputError(f"no other note disputes {id_!r}; `hybridstore conflicts` shows which notes do")
    remember(space, NoteInput(text=text, id=id_, supersedes=list(rivals)), on_similar="keep", similarity=1.0)


def _related(space: NoteSpace, notes: Sequence[Note], at: datetime) -> list[Note]:
    """Return the notes that hold at a moment and replaced one of these, or what one of these replaced, or are copies.

    The filter is one look-up in the metadata: 5 ms for 5,000 notes.
    """
    names = {name for note in notes for name in (note.id, *note.supersedes)}
    uris = {note.uri for note in notes} | {note.copy_of for note in notes if note.copy_of}
    replaced = {space.namespace.document(name) for note in notes for name in note.supersedes}
    named = fact("supersedes").in_(sorted(names)) | fact("copy_of").in_(sorted(uris))
    store = space.store
    there = store.digests([*replaced, *uris])
    found = []
    for id_ in dict.fromkeys([*store.ids(named), *there]):
        if space.namespace.note(id_) is not None:
            document = store.get(id_)
            found.append(note_of(id_, document.text, document.metadata))
    return [note for note in found if note.kind == "note" and note.holds(at)]


def _disputing(note: Note, rivals: Sequence[Note]) -> tuple[str, ...]:
    return tuple(sorted(rival.id for rival in rivals if rival.id != note.id and _dispute(note, rival)))


def _dispute(note: Note, rival: Note) -> bool:
    """Return whether two notes that hold replaced the same note, or one of them the other, or are its versions."""
    copies = note.copy_of is not None and note.copy_of in {rival.uri, rival.copy_of}
    before, after = set(note.supersedes), set(rival.supersedes)
    return copies or rival.copy_of == note.uri or bool(before & after) or note.id in after or rival.id in before
