"""The cost for an agent to remember and to recall, one note at a time, next to rivals in the same run.

    python benchmarks/memory/speed.py --json results/speed.json [--sizes 1000 10000] [--systems NAME...] [--rounds 3]

Every note is a separate commit, as from an agent, and so was every note already stored. All systems get the same
synthetic notes and questions (synthetic_notes.py) and the same embedder. Its vectors are computed beforehand, so that
no model runs while notes and questions are timed: its time is the same for all and reported separately. Only a cold
start, from the start of the process to its first recall, loads the model and embeds the question, in all systems.

A step is a process of its own, and never runs beside another. Each round measures all systems at all sizes, in an order
drawn anew, on a copy of what was filled; figures are of all rounds together.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cached_vectors
import numpy as np
import synthetic_notes
from keepers import NAMES, by_name, missing
from keepers.base import BUDGET, ITEMS
from speed_step import WARM

import hybridstore as hs
from hybridstore.errors import HybridstoreError

HERE = Path(__file__).parent
OURS = "hybridstore"


class Run:
    """One run over all systems and sizes; `folder` is where their files are while it goes on."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder, self.order = options, folder, random.Random(options.seed)
        self.notes = synthetic_notes.notes(max(options.sizes) + options.count + options.pairs, options.seed)
        self.questions = synthetic_notes.questions(
            max(options.count, options.pairs) + WARM + options.colds, options.seed
        )
        (folder / "said.json").write_text(json.dumps({"notes": self.notes, "questions": self.questions}))

        self.embedder = cached_vectors.loaded(options.embedder, options.threads)
        cached_vectors.embedded(folder, self.embedder, self.notes, self.questions)

    def running(self, names: list[str]) -> tuple[list[str], dict[str, str]]:
        """Return the systems that run here, and why the others do not; without ours there is nothing to measure."""
        gone = {}
        for name in names:
            why, tried = missing(name), self.folder / f"{name}-tried"
            tried.mkdir()
            try:
                if why is None:
                    self._step("try", "--system", name, "--folder", str(tried))
            except subprocess.CalledProcessError as error:
                why = (error.stderr.strip().splitlines() or [f"it ended with {error.returncode}"])[-1]
            if why is not None:
                gone[name] = why[:300]
                print(f"{name} is left out: {gone[name]}", file=sys.stderr, flush=True)
        if OURS in gone:
            sys.exit(1)
        return [name for name in names if name not in gone], gone

    def measured(self, names: list[str]) -> dict[str, Any]:
        """Fill all, measure them round by round, and give each system's figures by size."""
        options = self.options
        alone = self._step("model", *self._counts())
        places = [(name, size) for name in names for size in options.sizes if size <= (by_name(name).most or size)]
        found: dict[tuple[str, int], dict[str, Any]] = {place: {} for place in places}
        for name, size in self._shuffled(places):
            (self.folder / f"{name}-{size}").mkdir()
            found[name, size] |= self._at("fill", name, size)
        rounds: dict[tuple[str, int], list[dict[str, Any]]] = {place: [] for place in places}
        for number in range(options.rounds):
            for name, size in self._shuffled(places):
                rounds[name, size].append(self._live(name, size))
            print(f"round {number + 1} of {options.rounds}", flush=True)
        colds: dict[tuple[str, int], list[float]] = {place: [] for place in places}
        for question in self.questions[-options.colds :]:
            for name, size in self._shuffled(places):
                colds[name, size].append(self._cold(name, size, question))
        sizes = {
            str(size): {
                name: row(found[name, size], rounds[name, size], colds[name, size])
                for name in names
                if (name, size) in found
            }
            for size in options.sizes
        }
        told_model = {name: round(float(np.median(value)), 2) for name, value in alone.items()}
        return {"embedder": self.embedder.fingerprint, "model": told_model, "sizes": sizes}

    def _shuffled(self, places: list[tuple[str, int]]) -> list[tuple[str, int]]:
        return self.order.sample(places, len(places))

    def _live(self, name: str, size: int) -> dict[str, Any]:
        filled, copy = self.folder / f"{name}-{size}", self.folder / "copy"
        shutil.copytree(filled, copy)
        try:
            return self._at("live", name, size, copy)
        finally:
            shutil.rmtree(copy)

    def _cold(self, name: str, size: int, question: str) -> float:
        """Return the ms from the start of a process until it has recalled."""
        command = [*self._command("cold"), "--system", name, "--folder", str(self.folder / f"{name}-{size}")]
        heard = self.folder / "errors"  # a file, since a pipe would not be read meanwhile
        began = time.perf_counter()
        with (
            heard.open("w") as errors,
            subprocess.Popen(
                [*command, "--question", question], stdout=subprocess.PIPE, stderr=errors, text=True
            ) as process,
        ):
            said, took = process.stdout or (), None
            for line in said:  # to the end, for some systems say things of their own
                if line == "recalled\n":
                    took = (time.perf_counter() - began) * 1e3
        if took is None or process.returncode:
            why = f"nothing was recalled\n{heard.read_text()}"
            raise subprocess.CalledProcessError(process.returncode, process.args, stderr=why)
        return took

    def _at(self, step: str, name: str, size: int, folder: Path | None = None) -> dict[str, Any]:
        options = self.options
        where = str(folder or self.folder / f"{name}-{size}")
        arguments = ["--system", name, "--folder", where, "--size", str(size)]
        began = time.perf_counter()
        result = self._step(step, *arguments, "--seconds", str(options.seconds), *self._counts())
        print(f"{step} {name} at {size:,}: {time.perf_counter() - began:.0f} s", flush=True)
        return result

    def _counts(self) -> list[str]:
        return ["--count", str(self.options.count), "--pairs", str(self.options.pairs)]

    def _step(self, step: str, *arguments: str) -> dict[str, Any]:
        done = subprocess.run([*self._command(step), *arguments], capture_output=True, text=True, check=True)
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    def _command(self, step: str) -> list[str]:
        embedder = ["--embedder", self.options.embedder] if self.options.embedder else []
        script = [sys.executable, str(HERE / "speed_step.py"), step, "--data", str(self.folder)]
        return [*script, "--threads", str(self.options.threads), *embedder]


