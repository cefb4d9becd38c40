"""Documents, vectors and calibrations as they are written down outside of a store: in exports and in bundles.

What is read may have been written by anyone, so it is checked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.values import Calibration, StoredDocument
from hybridstore.errors import InputError
from hybridstore.records import Chunk, Document
from hybridstore.store.inputs import checked

FLOAT = np.dtype("<f4")
_TOLERANCE = 1e-3  # of a vector's norm from 1, which vectors converted to float16 and back keep to


def record_of(stored: StoredDocument) -> dict[str, Any]:
    """Return a document with its chunks and its source as values of JSON."""
    document = stored.document
    return {
        "id": document.id,
        "title": document.title,
        "uri": document.uri,
        "format": document.format,
        "metadata": document.metadata,
        "source": stored.source,
        "text": document.text,
        "chunks": [[chunk.start, chunk.end, chunk.heading] for chunk in stored.chunks],
    }


def document_of(record: object) -> tuple[Document, tuple[Chunk, ...], str | None]:
    """Return the document, chunks and source of a record; raises InputError with the reason if it is invalid."""
    if not isinstance(record, dict) or not isinstance(record.get("id"), str):
        raise InputError("is not a document with an id")
    fields = ("id", "text", "title", "uri", "format", "metadata")
    document = checked(Document(**{"text": None, **{name: record[name] for name in fields if name in record}}))
    chunks = tuple(_chunks(record.get("chunks"), document.text))
    source = record.get("source")
    if source is not None and not (isinstance(source, str) and _is_utf8(source)):
        raise InputError(f"the source {source!r} is not valid text")
    return document, chunks, source


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


def unit_vectors(data: bytes, count: int, dim: int) -> NDArray[np.float32]:
    """Return vectors (count, dim) from their bytes, little-endian; raises InputError unless they are of unit norm."""
    size = count * dim * FLOAT.itemsize
    if len(data) != size:
        raise InputError(f"the vectors have {len(data)} bytes, not {size} for {count} chunks of {dim} float32 numbers")
    vectors = np.frombuffer(data, dtype=FLOAT).reshape(count, dim).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(vectors, axis=1)
    if not (np.isfinite(norms) & ((np.abs(norms - 1.0) < _TOLERANCE) | (norms == 0.0))).all():
        raise InputError("the vectors are not of unit norm")
    return vectors


def calibration_of(values: Mapping[str, Any]) -> Calibration:
    """Return a calibration; raises ValueError, TypeError or KeyError for values that are none."""
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
    return calibration


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
