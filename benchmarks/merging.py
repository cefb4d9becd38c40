"""How long merges and exchanges take: N documents into an empty store, N that are all known, and 1 % of them changed.

    python benchmarks/merging.py [DOCUMENTS]

Texts and vectors are made up, so that no model runs. Times are CPU seconds of one process, which is both sides of an
exchange over streams.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import hybridstore as hs
from hybridstore.ingest import export_import

_DIM = 384
_WORDS = [f"word{number}" for number in range(5_000)]


def filled(path: Path, first: int, count: int) -> hs.Store:
    """Make a store of `count` documents whose numbers begin with `first`."""
    rng = np.random.default_rng(first)
    store = hs.open(path, embedder="none")
    documents = [{"id": f"doc/{first + n}", "text": " ".join(rng.choice(_WORDS, 40))} for n in range(count)]
    store.add(documents, vectors=rng.normal(size=(count, _DIM)))
    return store


def took(what: str, work: Callable[[], object]) -> None:
    """Print the CPU seconds of a step."""
    began = time.process_time()
    work()
    print(f"{what:52} {time.process_time() - began:7.2f} s", flush=True)


def over_streams(a: hs.Store, b: hs.Store) -> None:
    """Exchange between two stores over pipes, and print the bytes that were sent beside those of what changed."""
    (here, from_b), (there, from_a) = os.pipe(), os.pipe()

    def run(store: hs.Store, reader: int, writer: int) -> None:
        with os.fdopen(reader, "rb") as source, os.fdopen(writer, "wb") as target:
            report = store.exchange_over(source, target)
        if report.documents:
            print(f"  {report.documents:,} documents sent, in {report.bytes:,} bytes; {report.received:,} received")

    other = threading.Thread(target=run, args=(b, there, from_b))
    other.start()
    run(a, here, from_a)
    other.join()


def exchanges(folder: Path, count: int) -> None:
    """Print the times of exchanges through a folder and over streams."""
    shared = folder / "shared"
    shared.mkdir()
    with filled(folder / "one.db", 0, count) as one, hs.open(folder / "two.db", embedder="none") as two:
        took(f"{count:,} published in a folder", lambda: one.exchange(shared))
        took("  and read from it into an empty store", lambda: two.exchange(shared))
        took("  the same again", lambda: two.exchange(shared))
        for times, exchange in enumerate((lambda: one.exchange(shared), lambda: over_streams(one, two))):
            changed = [{"id": f"doc/{n}", "text": f"changed {times} " * 20} for n in range(0, count, 100)]
            size = sum(len(each["text"]) + 4 * _DIM for each in changed)
            one.add(changed, vectors=np.random.default_rng(times).normal(size=(len(changed), _DIM)))
            took(f"{len(changed):,} changed ({size:,} bytes): {'over streams' if times else 'published'}", exchange)
            if not times:
                took("  and read", lambda: two.exchange(shared))
        took("nothing changed, over streams", lambda: over_streams(one, two))


def main(count: int) -> None:
    """Print the times of each step."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exchanges(folder, count)
        with filled(folder / "a.db", 0, count) as a, filled(folder / "b.db", count, count) as b:
            with hs.open(folder / "empty.db", embedder="none") as empty:
                took(f"{count:,} into an empty store", lambda: empty.merge(a))
            with hs.open(folder / "imported.db", embedder="none") as imported:
                took("  by export", lambda: export_import.export(a, folder / "a.jsonl", vectors=True))
                took("  and import", lambda: export_import.load(imported, folder / "a.jsonl"))
            took(f"{count:,} into {count:,} others", lambda: a.merge(b))
            took("the same again", lambda: a.merge(b))
            b.merge(a)
            changed = [{"id": f"doc/{n}", "text": f"changed {n}"} for n in range(0, 2 * count, 100)]
            b.add(changed, vectors=np.random.default_rng(1).normal(size=(len(changed), _DIM)))
            took(f"{len(changed):,} of {2 * count:,} changed", lambda: a.merge(b))
            b.purge("doc/7")
            took("a purge", lambda: a.merge(b))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
