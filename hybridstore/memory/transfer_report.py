"""What became of notes that were carried in from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """How many notes were `added`, how many were there already (`unchanged`), how many got new content (`updated`).

    `conflicts` are the ids under which something else is kept, which stays. `left_out` are (what, why): files, lines
    and documents that gave no note.
    """

    added: int = 0
    unchanged: int = 0
    updated: int = 0
    conflicts: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()

    def __add__(self, other: Carried) -> Carried:
        return Carried(
            added=self.added + other.added,
            unchanged=self.unchanged + other.unchanged,
            updated=self.updated + other.updated,
            conflicts=(*self.conflicts, *other.conflicts),
            left_out=(*self.left_out, *other.left_out),
        )
