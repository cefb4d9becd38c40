"""The results of drift.py as Markdown."""

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


def drift_page(result: dict[str, Any]) -> list[str]:
    """Return a result of drift.py: a table for each model and direction."""
    about = (
        f"{result['metric']} of a store whose vectors are one embedder's (old) and whose questions come from another "
        "(new): as they are, mapped by what some of the store's chunks say in both, and after the whole store was "
        "embedded anew; from the stores' own embedder to another, and back. The keyword leg knows nothing of it. "
        "Where the two are of different lengths, questions as they are stand at random places. Agreement is the "
        "share of a held-out chunk's ten nearest that the map keeps, by which a store judges it without judgments. "
        "The kind of map and the size of its sample were chosen on these same collections."
    )
    lines = [
        "## Another embedder's questions over old vectors",
        "",
        about,
    ]
    for new, model in result["models"].items():
        for direction, says in _DIRECTIONS.items():
            rows = {name: row[direction] for name, row in model["collections"].items()}
            heading = says.format(new=f"{new.partition('@')[0]} ({model['dim']} dimensions)")
            lines += ["", f"### {heading}", "", *_shown(rows)]
    made = f"hybridstore {result['hybridstore']}, {', '.join(result['models'])}"
    return [*lines, "", f"{made}; maps of about {result['sample']:,} chunks, seed {result['seed']}."]


def _shown(rows: dict[str, dict[str, Any]]) -> list[str]:
    head = ["collection", "n", "keyword", *(f"{leg}: {says}" for leg in _LEGS for says in _WAYS.values()), "agreement"]
    found = [
        [
            name,
            f"{row['old over old']['n']:,}",
            f"{row['old over old']['keyword']:.4f}",
            *(f"{row[way][leg]:.4f}" for leg in _LEGS for way in _WAYS),
            f"{row['map']['agreement']:.2f}" + ("" if row["map"]["state"] == "active" else ", refused"),
        ]
        for name, row in rows.items()
    ]
    found.append(
        [
            "mean of the collections",
            f"{sum(row['old over old']['n'] for row in rows.values()):,}",
            f"{mean(row['old over old']['keyword'] for row in rows.values()):.4f}",
            *(f"{mean(row[way][leg] for row in rows.values()):.4f}" for leg in _LEGS for way in _WAYS),
            f"{mean(row['map']['agreement'] for row in rows.values()):.2f}",
        ]
    )
    return table(head, found)
