"""Write benchmarks/README.md and the plots from the committed results.

python benchmarks/tables.py [--check] [--results FOLDER] [--page FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filtering
import plots
import speed_tables

HERE = Path(__file__).parent

METHOD = """
## How it was measured

Figures belong to the machine they were measured on, which was shared and had two cores, so read the ratios. Ratios are
only formed within one go, in which the rivals took turns. Where a rival wins, its figure stands like the others.

- *Speed*, the passages: `benchmarks/corpus.py` draws them out of stores of real text with real vectors of
  all-MiniLM-L6-v2, and recombines them where it has not enough: its docstring says how, and what that means. The
  queries are people's, of 2 to 40 words, drawn evenly from public collections; a made-up corpus can be had without any.
- *Speed*, the rivals: one file each in `benchmarks/baselines/`, whose docstring says how it was set up. All get the
  same texts, vectors, fields and queries' vectors; no model runs. Each search gives ten hits and fetches their texts.
- *Speed*, the figures: filling, five cold starts, searching, and writing are processes of their own. *Cold* is from
  opening to the first answer, median of five fresh processes, the file in the system's cache; *with imports* counts
  from the first line of Python. *First touch* is each query for the first time, *warm* all of them up to three times
  more. *200 words* are several queries in one, with the mean of their vectors. *Resident* is the process's memory after
  all searches less that before opening; *its own* leaves out mapped files. Writes are one passage each, durable for
  the next process; another process writes one every 50 ms. *Recall* is that of ten hits against exact float32 cosine.
  Filters select passages at random.
- *Filters*: `benchmarks/filtering.py`, each kind of field with an index where the rival advises one; "nearest" and
  "furthest" pass only the passages nearest to the question or furthest from it.
- *Embedder*: 256 texts of mixed length on two threads, five rounds in turn, the best of each; one short query.
- *What speed costs*: `benchmarks/exactness.py`, the first 100 to 300 queries of each collection.

## Run it yourself

```console
$ make bench                                        # 10,000 made-up passages
$ make bench SIZE=50000 STORES="a.db b.db" QUERIES="folder folder"     # your own stores, and queries in BEIR layout
$ hybridstore evaluate FOLDER --split test          # quality on a collection in BEIR layout
```
"""


def embedder(result: dict[str, Any]) -> list[str]:
    threads = {1: "one thread", 2: "two threads"}[result["about"]["threads"]]
    seconds = ", seconds of the processor" if result["about"].get("clock") == "processor" else ""
    lines = [
        f"## The embedder, all-MiniLM-L6-v2 on {threads}{seconds}",
        "",
        "| | texts/s | ratio | one query, ms | ratio | least cosine to PyTorch |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in result["results"].items():
        lines.append(f"| {name} | " + " | ".join(str(value) for value in row.values()) + " |")
    return lines


def _legs(title: str, result: dict[str, Any], cell: Callable[[dict[str, float]], str]) -> list[str]:
    lines = [f"## {title}", "", "| collection | n | keyword | vector | hybrid |", "|---|---|---|---|---|"]
    for name, row in result.items():
        cells = [cell(row[leg]) for leg in ("keyword", "vector", "hybrid")]
        lines.append(f"| {name} | {row['n']:,} | " + " | ".join(cells) + " |")
    return lines


def exactness(result: dict[str, Any]) -> list[str]:
    title = "What speed costs in quality: nDCG@10 as it is, and the difference to SQLite answering everything itself"
    return _legs(title, result, lambda leg: f"{leg['ndcg@10']:.4f} ({leg['difference']:+.4f})")


def filters(result: dict[str, Any]) -> list[str]:
    about = result["about"]
    lead = (
        f"{about['passages']:,} passages, {about['queries']} questions, p50 / p95 in ms of the hybrid search, after "
        "each filter was used once; in brackets the recall@10 of the vector search where it is not 1. – is refused."
    )
    return ["## Filters", "", lead, "", *filtering.page(result)]


def written(results: Path, page: Path) -> dict[Path, str]:
    """Return the content of each generated file."""
    sizes = speed_tables.load(results)
    drawn = plots.drawn(sizes)
    parts = ["# Benchmarks", "", "Written by `benchmarks/tables.py` from `results/`; do not edit."]
    parts += ["How well searches find, and what they must not get wrong, is told [elsewhere](../docs/quality.md).", ""]
    parts += speed_tables.section(sizes, [os.path.relpath(results / name, page.parent) for name in drawn])
    for name, table in (("filtering", filters), ("embedder", embedder), ("exactness", exactness)):
        file = results / f"{name}.json"
        if file.exists():
            parts += [*table(json.loads(file.read_text())), ""]
    files = {page: "\n".join(parts).rstrip() + "\n" + METHOD}
    return files | {results / name: plot for name, plot in drawn.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="say whether the page is up to date, and write nothing")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--page", type=Path, default=HERE / "README.md")
    options = parser.parse_args()
    files = written(options.results, options.page)
    if options.check:
        stale = [file.name for file, text in files.items() if not file.exists() or file.read_text() != text]
        sys.exit(f"stale: {', '.join(stale)}; run benchmarks/tables.py" if stale else 0)
    for file, text in files.items():
        file.write_text(text)


if __name__ == "__main__":
    main()
