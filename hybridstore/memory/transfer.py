"""Carries a namespace's notes as lines of JSON: out of one store, and into the same or another namespace of any.

The first line is the header: the format's version, the namespace, the number of notes. Every other line is a note as
`Note.to_dict` gives it, without its namespace. All of them are there, history and turns too, in the order they were
first kept; what has expired is not. Names that end in .gz are compressed.
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
from hybridstore.memory.note_storage import NoteChange, Place
from hybridstore.memory.notes import Note, document_of, note_of
from hybridstore.memory.transfer_report import Carried
from hybridstore.memory.visibility import owned, unexpired
from hybridstore.store.document_checks import checked, content_digest

VERSION = 1

_NAME = "hybridstore-memory"
_AT_ONCE, _CHARACTERS = 200, 1_000_000  # notes, and characters of them, that are written in one step


def export(place: Place, file: File) -> int:
    """Write all notes of one state of the namespace; give how many there were."""
    backend = place.store.backend
    wanted = owned(place.namespace) & unexpired(place.clock())
    with line_files.writing(file, _is_export, "export of a memory") as stream, backend.snapshot():
        total = len(backend.ids(wanted))
        stream.write(_line({_NAME: VERSION, "namespace": list(place.namespace.parts), "notes": total}))
        for document in place.store.documents(wanted):
            facts = note_of(str(document.id), document.text, document.metadata).to_dict()
            stream.write(_line({name: value for name, value in facts.items() if name != "namespace"}))
    return total


def import_(place: Place, file: File) -> Carried:
    """Take over an export's notes, a few at a time, and say what became of them."""
    with line_files.reading(file) as (name, numbered):
        expected = _read_header(next(numbered, (1, b""))[1], name)
        carried, waiting, read = Carried(), dict[str, Note](), 0
        try:
            for number, line in numbered:
                note = _read_note(place, line, name, number)
                size = sum(len(each.text) for each in waiting.values())
                if note.id in waiting or len(waiting) >= _AT_ONCE or size > _CHARACTERS:
                    carried, waiting = carried + _taken_over(place, list(waiting.values())), {}
                waiting[note.id] = note
                read += 1
        except line_files.Broken as error:
            carried += _taken_over(place, list(waiting.values()))
            raise InputError(
                f"{error}; the {read} notes before it are taken over ({_told(carried)}): mend or drop the line and "
                "import again, which leaves them as they are"
            ) from error
        carried += _taken_over(place, list(waiting.values()))
    if read < expected:
        raise InputError(
            f"{name} ends after {read} of {expected} notes, which are taken over ({_told(carried)}); import the whole "
            "file, or export it again"
        )
    return carried


def _taken_over(place: Place, notes: Sequence[Note]) -> Carried:
    """Keep notes where there is none of their id, all in one step."""

    def decide(change: NoteChange) -> Carried:
        there = place.store.backend.digests([note.uri for note in notes])
        conflicts = []
        for note in notes:
            if note.uri not in there:
                change.add(note)
            elif there[note.uri] != content_digest(checked(document_of(note)), whole=False):
                conflicts.append(note.id)
        added = len(change.written)
        return Carried(added=added, unchanged=len(notes) - added - len(conflicts), conflicts=tuple(conflicts))

    return place.changed(decide) if notes else Carried()


def _told(carried: Carried) -> str:
    conflicts = f", {len(carried.conflicts)} in conflict and left as they were" if carried.conflicts else ""
    return f"{carried.added} new, {carried.unchanged} there already{conflicts}"


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
    """Give how many notes a file says it holds; raises InputError for one that is no export."""
    try:
        header = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _no_export(name) from error
    if isinstance(header, Mapping) and "hybridstore" in header:
        raise InputError(f"{name} is an export of a whole store; `hybridstore import {name}` reads it")
    version, notes = (header.get(_NAME), header.get("notes")) if isinstance(header, Mapping) else (None, None)
    if not isinstance(version, int) or not isinstance(notes, int):
        raise _no_export(name)
    if version > VERSION:
        raise InputError(
            f"{name} is written in version {version} of the format, and this hybridstore reads {VERSION}; upgrade it"
        )
    return notes


def _no_export(name: str) -> InputError:
    return InputError(f"{name} is no export of a memory: its first line is no header; Memory.export writes one")


def _read_note(place: Place, line: bytes, name: str, number: int) -> Note:
    try:
        note = Note.from_dict(json.loads(line), namespace=place.namespace.parts)
        named = note_ids.turn(note.session or "", note.turn or 0) if note.kind == "turn" else note.id
        is_turn = bool(note_ids.around(note.uri))  # those of conversations stand among others
        if note.kind not in ("note", "turn") or named != note.id or (note.kind == "turn") != is_turn:
            raise InputError(f"{note.id!r} is not what a {note.kind} is called")
        checked(document_of(note))  # so that what cannot be stored is told with its line
    except (ValueError, RecursionError) as error:  # ours too: an InputError is a ValueError
        raise line_files.Broken(name, number, str(error)) from error
    return note


__all__ = ["VERSION", "export", "import_"]
