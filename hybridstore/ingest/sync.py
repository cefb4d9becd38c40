"""Keeps a store in step with files: reads what is new or changed, leaves the rest, forgets what is gone."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePath
from types import MappingProxyType

from hybridstore.errors import InputError, MissingExtra
from hybridstore.ingest.readers import read
from hybridstore.ingest.text_decoding import Unreadable
from hybridstore.ingest.walk import Skipped, walk
from hybridstore.records import AddReport, Document, Source
from hybridstore.store import Store, Writer
from hybridstore.store.document_checks import checked

_EVERY = 200  # documents of one file between two signs of progress


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """How far a sync is: files and bytes done of those found, chunks embedded, and chunks written for good."""

    files: int
    files_total: int
    bytes: int
    bytes_total: int
    chunks: int
    embedded: int = 0


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did, in files: `read` (new or changed), `unchanged`, `pruned`, and those it could not read.

    `failed` are (path, why), in the order met; `skipped` counts what was left out, by reason. `documents` is what
    this came to in the store.
    """

    read: int = 0
    unchanged: int = 0
    pruned: int = 0
    failed: Sequence[tuple[str, str]] = ()
    skipped: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    documents: AddReport = field(default_factory=AddReport)


def sync(
    store: Store,
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    hidden: bool = False,
    follow_links: bool = False,
    prune: bool = False,
    progress: Callable[[SyncProgress], None] | None = None,
) -> SyncReport:
    """Bring the files at and below these paths into the store, and report.

    A file of the size and modification time it was read with is not opened again; one of other times but the same
    SHA-256 is unchanged too. A changed file's documents replace its former ones, those no longer in it go.
    `prune` removes the documents of files below the paths that exist no more; files that are there but left out
    by the rules of `walk` are kept, as is everything elsewhere. Holds one file's document, or one row, at a time.

    Files are committed as they come, and a file counts as read only with its last document: stopped at any
    point, even by KeyboardInterrupt, the next sync goes on from there. A file that cannot be read does not stop
    the run and keeps the documents it had; of a table, the rows before the broken one are written.

    Raises InputError, before anything is done, for a path that does not exist; errors of the store as they come.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found = partial(walk, given, include=include, exclude=exclude, hidden=hidden, follow_links=follow_links)
    # Totals are counted by a walk of their own: a list of all files would grow with the folder.
    files_total, bytes_total = _totals(found()) if progress else (0, 0)
    run = _Run(store.sources(), progress, files_total, bytes_total)
    with store.writer(progress=run.committed) as writer:
        for path in found(skipped=run.left_out):
            run.take(writer, path)
            run.tell()
    run.tell()
    pruned, removed = _prune(store, given) if prune else (0, 0)
    return SyncReport(
        read=run.read,
        unchanged=run.unchanged,
        pruned=pruned,
        failed=tuple(run.failed),
        skipped=MappingProxyType(dict(run.skipped)),
        documents=replace(writer.report, removed=writer.report.removed + removed),
    )


@dataclass(slots=True)
class _Run:
    """One sync's state: what the store knew at its start, and what was counted since."""

    known: Mapping[str, Source]
    progress: Callable[[SyncProgress], None] | None
    files_total: int
    bytes_total: int
    files: int = 0
    bytes: int = 0
    chunks: int = 0
    embedded: int = 0
    read: int = 0
    unchanged: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def take(self, writer: Writer, path: Path) -> None:
        """Bring one file into the store, if it is not there as it is."""
        key = path.as_posix()
        self.files += 1
        try:
            status = path.stat()
            self.bytes += status.st_size
            before = self.known.get(key)
            if before and (before.size, before.modified_ns) == (status.st_size, status.st_mtime_ns):
                self.unchanged += 1
                return
            if not status.st_size and not before:
                self.skipped["empty"] += 1
                return
            # Size and time are from before the first byte is read: a file that changes meanwhile is read again.
            source = Source(key, _digest(path), status.st_size, status.st_mtime_ns)
        except OSError as error:
            self.failed.append((_shown(key), f"cannot be read ({error.strerror or error})"))
            return
        if status.st_size and not self._add(writer, source):
            return
        writer.finish(source)
        if before and before.digest == source.digest:
            self.unchanged += 1
        else:
            self.read += 1

    def _add(self, writer: Writer, source: Source) -> bool:
        """Hand a file's documents to the writer; False if it cannot be read to its end.

        A file that was only touched takes this way too: its documents are found unchanged, none is embedded.
        """
        failures = len(self.failed)
        with closing(self._documents(source.key)) as documents:
            for number, document in enumerate(documents, start=1):
                writer.add(document, source=source.key)  # what goes wrong here is the store's, and stops the run
                if number % _EVERY == 0:
                    self.tell()
        return len(self.failed) == failures

    def _documents(self, key: str) -> Generator[Document, None, None]:
        try:
            for document in read(key):
                yield checked(document)
        except Unreadable as error:
            self.failed.append((error.path, error.reason))
        except (InputError, MissingExtra) as error:
            self.failed.append((key, str(error)))

    def left_out(self, skipped: Skipped) -> None:
        """Count what the walk left out."""
        self.skipped[skipped.reason] += 1

    def committed(self, report: AddReport) -> None:
        """Hear from the writer what is in the store by now."""
        self.chunks, self.embedded = report.chunks, report.embedded
        self.tell()

    def tell(self) -> None:
        """Report how far this is."""
        if self.progress:
            done = (self.files, self.files_total, self.bytes, self.bytes_total, self.chunks, self.embedded)
            self.progress(SyncProgress(*done))


def _totals(paths: Iterable[Path]) -> tuple[int, int]:
    files = size = 0
    for path in paths:
        files += 1
        with suppress(OSError):  # counted as a failure when its turn comes
            size += path.stat().st_size
    return files, size


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _shown(key: str) -> str:
    """Give a path as text that can be printed: names on disk need not be valid UTF-8."""
    return key.encode(errors="replace").decode()


def _prune(store: Store, paths: Iterable[str | os.PathLike[str]]) -> tuple[int, int]:
    """Forget files below `paths` that exist no more; give how many, and how many documents went with them."""
    roots = [PurePath(os.path.abspath(path)).as_posix().rstrip("/") for path in paths]  # noqa: PTH100 - as in walk
    gone = [key for key in store.sources() if any(key.startswith(f"{root}/") for root in roots) and _is_gone(key)]
    return len(gone), store.remove_sources(gone) if gone else 0


def _is_gone(key: str) -> bool:
    """Say whether a file is known not to be there; one that merely cannot be seen now is not."""
    try:
        Path(key).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
