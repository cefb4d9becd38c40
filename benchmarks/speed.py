"""The speed of search next to rivals: one corpus, one run, ratios.

    python benchmarks/speed.py --corpus CORPUS --json OUT [--rivals a,b,c] [--seconds 4] [--limit 180]

benchmarks/corpus.py makes the corpus. Each rival is filled in a process of its own, opened cold in five more, searched
in another that holds nothing but the queries, and written to in one more. `--seconds` is how long one measurement
may take (searches stop there, whatever their number); `--limit` is after how many seconds a step at 50,000 passages is
cut off, more for larger corpora. What a rival cannot do, or did not finish, is null, and `errors` says why.

OUT keeps each go: a later one with other rivals is added to it. hybridstore and the naive script are part of each,
because figures of different goes are not comparable.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import exact
from baselines import NAMES, by_name

ALWAYS = ("hybridstore", "naive")
HERE = Path(__file__).parent
FIGURES = (
    "ingest", "disk", "cold", "cold_imports", "first_touch", "warm", "keyword", "vector", "recall", "long", "filtered",
    "memory", "threads", "own_write", "other_write", "while_writing", "writes_per_second",
)  # fmt: skip


class Go:
    """One run over some rivals."""

    def __init__(self, options: argparse.Namespace, size: int, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.limit = options.limit * max(1.0, size / 50_000)

    def measured(self, name: str) -> dict[str, Any]:
        """Measure one rival; the folder with its store is removed afterwards."""
        kind = by_name(name)
        row: dict[str, Any] = {
            "title": kind.name,
            "exact": kind.exact,
            "hybrid": kind.hybrid,
            "versions": {package: version(package) for package in kind.packages},
            **dict.fromkeys(FIGURES),
            "errors": {},
        }
        store = self.folder / name
        try:
            if not self._step(name, "fill", row, store):
                return row
            row["disk"] = round(kind.disk(store) / 1e6, 1)
            colds: dict[str, list[float]] = {"cold": [], "cold_imports": []}
            for number in range(self.options.colds):
                one: dict[str, Any] = {"errors": {}}
                if self._step(name, "cold", one, store, "--number", str(number)):
                    for key, values in colds.items():
                        values.append(one[key])
                row["errors"] |= one["errors"]
            row |= {key: sorted(values)[len(values) // 2] for key, values in colds.items() if values}
            self._step(name, "search", row, store)
            if kind.writes:
                self._step(name, "write", row, store)
            return row
        finally:
            kind.drop(store)

    def _step(self, name: str, step: str, row: dict[str, Any], store: Path, *more: str) -> bool:
        """Run one step and add its results to the row; return whether it completed."""
        out = self.folder / "lines"
        out.write_text("")
        command = [sys.executable, str(HERE / "measuring.py"), step, "--rival", name, "--store", str(store)]
        command += ["--corpus", str(self.options.corpus), "--seconds", str(self.options.seconds), "--out", str(out)]
        began = time.perf_counter()
        wrong = ""
        try:
            done = subprocess.run(
                [*command, *more],
                capture_output=True,
                text=True,
                timeout=self.limit,
                check=False,
                env={**by_name(name).environment, **os.environ},
            )
            if done.returncode:
                wrong = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1][:300]
        except subprocess.TimeoutExpired:
            wrong = f"cut off after {self.limit:.0f} s"
        for line in out.read_text().splitlines():
            for key, value in json.loads(line).items():
                if key == "errors":
                    row["errors"] |= value
                else:
                    row[key] = value
        if wrong:
            row["errors"][step] = wrong
        print(f"  {step:7}{time.perf_counter() - began:7.1f} s  {wrong}", flush=True)
        return not wrong


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--rivals", default=",".join(NAMES))
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--limit", type=float, default=180.0)
    parser.add_argument("--colds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the stores are put while they are measured")
    options = parser.parse_args()
    asked = [name.strip() for name in options.rivals.split(",") if name.strip()]
    if unknown := [name for name in asked if name not in NAMES]:
        parser.error(f"there is no rival {unknown[0]!r}; there are {', '.join(NAMES)}")
    about = json.loads((options.corpus / "about.json").read_text())
    exact.nearest(options.corpus)  # made once, before anything is timed
    result = json.loads(options.json.read_text()) if options.json.exists() else {"corpus": about, "goes": []}
    if result["corpus"] != about:
        parser.error(f"{options.json} is about another corpus")
    settings = {"seconds": options.seconds, "limit": options.limit, "colds": options.colds}
    machine = {
        "python": platform.python_version(),
        "machine": f"{platform.machine()} {platform.system()}",
        "cores": os.cpu_count(),
    }
    rows: dict[str, Any] = {}
    result["goes"].append({"about": machine, "settings": settings, "rivals": rows})
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        go = Go(options, about["size"], Path(folder))
        for name in NAMES:
            if name in asked or name in ALWAYS:
                print(name, flush=True)
                rows[name] = go.measured(name)
                options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
