"""Documents at a revision: those that columns were read of, those that came later, and whose each chunk is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.resident.chunk_ids import Chunks, Ids, came_and_went
from hybridstore.backends.resident.field_values import MISSING, Mask, decoded
from hybridstore.backends.sqlite.connection import rows
from hybridstore.backends.values import ChunkChange
from hybridstore.filters import Filter, predicate

_PAGE = 4096  # rows that SQLite gives as one text a column: a row each would take twice as long
_MOST_LATE = 256  # documents held against a filter one by one, at about 1.5 µs a comparison
_MOST_LATE_CHUNKS = 4096
_MOST_DEAD = 0.2  # share of dead chunks beyond which they are cleared out
_MOST_ADDED = 0.1  # share of chunks added at once beyond which reading anew is cheaper
_NONE: Ids = np.empty(0, np.int64)

Place = str | tuple[str, ...]  # of filters.field_path


@dataclass(frozen=True, slots=True)
class Late:
    """A document that came after the columns were read."""

    row: int
    id: str
    title: str
    uri: str
    metadata: Mapping[str, Any]

    def value(self, place: Place) -> Any:
        """Give what stands there, or MISSING."""
        if isinstance(place, str):
            return {"id": self.id, "title": self.title, "uri": self.uri}[place]
        value: Any = self.metadata
        for key in place:
            value = value.get(key, MISSING) if isinstance(value, Mapping) else MISSING
        return value


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents at a revision: `rows` (n,) of the columns, in their order, and the late ones.

    A document of the columns that was replaced or removed stays among them; its chunks are dead. `owners` are the
    chunks' places in `rows`, None where each document has one chunk; `late_owners` are places in `late`.
    """

    revision: int
    rows: Ids
    chunks: Chunks
    owners: NDArray[np.intp] | None
    late: tuple[Late, ...] = ()
    late_chunks: Ids = field(default_factory=_NONE.copy)
    late_owners: NDArray[np.intp] = field(default_factory=_NONE.copy)

    @property
    def nbytes(self) -> int:
        """Count the bytes that the columns' side takes."""
        return self.rows.nbytes + self.chunks.ids.nbytes + (0 if self.owners is None else self.owners.nbytes)

    def is_worn(self) -> bool:
        """Tell whether so many came or went that `settled` pays."""
        dead = len(self.chunks) - self.chunks.living()
        many = len(self.late) > _MOST_LATE or len(self.late_chunks) > _MOST_LATE_CHUNKS
        return many or dead > _MOST_DEAD * (len(self.chunks) + 1)

    def passing(self, mask: Mask, where: Filter) -> Ids:
        """Give the ids of the chunks of documents that pass, ascending: by mask (n,), the late ones by the filter."""
        if self.owners is not None:
            mask = mask.take(self.owners)
        if self.chunks.alive is not None:
            mask = mask & self.chunks.alive
        found = self.chunks.ids.take(np.flatnonzero(mask))  # four times as fast as ids[mask]
        if not self.late:
            return found
        passes = predicate(where)
        late = np.array([passes(d.metadata, {"id": d.id, "title": d.title, "uri": d.uri}) for d in self.late])
        return np.concatenate([found, self.late_chunks[late[self.late_owners]]])

    def settled(self) -> tuple[Documents, Mask, list[Late]]:
        """Give the same with none late and none dead; which (n,) of the columns' stayed, and who come after them."""
        ids = self.chunks.ids
        owners = np.arange(len(ids)) if self.owners is None else self.owners
        if self.chunks.alive is not None:
            ids, owners = ids[self.chunks.alive], owners[self.chunks.alive]
        kept, late = np.zeros(len(self.rows), np.bool_), np.zeros(len(self.late), np.bool_)
        kept[owners], late[self.late_owners] = True, True
        added = [one for one, living in zip(self.late, late.tolist(), strict=True) if living]
        documents = np.concatenate([self.rows[kept], np.array([one.row for one in added], np.int64)])
        places = [(np.cumsum(kept) - 1)[owners], np.count_nonzero(kept) + (np.cumsum(late) - 1)[self.late_owners]]
        chunks = Chunks(np.concatenate([ids, self.late_chunks]))
        owners = np.concatenate(places)
        return Documents(self.revision, documents, chunks, _unless_own(owners, len(documents))), kept, added


def load(connection: apsw.Connection, revision: int) -> Documents:
    """Read whose each chunk is."""
    chunks, owners = [_NONE], [_NONE]
    for page in pages(connection, "chunks", "chunk", ["document"]):
        chunks.append(integers(page[0]))
        owners.append(integers(page[1]))
    documents, places = np.unique(np.concatenate(owners), return_inverse=True)
    return Documents(revision, documents, Chunks(np.concatenate(chunks)), _unless_own(places, len(documents)))


def _unless_own(owners: NDArray[np.intp], documents: int) -> NDArray[np.intp] | None:
    return None if np.array_equal(owners, np.arange(documents)) else owners


def follow(
    connection: apsw.Connection, old: Documents, revision: int, changes: Sequence[ChunkChange]
) -> Documents | None:
    """Give the documents after these changes; None where reading anew is cheaper."""
    came, gone = came_and_went(changes, old.chunks)
    if len(came) > _MOST_LATE and len(came) > _MOST_ADDED * len(old.chunks):
        return None
    late, places = list(old.late), dict[int, int]()
    late_chunks, late_owners = list[int](), list[int]()
    sql = """SELECT chunk, document, id, title, uri, metadata FROM chunks JOIN documents USING (document)
             WHERE chunk IN (SELECT value FROM json_each(?)) ORDER BY chunk"""
    for chunk, row, id_, title, uri, metadata in connection.execute(sql, (json.dumps(came.tolist()),)):
        if row not in places:
            places[row] = len(late)
            late.append(Late(row, id_, title, uri, decoded([metadata])[0]))
        late_chunks.append(chunk)
        late_owners.append(places[row])
    left = ~np.isin(old.late_chunks, gone)
    return Documents(
        revision,
        old.rows,
        old.chunks.without(gone) if len(gone) else old.chunks,
        old.owners,
        tuple(late),
        np.concatenate([old.late_chunks[left], np.array(late_chunks, np.int64)]),
        np.concatenate([old.late_owners[left], np.array(late_owners, np.intp)]),
    )


def pages(
    connection: apsw.Connection, table: str, key: str, terms: Sequence[str], bindings: Sequence[object] = ()
) -> Iterator[tuple[str, ...]]:
    """Give a table's positive integer key, and terms of its columns, each joined by line ends, some rows at a time."""
    joined = ", ".join(f"group_concat({term}, char(10))" for term in [key, *terms])
    # All are joined in one pass over the same rows, so they agree on the order, whatever it is.
    sql = f"SELECT max({key}), {joined} FROM (SELECT * FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT {_PAGE})"
    last: int | None = 0
    while True:
        last, *texts = rows(connection, sql, (*bindings, last))[0]
        if last is None:
            return
        yield tuple(texts)


def integers(lines: str) -> Ids:
    """Read integers, one a line."""
    return np.fromstring(lines, np.int64, sep="\n")
