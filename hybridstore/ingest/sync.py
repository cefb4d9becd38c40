"""Sync: keeps a store up to date with files, reading those that are new or changed and pruning those that are gone."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePath
from types import MappingProxyType

from hybridstore.errors import InputError, MissingExtra
from hybridstore.ingest.readers import Noise, Unreadable, read
from hybridstore.ingest.readers.encodings import checked_encoding
from hybridstore.ingest.regular_files import open_file
from hybridstore.ingest.walk import Skipped, walk
from hybridstore.records import AddReport, Document, Source
from hybridstore.store import Store, Writer
from hybridstore.store.folders import Paths, SyncProgress, SyncReport
from hybridstore.store.inputs import checked

_PROGRESS_EVERY = 200  # documents of one file between two progress reports


def sync(
    store: Store,
    paths: Paths,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    hidden: bool = False,
    follow_links: bool = False,
    prune: bool = False,
    dry_run: bool = False,
    progress: Callable[[SyncProgress], None] | None = None,
    max_file_size: int | None = None,
    beneath: Sequence[Path] | None = None,
    encoding: str | None = None,
) -> SyncReport:
    """Read the files at and below these paths into the store; the other options are those of `walk`.

    A file with the same size and modification time as before is not opened again; with another time but the same
    SHA-256 it is unchanged too. A changed file's documents replace its former ones. `prune` removes the documents of
    files below the paths that no longer exist, but not those of files that `walk` now skips. Only one file's document,
    or one row of a table, is in memory at a time. `max_file_size` and `beneath` are those of `read`. `encoding` is that
    of text files that are not UTF-8, instead of a guess; with it, unchanged files are read again.

    Files are committed along the way, and count as read only with their last document: if a sync is stopped at any
    point, even by KeyboardInterrupt, the next one continues from there. A file that cannot be read does not stop the
    sync and keeps the documents it had; of a table, the rows before the invalid one are written.

    With `dry_run` files are opened and read, but nothing is written: the report says what a sync would do.

    Raises InputError, before anything is done, for a path that does not exist and an unknown encoding.
    """
    encoding = None if encoding is None else checked_encoding(encoding)
    roots = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    files = partial(walk, roots, include=include, exclude=exclude, hidden=hidden, follow_links=follow_links)
    # The totals take a separate walk, since a list of all files would grow with the folder.
    files_total, bytes_total = _totals(files()) if progress else (0, 0)
    run = _Run(store.sources(), progress, files_total, bytes_total, (max_file_size, beneath), encoding)
    with nullcontext() if dry_run else store.writer(progress=run.committed) as writer:
        for path in files(skipped=run.walked_past):
            run.read_file(writer, path)
            run.report_progress()
    run.report_progress()
    pruned, removed = _prune(store, roots, dry_run=dry_run) if prune else (0, 0)
    documents = writer.report if writer else AddReport(added=run.documents)
    return SyncReport(
        read=run.read,
        unchanged=run.unchanged,
        pruned=pruned,
        failed=tuple(run.failed),
        skipped=MappingProxyType(Counter(reason for _, reason in run.left_out)),
        notices=tuple(run.notices),
        documents=replace(documents, removed=documents.removed + removed),
        left_out=tuple(run.left_out),
        would_read=tuple(run.would_read),
    )


@dataclass(slots=True)
class _Run:
    """The state of one sync: the sources known at its start, and the counts so far."""

    known: Mapping[str, Source]
    progress: Callable[[SyncProgress], None] | None
    files_total: int
    bytes_total: int
    limits: tuple[int | None, Sequence[Path] | None] = (None, None)  # `max_file_size` and `beneath`
    encoding: str | None = None
    files: int = 0
    bytes: int = 0
    chunks: int = 0
    embedded: int = 0
    read: int = 0
    unchanged: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    would_read: list[str] = field(default_factory=list)
    documents: int = 0  # that were read
    missing: int = 0  # files whose reader is not installed
    notices: list[tuple[str, str]] = field(default_factory=list)

    def read_file(self, writer: Writer | None, path: Path) -> None:
        """Read one file into the store, unless it is there unchanged; without a writer only read it."""
        key = path.as_posix()
        self.files += 1
        try:
            status = path.stat()
            self.bytes += status.st_size
            before = self.known.get(key)
            if (
                not self.encoding
                and before
                and (before.size, before.modified_ns) == (status.st_size, status.st_mtime_ns)
            ):
                self.unchanged += 1
                return
            if not status.st_size and not before and stat.S_ISREG(status.st_mode):
                self.left_out.append((_printable(key), "empty"))
                return
            # Size and time are taken before the first byte is read, so a file that changes meanwhile is read again.
            source = Source(key, _digest(path, self.limits[1]), status.st_size, status.st_mtime_ns)
        except OSError as error:
            self.failed.append((_printable(key), f"cannot be read ({error.strerror or error})"))
            return
        left_out = len(self.left_out)
        if status.st_size and not self._add(writer, source):
            return
        if writer:
            writer.finish(source)
        if len(self.left_out) > left_out:  # noise: finished all the same, so that it is not read again
            return
        if before and before.digest == source.digest and not self.encoding:
            self.unchanged += 1
        else:
            self.read += 1
            if not writer:
                self.would_read.append(_printable(key))

    def _add(self, writer: Writer | None, source: Source) -> bool:
        """Add a file's documents; return False if it cannot be read to its end.

        This includes files that were only touched: their documents turn out unchanged, and none is embedded.
        """
        failures, missing = len(self.failed), self.missing
        with closing(self._documents(source.key)) as documents:
            for number, document in enumerate(documents, start=1):
                self.documents += 1
                if writer:
                    writer.add(document, source=source.key)  # an error here is the store's and stops the sync
                if number % _PROGRESS_EVERY == 0:
                    self.report_progress()
        return (len(self.failed), self.missing) == (failures, missing)

    def _documents(self, key: str) -> Generator[Document, None, None]:
        try:
            most, beneath = self.limits
            notice = partial(_noted, self.notices, key)
            for document in read(key, notice=notice, max_file_size=most, beneath=beneath, encoding=self.encoding):
                yield checked(document)
        except Noise as error:
            self.left_out.append((_printable(key), error.reason))
        except Unreadable as error:
            self.failed.append((error.path, error.reason))
        except MissingExtra as error:  # the file is left for the next sync
            self.missing += 1
            install = f"pip install 'hybridstore[{error.extra}]'"
            self.left_out.append((_printable(key), f"for lack of {error.package} ({install})"))
        except InputError as error:
            self.failed.append((key, str(error)))

    def walked_past(self, skipped: Skipped) -> None:
        """Note a file or folder that the walk skipped."""
        self.left_out.append((_printable(skipped.path.as_posix()), skipped.reason))

    def committed(self, report: AddReport) -> None:
        """Take over the writer's counts after a commit."""
        self.chunks, self.embedded = report.chunks, report.embedded
        self.report_progress()

    def report_progress(self) -> None:
        """Call the progress callback, if there is one."""
        if self.progress:
            counts = (self.files, self.files_total, self.bytes, self.bytes_total, self.chunks, self.embedded)
            self.progress(SyncProgress(*counts))


