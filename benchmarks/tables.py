"""Write benchmarks/README.md from the committed results.

python benchmarks/tables.py [--check]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE / "README.md"

METHOD = """
## How it was measured

Each table is one run on one machine, rivals in turn, on the same texts, vectors and queries; absolute figures belong
to that machine, which was shared and had two cores, so read the ratios. Rows where a rival wins stand like the others.

- *Store*: made-up documents of 60 to 240 words drawn by Zipf's law from a large vocabulary, 384-dimensional random
  vectors, 60 twelve-word queries with their vectors given; each rival in a process of its own, cold queries in five
  fresh processes, timed from opening to answer, imports included. The naive script is one table, FTS5
  (`porter unicode61`), vec0 with float32, OR of the words, and reciprocal rank fusion of both top 100. Memory is the
  process's peak above what it was once the documents and vectors had been made.
- *Embedder*: 256 texts of mixed length on two threads, five rounds in turn, the best of each; one short query.
- *Quality*: `hybridstore evaluate` on whole documents, one chunk each, with the default model; n is the number of
  queries. nDCG@10 and recall@100 equal trec_eval's.

## Run it yourself

```console
$ make bench
$ hybridstore evaluate FOLDER --split test     # a collection in BEIR layout
```
"""


def store(told: dict[str, Any]) -> list[str]:
    ours, naive = told["measured"]["hybridstore"], told["measured"]["naive"]
    lines = [
        f"## The store, {told['chunks']:,} chunks, against a naive FTS5 + sqlite-vec script",
        "",
        "| | hybridstore | naive script | times better |",
        "|---|---|---|---|",
    ]
    for key, mine in ours.items():
        better = mine / naive[key] if key.endswith("/s") else naive[key] / mine
        lines.append(f"| {key} | {mine:,.1f} | {naive[key]:,.1f} | {better:.2f} |")
    return lines


def embedder(told: dict[str, Any]) -> list[str]:
    lines = [
        "## The embedder, all-MiniLM-L6-v2 on two threads",
        "",
        "| | texts/s | ratio | one query, ms | ratio | least cosine to PyTorch |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in told["results"].items():
        lines.append(f"| {name} | " + " | ".join(str(value) for value in row.values()) + " |")
    return lines


def quality(told: dict[str, Any]) -> list[str]:
    lines = [
        "## Quality of the default model and fusion, nDCG@10 / recall@100",
        "",
        "| collection | n | keyword | vector | hybrid |",
        "|---|---|---|---|---|",
    ]
    for name, row in told.items():
        cells = [f"{row[leg]['ndcg@10']:.4f} / {row[leg]['recall@100']:.4f}" for leg in ("keyword", "vector", "hybrid")]
        lines.append(f"| {name} | {row['n']:,} | " + " | ".join(cells) + " |")
    return lines


def page() -> str:
    parts = ["# Benchmarks", "", "Written by `benchmarks/tables.py` from `results/`; do not edit.", ""]
    for name, table in (("store", store), ("embedder", embedder), ("quality", quality)):
        parts += [*table(json.loads((HERE / "results" / f"{name}.json").read_text())), ""]
    return "\n".join(parts).rstrip() + "\n" + METHOD


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="say whether the page is up to date, and write nothing")
    if parser.parse_args().check:
        sys.exit(0 if PAGE.exists() and PAGE.read_text() == page() else "benchmarks/README.md is stale: make bench")
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
