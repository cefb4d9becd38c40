"""What the steps of a measurement share: their options, their results, and timing."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import corpus as corpora
import numpy as np
from baselines import Baseline, by_name

LEAST = 5  # searches, however slow

Query = tuple[str, Any]


class Step:
    """The options of a step, and its results."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.seconds: float = options.seconds
        self.kind = by_name(options.rival)
        self.corpus_path: Path = options.corpus

    def report(self, key: str, value: Any) -> None:
        with self.options.out.open("a") as out:
            out.write(json.dumps({key: value}) + "\n")

    @contextmanager
    def catching(self, key: str) -> Iterator[None]:
        """Report a failure of one measurement and go on with the next."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever a rival raises belongs into its row
            self.report(key, None)
            self.report("errors", {key: f"{type(error).__name__}: {error}"[:300]})

    def queries(self) -> list[Query]:
        return corpora.load_queries(self.corpus_path)

    def opened(self) -> Baseline:
        return self.kind(self.options.store)


def laps(
    call: Callable[[Query], Any], queries: list[Query], seconds: float, *, rounds: int = 1, least: int = LEAST
) -> list[float]:
    """Time a call for each query, in ms, until the rounds or the seconds are over."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    for _ in range(rounds):
        for query in queries:
            began = time.perf_counter()
            call(query)
            now = time.perf_counter()
            times.append((now - began) * 1e3)
            if now > end and len(times) >= least:
                return times
    return times


def spread(times: list[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(times, (50, 95, 99)).tolist()
    return {"p50": round(p50, 3), "p95": round(p95, 3), "p99": round(p99, 3), "n": len(times)}
