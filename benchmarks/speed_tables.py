"""The tables of benchmarks/speed.py's results: per size, and how search grows with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

OURS = "hybridstore"
FILTERS = {"half": "50 %", "tenth": "10 %", "percent": "1 %", "permille": "0.1 %"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One rival's row, and hybridstore's of the same go: ratios are formed of no others."""

    name: str
    row: dict[str, Any]
    ours: dict[str, Any]

    @property
    def title(self) -> str:
        marks = ("" if self.row["exact"] else " †") + ("" if self.row["hybrid"] else " ‡")
        return self.row["title"] + marks


@dataclass(frozen=True, slots=True)
class Size:
    """The results at one size: the latest go of each rival, in the order they were measured in."""

    corpus: dict[str, Any]
    machine: dict[str, Any]
    entries: list[Entry]

    @property
    def chunks(self) -> int:
        return int(self.corpus["size"])


def load(folder: Path) -> list[Size]:
    """Read all results in a folder, smallest first."""
    sizes = []
    for file in sorted(folder.glob("speed-*.json")):
        result = json.loads(file.read_text())
        latest: dict[str, Entry] = {}
        for go in result["goes"]:
            latest |= {name: Entry(name, row, go["rivals"][OURS]) for name, row in go["rivals"].items()}
        if OURS in latest:
            sizes.append(Size(result["corpus"], result["goes"][-1]["about"], list(latest.values())))
    return sorted(sizes, key=lambda size: size.chunks)


def at(row: dict[str, Any], path: str) -> float | None:
    """Return a figure by its path, such as "filtered.percent.p50", or None."""
    found: Any = row
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return None if found is None else float(found)


def cell(entry: Entry, path: str, *, more_is_better: bool = False) -> str:
    """Return a figure with the factor by which hybridstore's is better; bold if the rival's is better."""
    theirs, ours = at(entry.row, path), at(entry.ours, path)
    if theirs is None:
        return "–"
    if entry.name == OURS or not ours or not theirs:
        return number(theirs)
    ratio = ours / theirs if more_is_better else theirs / ours
    result = f"{number(theirs)} ({number(ratio)}×)"
    return f"**{result}**" if ratio < 1 else result


