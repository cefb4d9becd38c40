"""How long a merge takes: two stores of N documents each, into an empty store, and repeated with 1 % changed.

    python benchmarks/merging.py [DOCUMENTS]

Texts and vectors are made up, so that no model runs. Times are CPU seconds of one process.
"""

from __future__ import annotations

import sys
import tempfile
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


def main(count: int) -> None:
    """Print the times of each step."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
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
