"""Where one namespace's notes are: the store, whose they are, the clock; and how they are read and changed there.

A change is decided on what is stored, and written only if that is still stored: else it is decided anew. So two agents
that supersede one fact make a chain of both, whichever comes first, and no lock is held while a model runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from datetime import datetime
from typing import TypeVar

from hybridstore.errors import InputError, NotFound
from hybridstore.filters import field
from hybridstore.memory import note_ids
from hybridstore.memory.note_ids import Namespace
from hybridstore.memory.notes import Note, document_of, note_of
from hybridstore.memory.timestamps import moment
from hybridstore.memory.visibility import owned
from hybridstore.store import Store, Writer
from hybridstore.store.document_checks import checked, content_digest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredNote:
    """A note with the digest of what is stored, which a change of it must find there again."""

    note: Note
    digest: bytes

    def is_now(self, note: Note) -> bool:
        """Say whether a note is what is stored: metadata may be given as tuples, which are stored as lists."""
        return note == self.note or content_digest(checked(document_of(note)), whole=False) == self.digest


@dataclass(slots=True)
class NoteChange:
    """Notes to write: new ones, others in place of what was read; and what is to go. All of it is done, or nothing."""

    written: list[tuple[Note, bytes | None]] = dataclass_field(default_factory=list)
    removed: list[StoredNote] = dataclass_field(default_factory=list)

    def add(self, note: Note) -> None:
        """Write a note where there is none."""
        self.written.append((note, None))

    def replace(self, before: StoredNote, note: Note) -> None:
        """Write a note in place of what was read."""
        self.written.append((note, before.digest))

    def remove(self, before: StoredNote) -> None:
        """Remove what was read."""
        self.removed.append(before)


@dataclass(frozen=True, slots=True)
class Place:
    """One namespace of a store. `clock` gives the time in seconds since 1970."""

    store: Store
    namespace: Namespace
    clock: Callable[[], float] = time.time

    def now(self) -> datetime:
        """Give the time."""
        return moment(self.clock())

    def read(self, note: str) -> StoredNote | None:
        """Give a note of this namespace by its id; None where there is none."""
        if not isinstance(note, str) or not note:
            raise InputError(f"a note's id is a text that is not empty, not {note!r}")
        document_id, store = self.namespace.document(note), self.store
        with store.snapshot():
            digest = store.digests([document_id]).get(document_id)
            if digest is None:
                return None
            document = store.get(document_id)
        return StoredNote(note_of(document_id, document.text, document.metadata), digest)

    def required(self, note: str) -> StoredNote:
        """Give a note by its id; raises NotFound."""
        found = self.read(note)
        if found is None:
            raise self.unknown(note)
        return found

    def unknown(self, note: str) -> NotFound:
        """Give the error that there is no such note."""
        return NotFound(note, f"{self.namespace.text} has no note with the id {note!r}; recall it to see its id")

    def versions(self, note: str) -> list[str]:
        """Give the ids of the older versions of a note that was remembered again under its id, oldest first."""
        found = self.store.ids(field("@id").prefix(self.namespace.document(f"{note}~")))
        names = [str(self.namespace.note(id_)) for id_ in found]
        numbered = [(number, name) for name in names if (number := note_ids.version_number(note, name)) is not None]
        return [name for _, name in sorted(numbered)]

    def all(self) -> Iterator[Note]:
        """Give every note of the namespace, those that hold no longer included, in the order they were first kept."""
        for document in self.store.documents(owned(self.namespace)):
            yield note_of(str(document.id), document.text, document.metadata)

    def changed(self, decide: Callable[[NoteChange], T]) -> T:
        """Let `decide` fill a change by what it reads, and write it; decided anew where others were first.

        Gives what `decide` gave; raises FileBusy if others are always first.
        """

        def write(writer: Writer) -> T:
            change = NoteChange()
            result = decide(change)
            for note, digest in change.written:
                writer.add(document_of(note), replaces=digest)
            for before in change.removed:
                writer.remove(before.note.uri, stored=before.digest)
            return result

        return self.store.update(write)


def ended(note: Note, by: Note, now: datetime) -> Note:
    """Give a note as it is once another has taken its place.

    It held until the other began to; where the other began before it, until now. What had ended before stays so.
    """
    until, since = by.valid_from, note.valid_from
    if until is None or (since is not None and until <= since):
        until = now
    if note.valid_to is not None:
        until = min(until, note.valid_to)
    return replace(note, valid_to=until, superseded_by=by.id)
