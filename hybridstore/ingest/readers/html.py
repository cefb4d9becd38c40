"""The HTML reader: converts pages to markdown with their headings, lists, tables and code blocks."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import Any

from hybridstore.errors import MissingExtra
from hybridstore.ingest.readers.origin import Origin, Unreadable
from hybridstore.records import Document

_OMITTED = frozenset(("script", "style", "template", "svg", "head", "iframe", "object", "noscript"))
_BLOCKS = frozenset(
    """
    address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer
    form header hr html legend main nav p search section summary table tbody td tfoot th thead tr
    """.split()  # noqa: SIM905 - a list of words reads better without quotes
)
_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_LISTS = frozenset(("ul", "ol", "menu"))
_IN_LAYOUT = ["table", "h1", "h2", "h3", "h4", "ul", "ol", "pre", "p"]  # a table with these is page layout, not data


def read_html(origin: Origin) -> Document:
    """Return the visible text of a page as markdown, with its `<title>`."""
    text, title = markdown_of(origin.data())
    if not text or "\0" in text:
        raise Unreadable(origin.name, "contains no text" if not text else "is a binary file")
    return Document(text=text, title=title, format="markdown")


def markdown_of(data: bytes | str) -> tuple[str, str]:
    """Return the visible text of a page as markdown, and its `<title>`.

    Bytes that are not UTF-8 are decoded by the page's own `<meta charset>`.
    """
    try:
        import bs4
    except ImportError as error:
        raise MissingExtra("files", "reading HTML", "beautifulsoup4") from error
    try:
        content: bytes | str = data if isinstance(data, str) else data.decode("utf-8-sig")
    except UnicodeDecodeError:
        content = data
    with warnings.catch_warnings():  # about files that look like XML or a path
        warnings.simplefilter("ignore")
        soup = bs4.BeautifulSoup(content, "html.parser")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    if soup.find("main"):  # a page that marks its content has its menus elsewhere
        for menu in soup.find_all("nav"):
            menu.decompose()
    writer = _Markdown()
    _walk(soup, writer)
    return writer.text(), " ".join(title.split())


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
        collapsed = re.sub(r"\s+", " ", text)
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
        return re.sub(r"[ \t]+\n", "\n", "".join(self.parts)).strip()


def _walk(root: Any, out: _Markdown) -> None:
    """Write everything below `root`, without recursion, as pages can nest deeper than Python's call stack."""
    from bs4.element import CData, NavigableString, Tag

    stack: list[Any] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, str) and type(node) is str:  # an element to be closed
            _close(node, out)
        elif isinstance(node, Tag):
            if _open(node, out):
                stack.append(str(node.name))  # to be closed after its contents
                stack.extend(reversed(node.contents))
        elif type(node) in (NavigableString, CData):
            out.words(str(node))


def _open(tag: Any, out: _Markdown) -> bool:
    """Begin an element; return False if its contents are omitted or were written with it."""
    name = tag.name
    if name in _OMITTED or tag.has_attr("hidden") or "headerlink" in (tag.get("class") or ()):
        return False
    if name in _HEADINGS or name == "pre" or (name == "table" and not tag.find(_IN_LAYOUT)):
        _write_element(tag, out)
        return False
    if name in _LISTS:
        out.line(1 if out.depth else 2)
        out.depth += 1
    elif name == "li":
        out.line()
        out.raw("  " * max(out.depth - 1, 0) + "- ")
    elif name == "br":
        out.line()
    elif name == "img":
        out.words(f" {tag.get('alt') or ''} ")
    elif name in _BLOCKS:
        _break(out)
    return True


def _write_element(tag: Any, out: _Markdown) -> None:
    """Write a heading, a code block or a table of data."""
    name = tag.name
    if name in _HEADINGS:
        heading = re.sub(r"\s*[¶#]$", "", " ".join(tag.get_text().split()))
        if heading:
            out.line(2)
            out.raw(f"{'#' * _HEADINGS[name]} {heading}")
            out.line(2)
    elif name == "pre":
        _fence(tag.get_text(), out)
    else:
        _table(tag, out)


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


def _table(table: Any, out: _Markdown) -> None:
    out.line(2)
    for row in table.find_all(["caption", "tr"]):
        cells = [row] if row.name == "caption" else row.find_all(["td", "th"])
        words = [" ".join(cell.get_text(" ").split()) for cell in cells]
        if any(words):
            out.raw(words[0] if row.name == "caption" else f"| {' | '.join(words)} |")
            out.line()
    out.line(2)
