"""The readers of csv, tsv, JSON lines and JSON: each row, line or object is a document."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from hybridstore.ingest.readers.conversations import conversations_in
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
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def read_csv(origin: Origin, kind: str) -> Iterator[Document]:
    """Yield a document for each row, named by the columns of the first row; only one row is in memory at a time.

    The separator is a tab in tsv; in csv it is whichever of , ; tab | is most frequent in the header. A numeric cell
    becomes a number in the metadata, an empty cell is omitted.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    with origin.lines() as lines:
        header_line = next((line for line in lines if line.strip()), "")
        delimiter = "\t" if kind == "tsv" else max(",;\t|", key=header_line.count)
        rows = csv.reader(chain([header_line], lines), delimiter=delimiter)
        try:
            header = column_names(next(rows, []))
            empty = True
            for number, row in enumerate(rows, start=1):
                names = [*header, *(f"column_{index}" for index in range(len(header) + 1, len(row) + 1))]
                record = {name: cell for name, cell in zip(names, row, strict=False) if cell.strip()}
                for document in record_documents(record, origin, kind, number, convert=_number):
                    empty = False
                    yield document
        except csv.Error as error:
            raise Unreadable(origin.name, f"line {rows.line_num} is not {kind} ({error})") from error
    if empty:
        raise Unreadable(origin.name, "has a header but no rows")


def read_jsonl(origin: Origin, kind: str) -> Iterator[Document]:
    """Yield a document for each line with a JSON object; only one line is in memory at a time. Skips blank lines."""
    empty = True
    with origin.lines() as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = _parse(line)
            except (ValueError, RecursionError) as error:
                raise Unreadable(origin.name, f"line {number} is not JSON ({error})") from error
            if not isinstance(record, dict):
                raise Unreadable(origin.name, f"line {number} is JSON but not an object")
            for document in conversations_in([record], origin, kind, number) or record_documents(
                record, origin, kind, number
            ):
                empty = False
                yield document
    if empty:
        raise Unreadable(origin.name, "contains no objects")


def read_json(origin: Origin, kind: str) -> Iterator[Document]:
    """Yield a document for each object in a list, or for a single object.

    Exports of conversations give a document for each conversation, OpenAPI descriptions one.
    """
    text = origin.text()
    try:
        content = _parse(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(origin.name, f"is not JSON ({error})") from error
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
    numbered: Iterator[tuple[int | None, Any]]
    if isinstance(content, dict):
        numbered = iter([(None, content)])
    elif isinstance(content, list) and all(isinstance(record, dict) for record in content):
        numbered = enumerate(content, start=1)
    else:
        raise Unreadable(origin.name, "is JSON, but neither an object nor a list of objects")
    documents = [document for number, record in numbered for document in record_documents(record, origin, kind, number)]
    if not documents:
        raise Unreadable(origin.name, "contains no objects with any content")
    yield from documents


def record_documents(
    record: Mapping[str, Any],
    origin: Origin,
    kind: str,
    number: int | None,
    *,
    convert: Callable[[Any], Any] = lambda cell: cell,
    place: str = "",
) -> Iterator[Document]:
    """Yield the document of a record, none if it has no content. `number` is None if the record is the whole file.

    `place` is what follows the path and "#" in the id; "" for the record's own id or its number.
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
    document_id = origin.name if number is None else f"{origin.name}#{place or row_id or number}"
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


def _number(cell: str) -> str | int | float:
    if _INTEGER.match(cell):
        return int(cell)
    if _DECIMAL.match(cell):
        number = float(cell)
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
    record = json.loads(text.lstrip("\ufeff"), parse_constant=lambda _: None, parse_float=_finite)
    record = _without_surrogates(record) if "\\u" in text else record
    if _depth(record) > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
    return record


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


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(part) for name, part in value.items()}
    return [_without_surrogates(part) for part in value] if isinstance(value, list) else value
