"""The cost of speed in quality: default searches against SQLite answering everything itself.

    python benchmarks/exactness.py STORE.db... --collections FOLDER... [--queries N] [--json OUT]

Each store is one that `hybridstore evaluate` made of the collection of the same name. It is opened twice: as usual, and
with no memory, so that FTS5 scores every chunk that holds any query word and vec0 compares every code.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import hybridstore as hs
from hybridstore.evaluation import Collection, evaluate

MODES = ("keyword", "vector", "hybrid")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stores", nargs="+", type=Path, metavar="STORE")
    parser.add_argument("--collections", nargs="+", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--queries", type=int, help="only the first so many of each collection")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folders = {folder.resolve().name: folder for folder in options.collections}
    result: dict[str, dict[str, object]] = {}
    for path in options.stores:
        if path.stem not in folders:
            continue
        collection = Collection(folders[path.stem])
        found = {}
        started = time.perf_counter()
        for memory in (1024, 0):
            with hs.open(path, create=False, memory=memory) as store:
                split = "test" if "test" in collection.splits else collection.splits[0]
                found[memory] = evaluate(store, collection, split=split, queries=options.queries)
        row: dict[str, object] = {"n": found[0].n}
        for mode in MODES:
            ours, theirs = (found[memory].modes[mode].scores.mean("ndcg@10") for memory in (1024, 0))
            row[mode] = {"ndcg@10": round(ours, 5), "sqlite": round(theirs, 5), "difference": round(ours - theirs, 5)}
        result[path.stem] = row
        print(path.stem, row, f"{time.perf_counter() - started:.0f} s", flush=True)
        if options.json:
            options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
