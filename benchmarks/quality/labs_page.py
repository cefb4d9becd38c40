"""Write docs/labs.md: every research idea that was tried, what it was worth, and whether it is built.

    python benchmarks/quality/labs_page.py [--check] [--results FOLDER] [--page FILE]

The ideas are in labs.json in the folder of results. An idea's figure is either there, as `difference`, `low` and `high`
or in words as `told`, or in another file of results: `from` is that file and the names that lead to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cells import interval, table, write_page

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "labs.md"
_STATES = {"on": "On", "switch": "Behind a switch, off by default", "not built": "Not built"}
_HEAD = """# Labs

Written by `benchmarks/quality/labs_page.py` out of `benchmarks/quality/results/`; do not edit. Every research idea that
was tried and has a figure, winners and losers. Papers are those that the idea comes from; what was built or measured is
often a simpler form of it, as the first column says. Differences are of nDCG@10 to hybrid search without the idea, as a
mean over collections, with 95 % intervals by paired bootstrap over the questions; bold ones leave 0 out. Their details
stand under their dates in [experiments](experiments.md), or in [quality](quality.md)."""
_SECOND_LOOKS = """## Second looks: the query's vector moved by what the legs found

nDCG@10 minus that of hybrid. An idea's settings for a collection are those that are best on the mean of all others;
"in hindsight" is the mean at the one setting that is best on all. Milliseconds are of one thread for a question,
without what the encoder takes for words and passages."""


def page(results: Path) -> str:
    ideas = json.loads((results / "labs.json").read_text(encoding="utf-8"))
    parts = [_HEAD]
    for state, title in _STATES.items():
        rows = [_row(idea, results) for idea in ideas if idea["state"] == state]
        lines = table(["idea", "paper", "switch", "measured on", "figure", "verdict", "date"], rows)
        parts.append("\n".join([f"## {title}", "", *lines]))
    looks = results / "second-looks.json"
    if looks.exists():
        parts.append("\n".join([_SECOND_LOOKS, "", *_second_looks(json.loads(looks.read_text(encoding="utf-8")))]))
    return "\n\n".join(parts) + "\n"


def _row(idea: dict[str, Any], results: Path) -> list[str]:
    found = idea
    if "from" in idea:
        file, *names = idea["from"]
        found = json.loads((results / file).read_text(encoding="utf-8"))
        for name in names:
            found = found[name]
    counted = "difference" in found
    figure = interval(found) if counted else idea["told"]
    verdict = idea.get("verdict") or (
        "better" if found["low"] > 0 else "worse" if found["high"] < 0 else "no difference"
    )
    return [*(idea[name] for name in ("idea", "paper", "switch", "measured")), figure, verdict, idea["date"]]


def _second_looks(found: dict[str, Any]) -> list[str]:
    names = list(found["collections"])
    rows = [["hybrid", *(f"{found['collections'][name]['hybrid']:.4f}" for name in names), "", "", ""]]
    rows += [
        [
            title,
            *(f"{row['collections'][name]:+.3f}" for name in names),
            interval(row),
            f"{row['in hindsight']:+.4f}",
            f"{row['milliseconds']:.1f}",
        ]
        for title, row in found["ideas"].items()
    ]
    heads = [f"{name} ({found['collections'][name]['n']})" for name in names]
    return table(["", *heads, "mean", "in hindsight", "ms"], rows)


if __name__ == "__main__":
    write_page("labs_page.py", __doc__, page, PAGE)
