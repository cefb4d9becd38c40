"""Summaries of the scores of all questions: means, intervals, differences, categories, abstention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import intervals
from conversations import Dataset
from querying import Asked

DEFAULTS = ("memory", "adaptive")  # what the others are compared with: the first of these that was measured


def summed_up(dataset: Dataset, asked: Mapping[str, Asked], seed: int) -> dict[str, Any]:
    """Return each system's figures by name, and how far the default is ahead of every other one."""
    groups = {question.id: question.group for question in dataset.questions}
    default = next((name for name in DEFAULTS if name in asked), next(iter(asked)))
    return {
        "default": default,
        "systems": {name: _system(each, dataset, groups, seed) for name, each in asked.items()},
        "against": {
            name: _against(each, asked[default], groups, seed) for name, each in asked.items() if name != default
        },
    }


def about(dataset: Dataset) -> dict[str, Any]:
    """Return a description of the data set and its questions."""
    return {
        "name": dataset.name,
        "layout": dataset.layout,
        "protocol": dataset.protocol,
        "conversations": len(dataset.conversations),
        "sessions": sum(len(each.sessions) for each in dataset.conversations),
        "turns": sum(1 for each in dataset.conversations for _ in each.turns()),
        "answerable": sum(each.answerable for each in dataset.questions),
        "unanswerable": sum(not each.answerable for each in dataset.questions),
        "unused": dict(dataset.unused),
    }


def _system(asked: Asked, dataset: Dataset, groups: Mapping[str, str], seed: int) -> dict[str, Any]:
    categories = dict.fromkeys(each.category for each in dataset.questions if each.answerable)
    kinds = {each: [one.id for one in dataset.questions if one.category == each] for each in sorted(categories)}
    return {
        "levels": {level: _level(rows, groups, seed) for level, rows in asked.values.items()},
        "categories": {
            kind: {level: _level(_only(rows, members), groups, seed) for level, rows in asked.values.items()}
            for kind, members in kinds.items()
        },
        "tokens": {str(k): intervals.mean(each, groups, seed=seed).to_dict() for k, each in asked.tokens.items()},
        "abstention": _abstention(asked, dataset, groups, seed),
        "seconds": {"fill": round(asked.filled, 1), "ask": round(asked.asked, 1)},
    }


def _level(rows: Mapping[str, Mapping[str, float]], groups: Mapping[str, str], seed: int) -> dict[str, Any]:
    n = len(next(iter(rows.values())))
    if not n:
        return {"n": 0, "metrics": {}}
    return {"n": n, "metrics": {name: intervals.mean(row, groups, seed=seed).to_dict() for name, row in rows.items()}}


def _only(rows: Mapping[str, Mapping[str, float]], members: Sequence[str]) -> dict[str, dict[str, float]]:
    return {name: {each: row[each] for each in members if each in row} for name, row in rows.items()}


def _abstention(asked: Asked, dataset: Dataset, groups: Mapping[str, str], seed: int) -> dict[str, Any] | None:
    """Return the AUROC of a system's confidence; None if it has none or all questions have answers."""
    kinds: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for question in dataset.questions:
        if question.id not in asked.confidences:
            return None
        kinds[question.answerable][question.id] = asked.confidences[question.id]
    if not (kinds[True] and kinds[False]):
        return None
    return intervals.area(kinds[True], kinds[False], groups, seed=seed).to_dict("auroc")


def _against(other: Asked, default: Asked, groups: Mapping[str, str], seed: int) -> dict[str, Any]:
    return {
        level: {
            metric: intervals.difference(row, default.values[level][metric], groups, seed=seed)
            for metric, row in rows.items()
        }
        for level, rows in other.values.items()
    }
