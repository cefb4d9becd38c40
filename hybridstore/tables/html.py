"""HTML for notebooks: a small table that takes its colours from the page, light or dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_LONGEST = 200  # characters of a cell
_MOST_ROWS = 20
_LINE = "border-bottom:1px solid rgba(128,128,128,.4)"


def html_table(
    caption: str, columns: Sequence[str], rows: Sequence[Iterable[object]], notes: Sequence[str] = ()
) -> str:
    """Return a table of at most 20 rows, with everything escaped, numbers rounded and long cells cut."""
    head = "".join(_cell("th", column) for column in columns)
    body = "".join(f"<tr>{''.join(_cell('td', value) for value in row)}</tr>" for row in rows[:_MOST_ROWS])
    hidden = len(rows) - _MOST_ROWS
    more = [f"and {hidden:,} more"] if hidden > 0 else []
    below = "".join(f'<div style="opacity:.7">{escape(_short(note))}</div>' for note in (*more, *notes))
    return (
        f'<div style="color:inherit"><div>{escape(_short(caption))}</div>'
        f'<table style="border-collapse:collapse;color:inherit"><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        f"</table>{below}</div>"
    )


def _cell(tag: str, value: object) -> str:
    style = f"text-align:left;vertical-align:top;background:none;color:inherit;{_LINE}"
    return f'<{tag} style="{style}">{escape(_short(value))}</{tag}>'


def _short(value: object) -> str:
    text = "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
    text = " ".join(text[: 4 * _LONGEST].split()).encode("utf-8", "replace").decode()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