def _noted(notices: list[tuple[str, str]], key: str, sentence: str) -> None:
    notices.append((key, sentence))


def _totals(paths: Iterable[Path]) -> tuple[int, int]:
    files = size = 0
    for path in paths:
        files += 1
        with suppress(OSError):  # reported as a failure when it is read
            size += path.stat().st_size
    return files, size


def _digest(path: Path, beneath: Sequence[Path] | None) -> str:
    with open_file(path, beneath=beneath) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _printable(key: str) -> str:
    """Return a path in printable form, since names on disk need not be valid UTF-8."""
    return key.encode(errors="replace").decode()


def _prune(store: Store, paths: Iterable[str | os.PathLike[str]], *, dry_run: bool) -> tuple[int, int]:
    """Remove the sources below `paths` whose files are gone; return the numbers of files and of documents removed."""
    roots = [PurePath(os.path.abspath(path)).as_posix().rstrip("/") for path in paths]  # noqa: PTH100 - as in walk
    gone = [key for key in store.sources() if any(key.startswith(f"{root}/") for root in roots) and _is_gone(key)]
    return len(gone), store.remove_sources(gone) if gone and not dry_run else 0


def _is_gone(key: str) -> bool:
    """Return whether a file certainly does not exist, rather than being inaccessible."""
    try:
        Path(key).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
