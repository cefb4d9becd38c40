"""Filters in memory: the fields that were filtered on, over all documents.

A field is read when it is first filtered on. Documents added later are kept beside the columns and compared with the
filter one by one, until there are so many that they are worked into the columns.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.resident import field_values
from hybridstore.backends.resident.chunk_ids import NO_IDS, ChunkIds, added_and_removed
from hybridstore.backends.resident.field_values import MISSING, FieldValues, Mask, decoded, encoded
from hybridstore.backends.resident.loader import FieldPath, Ids, Loader
from hybridstore.backends.values import ChunkChange
from hybridstore.filters import And, Comparison, Filter, Not, Or, field_path, predicate
from hybridstore.filters.matching import value_at
from hybridstore.filters.tree import members_of

_MOST_LATE = 256  # documents compared with a filter one by one, at about 1.5 µs a comparison
_MOST_LATE_CHUNKS = 4096
_MOST_REMOVED = 0.2  # share of removed chunks beyond which they are cleared out
_MOST_ADDED = 0.1  # share of chunks added at once beyond which loading again is cheaper


class MetadataColumns:
    """The fields of one store's documents in memory, within `budget` bytes; the least recently used are dropped."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._lock = threading.Lock()
        self._owners: Owners | None = None
        self._columns: OrderedDict[FieldPath, FieldValues] = OrderedDict()
        self._too_large: set[FieldPath] = set()

    def allowed(self, loader: Loader, revision: int, where: Filter) -> Ids | None:
        """Return the chunks whose documents pass a filter, ascending, (n,).

        `revision` is the loader's; the filter is within the bounds of `filters.parse`. None where the database must be
        asked: its index of ids is faster, the copy here is of a later revision, or the fields would not fit into the
        budget.
        """
        if self._budget <= 0 or _is_by_id(where):
            return None
        paths = list(dict.fromkeys(field_path(comparison.field) for comparison in _comparisons(where)))
        with self._lock:
            owners = self._brought_to(loader, revision)
            if owners is None or not self._have(loader, owners, paths):
                return None
            columns = {path: self._columns[path] for path in paths}
        return owners.passing(_mask(where, columns, len(owners.documents)), where)

    def _brought_to(self, loader: Loader, revision: int) -> Owners | None:
        """Return the owners at a revision; None where they are of a later one."""
        old = self._owners
        if old is not None and old.revision >= revision:
            return old if old.revision == revision else None
        changes = None if old is None else loader.changes(old.revision)
        new = None if old is None or changes is None else follow_owners(loader, old, revision, changes)
        if new is None:
            self._columns.clear()
            self._too_large.clear()
            new = load_owners(loader, revision)
        elif new.is_worn():
            new, kept, added = new.settled()
            for path, column in self._columns.items():
                values = [document.value(path) for document in added]
                self._columns[path] = field_values.extended(column, kept, values)
        self._owners = new
        return new

    def _have(self, loader: Loader, owners: Owners, paths: Sequence[FieldPath]) -> bool:
        """Read those of the fields that are not here yet; False where they are too large."""
        budget = self._budget - owners.nbytes
        if budget < 0 or not self._too_large.isdisjoint(paths):
            return False
        unread = [path for path in paths if path not in self._columns]
        if unread:
            self._columns.update(zip(unread, _read(loader, owners.documents, unread), strict=True))
        for path in paths:
            self._columns.move_to_end(path)
        taken = sum(column.nbytes for column in self._columns.values())
        while taken > budget and len(self._columns) > len(paths):
            taken -= self._columns.popitem(last=False)[1].nbytes
        if taken > budget:
            for path in unread or paths:
                del self._columns[path]
                self._too_large.add(path)
        return taken <= budget


def _mask(node: Filter, columns: Mapping[FieldPath, FieldValues], count: int) -> Mask:
    match node:
        case And(members) | Or(members):
            joined = np.logical_and if isinstance(node, And) else np.logical_or
            mask = np.full(count, isinstance(node, And), np.bool_)
            for member in members:
                joined(mask, _mask(member, columns, count), out=mask)
            return mask
        case Not(member):
            return ~_mask(member, columns, count)
        case Comparison(name, sign, value):
            path = field_path(name)
            return columns[path].mask(sign, value, dates=not isinstance(path, str))
    raise TypeError(node)  # parse accepts nothing else


def _comparisons(node: Filter) -> Iterator[Comparison]:
    if isinstance(node, Comparison):
        yield node
    for member in members_of(node):
        yield from _comparisons(member)


def _is_by_id(node: Filter) -> bool:
    """Return whether a filter names the ids of all that can pass: the database's index has them at once."""
    match node:
        case And(members):
            return any(_is_by_id(member) for member in members)
        case Comparison("@id", "eq" | "in"):
            return True
    return False


def _read(loader: Loader, documents: Ids, paths: Sequence[FieldPath]) -> list[FieldValues]:
    """Read fields of documents in one pass; only their distinct values are decoded."""
    stored, fields = loader.columns(paths)
    if not len(stored):
        return [encoded([MISSING], np.zeros(len(documents), np.intp)) for _ in paths]
    # A document that was removed meanwhile has no chunk that is alive, so that any value will do for it.
    at = np.minimum(np.searchsorted(stored, documents), len(stored) - 1)
    return [encoded([MISSING, *decoded(texts[1:])], codes[at]) for texts, codes in fields]


