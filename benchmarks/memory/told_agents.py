"""Tell what agents.py found as Markdown: many agents in one file, held to what they were promised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cells import table


def agents_page(told: Mapping[str, Any]) -> list[str]:
    """Tell one run."""
    quiet, crowd = told["quiet"], told["crowded"]
    rows = [
        [name, f"{row['agents']}", f"{row['recalls']:,}", f"{row['recall_p50_ms']:.1f}", f"{row['recall_p95_ms']:.1f}",
         f"{row['notes'] + row['turns'] + row['superseded']:,}", f"{len(row['errors'])}"]
        for name, row in (("alone", quiet), ("together", crowd))
    ]  # fmt: skip
    lost = {what: count for what, count in told["lost"].items() if count}
    verdict = ", ".join(f"{count:,} {what}" for what, count in lost.items()) or "nothing"
    setting = (
        f"{told['processes']} processes of {crowd['agents'] // told['processes']} agents each remember, recall and "
        f"supersede in one file for {told['seconds']:.0f} seconds, {told['think']:g} s between two acts on average "
        f"(`agents.py`). Lost: {verdict}. The 95th percentile of a recall is {told['p95_ratio']:.2f} times that of one "
        "agent alone."
    )
    return [
        "## Many agents, one file",
        "",
        setting,
        "",
        *table(["", "agents", "recalls", "p50 ms", "p95 ms", "writes", "errors"], rows),
    ]
