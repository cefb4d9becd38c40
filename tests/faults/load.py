"""Many processes on one store: nothing fails, nothing acknowledged is lost, no reader sees less than was acknowledged.

    python tests/faults/load.py [--seconds N] [--kill SECONDS] [--svg FILE]

prints operations, errors, stale reads, what was lost, the longest wait, and a table of memory, files and descriptors,
which `--svg` draws. Writers note in shared memory what was acknowledged; a reader looks there first, then asks the
store. With `--kill` a process is killed every so many seconds and started anew, and what has grown in the end, against
the second quarter of the time, is an error.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from growth import drawing, growth

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import NotFound
from hybridstore.memory import Memory

WRITERS = 3
ROLES = ("write", "write", "write", "read", "read", "remember", "purge", "reembed")
_KNOWN = {f"hashing-{dim}": HashingEmbedder(dim) for dim in (32, 48)}
_SAMPLES = 60
# What is sampled, and by how much it may grow in any case: some seconds' writes are in the log when it is measured.
_SERIES = {"memory, MB": 50, "open descriptors": 40, "file, MB": 2, "log, MB": 16}
_KEPT = 200  # documents of each writer; older ones are replaced


class Shared:
    """What the processes tell each other: the last acknowledged number of each writer, and counts of each process."""

    def __init__(self) -> None:
        self.acknowledged = multiprocessing.Array("q", len(ROLES), lock=False)
        self.counts = {
            name: multiprocessing.Array("d", len(ROLES), lock=False)
            for name in ("operations", "errors", "stale", "longest")
        }
        self.over = multiprocessing.Value("b", 0, lock=False)  # an event could be killed while it is held


def write(store: hs.Store, at: int, shared: Shared, rng: random.Random) -> None:
    """Replace one of the writer's documents, and acknowledge it."""
    n = int(shared.acknowledged[at]) + 1
    words = " ".join(rng.choices(("pump", "valve", "leak", "hall"), k=30))
    store.add({"id": f"w{at}-{n % _KEPT}", "text": f"version {n} only{at}x{n} {words}"})
    shared.acknowledged[at] = n


def read(store: hs.Store, at: int, shared: Shared, rng: random.Random) -> None:
    """Count a stale read where an acknowledged document is not there, or is not found."""
    writer = rng.randrange(WRITERS)
    n = int(shared.acknowledged[writer])
    if not n:
        return
    version = int(store.get(f"w{writer}-{n % _KEPT}").text.split()[1])
    hits = store.search(f"only{writer}x{n}", mode="keyword", limit=1)
    replaced = int(shared.acknowledged[writer]) + 1 >= n + _KEPT  # meanwhile
    if version < n or not (hits or replaced):
        shared.counts["stale"][at] += 1
    store.search("pump leak", limit=5)


def remember(store: hs.Store, at: int, shared: Shared, rng: random.Random) -> None:
    """Remember something, and recall it."""
    n = int(shared.acknowledged[at]) + 1
    memory = Memory(store, "load")
    note = memory.remember(f"noted {n} word{n}", id=f"n{n % _KEPT}x{n}")
    shared.acknowledged[at] = n
    if note.id not in {item.note.id for item in memory.recall(f"word{n}").items}:
        shared.counts["stale"][at] += 1
    if n > _KEPT:
        memory.forget(f"n{n % _KEPT}x{n - _KEPT}") if rng.random() < 0.5 else memory.purge(f"n{n % _KEPT}x{n - _KEPT}")


def purge(store: hs.Store, at: int, shared: Shared, _: random.Random) -> None:
    """Add a document and purge it again."""
    store.add({"id": f"p{at}", "text": "to be purged"})
    store.purge(f"p{at}")
    try:
        store.get(f"p{at}")
        shared.counts["stale"][at] += 1
    except NotFound:
        pass
    time.sleep(0.2)


def reembed(store: hs.Store, _at: int, shared: Shared, rng: random.Random) -> None:
    """Change to another embedder."""
    store.reembed(rng.choice(list(_KNOWN.values())))
    time.sleep(2)


