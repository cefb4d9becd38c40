"""Calls to the file system that fail while something is written: one error of ours, and nothing acknowledged is lost.

    python tests/faults/call_faults.py [FAULTS [PATH …]]

prints a table by path. In each path, the n-th read, write, sync, lock, truncate, delete, open or look-up fails, or the
disk is full from the n-th write on; n is spread over the calls that the path makes.
"""

from __future__ import annotations

import gc
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kill_points import printed
from vfs import KINDS, Faults, installed
from write_paths import PATHS, documents, finish, is_there, opened, prepare, unsound

from hybridstore.errors import FileDamaged, HybridstoreError

_FAULTS = (*KINDS, "full")


def attempt(name: str, folder: Path, faults: Faults, kind: str, n: int) -> tuple[int, bool, list[str]]:
    """Do a path with a fault; return the number of calls of its kind, whether it failed, and what is wrong."""
    path, wrong, error = PATHS[name], [], None
    call = "write" if kind == "full" else kind
    with opened(folder / "x.db") as store:
        path.do(store, 0, folder)
        faults.fail(call, n, error=kind, lasting=kind == "full")
        try:
            path.do(store, 1, folder)
        except HybridstoreError as raised:
            error = raised
            wrong += [f"UNTRUE: {raised}"] * isinstance(raised, FileDamaged)
        except Exception as raised:  # noqa: BLE001 - what should not happen is to be seen
            error = raised
            wrong.append(f"RAW: {type(raised).__name__}: {raised}")
        calls, happened = faults.counts[call], bool(faults.raised)
        faults.stop()
        error = error and str(error)
    gc.collect()
    with opened(folder / "x.db") as store:
        finish(store)
        for at, allowed in enumerate((["after"], ["before", "part", "after"] if error else ["after"])):
            state = path.seen(store, at, folder)
            if state not in allowed or (state == "part" and not path.batches):
                wrong.append(f"{'HALF' if error and at else 'LOST'}: {name} {at}: {state} ({error})")
        wrong += [f"UNSOUND: {problem} ({error})" for problem in unsound(store)]
        store.add(documents("again"))
        wrong += ["LOST: what was added afterwards"] * (is_there(store, "again") != "after")
    return calls, happened, wrong


def run(names: list[str], faults_each: int, seed: int, folder: Path) -> Iterator[tuple[str, str, int, bool, list[str]]]:
    """Yield path, kind, number of the call, whether it failed, and what is wrong."""
    rng = random.Random(seed)
    base, copy = folder / "base", folder / "copy"
    with installed() as faults:
        for name in names:
            shutil.rmtree(base, ignore_errors=True)
            copy.mkdir()
            prepare(copy)
            shutil.copytree(copy, base)  # the same folder again and again: ids of files are their paths
            for kind in _FAULTS:
                calls = -1
                for _ in range(1 + faults_each):
                    shutil.rmtree(copy)
                    shutil.copytree(base, copy)
                    n = rng.randint(1, calls) if calls > 0 else 0
                    try:
                        found, happened, wrong = attempt(name, copy, faults, kind, n)
                    except Exception as error:  # noqa: BLE001
                        found, happened, wrong = 1, True, [f"RAW: afterwards {type(error).__name__}: {error}"]
                    faults.stop()
                    if calls < 0 or happened or wrong:
                        yield name, kind, n, happened, wrong
                    if calls < 0:
                        calls = found
                    if not calls:
                        break
            shutil.rmtree(copy)


def main(arguments: list[str]) -> int:
    """Print what is wrong, and the table."""
    with tempfile.TemporaryDirectory() as folder:
        found = (
            (name, {"faults": happened, kind: happened}, f"{kind} {n}", wrong)
            for name, kind, n, happened, wrong in run(
                arguments[1:] or list(PATHS), int((arguments or ["4"])[0]), 1, Path(folder)
            )
        )
        return printed("path", ("faults", *_FAULTS, "lost", "half", "unsound", "untrue", "raw"), found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
