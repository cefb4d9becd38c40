"""Reads any file that holds text into documents: one for a file of prose or code, one for a row of a table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hybridstore.errors import InputError
from hybridstore.ingest.file_types import READERS, Kind, binary_reason, kind_of, kind_of_stream
from hybridstore.ingest.text_decoding import STDIN, Origin, Unreadable
from hybridstore.records import Document
from hybridstore.text.chunking import first_heading

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["READERS", "Unreadable", "read"]

_HEAD = 4096  # enough for a shebang, a magic number or the first line of most JSON


def read(path: str | os.PathLike[str], *, kind: str | None = None) -> Iterator[Document]:
    """Give the documents of a file, or of standard input for the path "-".

    A file of prose or code is one document whose id and uri are its absolute POSIX path. A row of csv, tsv, jsonl
    or a JSON list is one of its own, its id the path, "#" and the row's id or number; such files are streamed,
    JSON lists aside. `metadata` holds the path, the type and what the format tells (pages, author, language,
    other columns). Formats of which headings are known come out as markdown.

    `kind` (one of READERS) overrides what name and content say, and is how standard input is told to be a table.

    Raises Unreadable, with the path and why, for a file that is missing, empty, binary, encrypted, broken or
    without text; a table may have given documents before the row that cannot be read. Raises MissingExtra where
    a format needs a package that is not installed, InputError for an unknown `kind`.
    """
    if kind is not None and kind not in READERS:
        raise InputError(f"kind={kind!r} is not known; use one of {', '.join(READERS)}")
    return _documents(path, kind)


def _documents(path: str | os.PathLike[str], given: str | None) -> Iterator[Document]:
    with Origin.of(path) as origin:
        yield from _documents_of(origin, given)


def _documents_of(origin: Origin, given: str | None) -> Iterator[Document]:
    kind = Kind(given, given) if given else _kind(origin)
    if kind.reader in ("csv", "tsv", "jsonl", "json"):
        from hybridstore.ingest import table_reader

        reader = {"jsonl": table_reader.read_jsonl, "json": table_reader.read_json}.get(
            kind.reader, table_reader.read_csv
        )
        yield from reader(origin, kind.reader)
        return
    document = _READERS_OF_ONE[kind.reader](origin)
    metadata: dict[str, Any] = {"path": origin.name, "type": kind.type}
    if kind.language:
        metadata["language"] = kind.language
    heading = first_heading(document.text) if document.format == "markdown" else ""
    yield replace(
        document,
        id=None if origin.name == STDIN else origin.name,
        uri="" if origin.name == STDIN else origin.name,
        title=document.title or heading or origin.stem,
        metadata=metadata | dict(document.metadata),
    )


def _kind(origin: Origin) -> Kind:
    reason = binary_reason(origin.name)
    if reason:
        raise Unreadable(origin.name, f"is of a kind that holds no text to read ({reason})")
    with origin.open() as stream:
        head = stream.read(_HEAD)
    return kind_of_stream(head) if origin.name == STDIN else kind_of(origin.name, head)


def _read_plain(origin: Origin) -> Document:
    return Document(text=origin.text())


def _read_markdown(origin: Origin) -> Document:
    return Document(text=origin.text(), format="markdown")


def _read_code(origin: Origin) -> Document:
    return Document(text=origin.text(), format="code")


def _read_html(origin: Origin) -> Document:
    from hybridstore.ingest.html_reader import read_html

    return read_html(origin)


def _read_rst(origin: Origin) -> Document:
    from hybridstore.ingest.rst_reader import read_rst

    return read_rst(origin)


def _read_pdf(origin: Origin) -> Document:
    from hybridstore.ingest.office_reader import read_pdf

    return read_pdf(origin)


def _read_docx(origin: Origin) -> Document:
    from hybridstore.ingest.office_reader import read_docx

    return read_docx(origin)


_READERS_OF_ONE = {
    "txt": _read_plain,
    "md": _read_markdown,
    "code": _read_code,
    "html": _read_html,
    "rst": _read_rst,
    "pdf": _read_pdf,
    "docx": _read_docx,
}
