"""How a store grows: one file, filled step by step up to millions of made-up passages, searched at each size.

    python benchmarks/growth.py --sizes 10000,100000,1000000,10000000 --store FILE --json OUT [--codec int8]

Words are drawn by Zipf's law, 30 to 60 a passage. Vectors lie around centres of 40 passages in a space of 48
dimensions, with noise in all 384, and a question's is near a passage's, so that there are neighbours to find; nothing
else about them is real. benchmarks/speed.py measures real text, up to a million passages. At each size a process of its
own opens the file and asks every question twice, then with filters; then another with little memory. The first time is
the first touch. Recall is that of ten hits of the vector search against exact float32 cosine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import exact
import numpy as np
from searching import memory
from step import laps, spread
from synthetic import word

import hybridstore as hs

AT_ONCE = 10_000
DIM, INNER = 384, 48
TO_A_CENTRE = 40  # passages
QUESTIONS = 100
SHARES = {".1 %": 1, "1 %": 10, "10 %": 100, "50 %": 500}  # per mille, at random
LITTLE = 200  # MiB
SECONDS = 60.0  # of each measurement at most


def unit(vectors: Any) -> Any:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def passages(size: int, seed: int, block: int = AT_ONCE) -> Iterator[tuple[list[str], Any]]:
    """Yield blocks of texts and unit vectors (n, 384); the first blocks are the same whatever the size."""
    vocabulary = np.array([word(rank) for rank in range(200_000)], dtype=object)
    axes = np.random.default_rng([seed, 1]).standard_normal((INNER, DIM)).astype(np.float32) / np.sqrt(INNER)
    for number in range(-(-size // block)):
        chance = np.random.default_rng([seed, 2, number])
        lengths = chance.integers(30, 60, block)
        words = vocabulary[chance.zipf(1.15, int(lengths.sum())) % len(vocabulary)].tolist()
        ends = np.concatenate([[0], np.cumsum(lengths)]).tolist()
        texts = [" ".join(words[ends[n] : ends[n + 1]]) for n in range(block)]
        centres = chance.standard_normal((block // TO_A_CENTRE, INNER))
        inner = np.repeat(centres, TO_A_CENTRE, axis=0) + 0.6 * chance.standard_normal((block, INNER))
        vectors = unit(inner.astype(np.float32) @ axes + 0.3 * chance.standard_normal((block, DIM), np.float32))
        count = min(block, size - number * block)
        yield texts[:count], vectors[:count]


def questions(seed: int, block: int = AT_ONCE) -> tuple[list[str], Any]:
    """Return questions of eight words, two of them common, whose vectors are near those of the first passages."""
    _, vectors = next(passages(block, seed, block))
    chance = np.random.default_rng([seed, 3])
    ranks = np.hstack([chance.integers(1, 30, (QUESTIONS, 2)), chance.integers(30, 20_000, (QUESTIONS, 6))])
    rows = chance.permutation(len(vectors))[:QUESTIONS]
    noise = chance.standard_normal((QUESTIONS, DIM)).astype(np.float32) / np.sqrt(DIM)
    return [" ".join(map(word, row)) for row in ranks.tolist()], unit(vectors[rows] + 0.7 * noise)


def fields(first: int, count: int) -> list[dict[str, int]]:
    """Return each passage's `part`, 0 to 999, at random."""
    return [{"part": n * 7919 % 1_000_003 % 1000} for n in range(first, first + count)]


def fill(file: Path, sizes: list[int], codec: str, seed: int, block: int = AT_ONCE) -> Iterator[tuple[int, float, Any]]:
    """Fill a store; at each size, yield it, the seconds that filling took, and each question's ten nearest rows."""
    asked = questions(seed, block)[1]
    scores = np.full((len(asked), exact.TOP), -2.0, np.float32)
    rows = np.zeros(scores.shape, np.int64)
    filled, seconds = 0, 0.0
    store: hs.Store | None = None
    for texts, vectors in passages(sizes[-1], seed, block):
        began = time.perf_counter()
        if store is None:
            store = hs.open(file, codec=codec)
        numbered = zip(range(filled, filled + len(texts)), texts, fields(filled, len(texts)), strict=True)
        store.add([hs.Document(id=f"p{n}", text=text, metadata=part) for n, text, part in numbered], vectors=vectors)
        filled += len(texts)
        if filled in sizes:
            store.close()
            store = None
        seconds += time.perf_counter() - began
        near = np.hstack([scores, asked @ vectors.T])
        numbers = np.hstack([rows, np.tile(np.arange(filled - len(texts), filled), (len(asked), 1))])
        best = np.argpartition(near, -exact.TOP, axis=1)[:, -exact.TOP :]
        scores, rows = (np.take_along_axis(each, best, axis=1) for each in (near, numbers))
        if filled in sizes:
            yield filled, seconds, rows


