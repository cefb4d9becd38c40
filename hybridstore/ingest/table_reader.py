"""Reads tables and records: a row of csv, a line of JSON or an object of a JSON list is one document."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hybridstore.ingest.text_decoding import STDIN, Origin, Unreadable
from hybridstore.records import Document

if TYPE_CHECKING:
    from collections.abc import Sequence

_IDS, _TITLES, _TEXTS, _URIS = ("_id", "id"), ("title",), ("text", "content", "body"), ("url", "uri")

_LONGEST_FIELD = 1 << 30  # the csv module's own limit is 128 KiB, less than one long article
_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})\Z")  # no leading zeros: those are codes; and within 64 bits
_DECIMAL = re.compile(r"-?\d+\.\d+(?:[eE][+-]?\d+)?\Z")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def read_csv(origin: Origin, kind: str) -> Iterator[Document]:
    """Give a document per row, the first row naming the columns. Holds one row at a time.

    Columns are told apart by tabs in tsv; in csv by whichever of , ; tab | the header has most of. A cell that
    is a number is one in the metadata, an empty cell is none.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    with origin.lines() as lines:
        header_line = next((line for line in lines if line.strip()), "")
        delimiter = "\t" if kind == "tsv" else max(",;\t|", key=header_line.count)
        rows = csv.reader(_chain(header_line, lines), delimiter=delimiter)
        try:
            header = _distinct(next(rows, []))
            found = False
            for number, row in enumerate(rows, start=1):
                record = {
                    header[index] if index < len(header) else f"column_{index + 1}": cell
                    for index, cell in enumerate(row)
                    if cell.strip()
                }
                document = _document(record, origin, kind, number, value=_number)
                if document:
                    found = True
                    yield document
        except csv.Error as error:
            raise Unreadable(origin.name, f"line {rows.line_num} is not {kind} ({error})") from error
    if not found:
        raise Unreadable(origin.name, "holds a header but no rows")


def read_jsonl(origin: Origin, kind: str) -> Iterator[Document]:
    """Give a document per line, each a JSON object. Holds one line at a time; blank lines are passed over."""
    found = False
    with origin.lines() as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = _loads(line)
            except ValueError as error:
                raise Unreadable(origin.name, f"line {number} is not JSON ({error})") from error
            if not isinstance(record, dict):
                raise Unreadable(origin.name, f"line {number} is JSON but not an object")
            document = _document(record, origin, kind, number)
            if document:
                found = True
                yield document
    if not found:
        raise Unreadable(origin.name, "holds no objects")


def read_json(origin: Origin, kind: str) -> Iterator[Document]:
    """Give a document per object of a list, or the one document that a single object is."""
    try:
        content = _loads(origin.text())
    except (ValueError, RecursionError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(origin.name, f"is not JSON ({error})") from error
    if isinstance(content, dict):
        documents = [_document(content, origin, kind, None)]
    elif isinstance(content, list) and all(isinstance(record, dict) for record in content):
        documents = [_document(record, origin, kind, number) for number, record in enumerate(content, start=1)]
    else:
        raise Unreadable(origin.name, "is JSON, but neither an object nor a list of objects")
    if not any(documents):
        raise Unreadable(origin.name, "holds no objects with anything in them")
    yield from (document for document in documents if document)


def _document(
    record: Mapping[str, Any], origin: Origin, kind: str, number: int | None, value: Any = lambda cell: cell
) -> Document | None:
    """Make a document of one record; None if nothing stands in it. `number` None: the record is the whole file."""
    names = {name.strip().lower(): name for name in reversed(list(record))}  # of equal names the first counts
    keys = [next((names[name] for name in wanted if name in names), None) for wanted in (_IDS, _TITLES, _TEXTS, _URIS)]
    id_key, title_key, text_key, uri_key = keys
    row_id = _words(record[id_key]) if id_key is not None else ""
    title = _words(record[title_key]) if title_key is not None else ""
    text = _words(record[text_key]) if text_key is not None else ""
    if not text.strip():
        text = "" if title.strip() and text_key is not None else _listing(record, id_key)
        if not text and not title.strip():
            return None
    metadata = {"path": origin.name, "type": kind}
    for name, cell in record.items():
        if name in keys or cell is None:
            continue
        if name == "metadata" and isinstance(cell, Mapping):
            metadata.update(cell)
        else:
            metadata[name] = value(cell)
    part = row_id or (str(number) if number is not None else "")
    if origin.name == STDIN:
        return Document(
            text=text,
            id=row_id or None,
            title=title,
            uri=_words(record[uri_key]) if uri_key else "",
            metadata=metadata,
        )
    place = f"{origin.name}#{part}" if number is not None else origin.name
    uri = _words(record[uri_key]) if uri_key is not None else ""
    return Document(text=text, id=place, title=title, uri=uri or place, metadata=metadata)


def _listing(record: Mapping[str, Any], without: str | None) -> str:
    pairs = ((name, _words(cell)) for name, cell in record.items() if name != without)
    return "\n".join(f"{name}: {words}" for name, words in pairs if words.strip())


def _words(cell: Any) -> str:
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


def _distinct(header: Sequence[str]) -> list[str]:
    names: list[str] = []
    for index, cell in enumerate(header, start=1):
        name = cell.strip() or f"column_{index}"
        names.append(f"{name}_{index}" if name in names else name)
    return names


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _loads(text: str) -> Any:
    """Parse JSON as RFC 8259 has it, but for NaN and infinity, which some programs write where they have nothing.

    Half of a surrogate pair is no character and cannot be stored: it becomes U+FFFD.
    """
    record = json.loads(text.lstrip("\ufeff"), parse_constant=lambda _: None, parse_float=_finite)
    return _whole(record) if "\\u" in text else record


def _finite(digits: str) -> float | None:
    number = float(digits)  # 1e999 is JSON, but no number we can keep
    return number if math.isfinite(number) else None


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_whole(name): _whole(part) for name, part in value.items()}
    return [_whole(part) for part in value] if isinstance(value, list) else value
