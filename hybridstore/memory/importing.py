"""Importing notes: many in one transaction, safely repeatable, and a report of what happened to them.

A note that was imported before and has been superseded here since stays history: running an importer again does not
bring back what was corrected. Only a text that changed at its source is new, and becomes a new version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Generic, TypeVar

from hybridstore.errors import InputError
from hybridstore.memory import note_ids
from hybridstore.memory.note_space import NoteChange, NoteSpace
from hybridstore.memory.notes import Note, check_metadata, document_of
from hybridstore.memory.remembering import NoteInput, plan_note
from hybridstore.store.inputs import checked

T = TypeVar("T")

_BATCH, _CHARACTERS = 200, 1_000_000  # notes, and characters of them, that are written in one step


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


@dataclass(slots=True)
class Batches(Generic[T]):
    """Collects notes and writes them in batches of different ids, adding up the reports."""

    write: Callable[[list[T]], ImportReport]
    report: ImportReport = field(default_factory=ImportReport)
    _waiting: dict[str, T] = field(default_factory=dict)
    _size: int = 0

    def add(self, id_: str, text: str, note: T) -> None:
        """Add a note, writing the batch before it if that is full or has a note of the same id."""
        if id_ in self._waiting or len(self._waiting) >= _BATCH or self._size > _CHARACTERS:
            self.flush()
        self._waiting[id_] = note
        self._size += len(text)

    def flush(self) -> ImportReport:
        """Write what is waiting; return the report so far."""
        waiting, self._waiting, self._size = list(self._waiting.values()), {}, 0
        if waiting:
            self.report += self.write(waiting)
        return self.report


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedNote:
    """A note from elsewhere: its `content`, with an id, and the `name` of its source for people.

    `since` is when its text changed, if it replaces another. `same_source` tells whether a stored note with its id
    comes from the same source; one that does not is never changed.
    """

    content: NoteInput
    name: str
    since: datetime | None = None
    same_source: Callable[[Note], bool] = lambda _: True


def import_notes(space: NoteSpace, entries: Iterable[ImportedNote | tuple[str, str]]) -> ImportReport:
    """Store notes from elsewhere in batches; pairs (what, why) are reported as left out."""
    left_out: list[tuple[str, str]] = []
    batches = Batches[ImportedNote](lambda notes: space.change(lambda change: _import_batch(space, change, notes)))
    for entry in entries:
        if isinstance(entry, tuple):
            left_out.append(entry)
        elif (problem := _problem(space, entry.content)) is not None:
            left_out.append((entry.name, problem))
        else:
            batches.add(str(entry.content.id), entry.content.text, entry)
    return batches.flush() + ImportReport(left_out=tuple(left_out))


def _problem(space: NoteSpace, content: NoteInput) -> str | None:
    """Return why a note cannot be stored, None if it can."""
    if not content.text.strip():
        return "has no text"
    try:
        id_, metadata = note_ids.check_note_id(str(content.id)), check_metadata(content.metadata)
        checked(document_of(Note(id=id_, text=content.text, namespace=space.namespace.parts, metadata=metadata)))
    except InputError as error:
        return str(error)
    return None


def _import_batch(space: NoteSpace, change: NoteChange, notes: list[ImportedNote]) -> ImportReport:
    report = ImportReport()
    for note in notes:
        report += _import_one(space, change, note)
    return report


def _import_one(space: NoteSpace, change: NoteChange, note: ImportedNote) -> ImportReport:
    content, now = note.content, space.now()
    stored = space.read(str(content.id))
    if stored is not None:
        before = stored.note
        if not note.same_source(before):
            return ImportReport(conflicts=(before.id,))
        if before.text == content.text and not before.holds(now) and not before.expired(now):
            return ImportReport(unchanged=1)
        if before.text != content.text and note.since is not None:
            content = replace(content, valid_from=min(note.since, now))
    status = plan_note(space, change, content).status
    if status == "unchanged":
        return ImportReport(unchanged=1)
    return ImportReport(added=1) if stored is None else ImportReport(updated=1)
