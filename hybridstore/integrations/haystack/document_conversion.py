"""Haystack's Documents as a store's documents, and back again without loss.

Content is the text and meta the metadata, so that a file filled from Haystack reads like any other. What else a
Document has stands in the metadata under one more key, `_haystack`: a blob, a score, the embedding as it was before it
was scaled, that there was no content at all; and for every date in meta when that was, so that dates written in
different ways compare.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from haystack import Document
from haystack.dataclasses import ByteStream, SparseEmbedding

from hybridstore import records
from hybridstore.errors import InputError

KEPT = "_haystack"

_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]|$)", re.ASCII)  # what Haystack takes for a date
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - microseconds from here are whole numbers that floats hold, too


def to_store(document: Document) -> records.Document:
    """Give a Document as the store keeps it; raises InputError where its meta uses our key."""
    if KEPT in document.meta:
        raise InputError(f"meta of document {document.id!r} has the key {KEPT!r}, which the store needs; rename it")
    kept: dict[str, Any] = {}
    if document.content is None:
        kept["content"] = None
    if document.blob is not None:
        data = base64.b64encode(document.blob.data).decode()
        kept["blob"] = {"data": data, "meta": document.blob.meta, "mime_type": document.blob.mime_type}
    if document.score is not None:
        kept["score"] = document.score
    if document.embedding is not None:
        kept["embedding"] = _packed(document.embedding)
    if document.sparse_embedding is not None:
        kept["sparse_embedding"] = document.sparse_embedding.to_dict()
    if dates := _dates(document.meta):
        kept["dates"] = dates
    metadata = {**document.meta, KEPT: kept} if kept else document.meta
    return records.Document(id=document.id, text=document.content or "", metadata=metadata)


def from_store(document: records.Document, *, score: float | None = None, embedding: bool = True) -> Document:
    """Give a document of the store as a Document: with this score, or else its own; without its embedding if told so.

    One that was not written from Haystack has its title and uri in meta, where it has them.
    """
    kept = document.metadata.get(KEPT, {})
    blob, sparse = kept.get("blob"), kept.get("sparse_embedding")
    return Document(
        id=str(document.id),
        content=kept.get("content", document.text),
        blob=blob and ByteStream(base64.b64decode(blob["data"]), meta=blob["meta"], mime_type=blob["mime_type"]),
        meta=meta_of(document.metadata, title=document.title, uri=document.uri),
        score=kept.get("score") if score is None else score,
        embedding=_unpacked(kept["embedding"]) if embedding and "embedding" in kept else None,
        sparse_embedding=sparse and SparseEmbedding.from_dict(sparse),
    )


def with_meta(document: records.Document, meta: Mapping[str, Any]) -> dict[str, Any]:
    """Give a document's metadata with the fields of `meta` set."""
    if KEPT in meta:
        raise InputError(f"meta has the key {KEPT!r}, which the store needs; rename it")
    kept = {name: value for name, value in document.metadata.get(KEPT, {}).items() if name != "dates"}
    changed = {name: value for name, value in document.metadata.items() if name != KEPT} | dict(meta)
    if dates := _dates(changed):
        kept["dates"] = dates
    return {**changed, KEPT: kept} if kept else changed


def meta_of(metadata: Mapping[str, Any], **own: str) -> dict[str, Any]:
    """Give a document's meta, with what the document itself is called, unless it says so already."""
    told = {name: value for name, value in own.items() if value}
    return told | {name: value for name, value in metadata.items() if name != KEPT}


def moment(date: str | datetime) -> dict[str, int] | None:
    """Say when a date is, in microseconds since 1970: by the clock on its wall, and in UTC if it names its zone.

    None for a text that is no ISO 8601 date beginning YYYY-MM-DD.
    """
    if isinstance(date, str):
        if not _DATE.match(date):
            return None
        try:
            date = datetime.fromisoformat(date)
        except ValueError:
            return None
    wall = (date.replace(tzinfo=None) - _EPOCH) // timedelta(microseconds=1)
    offset = date.utcoffset()
    return {"wall": wall} if offset is None else {"wall": wall, "utc": wall - offset // timedelta(microseconds=1)}


def _dates(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Give the moments of all dates in meta, under the names they have there."""
    found: dict[str, Any] = {}
    for name, value in meta.items():
        if isinstance(value, Mapping):
            found[name] = _dates(value)
        elif isinstance(value, str):
            found[name] = moment(value)
    return {name: value for name, value in found.items() if value}


def _packed(embedding: Sequence[float]) -> str:
    """Give an embedding as text: four bytes a number if that is all there is to it, as models give it, else eight."""
    exact = np.asarray(embedding, dtype="<f8")
    with np.errstate(over="ignore"):
        short = exact.astype("<f4")
    packed, kind = (short, "f4") if (short == exact).all() else (exact, "f8")
    return f"{kind}:{base64.b64encode(packed.tobytes()).decode()}"


def _unpacked(text: str) -> list[float]:
    kind, _, data = text.partition(":")
    numbers: list[float] = np.frombuffer(base64.b64decode(data), dtype=f"<{kind}").tolist()
    return numbers
