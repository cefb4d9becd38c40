"""Taking notes away: forgotten (gone from every answer), purged (no byte left in the file), expired (swept)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybridstore import filters
from hybridstore.backends.values import Purged
from hybridstore.errors import InputError
from hybridstore.filters import Filter
from hybridstore.memory import note_ids
from hybridstore.memory.history import by_age
from hybridstore.memory.note_storage import NoteChange, Place, StoredNote
from hybridstore.memory.notes import Note
from hybridstore.memory.visibility import Where, fact, owned, restricting, unexpired

Target = str | Iterable[str] | Where

_TOLD = 3  # notes that a refusal names


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetReport:
    """The notes that went, or with `dry_run` would go: with their older versions, oldest first kept."""

    notes: tuple[Note, ...]
    dry_run: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """Their ids."""
        return tuple(note.id for note in self.notes)


def meant(place: Place, target: Target, *, everything: bool) -> list[StoredNote]:
    """Give the notes that a target names, each with what it superseded; raises NotFound, InputError.

    A target is an id, several, or a filter. A filter that passes all there is, of more than one, needs `everything`.
    """
    if isinstance(target, Mapping | Filter) or (target is None and everything):
        return _passing(place, target, everything=everything)
    return _with_versions(place, ids_of(target, "forgotten"))


def ids_of(target: str | Iterable[str] | None, done: str) -> list[str]:
    """Give the ids that are meant; raises InputError for none, and for what are no ids."""
    if target is None or (isinstance(target, str) and not target.strip()):
        raise InputError(f"{target!r} names no note; give an id, several, or a filter: nothing was {done}")
    if not isinstance(target, Iterable):
        raise InputError(f"notes are named by an id, several, or a filter, not by {target!r}: nothing was {done}")
    if not (ids := [target] if isinstance(target, str) else list(target)):
        raise InputError(f"no id is given; nothing was {done}")
    return ids


def _passing(place: Place, target: Mapping[str, Any] | Filter | None, *, everything: bool) -> list[StoredNote]:
    mine = owned(place.namespace)
    wanted = filters.parse(target) if everything else restricting(target)
    ids = place.store.ids(mine if wanted is None else mine & wanted)
    found = _with_versions(place, [str(place.namespace.note(id_)) for id_ in ids])
    notes = [stored.note for stored in found]
    heads = [note for note in notes if note.superseded_by is None]
    if not everything and len(heads) > 1:
        now = place.now()
        there = place.store.ids(mine & unexpired(now.timestamp()))
        if len(there) <= sum(not note.expired(now) for note in notes):
            named = ", ".join(repr(note.id) for note in notes[:_TOLD])
            raise InputError(
                f"the filter takes every one of the {len(notes)} notes ({named}, …); say everything=True (--all) "
                "if that is meant: nothing was forgotten"
            )
    return found


def _with_versions(place: Place, ids: Sequence[str]) -> list[StoredNote]:
    """Give these notes and what each took the place of; what holds again since, or belongs to others, is not meant.

    A note that is gone may have left older versions: they are meant by its id.
    """
    found: dict[str, StoredNote] = {}
    front = [place.read(id_) or _left(place, id_) for id_ in ids]
    while front:
        here = front.pop()
        if here.note.id in found:
            continue
        found[here.note.id] = here
        mine = note_ids.base_id(here.note.id)
        older = [there for id_ in here.note.supersedes if id_ not in found and (there := place.read(id_)) is not None]
        front += [there for there in older if mine == note_ids.base_id(there.note.superseded_by or "")]
    return sorted(found.values(), key=lambda stored: by_age(stored.note))


def _left(place: Place, note: str) -> StoredNote:
    """Give the last of the older versions of a note that is not there; raises NotFound where there is none."""
    left = place.versions(note)
    if not left:
        raise place.unknown(note)
    return place.required(left[-1])


def forget(place: Place, target: Target, *, dry_run: bool, everything: bool) -> ForgetReport:
    """Remove notes from the store; with `dry_run` only tell which. What is changed meanwhile is looked at again."""
    if isinstance(target, Iterable) and not isinstance(target, str | Mapping):
        target = list(target)  # an iterator gives its ids once, and they may be read again

    def decide(change: NoteChange) -> ForgetReport:
        there = meant(place, target, everything=everything)
        for stored in () if dry_run else there:
            change.remove(stored)
        return ForgetReport(notes=tuple(stored.note for stored in there), dry_run=dry_run)

    return place.changed(decide)


def purge(place: Place, target: Target, *, verify: bool, everything: bool) -> Purged:
    """Erase notes, those with these ids that were forgotten before included, so that no byte of them is left."""
    if isinstance(target, Mapping | Filter) or (target is None and everything):
        documents = [stored.note.uri for stored in _passing(place, target, everything=everything)]
    else:
        ids = ids_of(target, "purged")
        there = [id_ for id_ in ids if place.read(id_) is not None or place.versions(id_)]
        known = [stored.note.uri for stored in _with_versions(place, there)]
        documents = list(dict.fromkeys([*known, *(place.namespace.document(id_) for id_ in ids)]))
    return place.store.purge(documents, verify=verify)


def sweep(place: Place) -> int:
    """Remove what has expired in this namespace; give how many notes that were. They were invisible already."""
    return place.store.remove_where(owned(place.namespace) & (fact("expires") <= place.clock()))
