"""The HTML reader: converts pages to markdown with their headings, lists, tables and code blocks.

The parser is libxml2's, as an event stream: it takes time linear in the page, whatever is left open or nested in it,
where `html.parser` and a tree of Python objects take minutes for 100 kB of some pages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hybridstore.errors import InputError
from hybridstore.ingest.readers.encodings import decoded
from hybridstore.ingest.readers.origin import Origin, Unreadable
from hybridstore.records import Document

if TYPE_CHECKING:
    from collections.abc import Mapping

_OMITTED = frozenset(("script", "style", "template", "svg", "head", "iframe", "object", "noscript"))
_BLOCKS = frozenset(
    """
    address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer
    form header hr html legend main nav p search section summary table tbody td tfoot th thead tr
    """.split()  # noqa: SIM905 - a list of words reads better without quotes
)
_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_LISTS = frozenset(("ul", "ol", "menu"))
# A table with one of these is page layout, not data.
_IN_LAYOUT = frozenset(("table", "h1", "h2", "h3", "h4", "ul", "ol", "pre", "p"))
_ADDRESS = re.compile(r"https?://[^\s<>\"']{1,2000}")
# Of browsers, and of the extension SingleFile.
_SAVED = re.compile(r"\s*(?:saved from url=\(\d+\)|Page saved with SingleFile\s+url:\s)\s*(\S+)")
_SAYS_SO = ("saved", "canonical", "og:url")  # where a page says what its address is, the surest first
_PIECE = 1 << 16  # bytes the parser takes at once
# Elements inside each other; real pages have a few dozen. libxml2 looks back at all open ones for some tags.
_DEEPEST = 5_000
_DEEPEST_LIST = 8  # levels that are indented; the indentation of endless levels would grow as their square


def read_html(origin: Origin) -> Document:
    """Return the visible text of a page as markdown, with its `<title>` and its address."""
    try:
        page = page_of(origin.decoded(origin.data()))
    except Unreadable:
        raise
    except InputError as error:
        raise Unreadable(origin.name, str(error)) from error
    if not page.text or "\0" in page.text:
        raise Unreadable(origin.name, "contains no text" if not page.text else "is a binary file")
    return Document(text=page.text, title=page.title, uri=page.address, format="markdown")


def markdown_of(data: bytes | str) -> tuple[str, str]:
    """Return the visible text of a page as markdown, and its `<title>`; see `page_of`."""
    page = page_of(data)
    return page.text, page.title


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page's visible text as markdown, its `<title>`, and where it is from, "" where it does not say so."""

    text: str
    title: str = ""
    address: str = ""


def web_address(text: object) -> str:
    """Return an address of the web as it is, "" for anything else."""
    text = text.strip() if isinstance(text, str) else ""
    return text if _ADDRESS.fullmatch(text) else ""


def page_of(data: bytes | str) -> WebPage:
    """Read a page; its address is what a browser wrote into it when it was saved, or what it says about itself.

    Bytes that are not UTF-8 are decoded by the page's own `<meta charset>`. Raises InputError for a page with more than
    5,000 elements inside each other.
    """
    from lxml import etree

    text = data if isinstance(data, str) else decoded(data)
    if "\0" in text:
        return WebPage("\0")
    content = text.encode("utf-8", "replace")
    # A page that marks its content has its menus elsewhere.
    page = _Page(without_menus=re.search(rb"<main[\s>]", content, re.IGNORECASE) is not None)
    parser = etree.HTMLParser(target=page, encoding="utf-8", huge_tree=True)
    try:
        for start in range(0, len(content), _PIECE):
            parser.feed(content[start : start + _PIECE])
        parser.close()
    except etree.LxmlError:  # without any element at all
        return WebPage("")
    address = next((page.addresses[kind] for kind in _SAYS_SO if kind in page.addresses), "")
    return WebPage(page.out.text(), " ".join("".join(page.title).split()), address)


@dataclass(slots=True)
class _Markdown:
    """A writer of markdown that emits no more white space than it needs."""

    parts: list[str] = field(default_factory=list)
    newlines: int = 2  # at the end of the text
    depth: int = 0  # of lists

    def line(self, count: int = 1) -> None:
        """End the line, or with 2 the block."""
        if self.newlines < count:
            self.parts.append("\n" * (count - self.newlines))
            self.newlines = count

    def words(self, text: str) -> None:
        """Write running text with white space collapsed."""
        collapsed = " ".join(text.split())
        if collapsed:
            collapsed = f"{' ' * text[0].isspace()}{collapsed}{' ' * text[-1].isspace()}"
        elif text:
            collapsed = " "
        if self.newlines or (self.parts and self.parts[-1].endswith(" ")):
            collapsed = collapsed.lstrip(" ")
        if collapsed:
            self.parts.append(collapsed)
            self.newlines = 0

    def raw(self, text: str) -> None:
        """Write text unchanged; it must not end with a newline."""
        self.parts.append(text)
        self.newlines = 0

    def text(self) -> str:
        """Return the text written so far."""
        return "\n".join(line.rstrip(" \t") for line in "".join(self.parts).split("\n")).strip()


