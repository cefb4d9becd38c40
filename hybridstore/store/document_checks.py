"""A caller's document: made from what was given, seen to be storable, and told apart by what it holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridstore.errors import InputError
from hybridstore.records import Document

_FORMATS = ("plain", "markdown", "code")
_TEXTS = ("text", "title", "uri", "format")
_FIELDS = tuple(field.name for field in fields(Document))


def document_from(given: object) -> Document:
    """Make a Document of a text, a mapping with its fields, or a Document; raises InputError for anything else."""
    if isinstance(given, Document):
        return given
    if isinstance(given, str):
        if not given.strip():
            raise InputError("an empty text cannot be found again; give it a title, or leave it out")
        return Document(text=given)
    if isinstance(given, Mapping):
        unknown = [str(key) for key in given if key not in _FIELDS]
        if unknown or "text" not in given:
            wrong = f"has the unknown fields {', '.join(unknown)}" if unknown else "has no text"
            raise InputError(f"a document {wrong}; its fields are {', '.join(_FIELDS)} (put others into metadata)")
        return Document(**given)
    raise InputError(f"a document is a text, a Document or a mapping, not {type(given).__name__}")


def ids_from(given: str | Iterable[str]) -> list[str]:
    """Give one id, or some, as a list; raises InputError for what is no text."""
    wanted = [given] if isinstance(given, str) else list(given)
    if unfit := [each for each in wanted if not isinstance(each, str)]:
        raise InputError(f"an id is a text, not {unfit[0]!r}")
    return wanted


def checked(document: Document) -> Document:
    """See that a document can be stored, and give it an id made from its content if it has none."""
    for field in _TEXTS:
        _check_text(document, field)
    if document.format not in _FORMATS:
        raise InputError(f"format of {_name(document)} is {document.format!r}; it must be one of {', '.join(_FORMATS)}")
    if not isinstance(document.metadata, Mapping):
        raise InputError(f"metadata of {_name(document)} must be a mapping, not {type(document.metadata).__name__}")
    metadata = _as_json(document) if document.metadata else {}
    id_ = document.id
    if id_ is None:
        id_ = digest_of(f"{document.title}\x00{document.uri}\x00{document.text}").hex()
    elif not id_:
        raise InputError("an id must not be empty; leave it out to have one made from the content")
    else:
        _check_text(document, "id")
    return Document(  # `replace` takes four times as long
        text=document.text, id=id_, title=document.title, uri=document.uri, metadata=metadata, format=document.format
    )


def _name(document: Document) -> str:
    return f"document {document.id!r}" if document.id is not None else "a document without id"


def _check_text(document: Document, field: str) -> None:
    value: object = getattr(document, field)
    if isinstance(value, str) and value.isascii():
        return
    what = f"id {value!r}" if field == "id" else f"{field} of {_name(document)}"
    if not isinstance(value, str):
        raise InputError(f"{what} must be a string, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{what} holds half of a character at position {error.start} (a lone surrogate), which cannot be stored; "
            "read the file with errors='replace'"
        ) from error


def _as_json(document: Document) -> dict[str, Any]:
    try:
        text = json.dumps(dict(document.metadata), allow_nan=False, ensure_ascii=False)
        text.encode()  # a lone surrogate cannot be stored
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"metadata of {_name(document)} must be JSON (text, numbers, true/false, null, lists, objects): {error}"
        ) from error
    copy: dict[str, Any] = json.loads(text)
    return copy


def content_digest(document: Document, *, whole: bool, vector: NDArray[np.float32] | None = None) -> bytes:
    """Give the 16 bytes that stand for all of a document's content and for how it is kept.

    `whole`: it is one chunk by its caller's wish; `vector`: and the caller gave its vector. Adding a document
    whose digest is stored under its id does nothing.
    """
    metadata = json.dumps(document.metadata, sort_keys=True) if document.metadata else "{}"
    how = "whole" if whole else "chunks"
    content: list[bytes] = []
    for part in (document.title, document.uri, document.format, metadata, how, document.text):
        data = part.encode()
        content += (len(data).to_bytes(8, "little"), data)
    if vector is not None:
        content.append(vector.tobytes())
    return hashlib.blake2b(b"".join(content), digest_size=16).digest()


def digest_of(text: str) -> bytes:
    """Give the 16 bytes that stand for a text."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
