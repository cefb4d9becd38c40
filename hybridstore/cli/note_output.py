"""Tables of notes: notes to be forgotten, the history of a note, clusters of similar notes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from hybridstore.cli.terminal import console, printable, table

if TYPE_CHECKING:
    from rich.table import Table

    from hybridstore.memory import Note

_LONGEST = 500  # characters of a text that are put into its row
_MARK = "*"


def print_notes(notes: Sequence[Note]) -> None:
    """Print each note's id, time and speaker, and the beginning of its text."""
    shown = _table("id", "time", "by", "text")
    shown.columns[-1].no_wrap = True
    for note in notes:
        shown.add_row(*_cells(note.id, note.time, note.speaker, note.text))
    console().print(shown)


def print_history(notes: Sequence[Note], now: datetime) -> None:
    """Print notes with the times at which they hold; those that hold now have a star."""
    shown = _table("", "id", "holds from", "until", "recorded", "text")
    for note in notes:
        end = min((end for end in (note.valid_to, note.expires_at) if end is not None), default=None)
        holds = note.holds(now)
        cells = _cells(_MARK if holds else "", note.id, note.valid_from, end, note.recorded_at, note.text)
        shown.add_row(*cells, style="bold" if holds else None)
    console().print(shown)


def print_clusters(clusters: Sequence[tuple[Sequence[Note], float]]) -> None:
    """Print clusters of notes with their similarity; the first note of each is kept and has a star."""
    if not clusters:
        return
    shown = _table("", "id", "time", "similarity", "text")
    for notes, similarity in clusters:
        for place, note in enumerate(notes):
            stays = place == 0
            cells = _cells(_MARK * stays, note.id, note.time, f"{similarity:.2f}" if stays else "", note.text)
            shown.add_row(*cells, style="bold" if stays else None)
        shown.add_section()
    console().print(shown)


def _table(*names: str) -> Table:
    """Return a table whose last column, the text, takes the remaining width; an id is never cut."""
    made = table(*names, expand=True)
    for name, column in zip(names, made.columns, strict=True):
        column.no_wrap, column.overflow = name != "id", "fold" if name == "id" else "ellipsis"
    made.columns[-1].ratio, made.columns[-1].no_wrap = 1, False
    return made


def _cells(*values: str | datetime | None) -> list[str]:
    from hybridstore.memory.timestamps import short_iso

    texts = [short_iso(value) if isinstance(value, datetime) else value or "" for value in values]
    return [printable(" ".join(text[:_LONGEST].split())) for text in texts]
