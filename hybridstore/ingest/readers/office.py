"""The readers of PDF and Word files; headings, lists and tables of Word become markdown."""

from __future__ import annotations

import io
import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hybridstore.errors import MissingExtra
from hybridstore.ingest.readers.origin import Origin, Unreadable
from hybridstore.records import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # pypdf can return these for invalid font tables


def read_pdf(origin: Origin) -> Document:
    """Return a PDF's text, page by page, with its title, author and number of pages.

    Raises Unreadable if it needs a password, is invalid, or has no text, as scanned pages do.
    """
    try:
        import pypdf
    except ImportError as error:
        raise MissingExtra("files", "reading PDF", "pypdf") from error
    with _errors_as_unreadable(origin, "PDF"), _silent("pypdf"):
        reader = pypdf.PdfReader(io.BytesIO(origin.data()))
        # Many PDFs have an empty password: they are only locked against printing.
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable(origin.name, "is encrypted; save a copy without a password")
        pages = [_SURROGATE.sub("\ufffd", page.extract_text()).replace("\0", "") for page in reader.pages]
        info = reader.metadata
        title, author = (info.title, info.author) if info else (None, None)
    if not any(page.strip() for page in pages):
        raise Unreadable(origin.name, "contains no text; if its pages are scanned, run text recognition (OCR) first")
    metadata: dict[str, Any] = {"pages": len(pages)}
    if isinstance(author, str) and author.strip():
        metadata["author"] = author.strip()
    return Document(text="\n\n".join(pages), title=str(title or "").strip(), metadata=metadata)


def read_docx(origin: Origin) -> Document:
    """Return a Word file's text as markdown, with the title and author from its properties."""
    try:
        import docx
    except ImportError as error:
        raise MissingExtra("files", "reading docx", "python-docx") from error
    with _errors_as_unreadable(origin, "docx"):
        document = docx.Document(io.BytesIO(origin.data()))
        text = "\n\n".join(_blocks(document))
        title, author = document.core_properties.title, document.core_properties.author
    if not text.strip():
        raise Unreadable(origin.name, "contains no text")
    metadata = {"author": author.strip()} if author and author.strip() else {}
    return Document(text=text, title=(title or "").strip(), metadata=metadata, format="markdown")


def _blocks(document: Any) -> Iterator[str]:
    items: list[str] = []  # a list's items are one block
    for block in document.iter_inner_content():
        if hasattr(block, "rows"):
            block_text = "\n".join(_row(row) for row in block.rows)
        else:
            style = (block.style.name or "") if block.style is not None else ""
            block_text = block.text.strip()
            heading = _HEADING.match(style)
            if block_text and style.startswith("List"):
                items.append(f"- {block_text}")
                continue
            if block_text and (heading or style == "Title"):
                level = min(int(heading[1]), 6) if heading else 1
                block_text = f"{'#' * level} {' '.join(block_text.split())}"
        if items:
            yield "\n".join(items)
            items = []
        if block_text:
            yield block_text
    if items:
        yield "\n".join(items)


def _row(row: Any) -> str:
    cells: list[str] = []
    previous = None
    for cell in row.cells:
        if cell._tc is not previous:  # noqa: SLF001 - a merged cell is repeated for each column it spans
            cells.append(" ".join(cell.text.split()))
        previous = cell._tc  # noqa: SLF001 - see above
    return f"| {' | '.join(cells)} |"


@contextmanager
def _errors_as_unreadable(origin: Origin, kind: str) -> Iterator[None]:
    try:
        yield
    except (Unreadable, MissingExtra):
        raise
    except Exception as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        raise Unreadable(origin.name, f"is not a valid {kind} file ({detail})") from error


@contextmanager
def _silent(logger_name: str) -> Iterator[None]:
    """Suppress a library's warnings about each irregularity in a file; whatever matters becomes an error."""
    logger = logging.getLogger(logger_name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
