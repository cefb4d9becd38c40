"""A folder of Markdown, such as notes or a diary: each file a note, which is cut where its headings are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from hybridstore.errors import InputError
from hybridstore.ingest.file_types import kind_of_name
from hybridstore.ingest.readers import Unreadable, read
from hybridstore.ingest.walk import Skipped, walk
from hybridstore.memory.importers.importing import ImportedNote, bring
from hybridstore.memory.memory import Memory
from hybridstore.memory.notes import Note
from hybridstore.memory.remembering import Said
from hybridstore.memory.timestamps import moment, seconds_of
from hybridstore.memory.transfer_report import Carried

_FRONT = re.compile(r"---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_PAIR = re.compile(r"([A-Za-z_]+):[ \t]*(.*)")
_ITEM = re.compile(r"[ \t]*-[ \t]+(.+)")


def from_markdown(memory: Memory, folder: str | os.PathLike[str]) -> Carried:
    """Take over the Markdown files below a folder: each a note, whose id is its path in the folder.

    A file that has changed becomes a new version of its note. Its metadata are `path`, `title` (of the front matter,
    else the first heading, else the file's name) and `tags`. It happened at the front matter's `date`, in ISO 8601,
    or else when the file was last written. Front matter is read where it is simple: `title:`, `date:` and `tags:` of
    one line, or a list of tags; the text is kept whole. Hidden files, links, and what a .gitignore rules out are left
    out, and like files that cannot be read, told by name. Files that are gone stay remembered.

    Raises InputError for a folder that is not there, MissingExtra without the extra `files`.
    """
    root = Path(os.path.abspath(folder))  # noqa: PTH100 - Path.absolute keeps ".."
    if not root.is_dir():
        raise InputError(f"there is no folder {str(root)!r}; nothing was read")
    return bring(memory, _files(root))


def _files(root: Path) -> Iterator[ImportedNote | tuple[str, str]]:
    skipped: list[Skipped] = []
    for path in walk(root, skipped=skipped.append):
        if _is_markdown(path):
            yield _file(root, path)
    yield from ((_shown(each.path), each.reason) for each in skipped if _is_markdown(each.path) or each.path.is_dir())


def _is_markdown(path: Path) -> bool:
    kind = kind_of_name(path.name)
    return kind is not None and kind.reader == "md"


def _file(root: Path, path: Path) -> ImportedNote | tuple[str, str]:
    relative = path.relative_to(root).as_posix()
    try:
        (document,) = read(path)
        written = moment(path.stat().st_mtime)
    except Unreadable as error:
        return error.path, error.reason
    except OSError as error:
        return _shown(path), f"cannot be read ({error.strerror or error})"
    front = front_matter(document.text)
    metadata = {"path": relative, "title": front.get("title") or document.title, "tags": front.get("tags", [])}
    when = front.get("date") or written

    def is_from_here(note: Note) -> bool:
        return note.metadata.get("path") == relative

    return ImportedNote(
        said=Said(text=document.text, id=relative, metadata=metadata, occurred_at=when, format=document.format),
        name=str(path),
        since=written,
        is_from_here=is_from_here,
    )


def front_matter(text: str) -> dict[str, Any]:
    """Give the `title`, `date` (a datetime) and `tags` (a list) of simple front matter; those that it has."""
    block = _FRONT.match(text)
    found: dict[str, Any] = {}
    key = ""
    for line in block[1].splitlines() if block else ():
        pair, item = _PAIR.fullmatch(line.rstrip()), _ITEM.fullmatch(line.rstrip())
        if pair:
            key, value = pair[1].lower(), pair[2].strip()
            if key == "title" and _bare(value):
                found["title"] = _bare(value)
            elif key == "tags" and value:
                found["tags"] = [tag for each in value.strip("[]").split(",") if (tag := _bare(each))]
            elif key == "date" and (when := _date(_bare(value))):
                found["date"] = when
        elif item and key == "tags":
            found["tags"] = [*found.get("tags", []), _bare(item[1])]
    return found


def _bare(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _date(value: str) -> datetime | None:
    try:
        return moment(seconds_of(value, "date"))
    except InputError:  # written in words, or otherwise: the file's own time is as good
        return None


def _shown(path: Path) -> str:
    return str(path).encode(errors="replace").decode()  # names on disk need not be valid UTF-8
