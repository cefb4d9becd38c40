"""The results of agents.py as Markdown: many agents in one file, and whether its guarantees held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cells import table


def agents_page(result: Mapping[str, Any]) -> list[str]:
    """Return one run as lines of Markdown."""
    quiet, crowd = result["quiet"], result["crowded"]
    rows = [
        [name, f"{row['agents']}", f"{row['recalls']:,}", f"{row['recall_p50_ms']:.1f}", f"{row['recall_p95_ms']:.1f}",
         f"{row['notes'] + row['turns'] + row['superseded']:,}", f"{len(row['errors'])}"]
        for name, row in (("alone", quiet), ("together", crowd))
    ]  # fmt: skip
    lost = {what: count for what, count in result["lost"].items() if count}
    verdict = ", ".join(f"{count:,} {what}" for what, count in lost.items()) or "nothing"
    setting = (
        f"{result['processes']} processes of {crowd['agents'] // result['processes']} agents each remember, recall and "
        f"supersede in one file for {result['seconds']:.0f} seconds, {result['think']:g} s between two acts on average "
        f"(`agents.py`). Lost: {verdict}. The 95th percentile of a recall is {result['p95_ratio']:.2f} times that of "
        "one agent alone."
    )
    return [
        "## Many agents, one file",
        "",
        setting,
        "",
        *table(["", "agents", "recalls", "p50 ms", "p95 ms", "writes", "errors"], rows),
    ]
