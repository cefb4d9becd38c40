"""The readers of csv, tsv, JSON lines and JSON: each row, line or object is a document."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from hybridstore.ingest.readers.conversations import conversations_in
from hybridstore.ingest.readers.csv_rows import table_of
from hybridstore.ingest.readers.openapi import is_openapi, openapi_document
from hybridstore.ingest.readers.origin import STDIN, Origin, Unreadable
from hybridstore.records import Document

if TYPE_CHECKING:
    from collections.abc import Sequence

_IDS, _TITLES, _TEXTS, _URIS = ("_id", "id"), ("title",), ("text", "content", "body"), ("url", "uri")

_DEEPEST = 100  # levels of lists and objects inside each other, far from the end of Python's call stack
_LONGEST_FIELD = 1 << 30  # the csv module's own limit is 128 KiB, less than one long article
_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})\Z")  # within 64 bits; leading zeros mean a code, not a number
_DECIMAL = re.compile(r"-?\d+\.\d+(?:[eE][+-]?\d+)?\Z")
_BETWEEN = re.compile(r"[\s,\ufeff\x1e]*")  # the last is the mark of JSON text sequences, RFC 7464
_REPORTED = 3  # invalid lines
_WRAPPERS = frozenset(("data", "items", "results", "records", "rows", "documents", "entries", "hits", "features"))
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def read_csv(origin: Origin, kind: str) -> Iterator[Document]:
    """Yield a document for each row below the header; only one row is in memory at a time.

    What was assumed about the table is reported: see `csv_rows`. A numeric cell becomes a number in the metadata, an
    empty cell is omitted; text above the header is the title of rows without one.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    empty = True
    with origin.lines() as lines:
        table = table_of(lines, kind)
        if table is None:
            raise Unreadable(origin.name, "is empty")
        header = column_names(table.names)
        convert = partial(_number, decimal_comma=table.decimal_comma)
        for number, row in enumerate(table.rows, start=1):
            names = [*header, *(f"column_{index}" for index in range(len(header) + 1, len(row) + 1))]
            record = {name: cell for name, cell in zip(names, row, strict=False) if cell.strip()}
            for document in record_documents(record, origin, kind, f"row={number}", convert=convert):
                empty = False
                yield document if document.title or not table.above else replace(document, title=table.above)
    if empty:
        raise Unreadable(origin.name, "has a header but no rows")
    if table.notes:
        origin.notice("; ".join(table.notes))


def read_jsonl(origin: Origin, kind: str, *, are_lines: bool = False) -> Iterator[Document]:
    """Yield a document for each JSON object; only one line is in memory at a time. Skips and reports invalid lines.

    A file of which no line gives a document is read as JSON, unless it is known that `are_lines`.
    """
    empty = True
    invalid: list[str] = []
    with origin.lines() as lines:
        for place, record in _records(lines, invalid):
            found = conversations_in([record], origin, kind, place)
            for document in found or record_documents(record, origin, kind, place):
                empty = False
                yield document
    if empty and invalid:
        if are_lines:
            raise Unreadable(origin.name, invalid[0])
        try:
            yield from read_json(origin, kind)
        except Unreadable as error:
            raise Unreadable(origin.name, invalid[0]) from error
    elif empty:
        raise Unreadable(origin.name, "contains no objects")
    elif invalid:
        more = f"; and {len(invalid) - _REPORTED:,} more lines" if len(invalid) > _REPORTED else ""
        origin.notice(f"{'; '.join(invalid[:_REPORTED])}{more}: left out")


