"""Filters in memory: the fields that were filtered on, over all documents.

A field is read when it is first filtered on. Documents added later are kept beside the columns and compared with the
filter one by one, until there are so many that they are worked into the columns.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from hybridstore.backends.resident import field_values, owners
from hybridstore.backends.resident.field_values import MISSING, FieldValues, Mask, decoded, encoded
from hybridstore.backends.resident.loader import FieldPath, Ids, Loader
from hybridstore.backends.resident.owners import Owners
from hybridstore.filters import And, Comparison, Filter, Not, Or, field_path
from hybridstore.filters.tree import members_of


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
            owners_now = self._brought_to(loader, revision)
            if owners_now is None or not self._have(loader, owners_now, paths):
                return None
            columns = {path: self._columns[path] for path in paths}
        return owners_now.passing(_mask(where, columns, len(owners_now.documents)), where)

    def _brought_to(self, loader: Loader, revision: int) -> Owners | None:
        """Return the owners at a revision; None where they are of a later one."""
        old = self._owners
        if old is not None and old.revision >= revision:
            return old if old.revision == revision else None
        changes = None if old is None else loader.changes(old.revision)
        new = None if old is None or changes is None else owners.follow(loader, old, revision, changes)
        if new is None:
            self._columns.clear()
            self._too_large.clear()
            new = owners.load(loader, revision)
        elif new.is_worn():
            new, kept, added = new.settled()
            for path, column in self._columns.items():
                values = [document.value(path) for document in added]
                self._columns[path] = field_values.extended(column, kept, values)
        self._owners = new
        return new

    def _have(self, loader: Loader, owners_now: Owners, paths: Sequence[FieldPath]) -> bool:
        """Read those of the fields that are not here yet; False where they are too large."""
        budget = self._budget - owners_now.nbytes
        if budget < 0 or not self._too_large.isdisjoint(paths):
            return False
        unread = [path for path in paths if path not in self._columns]
        if unread:
            self._columns.update(zip(unread, _read(loader, owners_now.documents, unread), strict=True))
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
            return columns[field_path(name)].mask(sign, value)
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
