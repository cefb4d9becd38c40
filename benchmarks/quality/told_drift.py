"""Tell what drift.py found as Markdown."""

from __future__ import annotations

from typing import Any

from cells import table

from hybridstore.evaluation.metrics import mean

_WAYS = {
    "old over old": "old questions",
    "new over old": "new, as they are",
    "new over old, mapped": "new, mapped",
    "new over new": "re-embedded",
}
_LEGS = ("hybrid", "vector")
_DIRECTIONS = {"to": "to {new}", "back": "from {new} back"}


def drift_page(told: dict[str, Any]) -> list[str]:
    """Tell a result of drift.py: a table for each model and direction."""
    lines = [
        "## Another embedder's questions over old vectors",
        "",
        f"{told['metric']} of a store whose vectors are one embedder's (old) and whose questions come from another "
        "(new): as they are, mapped by what some of the store's chunks say in both, and after the whole store was "
        "embedded anew. The keyword leg knows nothing of it. Agreement: the share of a held-out chunk's ten nearest "
        "that the map keeps; a map that keeps too few is refused, and its questions are then asked by words alone. The "
        "kind of map and the size of the sample were chosen looking at some of these collections.",
    ]
    for new, model in told["models"].items():
        for direction, says in _DIRECTIONS.items():
            rows = {name: row[direction] for name, row in model["collections"].items()}
            heading = says.format(new=f"{new.partition('@')[0]} ({model['dim']} dimensions)")
            lines += ["", f"### {heading}", "", *_table(rows)]
    return [*lines, "", f"hybridstore {told['hybridstore']}, {_versions(told)}, seed {told['seed']}."]


def _table(rows: dict[str, dict[str, Any]]) -> list[str]:
    head = ["collection", "n", "keyword", *(f"{leg}: {says}" for leg in _LEGS for says in _WAYS.values()), "agreement"]
    shown = [
        [
            name,
            f"{row['old over old']['n']:,}",
            f"{row['old over old']['keyword']:.4f}",
            *(f"{row[way][leg]:.4f}" for leg in _LEGS for way in _WAYS),
            f"{row['map']['agreement']:.2f}" + ("" if row["map"]["state"] == "active" else ", refused"),
        ]
        for name, row in rows.items()
    ]
    shown.append(
        [
            "mean of the collections",
            f"{sum(row['old over old']['n'] for row in rows.values()):,}",
            f"{mean(row['old over old']['keyword'] for row in rows.values()):.4f}",
            *(f"{mean(row[way][leg] for row in rows.values()):.4f}" for leg in _LEGS for way in _WAYS),
            f"{mean(row['map']['agreement'] for row in rows.values()):.2f}",
        ]
    )
    return table(head, shown)


def _versions(told: dict[str, Any]) -> str:
    return ", ".join((*told["models"], f"maps of {told['sample']:,} chunks"))
