"""Importers: a memory from the MCP memory server's file, a Chroma collection, or a folder of Markdown files.

Each can be run again at any time: what is there stays, what changed at its source becomes a new version of the note,
and what was superseded here stays superseded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from hybridstore.errors import InputError
from hybridstore.ingest import line_files
from hybridstore.ingest.readers import Unreadable, read
from hybridstore.ingest.readers.file_types import kind_of_name
from hybridstore.ingest.walk import Skipped, walk
from hybridstore.memory.memory import Memory
from hybridstore.memory.notes import Note, moment, seconds_of
from hybridstore.memory.remembering import ImportReport, NoteInput, made_id
from hybridstore.memory.transfer import ImportedNote, import_notes

Entry = ImportedNote | tuple[str, str]

_ENTITY, _RELATION = ("name", "entityType", "observations"), ("from", "to", "relationType")
_CHROMA_PAGE = 300  # records

# the MCP memory server's file


def _import(memory: Memory, entries: Iterable[ImportedNote | tuple[str, str]]) -> ImportReport:
    return import_notes(memory._space, entries)  # noqa: SLF001 - of the same package


def from_mcp_memory(memory: Memory, path: str | os.PathLike[str]) -> ImportReport:
    """Import memory.jsonl, the graph of an MCP memory server: one note for each observation and each relation.

    An observation becomes "NAME: observation", with `entity` and `entity_type` in its metadata; an entity without
    observations becomes "NAME: TYPE". A relation becomes "FROM relationType TO", with all three in its metadata. Other
    fields of a line are added to the metadata, lines of other types are reported as left out. Notes stay when they are
    removed from the file. Raises InputError for a line that cannot be read, before anything is imported, FileRefused
    for a file that cannot be opened. Format: https://github.com/modelcontextprotocol/servers, src/memory.
    """
    try:
        with line_files.reading(path) as (name, numbered):
            entries = [entry for number, line in numbered for entry in _graph_line(line, name, number)]
    except line_files.Broken as error:
        raise InputError(f"{error}; nothing was imported: fix or remove the line and run it again") from error
    return _import(memory, entries)


def _graph_line(line: bytes, name: str, number: int) -> Iterator[Entry]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise line_files.Broken(name, number, f"is not JSON ({error})") from error
    where = f"{name}, line {number}"
    kind = record.get("type") if isinstance(record, Mapping) else None
    if kind == "entity":
        yield from _entity(record, where, line_files.Broken(name, number, "an entity needs `name` and `observations`"))
    elif kind == "relation":
        if not all(isinstance(record.get(key), str) and record[key].strip() for key in _RELATION):
            raise line_files.Broken(name, number, "a relation needs the texts `from`, `to` and `relationType`")
        start, end, relation = (record[key] for key in _RELATION)
        metadata = {"from": start, "to": end, "relation_type": relation, **_other_fields(record, _RELATION)}
        yield _graph_note(f"{start} {relation} {end}", metadata, where)
    else:
        yield where, f"is neither an entity nor a relation, but has the type {kind!r}"


def _entity(record: Mapping[str, Any], where: str, broken: line_files.Broken) -> Iterator[Entry]:
    name, type_, observations = (record.get(key) for key in _ENTITY)
    if not isinstance(name, str) or not name.strip() or not isinstance(observations, list):
        raise broken
    metadata = {"entity": name, "entity_type": type_, **_other_fields(record, _ENTITY)}
    if not observations:
        yield _graph_note(f"{name}: {type_}" if isinstance(type_, str) and type_ else name, metadata, where)
    for observation in observations:
        if isinstance(observation, str) and observation.strip():
            yield _graph_note(f"{name}: {observation}", metadata, where)
        else:
            yield where, f"has the observation {observation!r}, which is not a text"


def _other_fields(record: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in {"type", *known}}


def _graph_note(text: str, metadata: Mapping[str, Any], where: str) -> Entry:
    return ImportedNote(content=NoteInput(text=text, id=made_id(text), metadata=metadata), name=where)


# Chroma, whose package is not needed


def from_chroma(memory: Memory, collection: Any) -> ImportReport:
    """Import a Chroma collection: a note for each document, with its id, its metadata and the collection's name.

    The name is in the metadata as `collection`, unless they have such a field; a note of the same id from another
    source is a conflict, and stays. Vectors are made anew. Records without a document are reported as left out, and so
    are ids in the form of turns and versions ("a/000001", "a~1"). Raises InputError for what is not a collection.
    """
    if not callable(getattr(collection, "get", None)) or not isinstance(getattr(collection, "name", None), str):
        raise InputError(
            f"{collection!r} is not a Chroma collection, which has a name and get(include=, limit=, offset=); "
            "get one by client.get_collection(name)"
        )
    return _import(memory, _chroma_records(collection))


def _chroma_records(collection: Any) -> Iterator[Entry]:
    offset = 0
    while True:
        page = collection.get(include=["documents", "metadatas"], limit=_CHROMA_PAGE, offset=offset)
        ids = list(page["ids"])
        if not ids:
            return
        nothing = [None] * len(ids)
        documents, metadatas = page.get("documents") or nothing, page.get("metadatas") or nothing
        for id_, text, metadata in zip(ids, documents, metadatas, strict=True):
            yield _chroma_record(collection.name, id_, text, metadata)
        offset += len(ids)


def _chroma_record(name: str, id_: str, text: object, metadata: Mapping[str, Any] | None) -> Entry:
    where = f"{name}, {id_!r}"
    if not isinstance(text, str):
        return where, "has no document, only a vector or metadata"
    full = {"collection": name, **(metadata or {})}

    def same_source(note: Note) -> bool:
        return bool(note.metadata.get("collection") == full["collection"])

    return ImportedNote(content=NoteInput(text=text, id=id_, metadata=full), name=where, same_source=same_source)


# a folder of Markdown


def from_markdown(memory: Memory, folder: str | os.PathLike[str]) -> ImportReport:
    """Import the Markdown files of a folder: a note for each, whose id is its path in the folder.

    A file that has changed becomes a new version of its note. The metadata are `path`, `title` (from the front matter,
    else the first heading, else the file's name) and `tags`. `occurred_at` is the front matter's `date`, in ISO 8601,
    or else when the file was last written. Of front matter (YAML or TOML), `title`, `date` and `tags` are
    read; the text includes it. Hidden files, links, files excluded by a .gitignore and files that cannot be
    read are reported as left out. Notes stay when their files are deleted.

    Raises InputError for a folder that does not exist, MissingExtra without the extra `files`.
    """
    root = Path(os.path.abspath(folder))  # noqa: PTH100 - Path.absolute keeps ".."
    if not root.is_dir():
        raise InputError(f"there is no folder {str(root)!r}; nothing was imported")
    return _import(memory, _markdown_files(root))


def _markdown_files(root: Path) -> Iterator[Entry]:
    skipped: list[Skipped] = []
    for path in walk(root, skipped=skipped.append):
        if _is_markdown(path):
            yield _markdown_file(root, path)
    yield from (
        (_printable(skip.path), skip.reason) for skip in skipped if _is_markdown(skip.path) or skip.path.is_dir()
    )


def _is_markdown(path: Path) -> bool:
    kind = kind_of_name(path.name)
    return kind is not None and kind.reader == "md"


def _markdown_file(root: Path, path: Path) -> Entry:
    relative = path.relative_to(root).as_posix()
    try:
        (document,) = read(path)
        written = moment(path.stat().st_mtime)
    except Unreadable as error:
        return error.path, error.reason
    except OSError as error:
        return _printable(path), f"cannot be read ({error.strerror or error})"
    tags, date = document.metadata.get("tags"), document.metadata.get("date")
    metadata = {"path": relative, "title": document.title, "tags": tags if isinstance(tags, list) else []}
    when = (_date(date) if isinstance(date, str) else None) or written

    def same_source(note: Note) -> bool:
        return note.metadata.get("path") == relative

    return ImportedNote(
        content=NoteInput(text=document.text, id=relative, metadata=metadata, occurred_at=when, format=document.format),
        name=str(path),
        since=written,
        same_source=same_source,
    )


def _date(value: str) -> datetime | None:
    try:
        return moment(seconds_of(value, "date"))
    except InputError:  # not in ISO 8601: the file's own time is as good
        return None


def _printable(path: Path) -> str:
    return str(path).encode(errors="replace").decode()  # names on disk need not be valid UTF-8


__all__ = ["from_chroma", "from_markdown", "from_mcp_memory"]