def work(path: Path, at: int, shared: Shared, seed: int) -> None:
    """Do what the process is for until all is over; print the first errors."""
    hs.embedders.load = lambda name, **_: _KNOWN[name]
    rng, do = random.Random(seed), globals()[ROLES[at]]
    with hs.open(path, busy_timeout=60) as store:
        while not shared.over.value:
            began = time.monotonic()
            try:
                do(store, at, shared, rng)
            except Exception:  # noqa: BLE001 - counted and printed
                shared.counts["errors"][at] += 1
                if shared.counts["errors"][at] < 3:
                    traceback.print_exc()
            shared.counts["operations"][at] += 1
            shared.counts["longest"][at] = max(shared.counts["longest"][at], time.monotonic() - began)


def sample(processes: list, path: Path) -> list[float]:
    """Return memory of the processes in MB, descriptors, and sizes of the file and its log in MB."""
    memory = descriptors = 0
    for process in processes:
        try:
            memory += int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            descriptors += sum(1 for _ in Path(f"/proc/{process.pid}/fd").iterdir())
        except OSError:
            continue
    sizes = [
        Path(f"{path}{suffix}").stat().st_size if Path(f"{path}{suffix}").exists() else 0 for suffix in ("", "-wal")
    ]
    return [memory / 1e6, descriptors, sizes[0] / 1e6, sizes[1] / 1e6]


def run(path: Path, seconds: float, kill: float) -> tuple[dict[str, float], list[list[float]]]:
    """Let them work; return the counts, with what was lost, and the samples."""
    context, shared, rng = multiprocessing.get_context("fork"), Shared(), random.Random(1)
    with hs.open(path, embedder=_KNOWN["hashing-32"]) as store:
        store.add("the first")

    def started(at: int):
        process = context.Process(target=work, args=(path, at, shared, rng.randrange(2**30)))
        process.start()
        return process

    processes = [started(at) for at in range(len(ROLES))]
    began, samples, kills = time.monotonic(), [], 0
    while (now := time.monotonic() - began) < seconds:
        time.sleep(min(seconds / _SAMPLES, kill or seconds))
        if len(samples) <= _SAMPLES * now / seconds:
            samples.append([now, *sample(processes, path)])
        if kill and now > kill * (kills + 1):
            at = rng.randrange(len(ROLES))
            os.kill(processes[at].pid, signal.SIGKILL)
            processes[at].join()
            processes[at], kills = started(at), kills + 1
    shared.over.value = 1
    for process in processes:
        process.join(120)
    lost = 0
    with hs.open(path, embedder="none") as store:
        problems = store.check()
        for at in range(WRITERS):
            for n in range(max(1, int(shared.acknowledged[at]) - _KEPT + 2), int(shared.acknowledged[at]) + 1):
                lost += int(store.get(f"w{at}-{n % _KEPT}").text.split()[1]) < n
    counts = {name: sum(values) for name, values in shared.counts.items() if name != "longest"}
    failed = sum(process.exitcode != 0 for process in processes)
    return {
        **counts, "failed": failed, "lost": lost, "unsound": len(problems), "kills": kills,
        "longest wait": max(shared.counts["longest"]),
    }, samples  # fmt: skip


def main(arguments: list[str]) -> int:
    """Print counts and samples."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--kill", type=float, default=0, help="seconds between two kills; 0: none")
    parser.add_argument("--svg", type=Path, help="draw the samples into this file")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        counts, samples = run(Path(folder) / "x.db", options.seconds, options.kill)
    print(
        *(
            f"{name}: {value:.1f}" if name == "longest wait" else f"{name}: {value:.0f}"
            for name, value in counts.items()
        ),
        sep="\n",
    )
    print("", f"{'seconds':>9}{'MB':>9}{'open':>9}{'file MB':>9}{'log MB':>9}", sep="\n")
    for row in samples:
        print("".join(f"{value:9.1f}" for value in row))
    seconds, *columns = zip(*samples, strict=True)
    series = list(zip(_SERIES, columns, strict=True))
    grown = [growth(name, values, _SERIES[name]) for name, values in series]
    print("", "the second quarter of the time, and the last:", *grown, sep="\n")
    if options.svg:
        options.svg.parent.mkdir(parents=True, exist_ok=True)
        options.svg.write_text(drawing(seconds, series))
        print(f"drawn in {options.svg}")
    wrong = any(counts[name] for name in ("errors", "failed", "stale", "lost", "unsound"))
    return int(wrong or (options.kill > 0 and any(each.grows for each in grown)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
