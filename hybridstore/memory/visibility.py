"""Which notes a caller may see: those of the namespace, that hold at the moment asked about, and have not expired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hybridstore import filters
from hybridstore.errors import InputError
from hybridstore.filters import And, Filter, field
from hybridstore.memory import note_ids
from hybridstore.memory.note_ids import Namespace
from hybridstore.memory.notes import OURS

Where = Mapping[str, Any] | Filter | None


def fact(name: str) -> filters.Field:
    """Name a note's own fact, to compare."""
    return field(f"{OURS}.{name}")


def owned(namespace: Namespace) -> Filter:
    """Keep what belongs to a namespace: all of it, whether it holds or not.

    The id decides, which nothing but remembering gives: a row of a table that was read in may call a column "memory".
    """
    return (fact("in") == namespace.text) & field("@id").prefix(namespace.document(""))


def unexpired(now: float) -> Filter:
    """Keep what has not expired."""
    return ~fact("expires").exists() | (fact("expires") > now)


def holding(at: float) -> Filter:
    """Keep what held at a moment."""
    return (fact("since") <= at) & (~fact("until").exists() | (fact("until") > at))


def visible(namespace: Namespace, now: float, *, as_of: float | None, session: str | None, where: Where) -> Filter:
    """Keep what a recall may show: held `as_of` that moment (None: now), of a session, with the caller's filter."""
    parts = [owned(namespace), unexpired(now), holding(now if as_of is None else as_of)]
    if session is not None:
        parts.append(fact("session") == note_ids.check_session(session))
    wanted = filters.parse(where)
    return And((*parts, *(() if wanted is None else (wanted,))))


def restricting(where: Where) -> Filter:
    """Give a filter by which notes are to be deleted; raises InputError for one that restricts nothing.

    An empty one, a prefix or part that is empty, an exclusion from nothing: whoever writes these means something else.
    """
    wanted = filters.parse(where)
    if wanted is None or filters.passes_all(wanted):
        raise InputError(
            f"the filter {where!r} restricts nothing, and would take every note; name what is to go, "
            "or say everything=True (--all)"
        )
    return wanted


__all__ = ["Where", "fact", "holding", "owned", "restricting", "unexpired", "visible"]
