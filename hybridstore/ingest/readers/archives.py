"""Zip containers (Office, OpenDocument, EPUB): opened with a limit on what they unpack to, and their XML parts."""

from __future__ import annotations

import io
import posixpath
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from hybridstore.ingest.readers.origin import Origin, Unreadable, errors_as_unreadable, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # the container of Office before 2007, and of encrypted Office files
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
LARGEST_UNPACKED = 1 << 29  # bytes without `max_file_size`; the XML of a Word file of 5,000 pages is 60 MB
_IS_ENCRYPTED = 1  # bit of a zip member's flags


@dataclass(slots=True)
class Archive:
    """An open zip container; `left` is how many bytes it may still unpack to: 512 MiB, or `max_file_size`."""

    origin: Origin
    members: zipfile.ZipFile
    left: int = field(init=False)
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        check_members_not_encrypted(self.origin, self.members)
        self.left = most_unpacked(self.origin)
        self.names = frozenset(self.members.namelist())

    def read(self, name: str) -> bytes:
        """Return the bytes of a member; b"" if there is none of this name. Raises Unreadable above the limit."""
        if name not in self.names:
            return b""
        member = self.members.getinfo(name)
        self.left -= member.file_size  # no more is unpacked than this, whatever the member contains
        if self.left < 0:
            raise too_large(self.origin.name, most_unpacked(self.origin))
        return self.members.read(name)

    def xml(self, name: str) -> Any:
        """Return the root element of an XML member, None if there is no such member."""
        data = self.read(name)
        return parse_xml(data) if data else None

    def related(self, name: str) -> dict[str, tuple[str, str]]:
        """Return an Office part's relations: id → (last word of its type, name of the target part)."""
        folder, base = posixpath.split(name)
        root = self.xml(f"{folder}/_rels/{base}.rels" if folder else f"_rels/{base}.rels")
        relations = {}
        for relation in () if root is None else root:
            target = unquote(relation.get("Target") or "")
            target = target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
            relations[relation.get("Id") or ""] = ((relation.get("Type") or "").rpartition("/")[2], target)
        return relations


def most_unpacked(origin: Origin) -> int:
    """Return how many bytes the members of a zip container may have together."""
    return LARGEST_UNPACKED if origin.largest is None else origin.largest


@contextmanager
def archive_of(origin: Origin, kind: str) -> Iterator[Archive]:
    """Open a file as a zip container; `kind` is its format's name.

    Whatever is wrong with it, inside the block too, becomes Unreadable: encrypted, older than the format, damaged.
    """
    data = origin.data()
    check_not_encrypted(origin, data)
    if data.startswith(_OLE):
        raise Unreadable(origin.name, f"is in the format of an older program; save it as {kind}")
    with errors_as_unreadable(origin, kind):
        yield Archive(origin, zipfile.ZipFile(io.BytesIO(data)))


def check_not_encrypted(origin: Origin, data: bytes) -> None:
    """Raise Unreadable for an Office file with a password."""
    if data.startswith(_OLE) and _ENCRYPTED in data:
        raise Unreadable(origin.name, "is encrypted; save a copy without a password")


def check_members_not_encrypted(origin: Origin, members: zipfile.ZipFile) -> None:
    """Raise Unreadable for a zip container with a password."""
    if any(member.flag_bits & _IS_ENCRYPTED for member in members.infolist()):
        raise Unreadable(origin.name, "is encrypted; save a copy without a password")


def parse_xml(data: bytes) -> Any:
    """Return the root element of an XML document; libxml2 limits what its own entities grow to, and loads no others."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities="internal", no_network=True, load_dtd=False, remove_comments=True)
    return etree.fromstring(data, parser)


def name_of(node: Any) -> str:
    """Return an element's name without its namespace; "" for what is not an element."""
    tag = node.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(node: Any, name: str, default: str = "") -> str:
    """Return the value of the attribute of this name in any namespace."""
    return next((str(value) for key, value in node.attrib.items() if key.rpartition("}")[2] == name), default)


def first(node: Any, *path: str) -> Any:
    """Return the first descendant along a path of child names, None if there is none."""
    for name in path:
        node = next((child for child in node if name_of(child) == name), None) if node is not None else None
    return node


def words(text: str | None) -> str:
    """Return a text on one line, with single spaces."""
    return " ".join((text or "").split())


def properties(root: Any) -> tuple[str, dict[str, Any]]:
    """Return the title, and the author and date as metadata, of a file's properties in Dublin Core."""
    found: dict[str, str] = {}
    for node in () if root is None else root.iter():
        if text := words(node.text):
            found.setdefault(name_of(node), text)
    author = found.get("creator") or found.get("initial-creator")
    date = found.get("created") or found.get("creation-date") or found.get("date")
    return found.get("title", ""), {key: text for key, text in (("author", author), ("date", date)) if text}
