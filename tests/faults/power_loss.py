"""Power cuts: what was not synced is dropped, torn by sectors, or written in any order.

    python tests/faults/power_loss.py [CUTS [PATH …]]

prints a table. A file system for SQLite passes everything on, and remembers what of each file is on the disk, and which
writes are not for certain. At a cut it makes the files as they might be found afterwards. With "full" durability
nothing acknowledged is lost; with "normal" it may be, but what is found is sound, and each write is there or not.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw
from kill_points import printed, verdict
from write_paths import PATHS, STEPS, opened, prepare

NAMES = [name for name in PATHS if name not in {"backup", "export", "migrate", "create"}]  # these write other files
WAYS = ("dropped", "torn", "reordered")
_SECTOR = 512  # bytes


class _Disk(apsw.VFS):
    """Knows of each file below a folder what is on the disk, and what is only on its way."""

    def __init__(self, folder: Path, at_call) -> None:
        self.folder, self.at_call, self.calls = folder, at_call, 0
        self.base = apsw.vfs_names()[0]
        self.synced: dict[str, bytearray] = {}
        self.waiting: dict[str, list[tuple[int, bytes | None]]] = {}
        self.deleted: set[str] = set()
        super().__init__("hybridstore-disk", self.base, makedefault=True)

    def call(self) -> None:
        self.calls += 1
        self.at_call(self)

    def xOpen(self, name, flags):
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        file = Path(path).name if path and Path(path).parent == self.folder else ""
        if file and (file not in self.synced or file in self.deleted):
            self.synced[file] = bytearray(Path(path).read_bytes() if Path(path).exists() else b"")
            self.waiting[file] = []
            self.deleted.discard(file)
        return _File(self, file, name, flags)

    def xDelete(self, name, syncdir):
        self.call()
        super().xDelete(name, syncdir)
        self.deleted.add(Path(name).name)
        if syncdir:
            self.synced.pop(Path(name).name, None)

    def cut(self, folder: Path, way: str, rng: random.Random) -> None:
        """Write the files as they might be found after a power cut now."""
        folder.mkdir()
        for name, synced in self.synced.items():
            if name in self.deleted and rng.random() < 0.5:
                continue
            data, waiting = bytearray(synced), self.waiting[name]
            last = rng.randint(0, len(waiting)) if way == "torn" else len(waiting)
            for at, (offset, written) in enumerate(waiting[: last + 1] if way != "dropped" else []):
                if written is None:
                    if way == "torn" or rng.random() < 0.5:
                        _resize(data, offset)
                    continue
                for start in range(0, len(written), _SECTOR):
                    if rng.random() < 0.5 if way == "reordered" or at == last else True:
                        sector = written[start : start + _SECTOR]
                        _resize(data, max(len(data), offset + start + len(sector)))
                        data[offset + start : offset + start + len(sector)] = sector
            (folder / name).write_bytes(data)


def _resize(data: bytearray, size: int) -> None:
    del data[size:]
    data.extend(bytes(size - len(data)))


class _File(apsw.VFSFile):
    def __init__(self, disk: _Disk, file: str, name, flags) -> None:
        self.disk, self.file = disk, file
        super().__init__(disk.base, name, flags)

    def xWrite(self, data, offset):
        super().xWrite(data, offset)
        if self.file:
            self.disk.waiting[self.file].append((offset, bytes(data)))
            self.disk.call()

    def xTruncate(self, size):
        super().xTruncate(size)
        if self.file:
            self.disk.waiting[self.file].append((size, None))
            self.disk.call()

    def xSync(self, flags):
        super().xSync(flags)
        if self.file:
            self.disk.call()
            synced, waiting = self.disk.synced[self.file], self.disk.waiting[self.file]
            for offset, data in waiting:
                _resize(synced, offset if data is None else max(len(synced), offset + len(data)))
                if data is not None:
                    synced[offset : offset + len(data)] = data
            waiting.clear()


def written(
    name: str, folder: Path, durability: str, cuts: dict[int, tuple[Path, str]], seed: int
) -> tuple[int, dict[int, int]]:
    """Do a path with cuts at these calls; return the number of calls, and what was acknowledged at each cut."""
    rng, acknowledged, told = random.Random(seed), 0, {}

    def at_call(disk: _Disk) -> None:
        if disk.calls in cuts:
            disk.cut(*cuts[disk.calls], rng)
            told[disk.calls] = acknowledged

    disk = _Disk(folder, at_call)
    disk.calls = -(10**9)  # those of opening are not counted
    try:
        with opened(folder / "x.db", durability=durability) as store:
            disk.calls = 0
            for n in range(STEPS):
                PATHS[name].do(store, n, folder)
                acknowledged = n + 1
            calls = disk.calls
    finally:
        disk.unregister()
    return calls, told


def run(names: list[str], cuts: int, seed: int, folder: Path) -> Iterator[tuple[str, str, str, list[str]]]:
    """Yield durability, path, the way in which writes were lost, and what is wrong."""
    rng = random.Random(seed)
    for durability in ("full", "normal"):
        for name in names:
            base, work = folder / "base", folder / "work"
            work.mkdir()
            prepare(work)
            shutil.copytree(work, base)  # the same folder again and again: ids of files are their paths
            calls, _ = written(name, work, durability, {}, seed)
            chosen = {rng.randint(1, calls): (folder / f"cut{n}", WAYS[n % 3]) for n in range(cuts)}
            shutil.rmtree(work)
            shutil.copytree(base, work)
            _, told = written(name, work, durability, chosen, seed)
            for call, acknowledged in told.items():
                found, way = chosen[call]
                shutil.rmtree(work)
                shutil.copytree(base, work)
                for file in work.glob("x.db*"):
                    file.unlink()
                for file in found.iterdir():
                    shutil.move(file, work)
                found.rmdir()
                try:
                    wrong = verdict(name, work, acknowledged, lasting=durability == "full")
                except Exception as error:  # noqa: BLE001 - what should not happen is to be seen
                    wrong = [f"RAW: {type(error).__name__}: {error}"]
                yield durability, name, way, wrong
            shutil.rmtree(base)
            shutil.rmtree(work)


def main(arguments: list[str]) -> int:
    """Print what is wrong, and the table."""
    with tempfile.TemporaryDirectory() as folder:
        found = (
            (f"{durability}, {name}", {"cuts": 1, way: 1}, way, wrong)
            for durability, name, way, wrong in run(
                arguments[1:] or NAMES, int((arguments or ["6"])[0]), 1, Path(folder)
            )
        )
        return printed("durability, path", ("cuts", *WAYS, "lost", "half", "early", "unsound", "raw"), found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