@dataclass(slots=True)
class _Page:
    """Takes the parser's events and writes markdown. `title` has the pieces of the page's title."""

    without_menus: bool
    out: _Markdown = field(default_factory=_Markdown)
    title: list[str] = field(default_factory=list)
    depth: int = 0
    omitted: int = 0  # the depth of the outermost element that is left out; 0 outside of any
    in_title: bool = False
    captured: list[str] | None = None  # the text of a heading or a code block, from its beginning on
    captured_at: int = 0  # its depth
    table: list[tuple[str, str]] | None = None  # events of a table that may be data: ("<", tag), (">", tag), ("", text)
    table_at: int = 0
    addresses: dict[str, str] = field(default_factory=dict)  # the first of each kind

    def comment(self, text: str) -> None:
        """Take the address that a browser wrote when it saved the page."""
        if saved := _SAVED.match(text):
            self._says("saved", saved[1])

    def _says(self, kind: str | None, address: str | None) -> None:
        if kind in _SAYS_SO and web_address(address):
            self.addresses.setdefault(kind, web_address(address))

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Begin an element."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise InputError(f"has more than {_DEEPEST:,} elements inside each other; it is no page to read")
        if tag in ("link", "meta"):
            self._says(attributes.get("rel"), attributes.get("href"))
            self._says(attributes.get("property"), attributes.get("content"))
        if self.omitted or self._is_omitted(tag, attributes):
            self.omitted = self.omitted or self.depth
            self.in_title = tag == "title" and not self.title
            return
        if self.captured is not None:
            if tag == "br":
                self.captured.append("\n")
            return
        if self.table is not None and tag in _IN_LAYOUT:
            self._replay()
        if tag == "table":
            self.table, self.table_at = [], self.depth
        if self.table is not None:
            self.table.append(("<", tag))
        elif tag in _HEADINGS or tag == "pre":
            self.captured, self.captured_at = [], self.depth
        else:
            _open(tag, self.out, attributes.get("alt") or "")

    def end(self, tag: str) -> None:
        """End an element."""
        depth, self.depth = self.depth, self.depth - 1
        if self.omitted:
            self.omitted = self.omitted if depth > self.omitted else 0
            self.in_title = False
        elif self.captured is not None:
            if depth == self.captured_at:
                text, self.captured = "".join(self.captured), None
                _write_heading(text, _HEADINGS[tag], self.out) if tag in _HEADINGS else _fence(text, self.out)
        elif self.table is not None:
            self.table.append((">", tag))
            if depth == self.table_at:
                _write_table(self.table, self.out)
                self.table = None
        else:
            _close(tag, self.out)

    def data(self, text: str) -> None:
        """Write text."""
        if self.omitted:
            if self.in_title:
                self.title.append(text)
        elif self.captured is not None:
            self.captured.append(text)
        elif self.table is not None:
            self.table.append(("", text))
        else:
            self.out.words(text)

    def close(self) -> None:
        """End the page."""

    def _is_omitted(self, tag: str, attributes: Mapping[str, str]) -> bool:
        return (
            tag in _OMITTED
            or (tag == "nav" and self.without_menus)
            or "hidden" in attributes
            or "headerlink" in attributes.get("class", "").split()
        )

    def _replay(self) -> None:
        """Write a table that turned out to be layout like any other element."""
        events, self.table = self.table or [], None
        for kind, value in events:
            if kind == "<":
                _open(value, self.out, "")
            elif kind == ">":
                _close(value, self.out)
            else:
                self.out.words(value)


def _open(name: str, out: _Markdown, alternative: str) -> None:
    if name in _LISTS:
        out.line(1 if out.depth else 2)
        out.depth += 1
    elif name == "li":
        out.line()
        out.raw("  " * min(max(out.depth - 1, 0), _DEEPEST_LIST) + "- ")
    elif name == "br":
        out.line()
    elif name == "img":
        out.words(f" {alternative} ")
    elif name in _BLOCKS:
        _break(out)


def _write_heading(text: str, level: int, out: _Markdown) -> None:
    heading = " ".join(text.split())
    heading = heading[:-1].rstrip() if heading.endswith(("¶", "#")) else heading
    if heading:
        out.line(2)
        out.raw(f"{'#' * level} {heading}")
        out.line(2)


def _close(name: str, out: _Markdown) -> None:
    if name in _LISTS:
        out.depth -= 1
        out.line(1 if out.depth else 2)
    elif name == "li":
        out.line()
    elif name in _BLOCKS:
        _break(out)


def _break(out: _Markdown) -> None:
    """Separate a block; in a list a new line is enough, and right after an item's mark nothing is needed."""
    if not (out.parts and out.parts[-1].endswith("- ")):
        out.line(1 if out.depth else 2)


def _fence(code: str, out: _Markdown) -> None:
    if code.strip():
        out.line(2)
        out.raw(fenced(code))
        out.line(2)


def fenced(code: str, label: str = "") -> str:
    """Return code in a fence of markdown that is longer than those it contains."""
    fence = "`" * (max((len(run) for run in re.findall(r"`{3,}", code)), default=2) + 1)
    return "\n".join((fence + label, code.strip("\n"), fence))


def _write_table(events: list[tuple[str, str]], out: _Markdown) -> None:
    """Write a table of data: its caption, and a line for each row."""
    out.line(2)
    rows: list[tuple[str, list[list[str]]]] = []  # the kind, and the pieces of each cell's text
    for kind, value in events:
        if kind == "<" and value in ("caption", "tr"):
            rows.append((value, [[]] if value == "caption" else []))
        elif kind == "<" and value in ("td", "th"):
            if not rows:
                rows.append(("tr", []))
            rows[-1][1].append([])
        elif rows and rows[-1][1]:
            rows[-1][1][-1].append(value if not kind else " ")
    for kind, cells in rows:
        words = [" ".join("".join(cell).split()) for cell in cells]
        if any(words):
            out.raw(words[0] if kind == "caption" else f"| {' | '.join(words)} |")
            out.line()
    out.line(2)
