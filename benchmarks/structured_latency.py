"""What structured queries of 2, 4 and 8 leaves cost beside a plain search, in the processor's time.

python benchmarks/structured_latency.py [--chunks 10000 50000] [--json OUT]

Texts are made up of 20 words that follow Zipf's law, vectors of their words' hashes (384 dimensions), on one thread and
without a model, so that the embedder's time is not in it. Plain searches and structured ones take turns; medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import reduce
from operator import and_, or_
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder

LEAVES = (2, 4, 8)
ROUNDS = 40


def milliseconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return 1000 * (time.process_time() - started)


def measured(store: hs.Store, chance: np.random.Generator) -> dict[str, float]:
    """Return the median milliseconds of each kind of query."""
    taken: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        words = [f"w{word}" for word in chance.integers(20, 2_000, 24)]
        texts = [" ".join(words[n : n + 3]) for n in range(0, 24, 3)]
        taken.setdefault("plain", []).append(milliseconds(lambda texts=texts: store.search(texts[0])))
        for number in LEAVES:
            for name, join in (("and", and_), ("or", or_)):
                query = reduce(join, map(hs.about, texts[:number]))
                taken.setdefault(f"{number} {name}", []).append(milliseconds(lambda query=query: store.search(query)))
    return {name: round(statistics.median(values), 2) for name, values in taken.items()}


def main() -> None:
    """Measure stores of each size, and print the medians, and their ratio to a plain search."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {}
    for chunks in options.chunks:
        chance = np.random.default_rng(chunks)
        texts = (" ".join(f"w{word}" for word in chance.zipf(1.3, 20) % 20_000) for _ in range(chunks))
        with TemporaryDirectory() as folder, hs.open(Path(folder) / "made.db", embedder=HashingEmbedder(384)) as store:
            store.add(texts, chunk=False)
            measured(store, chance)
            found[chunks] = measured(store, chance)
        for name, value in found[chunks].items():
            print(f"{chunks:,} chunks, {name}: {value} ms, {value / found[chunks]['plain']:.1f} x")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
