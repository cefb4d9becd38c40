"""The results of learning.py as Markdown."""

from __future__ import annotations

from typing import Any

from cells import interval, table

_COLUMNS = (
    "collection",
    "n",
    "before",
    "with the new version",
    "difference",
    "gate",
    "difference it saw",
    "difference with the gate",
    "made in",
)
_LABELS = ("collection", "learned from", "gate", "questions about", "n", "before", "after", "difference")


def learning_page(result: dict[str, Any]) -> list[str]:
    """Return a result of learning.py: a row for each collection, the means, and the value of labels."""
    asked = "" if result["queries"] is None else f" The first {result['queries']} questions of each at most."
    worst, name = result["macro"]["worst"]
    about = (
        f"{result['metric']} of people's questions, hybrid, before and after a tuning with the defaults. It learned "
        "from questions made out of the store's own text; no question of people and no judgment was seen, neither by "
        "it nor by the gate that let the new version in or refused it. The adapter's few settings, and what the gate "
        "asks, were chosen looking at the sixteen English collections above, so that what is gained on these is told "
        "too well, if "
        f"anything; other collections were not looked at.{asked}"
    )
    read = (
        "Intervals are of 95 %, by paired bootstrap over questions, the gate's over held-out documents; bold ones "
        "leave 0 out. Means weigh every collection the same, and their intervals tell of other questions to these "
        "collections, not of other collections. A refused version changes nothing, so it counts as no difference, "
        f"exactly 0. The worst with the gate: {name}, {worst:+.4f}."
    )
    return [
        "## Learning: what a store's own text teaches it",
        "",
        about,
        "",
        *table(_COLUMNS, [*(_row(name, row) for name, row in result["collections"].items()), *_means(result)]),
        "",
        read,
        *(_labels(result) if result["labels"] else ()),
        "",
        *([result["note"], ""] if "note" in result else ()),
        f"hybridstore {result['hybridstore']}, {result['embedder']}, seed {result['seed']}; "
        + ", ".join(f"{setting} {value:g}" for setting, value in result["settings"].items() if setting != "seed")
        + ".",
    ]


def _row(name: str, row: dict[str, Any]) -> list[str]:
    people, accepted = row["people"], row["accepted"]
    return [
        name,
        f"{people['n']:,}",
        f"{people['mean_a']:.4f}",
        f"{people['mean_b']:.4f}",
        interval(people),
        _gate(accepted),
        "too few to tell" if row["gate"] is None else interval(row["gate"]),
        f"{people['difference']:+.4f}" if accepted else "0",
        f"{row['total_seconds']:.0f} s, {row['chunks']:,} chunks",
    ]


def _means(result: dict[str, Any]) -> list[list[str]]:
    rows, macro = result["collections"].values(), result["macro"]
    n = f"{sum(row['people']['n'] for row in rows):,}"
    accepted = sum(row["accepted"] for row in rows)
    before, without, gated = macro["before"], macro["ungated"], macro["gated"]
    return [
        ["mean, with every version", n, f"{before:.4f}", _after(before, without), interval(without), *[""] * 4],
        [
            "mean, with the gate",
            n,
            f"{before:.4f}",
            _after(before, gated),
            "",
            f"{accepted} of {len(rows)} let in",
            "",
            interval(gated),
            "",
        ],
    ]


def _labels(result: dict[str, Any]) -> list[str]:
    rows = [
        [
            name,
            f"{row['labels']:,} judgments ({row['learned_from']})",
            _gate(row["accepted"]),
            f"{group} documents" if group == "all" else group,
            f"{found['n']:,}",
            f"{found['mean_a']:.4f}",
            f"{found['mean_b']:.4f}",
            interval(found),
        ]
        for name, row in result["labels"].items()
        for group, found in row["groups"].items()
    ]
    about = (
        "The same, having learned from the judgments of another split, too. Questions are about unseen documents if "
        "none of their relevant ones was relevant to a question of that split: only these tell that it was more than "
        "remembering which documents people ask for. Whatever the gate said, the new version was asked."
    )
    return [
        "",
        "### With judgments",
        "",
        about,
        "",
        *table(_LABELS, rows),
    ]


def _gate(accepted: bool) -> str:
    return "let in" if accepted else "refused"


def _after(before: float, found: dict[str, float]) -> str:
    return f"{before + found['difference']:.4f}"
