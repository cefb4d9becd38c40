"""The page size of the file: the same documents and vectors at every size, timed in turn in one run.

python benchmarks/page_size.py [--documents 20000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

import hybridstore as hs
from hybridstore.backends.sqlite import migrations


def made_up(count: int, seed: int) -> tuple[list[hs.Document], np.ndarray]:
    """Return texts of 120 to 240 words that follow Zipf's law, and random vectors of 384 dimensions."""
    random = np.random.default_rng(seed)
    documents = []
    for n in range(count):
        words = random.zipf(1.3, int(random.integers(120, 240))) % 50_000
        documents.append(hs.Document(id=str(n), text=" ".join(f"w{word}" for word in words)))
    return documents, random.standard_normal((count, 384)).astype(np.float32)


def measure(size: int, documents: list[hs.Document], vectors: np.ndarray) -> dict[str, float]:
    migrations.PAGE_SIZE = size
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pages.db"
        started = time.perf_counter()
        with hs.open(path) as store:
            store.add(documents, vectors=vectors)
        ingest = time.perf_counter() - started
        random = np.random.default_rng(1)
        queries = [(f"w{a} w{b} w{c}", vectors[n]) for n, (a, b, c) in enumerate(random.integers(1, 5_000, (30, 3)))]
        with hs.open(path) as store:
            laps = [store.search(text, vector=vector).trace.timings for text, vector in queries]
        return {
            "ingest, documents/s": len(documents) / ingest,
            "keyword, ms": 1000 * statistics.median(lap["keyword"] for lap in laps),
            "vector, ms": 1000 * statistics.median(lap["vector"] for lap in laps),
            "fetch, ms": 1000 * statistics.median(lap["fetch"] for lap in laps),
            "file, MB": path.stat().st_size / 1e6,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    documents, vectors = made_up(options.documents, seed=7)
    sizes = (4096, 8192, 16384, 32768)
    rounds = [{size: measure(size, documents, vectors) for size in sizes} for _ in range(options.rounds)]
    print("| page size | " + " | ".join(rounds[0][4096]) + " |")
    print("|---" * (1 + len(rounds[0][4096])) + "|")
    for size in sizes:
        medians = [statistics.median(run[size][key] for run in rounds) for key in rounds[0][size]]
        print(f"| {size} | " + " | ".join(f"{median:.1f}" for median in medians) + " |")


if __name__ == "__main__":
    main()