def searched(file: Path, right: Any, asked: list[Any], limit: int) -> dict[str, Any]:
    """Open a filled store in this process, of at most so many MiB of copies, and search it in every way."""
    before, began = memory(), time.perf_counter()
    with hs.open(file, create=False, memory=limit, embedder="none") as store:
        store.search(asked[-1][0], vector=asked[-1][1])
        result: dict[str, Any] = {"cold": round((time.perf_counter() - began) * 1e3, 1)}

        def hybrid(query: Any, **options: Any) -> Any:
            return store.search(query[0], vector=query[1], **options)

        result["first touch"] = spread(laps(hybrid, asked, SECONDS))
        result["hybrid"] = spread(laps(hybrid, asked, SECONDS))
        result["keyword"] = spread(laps(lambda query: store.search(query[0], mode="keyword"), asked, SECONDS))
        found: list[Any] = []
        times = laps(lambda query: found.append(hybrid(query, mode="vector")), asked, SECONDS)
        result["vector"] = spread(times)
        recalls = [
            exact.recall([hit.document_id for hit in hits], row) for hits, row in zip(found, right, strict=False)
        ]
        result["recall"] = round(float(np.mean(recalls)), 4)
        for name, share in SHARES.items():
            where = hs.field("part") < share
            first = laps(lambda query, where=where: hybrid(query, where=where), asked[:1], SECONDS)
            later = laps(lambda query, where=where: hybrid(query, where=where), asked[:40], SECONDS / 3, least=2)
            result[f"filter {name}"] = {"first": round(first[0], 1), **spread(later)}
    now = memory()
    return {**result, "memory": {key: round(now[key] - before[key], 1) for key in ("resident", "own") if key in now}}


def page(result: Mapping[str, Any]) -> list[str]:
    """Return the table as Markdown: p50 / p95 in ms."""
    columns = ("cold", "first touch", "hybrid", "keyword", "vector", *(f"filter {name}" for name in SHARES))
    lines = [f"| passages | {' | '.join(columns)} | recall@10 | memory, MB | disk, GB | fill, passages/s |"]
    lines.append("|---" * (len(columns) + 5) + "|")
    for row in result["rows"]:
        for title, own in ((f"{row['passages']:,}", row["all"]), (f"the same, {LITTLE} MiB", row["little"])):
            cells = [_cell(own[column]) for column in columns]
            tail = f"{own['recall']:.3f} | {own['memory'].get('resident', 0):,.0f} | {row['disk'] / 1e9:.2f} | "
            lines.append(f"| {title} | {' | '.join(cells)} | {tail}{row['passages'] / row['seconds']:,.0f} |")
    return lines


def _cell(found: Any) -> str:
    return f"{found:,.0f}" if not isinstance(found, dict) else f"{found['p50']:,.1f} / {found['p95']:,.1f}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="10000,100000,1000000", metavar="N,N,...")
    parser.add_argument("--store", type=Path, required=True, help="a file that is not there yet")
    parser.add_argument("--codec", default="float32")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--block", type=int, default=AT_ONCE, help="passages that are added at once")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    parser.add_argument("--measure", type=int, metavar="MIB", help=argparse.SUPPRESS)  # in a process of its own
    options = parser.parse_args(arguments)
    if options.measure is not None:
        right = np.array(json.loads(options.json.read_text(encoding="utf-8")), np.int64)
        asked = list(zip(*questions(options.seed, options.block), strict=True))
        print(json.dumps(searched(options.store, right, asked, options.measure)))
        return
    if options.store.exists():
        parser.error(f"{options.store} is there already")
    sizes = sorted(map(int, options.sizes.split(",")))
    if any(size % options.block for size in sizes):
        parser.error(f"--sizes are multiples of --block, which is {options.block:,}")
    rows = []
    for size, seconds, right in fill(options.store, sizes, options.codec, options.seed, options.block):
        row: dict[str, Any] = {"passages": size, "seconds": round(seconds, 1), "disk": options.store.stat().st_size}
        wanted = options.json.with_suffix(".right.json")
        wanted.write_text(json.dumps(right.tolist()), encoding="utf-8")
        for name, limit in (("all", 1024 if size < 5_000_000 else 2048), ("little", LITTLE)):
            command = [sys.executable, __file__, "--store", options.store, "--json", wanted, "--measure", limit]
            command += ["--seed", options.seed, "--block", options.block]
            told = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
            row[name] = json.loads(told.stdout)
        wanted.unlink()
        rows.append(row)
        about = {"codec": options.codec, "cores": os.cpu_count(), "python": platform.python_version()}
        result = {"hybridstore": hs.__version__, "about": about, "rows": rows}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(json.dumps(row), flush=True)
    print("\n".join(page(result)))


if __name__ == "__main__":
    main()
