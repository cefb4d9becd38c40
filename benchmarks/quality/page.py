"""Write the results of the quality suites, and of whole collections, as Markdown.

    python benchmarks/quality/page.py [--check] [--results FOLDER] [--page FILE]

The page, docs/quality.md, is made of `collections*.json` and `suites*.json` in the folder of results.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "quality.md"
_HEAD = (
    "# Quality",
    "",
    "Written by `benchmarks/quality/page.py` out of `benchmarks/quality/results/`; do not edit. How it is measured",
    "stands in the [guide](guide.md#measuring), what was tried on the way in [experiments](experiments.md).",
)
_MOST_PAIRS = 12  # told one by one
_MEASURES = {"passed": "passed", "mrr": "MRR@10", "recall": "in place", "value": "check"}


def suites_page(told: dict[str, Any]) -> list[str]:
    """Tell a result of run.py: an overview, then each suite's table, claims and cases."""
    lines = ["## Abstention: questions put to the wrong store"]
    if told["suites"]:
        lines = [f"## Known items and robustness: {', '.join(_grounds(told))}", "", *_overview(told["suites"])]
    for name, by_ground in told["suites"].items():
        for ground, found in by_ground.items():
            lines += [
                "",
                f"### {name}, {ground}",
                "",
                f"{found['about'][0].upper()}{found['about'][1:]}.",
                "",
                *_suite(found),
            ]
    if "abstention" in told:
        lines += [*(["", "### abstention"] if told["suites"] else []), "", *_abstention(told["abstention"])]
    return [*lines, "", f"hybridstore {told['hybridstore']}, seed {told['seed']}."]


def collections_page(told: dict[str, Any]) -> list[str]:
    """Tell a result of over_collections.py."""
    rows = told["collections"]
    ways = list(next(iter(rows.values()))["means"])
    default = told["default"]
    lines = [f"## Collections: {told.get('title', 'all')}", ""]
    lines.append(f"Whole documents as one chunk. The default is {default}. n is the number of judged queries.")
    for metric in told["metrics"]:
        lines += ["", f"### {_heading(metric)}", ""]
        table = []
        for name, row in {**rows, "mean of the collections": told["macro"]}.items():
            means = [row["means"][way][metric] for way in ways]
            better = max(row["means"][leg][metric] for leg in ("keyword", "vector"))
            shown = [f"**{mean:.4f}**" if mean == max(means) else f"{mean:.4f}" for mean in means]
            table.append([name, f"{row['n']:,}", *shown, f"{row['means'][default][metric] - better:+.4f}"])
        lines += _table(["collection", "n", *ways, "default − better leg"], table)
        others = [way for way in ways if way != default]
        against = []
        for name, row in {**rows, "mean of the collections": told["macro"]}.items():
            cells = [_interval(row["against"][way][metric]) for way in others]
            against.append([name, *cells])
        lines += ["", f"The default minus the other, {_heading(metric)}, with 95 % intervals:", ""]
        lines += _table(["collection", *others], against)
    drawn = (
        f"Paired bootstrap, {told['resamples']:,} resamples, seed {told['seed']}: queries are drawn within their "
        "collection; for the mean of the collections, in all of them at once. Bold intervals leave 0 out."
    )
    return [
        *lines,
        "",
        drawn,
        "",
        f"hybridstore {told['hybridstore']}, {told['embedder']}.",
    ]


def _grounds(told: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(ground for by_ground in told["suites"].values() for ground in by_ground))


def _overview(suites: dict[str, Any]) -> list[str]:
    rows, ways = [], []
    for name, by_ground in suites.items():
        for ground, found in by_ground.items():
            if found["n"]:
                ways = list(found["strategies"])
                shares = [f"{row['passed']:.0%}" for row in found["strategies"].values()]
                kept = sum(claim["passed"] for claim in found["claims"])
                rows.append([name, ground, f"{found['n']}", *shares, f"{kept} of {len(found['claims'])}"])
            else:
                rows.append([name, ground, "0", *["–"] * len(ways), "–"])
    return ["Share of cases passed:", "", *_table(["suite", "text", "n", *ways, "claims kept"], rows)]


