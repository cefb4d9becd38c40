"""Judging a suite: its cases are searched in every way, and the results measured."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cases import Case, Setting, Suite
from sample_stores import SampleStore

from hybridstore.evaluation import ways
from hybridstore.evaluation.metrics import mean
from hybridstore.records import Results
from hybridstore.search.request import FUSIONS, MODES

LISTED = 12  # cases listed individually, failures first
LONGEST = 160  # characters of a question in the results


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case.

    `rank` is the first expected document's, `recall` the share of the expected ones that stand where they should,
    `value` what its check gave, `first` the first three documents found, `error` what it crashed with.
    """

    case: Case
    passed: bool
    rank: int | None = None
    recall: float = 0.0
    value: float | None = None
    first: tuple[str, ...] = ()
    error: str = ""


def strategies() -> dict[str, dict[str, str]]:
    """Return the ways of searching: name → options of `Store.search`."""
    return ways(tuple(reversed(MODES)), FUSIONS)


def outcome(store: Any, case: Case, way: Mapping[str, str]) -> Outcome:
    def search(query: str, **more: Any) -> Results:
        found: Results = store.search(query, **{**way, **case.options, **more})
        return found

    try:
        results = search(case.query)
        value = None if case.check is None else case.check(search, results)
    except Exception as error:  # noqa: BLE001 - a crash is an outcome of the case
        return Outcome(case, passed=False, error=f"{type(error).__name__}: {error}")
    ranked = tuple(dict.fromkeys(hit.document_id for hit in results))
    there = [document in ranked[: case.within] for document in case.expected]
    wanted = (all(there) if case.every else any(there)) if there else True
    ranks = [ranked.index(document) + 1 for document in case.expected if document in ranked]
    return Outcome(
        case,
        passed=wanted and (value is None or value >= case.least),
        rank=min(ranks, default=None),
        recall=sum(there) / len(there) if there else 0.0,
        value=value,
        first=ranked[:3],
    )


def means_of(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the means over all cases, and over each kind; a measure that no case has is omitted."""
    found: dict[str, float] = {}
    for kind in ("", *dict.fromkeys(each.case.kind for each in outcomes)):
        mine = [each for each in outcomes if kind in ("", each.case.kind)]
        prefix = f"{kind}/" if kind else ""
        ranked = [each for each in mine if each.case.expected]
        valued = [each.value for each in mine if each.value is not None]
        found[f"{prefix}passed"] = mean(each.passed for each in mine)
        if ranked:
            found[f"{prefix}mrr"] = mean(1 / each.rank if each.rank else 0 for each in ranked)
            found[f"{prefix}recall"] = mean(each.recall for each in ranked)
        if valued:
            found[f"{prefix}value"] = mean(valued)
    return found


def judged(suite: Suite, sample: SampleStore, *, seed: int, all_cases: bool = False) -> dict[str, Any]:
    """Run a suite and tell it as JSON; the same seed and texts give the same cases."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in strategies()}
    default = ""
    for setting in suite.make(sample, random.Random(f"{suite.name} {seed}")):
        default = default or default_of(setting)
        for case in setting.cases:
            for name, way in strategies().items():
                outcomes[name].append(outcome(setting.store, case, way))
    cases = outcomes[default] if default else []
    if not cases:
        return {"about": suite.about, "n": 0}
    means = {name: means_of(each) for name, each in outcomes.items()}
    kinds = dict.fromkeys(each.case.kind for each in cases)
    chosen = range(len(cases)) if all_cases else listed(outcomes, default)
    return {
        "about": suite.about,
        "n": len(cases),
        "kinds": {kind: sum(each.case.kind == kind for each in cases) for kind in kinds},
        "default": default,
        "strategies": {name: {key: round(value, 4) for key, value in each.items()} for name, each in means.items()},
        "claims": [asdict(claim) for claim in suite.claims(means)],
        "cases": [_case_result([outcomes[name][n] for name in outcomes], list(outcomes)) for n in chosen],
    }


def default_of(setting: Setting) -> str:
    """Return the name of the default way of searching."""
    case = setting.cases[0] if setting.cases else None
    if case is None:
        return ""
    found = setting.store.search("a", **case.options).trace.fusion
    return f"hybrid ({found})"


def listed(outcomes: Mapping[str, Sequence[Outcome]], default: str) -> list[int]:
    """Choose the cases to tell: failures of the default, then where ways differ, then others; each kind in turn."""
    failed = [
        (all(row[n].passed for row in outcomes.values()), each.passed, n) for n, each in enumerate(outcomes[default])
    ]
    by_kind: dict[str, list[tuple[bool, bool, int]]] = {}
    for entry in sorted(failed, key=lambda entry: (entry[1], entry[0], entry[2])):
        by_kind.setdefault(outcomes[default][entry[2]].case.kind, []).append(entry)
    chosen: list[int] = []
    while len(chosen) < LISTED and any(by_kind.values()):
        for entries in by_kind.values():
            if entries and len(chosen) < LISTED:
                chosen.append(entries.pop(0)[2])
    return sorted(chosen)


def _case_result(row: Sequence[Outcome], names: Sequence[str]) -> dict[str, Any]:
    case = row[0].case
    query = case.query.encode("utf-8", "backslashreplace").decode() if case.query.strip() else repr(case.query)
    return {
        "kind": case.kind,
        "query": query if len(query) <= LONGEST else query[:LONGEST] + "…",
        "expected": case.description,
        "found": {name: {"passed": each.passed, "found": _found(each)} for name, each in zip(names, row, strict=True)},
    }


def _found(found: Outcome) -> str:
    """Return the hits in a few words."""
    if found.error:
        return found.error.splitlines()[0][:LONGEST]
    parts = []
    if found.case.expected:
        place = f"rank {found.rank}" if found.rank else "not found"
        if len(found.case.expected) > 1 and found.case.every:
            place += f", {found.recall:.0%} of them in place"
        parts.append(place)
    if found.value is not None:
        parts.append(f"check {found.value:.2f}")
    if not found.passed:
        parts.append(f"first {found.first[0]}" if found.first else "no hit")
    return "; ".join(parts)
