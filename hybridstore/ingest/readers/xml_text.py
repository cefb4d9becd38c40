"""The XML reader: the text of any XML in document order, and its attributes, without markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hybridstore.ingest.readers.archives import name_of, parse_xml, words
from hybridstore.ingest.readers.html import fenced, markdown_of
from hybridstore.ingest.readers.origin import Origin, Unreadable, errors_as_unreadable
from hybridstore.records import Document

_TITLES = frozenset(("title", "head", "heading"))
_INLINE = frozenset(
    """
    b i u em strong emphasis emph code literal link ulink a span sub sup term xref ref quote citetitle filename command
    option varname replaceable uicontrol codeph ph keyword hi p.i
    """.split()  # noqa: SIM905 - a list of words reads better without quotes
)
_PROSE = frozenset(
    """
    p para simpara li item entry description summary content text body subtitle abstract note value shortdesc cmd v
    """.split()  # noqa: SIM905 - see above
)
_CODE = frozenset(("programlisting", "screen", "literallayout", "codeblock", "pre", "synopsis"))
_LONGEST_VALUE = 60  # characters; a longer text says what it is
_TECHNICAL = re.compile(r"(?:https?://|urn:|#|[\w-]+:[\w-]+$|[\d.,:;%\s-]*$)")
_ENEX_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)")
_DECLARATION = re.compile(r"\A\s*+<\?xml[^>]{0,200}\?>\s*")


def read_xml(origin: Origin) -> Document:
    """Return the text of an XML file as markdown: a line for each element, its title as a heading.

    A value is preceded by the names of its element or attribute where it is the only content ("version: 1.2"). A file
    that is not well-formed is read as it is.
    """
    from lxml import etree

    try:
        root = parse_xml(origin.data())
    except etree.XMLSyntaxError as error:
        text = origin.text()
        try:  # it may be in another encoding than it declares
            root = parse_xml(_DECLARATION.sub("", text).encode("utf-8", "replace"))
        except etree.XMLSyntaxError:
            origin.notice(f"is not well-formed XML, so its markup was read as text ({error})")
            return Document(text=text, format="code", metadata={"language": "xml"})
    lines = _lines(root)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    if not text:
        raise Unreadable(origin.name, "contains no text")
    return Document(text=text, format="markdown", metadata={"root": name_of(root)})


def read_evernote(origin: Origin, kind: str) -> Iterator[Document]:
    """Yield a document for each note of an Evernote export, with its title, tags, author, source and times."""
    with errors_as_unreadable(origin, "enex"):
        root = parse_xml(origin.data())
    number = 0
    for number, note in enumerate(root.iter("note"), start=1):
        text, _ = markdown_of(_DECLARATION.sub("", (note.findtext("content") or "").lstrip()))
        facts = {"created": "created", "updated": "updated", "author": ".//author", "source": ".//source-url"}
        metadata: dict[str, Any] = {name: words(note.findtext(path) or "") for name, path in facts.items()}
        metadata |= {name: _ENEX_TIME.sub(r"\1-\2-\3T\4:\5:\6", metadata[name]) for name in ("created", "updated")}
        metadata["tags"] = [words(tag.text or "") for tag in note.iter("tag")]
        title, id_ = words(note.findtext("title") or ""), f"{origin.name}#{number}"
        about = {"path": origin.name, "type": kind} | {name: value for name, value in metadata.items() if value}
        if text or title:
            yield Document(text=text or title, id=id_, uri=id_, title=title, metadata=about, format="markdown")
    if not number:
        raise Unreadable(origin.name, "contains no notes")


def _lines(root: Any) -> list[str]:
    """Return the lines of text of a tree; a loop, as trees can be deeper than Python's call stack."""
    lines: list[str] = []
    stack: list[tuple[Any, int]] = [(root, 1)]
    while stack:
        node, level = stack.pop()
        if isinstance(node, str):
            lines.append(node)
            continue
        name = name_of(node)
        if not name:
            continue
        attributes = [(key.rpartition("}")[2], words(value)) for key, value in node.attrib.items()]
        lines += [f"{key}: {value}" for key, value in attributes if value and not _TECHNICAL.match(value)]
        inner = [child for child in node if name_of(child)]
        if all(name_of(child) in _INLINE for child in inner):
            text = _leaf(node)
            if text and name in _TITLES:
                lines.append(f"\n{'#' * min(level, 6)} {words(text)}\n")
            elif text:
                bare = inner or len(text) > _LONGEST_VALUE or name in _PROSE or name in _CODE
                lines.append(text if bare else f"{name}: {text}")
            continue
        titled = any(name_of(child) in _TITLES for child in inner)
        following: list[tuple[Any, int]] = [(words(node.text), level)]
        for child in inner:
            following += [(child, level if name_of(child) in _TITLES else level + titled), (words(child.tail), level)]
        lines.append("") if titled else None
        stack.extend(reversed([part for part in following if part[0] is not None and part[0] != ""]))
    return lines


def _leaf(node: Any) -> str:
    """Return the text of an element; feeds have HTML in theirs, and code keeps its lines."""
    text = "".join(node.itertext())
    if name_of(node) in _CODE and text.strip():
        return fenced(text)
    if re.search(r"</?(?:p|br|a|div|ul|li|b|i|strong|em|h[1-6]|pre|code|img)\b[^<>]*>", text):
        return markdown_of(text)[0]
    return words(text)
