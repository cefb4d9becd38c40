"""Parts of a Markdown page: tables, intervals, and pass marks; and the command that writes one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


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


def write_page(script: str, description: str, make: Callable[[Path], str], page: Path) -> None:
    """Write, or with --check compare, the page that `make` makes of a folder of results; `script` is what is run."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="say whether the page is up to date, and write nothing")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--page", type=Path, default=page)
    options = parser.parse_args()
    text = make(options.results)
    if options.check:
        stale = not options.page.exists() or options.page.read_text(encoding="utf-8") != text
        sys.exit(f"stale: {options.page.name}; run benchmarks/quality/{script}" if stale else 0)
    options.page.write_text(text, encoding="utf-8")
