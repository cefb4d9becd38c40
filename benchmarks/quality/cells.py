"""Parts of a Markdown page: tables, intervals, and pass marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(map(cell, head)) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(map(cell, row)) + " |" for row in rows]


def cell(text: str) -> str:
    """Return the text of a table cell: no line ends, no bars, nothing unprintable."""
    kept = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    return " ".join(kept.split()).replace("|", "\\|").replace("<", "&lt;")


def interval(found: Mapping[str, float]) -> str:
    """Return a difference with its interval, bold if the interval excludes 0."""
    result = f"{found['difference']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})"
    return f"**{result}**" if found["low"] > 0 or found["high"] < 0 else result


def mark(passed: bool) -> str:
    return "pass" if passed else "**fail**"
