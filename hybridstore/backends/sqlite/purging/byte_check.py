"""Looking through the bytes of the file, and of what lies beside it, for what is to be nowhere any more.

The file and its write-ahead log are read through SQLite: a process that opens one of its files by itself and closes it
again loses the locks that SQLite holds on it (https://sqlite.org/howtocorrupt.html). The third file, -shm, cannot be
read so; it holds numbers of pages, and no content (https://sqlite.org/walformat.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from glob import escape
from itertools import groupby, islice
from pathlib import Path

import apsw

from hybridstore.backends.sqlite import fts5_doclists
from hybridstore.backends.sqlite.purging.byte_search import WINDOW, Needles
from hybridstore.backends.sqlite.purging.purge_targets import Holdings, remaining
from hybridstore.backends.values import Residue

_AT_ONCE = 2**23  # bytes read together
_MOST = 100  # places told of, of each kind in each file
_BINARY = {"vector", "code", "digest"}


@dataclass(frozen=True, slots=True)
class Searched:
    """What was read, what was found in it, and how many needles stand in what remains."""

    files: tuple[tuple[str, int], ...] = ()
    residues: tuple[Residue, ...] = ()
    excluded: int = 0


def search(connection: apsw.Connection, path: str, sought: Holdings) -> Searched:
    """Look for all that is sought; in a transaction, so that what remains is of one state."""
    finder = sought.needles.finder()
    found: list[tuple[str, int, int]] = []  # (file, place, number of the needle)
    files = []
    for name, blocks in _files(connection, path):
        size, carried = 0, b""
        for block in blocks:
            data = carried + block
            places, numbers = finder.find(data)
            found += zip([name] * len(places), [size - len(carried) + place for place in places], numbers, strict=True)
            size, carried = size + len(block), data[1 - WINDOW :]
        files.append((name, size))
    lawful = standing(connection, sought.needles, {number for _, _, number in found})
    kinds = sought.needles.kinds
    left = sorted({(name, kinds[number], place) for name, place, number in found if number not in lawful})
    residues = [Residue(*each) for _, some in groupby(left, key=lambda each: each[:2]) for each in islice(some, _MOST)]
    words = {word.encode() for word in sought.words}
    held = words.intersection(fts5_doclists.terms(connection)) if words else set()
    back = {word for word in held if _again(connection, word)}  # somebody has added it since
    residues += [Residue(path, "keyword", None) for _ in sorted(held - back)[:_MOST]]
    return Searched(tuple(files), tuple(residues), len(lawful) + len(back))


def _again(connection: apsw.Connection, word: bytes) -> bool:
    return bool(connection.execute("SELECT 1 FROM vocabulary WHERE term = ?", (word.decode(),)).fetchall())


def standing(connection: apsw.Connection, needles: Needles, numbers: set[int]) -> set[int]:
    """Give those of the needles that stand in what the documents that are there hold, by their numbers."""
    left = sorted(numbers)
    lawful: set[int] = set()
    if not left:
        return lawful
    some = needles.take(left)
    finder = some.finder()
    for data in remaining(connection, vectors=not _BINARY.isdisjoint(some.kinds)):
        lawful.update(left[number] for number in finder.find(data)[1])
    return lawful


def _files(connection: apsw.Connection, path: str) -> Iterator[tuple[str, Iterator[bytes]]]:
    yield path, _through(connection, 0, Path(path))
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size:
        yield str(log), _through(connection, 1, log)
    file = Path(path).absolute()
    names = [file, file.resolve()] if file.is_symlink() else [file]  # whoever copied it may have known it by either
    copies = sorted(each for name in names for each in name.parent.glob(f".{escape(name.name)}-*/*") if each.is_file())
    for each in (Path(f"{path}-journal"), *copies):
        if each.exists() and each.suffix != ".db-shm":
            yield str(each), _blocks(each)


def _through(connection: apsw.Connection, which: int, file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    for offset in range(0, size, _AT_ONCE):
        yield connection.read("main", which, offset, min(_AT_ONCE, size - offset))[1]


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(_AT_ONCE):
            yield block
