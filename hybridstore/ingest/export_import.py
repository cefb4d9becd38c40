"""Export and import: a store's documents as lines of JSON, with or without their vectors.

The first line is the header: the format's version, the language, the embedder, the number of documents, whether vectors
follow. Every other line is a document with its chunks as [start, end, heading]; `vectors` has their float32 values,
little-endian, row by row, in base64. Names that end in .gz are compressed.

Chunk ids, revisions, and the times of files that were read are not exported. The next `sync` reads those files again
and finds their documents unchanged.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridstore import filters
from hybridstore.backends.values import Calibration, Embedding, StoredDocument
from hybridstore.errors import InputError
from hybridstore.filters import Filter
from hybridstore.ingest import line_files
from hybridstore.records import AddReport, Chunk, Document
from hybridstore.store import Store
from hybridstore.store.document_records import FLOAT, calibration_of, document_of, record_of, unit_vectors
from hybridstore.store.inputs import content_digest

VERSION = 1

_BATCH = 200  # documents whose digests are read together
File = line_files.File
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ExportHeader:
    """An export's first line: language and embedder of the store, the number of documents, whether vectors follow.

    `background` is the calibration of the vectors, if they follow.
    """

    language: str
    embedding: Embedding | None
    documents: int
    vectors: bool = False
    background: Calibration | None = None


@dataclass(frozen=True, slots=True)
class ExportedDocument:
    """A line of an export. `kept` is "whole" or "given" if it was added with `chunk=False` or with its vector."""

    document: Document
    chunks: tuple[Chunk, ...]
    vectors: NDArray[np.float32] | None
    kept: str
    source: str | None


@dataclass(frozen=True, slots=True)
class OpenExport:
    """An export being read: its name, its header, and the lines after it as (number, bytes)."""

    name: str
    header: ExportHeader
    lines: Iterator[tuple[int, bytes]]


def export(
    store: Store,
    file: File,
    *,
    vectors: bool = False,
    where: Mapping[str, Any] | Filter | None = None,
    progress: Progress | None = None,
) -> int:
    """Write the documents that pass the filter, from one snapshot of the store; return their number.

    A path is renamed to its final name when everything is written; an existing export is replaced. `progress` is called
    with (done, total). Raises FileRefused for a path that is another file or cannot be written.
    """
    where = filters.parse(where)
    with line_files.writing(file, _is_export, "export of a store") as stream, store.snapshot():
        total = store.count() if where is None else sum(1 for _ in store.scan(where))
        calibration = store.state().calibration if vectors and where is None else None
        header = ExportHeader(store.language, store.embeddings.active, total, vectors, calibration)
        stream.write(_line({"hybridstore": VERSION, **asdict(header)}))
        done = 0
        documents = store.scan(where, vectors=vectors)
        while page := list(islice(documents, _BATCH)):
            digests = store.digests([str(stored.document.id) for stored in page])
            stream.writelines(_document_line(stored, digests[str(stored.document.id)]) for stored in page)
            done += len(page)
            if progress:
                progress(done, total)
    return done


def load(store: Store, file: File | OpenExport, *, vectors: bool = True, progress: Progress | None = None) -> AddReport:
    """Add an export's documents with their chunks to the store, and report as `Store.add` does.

    With vectors in the file no model runs, and chunks without a vector get none; otherwise, or with `vectors=False`,
    the store's embedder makes them. Documents that are there already are unchanged, so a stopped import can be run
    again. `progress` is called with (done, total).

    Raises EmbedderMismatch, before anything is written, for vectors of another embedder than the store's; InputError
    for a file that is not an export, and for an invalid line or a missing end: the documents before it are kept.
    """
    if not isinstance(file, OpenExport):
        with reading(file) as export_file:
            return load(store, export_file, vectors=vectors, progress=progress)
    header = file.header

    def report_progress(report: AddReport) -> None:
        if progress:
            progress(report.added + report.replaced + report.unchanged, header.documents)

    with store.writer(progress=report_progress) as writer:
        if vectors and header.vectors and header.embedding is not None:
            writer.expect_vectors(header.embedding)
        try:
            for row in _rows(file):
                whole, given = row.kept == "whole", row.kept == "given"
                writer.add_chunked(row.document, row.chunks, row.vectors, whole=whole, given=given, source=row.source)
        except InputError:
            writer.flush()
            raise
    # No model runs here that could calibrate the store, so the export's own calibration is taken over.
    if (calibration := header.background) is not None and store.state().calibration is None:
        active = store.embeddings.active
        if active is not None and active.fingerprint == calibration.fingerprint:
            store.embeddings.calibrate(calibration)
    return writer.report


@contextmanager
def reading(file: File) -> Iterator[OpenExport]:
    """Open an export and read its header, to see what it contains before a store is opened for it.

    Raises FileRefused for a file that cannot be opened, InputError for one that is not an export or has a newer format.
    """
    with line_files.reading(file) as (name, lines):
        yield OpenExport(name, _read_header(next(lines, (1, b""))[1], name), lines)


def _is_export(path: Path) -> bool:
    try:
        with reading(path):
            return True
    except InputError:
        return False


def _document_line(stored: StoredDocument, digest: bytes) -> bytes:
    """Return the line of a document; its content digest shows how it was added."""
    document = stored.document
    record = record_of(stored)
    if digest != content_digest(document, whole=False) and len(stored.chunks) == 1:
        record["kept"] = "whole" if digest == content_digest(document, whole=True) else "given"
    if stored.vectors is not None:
        record["vectors"] = base64.b64encode(stored.vectors.astype(FLOAT).tobytes()).decode()
    return _line(record)


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _read_header(line: bytes, name: str) -> ExportHeader:
    try:
        fields = json.loads(line)
        version = int(fields["hybridstore"])
        header = _header(fields) if version <= VERSION else None
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise InputError(
            f"{name} is not an export of a store: its first line is not the header; "
            "read other files with `hybridstore add`"
        ) from error
    if header is None:
        raise InputError(
            f"{name} was written by a newer hybridstore (export version {version}, this one reads {VERSION}); "
            "run `pip install --upgrade hybridstore`"
        )
    return header


def _header(fields: Mapping[str, Any]) -> ExportHeader:
    embedding = calibration = None
    if (values := fields["embedding"]) is not None:
        embedding = Embedding(str(values["fingerprint"]), str(values["reference"]), int(values["dim"]))
    if (values := fields.get("background")) is not None:
        calibration = calibration_of(values)
    vectors = bool(fields.get("vectors"))
    return ExportHeader(str(fields["language"]), embedding, int(fields["documents"]), vectors, calibration)


def _rows(export_file: OpenExport) -> Iterator[ExportedDocument]:
    header, count = export_file.header, 0
    try:
        for number, line in export_file.lines:
            try:
                row = _read_row(line, header)
            except (ValueError, RecursionError) as error:  # an InputError is a ValueError
                raise line_files.Broken(export_file.name, number, str(error)) from error
            count += 1
            yield row
    except line_files.Broken as error:
        raise InputError(
            f"{error}; the documents before it are in the store, and importing again continues from there"
        ) from error
    if count < header.documents:
        raise InputError(
            f"{export_file.name} ends after {count} of {header.documents} documents; those are in the "
            "store, and importing the whole file continues from there"
        )


def _read_row(line: bytes, header: ExportHeader) -> ExportedDocument:
    """Return the document of a line; raises ValueError or RecursionError with the reason if the line is invalid."""
    record = json.loads(line)
    document, chunks, source = document_of(record)
    vectors = None
    if header.embedding is not None and record.get("vectors") is not None:
        vectors = _vectors(record["vectors"], len(chunks), header.embedding.dim)
    return ExportedDocument(document, chunks, vectors, str(record.get("kept", "")), source)


def _vectors(value: object, count: int, dim: int) -> NDArray[np.float32]:
    try:
        data = base64.b64decode(str(value), validate=True)
    except binascii.Error as error:
        raise InputError(f"the vectors are not valid base64 ({error})") from error
    return unit_vectors(data, count, dim)
