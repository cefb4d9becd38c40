"""What callers pass to a store, checked: documents, ids, filters and search options; and the digests of documents."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from functools import wraps
from json.encoder import encode_basestring_ascii
from operator import itemgetter
from typing import Any, ParamSpec, Protocol, TypedDict, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridstore.backends.batches import flat_json
from hybridstore.errors import InputError
from hybridstore.filters import Filter
from hybridstore.locations import without_secrets
from hybridstore.records import Document
from hybridstore.search.neighbours import Around
from hybridstore.search.rewriting import RewriteOption
from hybridstore.search.second_stage import Rerank, Reranker
from hybridstore.tables.plain_values import plain_object

_FORMATS = ("plain", "markdown", "code")
_TEXTS = ("text", "title", "uri", "format")
_FIELDS = tuple(field.name for field in fields(Document))

Where = Mapping[str, Any] | Filter | None
"""A filter over documents; None passes all of them."""

Addable = str | Document | Mapping[str, Any]
"""What becomes one document."""


P = ParamSpec("P")
R = TypeVar("R")

_ELSEWHERE = {
    "limit": "k top_k topk n n_results num_results max_results size count rows first top_n number_of_results",
    "where": "filter filters metadata_filter where_filter query_filter expr condition conditions",
    "vector": "embedding query_embedding query_vector query_embeddings embeddings",
    "min_relevance": "threshold score_threshold min_score similarity_threshold cutoff",
    "mode": "search_type retrieval_mode query_type",
    "query": "q text query_text query_texts question",
    "max_tokens": "budget token_budget tokens token_limit",
    "documents": "document docs texts doc",
}
_MEANT = {name: ours for ours, names in _ELSEWHERE.items() for name in names.split()}


class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: object = None) -> object: ...


Table = _ArrowStream | _ArrowArray
"""Anything that exports Arrow data: tables, batches and readers of pyarrow, frames of polars and pandas, Results."""


def checked_path(path: str | os.PathLike[str]) -> str:
    """Return a path as text; raises InputError for what cannot be the path of a file."""
    try:
        name = os.fsdecode(path)
        name.encode()
    except TypeError as error:
        raise InputError(f"a path is a text or a Path, not {path!r}") from error
    except UnicodeError as error:
        raise InputError(
            f"the path {without_secrets(name)!r} is not Unicode, which SQLite needs; rename the file or folder"
        ) from error
    if not name or "\0" in name:
        raise InputError(f"the path {without_secrets(name)!r} is empty or has a NUL character in it; name a file")
    return name


class SearchOptions(TypedDict, total=False):
    """The keyword arguments of `Store.search`, which describes each and its default."""

    limit: int
    where: Where
    mode: str
    fusion: str
    depth: int | None
    syntax: str
    min_relevance: float | None
    vector: ArrayLike | None
    unique: bool
    per_document: int | None
    diversity: float
    around: Around | None
    exclude: Iterable[str]
    rerank: Reranker | Rerank | None
    legs: str | Iterable[str] | None
    per: str
    norm: str
    hops: int
    rewrite: RewriteOption | None


def document_from(value: object) -> Document:
    """Make a Document of a text, a mapping with its fields, or a Document; raises InputError for anything else."""
    if isinstance(value, Document):
        return value
    if isinstance(value, str):
        if not value.strip():
            raise InputError("an empty text cannot be found again; give it a title, or leave it out")
        return Document(text=value)
    if isinstance(value, Mapping):
        unknown = [str(key) for key in value if key not in _FIELDS]
        if unknown or "text" not in value:
            wrong = f"has the unknown fields {', '.join(unknown)}" if unknown else "has no text"
            raise InputError(f"a document {wrong}; its fields are {', '.join(_FIELDS)} (put others into metadata)")
        return Document(**value)
    if isinstance(value, os.PathLike):
        raise InputError(f"{os.fspath(value)!r} is a path: add_folder() and add() without vectors= read files")
    raise InputError(f"a document is a text, a Document or a mapping, not {type(value).__name__}")


def ids_from(value: str | Iterable[str]) -> list[str]:
    """Return one id, or several, as a list; raises InputError for values that are not strings."""
    ids = [value] if isinstance(value, str) else list(value)
    if unfit := [id_ for id_ in ids if not isinstance(id_, str)]:
        raise InputError(f"an id is a text, not {unfit[0]!r}")
    return ids


def checked(document: Document) -> Document:
    """Return a document that can be stored, with an id made from its content if it has none; raises InputError."""
    for field in _TEXTS:
        _check_text(document, field)
    if document.format not in _FORMATS:
        raise InputError(f"format of {_name(document)} is {document.format!r}; it must be one of {', '.join(_FORMATS)}")
    if not isinstance(document.metadata, Mapping):
        raise InputError(f"metadata of {_name(document)} must be a mapping, not {type(document.metadata).__name__}")
    metadata = plain_object(document.metadata, f"metadata of {_name(document)}") if document.metadata else {}
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
            f"{what} contains half of a character at position {error.start} (a lone surrogate), which cannot be "
            "stored; read the file with errors='replace'"
        ) from error


def content_digest(document: Document, *, whole: bool, vector: NDArray[np.float32] | None = None) -> bytes:
    """Return the 16 bytes that identify a document's content and how it was added.

    `whole`: it is one chunk at its caller's request; `vector`: the caller passed its vector. Adding a document whose
    digest is stored under its id changes nothing.
    """
    metadata = _sorted_json(document.metadata)
    how = "whole" if whole else "chunks"
    content: list[bytes] = []
    for part in (document.title, document.uri, document.format, metadata, how, document.text):
        data = part.encode()
        content += (len(data).to_bytes(8, "little"), data)
    if vector is not None:
        content.append(vector.tobytes())
    return hashlib.blake2b(b"".join(content), digest_size=16).digest()


def _sorted_json(metadata: Mapping[str, Any]) -> str:
    flat = flat_json(sorted(metadata.items(), key=itemgetter(0)), encode_basestring_ascii, ", ", ": ")
    return json.dumps(metadata, sort_keys=True) if flat is None else flat


def digest_of(text: str) -> bytes:
    """Return the 16 bytes that identify a text."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def names_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Make a method raise InputError for arguments that it does not take, with the name of the one that is meant."""
    parameters = inspect.signature(function).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.name != "self"]
    accepted = frozenset(known)
    most = sum(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not kwargs.keys() <= accepted:
            raise InputError(_sentence(function.__name__, known, next(name for name in kwargs if name not in accepted)))
        if len(args) > most:
            raise InputError(
                f"{function.__name__} takes only {', '.join(known[: most - 1])} by position; name the others: "
                + ", ".join(f"{name}=" for name in known[most - 1 :])
            )
        return function(*args, **kwargs)

    return call


def _sentence(function: str, known: list[str], unknown: str) -> str:
    meant = _MEANT.get(unknown.lower())
    close = [meant] if meant in known else get_close_matches(unknown, known, 1)
    if close:
        return f"{function} takes {close[0]}=, not {unknown}="
    return f"{function} takes no {unknown}=; it takes {', '.join(f'{name}=' for name in known)}"
