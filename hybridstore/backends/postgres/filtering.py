"""Filters on a server: the client applies them, to the documents that the server can narrow them down to.

Types, dates, regular expressions and the way a dot in a name is read are `filters.predicate`'s to decide, which every
backend agrees with; a search asks the columns in memory, and comes here where they do not fit.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hybridstore.backends.postgres.connection import Connection, rows
from hybridstore.backends.postgres.packed import json_object, text
from hybridstore.filters import And, Comparison, Filter, Or, field_path, kind_of, parse, predicate
from hybridstore.filters.text_tests import compared_instant
from hybridstore.filters.tree import Paths

_AT_ONCE = 4096  # documents
_MOST_VALUES = 16  # of `in` that are looked for one by one
_LARGE = 10**15  # numbers below are written in one way
_PLAIN = re.compile(r"[ !#-\[\]-~]+")  # what JSON never escapes


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


Sql = tuple[str, list[object]]
_ALL: Sql = ("true", [])


def _narrowed(where: Filter | None) -> Sql:
    """Return a condition that every document meets which passes the filter, and usually few others.

    Metadata are the JSON they were given as: a field that is there has its key among its bytes, and one that equals a
    word or a number has that as well.
    """
    match where:
        case And(members) | Or(members):
            return _joined(" AND " if isinstance(where, And) else " OR ", map(_narrowed, members))
        case Comparison(name, sign, value):
            path = field_path(name)
            if not isinstance(path, str):
                return _of_metadata(path, sign, value)
            if path == "id" and sign in {"eq", "in"}:
                ids = value if sign == "in" else [value]
                hashes = [hashlib.sha256(id_.encode()).digest() for id_ in ids if kind_of(id_) == "text"]
                return "sha256(id) = ANY(%s::bytea[])", [hashes]
    return _ALL


def _of_metadata(paths: Paths, sign: str, value: Any) -> Sql:
    if sign in {"ne", "nin"} or (sign == "exists" and not value):
        return _ALL
    keys = sorted({json.dumps(path[-1], ensure_ascii=False) for path in paths})
    if sign == "in":
        begins = [_beginning("eq", each) for each in value] if len(value) <= _MOST_VALUES else [""]
    else:
        begins = [_beginning(sign, value)]
    if "" in begins or not begins:
        return _held(keys)
    # The value itself, a list that may hold it, and whatever another writer of JSON puts behind a colon.
    return _held([f"{key}:{begin}" for key in keys for begin in (*dict.fromkeys(begins), "[", " ")])


def _beginning(sign: str, value: Any) -> str:
    """Return how the JSON of all values begins that the comparison holds for; "" where that is not known."""
    if sign not in {"eq", "prefix"} or (sign == "eq" and compared_instant(value) is not None):
        return ""
    if isinstance(value, str):
        return f'"{value}"'.removesuffix("" if sign == "eq" else '"') if _PLAIN.fullmatch(value) else ""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if value == 0 or not abs(value) < _LARGE:  # -0.0 is 0, and 1e+20 another way of writing a number
        return ""
    return str(int(value)) if value == int(value) else json.dumps(value)  # of 5 and of 5.0


def _held(pieces: Sequence[str]) -> Sql:
    condition = " OR ".join(["position(%s::bytea IN metadata) > 0"] * len(pieces))
    return f"({condition})", [piece.encode() for piece in pieces]


def _joined(word: str, parts: Iterable[Sql]) -> Sql:
    """Join conditions; where one of several that need not all hold is that of all documents, so is this."""
    found = list(parts)
    if word == " OR " and _ALL in found:
        return _ALL
    found = [part for part in found if part != _ALL]
    if len(found) < 2:
        return found[0] if found else _ALL
    return f"({word.join(condition for condition, _ in found)})", [each for _, values in found for each in values]
