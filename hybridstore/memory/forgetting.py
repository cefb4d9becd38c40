"""Taking notes away: forgotten (gone from every answer), purged (no byte left in the file), expired (swept)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hybridstore import filters
from hybridstore.backends.values import Purged
from hybridstore.errors import InputError
from hybridstore.filters import Filter
from hybridstore.memory.histories import by_age
from hybridstore.memory.notes import Note, note_of
from hybridstore.memory.place import Place
from hybridstore.memory.scope import Where, fact, owned, restricting

Target = str | Iterable[str] | Where

_TOLD = 3  # notes that a refusal names


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """The notes that went, or with `dry_run` would go: with their older versions, oldest first kept."""

    notes: tuple[Note, ...]
    dry_run: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """Their ids."""
        return tuple(note.id for note in self.notes)


def meant(place: Place, target: Target, *, everything: bool) -> list[Note]:
    """Give the notes that a target names, each with what it superseded; raises NotFound, InputError.

    A target is an id, several, or a filter. A filter that passes all there is, of more than one, needs `everything`.
    """
    if target is None or (isinstance(target, str) and not target.strip()):
        if target is None and everything:
            return list(place.all())
        raise InputError(f"{target!r} names no note; give an id, several, or a filter: nothing was forgotten")
    if isinstance(target, str):
        return _with_versions(place, [target])
    if not isinstance(target, Mapping | Filter):
        ids = list(target)
        if not ids:
            raise InputError("no id is given; nothing was forgotten")
        return _with_versions(place, ids)
    mine = owned(place.namespace)
    wanted = mine if everything and filters.parse(target) is None else mine & restricting(target)
    notes = [note_of(str(document.id), document.text, document.metadata) for document in place.store.documents(wanted)]
    if not everything and len(notes) > 1 and len(notes) == len(place.store.backend.ids(mine)):
        named = ", ".join(repr(note.id) for note in notes[:_TOLD])
        raise InputError(
            f"the filter takes every one of the {len(notes)} notes ({named}, …); say everything=True (--all) "
            "if that is meant: nothing was forgotten"
        )
    found = {note.id: note for note in _with_versions(place, [note.id for note in notes])}
    return list(found.values())


def _with_versions(place: Place, ids: Iterable[str]) -> list[Note]:
    found: dict[str, Note] = {}
    front = list(ids)
    named = set(front)
    while front:
        id_ = front.pop()
        if id_ in found:
            continue
        there = place.required(id_) if id_ in named else place.read(id_)
        if there is not None:  # a version may have been forgotten by itself
            found[id_] = there.note
            front += there.note.supersedes
    return sorted(found.values(), key=by_age)


def forget(place: Place, target: Target, *, dry_run: bool, everything: bool) -> Forgotten:
    """Remove notes from the store; with `dry_run` only tell which."""
    notes = meant(place, target, everything=everything)
    if not dry_run:
        place.store.remove([note.uri for note in notes])
    return Forgotten(notes=tuple(notes), dry_run=dry_run)


def purge(place: Place, target: Target, *, verify: bool, everything: bool) -> Purged:
    """Erase notes, those with these ids that were forgotten before included, so that no byte of them is left."""
    if isinstance(target, str) and target.strip():
        target = [target]
    if target is None or isinstance(target, str | Mapping | Filter):
        documents = [note.uri for note in meant(place, target, everything=everything)]
    else:
        if not (ids := list(target)):
            raise InputError("no id is given; nothing was purged")
        there = [id_ for id_ in ids if place.read(id_) is not None]
        known = [note.uri for note in _with_versions(place, there)]
        documents = list(dict.fromkeys([*known, *(place.namespace.document(id_) for id_ in ids)]))
    return place.store.purge(documents, verify=verify)


def sweep(place: Place) -> int:
    """Remove what has expired in this namespace; give how many notes that were. They were invisible already."""
    return place.store.backend.remove_where(owned(place.namespace) & (fact("expires") <= place.clock()))