def _records(lines: Iterator[str], invalid: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of JSON lines with their places; what is wrong with other lines is added to `invalid`."""
    for number, line in enumerate(lines, start=1):
        values: list[Any] = []
        try:
            values = _parse_all(line)
        except (ValueError, RecursionError) as error:
            invalid.append(f"line {number} is not JSON ({error})" if len(invalid) < _REPORTED else "")
        objects = [value for value in values if isinstance(value, dict)]
        if len(objects) < len(values):
            invalid.append(f"line {number} is JSON but not an object")
        for index, record in enumerate(objects, start=1):
            yield f"line={number}" if index == 1 else f"line={number}.{index}", record


def read_json(origin: Origin, kind: str) -> Iterator[Document]:
    """Yield a document for each object in a list, or for a single object.

    Exports of conversations give a document for each conversation, OpenAPI descriptions one. Objects one after another
    are read as a list, and so is the only list in an object, such as an API's `{"data": […]}`.
    """
    content = _content(origin)
    if content is None:
        yield from read_jsonl(origin, kind, are_lines=True)
        return
    if is_openapi(content):
        document = openapi_document(content)
        name = "" if origin.name == STDIN else origin.name
        metadata = {"path": origin.name, "type": kind, **document.metadata}
        yield replace(document, id=name or None, uri=name, metadata=metadata)
        return
    conversations = conversations_in(content, origin, kind)
    if conversations:
        yield from conversations
        return
    records = _wrapped(content) if isinstance(content, dict) else content if isinstance(content, list) else []
    objects = [(number, record) for number, record in enumerate(records, start=1) if isinstance(record, dict)]
    if isinstance(content, dict) and not objects:
        documents = list(record_documents(content, origin, kind, None))
    elif objects or isinstance(content, dict):
        found = (record_documents(record, origin, kind, f"item={number}") for number, record in objects)
        documents = list(chain.from_iterable(found))
    else:
        raise Unreadable(origin.name, "is JSON, but neither an object nor a list of objects")
    if not documents:
        raise Unreadable(origin.name, "contains no objects with any content")
    if objects and len(objects) < len(records):
        origin.notice(f"{len(records) - len(objects):,} of its {len(records):,} items are not objects: left out")
    yield from documents


def _content(origin: Origin) -> Any:
    """Return the content of a JSON file: a list for several values one after another, None for JSON lines."""
    text = origin.text()
    try:
        return _parse(text)
    except (ValueError, RecursionError) as error:
        failure = Unreadable(origin.name, f"is not JSON ({error})")
        failure.__cause__ = error
    try:
        return _parse_all(text)
    except (ValueError, RecursionError):
        first = text.lstrip().splitlines()[0]
        if "\n" not in text.strip():
            raise failure from None
    try:
        if isinstance(_parse(first), dict):
            return None
    except (ValueError, RecursionError):
        pass
    raise failure


def _wrapped(content: Mapping[str, Any]) -> list[Any]:
    """Return the objects that an object is a wrapper of; none if it has a text, or other lists of objects."""
    lists = {name: value for name, value in content.items() if isinstance(value, list) and value}
    lists = {name: value for name, value in lists.items() if any(isinstance(part, dict) for part in value)}
    names = {name.strip().lower() for name in content}
    if len(lists) != 1 or names & {*_TEXTS, *_TITLES} or next(iter(lists)).lower() not in _WRAPPERS:
        return []
    return next(iter(lists.values()))


def record_documents(
    record: Mapping[str, Any],
    origin: Origin,
    kind: str,
    number: str | None,
    *,
    convert: Callable[[Any], Any] = lambda cell: cell,
    place: str = "",
) -> Iterator[Document]:
    """Yield the document of a record, none if it has no content.

    `number` is as "row=3", so that it is not another record's id; None if the record is the whole file. `place` is
    what follows the path and "#" in the id; "" for the record's own id or its number.
    """
    names = {name.strip().lower(): name for name in reversed(list(record))}  # of equal names the first counts
    keys = [next((names[name] for name in known if name in names), None) for known in (_IDS, _TITLES, _TEXTS, _URIS)]
    id_key, _, text_key, _ = keys
    row_id, title, text, uri = ("" if key is None else _as_text(record[key]) for key in keys)
    if not text.strip():
        text = "" if title.strip() and text_key is not None else _listing(record, id_key)
        if not text and not title.strip():
            return
    metadata: dict[str, Any] = {"path": origin.name, "type": kind}
    for name, cell in record.items():
        if name == "metadata" and isinstance(cell, Mapping):
            metadata.update(cell)
        elif name not in keys and cell is not None:
            metadata[name] = convert(cell)
    if origin.name == STDIN:
        yield Document(text=text, id=row_id or None, title=title, uri=uri, metadata=metadata)
        return
    document_id = origin.name if number is None else f"{origin.name}#{place or row_id.strip() or number}"
    yield Document(text=text, id=document_id, title=title, uri=uri or document_id, metadata=metadata)


def _listing(record: Mapping[str, Any], id_key: str | None) -> str:
    """Return the fields of a record without a text, one per line."""
    texts = ((name, _as_text(cell)) for name, cell in record.items() if name != id_key)
    return "\n".join(f"{name}: {text}" for name, text in texts if text.strip())


def _as_text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, list) and all(isinstance(part, str) for part in cell):
        return "\n".join(cell)
    return json.dumps(cell, ensure_ascii=False)


def _number(cell: str, *, decimal_comma: bool = False) -> str | int | float:
    cell = cell.strip()
    if _INTEGER.match(cell):
        return int(cell)
    point = cell.replace(",", ".") if decimal_comma else cell
    if _DECIMAL.match(point):
        number = float(point)
        return number if math.isfinite(number) else cell
    return cell


def column_names(header: Sequence[str]) -> list[str]:
    """Return a header's names without repetitions; a blank one is named by its position."""
    names: list[str] = []
    taken: set[str] = set()
    for index, cell in enumerate(header, start=1):
        name = cell.strip() or f"column_{index}"
        names.append(f"{name}_{index}" if name in taken else name)
        taken.add(names[-1])
    return names


def _parse(text: str) -> Any:
    """Parse JSON, with null for NaN and infinity, which some programs write, and U+FFFD for lone surrogates."""
    return _checked(_DECODER.decode(text.lstrip("\ufeff")), text)


def _parse_all(text: str) -> list[Any]:
    """Parse JSON values one after another, with or without commas or white space between them."""
    values: list[Any] = []
    position = _BETWEEN.match(text, 0).end()  # type: ignore[union-attr]
    while position < len(text):
        value, end = _DECODER.raw_decode(text, position)
        values.append(_checked(value, text))
        position = _BETWEEN.match(text, end).end()  # type: ignore[union-attr]
    return values


def _checked(record: Any, text: str) -> Any:
    if _depth(record) > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
    return _without_surrogates(record) if "\\u" in text else record


def _depth(value: Any) -> int:
    """Return how many levels of lists and objects are inside each other, at most one more than are read."""
    depth, level = 0, [value]
    while depth <= _DEEPEST and (level := [part for part in level if isinstance(part, dict | list)]):
        depth += 1
        level = [inner for part in level for inner in (part.values() if isinstance(part, dict) else part)]
    return depth


def _finite(digits: str) -> float | None:
    number = float(digits)  # infinite for 1e999, which is valid JSON
    return number if math.isfinite(number) else None


_DECODER = json.JSONDecoder(parse_constant=lambda _: None, parse_float=_finite)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(part) for name, part in value.items()}
    return [_without_surrogates(part) for part in value] if isinstance(value, list) else value
