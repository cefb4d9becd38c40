"""Fields that a filter names and no document has, and the fields that there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any, Protocol

from hybridstore.backends.values import StoredDocument
from hybridstore.filters import Comparison, Filter
from hybridstore.filters.tree import members_of

_LOOKED = 1_000  # documents whose fields are named
_LISTED = 12


class Documents(Protocol):
    """What is searched: a store or a backend."""

    def ids(self, where: Filter | None = None) -> list[str]:
        """Return the ids of the documents that pass."""
        ...

    def scan(self, where: Filter | None = None) -> Iterator[StoredDocument]:
        """Yield the documents that pass."""
        ...


def about_unknown_fields(documents: Documents, where: Filter | None) -> list[str]:
    """Return a sentence for each field of the filter that no document has, with the fields that there are.

    Names that begin with "$." are the program's own; those of the document itself are always there.
    """
    names = dict.fromkeys(name for name in _names(where) if not name.startswith(("@", "$.")))
    unknown = [name for name in names if not documents.ids(Comparison(name, "exists", True))]
    if not unknown:
        return []
    known: dict[str, None] = {}
    for stored in islice(documents.scan(), _LOOKED):
        known |= dict.fromkeys(_fields(stored.document.metadata))
    return [_sentence(name, list(known)) for name in unknown]


def _sentence(name: str, known: list[str]) -> str:
    if not known:
        return f"No document has the field {name!r}, or any other."
    close = get_close_matches(name, known, 1, 0.7)
    meant = f"did you mean {close[0]!r}? " if close else ""
    more = ", …" if len(known) > _LISTED else ""
    return f"No document has the field {name!r}; {meant}there are {', '.join(sorted(known)[:_LISTED])}{more}."


def _names(where: Filter | None) -> Iterator[str]:
    if isinstance(where, Comparison) and where.operator != "exists":
        yield where.field
    for member in members_of(where) if where is not None else ():
        yield from _names(member)


def _fields(metadata: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for key, value in metadata.items():
        if isinstance(value, Mapping) and not before:
            yield from _fields(value, f"{key}.")
        else:
            yield f"{before}{key}"
