"""Changed valid inputs for everything that reads: each is read, or refused with one of our errors, soon and in bounds.

    python tests/fuzz/fuzz.py [--inputs N | --seconds S] [--seed N] [SURFACE …]

prints each kind of raw error once, with the input that raised it, and a table of inputs, accepted ones, raw errors,
those that took more than 5 s, and those that took more than 300 MB of memory.
"""

from __future__ import annotations

import argparse
import faulthandler
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
from pathlib import Path
from typing import Any

from fuzz_surfaces import Surface, surfaces

from hybridstore.errors import HybridstoreError

SECONDS, MEGABYTES = 5, 300


class _Late(BaseException):
    """What the alarm raises."""


def _late(*_: object) -> None:
    raise _Late


def outcome(surface: Surface, given: Any) -> tuple[str, str]:
    """Return "accepted", "refused", "raw", "slow" or "large", and of a raw error where it was raised."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    faulthandler.dump_traceback_later(10 * SECONDS, exit=True)  # native code cannot be interrupted; its file stays
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
        what, where = "raw", f"{type(error).__name__} at {frame.filename}:{frame.lineno}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > MEGABYTES << 10:
        what = "large"
    return what, where


def run(surface: Surface, rng: random.Random, inputs: int, seconds: float) -> Iterator[tuple[str, str, Any]]:
    """Yield the outcome of each input, seeds first, until one of the limits is reached."""
    deadline = time.monotonic() + seconds
    for n in range(inputs):
        seed = surface.seeds[n] if n < len(surface.seeds) else surface.change(rng, rng.choice(surface.seeds))
        yield *outcome(surface, seed), seed
        if time.monotonic() > deadline:
            return


def main(arguments: list[str]) -> int:
    """Print what was found, and the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=1_000_000, help="at most, for each surface")
    parser.add_argument("--seconds", type=float, default=20, help="at most, for each surface")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("surface", nargs="*")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGALRM, _late)
    warnings.simplefilter("ignore")
    table: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:  # noqa: S108
        with surfaces(Path(folder)) as known:
            for name in options.surface or known:
                table[name], seen = Counter(), set()
                for what, where, given in run(
                    known[name], random.Random(options.seed), options.inputs, options.seconds
                ):
                    table[name] += Counter({"inputs": 1, what: 1})
                    kind = where.rsplit(":", 1)[0] if what == "raw" else what
                    if what in ("raw", "slow", "large") and kind not in seen:
                        seen.add(kind)
                        print(f"{name}: {what} {where}\n    {given!r:.1500}", flush=True)
                print(_row(name, table[name]), flush=True)
    total = sum(table.values(), Counter())
    print(_row("surface", None), *(_row(name, counts) for name, counts in table.items()), _row("all", total), sep="\n")
    return int(any(total[what] for what in ("raw", "slow", "large")))


def _row(name: str, counts: Counter[str] | None) -> str:
    columns = ("inputs", "accepted", "share", "raw", "slow", "large")
    if counts is None:
        return f"{name:20}" + "".join(f"{column:>10}" for column in columns)
    share = f"{counts['accepted'] / max(counts['inputs'], 1):.0%}"
    return f"{name:20}" + "".join(f"{share if column == 'share' else counts[column]:>10}" for column in columns)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
