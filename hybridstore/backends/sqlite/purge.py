"""Purging: documents removed, the file rewritten, its log emptied, and all files searched for bytes that are left.

Compacting is the middle of it: the file rewritten and its log emptied.

Deleting leaves bytes: in free pages, in free space within pages (also of rows that moved while they existed), in
segments of the keyword index, in the write-ahead log. SQLite's `secure_delete` misses rows that moved before it was on.
So VACUUM rewrites the file row by row, and only then is the log copied into it and truncated: on a file of 10,000
chunks (42 MB) merging takes 0.3 s, rewriting 0.35 s and copying 0.02 s. vec0 overwrites the codes it deletes with zeros
itself.

The file and its log are searched through SQLite: a process that opens one of its files by itself and closes it again
loses the locks that SQLite holds on it (https://sqlite.org/howtocorrupt.html). The third file, -shm, cannot be read so;
it holds page numbers and no content (https://sqlite.org/walformat.html).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from glob import escape
from itertools import accumulate, groupby, islice
from pathlib import Path

import apsw
import numpy as np

from hybridstore.backends.sqlite import (
    document_rows,
    document_writes,
    fts5_terms,
    keyword_index,
    learning_rows,
    removal_rows,
)
from hybridstore.backends.sqlite.byte_search import WINDOW, Needles
from hybridstore.backends.sqlite.change_log import Log
from hybridstore.backends.sqlite.checksums import set_fact, unset_fact
from hybridstore.backends.sqlite.chunk_references import erasing
from hybridstore.backends.sqlite.connection import Connections, rows, value
from hybridstore.backends.sqlite.purge_targets import DocumentContent, Targets, remaining
from hybridstore.backends.sqlite.store_state import file_bytes
from hybridstore.backends.values import CompactReport, PurgeReport, Residue
from hybridstore.backends.versions import Removal, purged, removal_key
from hybridstore.errors import HybridstoreError, InputError
from hybridstore.text.analysis import Analyser

_IN_MEMORY = 256 * 2**20  # bytes of a file up to which VACUUM writes to memory first
_AT_ONCE = 2**23  # bytes searched together
_MOST = 100  # residues reported, of each kind in each file
_BINARY = {"vector", "code", "digest"}
_STILL_READ = "another process still reads the file as it was, so old pages stay in it and in its log"
PURGING = "purging"  # the fact that bytes of what was purged may be left, from the removal until the log is empty
_QUERIES = " UNION ".join(f"SELECT query FROM {table}" for table in ("asked", "feedback", "triples", "expectations"))


class Purging:
    """Purges and compactions of one open store, one at a time. What one could not finish, the next ones search for."""

    def __init__(self, connections: Connections, analyser: Callable[[], Analyser]) -> None:
        self._connections, self._analyser = connections, analyser
        self._lock = threading.Lock()
        self._unfinished = Targets()

    def purge(self, ids: Sequence[str], removals: Mapping[bytes, Removal], *, verify: bool) -> PurgeReport:
        """Purge documents; see the protocol."""
        began = time.perf_counter()
        if "" in ids:
            raise InputError("an id must not be empty; name the documents to purge")
        with closing(self._own()) as own, self._lock:
            report = self._purge(own, list(dict.fromkeys(ids)), removals, verify=verify)
        return replace(report, seconds=time.perf_counter() - began)

    def compact(self) -> CompactReport:
        """Merge the keyword index, rewrite the file and empty its log; see the protocol."""
        began = time.perf_counter()
        with closing(self._own()) as own, self._lock:
            before = file_bytes(own.path)
            with own.atomic() as connection:
                merge(connection)
            obstacle = _rewrite(own)
            emptied = _empty_log(own)
            if obstacle is not None:
                raise obstacle
            if emptied:
                _finish(own)
        remedy = "" if emptied else f"{_STILL_READ}: when that has ended, compact again"
        return CompactReport(before, file_bytes(own.path), remedy, time.perf_counter() - began)

    def _own(self) -> Connections:
        """Return connections for this alone: VACUUM allows no other statement, and `secure_delete` is not for all."""
        theirs = self._connections
        if theirs.get().in_transaction:
            raise InputError("a snapshot of this thread still reads the file as it is; leave it first")
        return Connections(theirs.file.path, theirs.busy_timeout, theirs.key, theirs.durability)

    def _purge(
        self, own: Connections, ids: Sequence[str], removals: Mapping[bytes, Removal], *, verify: bool
    ) -> PurgeReport:
        report, targets = self._remove(own, ids, removals)
        self._unfinished = targets  # set now, for what comes next may fail
        obstacle = _rewrite(own)
        emptied = _empty_log(own)
        found, unread = Findings(), ""
        if verify:
            try:
                with own.reading() as connection:
                    found = search(connection, own.path, targets)
            except (apsw.Error, OSError) as error:  # the documents are removed, which an error would not say
                unread = str(error) or type(error).__name__
        finished = emptied and not obstacle and not unread
        if finished and not found.residues:
            self._unfinished = Targets()
        if emptied and not obstacle and not found.residues:
            _finish(own)
        return replace(
            report,
            clean=finished and not found.residues if verify else None,
            wal_clean=emptied,
            needles=len(targets.needles) if verify else 0,
            excluded=found.excluded,
            unsearched=targets.needles.plain if verify else 0,
            files=found.files,
            residues=found.residues,
            remedy=_remedy(own.path, obstacle, unread, found, emptied=emptied),
        )

    def _remove(
        self, own: Connections, ids: Sequence[str], removals: Mapping[bytes, Removal]
    ) -> tuple[PurgeReport, Targets]:
        """Remove documents and what refers to them in one transaction; return what was removed and what it held."""
        with own.atomic() as connection, Log(connection) as log, erasing(connection):
            known = document_rows.known(connection, ids)
            documents = [each.row for each in known.values()]
            there = removal_rows.read(connection, [removal_key(id_) for id_ in ids])
            left = {**purged(ids, known, there), **removals}
            chunks = sum(len(document_rows.chunk_ids(connection, row)) for row in documents)
            content = DocumentContent(connection, self._analyser(), ids, documents)
            if documents or removals:
                set_fact(connection, PURGING, "1")  # in case this process is killed before the bytes are gone
            document_writes.remove(connection, log, documents)
            removal_rows.write(connection, left)
            learning_rows.drop_expectations_of(connection, ids)
            merge(connection)
            targets = self._still_removed(connection) + content.removed(connection)
            quoting = self._quoting(connection, targets)
            if quoting:
                learning_rows.forget_queries(connection, quoting)
        missing = tuple(id_ for id_ in ids if id_ not in known)
        return PurgeReport(documents=len(documents), chunks=chunks, questions=len(quoting), missing=missing), targets

    def _still_removed(self, connection: apsw.Connection) -> Targets:
        """Return the targets of an unfinished purge, without words that documents contain again."""
        words = (word for word in self._unfinished.words if not keyword_index.frequency(connection, word))
        return Targets(self._unfinished.needles, frozenset(words))

    def _quoting(self, connection: apsw.Connection, targets: Targets) -> list[str]:
        """Return the stored queries that hold targets that no document holds any more."""
        queries = [query for (query,) in rows(connection, _QUERIES)]
        quoting = set[str]()
        if targets.words:
            quoting.update(query for query in queries if not targets.words.isdisjoint(self._words(query)))
        encoded = [query.encode() for query in queries]
        starts = np.array([0, *accumulate(len(text) + 1 for text in encoded)])
        places, numbers = targets.needles.finder().find(b"\0".join(encoded))
        allowed = allowed_needles(connection, targets.needles, set(numbers))
        at = np.searchsorted(starts, np.array(places, np.intp), side="right") - 1
        quoting |= {queries[n] for n, number in zip(at.tolist(), numbers, strict=True) if number not in allowed}
        return sorted(quoting)

    def _words(self, query: str) -> list[str]:
        return [word for column in self._analyser().index(query) for word in column.split()]


def merge(connection: apsw.Connection) -> None:
    """Merge the keyword index to one segment, which leaves out the words of deleted rows."""
    connection.execute("INSERT INTO keywords (keywords) VALUES ('optimize')")


def _rewrite(own: Connections) -> apsw.Error | None:
    """Rewrite the whole file; return what prevented it, None if nothing did."""
    connection = own.get()
    own.file.check(connection)
    try:
        # Only what remains is written to a temporary file, but unencrypted.
        if own.key is None and Path(own.path).stat().st_size > _IN_MEMORY:
            connection.execute("PRAGMA temp_store = FILE")
        connection.execute("VACUUM")
    except (apsw.BusyError, apsw.FullError, apsw.IOError, apsw.NoMemError) as error:
        return error
    return None


def _finish(own: Connections) -> None:
    """Record that no bytes are left of what was purged; where that fails, `check` goes on advising to compact."""
    with suppress(HybridstoreError):
        if value(own.get(), "SELECT count(*) FROM meta WHERE key = ?", (PURGING,)):
            with own.atomic() as connection:
                unset_fact(connection, PURGING)
            _empty_log(own)


def _empty_log(own: Connections) -> bool:
    """Copy the write-ahead log into the file and truncate it; return False while another process reads from it."""
    deadline = time.monotonic() + own.busy_timeout
    while True:
        try:
            own.get().wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:  # SQLite itself waits for readers, but not for another's checkpoint, which is short
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        except apsw.Error:
            return False
        else:
            return True


@dataclass(frozen=True, slots=True)
class Findings:
    """The files that were read, what was found in them, and how many needles are also in documents that remain."""

    files: tuple[tuple[str, int], ...] = ()
    residues: tuple[Residue, ...] = ()
    excluded: int = 0


def search(connection: apsw.Connection, path: str, targets: Targets) -> Findings:
    """Search all files for the targets; inside a transaction, so that what remains is of one state."""
    finder = targets.needles.finder()
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
    allowed = allowed_needles(connection, targets.needles, {number for _, _, number in found})
    kinds = targets.needles.kinds
    left = sorted({(name, kinds[number], place) for name, place, number in found if number not in allowed})
    by_kind = groupby(left, key=lambda place: place[:2])
    residues = [Residue(*place) for _, places_ in by_kind for place in islice(places_, _MOST)]
    words = {word.encode() for word in targets.words}
    left_words = words.intersection(fts5_terms.terms(connection)) if words else set()
    again = {word for word in left_words if keyword_index.frequency(connection, word.decode())}  # added since
    residues += [Residue(path, "keyword", None) for _ in sorted(left_words - again)[:_MOST]]
    return Findings(tuple(files), tuple(residues), len(allowed) + len(again))


def allowed_needles(connection: apsw.Connection, needles: Needles, numbers: set[int]) -> set[int]:
    """Return those of the needles, by their numbers, that are part of documents that remain."""
    candidates = sorted(numbers)
    allowed: set[int] = set()
    if not candidates:
        return allowed
    some = needles.take(candidates)
    finder = some.finder()
    for data in remaining(connection, vectors=not _BINARY.isdisjoint(some.kinds)):
        allowed.update(candidates[number] for number in finder.find(data)[1])
    return allowed


def _files(connection: apsw.Connection, path: str) -> Iterator[tuple[str, Iterator[bytes]]]:
    yield path, _read_through(connection, 0, Path(path))
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size:
        yield str(log), _read_through(connection, 1, log)
    file = Path(path).absolute()
    names = [file, file.resolve()] if file.is_symlink() else [file]  # a copy may be named after either
    copies = sorted(copy for name in names for copy in name.parent.glob(f".{escape(name.name)}-*/*") if copy.is_file())
    for other in (Path(f"{path}-journal"), *copies):
        if other.exists() and other.suffix != ".db-shm":
            yield str(other), _read_blocks(other)


def _read_through(connection: apsw.Connection, which: int, file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    for offset in range(0, size, _AT_ONCE):
        yield connection.read("main", which, offset, min(_AT_ONCE, size - offset))[1]


def _read_blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(_AT_ONCE):
            yield block


def _remedy(path: str, obstacle: apsw.Error | None, unread: str, found: Findings, *, emptied: bool) -> str:
    remedies = []
    if obstacle:
        remedies.append(f"the file could not be rewritten ({obstacle}): make room, or wait, and call purge([])")
    if unread:
        remedies.append(f"what is left could not be searched ({unread}): call purge([])")
    if not emptied:
        remedies.append(f"{_STILL_READ}: when that has ended, call purge([])")
    copies = sorted({residue.file for residue in found.residues} - {path, f"{path}-wal"})
    if copies:
        remedies.append(f"copies hold it too: wait for the tuning that made them, or remove them: {', '.join(copies)}")
    if found.residues and not remedies:
        remedies.append("it has been written again meanwhile, in a query perhaps: call purge([])")
    return "; ".join(remedies)