def row(filled: dict[str, Any], rounds: list[dict[str, Any]], colds: list[float]) -> dict[str, Any]:
    """Sum up what one system took at one size: times in ms, sizes in MB."""
    result: dict[str, Any] = {
        name: spread([lap for each in rounds for lap in each[name]], [each[name] for each in rounds])
        for name in ("remember", "recall", "after")
    }
    memory = [each["memory"] for each in rounds if "memory" in each]
    return {
        **result,
        "cold": round(float(np.median(colds)), 1),
        "memory": round(float(np.median(memory)), 1) if memory else None,
        "disk": round(filled["disk"], 2),
        "fill_per_second": round(1e3 * len(filled["fill"]) / sum(filled["fill"]), 1),
        "items": round(sum(each["items"] for each in rounds) / len(rounds), 1),
        "seen": round(sum(each["seen"] for each in rounds) / len(rounds), 3),
    }


def spread(laps: list[float], rounds: list[list[float]]) -> dict[str, Any]:
    p50, p95 = np.percentile(laps, (50, 95)).tolist()
    medians = [round(float(np.median(each)), 3) for each in rounds]
    return {
        "p50": round(p50, 3), "p95": round(p95, 3), "longest": round(max(laps), 3), "n": len(laps), "rounds": medians,
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="memory-speed-") as folder:
        try:
            run = Run(options, Path(folder))
            names, gone = run.running([name for name in NAMES if name in {OURS, *options.systems}])
            measured = run.measured(names)
        except HybridstoreError as error:
            sys.exit(str(error))
        except subprocess.CalledProcessError as error:
            sys.exit(f"{' '.join(error.cmd)} failed:\n{error.stderr}")
    titles = {
        name: {
            "title": by_name(name).title,
            "versions": {package: version(package) for package in by_name(name).packages},
        }
        for name in names
    }
    result = {
        "hybridstore": hs.__version__,
        "machine": f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "seed": options.seed,
        "rounds": options.rounds,
        "count": options.count,
        "pairs": options.pairs,
        "colds": options.colds,
        "seconds": options.seconds,
        "budget": BUDGET,
        "items": ITEMS,
        "threads": options.threads,
        "not_measured": gone,
        "systems": titles,
        **measured,
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000], help="notes that are there before")
    parser.add_argument(
        "--systems", nargs="+", choices=NAMES, default=list(NAMES), metavar="NAME", help=f"of {', '.join(NAMES)}"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=200, help="recalls, and notes remembered, in a round")
    parser.add_argument("--pairs", type=int, default=50, help="recalls right after a note is remembered")
    parser.add_argument("--seconds", type=float, default=5.0, help="that the recalls of a round may take")
    parser.add_argument("--colds", type=int, default=5, help="cold starts")
    parser.add_argument(
        "--embedder", help=f"a catalogued model or a folder; {cached_vectors.HASHING}: none, to try it out"
    )
    parser.add_argument("--threads", type=int, default=2, help="for the model")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if min(*options.sizes, options.rounds, options.count, options.pairs, options.colds) < 1:
        parser.error("sizes and counts are whole numbers from 1")
    options.sizes = sorted(set(options.sizes))
    return options


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
