"""One run of a sync: each file compared with what is known of it, then skipped, read, or recognised as moved."""

from __future__ import annotations

import hashlib
import stat
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, takewhile
from pathlib import Path, PurePath

from hybridstore.backends.values import StoredDocument
from hybridstore.errors import InputError, MissingExtra, NotFound
from hybridstore.ingest.readers import Noise, Unreadable, read
from hybridstore.ingest.regular_files import open_file
from hybridstore.ingest.walk import Skipped
from hybridstore.records import AddReport, Document, Source
from hybridstore.store import Store, Writer
from hybridstore.store.folders import SyncProgress
from hybridstore.store.inputs import checked

_PROGRESS_EVERY = 200  # documents of one file between two progress reports


@dataclass(slots=True)
class SyncRun:
    """The state of one sync: the sources known at its start, and the counts so far."""

    store: Store
    known: Mapping[str, Source]
    progress: Callable[[SyncProgress], None] | None
    files_total: int
    bytes_total: int
    limits: tuple[int | None, Sequence[Path] | None] = (None, None)  # `max_file_size` and `beneath`
    writer: Writer | None = None
    encoding: str | None = None
    reread: bool = False  # what is unchanged, too
    files: int = 0
    bytes: int = 0  # of the files that were read to the end
    chunks: int = 0
    embedded: int = 0
    read: int = 0
    unchanged: int = 0
    moved: dict[str, str] = field(default_factory=dict)  # where a file was -> where it is
    failed: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    would_read: list[str] = field(default_factory=list)
    documents: int = 0  # that were read
    missing: int = 0  # files whose reader is not installed
    notices: list[tuple[str, str]] = field(default_factory=list)
    _in_file: int = 0  # characters of the file that is being read
    _share: float | None = None  # of the embedding that comes last
    _characters: int = 0  # passed to the writer
    # (characters passed to the writer, bytes of the files that they are from), back to what is embedded.
    _marks: deque[tuple[int, int]] = field(default_factory=lambda: deque([(0, 0)]))
    _by_digest: dict[str, list[str]] | None = None

    def read_file(self, path: Path) -> None:
        """Read one file into the store, unless it is there unchanged; without a writer only read it."""
        key = path.as_posix()
        self.files += 1
        before = self.known.get(key)
        source = self._changed(path, before)
        if source is None:
            return
        try:
            self._take(source, before)
        finally:
            self._mark(source.size)

    def _take(self, source: Source, before: Source | None) -> None:
        """Read a new or changed file, or move its documents."""
        key, writer = source.key, self.writer
        left_out = len(self.left_out)
        same = before is not None and before.digest == source.digest and not self.reread
        moved_from = None if same or not source.size else self._moved_from(source)
        if source.size and not self._add(source, moved_from):
            return
        if writer:
            writer.finish(source)
        if len(self.left_out) > left_out:  # noise: finished all the same, so that it is not read again
            return
        if same:
            self.unchanged += 1
        elif moved_from is not None:
            self.moved[moved_from] = key
        else:
            self.read += 1
            if not writer:
                self.would_read.append(printable_path(key))

    def _changed(self, path: Path, before: Source | None) -> Source | None:
        """Return the state of a file that is to be read; None for one that is unchanged, empty or inaccessible."""
        key = path.as_posix()
        try:
            status = path.stat()
            if not self.reread and before and (before.size, before.modified_ns) == (status.st_size, status.st_mtime_ns):
                self.unchanged += 1
                return None
            if not status.st_size and not before and stat.S_ISREG(status.st_mode):
                self.left_out.append((printable_path(key), "empty"))
                return None
            # Size and time are taken before the first byte is read, so a file that changes meanwhile is read again.
            return Source(key, _digest(path, self.limits[1]), status.st_size, status.st_mtime_ns)
        except FileNotFoundError:  # since the walk, as temporary files do
            self.left_out.append((printable_path(key), "gone meanwhile"))
        except OSError as error:
            self.failed.append((printable_path(key), f"cannot be read ({error.strerror or error})"))
        return None

    def _moved_from(self, source: Source) -> str | None:
        """Return where a new file was before: a known file with the same bytes that is gone; None where there is none.

        Of several, such as copies in one folder, it is the one whose path ends like this one's.
        """
        if self._by_digest is None:
            self._by_digest = defaultdict(list)
            for key, known in self.known.items():
                self._by_digest[known.digest].append(key)
        beneath = self.limits[1]
        gone = [
            key
            for key in self._by_digest.get(source.digest, ())
            if key not in self.moved and is_gone(key) and (beneath is None or _is_beneath(key, beneath))
        ]
        return max(gone, key=lambda key: _same_end(key, source.key), default=None)

    def _add(self, source: Source, moved_from: str | None) -> bool:
        """Add a file's documents, or move them; return False if it cannot be read to its end.

        This includes files that were only touched: their documents turn out unchanged, and none is embedded.
        """
        failures, missing, writer = len(self.failed), self.missing, self.writer
        with closing(self._documents(source.key)) as documents:
            for number, document in enumerate(documents, start=1):
                self.documents += 1
                self._mark(source.size, document)
                if writer:  # an error here is the store's and stops the sync
                    stored = None if moved_from is None else self._stored(document, source.key, moved_from)
                    if stored is None:
                        writer.add(document, source=source.key)
                    else:
                        writer.move(stored, document, source=source.key)
                if number % _PROGRESS_EVERY == 0:
                    self.report_progress()
        return (len(self.failed), self.missing) == (failures, missing)

    def _stored(self, document: Document, key: str, moved_from: str) -> StoredDocument | None:
        """Return what is stored of a document of a file that moved; None where its text is another now."""
        try:
            stored = self.store.stored(moved_from + str(document.id).removeprefix(key), vectors=True)
        except NotFound:  # it has moved already, and the sync was stopped then
            return None
        return stored if stored.document.text == document.text else None

    def _documents(self, key: str) -> Generator[Document, None, None]:
        try:
            most, beneath = self.limits
            notice = partial(_noted, self.notices, key)
            for document in read(key, notice=notice, max_file_size=most, beneath=beneath, encoding=self.encoding):
                yield checked(document)
        except Noise as error:
            self.left_out.append((printable_path(key), error.reason))
        except Unreadable as error:
            self.failed.append((error.path, error.reason))
        except MissingExtra as error:  # the file is left for the next sync
            self.missing += 1
            install = f"pip install 'hybridstore[{error.extra}]'"
            self.left_out.append((printable_path(key), f"for lack of {error.package} ({install})"))
        except InputError as error:
            self.failed.append((key, str(error)))

    def walked_past(self, skipped: Skipped) -> None:
        """Note a file or folder that the walk skipped."""
        self.left_out.append((printable_path(skipped.path.as_posix()), skipped.reason))

    def committed(self, report: AddReport) -> None:
        """Take over the writer's counts after a commit."""
        self.chunks, self.embedded = report.chunks, report.embedded
        self.report_progress()

    def embedding(self, done: int, total: int) -> None:
        """Take over the count of vectors that are made once all is committed."""
        if self.progress:
            counts = (self.files, self.files_total, self.bytes_total, self.bytes_total, self.chunks)
            self.progress(SyncProgress(*counts, self.embedded + done, total - done, self._share))

    def worked(self, share: float) -> None:
        """Note which share of the embedding is done, before the count of it."""
        self._share = share

    def _mark(self, size: int, document: Document | None = None) -> None:
        """Note how far reading is: in a file of this size, or at its end."""
        if document is None:
            self.bytes, self._in_file = self.bytes + size, 0
            where = self.bytes
        else:
            length = len(document.text) + len(document.title)
            self._characters += length
            self._in_file += length
            where = self.bytes + min(self._in_file, size)
        if len(self._marks) > 1 and self._marks[-1][0] == self._characters:
            self._marks.pop()
        self._marks.append((self._characters, where))

    def _bytes_done(self) -> int:
        """Return the bytes of the files whose text is committed, which lags behind what was read."""
        done = self._characters if self.writer is None else self.writer.characters
        while len(self._marks) > 1 and self._marks[1][0] <= done:
            self._marks.popleft()
        (start, first), *rest = islice(self._marks, 2)
        if not rest or done <= start:
            return first
        ((end, last),) = rest
        return round(first + (last - first) * (done - start) / (end - start))

    def report_progress(self) -> None:
        """Call the progress callback, if there is one."""
        if self.progress:
            counts = (self.files, self.files_total, self._bytes_done(), self.bytes_total, self.chunks, self.embedded)
            self.progress(SyncProgress(*counts))


def _noted(notices: list[tuple[str, str]], key: str, sentence: str) -> None:
    notices.append((key, sentence))


def _digest(path: Path, beneath: Sequence[Path] | None) -> str:
    with open_file(path, beneath=beneath) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_beneath(key: str, folders: Sequence[Path]) -> bool:
    return any(PurePath(key).is_relative_to(folder) for folder in folders)


def _same_end(one: str, other: str) -> int:
    """Return how many of the last parts of two paths are the same."""
    pairs = zip(reversed(one.split("/")), reversed(other.split("/")), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def printable_path(key: str) -> str:
    """Return a path in printable form, since names on disk need not be valid UTF-8."""
    return key.encode(errors="replace").decode()


def is_gone(key: str) -> bool:
    """Return whether a file certainly does not exist, rather than being inaccessible."""
    try:
        Path(key).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
