"""The steps that write: searches right after and during writes by this process and another."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import corpus as corpora
import numpy as np
from baselines import Baseline
from step import Laps, Query, Step, laps, spread

WRITES = 40
PAUSE = 0.05  # seconds between another process's writes
OTHERS = 1_000_000  # ids of passages written by another process start so much higher

Passage = tuple[str, str, Any, dict[str, int | str]]


def new_passages(step: Step, start: int) -> Iterator[Passage]:
    """Return passages that are not in the store: texts it has, with nearby vectors and new ids."""
    corpus = corpora.load(step.corpus_path)
    random = np.random.default_rng(start)
    for n in range(start, start + OTHERS):
        text, vector = corpus.passage(int(random.integers(len(corpus))))
        vector = vector + 0.02 * random.standard_normal(len(vector)).astype(np.float32)
        fields: dict[str, int | str] = {**dict.fromkeys(corpora.SHARES, 0), "year": 2000, "tag": corpora.TAGS[0]}
        yield f"p{len(corpus) + n}", f"Number {n}. {text}", vector / np.linalg.norm(vector), fields


def write(step: Step) -> None:
    """Search right after writes: own ones, another process's, and while it goes on writing."""
    step.kind.imports()
    queries = step.queries()
    store = step.opened()
    touched = queries[: len(laps(lambda query: store.search(*query), queries, step.seconds))]
    with step.catching("own_write"):
        mine, writes = new_passages(step, 0), list[float]()

        def write_own() -> Passage:
            passage = next(mine)
            began = time.perf_counter()
            store.write_one(*passage)
            writes.append((time.perf_counter() - began) * 1e3)
            return passage

        result = after_writes(store, write_own, touched, step.seconds)
        step.report("own_write", {**result, "write": round(float(np.median(writes)), 3)})
    if step.kind.processes:
        with step.catching("other_write"), another(step) as send:
            theirs = new_passages(step, OTHERS)

            def write_other() -> Passage:
                send("one")
                return next(theirs)

            step.report("other_write", after_writes(store, write_other, touched, step.seconds))
        with step.catching("while_writing"), another(step, start=2 * OTHERS) as send:
            send("loop")
            step.report("while_writing", spread(laps(lambda query: store.search(*query), touched, step.seconds)))
    store.close()


def after_writes(
    store: Baseline, write_next: Callable[[], Passage], queries: list[Query], seconds: float
) -> dict[str, float | bool]:
    """Time the search that follows each write, and see whether the first passages written are found."""
    times = Laps()
    seen = True
    end = time.perf_counter() + seconds
    for n, query in enumerate(queries[:WRITES]):
        _, text, vector, _ = passage = write_next()
        times += laps(lambda asked: store.search(*asked), [query], 0, least=1)
        if n < 2:
            seen = seen and passage[0] in store.search(text, vector)
        if time.perf_counter() > end and n:
            break
    return {**spread(times), "seen": seen}


@contextmanager
def another(step: Step, start: int = OTHERS) -> Iterator[Callable[[str], None]]:
    """Run another process that writes on demand."""
    options = step.options
    script = str(Path(__file__).with_name("measuring.py"))
    command = [sys.executable, script, "writer", "--rival", options.rival, "--start", str(start)]
    command += ["--corpus", str(options.corpus), "--store", str(options.store), "--out", str(options.out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        result, heard = process.stdin, process.stdout
        if result is None or heard is None:
            raise RuntimeError("the other process has no pipes")

        def wait() -> None:
            for line in heard:
                if line.strip() == "::done":
                    return
            raise RuntimeError("the other process ended early")

        def send(what: str) -> None:
            result.write(what + "\n")
            result.flush()
            wait()

        wait()
        try:
            yield send
        finally:
            result.close()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def writer(step: Step) -> None:
    """Write one passage for each line read; after "loop" go on every 50 ms until the lines end."""
    store = step.opened()
    passages = new_passages(step, step.options.start)
    print("::done", flush=True)
    for line in sys.stdin:
        if line.strip() == "one":
            store.write_one(*next(passages))
            print("::done", flush=True)
        else:
            break
    else:
        store.close()
        return
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    print("::done", flush=True)
    count, began = 0, time.perf_counter()
    while not ended.wait(PAUSE):
        store.write_one(*next(passages))
        count += 1
    step.report("writes_per_second", round(count / (time.perf_counter() - began), 1))
    store.close()
