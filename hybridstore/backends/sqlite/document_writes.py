"""Adding and removing documents in all tables, each written once for a whole batch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import apsw
import numpy as np

from hybridstore.backends.batches import distinct, moves, same_words, timestamp
from hybridstore.backends.keyword_scoring import index_columns
from hybridstore.backends.sqlite import document_rows, keyword_index, removal_rows, vector_tables
from hybridstore.backends.sqlite.change_log import Log
from hybridstore.backends.sqlite.checksums import change, next_number
from hybridstore.backends.sqlite.chunk_references import forget_chunks, renumber
from hybridstore.backends.sqlite.connection import rows
from hybridstore.backends.values import Entry, Outdated, check_replaces
from hybridstore.backends.versions import Known, Removal, kept, removal_key, written_versions
from hybridstore.records import AddReport, Source
from hybridstore.text.analysis import Analyser

_NONE: Mapping[bytes, Removal] = {}


def put(
    connection: apsw.Connection, log: Log, analyser: Analyser, entries: Sequence[Entry], number: int | None
) -> AddReport:
    """Write entries in order, replacing documents of the same id; vectors go to embedding `number`."""
    report = AddReport()
    for batch in distinct(entries):
        report += _put_batch(connection, log, analyser, batch, number)
    return report


def _put_batch(
    connection: apsw.Connection, log: Log, analyser: Analyser, batch: Mapping[str, Entry], number: int | None
) -> AddReport:
    _move(connection, log, batch)
    known = document_rows.known(connection, list(batch))
    for id_, entry in batch.items():
        check_replaces(id_, entry.replaces, known[id_].digest if id_ in known else None)
    unchanged = {id_ for id_, there in known.items() if there.digest == batch[id_].digest}
    for id_ in unchanged:
        _keep(connection, known[id_], batch[id_])
    fresh = {id_: entry for id_, entry in batch.items() if id_ not in unchanged}
    versions, again = written_versions(fresh, known, removal_rows.of_documents(connection, fresh))
    removal_rows.write(connection, again)
    for id_, entry in fresh.items():
        if not entry.chunks:
            raise Outdated(id_)
    replaced = [known[id_].row for id_ in fresh if id_ in known]
    next_row = document_rows.next_row(connection)
    numbers = {}
    for id_ in fresh:
        numbers[id_] = known[id_].row if id_ in known else next_row
        next_row += id_ not in known
    first = next_chunk = next_number(connection, "chunks")
    placed: list[tuple[int, int, Entry]] = []  # (document row, first chunk id, entry)
    for id_, entry in fresh.items():
        placed.append((numbers[id_], next_chunk, entry))
        next_chunk += len(entry.chunks)
    renumber(connection, _unchanged_chunks(connection, set(replaced), placed))
    _remove_chunks(connection, log, replaced)
    document_rows.write(connection, ((numbers[id_], entry, versions[id_]) for id_, entry in fresh.items()))
    document_rows.write_chunks(connection, placed)
    keyword_index.write(connection, _keyword_rows(analyser, placed))
    _write_vectors(connection, number, placed)
    log.note("added", first, next_chunk - 1)
    return AddReport(
        added=len(fresh) - len(replaced),
        replaced=len(replaced),
        unchanged=len(unchanged),
        chunks=next_chunk - first,
    )


def _keep(connection: apsw.Connection, there: Known, entry: Entry) -> None:
    """Note of a document whose content is unchanged where it was read from, and that another store changed it later."""
    if (facts := kept(there, entry)) is not None:
        sql = f"{change('documents', source='?1', changed='?2')} WHERE document = ?3"
        connection.execute(sql, (*facts, there.row))


def _move(connection: apsw.Connection, log: Log, batch: Mapping[str, Entry]) -> None:
    """Change the ids of documents that move; one whose new id another document has already is removed.

    A file whose last document moves is forgotten.
    """
    moved = moves(batch)
    if not moved:
        return
    stored = document_rows.known(connection, [*moved.values(), *moved])
    for old, new in moved.items():
        if old not in stored:
            continue
        row, digest, source, version = stored[old]
        if new in stored:
            remove(connection, log, [row])
            continue
        removal_rows.write(connection, {removal_key(old): Removal.of(version, digest, timestamp())})
        sql = f"{change('documents', id='?1', source='?2')} WHERE document = ?3"
        connection.execute(sql, (new, batch[new].source, row))
        left = "NOT EXISTS (SELECT 1 FROM documents WHERE source = ?1)"
        connection.execute(f"DELETE FROM sources WHERE key = ?1 AND {left}", (source,))


def _unchanged_chunks(
    connection: apsw.Connection, replaced: Collection[int], placed: Sequence[tuple[int, int, Entry]]
) -> dict[int, int]:
    """Return the chunks of replaced documents whose words are unchanged, with the ids that they will have."""
    moved: dict[int, int] = {}
    for row, first, entry in placed:
        if row not in replaced:
            continue
        moved |= same_words(document_rows.chunk_digests(connection, row), entry.chunk_digests, first)
    return moved


def _keyword_rows(
    analyser: Analyser, placed: Sequence[tuple[int, int, Entry]]
) -> Iterator[tuple[int, str, str, str, str]]:
    for _, first, entry in placed:
        document = entry.document
        for id_, chunk in enumerate(entry.chunks, start=first):
            text = document.text[chunk.start : chunk.end]
            yield (id_, *index_columns(analyser, document.title, chunk.heading, text, document.uri))


def _write_vectors(connection: apsw.Connection, number: int | None, placed: Sequence[tuple[int, int, Entry]]) -> None:
    embedded = [
        (first, entry.vectors) for _, first, entry in placed if entry.vectors is not None and len(entry.vectors)
    ]
    if number is not None and embedded:
        chunks = [id_ for first, vectors in embedded for id_ in range(first, first + len(vectors))]
        vector_tables.write(connection, number, chunks, np.concatenate([vectors for _, vectors in embedded]))


def finish(connection: apsw.Connection, log: Log, finished: Mapping[Source, frozenset[str]]) -> int:
    """Remove the documents that finished sources no longer have, record the sources; return how many were removed."""
    removed = 0
    for source, ids in finished.items():
        gone = [row for id_, row in document_rows.of_source(connection, source.key).items() if id_ not in ids]
        removed += remove(connection, log, gone)
    document_rows.write_sources(connection, finished)
    return removed


def remove_ids(
    connection: apsw.Connection, log: Log, ids: Collection[str], removals: Mapping[bytes, Removal] = _NONE
) -> int:
    """Remove documents by id; return how many there were. `removals` are from another store, which removed them."""
    known = document_rows.known(connection, list(ids)).values()
    removed = remove(connection, log, [each.row for each in known], removals)
    removal_rows.join(connection, removals)
    return removed


def remove(
    connection: apsw.Connection, log: Log, documents: Sequence[int], removals: Mapping[bytes, Removal] = _NONE
) -> int:
    """Remove documents by row; return how many."""
    _remove_chunks(connection, log, documents)
    left, at = dict[bytes, Removal](), timestamp()
    for row in documents:
        sql = "DELETE FROM documents WHERE document = ? RETURNING source, id, changed, digest"
        source, id_, version, digest = rows(connection, sql, (row,))[0]
        key = removal_key(id_)
        left[key] = removals.get(key) or Removal.of(version, digest, at)
        if source is not None:  # its file is no longer complete here: read it again at the next sync
            connection.execute("DELETE FROM sources WHERE key = ?", (source,))
    removal_rows.write(connection, left)
    return len(documents)


def remove_source(connection: apsw.Connection, log: Log, key: str) -> int:
    """Forget a source and remove its documents; return how many."""
    removed = remove(connection, log, list(document_rows.of_source(connection, key).values()))
    connection.execute("DELETE FROM sources WHERE key = ?", (key,))
    return removed


def _remove_chunks(connection: apsw.Connection, log: Log, rows: Sequence[int]) -> None:
    gone: list[int] = []
    for row in rows:
        gone += document_rows.chunk_ids(connection, row)
    if not gone:
        return
    keyword_index.remove(connection, gone)
    vector_tables.remove(connection, gone)
    forget_chunks(connection, gone)
    connection.executemany("DELETE FROM chunks WHERE chunk = ?", [(chunk,) for chunk in gone])
    log.note_all("removed", gone)


def check_removals_stored(connection: apsw.Connection, removing: Collection[str] | Mapping[str, bytes]) -> None:
    """Raise Conflict unless every document to be removed has the digest that `removing` maps it to, if it does."""
    if isinstance(removing, Mapping):
        known = document_rows.known(connection, list(removing))
        for id_, digest in removing.items():
            check_replaces(id_, digest, known[id_].digest if id_ in known else None)
