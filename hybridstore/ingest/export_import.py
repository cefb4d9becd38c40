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
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from hybridstore.store.inputs import checked, content_digest

VERSION = 1

_BATCH = 200  # documents whose digests are read together
_FLOAT = np.dtype("<f4")
_TOLERANCE = 1e-3  # of a vector's norm from 1, which vectors converted to float16 and back keep to

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
    record: dict[str, Any] = {
        "id": document.id,
        "title": document.title,
        "uri": document.uri,
        "format": document.format,
        "metadata": document.metadata,
        "source": stored.source,
        "text": document.text,
        "chunks": [[chunk.start, chunk.end, chunk.heading] for chunk in stored.chunks],
    }
    if digest != content_digest(document, whole=False) and len(stored.chunks) == 1:
        record["kept"] = "whole" if digest == content_digest(document, whole=True) else "given"
    if stored.vectors is not None:
        record["vectors"] = base64.b64encode(stored.vectors.astype(_FLOAT).tobytes()).decode()
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
        calibration = Calibration(
            fingerprint=str(values["fingerprint"]),
            chunks=int(values["chunks"]),
            power=_finite(values["power"]),
            chance=_finite(values["chance"]),
            spread=_finite(values["spread"]),
            foreign=_finite(values.get("foreign", 0.0)),
            foreign_power=_finite(values.get("foreign_power", 0.0)),
            scale=_scale(values.get("scale")),
        )
        if calibration.spread <= 0:
            raise ValueError(calibration.spread)
    vectors = bool(fields.get("vectors"))
    return ExportHeader(str(fields["language"]), embedding, int(fields["documents"]), vectors, calibration)


def _scale(pair: object) -> tuple[float, float] | None:
    match pair:
        case None:
            return None
        case [mean, deviation] if _finite(deviation) > 0:
            return _finite(mean), _finite(deviation)
        case _:
            raise ValueError(pair)


def _finite(number: object) -> float:
    if not isinstance(number, int | float) or not math.isfinite(number):
        raise ValueError(number)
    return float(number)


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
    if not isinstance(record, dict) or not isinstance(record.get("id"), str):
        raise InputError("is not a document with an id")
    fields = ("id", "text", "title", "uri", "format", "metadata")
    document = checked(Document(**{"text": None, **{name: record[name] for name in fields if name in record}}))
    chunks = tuple(_chunks(record.get("chunks"), document.text))
    vectors = None
    if header.embedding is not None and record.get("vectors") is not None:
        vectors = _vectors(record["vectors"], len(chunks), header.embedding.dim)
    source = record.get("source")
    if source is not None and not (isinstance(source, str) and _is_utf8(source)):
        raise InputError(f"the source {source!r} is not valid text")
    return ExportedDocument(document, chunks, vectors, str(record.get("kept", "")), source)


def _chunks(value: object, text: str) -> Iterator[Chunk]:
    if not isinstance(value, Sequence) or not value:
        raise InputError("has no chunks")
    for chunk in value:
        match chunk:
            case [int(start), int(end), str(heading)] if 0 <= start <= end <= len(text) and _is_utf8(heading):
                yield Chunk(start, end, heading)
            case _:
                raise InputError(f"the chunk {chunk!r} is not a [start, end, heading] within the text")


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _vectors(value: object, count: int, dim: int) -> NDArray[np.float32]:
    try:
        data = base64.b64decode(str(value), validate=True)
    except binascii.Error as error:
        raise InputError(f"the vectors are not valid base64 ({error})") from error
    size = count * dim * _FLOAT.itemsize
    if len(data) != size:
        raise InputError(f"the vectors have {len(data)} bytes, not {size} for {count} chunks of {dim} float32 numbers")
    vectors = np.frombuffer(data, dtype=_FLOAT).reshape(count, dim).astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1)
    if not (np.isfinite(norms) & ((np.abs(norms - 1.0) < _TOLERANCE) | (norms == 0.0))).all():
        raise InputError("the vectors are not of unit norm")
    return vectors