# The documents of the chunks


@dataclass(frozen=True, slots=True)
class LateDocument:
    """A document that was added after the columns were read."""

    number: int
    own: Mapping[str, str]  # its id, title and uri
    metadata: Mapping[str, Any]

    def value(self, path: FieldPath) -> Any:
        """Return the value of a field, or MISSING."""
        return self.own[path] if isinstance(path, str) else value_at(self.metadata, path, MISSING)


@dataclass(frozen=True, slots=True)
class Owners:
    """The documents of all chunks at a revision: `documents` (n,), in the order of the columns, and the late ones.

    A document of the columns that was replaced or removed stays among them; its chunks are removed. `places` are the
    places of the chunks' documents in `documents`, None where each document has one chunk; `late_places` in `late`.
    """

    revision: int
    documents: Ids
    chunks: ChunkIds
    places: NDArray[np.intp] | None
    late: tuple[LateDocument, ...] = ()
    late_chunks: Ids = field(default_factory=NO_IDS.copy)
    late_places: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))

    @property
    def nbytes(self) -> int:
        """The memory that the columns' side takes."""
        return self.documents.nbytes + self.chunks.ids.nbytes + (0 if self.places is None else self.places.nbytes)

    def is_worn(self) -> bool:
        """Return whether so many chunks were added or removed that `settled` pays."""
        removed = len(self.chunks.removed)
        many = len(self.late) > _MOST_LATE or len(self.late_chunks) > _MOST_LATE_CHUNKS
        return many or removed > _MOST_REMOVED * (len(self.chunks) + 1)

    def passing(self, mask: Mask, where: Filter) -> Ids:
        """Return the chunks of documents that pass, ascending: by mask (n,), the late ones by the filter."""
        if self.places is not None:
            mask = mask.take(self.places)
        if self.chunks.alive is not None:
            mask = mask & self.chunks.alive
        chunks = self.chunks.ids.take(np.flatnonzero(mask))  # four times as fast as ids[mask]
        if not self.late:
            return chunks
        passes = predicate(where)
        late = np.array([passes(document.metadata, document.own) for document in self.late])
        return np.concatenate([chunks, self.late_chunks[late[self.late_places]]])

    def settled(self) -> tuple[Owners, Mask, list[LateDocument]]:
        """Return the same without late documents and removed chunks.

        Also return which (n,) of the columns' documents stayed, and the late ones that follow them.
        """
        ids = self.chunks.ids
        places = np.arange(len(ids)) if self.places is None else self.places
        if self.chunks.alive is not None:
            ids, places = ids[self.chunks.alive], places[self.chunks.alive]
        kept, kept_late = np.zeros(len(self.documents), np.bool_), np.zeros(len(self.late), np.bool_)
        kept[places], kept_late[self.late_places] = True, True
        added = [document for document, stays in zip(self.late, kept_late.tolist(), strict=True) if stays]
        numbers = np.array([document.number for document in added], np.int64)
        documents = np.concatenate([self.documents[kept], numbers])
        late_places = np.count_nonzero(kept) + (np.cumsum(kept_late) - 1)[self.late_places]
        places = np.concatenate([(np.cumsum(kept) - 1)[places], late_places])
        chunks = ChunkIds(np.concatenate([ids, self.late_chunks]))
        return Owners(self.revision, documents, chunks, _unless_trivial(places, len(documents))), kept, added


def load_owners(loader: Loader, revision: int) -> Owners:
    """Read the document of each chunk."""
    chunks, owners = loader.owners()
    documents, places = np.unique(owners, return_inverse=True)
    return Owners(revision, documents, ChunkIds(chunks), _unless_trivial(places, len(documents)))


def _unless_trivial(places: NDArray[np.intp], documents: int) -> NDArray[np.intp] | None:
    return None if np.array_equal(places, np.arange(documents)) else places


def follow_owners(loader: Loader, old: Owners, revision: int, changes: Sequence[ChunkChange]) -> Owners | None:
    """Return the owners after these changes; None where loading again is cheaper."""
    added, removed = added_and_removed(changes, old.chunks)
    if len(added) > _MOST_LATE and len(added) > _MOST_ADDED * len(old.chunks):
        return None
    chunks, documents = loader.owners(added.tolist()) if len(added) else (NO_IDS, NO_IDS)
    late, places = list(old.late), dict[int, int]()
    numbers, firsts = np.unique(documents, return_index=True)
    texts = loader.metadata(numbers.tolist())
    passages = loader.passages(chunks[firsts].tolist())
    for number, text, passage in zip(numbers.tolist(), texts, passages, strict=True):
        places[number] = len(late)
        own = {"id": passage.document_id, "title": passage.title, "uri": passage.uri}
        late.append(LateDocument(number, own, decoded([text])[0]))
    left = ~np.isin(old.late_chunks, removed)
    return Owners(
        revision,
        old.documents,
        old.chunks.without(removed) if len(removed) else old.chunks,
        old.places,
        tuple(late),
        np.concatenate([old.late_chunks[left], chunks]),
        np.concatenate([old.late_places[left], np.array([places[number] for number in documents.tolist()], np.intp)]),
    )
