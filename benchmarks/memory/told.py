"""Tell what run.py found on one data set as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cells import interval, table

NAMES = {"recall_any": "any", "recall_all": "all", "recall": "recall", "ndcg": "nDCG"}
LEVELS = {"turn": "Turns", "session": "Sessions"}


def dataset_page(told: Mapping[str, Any]) -> list[str]:
    """Tell a result of run.py: both levels, differences, categories and abstention."""
    data, systems = told["data"], told["systems"]
    lines = [f"## {data['name']}", "", *_about(data)]
    for level, heading in LEVELS.items():
        if any(level in row["levels"] for row in systems.values()):
            lines += ["", f"### {heading}", "", *_level(told, level)]
    if told["against"]:
        lines += ["", "### Is the difference more than luck?", "", *_against(told)]
    lines += ["", "### By category", "", *_categories(told)]
    if abstention := _abstention(told):
        lines += ["", "### Knowing that there is no answer", "", *abstention]
    return [*lines, "", _made(told)]


def _about(data: Mapping[str, Any]) -> list[str]:
    limited = f" Only the first {data['limit']:,} questions were asked." if data["limit"] else ""
    unused = "; ".join(f"{count:,} {reason}" for reason, count in data["unused"].items())
    size = (
        f"{data['layout']} layout: {data['conversations']:,} conversations, {data['sessions']:,} sessions, "
        f"{data['turns']:,} turns; {data['answerable']:,} answerable questions, {data['unanswerable']:,} to abstain "
        f"from.{limited}"
    )
    return [size, f"Protocol: {data['protocol']}.", *([f"Not used: {unused}."] if unused else [])]


def _level(told: Mapping[str, Any], level: str) -> list[str]:
    lines: list[str] = []
    default = told["systems"][told["default"]]
    for k in told["ks"]:
        shown = [f"{name}@{k}" for name in NAMES]
        rows = []
        for name, row in told["systems"].items():
            found = row["levels"].get(level)
            if not found:
                continue
            cells = [_cell(found["metrics"][each], default["levels"][level]["metrics"][each]) for each in shown]
            spent = row["tokens"][str(k)]["mean"]
            first = f"**{row['title']}**" if name == told["default"] else row["title"]
            rows.append([first, f"{found['n']:,}", *cells, *([f"{spent:,.0f}"] if level == "turn" else [])])
        head = ["", "n", *(f"{heading}@{k}" for heading in NAMES.values())]
        lines += [*([""] if lines else []), *table([*head, *(["tokens"] if level == "turn" else [])], rows)]
    return lines


def _cell(found: Mapping[str, float], default: Mapping[str, float]) -> str:
    """Give a mean with its interval, bold where it is above the default's."""
    mean = f"{found['mean']:.3f}"
    bold = f"**{mean}**" if found["mean"] > default["mean"] else mean
    return f"{bold} ({found['low']:.3f}–{found['high']:.3f})"


def _against(told: Mapping[str, Any]) -> list[str]:
    title = told["systems"][told["default"]]["title"]
    shown = [(level, f"{name}@{k}") for level in LEVELS for k in told["ks"] for name in ("recall_any", "recall_all")]
    there = [each for each in shown if all(each[0] in row for row in told["against"].values())]
    kinds = dict.fromkeys(
        kind for row in told["against"].values() for level, metric in there for kind in row[level][metric]
    )
    head = [f"{level} {NAMES[metric.partition('@')[0]]}@{metric.partition('@')[2]}" for level, metric in there]
    rows = [
        [f"− {told['systems'][name]['title']}", kind, *(interval(row[level][metric][kind]) for level, metric in there)]
        for name, row in told["against"].items()
        for kind in kinds
    ]
    return [f"{title} minus the other; bold intervals leave 0 out.", "", *table(["", "drawn", *head], rows)]


def _categories(told: Mapping[str, Any]) -> list[str]:
    systems = told["systems"].values()
    lines: list[str] = []
    for level in LEVELS:
        for k in told["ks"]:
            rows = []
            for kind, levels in told["systems"][told["default"]]["categories"].items():
                if not levels.get(level, {"n": 0})["n"]:
                    continue
                cells = [_both(row["categories"][kind][level]["metrics"], k) for row in systems]
                rows.append([kind, f"{levels[level]['n']:,}", *cells])
            if rows:
                head = [f"{level}s, any@{k} / all@{k}", "n", *(row["title"] for row in systems)]
                lines += [*([""] if lines else []), *table(head, rows)]
    return lines


def _both(metrics: Mapping[str, Mapping[str, float]], k: int) -> str:
    told = []
    for name in ("recall_any", "recall_all"):
        row = metrics[f"{name}@{k}"]
        told.append(f"{row['mean']:.3f} ({row['low']:.2f}–{row['high']:.2f})")
    return " / ".join(told)


def _abstention(told: Mapping[str, Any]) -> list[str]:
    default = told["systems"][told["default"]]["abstention"]
    rows = []
    for row in told["systems"].values():
        found = row["abstention"]
        if found is not None:
            value = f"{found['auroc']:.3f}"
            better = default is not None and found["auroc"] > default["auroc"]
            shown = f"**{value}**" if better else value
            rows.append([row["title"], f"{shown} ({found['low']:.3f}–{found['high']:.3f})"])
    if not rows:
        return []
    counts = f"{told['data']['answerable']:,} answerable, {told['data']['unanswerable']:,} not"
    return [
        f"AUROC of what a system says of its own confidence ({counts}); .5 is guessing.",
        "",
        *table(["", "AUROC"], rows),
    ]


def _made(told: Mapping[str, Any]) -> str:
    seconds = ", ".join(
        f"{row['title']} {row['seconds']['fill']:,.0f} + {row['seconds']['ask']:,.0f}"
        for row in told["systems"].values()
    )
    versions = {f"{name} {version}" for row in told["systems"].values() for name, version in row["versions"].items()}
    embedders = {row["embedder"] for row in told["systems"].values() if row["embedder"]}
    made = ", ".join([f"hybridstore {told['hybridstore']}", *sorted(embedders), *sorted(versions)])
    missing = "".join(f" {name} was not measured: {why}." for name, why in told["not_measured"].items())
    return f"{made}; {told['machine']}, Python {told['python']}. Seconds to fill and to ask: {seconds}.{missing}"
