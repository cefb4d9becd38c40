"""Changed valid inputs for everything that reads: each is read, or refused with one of our errors, soon and in bounds.

    python tests/fuzz/fuzz.py [--seconds S] [--total N] [--workers N] [--seed N] [--json FILE] [SURFACE …]

gives each surface S seconds, in a process of its own, and with --total again and again, with other seeds, until there
are N inputs: cheap surfaces carry most of them. It prints each kind of raw error once, with the input that raised it,
and a table: inputs, accepted ones and their share, raw errors, inputs that took more than 5 s, those that took more
than 300 MB of memory, processes that died, the highest memory of a process, inputs a second.
"""

from __future__ import annotations

import argparse
import faulthandler
import itertools
import json
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from fuzz_surfaces import Surface, surfaces

from hybridstore.errors import HybridstoreError

SECONDS, MEGABYTES = 5, 300
_WAITING = 20  # seconds until what does not compute is given up, for a busy machine may let it wait
_STUCK = 60  # seconds until a process whose native code cannot be interrupted is ended
WRONG = ("raw", "slow", "large", "died")
_COLUMNS = ("inputs", "accepted", "share", *WRONG, "peak MB", "per s")


class _Late(BaseException):
    """What the timers raise."""


def _late(*_: object) -> None:
    raise _Late


def watch() -> None:
    """Let the timers raise in this process, on its main thread."""
    signal.signal(signal.SIGPROF, _late)
    signal.signal(signal.SIGALRM, _late)


def outcome(surface: Surface, given: Any) -> tuple[str, str]:
    """Return "accepted", "refused", "raw", "slow" or "large", and of a raw error where it was raised."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, _WAITING)
    what, where = "accepted", ""
    try:
        surface.read(given)
    except HybridstoreError:
        what = "refused"
    except _Late:
        what, where = "slow", traceback.format_exc(limit=-3)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        frame = traceback.extract_tb(error.__traceback__)[-1]
        what, where = "raw", f"{type(error).__name__} at {frame.filename}:{frame.lineno}: {str(error)[:1500]}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > MEGABYTES << 10:
        what = "large"
    return what, where


def run(surface: Surface, rng: random.Random, inputs: int, seconds: float) -> Iterator[tuple[str, str, Any]]:
    """Yield the outcome of each input, seeds first, until one of the limits is reached."""
    deadline, watched = time.monotonic() + seconds, 0.0
    for n in range(inputs):
        if time.monotonic() - watched > SECONDS:  # not for each input: it begins and ends a thread
            watched = time.monotonic()
            faulthandler.dump_traceback_later(_STUCK, exit=True, file=sys.__stderr__)
        seed = surface.seeds[n] if n < len(surface.seeds) else surface.change(rng, rng.choice(surface.seeds))
        yield *outcome(surface, seed), seed
        if time.monotonic() > deadline:
            break
    faulthandler.cancel_dump_traceback_later()


@dataclass(slots=True)
class Tally:
    """What a surface's processes found: counts, seconds, the highest memory in MB, and an example of each kind."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    peak: float = 0.0
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Add what another process found."""
        self.counts += other.counts
        self.seconds += other.seconds
        self.peak = max(self.peak, other.peak)
        self.examples = other.examples | self.examples


def work(name: str, seed: int, inputs: int, seconds: float, pipe: Connection) -> None:
    """Try one surface in this process, and send the Tally."""
    watch()
    warnings.simplefilter("ignore")
    tally = Tally()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:  # noqa: S108
        with surfaces(Path(folder)) as known:
            began = time.monotonic()
            for what, where, given in run(known[name], random.Random(seed), inputs, seconds):
                tally.counts += Counter({"inputs": 1, what: 1})
                if what in WRONG:
                    kind = where.rsplit(":", 1)[0] if what == "raw" else what
                    tally.examples.setdefault(kind, f"{name}: {what} {where}\n    {given!r:.1500}")
            tally.seconds = time.monotonic() - began
            tally.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pipe.send(tally)


def jobs(table: dict[str, Tally], *, again: bool) -> Iterator[tuple[str, int]]:
    """Yield surfaces and numbers to make seeds of; with `again` until no surface is left whose processes end well."""
    for n in itertools.count() if again else range(1):
        left = [name for name, tally in table.items() if not tally.counts["died"]]
        if not left:
            return
        for name in left:
            yield name, n


def fuzz(options: argparse.Namespace, names: list[str]) -> dict[str, Tally]:
    """Run the processes; print what they find as it is found."""
    table = {name: Tally() for name in names}
    waiting = jobs(table, again=options.total is not None)
    running: dict[Connection, tuple[multiprocessing.Process, str]] = {}
    fork = multiprocessing.get_context("fork")
    over = False
    while running or not over:
        while not over and len(running) < options.workers:
            left = None if options.total is None else options.total - sum(t.counts["inputs"] for t in table.values())
            job = next(waiting, None) if left is None or left > 0 else None
            if job is None:
                over = True
                break
            reading, writing = fork.Pipe(duplex=False)
            inputs = min(options.inputs, left or options.inputs)
            arguments = (job[0], options.seed + job[1], inputs, options.seconds, writing)
            process = fork.Process(target=work, args=arguments)
            process.start()
            writing.close()
            running[reading] = process, job[0]
        for reading in wait(running):
            process, name = running.pop(reading)
            try:
                tally = reading.recv()
            except EOFError:
                tally = Tally(Counter(died=1), examples={"died": f"{name}: its process died"})
            process.join()
            for kind in tally.examples.keys() - table[name].examples.keys():
                print(tally.examples[kind], flush=True)
            table[name].add(tally)
            print(_row(name, table[name]), flush=True)
    return table


def main(arguments: list[str]) -> int:
    """Print what was found, and the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--total", type=int, help="inputs of all surfaces together")
    parser.add_argument("--inputs", type=int, default=10**9, help="at most, for each process")
    parser.add_argument("--seconds", type=float, default=20, help="at most, for each process")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the table there, too")
    parser.add_argument("surface", nargs="*")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, surfaces(Path(folder)) as known:
        names = options.surface or list(known)
    began = time.monotonic()
    table = fuzz(options, names)
    total = Tally()
    for tally in table.values():
        total.add(tally)
    total.seconds = time.monotonic() - began
    rows = {**table, "all": total}
    print(f"{'surface':20}" + "".join(f"{column:>10}" for column in _COLUMNS))
    print(*(_row(name, tally) for name, tally in rows.items()), sep="\n")
    if options.json:
        facts = {
            name: {**tally.counts, "seconds": tally.seconds, "peak MB": tally.peak} for name, tally in rows.items()
        }
        options.json.write_text(json.dumps(facts, indent=1))
    return int(any(total.counts[what] for what in WRONG))


def _row(name: str, tally: Tally) -> str:
    inputs = max(tally.counts["inputs"], 1)
    shown = {
        **tally.counts,
        "share": f"{tally.counts['accepted'] / inputs:.0%}",
        "peak MB": f"{tally.peak:.0f}",
        "per s": f"{tally.counts['inputs'] / max(tally.seconds, 0.001):.0f}",
    }
    return f"{name:20}" + "".join(f"{shown.get(column, 0):>10}" for column in _COLUMNS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
