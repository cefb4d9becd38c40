"""What a client may access: a namespace's notes, documents, and files below allowed folders.

A file contains the notes of many namespaces; those of other namespaces are never found, fetched, listed or counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hybridstore import filters
from hybridstore.errors import InputError, NotFound
from hybridstore.filters import And, Filter, Or, field
from hybridstore.memory import Memory
from hybridstore.memory.note_ids import SCHEME, Namespace
from hybridstore.records import Document
from hybridstore.serving.answers import cut
from hybridstore.store.inputs import Where

KINDS = ("all", "notes", "documents")

# Prefixes of the ids that belong to a namespace: notes, and memories of LangGraph agents.
_PRIVATE = (SCHEME, "langgraph:")
_PATH_SHOWN = 80  # characters of a path that an error message repeats


@dataclass(frozen=True, slots=True)
class Scope:
    """The notes of one memory and, unless `documents` is False, the documents."""

    memory: Memory
    documents: bool = True

    @property
    def namespace(self) -> Namespace:
        """The namespace whose notes are visible."""
        return Namespace(self.memory.namespace)

    def filter(self, kind: str = "all", *, where: Where = None, session: str | None = None) -> Filter:
        """Return the filter for what is visible; a session contains only notes. Raises InputError."""
        if kind not in KINDS:
            raise InputError(f"kind is one of {', '.join(KINDS)}, not {kind!r}")
        if kind == "documents" and not self.documents:
            raise InputError("this server shows only notes, no documents")
        notes = self.memory.scope(session=session)
        if kind == "notes" or not self.documents or (kind == "all" and session is not None):
            visible: Filter = notes
        elif session is not None:
            raise InputError("documents belong to no session; leave session out, or ask for notes")
        else:
            public = And(tuple(~field("@id").prefix(prefix) for prefix in _PRIVATE))
            visible = public if kind == "documents" else Or((public, notes))
        condition = filters.parse(where)
        return visible if condition is None else And((visible, condition))

    def note_id(self, name: str) -> str:
        """Return the id of a note named by its id or its uri; raises NotFound for uris of other namespaces."""
        if not name.startswith(SCHEME):
            return name
        id_ = self.namespace.note(name)
        if id_ is None:
            raise _unknown(name)
        return id_

    def check_new(self, id_: str | None) -> None:
        """Raise InputError for the id of a document that would be a note, of whatever namespace."""
        if id_ is not None and id_.startswith(_PRIVATE):
            raise InputError(
                f"ids that begin with {' or '.join(_PRIVATE)} belong to notes; choose another, or remember it"
            )

    def is_document(self, id_: str) -> bool:
        """Return whether an id is that of a document which is visible if it is there, and not of a note."""
        return self.documents and not id_.startswith(_PRIVATE)

    def check_visible(self, id_: str) -> None:
        """Raise NotFound for the id of a document that is not there, or not visible, which look the same."""
        if not self.memory.store.ids(And((self.filter(), field("@id") == id_))):
            raise _unknown(id_)

    def document(self, name: str) -> Document:
        """Return a document by its id, or by a uri that only it has; raises NotFound, InputError."""
        store = self.memory.store
        if not self.documents or name.startswith(_PRIVATE):
            raise _unknown(name)
        if name in store.digests([name]):
            return store.get(name)
        ids = store.ids(And((self.filter("documents"), field("@uri") == name)))
        if not ids:
            raise _unknown(name)
        if len(ids) > 1:
            raise InputError(f"{len(ids)} documents have the uri {name!r}; fetch one by its id, such as {ids[0]!r}")
        return store.get(ids[0])


def _unknown(name: str) -> NotFound:
    """Return the error for an unknown name, which is the same for what is not visible."""
    return NotFound(name, f"there is no note or document {name!r}; search, recall and list show the existing ids")


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders below which files may be read; none: no files. Made by `of`."""

    roots: tuple[Path, ...] = ()

    @classmethod
    def of(cls, roots: Sequence[str | Path]) -> Folders:
        """Resolve folders; raises InputError for anything that is not a folder."""
        resolved = []
        for root in roots:
            path = Path(root).expanduser().resolve()
            if not path.is_dir():
                raise InputError(f"{str(root)!r} is not a folder; name folders below which files may be read")
            resolved.append(path)
        return cls(tuple(dict.fromkeys(resolved)))

    def allowed(self, name: str) -> Path:
        """Return the file or folder, with all links resolved; relative paths are tried below each root.

        Raises InputError for a path outside, whether it exists or not, for a hidden one, and for a missing one.
        """
        if not self.roots:
            raise InputError(
                "this server may read no files; its operator can allow a folder: `hybridstore serve mcp --root DIR`"
            )
        if not name.strip():
            raise InputError(f"{name!r} is not a path; name a file or folder")
        paths = [path for root in self.roots if (path := _resolved(root, name)) is not None]
        inside = [(path, root) for path in paths for root in self.roots if path.is_relative_to(root)]
        if not inside:
            # One sentence for both cases: it must not reveal whether a path outside exists.
            raise InputError(
                f"{cut(name, _PATH_SHOWN)!r} is not a path, or is outside the allowed folders. {self.describe()}"
            )
        visible = [path for path, root in inside if not any(part[0] == "." for part in path.relative_to(root).parts)]
        if not visible:
            raise InputError(f"{name!r} is hidden, and hidden files are not read")
        path = next((path for path in visible if path.exists()), visible[0])
        if not (path.is_file() or path.is_dir()):
            raise InputError(f"there is no file or folder {name!r}")
        return path

    def describe(self) -> str:
        """Return a sentence that names the folders."""
        if not self.roots:
            return "This server may read no files."
        return f"Files can be read only below {', '.join(str(root) for root in self.roots)}."


def _resolved(root: Path, name: str) -> Path | None:
    """Return the path with all links resolved; None for one that the system rejects, such as a link loop."""
    try:
        path = (root / Path(name).expanduser()).resolve()
        path.exists()
    except (OSError, RuntimeError, ValueError):
        return None
    return path
