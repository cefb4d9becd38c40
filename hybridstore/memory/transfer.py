"""Exporting and importing a namespace as JSON Lines, into the same or another namespace of any store.

The first line is the header: the format's version, the namespace, the number of notes. Every other line is a note as
returned by `Note.to_dict`, without its namespace. History and turns are included, in the order they were first stored,
but not what has expired. A name ending in .gz is compressed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hybridstore.errors import InputError
from hybridstore.ingest import line_files
from hybridstore.ingest.line_files import File
from hybridstore.memory import note_ids
from hybridstore.memory.importing import Batches, ImportReport
from hybridstore.memory.note_space import NoteChange, NoteSpace
from hybridstore.memory.notes import Note, document_of
from hybridstore.store.inputs import checked, content_digest

VERSION = 1

_NAME = "hybridstore-memory"


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


__all__ = ["VERSION", "export", "import_"]
