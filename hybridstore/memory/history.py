"""The history of notes: all versions of a fact, and their removal.

A note is forgotten (no longer found), purged (no byte is left in the file), or swept (because it expired), together
with the versions it replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybridstore import filters
from hybridstore.backends.values import PurgeReport
from hybridstore.errors import InputError
from hybridstore.filters import Filter
from hybridstore.memory import note_ids
from hybridstore.memory.note_space import NoteChange, NoteSpace, StoredNote, fact
from hybridstore.memory.notes import Note
from hybridstore.store.inputs import Where

Target = str | Iterable[str] | Where
_NAMED = 3  # notes that an error names


def history(space: NoteSpace, note: str) -> list[Note]:
    """Return a note with all that it superseded and that superseded it, oldest first; raises NotFound."""
    now = space.now()
    with space.store.snapshot():
        versions = {note: space.required(note).note}
        if versions[note].expired(now):
            raise space.not_found(note)
        pending = [note]
        while pending:
            current = versions[pending.pop()]
            for id_ in (*current.supersedes, *([current.superseded_by] if current.superseded_by else [])):
                stored = None if id_ in versions else space.read(id_)
                if stored is not None and not stored.note.expired(now):  # it may have been forgotten
                    versions[id_] = stored.note
                    pending.append(id_)
    return _in_order(sorted(versions.values(), key=_age))


def with_versions(space: NoteSpace, ids: Sequence[str]) -> list[StoredNote]:
    """Return these notes and what each of them replaced, except what is valid again or belongs to other notes.

    Of a note that is gone, its id stands for the older versions it left; raises NotFound if there are none.
    """
    versions: dict[str, StoredNote] = {}
    pending = [space.read(id_) or _last_version(space, id_) for id_ in ids]
    while pending:
        current = pending.pop()
        if current.note.id in versions:
            continue
        versions[current.note.id] = current
        own = note_ids.base_id(current.note.id)
        older = [stored for id_ in current.note.supersedes if id_ not in versions and (stored := space.read(id_))]
        pending += [stored for stored in older if own == note_ids.base_id(stored.note.superseded_by or "")]
    return sorted(versions.values(), key=lambda stored: _age(stored.note))


def _last_version(space: NoteSpace, note: str) -> StoredNote:
    versions = space.versions(note)
    if not versions:
        raise space.not_found(note)
    return space.required(versions[-1])


def _in_order(notes: list[Note]) -> list[Note]:
    """Sort notes, which come by age, after those they superseded, even if written in the same moment."""
    ordered: dict[str, Note] = {}
    rest = {note.id: note for note in notes}
    while rest:
        ready = (note for note in rest.values() if not _must_wait(note, rest))
        note = next(ready, None) or next(iter(rest.values()))  # in a damaged file they may form a circle
        ordered[note.id] = rest.pop(note.id)
    return list(ordered.values())


def _must_wait(note: Note, rest: Mapping[str, Note]) -> bool:
    """Return whether any note is left that this one replaced, other than one that was remembered anew since."""
    older = [rest[id_] for id_ in note.supersedes if id_ in rest]
    own = note_ids.base_id(note.id)
    return any(note_ids.base_id(before.superseded_by or "") == own for before in older)


def _age(note: Note) -> tuple[float, float, str]:
    return (
        note.recorded_at.timestamp() if note.recorded_at else 0.0,
        note.valid_from.timestamp() if note.valid_from else 0.0,
        note.id,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetReport:
    """The notes that were removed, or with `dry_run` would be: with their older versions, oldest first."""

    notes: tuple[Note, ...]
    dry_run: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """Their ids."""
        return tuple(note.id for note in self.notes)


def targeted(space: NoteSpace, target: Target, *, everything: bool) -> list[StoredNote]:
    """Return the notes that a target names, each with what it superseded; raises NotFound, InputError.

    A target is an id, several, or a filter. A filter that every one of several notes passes needs `everything`.
    """
    if isinstance(target, Mapping | Filter) or (target is None and everything):
        return _passing(space, target, everything=everything)
    return with_versions(space, _ids(target, "forgotten"))


def forget(space: NoteSpace, target: Target, *, dry_run: bool, everything: bool) -> ForgetReport:
    """Remove notes from the store, or with `dry_run` only return which."""
    if isinstance(target, Iterable) and not isinstance(target, str | Mapping):
        target = list(target)  # an iterator yields its ids once, and they may be read again

    def decide(change: NoteChange) -> ForgetReport:
        notes = targeted(space, target, everything=everything)
        for stored in () if dry_run else notes:
            change.remove(stored)
        return ForgetReport(notes=tuple(stored.note for stored in notes), dry_run=dry_run)

    return space.change(decide)


def purge(space: NoteSpace, target: Target, *, verify: bool, everything: bool) -> PurgeReport:
    """Erase notes, including those with these ids that were forgotten before, so that no byte of them is left."""
    if isinstance(target, Mapping | Filter) or (target is None and everything):
        documents = [stored.note.uri for stored in _passing(space, target, everything=everything)]
    else:
        ids = _ids(target, "purged")
        stored_ids = [id_ for id_ in ids if space.read(id_) is not None or space.versions(id_)]
        known = [stored.note.uri for stored in with_versions(space, stored_ids)]
        documents = list(dict.fromkeys([*known, *(space.namespace.document(id_) for id_ in ids)]))
    return space.store.purge(documents, verify=verify)


def sweep(space: NoteSpace) -> int:
    """Remove the expired notes of the namespace, which are invisible already; return their number."""
    return space.store.remove_where(space.owned() & (fact("expires") <= space.clock()))


def _ids(target: str | Iterable[str] | None, done: str) -> list[str]:
    """Return the ids in a target; raises InputError if there are none, or they are not ids."""
    if target is None or (isinstance(target, str) and not target.strip()):
        raise InputError(f"{target!r} names no note; pass an id, several, or a filter: nothing was {done}")
    if not isinstance(target, Iterable):
        raise InputError(f"notes are named by an id, several, or a filter, not by {target!r}: nothing was {done}")
    if not (ids := [target] if isinstance(target, str) else list(target)):
        raise InputError(f"no id is named; nothing was {done}")
    return ids


def _passing(space: NoteSpace, target: Mapping[str, Any] | Filter | None, *, everything: bool) -> list[StoredNote]:
    where = filters.parse(target) if everything else _restricting(target)
    owned = space.owned()
    ids = space.store.ids(owned if where is None else owned & where)
    stored = with_versions(space, [str(space.namespace.note(id_)) for id_ in ids])
    notes = [version.note for version in stored]
    if not everything and sum(note.superseded_by is None for note in notes) > 1:
        now = space.now()
        if len(space.store.ids(space.unexpired())) <= sum(not note.expired(now) for note in notes):
            named = ", ".join(repr(note.id) for note in notes[:_NAMED])
            raise InputError(
                f"the filter takes every one of the {len(notes)} notes ({named}, …); pass everything=True (--all) "
                "if that is intended: nothing was forgotten"
            )
    return stored


def _restricting(where: Where) -> Filter:
    """Return a filter for removal; raises InputError for one that every note passes.

    An empty filter, prefix or substring, or the exclusion of nothing, is most likely a mistake.
    """
    parsed = filters.parse(where)
    if parsed is None or filters.passes_all(parsed):
        raise InputError(
            f"the filter {where!r} restricts nothing, and would take every note; name what is to be removed, "
            "or pass everything=True (--all)"
        )
    return parsed
