"""The results of harvest.py as Markdown."""

from __future__ import annotations

from typing import Any

from cells import table

_WITHOUT, _BOTH = "no guard", "both"
_COLUMNS = (
    "collection",
    "chunks",
    "people's questions",
    "legs disagree",
    "triples",
    "positive right",
    "false: no guard",
    "false: margin",
    "false: judge",
    "false: both",
    "negatives left",
    "triples per 1,000 chunks",
)


def harvest_page(result: dict[str, Any]) -> list[str]:
    """Return a result of harvest.py: one row for each collection, and the mean."""
    macro = result["macro"]
    rows = [_row(name, row) for name, row in result["collections"].items()]
    rows.append(
        [
            "mean of the collections",
            "",
            "",
            f"{macro['disagreement']:.0%}",
            "",
            f"{macro['positives_right']:.0%}",
            *(f"{share:.2%}" for share in macro["share"].values()),
            _left(macro["each"][_WITHOUT], macro["each"][_BOTH]),
            f"{macro['triples_per_1000_chunks']:,}",
        ]
    )
    kept = {guard: share for guard, share in macro["left"].items() if guard != _WITHOUT}
    about = (
        f"The first {result['queries']} questions of each collection's people at most, as if its log held them. No "
        "judgment is used to harvest; all are used to count. A negative that the judges found relevant is a false "
        "one: its share of all negatives is told with no guard, with each, and with both. The guards' thresholds "
        f"(the margin's is {result['margin']:g}) were chosen on these same collections, so that what they keep out is "
        "told too well, if anything. Judges have not read everything: more negatives are false than are counted. "
        "Negatives left are those of a triple, with no guard → with both."
    )
    return [
        "## Harvest: where the legs disagree, and what the guards keep out",
        "",
        about,
        "",
        *table(_COLUMNS, rows),
        "",
        "Of the mean share of false negatives is left: "
        + ", ".join(f"{share:.0%} with {_named(guard)}" for guard, share in kept.items())
        + ". Triples per 1,000 chunks are those of a store that nobody has asked yet, by questions made out of its own "
        f"text: reckoned from {result['made']} of them at most.",
        "",
        f"hybridstore {result['hybridstore']}, {result['embedder']}, seed {result['seed']}.",
    ]


def _row(name: str, row: dict[str, Any]) -> list[str]:
    log, guards = row["log"], row["guards"]
    return [
        name,
        f"{row['chunks']:,}",
        f"{log['questions']:,}",
        f"{log['disagreement']:.0%}",
        f"{log['triples']:,}",
        f"{log['positives_right']:.0%}",
        *(f"{guard['share']:.2%}" for guard in guards.values()),
        _left(guards[_WITHOUT]["each"], guards[_BOTH]["each"]),
        f"{row['corpus']['triples_per_1000_chunks']:,}",
    ]


def _named(guard: str) -> str:
    return guard if guard == _BOTH else f"the {guard}"


def _left(without: float, both: float) -> str:
    return f"{without:.1f} → {both:.1f}"
