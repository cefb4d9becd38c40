"""Reports of evaluations, kept in a file beside the store that was measured: a line of JSON for each."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hybridstore.errors import FileRefused

if TYPE_CHECKING:
    from hybridstore.evaluation.evaluation_results import Evaluation, Pair

SUFFIX = "-evaluations"
_MOST = 20  # reports that are shown, the last ones
_READ = 1 << 20  # bytes that are read, from the end; a report has about one KiB


def keep_report(path: str, result: Evaluation, differences: Sequence[Pair], about: Mapping[str, str]) -> None:
    """Append the report of an evaluation to the file beside the store at `path`. Raises FileRefused."""
    report = {
        "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "collection": result.collection,
        "split": result.split,
        "queries": result.n,
        "metrics": list(result.metrics),
        "modes": {mode: [result.mean(mode, metric) for metric in result.metrics] for mode in result.modes},
        "differences": [
            [f"{pair.b} - {pair.a}", pair.metric, each.difference, each.low, each.high]
            for pair in differences
            for each in [pair.comparison]
        ],
        "about": dict(about),
    }
    name = path + SUFFIX
    try:
        with os.fdopen(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{json.dumps(report, ensure_ascii=False)}\n")
    except OSError as error:
        raise FileRefused(name, f"the report cannot be kept: {error.strerror or error}") from error


def kept_reports(path: str) -> list[dict[str, Any]]:
    """Return the last 20 reports kept beside a store, newest first; what is not one, in whatever file, is left out."""
    try:
        with open(path + SUFFIX, "rb") as file:  # noqa: PTH123 - any name of a store
            file.seek(max(0, file.seek(0, os.SEEK_END) - _READ))
            lines = file.read(_READ).decode("utf-8", "replace").splitlines()
    except (OSError, ValueError):
        return []
    reports = [report for line in lines[-_MOST:] if (report := _report(line)) is not None]
    return reports[::-1]


def _report(line: str) -> dict[str, Any] | None:
    try:
        read = json.loads(line)
        metrics = [str(name) for name in read["metrics"]]
        modes = {str(mode): [_number(value) for value in values] for mode, values in read["modes"].items()}
        return {
            "title": f"{read['collection']}, {read['split']}",
            "made": str(read["made"]),
            "queries": int(read["queries"]),
            "metrics": metrics,
            "modes": {mode: values for mode, values in modes.items() if len(values) == len(metrics)},
            "differences": [
                (str(pair), str(metric), _number(difference), _number(low), _number(high))
                for pair, metric, difference, low, high in read["differences"]
            ],
            "about": {str(name): str(value) for name, value in read["about"].items()},
        }
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        return None


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(number)
    return number
