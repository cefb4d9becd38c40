"""Keeping what an importer found: many notes in one step, and again without harm.

A note that has been brought before and was superseded here since stays history: running an importer again does not
bring back what was corrected. Only a text that changed at its source is news, and becomes a new version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from hybridstore.errors import InputError
from hybridstore.memory import note_ids
from hybridstore.memory.memory import Memory
from hybridstore.memory.note_storage import NoteChange, Place
from hybridstore.memory.notes import Note, document_of, seen_to
from hybridstore.memory.remembering import Said, decided
from hybridstore.memory.transfer_report import Carried
from hybridstore.store.document_checks import checked

_AT_ONCE, _CHARACTERS = 200, 1_000_000  # notes, and characters of them, that are written in one step


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedNote:
    """A note as it was found: what is `said`, with its id, and what its source is called for people.

    `since` is when its text came to be as it is, where it took the place of another. `is_from_here` says of the note
    that has its id whether it comes from the same place; one that does not is never touched.
    """

    said: Said
    name: str
    since: datetime | None = None
    is_from_here: Callable[[Note], bool] = lambda _: True


def bring(memory: Memory, found: Iterable[ImportedNote | tuple[str, str]]) -> Carried:
    """Keep what was found, a few hundred notes in one step; what is a pair (what, why) is left out and told."""
    place = memory._place  # noqa: SLF001 - of the same house
    carried, waiting, size = Carried(), dict[str, ImportedNote](), 0
    for each in found:
        reason = None if isinstance(each, tuple) else _unfit(place, each.said)
        if isinstance(each, tuple):
            carried += Carried(left_out=(each,))
        elif reason is not None:
            carried += Carried(left_out=((each.name, reason),))
        else:
            if str(each.said.id) in waiting or len(waiting) >= _AT_ONCE or size > _CHARACTERS:
                carried, waiting, size = carried + _kept(place, list(waiting.values())), {}, 0
            waiting[str(each.said.id)] = each
            size += len(each.said.text)
    return carried + _kept(place, list(waiting.values()))


def _unfit(place: Place, said: Said) -> str | None:
    """Say why a note cannot be kept, None if it can."""
    if not said.text.strip():
        return "holds no text"
    try:
        id_, metadata = note_ids.checked(str(said.id)), seen_to(said.metadata)
        checked(document_of(Note(id=id_, text=said.text, namespace=place.namespace.parts, metadata=metadata)))
    except InputError as error:
        return str(error)
    return None


def _kept(place: Place, batch: list[ImportedNote]) -> Carried:
    def decide(change: NoteChange) -> Carried:
        carried = Carried()
        for found in batch:
            carried += _one(place, change, found)
        return carried

    return place.changed(decide) if batch else Carried()


def _one(place: Place, change: NoteChange, found: ImportedNote) -> Carried:
    said, now = found.said, place.now()
    there = place.read(str(said.id))
    if there is not None:
        before = there.note
        if not found.is_from_here(before):
            return Carried(conflicts=(before.id,))
        expired = before.expires_at is not None and before.expires_at <= now
        if before.text == said.text and not before.holds(now) and not expired:
            return Carried(unchanged=1)
        if before.text != said.text and found.since is not None:
            said = replace(said, valid_from=min(found.since, now))
    status = decided(place, change, said).status
    changed = there is not None and status in ("superseded", "updated", "added")
    return Carried(
        added=int(status != "unchanged" and not changed), updated=int(changed), unchanged=int(status == "unchanged")
    )
