"""Where one namespace's notes are: the store, whose they are, the clock; and how they are read and changed there.

A change is decided on what is stored, and written only if that is still stored: else it is decided anew. So two agents
that supersede one fact make a chain of both, whichever comes first, and no lock is held while a model runs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from hybridstore.backends.values import Conflict
from hybridstore.errors import FileBusy, InputError, NotFound
from hybridstore.memory.naming import Namespace
from hybridstore.memory.notes import Note, document_of, note_of
from hybridstore.memory.scope import owned
from hybridstore.memory.times import moment
from hybridstore.store import Store

T = TypeVar("T")

_TRIES = 200  # of a change that others overtake: each time somebody else got on


@dataclass(frozen=True, slots=True)
class Stored:
    """A note with the digest of what is stored, which a change of it must find there again."""

    note: Note
    digest: bytes


@dataclass(slots=True)
class Change:
    """Notes to write: new ones, and others in place of what was read. All of them are written, or none."""

    written: list[tuple[Note, bytes | None]] = field(default_factory=list)

    def add(self, note: Note) -> None:
        """Write a note where there is none."""
        self.written.append((note, None))

    def replace(self, before: Stored, note: Note) -> None:
        """Write a note in place of what was read."""
        self.written.append((note, before.digest))


@dataclass(frozen=True, slots=True)
class Place:
    """One namespace of a store. `clock` gives the time in seconds since 1970."""

    store: Store
    namespace: Namespace
    clock: Callable[[], float] = time.time

    def now(self) -> datetime:
        """Give the time."""
        return moment(self.clock())

    def read(self, note: str) -> Stored | None:
        """Give a note of this namespace by its id; None where there is none."""
        if not isinstance(note, str) or not note:
            raise InputError(f"a note's id is a text that is not empty, not {note!r}")
        document_id, backend = self.namespace.document(note), self.store.backend
        with backend.snapshot():
            digest = backend.digests([document_id]).get(document_id)
            if digest is None:
                return None
            document = backend.get(document_id).document
        return Stored(note_of(document_id, document.text, document.metadata), digest)

    def required(self, note: str) -> Stored:
        """Give a note by its id; raises NotFound."""
        found = self.read(note)
        if found is None:
            raise self.unknown(note)
        return found

    def unknown(self, note: str) -> NotFound:
        """Give the error that there is no such note."""
        return NotFound(note, f"{self.namespace.text} has no note with the id {note!r}; recall it to see its id")

    def all(self) -> Iterator[Note]:
        """Give every note of the namespace, those that hold no longer included, in the order they were first kept."""
        for document in self.store.documents(owned(self.namespace)):
            yield note_of(str(document.id), document.text, document.metadata)

    def counts(self) -> dict[str, int]:
        """Count the notes and turns that hold now, the sessions they are of, and what does not hold: its history."""
        now, notes = self.now(), list(self.all())
        held = [note for note in notes if note.holds(now)]
        return {
            "notes": sum(note.kind == "note" for note in held),
            "turns": sum(note.kind == "turn" for note in held),
            "sessions": len({note.session for note in held if note.session is not None}),
            "history": len(notes) - len(held),
        }

    def changed(self, decide: Callable[[Change], T]) -> T:
        """Let `decide` fill a change by what it reads, and write it; decided anew where others were first.

        Gives what `decide` gave; raises FileBusy if others are always first.
        """
        for attempt in range(_TRIES):
            change = Change()
            with self.store.backend.snapshot():
                result = decide(change)
            try:
                with self.store.writer(together=True) as writer:
                    for note, digest in change.written:
                        writer.add(document_of(note), replaces=digest)
            except Conflict:
                time.sleep(random.uniform(0, 0.002 * min(attempt + 1, 20)))  # noqa: S311 - jitter, no secret
            else:
                return result
        raise FileBusy(self.store.backend.path, 0.0)


def ended(note: Note, by: Note) -> Note:
    """Give a note as it is once another has taken its place.

    It held until the other began to; where the other began before it, until the other was written down.
    """
    until, since = by.valid_from, note.valid_from
    if until is None or (since is not None and until <= since):
        until = by.recorded_at
    return replace(note, valid_to=until, superseded_by=by.id)
