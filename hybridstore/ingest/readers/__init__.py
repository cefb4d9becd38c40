"""Readers: any file with text as documents, one for a file of prose or code, one for each row of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from shlex import quote as quoted
from typing import TYPE_CHECKING, Any, cast

from hybridstore.errors import InputError
from hybridstore.ingest.readers.csv_json import read_csv, read_json, read_jsonl
from hybridstore.ingest.readers.encodings import checked_encoding
from hybridstore.ingest.readers.epub import read_epub
from hybridstore.ingest.readers.file_types import (
    READERS,
    Kind,
    binary_reason,
    kind_of,
    kind_of_stream,
    readable_members,
)
from hybridstore.ingest.readers.front_matter import front_matter
from hybridstore.ingest.readers.html import read_html
from hybridstore.ingest.readers.latex import read_latex
from hybridstore.ingest.readers.mail import read_mail, read_mailbox
from hybridstore.ingest.readers.manual import read_manual
from hybridstore.ingest.readers.markup import read_asciidoc, read_org, read_rtf
from hybridstore.ingest.readers.noise import Removed, noise_of_name, noise_of_text, without_encoded
from hybridstore.ingest.readers.notebook import read_notebook
from hybridstore.ingest.readers.openapi import read_openapi_yaml
from hybridstore.ingest.readers.opendocument import read_opendocument
from hybridstore.ingest.readers.origin import STDIN, Noise, Origin, Unreadable
from hybridstore.ingest.readers.pdf import read_pdf
from hybridstore.ingest.readers.rst import read_rst
from hybridstore.ingest.readers.saved_pages import read_mhtml, read_webarchive
from hybridstore.ingest.readers.slides import read_pptx
from hybridstore.ingest.readers.spreadsheets import read_spreadsheet
from hybridstore.ingest.readers.subtitles import read_subtitles
from hybridstore.ingest.readers.word import read_docx
from hybridstore.ingest.readers.xml_text import read_evernote, read_xml
from hybridstore.records import Document
from hybridstore.text.chunking import first_heading

if TYPE_CHECKING:
    import os
    from pathlib import Path

__all__ = ["READERS", "Noise", "Unreadable", "read"]

_HEAD = 4096  # bytes: enough for a shebang, a magic number or the first line of most JSON

_ROW_READERS: dict[str, Callable[[Origin, str], Iterator[Document]]] = {
    "csv": read_csv,
    "tsv": read_csv,
    "jsonl": read_jsonl,
    "json": read_json,
    "xlsx": read_spreadsheet,
    "mbox": read_mailbox,
    "enex": read_evernote,
}
_FILE_READERS: dict[str, Callable[[Origin], Document]] = {
    "txt": lambda origin: _with_front_matter(Document(text=origin.text())),
    "md": lambda origin: _with_front_matter(Document(text=origin.text(), format="markdown")),
    "code": lambda origin: Document(text=origin.text(), format="code"),
    "rst": read_rst,
    "org": read_org,
    "asciidoc": read_asciidoc,
    "latex": read_latex,
    "rtf": read_rtf,
    "man": read_manual,
    "html": read_html,
    "xml": read_xml,
    "pdf": read_pdf,
    "docx": read_docx,
    "pptx": read_pptx,
    "odt": read_opendocument,
    "epub": read_epub,
    "eml": read_mail,
    "mhtml": read_mhtml,
    "webarchive": read_webarchive,
    "ipynb": read_notebook,
    "srt": read_subtitles,
    "openapi": read_openapi_yaml,
}


def read(
    path: str | os.PathLike[str],
    *,
    kind: str | None = None,
    notice: Callable[[str], None] | None = None,
    max_file_size: int | None = None,
    beneath: Sequence[Path] | None = None,
    encoding: str | None = None,
) -> Iterator[Document]:
    """Yield the documents of a file, or of standard input for the path "-".

    A file of prose or code is one document with its absolute POSIX path as id and uri; the uri of a web page that says
    where it is from is that address. Each row of a table (csv, tsv,
    jsonl, a JSON list, a spreadsheet), each message of a mailbox and each conversation of an export is a document,
    whose id is the path, "#", and its id or number; rows are streamed, except those of a JSON list. `metadata` has the
    path, the type and what the format provides (pages, author, language, other columns). Formats with headings become
    markdown. The guide lists all kinds.

    `kind`, one of READERS, overrides the file's name and content, and makes tables of standard input readable.
    `notice` is called with a sentence for whatever is left out of a document, a page or an embedded picture, and for
    an encoding that was guessed. `encoding` is that of text which is not UTF-8, whatever it declares.

    `max_file_size` is how many bytes of a file are read, after unpacking; None: 2 GiB of plain text, tables, JSON lines
    and mailboxes, which are read in pieces, 64 MiB of all others. Plain text of more than 4 MiB becomes several
    documents, each of about two million characters, whose ids are the path, "#", and a number. Only regular files are
    read; with `beneath`, folders without links in their paths, only those in them that no link leads to.

    Raises Unreadable for a file that is missing, empty, binary, encrypted, invalid or without text; a table may have
    yielded documents before the invalid row. Raises Noise, a kind of Unreadable, for a lock file, a source map,
    minified code or a hex dump, unless `kind` asks for it. Raises MissingExtra if a format needs a package that is not
    installed, InputError for an unknown `kind` or `encoding`.
    """
    if kind is not None and kind not in READERS:
        raise InputError(f"kind={kind!r} is not known; use one of {', '.join(READERS)}")
    if max_file_size is not None and max_file_size < 1:
        raise InputError(f"max_file_size is a number of bytes, at least 1, not {max_file_size!r}")
    return _documents(
        path, kind, (notice, max_file_size, beneath, None if encoding is None else checked_encoding(encoding))
    )


def _documents(
    path: str | os.PathLike[str],
    reader: str | None,
    options: tuple[Callable[[str], None] | None, int | None, Sequence[Path] | None, str | None],
) -> Iterator[Document]:
    removed = Removed()
    with Origin.of(path, *options) as origin:
        kind = Kind(reader, reader) if reader else _kind(origin)
        if kind.reader in _ROW_READERS:
            documents: Iterator[Document] = _with_different_ids(_ROW_READERS[kind.reader](origin, kind.reader), origin)
        elif kind.reader == "txt" and origin.is_long():
            documents = _parts(origin, kind)
        else:
            document = _without_encoded(_FILE_READERS[kind.reader](origin), removed)
            if not reader and (reason := _noise_of(document, kind)):
                raise Noise(origin.name, reason)
            documents = iter([_with_file_metadata(document, origin, kind)])
        try:
            for document in documents:
                yield _without_encoded(document, removed)
        finally:
            if isinstance(documents, Generator):
                documents.close()  # before its file
        if removed.parts:
            origin.notice(str(removed))


def _without_encoded(document: Document, removed: Removed) -> Document:
    text = without_encoded(document.text, removed)
    return document if text is document.text else replace(document, text=text)


def _with_different_ids(documents: Iterator[Document], origin: Origin) -> Generator[Document, None, None]:
    """Yield documents so that none replaces an earlier one of its id: ";2" is appended to the second's, and so on."""
    seen: set[int] = set()
    repeated: Counter[str] = Counter()
    with closing(cast("Generator[Document, None, None]", documents)):
        for document in documents:
            id_ = document.id
            if id_ is not None and hash(id_) in seen:
                repeated[id_] += 1
                own = f"{id_};{repeated[id_] + 1}"
                yield replace(document, id=own, uri=own if document.uri == id_ else document.uri)
                continue
            seen.add(hash(id_))
            yield document
    if repeated:
        number = repeated.total()
        what = "a document has" if number == 1 else f"{number:,} documents have"
        origin.notice(f"{what} the id of an earlier one, so a number is appended to it, as in #7;2")


