"""The results of run.py on one data set as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cells import interval, table

NAMES = {"recall_any": "any", "recall_all": "all", "recall": "recall", "ndcg": "nDCG"}
LEVELS = {"turn": "Turns", "session": "Sessions"}


def dataset_page(result: Mapping[str, Any]) -> list[str]:
    """Return a result of run.py: both levels, differences, categories and abstention."""
    data, systems = result["data"], result["systems"]
    lines = [f"## {data['name']}", "", *_about(data)]
    for level, heading in LEVELS.items():
        if any(level in row["levels"] for row in systems.values()):
            lines += ["", f"### {heading}", "", *_level(result, level)]
    if result["against"]:
        lines += ["", "### Is the difference more than luck?", "", *_against(result)]
    lines += ["", "### By category", "", *_categories(result)]
    if abstention := _abstention(result):
        lines += ["", "### Knowing that there is no answer", "", *abstention]
    return [*lines, "", _made(result)]


def _about(data: Mapping[str, Any]) -> list[str]:
    limited = f" Only the first {data['limit']:,} questions were asked." if data["limit"] else ""
    unused = "; ".join(f"{count:,} {reason}" for reason, count in data["unused"].items())
    size = (
        f"{data['layout']} layout: {data['conversations']:,} conversations, {data['sessions']:,} sessions, "
        f"{data['turns']:,} turns; {data['answerable']:,} answerable questions, {data['unanswerable']:,} to abstain "
        f"from.{limited}"
    )
    return [size, f"Protocol: {data['protocol']}.", *([f"Not used: {unused}."] if unused else [])]


def _level(result: Mapping[str, Any], level: str) -> list[str]:
    lines: list[str] = []
    default = result["systems"][result["default"]]
    for k in result["ks"]:
        shown = [f"{name}@{k}" for name in NAMES]
        rows = []
        for name, row in result["systems"].items():
            found = row["levels"].get(level)
            if not found:
                continue
            cells = [_cell(found["metrics"][each], default["levels"][level]["metrics"][each]) for each in shown]
            spent = row["tokens"][str(k)]["mean"]
            first = f"**{row['title']}**" if name == result["default"] else row["title"]
            rows.append([first, f"{found['n']:,}", *cells, *([f"{spent:,.0f}"] if level == "turn" else [])])
        head = ["", "n", *(f"{heading}@{k}" for heading in NAMES.values())]
        lines += [*([""] if lines else []), *table([*head, *(["tokens"] if level == "turn" else [])], rows)]
    return lines


def _cell(found: Mapping[str, float], default: Mapping[str, float]) -> str:
    """Return a mean with its interval, bold if it is above the default's."""
    mean = f"{found['mean']:.3f}"
    bold = f"**{mean}**" if found["mean"] > default["mean"] else mean
    return f"{bold} ({found['low']:.3f}–{found['high']:.3f})"


def _against(result: Mapping[str, Any]) -> list[str]:
    title = result["systems"][result["default"]]["title"]
    shown = [(level, f"{name}@{k}") for level in LEVELS for k in result["ks"] for name in ("recall_any", "recall_all")]
    there = [each for each in shown if all(each[0] in row for row in result["against"].values())]
    kinds = dict.fromkeys(
        kind for row in result["against"].values() for level, metric in there for kind in row[level][metric]
    )
    head = [f"{level} {NAMES[metric.partition('@')[0]]}@{metric.partition('@')[2]}" for level, metric in there]
    rows = [
        [
            f"− {result['systems'][name]['title']}",
            kind,
            *(interval(row[level][metric][kind]) for level, metric in there),
        ]
        for name, row in result["against"].items()
        for kind in kinds
    ]
    return [f"{title} minus the other; bold intervals leave 0 out.", "", *table(["", "drawn", *head], rows)]


def _categories(result: Mapping[str, Any]) -> list[str]:
    systems = result["systems"].values()
    lines: list[str] = []
    for level in LEVELS:
        for k in result["ks"]:
            rows = []
            for kind, levels in result["systems"][result["default"]]["categories"].items():
                if not levels.get(level, {"n": 0})["n"]:
                    continue
                cells = [_both(row["categories"][kind][level]["metrics"], k) for row in systems]
                rows.append([kind, f"{levels[level]['n']:,}", *cells])
            if rows:
                head = [f"{level}s, any@{k} / all@{k}", "n", *(row["title"] for row in systems)]
                lines += [*([""] if lines else []), *table(head, rows)]
    return lines


def _both(metrics: Mapping[str, Mapping[str, float]], k: int) -> str:
    result = []
    for name in ("recall_any", "recall_all"):
        row = metrics[f"{name}@{k}"]
        result.append(f"{row['mean']:.3f} ({row['low']:.2f}–{row['high']:.2f})")
    return " / ".join(result)


def _abstention(result: Mapping[str, Any]) -> list[str]:
    default = result["systems"][result["default"]]["abstention"]
    rows = []
    for row in result["systems"].values():
        found = row["abstention"]
        if found is not None:
            value = f"{found['auroc']:.3f}"
            better = default is not None and found["auroc"] > default["auroc"]
            shown = f"**{value}**" if better else value
            rows.append([row["title"], f"{shown} ({found['low']:.3f}–{found['high']:.3f})"])
    if not rows:
        return []
    counts = f"{result['data']['answerable']:,} answerable, {result['data']['unanswerable']:,} not"
    return [
        f"AUROC of what a system says of its own confidence ({counts}); .5 is guessing.",
        "",
        *table(["", "AUROC"], rows),
    ]


def _made(result: Mapping[str, Any]) -> str:
    seconds = ", ".join(
        f"{row['title']} {row['seconds']['fill']:,.0f} + {row['seconds']['ask']:,.0f}"
        for row in result["systems"].values()
    )
    versions = {f"{name} {version}" for row in result["systems"].values() for name, version in row["versions"].items()}
    embedders = {row["embedder"] for row in result["systems"].values() if row["embedder"]}
    made = ", ".join([f"hybridstore {result['hybridstore']}", *sorted(embedders), *sorted(versions)])
    missing = "".join(f" {name} was not measured: {why}." for name, why in result["not_measured"].items())
    return f"{made}; {result['machine']}, Python {result['python']}. Seconds to fill and to ask: {seconds}.{missing}"
