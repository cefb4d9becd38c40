"""Haystack's Documents and filters as a store's, and Documents back again without loss.

Content is the text and meta the metadata, so that a file filled from Haystack reads like any other. The rest of a
Document is in the metadata under the key `_haystack`: a blob, a score, the embedding before it was scaled, whether
there was content, and the moment of every date in meta, so that dates in different notations compare.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from haystack import Document
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.errors import FilterError

from hybridstore import records
from hybridstore.errors import InputError
from hybridstore.filters import And, Comparison, Filter, Not, Or, parse, passes_all
from hybridstore.filters.text_tests import compared_instant

OURS = "_haystack"

_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]|$)", re.ASCII)  # what Haystack takes for a date
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - microseconds from here are whole numbers that floats hold exactly
_ORDERED = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_OPERATORS = ("==", "!=", *_ORDERED, "in", "not in")
_GROUPS = ("AND", "OR", "NOT")
_UNFILTERED = ("content", "blob", "meta", "score", "embedding", "sparse_embedding")  # fields a store cannot filter by

# Documents


def to_store(document: Document) -> records.Document:
    """Return a Document as the store's; raises InputError if its meta uses our key."""
    _check_key(document.meta, f"meta of document {document.id!r}")
    own: dict[str, Any] = {}
    if document.content is None:
        own["content"] = None
    if document.blob is not None:
        data = base64.b64encode(document.blob.data).decode()
        own["blob"] = {"data": data, "meta": document.blob.meta, "mime_type": document.blob.mime_type}
    if document.score is not None:
        own["score"] = document.score
    if document.embedding is not None:
        own["embedding"] = _packed(document.embedding)
    if document.sparse_embedding is not None:
        own["sparse_embedding"] = document.sparse_embedding.to_dict()
    return records.Document(id=document.id, text=document.content or "", metadata=_metadata(document.meta, own))


def from_store(document: records.Document, *, score: float | None = None, embedding: bool = True) -> Document:
    """Return a document of the store as a Document, with this score or else its own, and its embedding if wanted.

    Title and uri of one that was not written from Haystack are in its meta.
    """
    own = document.metadata.get(OURS, {})
    blob, sparse = own.get("blob"), own.get("sparse_embedding")
    return Document(
        id=str(document.id),
        content=own.get("content", document.text),
        blob=blob and ByteStream(base64.b64decode(blob["data"]), meta=blob["meta"], mime_type=blob["mime_type"]),
        meta=meta_of(document.metadata, title=document.title, uri=document.uri),
        score=own.get("score") if score is None else score,
        embedding=_unpacked(own["embedding"]) if embedding and "embedding" in own else None,
        sparse_embedding=sparse and SparseEmbedding.from_dict(sparse),
    )


