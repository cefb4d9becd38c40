"""The results of speed.py as Markdown: the cost of remembering and recalling, next to rivals in the same run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cells import table

OURS = "hybridstore"

# The figures: heading, path in the results, and whether more is better.
_COLUMNS = (
    ("remember p50", "remember.p50", False),
    ("p95", "remember.p95", False),
    ("recall p50", "recall.p50", False),
    ("p95", "recall.p95", False),
    ("recall after a remember", "after.p50", False),
    ("start to first recall", "cold", False),
    ("notes/s to fill it", "fill_per_second", True),
    ("memory, MB", "memory", False),
    ("disk, MB", "disk", False),
)


def speed_page(result: Mapping[str, Any]) -> list[str]:
    """Return one run as lines of Markdown."""
    lines = ["## What it costs", "", *_how(result)]
    for size, systems in result["sizes"].items():
        rows = [_row(result, systems, name) for name in result["systems"]]
        head = [f"{int(size):,} notes, ms", *(heading for heading, _, _ in _COLUMNS)]
        lines += ["", *table(head, rows)]
    return [*lines, "", _made(result)]


def _how(result: Mapping[str, Any]) -> list[str]:
    model = result["model"]
    course = (
        f"One note at a time, each its own commit, as an agent keeps them (`speed.py`): {result['count']} recalls, "
        f"then {result['count']} notes remembered, then {result['pairs']} recalls each right after another note, in "
        f"{result['rounds']} rounds on fresh copies, systems in random order and one at a time. hybridstore packs and "
        f"renders what it recalls under {result['budget']:,} tokens; the others give their {result['items']} best "
        "notes. In brackets how many times better hybridstore is; **bold** where the rival is the better one."
    )
    vectors = (
        f"All have the same vectors, made beforehand by {result['embedder']}: with its model a note takes "
        f"{model['note']:.1f} ms more and a question {model['question']:.1f} ms more, in each of them. From the start "
        f"of a process to its first recall all load it and embed the question ({model['load']:,.0f} ms of that are "
        "its). *Memory* is what the process has grown by, the model left out."
    )
    return [course, "", vectors]


def _row(result: Mapping[str, Any], systems: Mapping[str, Any], name: str) -> list[str]:
    title, row = result["systems"][name]["title"], systems.get(name, {})
    return [title, *(_cell(name, row, systems[OURS], path, more=more) for _, path, more in _COLUMNS)]


def _cell(name: str, row: Mapping[str, Any], ours: Mapping[str, Any], path: str, *, more: bool) -> str:
    """Return a figure with the factor by which hybridstore's is better, bold if the rival's is better."""
    theirs, own = _at(row, path), _at(ours, path)
    if theirs is None:
        return "–"
    if name == OURS or not own or not theirs:
        return _number(theirs)
    ratio = own / theirs if more else theirs / own
    shown = f"{_number(theirs)} ({_number(ratio)}×)"
    return f"**{shown}**" if ratio < 1 else shown


def _at(row: Mapping[str, Any], path: str) -> float | None:
    found: Any = row
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return None if found is None else float(found)


def _number(value: float) -> str:
    """Return a number with three significant digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _made(result: Mapping[str, Any]) -> str:
    rows = [(size, name, row) for size, systems in result["sizes"].items() for name, row in systems.items()]
    titles = {name: system["title"] for name, system in result["systems"].items()}
    longest = ", ".join(
        f"{titles[name]} at {int(size):,} {row['remember']['longest']:,.0f}" for size, name, row in rows
    )
    unseen = [f"{titles[name]} at {int(size):,} {row['seen']:.0%}" for size, name, row in rows if row["seen"] < 1]
    seen = f"all but {'; '.join(unseen)}" if unseen else "always, by all"
    versions = {f"{package} {v}" for each in result["systems"].values() for package, v in each["versions"].items() if v}
    missing = "".join(f" {name} was not measured: {why}." for name, why in result["not_measured"].items())
    return (
        f"Longest remember, in ms: {longest}; hybridstore measures its vectors anew whenever it has doubled. A note "
        f"asked for in its own words right after it was kept is found: {seen}. – is not measured, where each recall "
        f"takes seconds. {', '.join(sorted(versions))}; {result['machine']}, Python {result['python']}, seed "
        f"{result['seed']}.{missing}"
    )
