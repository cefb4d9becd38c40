"""Filters on a server: the client applies them, to the documents that the server can narrow them down to.

Types, dates, regular expressions and the way a dot in a name is read are `filters.predicate`'s to decide, which every
backend agrees with; a search asks the columns in memory, and comes here where they do not fit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hybridstore.backends.postgres.connection import Connection, rows
from hybridstore.backends.postgres.packed import json_object, text
from hybridstore.filters import And, Comparison, Filter, kind_of, parse, predicate

_AT_ONCE = 4096  # documents


@dataclass(frozen=True, slots=True)
class Filtered:
    """What of a document a filter can be about, and its row."""

    document: int
    own: dict[str, str]
    metadata: dict[str, Any]


def documents_passing(connection: Connection, where: Filter | None) -> Iterator[Filtered]:
    """Yield the documents that match a filter, in the order they were first added."""
    narrowed, values = _narrowed(where)
    passes: Callable[..., bool] = predicate(None if where is None else parse(where))  # parsed for its bounds
    statement = f"""SELECT document, id, title, uri, metadata FROM documents
                    WHERE document > %s AND {narrowed} ORDER BY document LIMIT {_AT_ONCE}"""
    last = 0
    while page := rows(connection, statement, last, *values):
        for document, id_, title, uri, metadata in page:
            own = {"id": text(id_), "title": text(title), "uri": text(uri)}
            found = Filtered(document, own, json_object(metadata))
            if passes(found.metadata, found.own):
                yield found
        last = page[-1][0]


def _narrowed(where: Filter | None) -> tuple[str, list[object]]:
    """Return a condition that every document meets which passes the filter: by its ids, where it names them."""
    members = where.filters if isinstance(where, And) else (where,)
    for member in members:
        if isinstance(member, And):
            condition = _narrowed(member)
            if condition[1]:
                return condition
        if isinstance(member, Comparison) and member.field == "@id" and member.operator in {"eq", "in"}:
            ids = member.value if member.operator == "in" else [member.value]
            hashes = [hashlib.sha256(id_.encode()).digest() for id_ in ids if kind_of(id_) == "text"]
            return "sha256(id) = ANY(%s::bytea[])", [hashes]
    return "true", []
