"""Recall of conversational memories, scored as the authors of the data sets do.

    python benchmarks/memory/run.py FOLDER --json OUT [--systems NAME...] [--limit N] [--k 5 10] [--keep DIR]

FOLDER is LoCoMo's or LongMemEval's JSON file, a folder with one, or one in BEIR layout (`loading.py` says which is
which). No language model answers or judges anything: what is measured is whether the turns that hold the answer are
recalled. With `--keep` the stores stay in DIR, so that another run embeds nothing anew.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from conversations import Dataset
from loading import load
from querying import DEPTH, Asked, ask_all
from summaries import about, summed_up
from systems import NAMES, by_name

import hybridstore as hs
from hybridstore.cli.terminal import progress
from hybridstore.errors import HybridstoreError, InputError

NEEDED = {"memory": "hybridstore.memory", "bm25s": "bm25s"}  # a module that may not be there


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    try:
        dataset = load(options.data, user_only=options.user_only)
        dataset = dataset.first(options.limit) if options.limit else dataset
        if not any(question.answerable for question in dataset.questions):
            raise InputError(f"{options.data} has no answerable question among those to be asked")
        result = measured(dataset, options)
    except HybridstoreError as error:
        sys.exit(str(error))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def measured(dataset: Dataset, options: argparse.Namespace) -> dict[str, Any]:
    """Fill and ask one system after the other; tell it all as JSON."""
    names, missing = _wanted(options.systems)
    asked: dict[str, Asked] = {}
    titles: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="memory-")))
        # What a store holds decides about the words' weights, so that each selection has stores of its own.
        folder = folder / re.sub(r"\W+", "-", f"{dataset.name}-{options.limit or 'all'}")
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            kind = by_name(name)
            started = time.perf_counter()
            opened = kind(folder, embedder=options.embedder, threads=options.threads)
            with closing(opened) as system, progress(kind.title, quiet=options.quiet) as update:
                asked[name] = ask_all(system, dataset, options.k, update)
                model = system.model()
            titles[name] = {
                "title": kind.title,
                "embedder": model,
                "rival": kind.rival,
                "versions": {package: importlib.metadata.version(package) for package in kind.packages},
            }
            print(f"{name}: {_line(asked[name], options.k[0])}, {time.perf_counter() - started:.0f} s", flush=True)
    result = summed_up(dataset, asked, options.seed)
    for name, row in result["systems"].items():
        result["systems"][name] = titles[name] | row
    return {
        "hybridstore": hs.__version__,
        "machine": f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "data": about(dataset) | {"limit": options.limit},
        "ks": options.k,
        "depth": DEPTH,
        "seed": options.seed,
        "not_measured": missing,
        **result,
    }


def _wanted(given: list[str] | None) -> tuple[list[str], dict[str, str]]:
    """Return the systems to be measured; of those not requested by name, report which are unavailable here, and why."""
    if given:
        return given, {}
    missing = {name: f"{module} is not installed" for name, module in NEEDED.items() if find_spec(module) is None}
    for name, why in missing.items():
        print(f"{name} is left out: {why}", file=sys.stderr)
    return [name for name in NAMES if name not in missing], missing


def _line(asked: Asked, k: int) -> str:
    return ", ".join(
        f"{level} {metric} {sum(row.values()) / len(row):.3f}"
        for level, rows in asked.values.items()
        for metric, row in rows.items()
        if metric in (f"recall_any@{k}", f"recall_all@{k}")
    )


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="FOLDER")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    parser.add_argument(
        "--systems", nargs="+", metavar="NAME", help=f"of {', '.join(NAMES)}, or module:Class; otherwise all there are"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N questions, and their conversations")
    parser.add_argument("--k", type=int, nargs="+", default=[5, 10], help="places that are looked at")
    parser.add_argument("--user-only", action="store_true", help="LongMemEval: what the user said, as its own script")
    parser.add_argument("--keep", type=Path, metavar="DIR")
    parser.add_argument("--embedder", help="a catalogued model or a folder; the default model otherwise")
    parser.add_argument("--threads", type=int, default=2, help="for the model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options = parser.parse_args(arguments)
    if min(options.k) < 1 or (options.limit is not None and options.limit < 1):
        parser.error("--k and --limit are whole numbers from 1")
    options.k = sorted(set(options.k))
    return options


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
