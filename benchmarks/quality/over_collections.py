"""Quality of every way of searching on whole collections, and whether the default is better than the others.

    python benchmarks/quality/over_collections.py --stores FILE... --collections DIR... --json OUT

Each store is one that `hybridstore evaluate --keep` made of the collection of the same name; it is copied, never
written to. `--values` keeps each collection's numbers, query by query, so that a go that was broken off is taken up
again; another version of the search needs another folder.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from judging import strategies
from sample_stores import of_store, split_of

import hybridstore as hs
from hybridstore.errors import HybridstoreError
from hybridstore.evaluation import Collection, evaluate, paired_bootstrap
from hybridstore.evaluation.metrics import STANDARD, mean
from hybridstore.search.request import FUSIONS

RESAMPLES = 10_000

Values = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Way of searching → metric → query id → number."""


def measured(
    store: hs.Store, collection: Collection, queries: int | None = None, group: str | None = None
) -> dict[str, Any]:
    """Search every judged query in every way; give the numbers query by query."""
    found = evaluate(store, collection, split=split_of(collection), fusions=FUSIONS, queries=queries, where_group=group)
    stored = store.stats().embedding
    return {
        "default": f"hybrid ({store.search('a').trace.fusion})",
        "queries": queries,
        "embedder": "none" if stored is None else stored.fingerprint,
        "values": {way: {metric: dict(found.values(way, metric)) for metric in STANDARD} for way in strategies()},
    }


def summed_up(measures: Mapping[str, dict[str, Any]], seed: int, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Return means and intervals, of each collection and of their mean, as JSON."""
    default = next(iter(measures.values()))["default"]
    values: dict[str, Values] = {name: each["values"] for name, each in measures.items()}
    rows = {name: _row(each, default, seed, resamples) for name, each in values.items()}
    others = [way for way in next(iter(values.values())) if way != default]
    macro = {
        "n": sum(row["n"] for row in rows.values()),
        "means": {
            way: {metric: round(mean(row["means"][way][metric] for row in rows.values()), 5) for metric in STANDARD}
            for way in (*others, default)
        },
        "against": {
            way: {
                metric: macro_bootstrap(
                    [_differences(each[way][metric], each[default][metric]) for each in values.values()],
                    seed=seed,
                    resamples=resamples,
                )
                for metric in STANDARD
            }
            for way in others
        },
    }
    return {
        "hybridstore": hs.__version__,
        "embedder": ", ".join(dict.fromkeys(each["embedder"] for each in measures.values())),
        "default": default,
        "metrics": list(STANDARD),
        "resamples": resamples,
        "seed": seed,
        "collections": rows,
        "macro": macro,
    }


def macro_bootstrap(
    differences: Sequence[np.ndarray[Any, np.dtype[np.float64]]], *, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, float]:
    """Return the mean over collections of their mean differences, with its 95 % percentile interval.

    Queries are drawn with replacement within each collection, so that every collection weighs the same however many
    queries it has, and the interval tells about other queries of these collections, not about other collections.
    """
    resampled = np.zeros(resamples)
    for number, values in enumerate(differences):
        generator = np.random.default_rng([seed, number])
        for first in range(0, resamples, 500):  # 500 at a time, so that memory does not grow with the queries
            drawn = generator.integers(len(values), size=(min(500, resamples - first), len(values)))
            resampled[first : first + len(drawn)] += values[drawn].mean(axis=1) / len(differences)
    low, high = np.quantile(resampled, [0.025, 0.975])
    difference = mean(float(values.mean()) for values in differences)
    return {"difference": round(difference, 5), "low": round(float(low), 5), "high": round(float(high), 5)}


def _row(values: Values, default: str, seed: int, resamples: int) -> dict[str, Any]:
    against = {}
    for way in values:
        if way != default:
            against[way] = {}
            for metric in STANDARD:
                found = paired_bootstrap(values[way][metric], values[default][metric], seed=seed, resamples=resamples)
                against[way][metric] = {
                    "difference": round(found.difference, 5),
                    "low": round(found.low, 5),
                    "high": round(found.high, 5),
                }
    return {
        "n": len(values[default][STANDARD[0]]),
        "means": {
            way: {metric: round(mean(each[metric].values()), 5) for metric in STANDARD} for way, each in values.items()
        },
        "against": against,
    }


def _differences(a: Mapping[str, float], b: Mapping[str, float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([b[query] - a[query] for query in sorted(a)], dtype=np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", nargs="+", type=Path, required=True, metavar="FILE")
    parser.add_argument("--collections", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--title", default="all", help="what these collections are, for the page")
    parser.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="NAME=FIELD",
        help="search NAME within the query's metadata FIELD",
    )
    parser.add_argument("--queries", type=int, help="only the first so many of each collection")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="for the model")
    parser.add_argument("--values", type=Path, metavar="DIR")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    options = parser.parse_args()
    folders = {folder.resolve().name: folder for folder in options.collections}
    measures: dict[str, dict[str, Any]] = {}
    for path in options.stores:
        if path.stem not in folders or not path.exists():
            parser.error(f"{path} is not there, or no folder of --collections is called {path.stem}")
    for path in options.stores:
        started = time.perf_counter()
        try:
            measures[path.stem] = _kept(path, folders[path.stem], options)
        except HybridstoreError as error:
            sys.exit(f"{path.stem}: {error}")
        result = {"title": options.title, **summed_up(measures, options.seed)}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        row = result["collections"][path.stem]["means"]
        means = ", ".join(f"{way} {each[STANDARD[0]]:.4f}" for way, each in row.items())
        print(f"{path.stem}: {means}, {time.perf_counter() - started:.0f} s", flush=True)


def _kept(path: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    file = options.values / f"{path.stem}.json" if options.values else None
    if file is not None and file.exists():
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if list(found["values"]) == list(strategies()) and found["queries"] == options.queries:
            return found
    with tempfile.TemporaryDirectory(prefix="quality-") as temporary:
        sample = of_store(path, Path(temporary), threads=options.threads)
        with hs.open(sample.file, create=False, **sample.options) as store:
            group = dict(each.split("=", 1) for each in options.group).get(path.stem)
            found = measured(store, Collection(folder), options.queries, group)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found), encoding="utf-8")
    return found


if __name__ == "__main__":
    main()
