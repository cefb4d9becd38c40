"""The notes of one namespace in a store: which of them are visible, and how they are read and changed.

A change is decided on what is stored, and written only if that is still stored; else it is decided again. So two agents
that supersede one fact make a chain of both, whichever comes first, and no lock is held while a model runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from datetime import datetime
from typing import TypeVar

from hybridstore import filters
from hybridstore.errors import InputError, NotFound
from hybridstore.filters import And, Filter, field
from hybridstore.memory import note_ids
from hybridstore.memory.note_ids import Namespace
from hybridstore.memory.notes import OURS, Note, document_of, moment, note_of
from hybridstore.store import Store, Writer
from hybridstore.store.inputs import Where, checked, content_digest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredNote:
    """A note with the digest of its stored document, by which a change makes sure that it is still the same."""

    note: Note
    digest: bytes

    def is_now(self, note: Note) -> bool:
        """Return whether a note equals what is stored; metadata may have tuples, which are stored as lists."""
        return note == self.note or content_digest(checked(document_of(note)), whole=False) == self.digest


@dataclass(slots=True)
class NoteChange:
    """Notes to write and to remove in one step, all or nothing."""

    written: list[tuple[Note, bytes | None]] = dataclass_field(default_factory=list)
    removed: list[StoredNote] = dataclass_field(default_factory=list)

    def add(self, note: Note) -> None:
        """Write a note where there is none."""
        self.written.append((note, None))

    def replace(self, before: StoredNote, note: Note) -> None:
        """Write a note in place of a stored one."""
        self.written.append((note, before.digest))

    def remove(self, before: StoredNote) -> None:
        """Remove a stored note."""
        self.removed.append(before)


@dataclass(frozen=True, slots=True)
class NoteSpace:
    """The notes of one namespace in a store. `clock` returns the time in seconds since 1970."""

    store: Store
    namespace: Namespace
    clock: Callable[[], float] = time.time

    def now(self) -> datetime:
        """Return the time."""
        return moment(self.clock())

    def read(self, note: str) -> StoredNote | None:
        """Return a note by its id; None if there is none."""
        if not isinstance(note, str) or not note:
            raise InputError(f"a note's id must be a non-empty text, not {note!r}")
        document_id, store = self.namespace.document(note), self.store
        with store.snapshot():
            digest = store.digests([document_id]).get(document_id)
            if digest is None:
                return None
            document = store.get(document_id)
        return StoredNote(note_of(document_id, document.text, document.metadata), digest)

    def required(self, note: str) -> StoredNote:
        """Return a note by its id; raises NotFound."""
        stored = self.read(note)
        if stored is None:
            raise self.not_found(note)
        return stored

    def not_found(self, note: str) -> NotFound:
        """Return the error for an unknown id."""
        return NotFound(note, f"{self.namespace.text} has no note with the id {note!r}; recall it to see its id")

    def versions(self, note: str) -> list[str]:
        """Return the ids of a note's older versions under the same id, oldest first."""
        documents = self.store.ids(field("@id").prefix(self.namespace.document(f"{note}~")))
        ids = [str(self.namespace.note(document)) for document in documents]
        numbered = [(number, id_) for id_ in ids if (number := note_ids.version_number(note, id_)) is not None]
        return [id_ for _, id_ in sorted(numbered)]

    def notes(self, where: Filter | None = None) -> Iterator[Note]:
        """Yield the notes that pass a filter, by default all of the namespace, in the order they were first stored."""
        for document in self.store.documents(self.owned() if where is None else where):
            yield note_of(str(document.id), document.text, document.metadata)

    def owned(self) -> Filter:
        """Return the filter for all notes of the namespace, valid or not.

        The id decides, which nothing but remembering makes: an imported table may have a column "memory".
        """
        return (fact("in") == self.namespace.text) & field("@id").prefix(self.namespace.document(""))

    def unexpired(self) -> Filter:
        """Return the filter for all notes of the namespace that have not expired."""
        return self.owned() & (~fact("expires").exists() | (fact("expires") > self.clock()))

    def visible(self, *, as_of: datetime | None = None, session: str | None = None, where: Where = None) -> Filter:
        """Return the filter for the notes valid now, or `as_of` a moment, of a session if given, that pass `where`."""
        at = self.clock() if as_of is None else as_of.timestamp()
        valid = (fact("since") <= at) & (~fact("until").exists() | (fact("until") > at))
        parts = [self.unexpired(), valid]
        if session is not None:
            parts.append(fact("session") == note_ids.check_session(session))
        own = filters.parse(where)
        return And((*parts, *(() if own is None else (own,))))

    def change(self, decide: Callable[[NoteChange], T]) -> T:
        """Let `decide` read and fill a change, and write it; repeated if others have written meanwhile.

        Returns what `decide` returned; raises StoreBusy if others always come first.
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


def ended(note: Note, successor: Note, now: datetime) -> Note:
    """Return a note as it is after its successor replaced it.

    It was valid until the successor became valid; if the successor was valid before it, until now. An earlier end
    stays.
    """
    until, since = successor.valid_from, note.valid_from
    if until is None or (since is not None and until <= since):
        until = now
    if note.valid_to is not None:
        until = min(until, note.valid_to)
    return replace(note, valid_to=until, superseded_by=successor.id)


def fact(name: str) -> filters.Field:
    """Return the field of a note's own fact, to compare."""
    return field(f"$.{OURS}.{name}")