def _parts(origin: Origin, kind: Kind) -> Iterator[Document]:
    """Yield long plain text as documents that fit into memory."""
    for number, text in enumerate(origin.parts(), start=1):
        if "\0" in text:
            raise Unreadable(origin.name, "is a binary file (it contains NUL characters)")
        whole = _with_file_metadata(Document(text=text, metadata={"part": number}), origin, kind)
        name = f"{origin.name}#{number}"
        yield whole if origin.name == STDIN else replace(whole, id=name, uri=name)


def _noise_of(document: Document, kind: Kind) -> str | None:
    code = kind.reader == "code"
    return noise_of_text(document.text, code=code) if code or kind.reader in {"txt", "md"} else None


def _with_front_matter(document: Document) -> Document:
    title, metadata = front_matter(document.text)
    return replace(document, title=title, metadata=metadata)


def _with_file_metadata(document: Document, origin: Origin, kind: Kind) -> Document:
    metadata: dict[str, Any] = {"path": origin.name, "type": kind.type}
    if kind.language:
        metadata["language"] = kind.language
    heading = first_heading(document.text) if document.format == "markdown" else ""
    return replace(
        document,
        id=None if origin.name == STDIN else origin.name,
        uri=document.uri or ("" if origin.name == STDIN else origin.name),
        title=document.title or heading or origin.stem,
        metadata=metadata | dict(document.metadata),
    )


def _kind(origin: Origin) -> Kind:
    reason = readable_members(origin.name) or binary_reason(origin.name)
    if reason and ": " in reason:
        advice = f"{reason[0].upper()}{reason[1:]}".replace("FILE", quoted(origin.name))
        raise Unreadable(origin.name, f"is not read. {advice}")
    if reason:
        raise Unreadable(origin.name, f"is of a type without readable text ({reason})")
    noise = noise_of_name(origin.name)
    if noise:
        raise Noise(origin.name, noise)
    with origin.open() as stream:
        head = stream.read(_HEAD)
    return kind_of_stream(head) if origin.name == STDIN else kind_of(origin.name, head)
