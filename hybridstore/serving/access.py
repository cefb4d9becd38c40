"""What a caller may see of the store: the namespace's notes that hold now, and the documents that are nobody's notes.

A file holds the notes of many namespaces, and nothing of another one's may be found, fetched, listed or counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hybridstore import filters
from hybridstore.errors import InputError, NotFound
from hybridstore.filters import And, Filter, Or, field
from hybridstore.memory import Memory
from hybridstore.memory.note_ids import SCHEME, Namespace
from hybridstore.records import Document

KINDS = ("all", "notes", "documents")

# How the ids of what is kept for somebody begin: notes, and what agents of LangGraph remember.
_SOMEBODYS = (SCHEME, "langgraph:")


@dataclass(frozen=True, slots=True)
class Scope:
    """What one memory's owner may see; `documents` False: notes alone."""

    memory: Memory
    documents: bool = True

    @property
    def namespace(self) -> Namespace:
        """Whose notes are seen."""
        return Namespace(self.memory.namespace)

    def filter(
        self, kind: str = "all", *, where: Mapping[str, Any] | None = None, session: str | None = None
    ) -> Filter:
        """Give the filter that keeps what may be seen; a session has notes alone. Raises InputError."""
        if kind not in KINDS:
            raise InputError(f"kind is one of {', '.join(KINDS)}, not {kind!r}")
        if kind == "documents" and not self.documents:
            raise InputError("this server shows notes alone, no documents")
        notes = self.memory.scope(session=session)
        if kind == "notes" or not self.documents or (kind == "all" and session is not None):
            seen: Filter = notes
        elif session is not None:
            raise InputError("documents belong to no session; leave session out, or ask for notes")
        else:
            nobodys = And(tuple(~field("@id").prefix(start) for start in _SOMEBODYS))
            seen = nobodys if kind == "documents" else Or((nobodys, notes))
        wanted = filters.parse(where)
        return seen if wanted is None else And((seen, wanted))

    def note(self, given: str) -> str:
        """Give a note's id of what a caller calls it: its id, or its uri. Raises NotFound for others' uris."""
        if not given.startswith(SCHEME):
            return given
        found = self.namespace.note(given)
        if found is None:
            raise unknown(given)
        return found

    def document(self, given: str) -> Document:
        """Give a document by its id, or its uri where one document alone has it; raises NotFound, InputError."""
        store = self.memory.store
        if not self.documents or given.startswith(_SOMEBODYS):
            raise unknown(given)
        if given in store.digests([given]):
            return store.get(given)
        ids = store.ids(And((self.filter("documents"), field("@uri") == given)))
        if not ids:
            raise unknown(given)
        if len(ids) > 1:
            raise InputError(f"{len(ids)} documents have the uri {given!r}; fetch one by its id, as {ids[0]!r}")
        return store.get(ids[0])


def unknown(given: str) -> NotFound:
    """Give the error that there is nothing of this name, which is the same for what may not be seen."""
    return NotFound(given, f"there is no note or document {given!r}; search, recall and list give the ids there are")