def number(value: float) -> str:
    """Return a number with three significant digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(size: Size, columns: dict[str, str | tuple[str, bool] | Callable[[Entry], str]]) -> list[str]:
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for entry in size.entries:
        cells = []
        for what in columns.values():
            if callable(what):
                cells.append(what(entry))
            else:
                path, more = (what, False) if isinstance(what, str) else what
                cells.append(cell(entry, path, more_is_better=more))
        if any(one != "–" for one in cells):
            lines.append(f"| {entry.title} | " + " | ".join(cells) + " |")
    return lines


def recall(path: str) -> Callable[[Entry], str]:
    def result(entry: Entry) -> str:
        found = at(entry.row, path)
        return "–" if found is None else f"{found:.3f}"

    return result


def least_recall(entry: Entry) -> str:
    found = [at(entry.row, f"filtered.{field}.recall") for field in FILTERS]
    known = [one for one in found if one is not None]
    return f"{min(known):.3f}" if known else "–"


def seen(entry: Entry) -> str:
    """Return whether a search right after a write found what was written."""
    found = [(entry.row.get(key) or {}).get("seen") for key in ("own_write", "other_write")]
    known = [one for one in found if one is not None]
    return "–" if not known else "yes" if all(known) else "**no**"


def of_size(size: Size) -> list[str]:
    """Return all tables of one size."""
    kind = size.corpus["kind"]
    if "real" in size.corpus:
        made = size.chunks - size.corpus["real"]
        kind = f"{size.corpus['real']:,} real" + (f", {made:,} recombined of them" if made else "")
    lines = [f"### {size.chunks:,} passages ({kind})", "", "Searches, ms; hybrid unless the column says otherwise.", ""]
    lines += table(
        size,
        {
            "p50": "warm.p50",
            "p95": "warm.p95",
            "p99": "warm.p99",
            "first touch": "first_touch.p50",
            "200 words": "long.p50",
            "keyword leg": "keyword.p50",
            "vector leg": "vector.p50",
            "recall@10 of the vector leg": recall("recall"),
        },
    )
    columns: dict[str, Any] = {result: f"filtered.{field}.p50" for field, result in FILTERS.items()}
    lines += ["", "With a filter that lets this share pass, p50 in ms.", ""]
    lines += table(size, {**columns, "least recall@10": least_recall})
    lines += ["", "Searches and writes, p50 in ms.", ""]
    lines += table(
        size,
        {
            "after an own write": "own_write.p50",
            "after another process's": "other_write.p50",
            "while another writes": "while_writing.p50",
            "p95": "while_writing.p95",
            "the write itself": "own_write.write",
            "found at once": seen,
        },
    )
    lines += ["", "Searches per second of so many threads.", ""]
    lines += table(size, {f"{n}": (f"threads.{n}", True) for n in (1, 2, 4, 8)})
    lines += ["", "What it costs besides.", ""]
    lines += table(
        size,
        {
            "ingest, passages/s": ("ingest", True),
            "disk, MB": "disk",
            "resident, MB": "memory.resident",
            "of that its own, MB": "memory.own",
            "cold, ms": "cold",
            "cold with imports, ms": "cold_imports",
        },
    )
    failed = [(entry, step, why) for entry in size.entries for step, why in entry.row["errors"].items()]
    if failed:
        lines += ["", "Not measured:", ""]
        lines += [f"- {entry.title}, {step}: {why}" for entry, step, why in failed]
    return lines


def growth(sizes: list[Size]) -> dict[str, tuple[str, dict[int, float], float | None]]:
    """Return each rival's title, p50 by size, and the exponent e of p50 ~ size^e, by least squares on the logs."""
    found: dict[str, tuple[str, dict[int, float]]] = {}
    for size in sizes:
        for entry in size.entries:
            p50 = at(entry.row, "warm.p50")
            if p50 is not None:
                found.setdefault(entry.name, (entry.title, {}))[1][size.chunks] = p50
    return {name: (title, by_size, exponent(by_size)) for name, (title, by_size) in found.items()}


def exponent(by_size: dict[int, float]) -> float | None:
    if len(by_size) < 2:
        return None
    return float(np.polyfit(np.log(list(by_size)), np.log(list(by_size.values())), 1)[0])


def growth_table(sizes: list[Size]) -> list[str]:
    counts = [size.chunks for size in sizes]
    lines = ["| p50, ms | " + " | ".join(f"{count:,}" for count in counts) + " | exponent |"]
    lines.append("|---" * (2 + len(counts)) + "|")
    for title, by_size, power in growth(sizes).values():
        cells = [number(by_size[count]) if count in by_size else "–" for count in counts]
        lines.append(f"| {title} | " + " | ".join(cells) + f" | {'–' if power is None else f'{power:.2f}'} |")
    return lines


def section(sizes: list[Size], plots: list[str]) -> list[str]:
    """Return the page's section about speed; `plots` are paths relative to the page."""
    if not sizes:
        return []
    lines = [
        "## Speed",
        "",
        "In brackets how many times better hybridstore is, in the same go; **bold** where the rival is the better one.",
        "† compares vectors approximately. ‡ has no hybrid search on one machine: its vector search stands instead.",
        "– is not offered, or not finished in time. How it was measured stands below.",
        "",
    ]
    lines += [line for plot in plots for line in (f"![{plot}]({plot})", "")]
    if len(sizes) > 1:
        lines += ["### Growth", "", *growth_table(sizes), ""]
    for size in sizes:
        lines += [*of_size(size), ""]
    versions = sorted({f"{name} {v}" for s in sizes for e in s.entries for name, v in e.row["versions"].items() if v})
    machine = sizes[-1].machine
    lines.append(f"{machine['machine']}, {machine['cores']} cores, Python {machine['python']}; {', '.join(versions)}.")
    return [*lines, ""]
