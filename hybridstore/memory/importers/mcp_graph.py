"""The memory of the Model Context Protocol's own memory server: memory.jsonl, a graph of entities and relations.

Each line is {"type": "entity", "name": …, "entityType": …, "observations": […]} or {"type": "relation", "from": …,
"to": …, "relationType": …} (https://github.com/modelcontextprotocol/servers, src/memory).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from hybridstore.errors import InputError
from hybridstore.ingest import line_files
from hybridstore.memory.importers.importing import ImportedNote, bring
from hybridstore.memory.memory import Memory
from hybridstore.memory.remembering import Said, made_id
from hybridstore.memory.transfer_report import Carried

_ENTITY, _RELATION = ("name", "entityType", "observations"), ("from", "to", "relationType")

Brought = ImportedNote | tuple[str, str]


def from_mcp_memory(memory: Memory, path: str | os.PathLike[str]) -> Carried:
    """Take over the file of an MCP memory server: one note an observation, and one a relation.

    An observation becomes "NAME: observation", with `entity` and `entity_type` in its metadata; an entity that has none
    becomes "NAME: TYPE". A relation becomes "FROM relationType TO", with all three in its metadata. Other fields of a
    line are kept in the metadata too. What was removed from the file since stays. Lines of other types are left out
    and told. Raises InputError for a line that cannot be read, before anything is taken over, FileRefused for a file
    that cannot be opened.
    """
    try:
        with line_files.reading(path) as (name, numbered):
            found = [each for number, line in numbered for each in _read(line, name, number)]
    except line_files.Broken as error:
        raise InputError(f"{error}; nothing was taken over: mend or drop the line, and run it again") from error
    return bring(memory, found)


def _read(line: bytes, name: str, number: int) -> Iterator[Brought]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise line_files.Broken(name, number, f"is no JSON ({error})") from error
    where = f"{name}, line {number}"
    kind = record.get("type") if isinstance(record, Mapping) else None
    if kind == "entity":
        yield from _entity(record, where, line_files.Broken(name, number, "an entity has a `name` and `observations`"))
    elif kind == "relation":
        if not all(isinstance(record.get(key), str) and record[key].strip() for key in _RELATION):
            raise line_files.Broken(name, number, "a relation has `from`, `to` and `relationType`, which are texts")
        start, end, relation = (record[key] for key in _RELATION)
        metadata = {"from": start, "to": end, "relation_type": relation, **_others(record, _RELATION)}
        yield _found(f"{start} {relation} {end}", metadata, where)
    else:
        yield where, f"is neither an entity nor a relation, but of the type {kind!r}"


def _entity(record: Mapping[str, Any], where: str, broken: line_files.Broken) -> Iterator[Brought]:
    name, type_, observations = (record.get(key) for key in _ENTITY)
    if not isinstance(name, str) or not name.strip() or not isinstance(observations, list):
        raise broken
    metadata = {"entity": name, "entity_type": type_, **_others(record, _ENTITY)}
    if not observations:
        yield _found(f"{name}: {type_}" if isinstance(type_, str) and type_ else name, metadata, where)
    for observation in observations:
        if isinstance(observation, str) and observation.strip():
            yield _found(f"{name}: {observation}", metadata, where)
        else:
            yield where, f"has the observation {observation!r}, which is no text"


def _others(record: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in {"type", *known}}


def _found(text: str, metadata: Mapping[str, Any], where: str) -> Brought:
    return ImportedNote(said=Said(text=text, id=made_id(text), metadata=metadata), name=where)
