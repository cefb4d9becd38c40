"""The results of run.py, suite by suite, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cells import mark, table

_MOST_PAIRS = 12  # listed individually
_MEASURES = {"passed": "passed", "mrr": "MRR@10", "recall": "in place", "value": "check"}


def suites_page(result: dict[str, Any]) -> list[str]:
    """Return a result of run.py: an overview, then each suite's table, claims and cases."""
    lines = ["## Abstention: questions put to the wrong store"]
    if result["suites"]:
        lines = [f"## Known items and robustness: {', '.join(_samples(result))}", "", *_overview(result["suites"])]
    for name, by_ground in result["suites"].items():
        for sample, found in by_ground.items():
            lines += [
                "",
                f"### {name}, {sample}",
                "",
                f"{found['about'][0].upper()}{found['about'][1:]}.",
                "",
                *_suite(found),
            ]
    if "abstention" in result:
        lines += [*(["", "### abstention"] if result["suites"] else []), "", *_abstention(result["abstention"])]
    return [*lines, "", f"hybridstore {result['hybridstore']}, seed {result['seed']}."]


def _samples(result: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(sample for by_ground in result["suites"].values() for sample in by_ground))


def _overview(suites: dict[str, Any]) -> list[str]:
    rows, ways = [], []
    for name, by_ground in suites.items():
        for sample, found in by_ground.items():
            if found["n"]:
                ways = list(found["strategies"])
                shares = [f"{row['passed']:.0%}" for row in found["strategies"].values()]
                kept = sum(claim["passed"] for claim in found["claims"])
                rows.append([name, sample, f"{found['n']}", *shares, f"{kept} of {len(found['claims'])}"])
            else:
                rows.append([name, sample, "0", *["–"] * len(ways), "–"])
    return ["Share of cases passed:", "", *table(["suite", "text", "n", *ways, "claims kept"], rows)]


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
    lines += table(head, rows)
    if found["claims"]:
        result = [[claim["says"], claim["found"], mark(claim["passed"])] for claim in found["claims"]]
        lines += ["", *table(["should hold", "found", ""], result)]
    rrf = "hybrid (rrf)"
    ways = list(dict.fromkeys(way for way in (default, rrf) if way in found["strategies"]))
    if "cases" not in found:
        return lines
    cases = [
        [
            case["kind"],
            f"{case['query']}",
            case["expected"],
            *(cell for way in ways for cell in (case["found"][way]["found"], mark(case["found"][way]["passed"]))),
        ]
        for case in found["cases"]
    ]
    head = ["kind", "question", "expected", *(cell for way in ways for cell in (f"found, {way}", ""))]
    return [*lines, "", *table(head, cases)]


def _abstention(result: dict[str, Any]) -> list[str]:
    if not result["pairs"]:
        return ["No two collections with questions were given."]
    pairs, names = result["pairs"], list(result["pairs"][0]["signals"])
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
    thresholds = ", ".join(f"{name} {each:g}" for name, each in result["thresholds"].items() if each is not None)
    head = ["store", "questions of", "n own / foreign", *names]
    note = f"AUROC / balanced accuracy of answering at or above the threshold ({thresholds})."
    return [note, "", *table(head, rows)]


def _mean_signal(found: Sequence[dict[str, Any] | str]) -> dict[str, Any] | str:
    result = [each for each in found if not isinstance(each, str)]
    if not result:
        return str(found[0])
    balanced = [each["balanced_accuracy"] for each in result if each["balanced_accuracy"] is not None]
    return {
        "auroc": sum(each["auroc"] for each in result) / len(result),
        "balanced_accuracy": sum(balanced) / len(balanced) if balanced else None,
    }


def _signal(found: dict[str, Any] | str) -> str:
    if isinstance(found, str):
        return found
    balanced = found["balanced_accuracy"]
    return f"{found['auroc']:.3f} / " + ("–" if balanced is None else f"{balanced:.3f}")
