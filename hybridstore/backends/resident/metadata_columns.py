"""Filters in memory: the fields that were filtered on, over all documents, and which chunks are whose.

A field is read from the file when it is first filtered on. Documents that come later are kept beside the columns, as
they are, and held against the filter one by one, until there are so many that they are worked into the columns.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.resident import field_extension, owners
from hybridstore.backends.resident.chunk_ids import Ids
from hybridstore.backends.resident.field_values import MISSING, Mask, Values, decoded, encoded
from hybridstore.backends.resident.owners import Documents, Place
from hybridstore.backends.sqlite.change_log import changes
from hybridstore.backends.sqlite.where_sql import path_of
from hybridstore.filters import And, Comparison, Filter, Not, Or, field_path
from hybridstore.filters.tree import members_of


class Columns:
    """The fields of one store's documents in memory, within `budget` bytes; the least recently used go first."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._lock = threading.Lock()
        self._documents: Documents | None = None
        self._columns: OrderedDict[Place, Values] = OrderedDict()
        self._refused: set[Place] = set()  # too large for the budget

    def allowed(self, connection: apsw.Connection, revision: int, where: Filter) -> Ids | None:
        """Give the ids of the chunks whose documents pass a filter, ascending, (n,).

        `revision` is that which the connection reads; the filter is within the bounds of `filters.parse`. None where
        SQL must be asked: an index of the file answers sooner, the copy here has gone on to a later revision, or the
        fields would not fit into the budget.
        """
        if self._budget <= 0 or _by_id(where):
            return None
        places = list(dict.fromkeys(field_path(one.field) for one in _comparisons(where)))
        with self._lock:
            here = self._brought_to(connection, revision)
            if here is None or not self._have(connection, here, places):
                return None
            columns = {place: self._columns[place] for place in places}
        return here.passing(_mask(where, columns, len(here.rows)), where)

    def _brought_to(self, connection: apsw.Connection, revision: int) -> Documents | None:
        """Give the documents at a revision; None where they have gone on already."""
        now = self._documents
        if now is not None and now.revision >= revision:
            return now if now.revision == revision else None
        log = None if now is None else changes(connection, now.revision)
        following = None if now is None or log is None else owners.follow(connection, now, revision, log)
        if following is None:
            self._columns.clear()
            self._refused.clear()
            following = owners.load(connection, revision)
        elif following.is_worn():
            following, kept, added = following.settled()
            for place, column in self._columns.items():
                self._columns[place] = field_extension.extended(column, kept, [one.value(place) for one in added])
        self._documents = following
        return following

    def _have(self, connection: apsw.Connection, here: Documents, places: Sequence[Place]) -> bool:
        """Read those of the fields that are not here yet; False where they are too large."""
        budget = self._budget - here.nbytes
        if budget < 0 or not self._refused.isdisjoint(places):
            return False
        unread = [place for place in places if place not in self._columns]
        if unread:
            self._columns.update(zip(unread, _read(connection, here, unread), strict=True))
        for place in places:
            self._columns.move_to_end(place)
        taken = sum(column.nbytes for column in self._columns.values())
        while taken > budget and len(self._columns) > len(places):
            taken -= self._columns.popitem(last=False)[1].nbytes
        if taken > budget:
            for place in unread or places:
                del self._columns[place]
                self._refused.add(place)
        return taken <= budget


def _mask(node: Filter, columns: Mapping[Place, Values], count: int) -> Mask:
    match node:
        case And(members) | Or(members):
            joined = np.logical_and if isinstance(node, And) else np.logical_or
            mask = np.full(count, isinstance(node, And), np.bool_)
            for member in members:
                joined(mask, _mask(member, columns, count), out=mask)
            return mask
        case Not(member):
            return ~_mask(member, columns, count)
        case Comparison(name, sign, wanted):
            return columns[field_path(name)].mask(sign, wanted)
    raise TypeError(node)  # parse let nothing else through


def _comparisons(node: Filter) -> Iterator[Comparison]:
    if isinstance(node, Comparison):
        yield node
    for member in members_of(node):
        yield from _comparisons(member)


def _by_id(node: Filter) -> bool:
    """Tell whether a filter names the ids of all that can pass: the file's index finds them at once."""
    match node:
        case And(members):
            return any(_by_id(member) for member in members)
        case Comparison("@id", "eq" | "in"):
            return True
    return False


def _read(connection: apsw.Connection, here: Documents, places: Sequence[Place]) -> list[Values]:
    """Read fields in one pass, as JSON: only the distinct texts of it are decoded."""
    terms = [f"json_quote({place})" if isinstance(place, str) else "coalesce(metadata -> ?, '')" for place in places]
    paths = [path_of(place) for place in places if not isinstance(place, str)]
    # The empty text, which is no JSON, stands for a field that is missing.
    known: list[dict[str, int]] = [{"": 0} for _ in places]
    parts: list[list[NDArray[np.intp]]] = [[np.empty(0, np.intp)] for _ in places]
    stored = [np.empty(0, np.int64)]
    for page in owners.pages(connection, "documents", "document", terms, paths):
        stored.append(owners.integers(page[0]))
        for lines, codes, part in zip(page[1:], known, parts, strict=True):
            texts = lines.split("\n")
            for text in dict.fromkeys(texts):
                codes.setdefault(text, len(codes))
            part.append(np.fromiter(map(codes.__getitem__, texts), np.intp, len(texts)))
    rows = np.concatenate(stored)
    if not len(rows):
        return [encoded([MISSING], np.zeros(len(here.rows), np.intp)) for _ in places]
    # A document that is gone meanwhile has no living chunk, so that any value will do for it.
    at = np.minimum(np.searchsorted(rows, here.rows), len(rows) - 1)
    return [
        encoded([MISSING, *decoded(list(codes)[1:])], np.concatenate(part)[at])
        for codes, part in zip(known, parts, strict=True)
    ]
