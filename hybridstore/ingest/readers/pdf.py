"""The PDF reader: pages divided by form feeds, with the words that were hyphenated at the ends of lines and pages."""

from __future__ import annotations

import io
import logging
import re
from collections import Counter
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hybridstore.errors import MissingExtra
from hybridstore.ingest.readers.origin import Origin, Unreadable, errors_as_unreadable
from hybridstore.ingest.readers.titles import clean_title
from hybridstore.records import Document

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SURROGATE = re.compile(r"[\ud800-\udfff]")  # pypdf can return these for invalid font tables
_HYPHENS = "-\u00ad\u2010"
_BROKEN = re.compile(rf"(?<![^\W\d_])([^\W\d_]++)([{_HYPHENS}])[ \t]*+\n[ \t]*+([^\W\d_]++)")
_BROKEN_END = re.compile(rf"(?<![^\W\d_])([^\W\d_]++)([{_HYPHENS}])\s*+\Z")
_FIRST_WORD = re.compile(r"\s*([^\W\d_]+)(\S*)")
_DIGITS = re.compile(r"\d+")
_REPEATED = 3  # pages on which a running head or foot is recognised


def read_pdf(origin: Origin) -> Document:
    """Return a PDF's text, its pages divided by form feeds, with its title, author and number of pages.

    A page that cannot be read, or has no text, is left out with a notice that gives its number. Raises Unreadable if
    the file needs a password, is invalid, or has no text at all, as scanned pages do.
    """
    try:
        import pypdf
    except ImportError as error:
        raise MissingExtra("files", "reading PDF", "pypdf") from error
    with errors_as_unreadable(origin, "PDF"), _silent("pypdf"):
        reader = pypdf.PdfReader(io.BytesIO(origin.data()))
        # Many PDFs have an empty password: they are only locked against printing.
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable(origin.name, "is encrypted; save a copy without a password")
        unreadable: dict[int, str] = {}
        pages = [_page(reader.pages, index, unreadable) for index in range(len(reader.pages))]
        info = reader.metadata
        title, author = (info.title, info.author) if info else (None, None)
    if unreadable and len(unreadable) == len(pages):
        raise Unreadable(origin.name, f"has no page that can be read ({unreadable[1]})")
    if not any(page.strip() for page in pages):
        raise Unreadable(origin.name, "contains no text; if its pages are scanned, run text recognition (OCR) first")
    for number, reason in unreadable.items():
        origin.notice(f"page {number} cannot be read ({reason})")
    blank = [number for number, page in enumerate(pages, start=1) if not page.strip() and number not in unreadable]
    if blank:
        origin.notice(f"{_numbers(blank)} no text (blank, or scanned: run text recognition, OCR, first)")
    metadata: dict[str, Any] = {"pages": len(pages)}
    if isinstance(author, str) and author.strip():
        metadata["author"] = author.strip()
    text = "\n\n\f".join(joined_pages(pages))
    return Document(text=text, title=clean_title(str(title or "")), metadata=metadata)


def _page(pages: Any, index: int, unreadable: dict[int, str]) -> str:
    try:
        text = pages[index].extract_text()
    except Exception as error:  # noqa: BLE001 - pypdf raises many kinds; the other pages can still be read
        unreadable[index + 1] = " ".join(str(error).split())[:100] or type(error).__name__
        return ""
    return _SURROGATE.sub("\ufffd", text).replace("\0", "").replace("\f", "\n").strip()


def _numbers(pages: Sequence[int]) -> str:
    """Return a list of pages as words and ranges: "page 3 has", "pages 3, 5-9 have"."""
    runs: list[list[int]] = []
    for page in pages:
        if runs and runs[-1][1] == page - 1:
            runs[-1][1] = page
        else:
            runs.append([page, page])
    shown = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)
    return f"pages {shown} have" if len(pages) > 1 else f"page {shown} has"


def joined_pages(pages: Sequence[str]) -> list[str]:
    """Return pages with words put together that are hyphenated at a line's or a page's end.

    A hyphen stays where the compound with it occurs elsewhere in the text ("well-known"), and before a capital. Page
    numbers, running heads and feet may stand between the halves of a word.
    """
    whole = "\n".join(pages)
    hyphenated = (
        Counter(re.findall(r"(?<![^\W\d_])[^\W\d_]++[-\u2010][^\W\d_]++", whole))
        if any(h in whole for h in _HYPHENS)
        else {}
    )
    plain = set(re.findall(r"[^\W\d_]+", whole)) if hyphenated or "\n" in whole else set()

    def join(first: str, hyphen: str, second: str) -> str:
        if hyphen == "\u00ad":
            return first + second
        keep = not second[0].islower() or (first + second not in plain and f"{first}{hyphen}{second}" in hyphenated)
        return f"{first}{hyphen}{second}" if keep else first + second

    margins = _margins(pages)
    done = [_split(page, margins) for page in pages]  # head, body, foot
    for part in done:
        part[1] = _BROKEN.sub(lambda word: join(word[1], word[2], word[3]), part[1])
    for page, following in pairwise(done):
        broken, rest = _BROKEN_END.search(page[1]), _FIRST_WORD.match(following[1])
        if broken and rest and rest[1][0].islower():
            page[1] = page[1][: broken.start()] + join(broken[1], broken[2], rest[1]) + rest[2]
            following[1] = following[1][rest.end() :].lstrip(" ")
    return ["".join(part) for part in done]


def _margins(pages: Sequence[str]) -> set[str]:
    """Return the first and last lines, without digits, that several pages have in common."""
    counts: Counter[str] = Counter()
    for page in pages:
        lines = [line for line in page.splitlines() if line.strip()]
        counts.update({_form(line) for line in (*lines[:2], *lines[-2:])})
    return {form for form, count in counts.items() if count >= _REPEATED}


def _form(line: str) -> str:
    return _DIGITS.sub("0", line.strip())


def _is_margin(line: str, margins: set[str]) -> bool:
    form = _form(line)
    return (
        form in margins
        or not any(map(str.isalpha, form))
        or re.fullmatch(r"(?:page |p\. ?)?0(?: of 0)?", form, re.IGNORECASE) is not None
    )


def _split(page: str, margins: set[str]) -> list[str]:
    """Return a page's first lines that are margins, its text, and its last lines that are margins."""
    lines = page.splitlines(keepends=True)
    start, end = 0, len(lines)
    while start < end and _is_margin(lines[start], margins):
        start += 1
    while start < end and _is_margin(lines[end - 1], margins):
        end -= 1
    body = "".join(lines[start:end])
    text = body.rstrip()
    return ["".join(lines[:start]), text, body[len(text) :] + "".join(lines[end:])]


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