def _suite(found: dict[str, Any]) -> list[str]:
    if not found["n"]:
        return ["No case could be made of this text."]
    kinds, default = found["kinds"], found["default"]
    measures = [name for name in _MEASURES if any(name in row for row in found["strategies"].values())]
    main = next(name for name in ("mrr", "value", "passed") if name in measures)
    shown = list(kinds) if len(kinds) > 1 else []
    head = ["", *(_MEASURES[name] for name in measures), *(f"{kind} (n {kinds[kind]})" for kind in shown)]
    rows = [
        [
            f"{way} (default)" if way == default else way,
            *(f"{row[name]:.3f}" if name in row else "–" for name in measures),
            *(f"{row.get(f'{kind}/{main}', row[f'{kind}/passed']):.3f}" for kind in shown),
        ]
        for way, row in found["strategies"].items()
    ]
    lines = [f"n = {found['n']}. Columns of a kind: {_MEASURES[main]}, or the share passed where it has none.", ""]
    lines += _table(head, rows)
    if found["claims"]:
        told = [[claim["says"], claim["found"], _mark(claim["passed"])] for claim in found["claims"]]
        lines += ["", *_table(["should hold", "found", ""], told)]
    rrf = "hybrid (rrf)"
    ways = list(dict.fromkeys(way for way in (default, rrf) if way in found["strategies"]))
    if "cases" not in found:
        return lines
    cases = [
        [
            case["kind"],
            f"{case['query']}",
            case["expected"],
            *(cell for way in ways for cell in (case["found"][way]["found"], _mark(case["found"][way]["passed"]))),
        ]
        for case in found["cases"]
    ]
    head = ["kind", "question", "expected", *(cell for way in ways for cell in (f"found, {way}", ""))]
    return [*lines, "", *_table(head, cases)]


def _abstention(told: dict[str, Any]) -> list[str]:
    if not told["pairs"]:
        return ["No two collections with questions were given."]
    pairs, names = told["pairs"], list(told["pairs"][0]["signals"])
    rows = [
        [pair["store"], pair["foreign"], f"{pair['n']['own']} / {pair['n']['foreign']}"]
        + [_signal(pair["signals"][name]) for name in names]
        for pair in pairs
    ]
    if len(pairs) > _MOST_PAIRS:
        rows = []
        for store in dict.fromkeys(pair["store"] for pair in pairs):
            of = [pair for pair in pairs if pair["store"] == store]
            foreign = sum(pair["n"]["foreign"] for pair in of)
            rows.append([store, f"the {len(of)} others", f"{of[0]['n']['own']} / {foreign}"])
            rows[-1] += [_signal(_mean_signal([pair["signals"][name] for pair in of])) for name in names]
    rows.append(["**mean of the pairs**", "", f"{len(pairs)} pairs"])
    rows[-1] += [_signal(_mean_signal([pair["signals"][name] for pair in pairs])) for name in names]
    thresholds = ", ".join(f"{name} {each:g}" for name, each in told["thresholds"].items() if each is not None)
    head = ["store", "questions of", "n own / foreign", *names]
    note = f"AUROC / balanced accuracy of answering at or above the threshold ({thresholds})."
    return [note, "", *_table(head, rows)]


def _mean_signal(found: Sequence[dict[str, Any] | str]) -> dict[str, Any] | str:
    told = [each for each in found if not isinstance(each, str)]
    if not told:
        return str(found[0])
    balanced = [each["balanced_accuracy"] for each in told if each["balanced_accuracy"] is not None]
    return {
        "auroc": sum(each["auroc"] for each in told) / len(told),
        "balanced_accuracy": sum(balanced) / len(balanced) if balanced else None,
    }


def _signal(found: dict[str, Any] | str) -> str:
    if isinstance(found, str):
        return found
    balanced = found["balanced_accuracy"]
    return f"{found['auroc']:.3f} / " + ("–" if balanced is None else f"{balanced:.3f}")


def _interval(found: dict[str, float]) -> str:
    told = f"{found['difference']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})"
    return f"**{told}**" if found["low"] > 0 or found["high"] < 0 else told


def _heading(metric: str) -> str:
    from hybridstore.evaluation.metrics import heading

    return heading(metric)


def _mark(passed: bool) -> str:
    return "pass" if passed else "**fail**"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(map(_cell, head)) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]


def _cell(text: str) -> str:
    """Give a cell that stays in its row: no line ends, no bars, nothing unprintable."""
    kept = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    return " ".join(kept.split()).replace("|", "\\|").replace("<", "&lt;")


def written(results: Path) -> str:
    parts: list[str] = []
    for told, pattern in ((collections_page, "collections*.json"), (suites_page, "suites*.json")):
        for file in sorted(results.glob(pattern)):
            parts += [*told(json.loads(file.read_text(encoding="utf-8"))), ""]
    return "\n".join([*_HEAD, "", *parts]).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="say whether the page is up to date, and write nothing")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    text = written(options.results)
    if options.check:
        stale = not options.page.exists() or options.page.read_text(encoding="utf-8") != text
        sys.exit(f"stale: {options.page.name}; run benchmarks/quality/page.py" if stale else 0)
    options.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
