"""Processes killed while they write: what they acknowledged is there, the rest is absent or whole.

    python tests/faults/kill_points.py [POINTS [PATH …]]

prints a table by path. A child does a path again and again, and says so after each time; half of them are killed at a
call to the file system, spread over all calls, half at a random moment. Without faults the searches of what is left
agree with those of a fresh store.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from vfs import installed
from write_paths import PATHS, STEPS, documents, finish, is_there, opened, prepare, unsound

_GIVEN_UP = 60  # seconds


def writing(name: str, folder: Path, pipe: int, kill_at: int) -> None:
    """Do a path, say after each time that it is done, and at last how many calls there were."""
    with installed() as faults:
        faults.kill(kill_at)
        with opened(folder / "x.db") as store:
            os.write(pipe, b"r")
            for n in range(STEPS):
                PATHS[name].do(store, n, folder)
                os.write(pipe, b"a")
        os.write(pipe, f" {faults.total}".encode())


def child(name: str, folder: Path, kill_at: int, kill_after: float) -> tuple[bytes, int]:
    """Fork a child that writes; return what it said, and how it ended."""
    reading, pipe = os.pipe()
    pid = os.fork()
    if not pid:
        signal.alarm(_GIVEN_UP)
        try:
            writing(name, folder, pipe, kill_at)
        except BaseException as error:  # noqa: BLE001 - told to the parent
            os.write(pipe, f"!{type(error).__name__}: {error}".encode())
            os._exit(1)
        os._exit(0)
    os.close(pipe)
    with os.fdopen(reading, "rb") as said:
        told = said.read(1)
        if kill_after:
            time.sleep(kill_after)
            os.kill(pid, signal.SIGKILL)
        told += said.read()
    return told, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def verdict(name: str, folder: Path, acknowledged: int, *, lasting: bool = True) -> list[str]:
    """Return what is wrong in the folder afterwards; without `lasting`, what was acknowledged may be gone."""
    path, wrong = PATHS[name], []
    with opened(folder / "x.db") as store:
        finish(store)
        for n in range(STEPS):
            state = path.seen(store, n, folder)
            if n < acknowledged and state != "after" and (lasting or state != "before"):
                wrong.append(f"LOST: {name} {n}: {state}")
            elif n == acknowledged and state not in ("before", "after", *["part"][: path.batches]):
                wrong.append(f"HALF: {name} {n}: {state}")
            elif n > acknowledged and state != "before":
                wrong.append(f"EARLY: {name} {n}: {state}")
        wrong += [f"UNSOUND: {problem}" for problem in unsound(store)]
        store.add(documents("again"))
        wrong += ["LOST: what was added afterwards"] * (is_there(store, "again") != "after")
    return wrong


def run(names: list[str], points: int, seed: int, folder: Path) -> Iterator[tuple[str, int, list[str]]]:
    """Yield for each kill point its path, how much was acknowledged, and what is wrong."""
    rng = random.Random(seed)
    base, copy = folder / "base", folder / "copy"
    for name in names:
        for at in range(-1, points):
            for old in (base, copy):
                shutil.rmtree(old, ignore_errors=True)
            copy.mkdir()
            if at < 0:
                prepare(copy)
                shutil.copytree(copy, folder / f"of {name}")
                began = time.perf_counter()
                told, _ = child(name, copy, 0, 0)
                took = time.perf_counter() - began
                if b"!" in told or b" " not in told:
                    raise RuntimeError(f"{name}: {told!r}")
                calls = int(told.split()[1])
                continue
            shutil.rmtree(copy)
            shutil.copytree(folder / f"of {name}", copy)
            by_call = at % 2 == 0 and calls > points
            kill_at = int(calls * (at + rng.random()) / points) + 1 if by_call else 0
            told, _ended = child(name, copy, kill_at, 0 if by_call else max(1e-4, took * rng.random()))
            acknowledged = told.count(b"a") if b"!" not in told else told.split(b"!")[0].count(b"a")
            wrong = [f"RAISED: {told.split(b'!')[1].decode()}"] if b"!" in told else []
            try:
                wrong += verdict(name, copy, acknowledged)
            except Exception as error:  # noqa: BLE001 - what should not happen is to be seen
                wrong.append(f"RAW: {type(error).__name__}: {error}")
            yield name, acknowledged, wrong
        shutil.rmtree(folder / f"of {name}")


def main(arguments: list[str]) -> int:
    """Print what is wrong, and the table."""
    points = int(arguments[0]) if arguments else 24
    with tempfile.TemporaryDirectory() as folder:
        found = (
            (name, {"kills": 1, "acknowledged": acknowledged}, f"after {acknowledged}", wrong)
            for name, acknowledged, wrong in run(arguments[1:] or list(PATHS), points, 1, Path(folder))
        )
        return printed("path", ("kills", "acknowledged", "lost", "half", "early", "unsound", "raised", "raw"), found)


def printed(title: str, columns: tuple[str, ...], found: Iterable[tuple[str, dict[str, int], str, list[str]]]) -> int:
    """Print problems as they are found and a table of the counts by name; return 1 if there are problems, else 0."""
    table: dict[str, Counter[str]] = {}
    for name, counts, where, wrong in found:
        if name not in table and table:
            print(_row(list(table)[-1], table[list(table)[-1]], columns), flush=True)
        kinds = Counter(problem.split(":")[0].lower() for problem in wrong)
        table[name] = table.get(name, Counter()) + Counter(counts) + kinds + Counter(wrong=len(wrong))
        for problem in wrong:
            print(f"{name}, {where}: {problem}", flush=True)
    total = sum(table.values(), Counter())
    print("", f"{title:22}" + "".join(f"{column:>13}" for column in columns), sep="\n")
    print(*(_row(name, counts, columns) for name, counts in [*table.items(), ("all", total)]), sep="\n")
    return int(total["wrong"] > 0)


def _row(name: str, counts: Counter[str], columns: tuple[str, ...]) -> str:
    return f"{name:22}" + "".join(f"{counts[column]:>13}" for column in columns)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
