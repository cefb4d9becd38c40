"""Adding and removing documents in all tables, each written once for a whole batch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from hybridstore.backends.batches import distinct, moves, same_words, timestamp
from hybridstore.backends.keyword_scoring import index_columns, weigh
from hybridstore.backends.postgres import document_rows, learning_rows, posting_blocks, removal_rows, vector_tables
from hybridstore.backends.postgres.change_log import Log
from hybridstore.backends.postgres.connection import Connection, many, rows
from hybridstore.backends.postgres.packed import text
from hybridstore.backends.postgres.schema import add_to
from hybridstore.backends.values import Entry, Outdated, check_replaces
from hybridstore.backends.versions import Known, Removal, kept, removal_key, written_versions
from hybridstore.records import AddReport, Source
from hybridstore.text.analysis import Analyser

NONE: Mapping[bytes, Removal] = {}
Placed = Sequence[tuple[int, int, Entry]]  # a document's row, its first chunk's id, its entry


def put(
    connection: Connection, log: Log, analyser: Analyser, entries: Sequence[Entry], number: int | None
) -> AddReport:
    """Write entries in order, replacing documents of the same id; vectors go to embedding `number`."""
    report = AddReport()
    for batch in distinct(entries):
        report += _put_batch(connection, log, analyser, batch, number)
    return report


def _put_batch(
    connection: Connection, log: Log, analyser: Analyser, batch: Mapping[str, Entry], number: int | None
) -> AddReport:
    _move(connection, log, batch)
    known = document_rows.known(connection, list(batch))
    for id_, entry in batch.items():
        check_replaces(id_, entry.replaces, known[id_].digest if id_ in known else None)
    unchanged = {id_ for id_, there in known.items() if there.digest == batch[id_].digest}
    _keep(connection, [(known[id_], batch[id_]) for id_ in unchanged])
    fresh = {id_: entry for id_, entry in batch.items() if id_ not in unchanged}
    versions, again = written_versions(fresh, known, removal_rows.of_documents(connection, fresh) if fresh else {})
    removal_rows.write(connection, again)
    for id_, entry in fresh.items():
        if not entry.chunks:
            raise Outdated(id_)
    replaced = [known[id_].row for id_ in fresh if id_ in known]
    if fresh:
        _write(connection, log, analyser, _placed(connection, fresh, known), versions, set(replaced), number)
    return AddReport(
        added=len(fresh) - len(replaced),
        replaced=len(replaced),
        unchanged=len(unchanged),
        chunks=sum(len(entry.chunks) for entry in fresh.values()),
    )


def _keep(connection: Connection, unchanged: Iterable[tuple[Known, Entry]]) -> None:
    """Note of documents whose content is unchanged where they were read from, and that another store changed them."""
    facts = [(there.row, fact) for there, entry in unchanged if (fact := kept(there, entry)) is not None]
    many(
        connection,
        "UPDATE documents SET source = %s, changed = %s WHERE document = %s",
        [(None if source is None else source.encode(), version, row) for row, (source, version) in facts],
    )


def _placed(connection: Connection, fresh: Mapping[str, Entry], known: Mapping[str, Known]) -> Placed:
    chunks = sum(len(entry.chunks) for entry in fresh.values())
    next_row, next_chunk = add_to(connection, next_document=len(fresh.keys() - known.keys()), next_chunk=chunks)
    placed = []
    for id_, entry in fresh.items():
        row = known[id_].row if id_ in known else next_row
        next_row += id_ not in known
        placed.append((row, next_chunk, entry))
        next_chunk += len(entry.chunks)
    return placed


def _write(  # noqa: PLR0917 - what is written, then where
    connection: Connection,
    log: Log,
    analyser: Analyser,
    placed: Placed,
    versions: Mapping[str, str],
    replaced: set[int],
    number: int | None,
) -> None:
    moved: dict[int, int] = {}
    for row, first, entry in placed:
        if row in replaced:
            moved |= same_words(document_rows.chunk_digests(connection, row), entry.chunk_digests, first)
    learning_rows.renumber(connection, moved)
    _remove_chunks(connection, log, list(replaced))
    document_rows.write(connection, ((row, entry, versions[str(entry.document.id)]) for row, _, entry in placed))
    tokens = {chunk: columns for row in placed for chunk, columns in _columns(analyser, row)}
    words = {chunk: weigh([column.split() for column in columns]) for chunk, columns in tokens.items()}
    indexed = {chunk: (words[chunk][0], posting_blocks.stored_tokens(columns)) for chunk, columns in tokens.items()}
    document_rows.write_chunks(connection, placed, indexed)
    posting_blocks.write(connection, words)
    add_to(connection, chunks=len(words), tokens=sum(length for length, _ in words.values()))
    _write_vectors(connection, number, placed)
    log.note("added", min(words), max(words))


def _columns(analyser: Analyser, placed: tuple[int, int, Entry]) -> list[tuple[int, Sequence[str]]]:
    _, first, entry = placed
    document = entry.document
    return [
        (
            id_,
            index_columns(
                analyser, document.title, chunk.heading, document.text[chunk.start : chunk.end], document.uri
            ),
        )
        for id_, chunk in enumerate(entry.chunks, start=first)
    ]


def _move(connection: Connection, log: Log, batch: Mapping[str, Entry]) -> None:
    """Change the ids of documents that move; one whose new id another document has already is removed.

    A file whose last document moves is forgotten.
    """
    moved = moves(batch)
    stored = document_rows.known(connection, [*moved.values(), *moved])
    for old, new in moved.items():
        if old not in stored:
            continue
        row, digest, source, version = stored[old]
        if new in stored:
            remove(connection, log, [row])
            continue
        removal_rows.write(connection, {removal_key(old): Removal.of(version, digest, timestamp())})
        there = batch[new].source
        values = (new.encode(), None if there is None else there.encode(), row)
        connection.execute("UPDATE documents SET id = %s, source = %s WHERE document = %s", values)
        if source is not None and not document_rows.of_source(connection, source):
            document_rows.forget_sources(connection, [source])


def _write_vectors(connection: Connection, number: int | None, placed: Placed) -> None:
    embedded = [
        (first, entry.vectors) for _, first, entry in placed if entry.vectors is not None and len(entry.vectors)
    ]
    if number is not None and embedded:
        chunks = [id_ for first, vectors in embedded for id_ in range(first, first + len(vectors))]
        vector_tables.write(connection, number, chunks, np.concatenate([vectors for _, vectors in embedded]))


def finish(connection: Connection, log: Log, finished: Mapping[Source, frozenset[str]]) -> int:
    """Remove the documents that finished sources no longer have, record the sources; return how many were removed."""
    removed = 0
    for source, ids in finished.items():
        gone = [row for id_, row in document_rows.of_source(connection, source.key).items() if id_ not in ids]
        removed += remove(connection, log, gone)
    document_rows.write_sources(connection, finished)
    return removed


def remove_ids(connection: Connection, log: Log, ids: Collection[str], removals: Mapping[bytes, Removal] = NONE) -> int:
    """Remove documents by id; return how many there were. `removals` are from another store, which removed them."""
    known = document_rows.known(connection, list(ids)).values() if ids else []
    removed = remove(connection, log, [each.row for each in known], removals)
    removal_rows.join(connection, removals)
    return removed


def remove(connection: Connection, log: Log, documents: Sequence[int], removals: Mapping[bytes, Removal] = NONE) -> int:
    """Remove documents by row; return how many."""
    _remove_chunks(connection, log, documents)
    statement = "DELETE FROM documents WHERE document = ANY(%s::bigint[]) RETURNING source, id, changed, digest"
    gone = rows(connection, statement, list(documents)) if documents else []
    left, at = dict[bytes, Removal](), timestamp()
    for _, id_, version, digest in gone:
        key = removal_key(text(id_))
        left[key] = removals.get(key) or Removal.of(version, digest, at)
    removal_rows.write(connection, left)
    if sources := {source for source, *_ in gone} - {None}:  # no longer complete here: read them at the next sync
        document_rows.forget_sources(connection, map(text, sources))
    return len(documents)


def remove_source(connection: Connection, log: Log, key: str) -> int:
    """Forget a source and remove its documents; return how many."""
    removed = remove(connection, log, list(document_rows.of_source(connection, key).values()))
    document_rows.forget_sources(connection, [key])
    return removed


def _remove_chunks(connection: Connection, log: Log, documents: Sequence[int]) -> None:
    gone = document_rows.chunk_rows(connection, documents)
    if not gone:
        return
    ids = [chunk for chunk, _, _ in gone]
    posting_blocks.remove(connection, gone)
    vector_tables.remove(connection, ids)
    learning_rows.forget_chunks(connection, ids)
    connection.execute("DELETE FROM chunks WHERE chunk = ANY(%s::bigint[])", (ids,))
    add_to(connection, chunks=-len(ids), tokens=-sum(length for _, length, _ in gone))
    log.note_all("removed", ids)


def check_removals_stored(connection: Connection, removing: Collection[str] | Mapping[str, bytes]) -> None:
    """Raise Conflict unless every document to be removed has the digest that `removing` maps it to, if it does."""
    if isinstance(removing, Mapping):
        known = document_rows.known(connection, list(removing))
        for id_, digest in removing.items():
            check_replaces(id_, digest, known[id_].digest if id_ in known else None)
