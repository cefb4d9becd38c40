"""Notes from elsewhere, and a namespace as JSON Lines, exported and imported into any namespace of any store.

Notes are imported in batches, safely repeatable. One that was imported before and has been superseded here since stays
history: running an importer again does not bring back what was corrected. Only a text that changed at its source is
new, and becomes a new version.

The first line of an export is the header: the version of the format, the namespace, the number of notes. Every other
line is a note as returned by `Note.to_dict`, without its namespace. History and turns are included, in the order they
were first stored, but not what has expired. A name ending in .gz is compressed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from hybridstore.errors import InputError
from hybridstore.ingest import line_files
from hybridstore.ingest.line_files import File
from hybridstore.memory import note_ids
from hybridstore.memory.note_space import NoteChange, NoteSpace
from hybridstore.memory.notes import Note, check_metadata, document_of
from hybridstore.memory.remembering import ImportReport, NoteInput, plan_note
from hybridstore.store.inputs import checked, content_digest

T = TypeVar("T")

_BATCH, _CHARACTERS = 200, 1_000_000  # notes, and characters of them, that are written in one step

VERSION = 1
_NAME = "hybridstore-memory"


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


def export(space: NoteSpace, file: File) -> int:
    """Write all notes of one state of the namespace; return their number."""
    where = space.unexpired()
    with line_files.writing(file, _is_export, "export of a memory") as stream, space.store.snapshot():
        total = len(space.store.ids(where))
        stream.write(_line({_NAME: VERSION, "namespace": list(space.namespace.parts), "notes": total}))
        for note in space.notes(where):
            stream.write(_line({name: value for name, value in note.to_dict().items() if name != "namespace"}))
    return total


def import_(space: NoteSpace, file: File) -> ImportReport:
    """Add the notes of an export, in batches; return what happened to them."""
    with line_files.reading(file) as (name, numbered):
        expected = _read_header(next(numbered, (1, b""))[1], name)
        batches, read = Batches[Note](lambda notes: _add(space, notes)), 0
        try:
            for number, line in numbered:
                note = _read_note(space, line, name, number)
                batches.add(note.id, note.text, note)
                read += 1
        except line_files.Broken as error:
            raise InputError(
                f"{error}; the {read} notes before it are imported ({_summary(batches.flush())}): fix or remove the "
                "line and import again, which leaves them as they are"
            ) from error
        report = batches.flush()
    if read < expected:
        raise InputError(
            f"{name} ends after {read} of {expected} notes, which are imported ({_summary(report)}); import the whole "
            "file, or export it again"
        )
    return report


def _add(space: NoteSpace, notes: Sequence[Note]) -> ImportReport:
    """Add the notes whose ids are not there yet, all in one step."""

    def decide(change: NoteChange) -> ImportReport:
        stored = space.store.digests([note.uri for note in notes])
        conflicts = []
        for note in notes:
            if note.uri not in stored:
                change.add(note)
            elif stored[note.uri] != content_digest(checked(document_of(note)), whole=False):
                conflicts.append(note.id)
        added = len(change.written)
        return ImportReport(added=added, unchanged=len(notes) - added - len(conflicts), conflicts=tuple(conflicts))

    return space.change(decide)


def _summary(report: ImportReport) -> str:
    conflicts = f", {len(report.conflicts)} in conflict and left unchanged" if report.conflicts else ""
    return f"{report.added} new, {report.unchanged} there already{conflicts}"


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _is_export(path: Path) -> bool:
    with line_files.reading(path) as (name, numbered):
        try:
            _read_header(next(numbered, (1, b""))[1], name)
        except InputError:
            return False
    return True


def _read_header(line: bytes, name: str) -> int:
    """Return the number of notes by the header; raises InputError for a file that is not an export."""
    try:
        header = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _not_an_export(name) from error
    if isinstance(header, Mapping) and "hybridstore" in header:
        raise InputError(f"{name} is an export of a whole store; `hybridstore import {name}` reads it")
    version, notes = (header.get(_NAME), header.get("notes")) if isinstance(header, Mapping) else (None, None)
    if not isinstance(version, int) or not isinstance(notes, int):
        raise _not_an_export(name)
    if version > VERSION:
        raise InputError(
            f"{name} has version {version} of the format, and this hybridstore reads up to {VERSION}; upgrade it"
        )
    return notes


def _not_an_export(name: str) -> InputError:
    return InputError(f"{name} is not an export of a memory: its first line is not a header as Memory.export writes it")


def _read_note(space: NoteSpace, line: bytes, name: str, number: int) -> Note:
    try:
        note = Note.from_dict(json.loads(line), namespace=space.namespace.parts)
        expected = note_ids.turn_id(note.session or "", note.turn or 0) if note.kind == "turn" else note.id
        is_turn = bool(note_ids.neighbours(note.uri))
        if note.kind not in ("note", "turn") or expected != note.id or (note.kind == "turn") != is_turn:
            raise InputError(f"{note.id!r} is not a possible id of a {note.kind}")
        checked(document_of(note))  # so that what cannot be stored is reported with its line
    except (ValueError, RecursionError) as error:  # ours too: an InputError is a ValueError
        raise line_files.Broken(name, number, str(error)) from error
    return note
