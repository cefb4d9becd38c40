"""Many small stores: what opening one costs, what a pool keeps, and several stores searched as one.

python benchmarks/many_stores.py [--stores 200] [--notes 50] [--most 64] [--store FILE --queries FILE]

With --store, a store of many documents is divided in three, which are searched together beside the whole one.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder

EMBEDDER = HashingEmbedder(384)


def milliseconds(call: Callable[[], object]) -> float:
    """Return the processor's time that a call took: other programs on the machine hardly change it."""
    started = time.process_time()
    call()
    return 1000 * (time.process_time() - started)


def resident_kib() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def notes(count: int, seed: int) -> list[str]:
    """Return texts of 20 words that follow Zipf's law."""
    random = np.random.default_rng(seed)
    return [" ".join(f"w{word}" for word in random.zipf(1.3, 20) % 20_000) for _ in range(count)]


def opening(folder: Path, stores: int, count: int) -> dict[str, float]:
    """Open many stores one after the other and keep them open."""
    first = []
    for n in range(stores):
        with hs.open(folder / f"user {n}.db", embedder=EMBEDDER) as store:
            store.add(notes(count, n))
    before, files, opened = resident_kib(), descriptors(), []
    for n in range(stores):
        path = folder / f"user {n}.db"
        first += [milliseconds(lambda path=path: opened.append(hs.open(path, embedder=EMBEDDER)))]
    idle = resident_kib() - before
    searched = [milliseconds(lambda store=store: store.search("w1 w7 w30")) for store in opened]
    figures = {
        "open, CPU ms (median)": statistics.median(first),
        "first search after it, CPU ms (median)": statistics.median(searched),
        "descriptors an open store": (descriptors() - files) / stores,
        "memory an open store, KiB": idle / stores,
        "memory an open store that was searched, KiB": (resident_kib() - before) / stores,
        f"file of {count} notes, KiB": statistics.median(path.stat().st_size / 1024 for path in folder.glob("*.db")),
    }
    for store in opened:
        store.close()
    return figures


def pooled(folder: Path, stores: int, most: int) -> dict[str, float]:
    """Search stores by a pool: one that is open, and any of more than stay open."""
    random = np.random.default_rng(1)

    def search(pool: hs.Pool, n: int) -> None:
        with pool.open(f"user {n}") as store:
            store.search("w1 w7 w30")

    with hs.Pool(folder, most=most, embedder=EMBEDDER) as pool:
        search(pool, 0)
        same = [milliseconds(lambda: search(pool, 0)) for _ in range(100)]
        one_in = [milliseconds(lambda n=n: search(pool, n)) for n in random.integers(0, stores, 300).tolist()]
        names = [f"user {n}" for n in range(8)]
        pool.search(names, "w1 w7 w30")
        eight = [milliseconds(lambda: pool.search(names, "w1 w7 w30")) for _ in range(30)]
    return {
        "pool: search in an open store, CPU ms (median)": statistics.median(same),
        f"pool: search in one of {stores}, {most} of them open, CPU ms (median)": statistics.median(one_in),
        "search in 8 stores as one, CPU ms (median)": statistics.median(eight),
    }


def divided(path: Path, queries: list[str], folder: Path) -> dict[str, float]:
    """Divide a store in three, and compare their ranking with the whole one's."""
    parts = [hs.open(folder / f"part {n}.db") for n in range(3)]
    whole = hs.open(folder / "whole.db")
    with hs.open(path) as source:
        embedding = source.embeddings.active
        writers = [store.writer() for store in (whole, *parts)]
        for writer in writers:
            writer.expect_vectors(embedding)
        size = max(source.count() // 3, 1)
        for n, stored in enumerate(source.scan(vectors=True)):
            for writer in (writers[0], writers[1 + min(n // size, 2)]):
                writer.add_chunked(stored.document, stored.chunks, stored.vectors)
        for writer in writers:
            writer.__exit__(None, None, None)
    for store in (whole, *parts):
        store.calibrate()
    first = milliseconds(lambda: hs.search_many(parts, queries[0]))
    same, overlap, bm25, one, three = [], [], [], [], []
    for query in queries:
        one.append(milliseconds(lambda query=query: whole.search(query)))
        three.append(milliseconds(lambda query=query: hs.search_many(parts, query)))
        expected, found = whole.search(query), hs.search_many(parts, query)
        documents = [[hit.document_id for hit in results] for results in (expected, found)]
        same.append(documents[0] == documents[1])
        overlap.append(len(set(documents[0]) & set(documents[1])) / max(len(set(documents[0])), 1))
        words = expected.trace.keyword.scores[:50], found.trace.keyword.scores[:50]
        bm25.append(
            float(np.abs(words[0] - words[1]).max()) if len(words[0]) == len(words[1]) and len(words[0]) else 0.0
        )
    return {
        "documents": whole.count(),
        "queries": len(queries),
        "measuring three stores together, CPU s": first / 1000,
        "top ten in the same order, %": 100 * statistics.mean(same),
        "documents of the top ten in common, %": 100 * statistics.mean(overlap),
        "largest difference of BM25 among the best 50": max(bm25),
        "search in one store, CPU ms (median)": statistics.median(one),
        "search in three stores as one, CPU ms (median)": statistics.median(three),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=200)
    parser.add_argument("--notes", type=int, default=50)
    parser.add_argument("--most", type=int, default=64)
    parser.add_argument("--store", type=Path, help="a store with vectors, to be divided")
    parser.add_argument("--queries", type=Path, help='lines of JSON with a "text", or of text')
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.store:
            lines = list(islice(options.queries.read_text().splitlines(), 200))
            queries = [json.loads(line)["text"] if line.startswith("{") else line for line in lines]
            figures = divided(options.store, queries, folder)
        else:
            figures = opening(folder, options.stores, options.notes) | pooled(folder, options.stores, options.most)
    for what, figure in figures.items():
        print(f"| {what} | {figure:.4g} |")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
