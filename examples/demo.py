"""hybridstore in two minutes: ingest Python's own documentation, ask it questions, have one answer explained.

    make demo        or        python examples/demo.py [FILE]

FILE keeps the store (by default it lies in a temporary folder and goes with it).
"""

from __future__ import annotations

import sys
import tempfile
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
    """Read, add, ask, explain."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "python.db"
        started = time.perf_counter()
        read = list(documents())
        console.print(f"Read {len(read):,} docstrings of Python {sys.version.split()[0]} in {_since(started)}.")
        with hs.open(path) as store:
            ingest(store, read, console)
            for question in QUESTIONS:
                ask(store, question, console)
            console.rule("explain")
            console.print(
                str(store.explain(QUESTIONS[0], limit=3, expect="zlib.compress")), highlight=False, markup=False
            )
            stats = store.stats()
        console.rule()
        console.print(
            f"{stats.documents:,} documents, {stats.chunks:,} chunks, {stats.bytes / 1e6:.0f} MB in one file; "
            f"embedder {stats.embedding.fingerprint if stats.embedding else 'none'}. All of it took {_since(started)}."
        )


def ingest(store: hs.Store, read: list[hs.Document], console: Console) -> None:
    """Add the documents under a progress bar."""
    started = time.perf_counter()
    columns = (
        TextColumn("Embedding chunks"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(read))
        report = store.add(read, progress=lambda so_far: progress.update(task, completed=so_far.embedded))
        progress.update(task, total=report.embedded, completed=report.embedded)
    seconds = time.perf_counter() - started
    console.print(
        f"Added {report.added:,} documents as {report.chunks:,} chunks in {seconds:.1f} s "
        f"({report.chunks / seconds:.0f} chunks/s, embedded on this machine's CPU, no network)."
    )


def ask(store: hs.Store, question: str, console: Console) -> None:
    """Search, and show the best hits with their rank in each leg."""
    started = time.perf_counter()
    results = store.search(question, limit=3)
    table = Table(
        title=f"{question}   ({(time.perf_counter() - started) * 1000:.0f} ms)", title_justify="left", expand=True
    )
    for name, options in {
        "": {"justify": "right", "width": 1},
        "found": {"style": "bold", "ratio": 1},
        "what it says": {"ratio": 1, "no_wrap": True, "overflow": "ellipsis"},
        "keyword": {"justify": "right", "width": 7},
        "vector": {"justify": "right", "width": 6},
    }.items():
        table.add_column(name, **options)  # type: ignore[arg-type]
    for hit in results:
        says = " ".join(hit.text.split())
        table.add_row(str(hit.rank), hit.title, says, _rank(hit.keyword_rank), _rank(hit.vector_rank))
    console.print(table)


def _rank(rank: int | None) -> str:
    return "-" if rank is None else f"#{rank}"


def _since(started: float) -> str:
    return f"{time.perf_counter() - started:.1f} s"


if __name__ == "__main__":
    main()
