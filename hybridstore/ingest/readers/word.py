"""The Word reader: the text of a docx in document order as markdown, with everything that Word would print.

Tracked changes are read as accepted: insertions and the new place of moved text are there, deletions are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hybridstore.ingest.readers.archives import Archive, archive_of, attribute, first, name_of, properties, words
from hybridstore.ingest.readers.drawings import diagram_text, equation
from hybridstore.ingest.readers.origin import Origin, Unreadable
from hybridstore.ingest.readers.titles import clean_title
from hybridstore.records import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)
_WRAPPERS = frozenset(
    ("sdtContent", "ins", "moveTo", "customXml", "smartTag", "hyperlink", "fldSimple", "dir", "bdo", "ruby", "rubyBase")
)
_NOT_SHOWN = frozenset(("del", "moveFrom", "delText", "instrText", "delInstrText", "fldData", "rt", "Fallback"))
_CHARACTERS = {"tab": " ", "ptab": " ", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_FALSE = frozenset(("0", "false", "off", "none"))


@dataclass(frozen=True, slots=True)
class _Style:
    """How a paragraph is written: its heading level (0: none), and whether it is an item of a list."""

    level: int = 0
    item: bool = False


def read_docx(origin: Origin) -> Document:
    """Return a Word file's text as markdown, with the title, author and date from its properties.

    Footnotes, endnotes, comments and text boxes follow the paragraph that refers to them; headers and footers are at
    the end, once each. Text that is hidden, or deleted by a tracked change, is left out.
    """
    with archive_of(origin, "docx") as archive:
        main = next((target for kind, target in archive.related("").values() if kind == "officeDocument"), "")
        root = archive.xml(main)
        if root is None:
            raise Unreadable(origin.name, "is a zip archive, but not a Word file")
        reader = _Reader(archive, main)
        text = "\n\n".join(_with_lists([*reader.blocks(first(root, "body")), reader.carried, *reader.margins()]))
        title, metadata = properties(archive.xml("docProps/core.xml"))
    if not text.strip():
        raise Unreadable(origin.name, "contains no text")
    return Document(text=text, title=clean_title(title), metadata=metadata, format="markdown")


def _with_lists(blocks: list[str]) -> Iterator[str]:
    """Join the neighbouring items of a list into one block."""
    items: list[str] = []
    for block in filter(None, blocks):
        if block.lstrip(" ").startswith("- "):
            items.append(block)
            continue
        if items:
            yield "\n".join(items)
            items = []
        yield block
    if items:
        yield "\n".join(items)


def shown(node: Any) -> Iterator[Any]:
    """Yield the children that are shown, with wrappers (content controls, insertions, links) replaced by theirs."""
    for child in node if node is not None else ():
        name = name_of(child)
        if name == "sdt":
            if first(child, "sdtPr", "showingPlcHdr") is None:  # "Click here to enter text"
                yield from shown(first(child, "sdtContent"))
        elif name == "AlternateContent":
            choices = [choice for choice in child if any(words(text) for text in choice.itertext())]
            yield from shown(choices[0] if choices else None)
        elif name in _WRAPPERS:
            yield from shown(child)
        elif name not in _NOT_SHOWN and not name.endswith("Pr"):
            yield child


@dataclass(slots=True)
class _Reader:
    """The parts of a Word file that its text refers to, and what is to follow the block being read."""

    archive: Archive
    main: str
    relations: dict[str, tuple[str, str]] = field(init=False)
    styles: dict[str, _Style] = field(default_factory=dict)
    notes: dict[tuple[str, str], Any] = field(default_factory=dict)
    following: list[str] = field(default_factory=list)
    carried: str = ""  # the text of a paragraph whose end was deleted

    def __post_init__(self) -> None:
        self.relations = self.archive.related(self.main)
        for kind, target in self.relations.values():
            if kind == "styles":
                self._read_styles(self.archive.xml(target))
            elif kind in {"footnotes", "endnotes", "comments"}:
                root = self.archive.xml(target)
                for note in root if root is not None else ():
                    if attribute(note, "type", "normal") == "normal":  # the others are separators
                        self.notes[kind[:-1], attribute(note, "id")] = note

    def _read_styles(self, root: Any) -> None:
        nodes = {attribute(node, "styleId"): node for node in (root if root is not None else ())}
        for id_ in nodes:
            chain: list[str] = []  # of styles that inherit what they are from the next
            style, based = _Style(), id_
            while style == _Style() and based in nodes:
                chain.append(based)
                if based in self.styles:
                    style = self.styles[based]
                    break
                style, node, self.styles[based] = _style(nodes[based]), nodes[based], _Style()  # for a circle
                parent = first(node, "basedOn")
                based = attribute(parent, "val") if parent is not None else ""
            self.styles |= dict.fromkeys(chain, style)

    def blocks(self, node: Any) -> Iterator[str]:
        """Yield the blocks of markdown below a node."""
        for child in shown(node):
            name = name_of(child)
            if name == "p":
                if block := self._paragraph(child):
                    yield block
            elif name == "tbl":
                yield from self._table(child)
            else:
                yield from self.blocks(child)
            following, self.following = self.following, []
            yield from following

    def margins(self) -> Iterator[str]:
        """Yield the texts of headers and footers, equal ones once."""
        texts: dict[str, None] = {}
        for kind, target in self.relations.values():
            if kind in {"header", "footer"} and (text := words(" ".join(self.blocks(self.archive.xml(target))))):
                texts[f"{kind.capitalize()}: {text}"] = None
        yield from texts

    def _paragraph(self, node: Any) -> str:
        settings = first(node, "pPr")
        text = self.carried + self._inline(node)
        if first(settings, "rPr", "del") is not None:
            self.carried = text
            return ""
        self.carried = ""
        text = "\n".join(line.strip() for line in text.splitlines()).strip()
        named = first(settings, "pStyle")
        style = self.styles.get(attribute(named, "val"), _Style()) if named is not None else _Style()
        outline = first(settings, "outlineLvl")
        level = _level(outline) if outline is not None else style.level
        if not text or level:
            return f"{'#' * min(level, 6)} {words(text)}" if text else ""
        numbering = first(settings, "numPr")
        number = first(numbering, "numId")
        if style.item or (number is not None and attribute(number, "val") != "0"):
            depth = first(numbering, "ilvl")
            indent = "  " * int(attribute(depth, "val", "0") or 0) if depth is not None else ""
            return f"{indent}- {text}"
        return text

    def _inline(self, node: Any) -> str:
        return "".join(self._piece(child) for child in shown(node))

    def _piece(self, node: Any) -> str:  # noqa: PLR0911 - one for each kind of element
        """Return the text of a run or of what is in one."""
        name = name_of(node)
        if name == "r":
            return "" if _is_hidden(node) else self._inline(node)
        if name == "t":
            return node.text or ""
        if name in {"oMath", "oMathPara"}:
            return f" {equation(node)} "
        if name in {"footnoteReference", "endnoteReference", "commentReference"}:
            return self._note(name.removesuffix("Reference"), attribute(node, "id"))
        if name in {"drawing", "pict", "object"}:
            return self._drawing(node)
        if name == "sym":
            character = int(attribute(node, "char", "0") or "0", 16)
            return chr(character) if 0 < character < 0xD800 else ""  # above: a font's own characters
        return _CHARACTERS.get(name, "")

    def _note(self, kind: str, id_: str) -> str:
        note = self.notes.pop((kind, id_), None)
        if note is None:
            return ""
        outer, self.following, self.carried, carried = self.following, [], "", self.carried
        text = words(" ".join(self.blocks(note)))
        self.following, self.carried = outer, carried
        author = attribute(note, "author")
        label = {"comment": f"Comment by {author}" if author else "Comment"}.get(kind, kind.capitalize())
        if text:
            self.following.append(f"{label}: {text}")
        return ""

    def _drawing(self, node: Any) -> str:
        """Add text boxes and diagrams to what follows; return the description of a picture."""
        outer, self.following, self.carried, carried = self.following, [], "", self.carried
        boxes = [block for box in _outermost(node, "txbxContent") for block in self.blocks(box)]
        self.following, self.carried = [*outer, *boxes], carried
        if text := diagram_text(self.archive, self.relations, node):
            self.following.append(text)
        described = next((attribute(child, "descr") for child in node.iter() if attribute(child, "descr")), "")
        return f" {words(described)} " if described else ""

    def _table(self, node: Any) -> Iterator[str]:
        rows = [[cell for cell in shown(row) if name_of(cell) == "tc"] for row in _rows(node)]
        if all(len(row) <= 1 for row in rows):  # a frame around text
            for row in rows:
                for cell in row:
                    yield from self.blocks(cell)
            return
        lines = [f"| {' | '.join(self._cell(cell) for cell in row)} |" for row in rows]
        yield "\n".join(line for line in lines if line.strip("| "))

    def _cell(self, node: Any) -> str:
        """Return a cell on one line; tables within it are written with commas and semicolons."""
        parts: list[str] = []
        for child in shown(node):
            if name_of(child) == "tbl":
                rows = [[self._cell(cell) for cell in shown(row) if name_of(cell) == "tc"] for row in _rows(child)]
                parts.append("; ".join(", ".join(filter(None, row)) for row in rows))
            else:
                parts.append(self._paragraph(child) if name_of(child) == "p" else " ".join(self.blocks(child)))
        return words(" ".join(parts)).replace("|", "\\|")


def _rows(table: Any) -> Iterator[Any]:
    return (row for row in shown(table) if name_of(row) == "tr" and first(row, "trPr", "del") is None)


def _outermost(node: Any, name: str) -> Iterator[Any]:
    for child in shown(node):
        if name_of(child) == name:
            yield child
        else:
            yield from _outermost(child, name)


def _style(node: Any) -> _Style:
    named = first(node, "name")
    name = attribute(named, "val") if named is not None else ""
    heading, outline = _HEADING.match(name), first(node, "pPr", "outlineLvl")
    if heading or outline is not None:
        return _Style(level=int(heading[1]) if heading else _level(outline))
    return _Style(level=int(name == "Title"), item=name.lower().startswith("list"))


def _level(outline: Any) -> int:
    level = int(attribute(outline, "val", "9") or 9) + 1
    return level if level < 10 else 0  # 9 is body text


def _is_hidden(run: Any) -> bool:
    mark = first(run, "rPr", "vanish")
    return mark is not None and attribute(mark, "val", "true") not in _FALSE
