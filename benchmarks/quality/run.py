"""Run the suites of known items and of robustness: every case with its expected and actual results.

    python benchmarks/quality/run.py [--suite NAME]... [--stores FILE.db...] [--collections FOLDER...] [--json OUT]

Without stores and collections the suites stand on made-up passages. A store is one that `hybridstore evaluate --keep`
made; a folder of the same name gives its questions. A folder without a store is indexed first. Files given are copied,
never written to.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import sample_stores
from abstaining import abstention
from attributes import SUITES as ATTRIBUTES
from cases import Suite
from floods import SUITES as FLOODS
from identifiers import SUITES as NAMED
from judging import judged
from long_queries import SUITES as LONGER
from odd_queries import SUITES as ODD
from operators import SUITES as OPERATORS
from page import suites_page
from sizes import SUITES as SIZES
from typos import SUITES as MISSPELT
from unknown_languages import SUITES as FOREIGN

import hybridstore as hs
from hybridstore.errors import HybridstoreError

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (*NAMED, *MISSPELT, *OPERATORS, *LONGER, *ATTRIBUTES, *ODD, *FLOODS, *SIZES, *FOREIGN)
}
ABSTENTION = "abstention"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*SUITES, ABSTENTION]
    parser.add_argument("--suite", action="append", choices=names, help="may be given again; all of them otherwise")
    parser.add_argument("--stores", nargs="+", type=Path, default=[], metavar="FILE")
    parser.add_argument("--collections", nargs="+", type=Path, default=[], metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="for the model")
    parser.add_argument("--embedder", help="a catalogued model or a folder; the default model otherwise")
    parser.add_argument("--all-cases", action="store_true", help="tell every case, not only some of each kind")
    parser.add_argument("--no-texts", action="store_true", help="tell no case: a collection may not be ours to quote")
    parser.add_argument("--json", type=Path, metavar="OUT", help="the Markdown goes beside it, as OUT.md")
    options = parser.parse_args(arguments)
    for path in (*options.stores, *options.collections):
        if not path.exists():
            parser.error(f"{path} is not there")
    wanted = options.suite or names
    how = {"threads": options.threads} | ({"embedder": options.embedder} if options.embedder else {})
    try:
        with tempfile.TemporaryDirectory(prefix="quality-") as folder:
            result = run(wanted, _samples(options, Path(folder), how), seed=options.seed, all_cases=options.all_cases)
    except HybridstoreError as error:
        sys.exit(str(error))
    if options.no_texts:
        for by_ground in result["suites"].values():
            for found in by_ground.values():
                found.pop("cases", None)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        options.json.with_suffix(".md").write_text("\n".join(suites_page(result)) + "\n", encoding="utf-8")
    else:
        print("\n".join(suites_page(result)))


def run(
    wanted: list[str], samples: list[sample_stores.SampleStore], *, seed: int, all_cases: bool = False
) -> dict[str, Any]:
    """Run suites on each ground, those with text of their own once, and tell it all as JSON."""
    suites: dict[str, dict[str, Any]] = {}
    for name in wanted:
        if name == ABSTENTION:
            continue
        suite = SUITES[name]
        for sample in samples[:1] if suite.own else samples:
            started = time.perf_counter()
            found = judged(suite, sample, seed=seed, all_cases=all_cases)
            where = sample_stores.MADE_UP if suite.own else sample.name
            suites.setdefault(name, {})[where] = found
            print(
                f"{name}, {where}: {_line(found)}, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True
            )
    result: dict[str, Any] = {
        "hybridstore": hs.__version__,
        "seed": seed,
        "suites": suites,
    }
    if ABSTENTION in wanted and sum(bool(sample.asked) for sample in samples) > 1:
        result[ABSTENTION] = abstention(samples, seed)
    return result


def _samples(options: argparse.Namespace, folder: Path, how: dict[str, Any]) -> list[sample_stores.SampleStore]:
    by_name = {path.resolve().name: path for path in options.collections}
    stores = [sample_stores.of_store(path, folder, by_name.pop(path.stem, None), **how) for path in options.stores]
    indexed = [sample_stores.of_collection(path, folder, **how) for path in by_name.values()]
    return [*stores, *indexed] or [sample_stores.made_up(folder, **how)]


def _line(found: dict[str, Any]) -> str:
    if not found["n"]:
        return "no case in this text"
    means = ", ".join(f"{way} {row['passed']:.2f}" for way, row in found["strategies"].items())
    failed = sum(not claim["passed"] for claim in found["claims"])
    return f"n {found['n']}, passed {means}; {failed} of {len(found['claims'])} claims fail"


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
