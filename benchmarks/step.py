"""What the steps of a measurement share: their options, their results, and timing."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import corpus as corpora
import numpy as np
from baselines import Baseline, by_name

LEAST = 5  # searches, however slow

SERVER_PROCESS = "HYBRIDSTORE_BENCH_SERVER"  # the number of a server's process whose time counts too

Query = tuple[str, Any]


class Laps(list[float]):
    """The times of calls in ms; `cpu` is what all of them took of the processors, here and on the server, in ms."""

    cpu = 0.0

    def __iadd__(self, other: Laps) -> Self:  # type: ignore[override,misc] - only laps are added to laps
        self.cpu += other.cpu
        return super().__iadd__(other)


def processor_seconds() -> float:
    """Return the processor time of this process, and of the server's processes where there is one."""
    if SERVER_PROCESS not in os.environ:
        return time.process_time()
    import psutil

    server = psutil.Process(int(os.environ[SERVER_PROCESS]))
    spent = time.process_time() + sum(server.cpu_times()[:4])  # with those of children that have ended
    for child in server.children():
        with suppress(psutil.Error):
            spent += sum(child.cpu_times()[:2])
    return spent


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
) -> Laps:
    """Time a call for each query, in ms, until the rounds or the seconds are over."""
    times, spent = Laps(), processor_seconds()
    end = time.perf_counter() + seconds
    for _ in range(rounds):
        for query in queries:
            began = time.perf_counter()
            call(query)
            now = time.perf_counter()
            times.append((now - began) * 1e3)
            if now > end and len(times) >= least:
                break
        else:
            continue
        break
    times.cpu = (processor_seconds() - spent) * 1e3
    return times


def spread(times: Laps) -> dict[str, float]:
    p50, p95, p99 = np.percentile(times, (50, 95, 99)).tolist()
    result = {"p50": p50, "p95": p95, "p99": p99, "cpu": times.cpu / len(times)}
    return {**{name: round(value, 3) for name, value in result.items()}, "n": len(times)}
