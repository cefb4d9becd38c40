"""One line of an export, out and in: the header, and a document with its chunks and perhaps their vectors."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.values import Calibration, Embedding, StoredDocument
from hybridstore.errors import InputError
from hybridstore.records import Chunk, Document
from hybridstore.store.document_checks import checked, content_digest

VERSION = 1

_FLOAT = np.dtype("<f4")
_UNIT = 1e-3  # how far from 1 a vector's norm may be: float16 in between keeps within it


@dataclass(frozen=True, slots=True)
class Header:
    """An export's first line: whose vectors the store had, how many documents follow, and if vectors do.

    `background` is what the store measured about its vectors, where these follow.
    """

    language: str
    embedding: Embedding | None
    documents: int
    vectors: bool = False
    background: Calibration | None = None


@dataclass(frozen=True, slots=True)
class ExportedDocument:
    """A document of an export. `kept`: "whole" or "given" where it was added with `chunk=False` or its vector."""

    document: Document
    chunks: tuple[Chunk, ...]
    vectors: NDArray[np.float32] | None
    kept: str
    source: str | None


def header_line(header: Header) -> bytes:
    """Write a header."""
    return _line({"hybridstore": VERSION, **asdict(header)})


def document_line(stored: StoredDocument, digest: bytes) -> bytes:
    """Write a document; `digest` is the one it is stored under, which tells how it was added."""
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


def read_header(line: bytes, name: str) -> Header:
    """Read a header; raises InputError, naming the file, for anything else and for a newer version's."""
    try:
        found = json.loads(line)
        version = int(found["hybridstore"])
        header = _header(found) if version <= VERSION else None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(
            f"{name} is no export of a store: its first line is not the header; `hybridstore add` reads other files"
        ) from error
    if header is None:
        raise InputError(
            f"{name} was written by a newer hybridstore (export version {version}, this one knows {VERSION}); "
            "run `pip install --upgrade hybridstore`"
        )
    return header


def _header(found: Mapping[str, Any]) -> Header:
    owner = found["embedding"]
    embedding = None
    if owner is not None:
        embedding = Embedding(str(owner["fingerprint"]), str(owner["reference"]), int(owner["dim"]))
    measured = found.get("background")
    background = None
    if measured is not None:
        background = Calibration(
            fingerprint=str(measured["fingerprint"]),
            chunks=int(measured["chunks"]),
            **{name: _finite(measured[name]) for name in ("power", "chance", "spread")},
        )
    vectors = bool(found.get("vectors"))
    return Header(str(found["language"]), embedding, int(found["documents"]), vectors, background)


def _finite(number: object) -> float:
    if not isinstance(number, int | float) or not math.isfinite(number):
        raise ValueError(number)
    return float(number)


def read_row(line: bytes, header: Header) -> ExportedDocument:
    """Read a document; raises ValueError or RecursionError, which say why, for a line that cannot be used."""
    record = json.loads(line)
    if not isinstance(record, dict) or not isinstance(record.get("id"), str):
        raise InputError("is no document with an id")
    fields = ("id", "text", "title", "uri", "format", "metadata")
    document = checked(Document(**{"text": None, **{name: record[name] for name in fields if name in record}}))
    chunks = tuple(_chunks(record.get("chunks"), document.text))
    vectors = None
    if header.embedding is not None and record.get("vectors") is not None:
        vectors = _vectors(record["vectors"], len(chunks), header.embedding.dim)
    source = record.get("source")
    if source is not None and not (isinstance(source, str) and _whole(source)):
        raise InputError(f"the source {source!r} is no text")
    return ExportedDocument(document, chunks, vectors, str(record.get("kept", "")), source)


def _chunks(given: object, text: str) -> Iterator[Chunk]:
    if not isinstance(given, Sequence) or not given:
        raise InputError("has no chunks")
    for chunk in given:
        match chunk:
            case [int(start), int(end), str(heading)] if 0 <= start <= end <= len(text) and _whole(heading):
                yield Chunk(start, end, heading)
            case _:
                raise InputError(f"the chunk {chunk!r} is no [start, end, heading] within the text")


def _whole(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _vectors(given: object, count: int, dim: int) -> NDArray[np.float32]:
    try:
        data = base64.b64decode(str(given), validate=True)
    except binascii.Error as error:
        raise InputError(f"the vectors are no base64 ({error})") from error
    if len(data) != count * dim * _FLOAT.itemsize:
        needed = count * dim * _FLOAT.itemsize
        raise InputError(f"the vectors have {len(data)} bytes, {count} chunks of {dim} float32 numbers {needed}")
    vectors = np.frombuffer(data, dtype=_FLOAT).reshape(count, dim).astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1)
    if not (np.isfinite(norms) & ((np.abs(norms - 1.0) < _UNIT) | (norms == 0.0))).all():
        raise InputError("the vectors are not of unit norm")
    return vectors
