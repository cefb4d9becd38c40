"""One step of a measurement in a separate process, started by benchmarks/speed.py.

    python benchmarks/measuring.py STEP --rival NAME --corpus CORPUS --store FOLDER --out LINES

Each figure is appended to LINES as soon as it is known, so that what was measured stays when a step is cut off.
"""

import time

STARTED = time.perf_counter()  # before any import, which cold starts count too

import argparse  # noqa: E402 - see above
from pathlib import Path  # noqa: E402

import searching  # noqa: E402
import writing  # noqa: E402
from step import Step  # noqa: E402

STEPS = {
    "fill": searching.fill,
    "cold": lambda step: searching.cold(step, STARTED),
    "search": searching.search,
    "write": writing.write,
    "writer": writing.writer,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="one step of a measurement; see benchmarks/speed.py")
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--rival", required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--start", type=int, default=0)
    options = parser.parse_args()
    STEPS[options.step](Step(options))


if __name__ == "__main__":
    main()
