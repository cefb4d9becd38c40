"""hybridstore in two minutes: ingest Python's own documentation, search it, and explain one result.

    make demo        or        python examples/demo.py [FILE]

The store stays in FILE (default: build/demo.db), so a second run embeds nothing, and you can go on searching it.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from python_docs import documents
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

import hybridstore as hs

QUESTIONS = [
    "how do I compress a file",
    "run a command and capture its output",
    "find the middle value of a list of numbers",
    "split a URL into its components",
    "make a copy of an object including nested objects",
    "fnmatchcase",  # an identifier: found by name
]


def main() -> None:
    """Read, add, search, explain."""
    console = Console()
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("build/demo.db")
    path.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    docstrings = list(documents())
    console.print(f"Read {len(docstrings):,} docstrings of Python {sys.version.split()[0]} in {_since(started)}.")
    with hs.open(path) as store:
        ingest(store, docstrings, console)
        for question in QUESTIONS:
            search(store, question, console)
        console.rule("explain")
        console.print(str(store.explain(QUESTIONS[0], limit=3, expect="zlib.compress")), highlight=False, markup=False)
        stats = store.stats()
    console.rule()
    console.print(
        f"{stats.documents:,} documents, {stats.chunks:,} chunks, {stats.bytes / 1e6:.0f} MB in one file; "
        f"embedder {stats.embedding.fingerprint if stats.embedding else 'none'}. Total time {_since(started)}."
    )
    command = Path(sys.executable).with_name("hybridstore")
    console.print("\nThe store is yours to search. Try:\n", highlight=False)
    for arguments in ("search how do I read a file line by line", "explain sort a list in place", "--help"):
        console.print(_line(command, path, arguments), style="bold", highlight=False, soft_wrap=True)
    console.print("\nOr see it in a browser, at the address that this prints:\n", highlight=False)
    console.print(_line(command, path, "serve"), style="bold", highlight=False, soft_wrap=True)


def ingest(store: hs.Store, docstrings: list[hs.Document], console: Console) -> None:
    """Add the documents with a progress bar."""
    started = time.perf_counter()
    columns = (
        TextColumn("Embedding chunks"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(docstrings))
        report = store.add(docstrings, progress=lambda so_far: progress.update(task, completed=so_far.embedded))
        progress.update(task, total=report.embedded, completed=report.embedded)
    seconds = time.perf_counter() - started
    if report.unchanged == len(docstrings):
        console.print(f"All {report.unchanged:,} documents were in the store already: nothing to embed.")
        return
    console.print(
        f"Added {report.added:,} documents as {report.chunks:,} chunks in {seconds:.1f} s "
        f"({report.chunks / seconds:.0f} chunks/s, embedded on this machine's CPU, no network)."
    )


def search(store: hs.Store, question: str, console: Console) -> None:
    """Search, and show the best hits with their rank in each leg."""
    started = time.perf_counter()
    results = store.search(question, limit=3)
    table = Table(
        title=f"{question}   ({(time.perf_counter() - started) * 1000:.0f} ms)", title_justify="left", expand=True
    )
    for name, options in {
        "": {"justify": "right", "width": 1},
        "title": {"style": "bold", "ratio": 1},
        "text": {"ratio": 1, "no_wrap": True, "overflow": "ellipsis"},
        "keyword": {"justify": "right", "width": 7},
        "vector": {"justify": "right", "width": 6},
    }.items():
        table.add_column(name, **options)  # type: ignore[arg-type]
    for hit in results:
        text = " ".join(hit.text.split())
        table.add_row(str(hit.rank), hit.title, text, _rank(hit.keyword_rank), _rank(hit.vector_rank))
    console.print(table)


def _rank(rank: int | None) -> str:
    return "-" if rank is None else f"#{rank}"


def _line(command: Path, path: Path, arguments: str) -> str:
    return f"  {_relative(command)} --db {_relative(path)} {arguments}"


def _relative(path: Path) -> str:
    return os.path.relpath(path) if path.absolute().is_relative_to(Path.cwd()) else str(path)


def _since(started: float) -> str:
    return f"{time.perf_counter() - started:.1f} s"


if __name__ == "__main__":
    main()
