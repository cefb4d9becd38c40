"""Carries a store's content as lines of JSON: out of one file and into another, with its vectors or without.

The first line is the header: the format's version, the language, the embedder, the number of documents, whether
vectors are there. Every other line is a document with its chunks as [start, end, heading]; `vectors` holds their
float32 values, little-endian, row after row, in base64. Names that end in .gz are compressed.

What belongs to the machine is left behind: chunk ids, revisions, and the times of files that were read. The next
`sync` reads those files once more and finds their documents unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hybridstore import filters
from hybridstore.errors import InputError
from hybridstore.filters import Filter
from hybridstore.ingest import line_files
from hybridstore.ingest.export_format import ExportedDocument, Header, document_line, header_line, read_header, read_row
from hybridstore.records import AddReport
from hybridstore.store import Store

_AT_ONCE = 200  # documents whose digests are asked for together

File = line_files.File
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Incoming:
    """An export that is being read: its name, its header, and the lines after it as (number, bytes)."""

    name: str
    header: Header
    lines: Iterator[tuple[int, bytes]]


def export(
    store: Store,
    file: File,
    *,
    vectors: bool = False,
    where: Mapping[str, Any] | Filter | None = None,
    progress: Progress | None = None,
) -> int:
    """Write the documents that pass the filter, of one state of the store; give how many there were.

    A path takes its name only when all is written, and an export that is already there is replaced. `progress`
    gets (done, of). Raises FileRefused for a path that holds something else or cannot be written.
    """
    wanted = filters.parse(where)
    with line_files.writing(file, _is_export, "export of a store") as stream, store.snapshot():
        total = store.count() if wanted is None else sum(1 for _ in store.scan(wanted))
        background = store.state().calibration if vectors and wanted is None else None
        stream.write(header_line(Header(store.language, store.embeddings.active, total, vectors, background)))
        done = 0
        documents = store.scan(wanted, vectors=vectors)
        while page := list(islice(documents, _AT_ONCE)):
            digests = store.digests([str(stored.document.id) for stored in page])
            stream.writelines(document_line(stored, digests[str(stored.document.id)]) for stored in page)
            done += len(page)
            if progress:
                progress(done, total)
    return done


def load(store: Store, file: File | Incoming, *, vectors: bool = True, progress: Progress | None = None) -> AddReport:
    """Bring an export's documents into the store, cut as they were, and report as `Store.add` does.

    With vectors in the file no model runs, and chunks that had none get none; without them, or with
    `vectors=False`, the store's embedder makes them. Documents that are there already stay as they are, so what
    was stopped can be run again. `progress` gets (done, of).

    Raises EmbedderMismatch, before anything is written, for vectors of another embedder than the store's;
    InputError for a file that is no export, and for a broken line or a missing end: what stands before it is kept.
    """
    if not isinstance(file, Incoming):
        with reading(file) as incoming:
            return load(store, incoming, vectors=vectors, progress=progress)
    header = file.header

    def told(report: AddReport) -> None:
        if progress:
            progress(report.added + report.replaced + report.unchanged, header.documents)

    with store.writer(progress=told) as writer:
        if vectors and header.vectors and header.embedding is not None:
            writer.bring(header.embedding)
        try:
            for row in _rows(file):
                writer.add_cut(
                    row.document,
                    row.chunks,
                    row.vectors,
                    whole=row.kept == "whole",
                    given=row.kept == "given",
                    source=row.source,
                )
        except InputError:
            writer.flush()
            raise
    measured, active = header.background, store.embeddings.active
    known = store.state().calibration is not None
    if measured is not None and not known and active is not None and active.fingerprint == measured.fingerprint:
        store.embeddings.calibrate(measured)  # no model runs here that could measure it
    return writer.report


@contextmanager
def reading(file: File) -> Iterator[Incoming]:
    """Open an export and read its header, to see what it holds before a store is opened for it.

    Raises FileRefused for a file that cannot be opened, InputError for one that is no export or of a newer kind.
    """
    with line_files.reading(file) as (name, numbered):
        yield Incoming(name, read_header(next(numbered, (1, b""))[1], name), numbered)


def _is_export(path: Path) -> bool:
    try:
        with reading(path):
            return True
    except InputError:
        return False


def _rows(incoming: Incoming) -> Iterator[ExportedDocument]:
    count = 0
    try:
        for number, line in incoming.lines:
            try:
                row = read_row(line, incoming.header)
            except (ValueError, RecursionError) as error:  # ours too: an InputError is a ValueError
                raise line_files.Broken(incoming.name, number, str(error)) from error
            count += 1
            yield row
    except line_files.Broken as error:
        raise InputError(
            f"{error}; the documents before it are in the store, and importing again goes on from there"
        ) from error
    if count < incoming.header.documents:
        raise InputError(
            f"{incoming.name} ends after {count} of {incoming.header.documents} documents; those are in the "
            "store, and importing the whole file goes on from there"
        )
