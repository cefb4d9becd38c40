"""The steps that fill a store, open it cold, and search it in every way."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import corpus as corpora
import exact
import numpy as np
from baselines import Baseline
from step import Query, Step, laps, spread

LONG = 200  # words
WARM_ROUNDS = 3
THREADS = (1, 2, 4, 8)


def memory() -> dict[str, float]:
    """Return this process's memory in MB; empty if the system does not report it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return {}
    names = {"VmRSS": "resident", "RssAnon": "own", "VmHWM": "peak"}
    pairs = (line.split(":") for line in lines)
    return {names[name]: int(rest.split()[0]) / 1024 for name, rest in pairs if name in names}


def fill(step: Step) -> None:
    """Fill an empty store: only the rival's own time counts."""
    corpus = corpora.load(step.corpus_path)
    step.kind.imports()
    began = time.perf_counter()
    store = step.opened()
    spent = time.perf_counter() - began
    for ids, texts, vectors, metadata in corpus.batches():
        began = time.perf_counter()
        store.add(ids, texts, vectors, metadata)
        spent += time.perf_counter() - began
    began = time.perf_counter()
    store.finish()
    store.close()
    spent += time.perf_counter() - began
    step.report("ingest", round(len(corpus) / spent, 1))


def cold(step: Step, started: float) -> None:
    """Open a filled store and ask it once; `started` is when the process was, before its imports."""
    text, vector = step.queries()[step.options.number]
    step.kind.imports()
    began = time.perf_counter()
    step.opened().search(text, vector)
    now = time.perf_counter()
    step.report("cold", round((now - began) * 1e3, 2))
    step.report("cold_imports", round((now - started) * 1e3, 2))


def search(step: Step) -> None:
    """Search a filled store every way there is."""
    step.kind.imports()
    queries = step.queries()
    right = exact.nearest(step.corpus_path)
    before = memory()
    store = step.opened()

    def hybrid(query: Query) -> Any:
        return store.search(*query)

    first = laps(hybrid, queries, 2 * step.seconds)
    step.report("first_touch", spread(first))
    touched = queries[: len(first)]
    step.report("warm", spread(laps(hybrid, touched, step.seconds, rounds=WARM_ROUNDS)))
    with step.catching("keyword"):
        if "keyword" in store.legs:
            times = laps(lambda query: store.keyword(query[0]), touched, step.seconds / 2, rounds=WARM_ROUNDS)
            step.report("keyword", spread(times))
    with step.catching("vector"):
        if "vector" in store.legs:
            found: list[list[str]] = []
            times = laps(lambda query: found.append(store.vector(query[1])), touched, step.seconds / 2)
            step.report("vector", spread(times))
            step.report("recall", averaged(found, right["all"]))
    with step.catching("long"):
        asked = long_queries(queries)
        laps(hybrid, asked, step.seconds / 2, least=2)
        step.report("long", spread(laps(hybrid, asked, step.seconds / 2, rounds=WARM_ROUNDS)))
    with step.catching("filtered"):
        if store.filters:
            step.report("filtered", {field: filtered(step, store, touched, field, right) for field in corpora.SHARES})
    if before:
        now = memory()
        result = {key: round(now[key] - before["resident" if key == "peak" else key], 1) for key in now}
        step.report("memory", result)
    with step.catching("threads"):
        step.report("threads", {str(n): throughput(step, store, touched, n) for n in THREADS})
    store.close()


def averaged(found: list[list[str]], right: Any) -> float:
    return round(float(np.mean([exact.recall(one, rows) for one, rows in zip(found, right, strict=False)])), 4)


def long_queries(queries: list[Query]) -> list[Query]:
    """Join queries until there are 200 words; the vector is the mean of theirs."""
    made: list[Query] = []
    texts: list[str] = []
    vectors: list[Any] = []
    for text, vector in queries:
        texts.append(text)
        vectors.append(vector)
        words = " ".join(texts).split()
        if len(words) >= LONG:
            mean = np.mean(vectors, axis=0)
            made.append((" ".join(words[:LONG]), (mean / np.linalg.norm(mean)).astype(np.float32)))
            texts, vectors = [], []
    return made[:12]


def filtered(step: Step, store: Baseline, queries: list[Query], field: str, right: Any) -> dict[str, Any]:
    """Search with a filter; the first search is reported separately, since some prepare a filter once."""
    where = {field: 1}
    first = laps(lambda query: store.search(*query, where=where), queries[:1], 0)
    times = laps(lambda query: store.search(*query, where=where), queries, step.seconds / 4)
    result: dict[str, Any] = {"first": round(first[0], 3), **spread(times)}
    if "vector" in store.legs:
        found: list[list[str]] = []
        laps(lambda query: found.append(store.vector(query[1], where=where)), queries, step.seconds / 4)
        result["recall"] = averaged(found, right[field])
    return result


def throughput(step: Step, store: Baseline, queries: list[Query], count: int) -> float:
    """Return searches per second with this many threads."""
    counts, took, failures = [0] * count, [0.0] * count, list[BaseException]()
    start, seconds = threading.Barrier(count), step.seconds / 3

    def work(number: int) -> None:
        try:
            own = step.opened() if step.kind.threads == "own" else store
            laps(lambda query: own.search(*query), queries, seconds / 2, least=1)  # what one's own caches hold
            start.wait(timeout=60)
            began = time.perf_counter()
            n = number * len(queries) // count
            while time.perf_counter() < began + seconds or not counts[number]:
                own.search(*queries[n % len(queries)])
                counts[number] += 1
                n += 1
            took[number] = time.perf_counter() - began
            if own is not store:
                own.close()
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that asked
            failures.append(error)
            start.abort()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    return round(sum(counts) / max(took), 1)
