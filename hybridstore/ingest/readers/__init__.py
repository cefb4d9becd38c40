"""Readers: any file with text as documents, one for a file of prose or code, one for each row of a table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hybridstore.errors import InputError
from hybridstore.ingest.readers.csv_json import read_csv, read_json, read_jsonl
from hybridstore.ingest.readers.file_types import READERS, Kind, binary_reason, kind_of, kind_of_stream
from hybridstore.ingest.readers.html import read_html
from hybridstore.ingest.readers.office import read_docx, read_pdf
from hybridstore.ingest.readers.origin import STDIN, Origin, Unreadable
from hybridstore.ingest.readers.rst import read_rst
from hybridstore.records import Document
from hybridstore.text.chunking import first_heading

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["READERS", "Unreadable", "read"]

_HEAD = 4096  # bytes: enough for a shebang, a magic number or the first line of most JSON

_ROW_READERS = {"csv": read_csv, "tsv": read_csv, "jsonl": read_jsonl, "json": read_json}
_FILE_READERS = {
    "txt": lambda origin: Document(text=origin.text()),
    "md": lambda origin: Document(text=origin.text(), format="markdown"),
    "code": lambda origin: Document(text=origin.text(), format="code"),
    "html": read_html,
    "rst": read_rst,
    "pdf": read_pdf,
    "docx": read_docx,
}


def read(path: str | os.PathLike[str], *, kind: str | None = None) -> Iterator[Document]:
    """Yield the documents of a file, or of standard input for the path "-".

    A file of prose or code is one document with its absolute POSIX path as id and uri. Each row of csv, tsv, jsonl or a
    JSON list is a document, whose id is the path, "#", and the row's id or number; rows are streamed, except those of a
    JSON list. `metadata` has the path, the type and what the format provides (pages, author, language, other columns).
    Formats with headings become markdown.

    `kind`, one of READERS, overrides the file's name and content, and makes tables of standard input readable.

    Raises Unreadable for a file that is missing, empty, binary, encrypted, invalid or without text; a table may have
    yielded documents before the invalid row. Raises MissingExtra if a format needs a package that is not installed,
    InputError for an unknown `kind`.
    """
    if kind is not None and kind not in READERS:
        raise InputError(f"kind={kind!r} is not known; use one of {', '.join(READERS)}")
    return _documents(path, kind)


def _documents(path: str | os.PathLike[str], reader: str | None) -> Iterator[Document]:
    with Origin.of(path) as origin:
        kind = Kind(reader, reader) if reader else _kind(origin)
        if kind.reader in _ROW_READERS:
            yield from _ROW_READERS[kind.reader](origin, kind.reader)
        else:
            yield _with_file_metadata(_FILE_READERS[kind.reader](origin), origin, kind)


def _with_file_metadata(document: Document, origin: Origin, kind: Kind) -> Document:
    metadata: dict[str, Any] = {"path": origin.name, "type": kind.type}
    if kind.language:
        metadata["language"] = kind.language
    heading = first_heading(document.text) if document.format == "markdown" else ""
    return replace(
        document,
        id=None if origin.name == STDIN else origin.name,
        uri="" if origin.name == STDIN else origin.name,
        title=document.title or heading or origin.stem,
        metadata=metadata | dict(document.metadata),
    )


def _kind(origin: Origin) -> Kind:
    reason = binary_reason(origin.name)
    if reason:
        raise Unreadable(origin.name, f"is of a type without readable text ({reason})")
    with origin.open() as stream:
        head = stream.read(_HEAD)
    return kind_of_stream(head) if origin.name == STDIN else kind_of(origin.name, head)
