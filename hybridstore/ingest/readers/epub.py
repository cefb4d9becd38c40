"""The EPUB reader: the chapters of a book in reading order, as markdown."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from hybridstore.ingest.readers.archives import Archive, archive_of, attribute, name_of, properties, words
from hybridstore.ingest.readers.html import markdown_of
from hybridstore.ingest.readers.origin import Origin, Unreadable
from hybridstore.records import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGES = frozenset(("application/xhtml+xml", "text/html"))


def read_epub(origin: Origin) -> Document:
    """Return a book's text as markdown, with title, author and date.

    A chapter without a heading of its own gets the one of the table of contents. Raises Unreadable for a book that is
    protected against copying (DRM).
    """
    with archive_of(origin, "EPUB") as archive:
        container = archive.xml("META-INF/container.xml")
        roots = () if container is None else (node for node in container.iter() if name_of(node) == "rootfile")
        opf = next((attribute(node, "full-path") for node in roots), "")
        package = archive.xml(opf)
        if package is None:
            raise Unreadable(origin.name, "is a zip archive, but not an EPUB book")
        items = {attribute(node, "id"): node for node in package.iter() if name_of(node) == "item"}
        places = {id_: _target(opf, attribute(node, "href")) for id_, node in items.items()}
        spine = dict.fromkeys(attribute(node, "idref") for node in package.iter() if name_of(node) == "itemref")
        if b"EncryptedData" in archive.read("META-INF/encryption.xml") and _is_protected(archive, places):
            raise Unreadable(origin.name, "is protected against copying (DRM)")
        names = _contents(archive, opf, items)
        pages = (places[id_] for id_ in spine if id_ in places and attribute(items[id_], "media-type") in _PAGES)
        chapters = list(_chapters(archive, pages, names))
        title, metadata = properties(package)
    if not chapters:
        raise Unreadable(origin.name, "contains no text")
    return Document(text="\n\n".join(chapters), title=title, metadata=metadata, format="markdown")


def _chapters(archive: Archive, pages: Iterator[str], names: dict[str, str]) -> Iterator[str]:
    for page in pages:
        text, _ = markdown_of(archive.read(page))
        if text:
            titled = text.startswith("#") or page not in names
            yield text if titled else f"# {names[page]}\n\n{text}"
        elif page not in archive.names:
            archive.origin.notice(f"the chapter {page} is missing")


def _contents(archive: Archive, opf: str, items: dict[str, Any]) -> dict[str, str]:
    """Return the titles of pages by the table of contents, of EPUB 3 (nav) or 2 (ncx)."""
    names: dict[str, str] = {}
    for item in items.values():
        is_nav = "nav" in attribute(item, "properties").split()
        if not is_nav and attribute(item, "media-type") != "application/x-dtbncx+xml":
            continue
        place = _target(opf, attribute(item, "href"))
        root = archive.xml(place)
        for node in root.iter() if root is not None else ():
            if is_nav and name_of(node) == "a":
                names.setdefault(_target(place, attribute(node, "href")), words(" ".join(node.itertext())))
            elif name_of(node) == "navPoint":
                targets = [attribute(part, "src") for part in node if name_of(part) == "content"]
                labels = [words(" ".join(part.itertext())) for part in node if name_of(part) == "navLabel"]
                if targets and labels:
                    names.setdefault(_target(place, targets[0]), labels[0])
    return names


def _target(base: str, href: str) -> str:
    """Return the name of the part that a link in the part `base` refers to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), unquote(href.partition("#")[0])))


def _is_protected(archive: Archive, places: dict[str, str]) -> bool:
    """Return whether pages are encrypted; fonts often are, without harm."""
    root = archive.xml("META-INF/encryption.xml")
    targets = {unquote(attribute(node, "URI")) for node in root.iter() if name_of(node) == "CipherReference"}
    return any(place in targets and place.endswith(("html", "htm", "xml")) for place in places.values())