def with_meta(document: records.Document, meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document's metadata with the fields of `meta` set."""
    _check_key(meta, "meta")
    own = {name: value for name, value in document.metadata.get(OURS, {}).items() if name != "dates"}
    return _metadata({name: value for name, value in document.metadata.items() if name != OURS} | dict(meta), own)


def meta_of(metadata: Mapping[str, Any], **own: str) -> dict[str, Any]:
    """Return a document's meta, with its own fields such as the title unless the metadata have them."""
    fields = {name: value for name, value in own.items() if value}
    return fields | {name: value for name, value in metadata.items() if name != OURS}


def _metadata(meta: Mapping[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    if dates := _dates(meta):
        own["dates"] = dates
    return {**meta, OURS: own} if own else dict(meta)


def _check_key(meta: Mapping[str, Any], what: str) -> None:
    if OURS in meta:
        raise InputError(f"{what} has the key {OURS!r}, which the store needs; rename it")


def _moment(date: str | datetime) -> dict[str, int] | None:
    """Return a date in microseconds since 1970: in its own zone ("wall"), and in UTC if its zone is known.

    None for a text that is not an ISO 8601 date beginning YYYY-MM-DD.
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
    """Return the moments of all dates in meta, by their names there."""
    dates: dict[str, Any] = {}
    for name, value in meta.items():
        if isinstance(value, Mapping):
            dates[name] = _dates(value)
        elif isinstance(value, str):
            dates[name] = _moment(value)
    return {name: value for name, value in dates.items() if value}


def _packed(embedding: Sequence[float]) -> str:
    """Return an embedding as text: four bytes a number if they hold it exactly, as with most models, else eight."""
    exact = np.asarray(embedding, dtype="<f8")
    with np.errstate(over="ignore"):
        single = exact.astype("<f4")
    packed, kind = (single, "f4") if (single == exact).all() else (exact, "f8")
    return f"{kind}:{base64.b64encode(packed.tobytes()).decode()}"


def _unpacked(text: str) -> list[float]:
    kind, _, data = text.partition(":")
    numbers: list[float] = np.frombuffer(base64.b64decode(data), dtype=f"<{kind}").tolist()
    return numbers


# filters, as https://docs.haystack.deepset.ai/docs/metadata-filtering defines them


def filter_of(filters: Mapping[str, Any] | None) -> Filter | None:
    """Return the store's filter; None for an empty one.

    Fields are `id`, `meta.name` or `name`; dots nest. None equals a missing field, and nothing is above or below it;
    `!=`, `not in` and NOT are plain negations. Dates, which are datetimes or ISO 8601 texts that begin YYYY-MM-DD,
    compare as moments, and one without a zone is taken to be in the other's, if the documents were written from
    Haystack. Other types compare with their own alone. Raises FilterError for an invalid filter.
    """
    if not filters:
        return None
    try:
        return parse(_filter(filters))
    except InputError as error:
        raise FilterError(str(error)) from error
    except RecursionError as error:
        raise FilterError("the filter is nested too deep, or in itself; flatten it") from error


def restricting_filter(filters: Mapping[str, Any] | None, remedy: str) -> Filter:
    """Return the filter for a change; raises FilterError with the remedy if every document passes it."""
    where = filter_of(filters)
    if where is None or passes_all(where):
        raise FilterError(f"the filter restricts nothing, so it would change every document; {remedy}")
    return where


def _filter(condition: object) -> Filter:
    if not isinstance(condition, Mapping):
        raise FilterError(f"a filter must be a dictionary, not {condition!r}")
    for key in ("operator", "value") if "field" in condition else ("operator", "conditions"):
        if key not in condition:
            raise FilterError(f"the key {key!r} is missing in {condition!r}")
    if "field" in condition:
        return _comparison(condition["field"], condition["operator"], condition["value"])
    operator, conditions = condition["operator"], condition["conditions"]
    if operator not in _GROUPS:
        raise FilterError(f"{operator!r} does not join conditions; use one of {', '.join(_GROUPS)}")
    if not isinstance(conditions, list | tuple):
        raise FilterError(f"conditions must be a list of filters, not {conditions!r}")
    members = tuple(_filter(member) for member in conditions)
    if operator == "OR":
        return Or(members)
    return Not(And(members)) if operator == "NOT" else And(members)


def _comparison(field: object, operator: object, value: Any) -> Filter:
    if operator not in _OPERATORS:
        raise FilterError(f"{operator!r} is not a comparison; use one of {', '.join(_OPERATORS)}")
    names = _names(field)
    if operator in _ORDERED:
        return _ordered(names, _ORDERED[str(operator)], value)
    if operator in ("==", "!="):
        equal = _equal(names, [value])
        return equal if operator == "==" else Not(equal)
    if not isinstance(value, list):
        raise FilterError(f"{operator!r} of {field!r} takes a list, not {value!r}")
    equal = _equal(names, value)
    return equal if operator == "in" else Not(equal)


def _names(field: object) -> tuple[str, str]:
    """Return the store's names of a field's value and of its moment, "" if it can have none."""
    if not isinstance(field, str) or field in _UNFILTERED:
        raise FilterError(f"documents are not filtered by {field!r}, but by id and by meta: 'meta.name'")
    if field == "id":
        return "@id", ""
    name = "".join(f"\\{sign}" if sign in "@$\\" else sign for sign in field.removeprefix("meta."))
    return name, f"{OURS}.dates.{name}"


def _equal(names: tuple[str, str], values: Iterable[Any]) -> Filter:
    """Return the filter for a field that equals one of the values."""
    name, date_name = names
    plain: list[Any] = []
    parts: list[Filter] = []
    for value in values:
        if date_name and compared_instant(value) is not None:  # a store would take a time without a zone for UTC
            parts.append(Comparison(name, "regex", rf"\A{re.escape(value)}\Z"))
        elif not isinstance(value, datetime):
            plain.append(value)
        if value is None:
            parts.append(Comparison(name, "exists", False))
        elif date_name and isinstance(value, str | datetime) and (when := _moment(value)) is not None:
            parts.append(_compared_moments(date_name, "eq", when))
    return Or((Comparison(name, "in", plain), *parts))


def _ordered(names: tuple[str, str], operator: str, value: Any) -> Filter:
    name, date_name = names
    if value is None:
        return Or(())
    if not isinstance(value, str | datetime):
        return Comparison(name, operator, value)
    when = _moment(value)
    if when is None or not date_name:
        raise FilterError(
            f"{value!r} cannot be ordered; numbers can, and dates in meta written as YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS"
        )
    return _compared_moments(date_name, operator, when)


def _compared_moments(date_name: str, operator: str, when: Mapping[str, int]) -> Filter:
    """Compare in UTC where both zones are known, else by local time."""
    walls = Comparison(f"{date_name}.wall", operator, when["wall"])
    if "utc" not in when:
        return walls
    zoneless = And((Comparison(f"{date_name}.utc", "exists", False), walls))
    return Or((Comparison(f"{date_name}.utc", operator, when["utc"]), zoneless))
