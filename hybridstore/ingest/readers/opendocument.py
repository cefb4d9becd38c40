"""The OpenDocument reader: texts and presentations (odt, odp, their templates and flat XML forms) as markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybridstore.ingest.readers.archives import archive_of, attribute, first, name_of, parse_xml, properties, words
from hybridstore.ingest.readers.origin import Origin, Unreadable, errors_as_unreadable
from hybridstore.ingest.readers.titles import clean_title
from hybridstore.records import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_SHOWN = frozenset(
    ("tracked-changes", "sequence-decls", "forms", "note-citation", "page-thumbnail", "binary-data", "event-listeners")
)
_SPACES = {"tab": " ", "line-break": "\n"}
_LARGEST_REPEAT = 1000  # spaces, or cells, that one element may stand for


def read_opendocument(origin: Origin) -> Document:
    """Return a text or a presentation as markdown, slides divided by form feeds, with title, author and date.

    Deleted text of tracked changes is left out; notes and comments follow the paragraph they belong to.
    """
    if origin.name.lower().endswith((".fodt", ".fodp")):
        with errors_as_unreadable(origin, "OpenDocument"):
            root = parse_xml(origin.data())
            return _document(origin, root, first(root, "meta"))
    with archive_of(origin, "OpenDocument") as archive:
        manifest = archive.read("META-INF/manifest.xml")
        if b"encryption-data" in manifest:
            raise Unreadable(origin.name, "is encrypted; save a copy without a password")
        content = archive.xml("content.xml")
        if content is None:
            raise Unreadable(origin.name, "is a zip archive, but not an OpenDocument file")
        return _document(origin, content, archive.xml("meta.xml"))


def _document(origin: Origin, content: Any, meta: Any) -> Document:
    text = "\n\n".join(_blocks(first(content, "body"), 0)).strip()
    if not text.strip("\f\n #0123456789Slide"):
        raise Unreadable(origin.name, "contains no text")
    title, metadata = properties(meta)
    return Document(text=text, title=clean_title(title), metadata=metadata, format="markdown")


def _blocks(node: Any, depth: int) -> Iterator[str]:
    """Yield the blocks of markdown below a node; `depth` is the number of lists around it."""
    page = 0
    for child in node if node is not None else ():
        name = name_of(child)
        if name in _NOT_SHOWN:
            continue
        if name in {"p", "h"}:
            yield from _paragraph(child, name)
        elif name == "list":
            yield "\n".join(_items(child, depth))
        elif name == "table":
            yield _table(child)
        elif name == "page" and attribute(child, "master-page-name"):
            page += 1
            title = next((words(_inline(shape, [])) for shape in child if attribute(shape, "class") == "title"), "")
            shapes = [shape for shape in child if attribute(shape, "class") != "title"]
            yield ("\f\n" if page > 1 else "") + (f"# Slide {page}: {title}" if title else f"# Slide {page}")
            yield from _blocks(shapes, depth)
        elif name == "notes":
            notes = [block for block in _blocks(child, depth) if not block.startswith("<")]
            if notes:
                yield "Notes: " + "\n".join(notes)
        elif name in {"desc", "title"}:  # of a picture
            yield words(child.text)
        else:
            yield from _blocks(child, depth)


def _paragraph(node: Any, name: str) -> Iterator[str]:
    following: list[str] = []
    text = "\n".join(line.strip() for line in _inline(node, following).splitlines()).strip()
    if text:
        level = min(int(attribute(node, "outline-level", "1") or 1), 6)
        yield f"{'#' * level} {words(text)}" if name == "h" else text
    yield from following


def _inline(node: Any, following: list[str]) -> str:
    """Return the running text in a node; notes, comments, text boxes and their like are added to `following`."""
    parts = [node.text or ""]
    for child in node:
        name = name_of(child)
        if name == "s":
            parts.append(" " * min(int(attribute(child, "c", "1") or 1), _LARGEST_REPEAT))
        elif name in {"note", "annotation"}:
            label = attribute(child, "note-class", "comment").capitalize()
            text = words(" ".join(_blocks([part for part in child if name_of(part) not in {"creator", "date"}], 0)))
            following.append(f"{label}: {text}")
        elif name in {"frame", "custom-shape", "text-box"}:
            following.extend(block for block in _blocks([child], 0) if block)
        elif name not in _NOT_SHOWN:
            parts.append(_SPACES.get(name) or _inline(child, following))
            if name == "p":
                parts.append("\n")
        parts.append(child.tail or "")
    return "".join(parts)


def _items(node: Any, depth: int) -> Iterator[str]:
    for item in node:
        for block in _blocks(item, depth + 1):
            yield block if block.lstrip(" ").startswith("- ") else f"{'  ' * depth}- {block}"


def _table(node: Any) -> str:
    lines = []
    for row in _rows(node):
        cells = [words(" ".join(_blocks(cell, 0))) for cell in row if name_of(cell) == "table-cell"]
        if any(cells):
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _rows(node: Any) -> Iterator[Any]:
    """Yield the rows of a table, whose groups may be nested, without those of tables in its cells."""
    for child in node:
        if name_of(child) == "table-row":
            yield child
        else:
            yield from _rows(child)
