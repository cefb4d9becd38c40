"""A collection of Chroma: its documents under their ids, with their metadata; chromadb itself is not needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from hybridstore.errors import InputError
from hybridstore.memory.importers.importing import ImportedNote, bring
from hybridstore.memory.memory import Memory
from hybridstore.memory.notes import Note
from hybridstore.memory.remembering import Said
from hybridstore.memory.transfer_report import Carried

_AT_ONCE = 300


class ChromaCollection(Protocol):
    """What is asked of a collection."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    def get(self, *, include: Any, limit: int, offset: int) -> Any:
        """Give `ids`, and what was asked for, of some of its records."""
        ...


def from_chroma(memory: Memory, collection: ChromaCollection) -> Carried:
    """Take over a collection: each document a note, under its id, with its metadata and the collection's name.

    The name stands in the metadata as `collection`, unless they have such a field; a note of the same id that is from
    elsewhere is a conflict, and stays. Vectors are made anew. Records without a document are left out and told, and so
    are ids that turns and versions have ("a/000001", "a~1"). Raises InputError for what is no collection.
    """
    if not callable(getattr(collection, "get", None)) or not isinstance(getattr(collection, "name", None), str):
        raise InputError(
            f"a collection has a name, and get(include=, limit=, offset=); {collection!r} is none. "
            "Chroma's client gives one by get_collection(name)"
        )
    return bring(memory, _records(collection))


def _records(collection: ChromaCollection) -> Iterator[ImportedNote | tuple[str, str]]:
    offset = 0
    while True:
        page = collection.get(include=["documents", "metadatas"], limit=_AT_ONCE, offset=offset)
        ids = list(page["ids"])
        if not ids:
            return
        nothing = [None] * len(ids)
        documents, metadatas = page.get("documents") or nothing, page.get("metadatas") or nothing
        for id_, text, metadata in zip(ids, documents, metadatas, strict=True):
            yield _record(collection.name, id_, text, metadata)
        offset += len(ids)


def _record(name: str, id_: str, text: object, metadata: Mapping[str, Any] | None) -> ImportedNote | tuple[str, str]:
    where = f"{name}, {id_!r}"
    if not isinstance(text, str):
        return where, "has no document, only a vector or metadata"
    told = {"collection": name, **(metadata or {})}

    def is_from_here(note: Note) -> bool:
        return bool(note.metadata.get("collection") == told["collection"])

    return ImportedNote(said=Said(text=text, id=id_, metadata=told), name=where, is_from_here=is_from_here)
