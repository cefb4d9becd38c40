"""How notes look in a terminal: tables, a note a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hybridstore.cli.terminal import console, printable

if TYPE_CHECKING:
    from rich.table import Table

    from hybridstore.memory import Note

_LONGEST = 500  # characters of a text that a row takes from it
_MARK = "*"


def print_notes(notes: Sequence[Note]) -> None:
    """Print each note's id, time and speaker, and the beginning of its text."""
    table = _table("id", "time", "by", "text")
    table.columns[-1].no_wrap = True
    for note in notes:
        table.add_row(*_cells(note.id, note.time, note.speaker, note.text))
    console().print(table)


def print_history(notes: Sequence[Note], now: datetime) -> None:
    """Print notes with the times in which they hold; those that hold now have a star."""
    table = _table("", "id", "holds from", "until", "written down", "text")
    for note in notes:
        end = min((end for end in (note.valid_to, note.expires_at) if end is not None), default=None)
        holds = note.holds(now)
        cells = _cells(_MARK if holds else "", note.id, note.valid_from, end, note.recorded_at, note.text)
        table.add_row(*cells, style="bold" if holds else None)
    console().print(table)


def print_clusters(clusters: Sequence[tuple[Sequence[Note], float]]) -> None:
    """Print groups of notes with how alike they are, each group's first with a star: it stays."""
    if not clusters:
        return
    table = _table("", "id", "time", "alike", "text")
    for notes, similarity in clusters:
        for place, note in enumerate(notes):
            stays = place == 0
            cells = _cells(_MARK * stays, note.id, note.time, f"{similarity:.2f}" if stays else "", note.text)
            table.add_row(*cells, style="bold" if stays else None)
        table.add_section()
    console().print(table)


def now() -> datetime:
    """Give the time, as notes have theirs."""
    return datetime.now(UTC)


def _table(*names: str) -> Table:
    """Give a table whose last column, the text, takes what room is left; an id is never cut."""
    from rich.table import Table

    table = Table(*names, box=None, pad_edge=False, expand=True)
    for name, column in zip(names, table.columns, strict=True):
        column.no_wrap, column.overflow = name != "id", "fold" if name == "id" else "ellipsis"
    table.columns[-1].ratio, table.columns[-1].no_wrap = 1, False
    return table


def _cells(*values: str | datetime | None) -> list[str]:
    from hybridstore.memory.timestamps import short_iso

    texts = [short_iso(value) if isinstance(value, datetime) else value or "" for value in values]
    return [printable(" ".join(text[:_LONGEST].split())) for text in texts]
