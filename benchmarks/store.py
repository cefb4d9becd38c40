"""What the store costs: ingest, cold start, memory, and searches, against an afternoon's FTS5 + sqlite-vec script.

    python benchmarks/store.py [--chunks 50000] [--json OUT]

The same made-up documents (words by Zipf's law), vectors and queries go into both in one run, each in a process of
its own; ratios are theirs over ours, so above 1 we are faster or smaller. No model runs here: benchmarks/embedder.py
is about that.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

DIM = 384
QUERIES = 60
SEED = 7


def documents(count: int) -> tuple[list[tuple[str, str]], np.ndarray]:
    """Give (id, text) pairs of 60 to 240 words out of a vocabulary that grows as prose's does, and unit vectors."""
    random = np.random.default_rng(SEED)
    made = []
    for n in range(count):
        ranks = random.zipf(1.15, int(random.integers(60, 240)))
        made.append((str(n), " ".join(word(int(rank)) for rank in ranks)))
    vectors = random.standard_normal((count, DIM)).astype(np.float32)
    return made, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def word(rank: int) -> str:
    """Give the word of a rank: letters only, short when common."""
    rank = rank % 200_000 + 1
    letters = ""
    while rank:
        rank, letter = divmod(rank, 20)
        letters += "etaoinshrdlucmfwypvb"[letter]
    return letters


def queries(vectors: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Give twelve-word questions, four of the words common, with a vector each."""
    random = np.random.default_rng(SEED + 1)
    asked = []
    for n in range(QUERIES):
        ranks = [*random.integers(1, 30, 4), *random.integers(30, 20_000, 8)]
        asked.append((" ".join(word(int(rank)) for rank in ranks), vectors[n]))
    return asked


class Ours:
    def __init__(self, path: Path) -> None:
        import hybridstore as hs

        self.hs, self.store = hs, hs.open(path)

    def add(self, made: list[tuple[str, str]], vectors: np.ndarray) -> None:
        self.store.add([self.hs.Document(id=id_, text=text) for id_, text in made], vectors=vectors)

    def search(self, text: str, vector: np.ndarray) -> list[str]:
        return [hit.document_id for hit in self.store.search(text, vector=vector)]

    def close(self) -> None:
        self.store.close()


class Naive:
    """Text in one table, FTS5 and vec0 beside it, OR of the words, RRF of both top 100."""

    def __init__(self, path: Path) -> None:
        import apsw
        import sqlite_vec

        self.db = apsw.Connection(str(path))
        self.db.enable_load_extension(True)
        self.db.load_extension(sqlite_vec.loadable_path())
        self.db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
        self.db.execute("CREATE TABLE IF NOT EXISTS chunks (id INTEGER PRIMARY KEY, name TEXT UNIQUE, text TEXT)")
        self.db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, tokenize='porter unicode61')")
        self.db.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS vectors USING vec0(v float[{DIM}])")

    def add(self, made: list[tuple[str, str]], vectors: np.ndarray) -> None:
        with self.db:
            self.db.executemany("INSERT INTO chunks VALUES (?, ?, ?)", [(n, *one) for n, one in enumerate(made)])
            self.db.executemany(
                "INSERT INTO words (rowid, text) VALUES (?, ?)", [(n, text) for n, (_, text) in enumerate(made)]
            )
            self.db.executemany(
                "INSERT INTO vectors (rowid, v) VALUES (?, ?)", [(n, row.tobytes()) for n, row in enumerate(vectors)]
            )

    def search(self, text: str, vector: np.ndarray) -> list[str]:
        asked = " OR ".join(f'"{one}"' for one in dict.fromkeys(text.split()))
        words = self.db.execute(
            "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank LIMIT 100", (asked,)
        ).fetchall()
        near = self.db.execute("SELECT rowid FROM vectors WHERE v MATCH ? AND k = 100", (vector.tobytes(),)).fetchall()
        scores: dict[int, float] = {}
        for ranking in (words, near):
            for rank, (row,) in enumerate(ranking, 1):
                scores[row] = scores.get(row, 0) + 1 / (60 + rank)
        best = sorted(scores, key=scores.__getitem__, reverse=True)[:10]
        return [self.db.execute("SELECT name, text FROM chunks WHERE id = ?", (row,)).fetchone()[0] for row in best]

    def close(self) -> None:
        self.db.close()


RIVALS = {"hybridstore": Ours, "naive": Naive}


def run(name: str, path: Path, count: int, *, cold: bool) -> dict[str, float]:
    """Measure one rival in this process: filling and searching, or only a first search in a filled file."""
    if cold:
        started = time.perf_counter()
        store = RIVALS[name](path)
        random = np.random.default_rng(3).standard_normal(DIM).astype(np.float32)
        store.search(" ".join(word(rank) for rank in (3, 9, 400, 5000)), random / np.linalg.norm(random))
        return {"cold, ms": 1000 * (time.perf_counter() - started)}
    made, vectors = documents(count)
    before = _peak()
    started = time.perf_counter()
    store = RIVALS[name](path)
    store.add(made, vectors)
    told = {"ingest, chunks/s": count / (time.perf_counter() - started), "peak above the data, MB": _peak() - before}
    asked = queries(vectors)
    first = [_timed(store, *one) for one in asked]
    warm = [_timed(store, *one) for _ in range(3) for one in asked]
    long = [(" ".join(text for text, _ in asked[n : n + 17]), asked[n][1]) for n in range(12)]
    told |= {
        "first touch p50, ms": statistics.median(first),
        "warm p50, ms": statistics.median(warm),
        "warm p95, ms": float(np.percentile(warm, 95)),
        "200 words p50, ms": statistics.median([_timed(store, *one) for _ in range(2) for one in long][len(long) :]),
    }
    store.close()
    return told | {"file, MB": path.stat().st_size / 1e6}


def _timed(store: Any, text: str, vector: np.ndarray) -> float:
    started = time.perf_counter()
    store.search(text, vector)
    return 1000 * (time.perf_counter() - started)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _child(name: str, path: Path, count: int, *, cold: bool) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", name, "--file", str(path), "--chunks", str(count)]
    told = subprocess.run([*command, *(["--cold"] if cold else [])], check=True, capture_output=True, text=True)
    return dict(json.loads(told.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=50_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", choices=list(RIVALS), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cold", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(run(options.child, options.file, options.chunks, cold=options.cold)))
        return
    measured: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in RIVALS:
            path = Path(folder) / f"{name}.db"
            measured[name] = _child(name, path, options.chunks, cold=False)
            colds = [_child(name, path, options.chunks, cold=True)["cold, ms"] for _ in range(5)]
            measured[name]["cold open and query, ms"] = statistics.median(colds)
    print(f"| {options.chunks:,} chunks | hybridstore | naive script | ratio |\n|---|---|---|---|")
    for key, ours in measured["hybridstore"].items():
        theirs = measured["naive"][key]
        ratio = ours / theirs if key.endswith("/s") else theirs / ours
        print(f"| {key} | {ours:,.1f} | {theirs:,.1f} | {ratio:.2f} |")
    if options.json:
        versions = {name: importlib.metadata.version(name) for name in ("apsw", "sqlite-vec", "numpy", "numkong")}
        about = {"python": platform.python_version(), "machine": platform.machine(), "seed": SEED, **versions}
        options.json.write_text(json.dumps({"about": about, "chunks": options.chunks, "measured": measured}, indent=1))


if __name__ == "__main__":
    main()
