"""Carries a store's content as lines of JSON: out of one file and into another, with its vectors or without.

The first line is the header: the format's version, the language, the embedder, the number of documents, whether
vectors are there. Every other line is a document with its chunks as [start, end, heading]; `vectors` holds their
float32 values, little-endian, row after row, in base64. Names that end in .gz are compressed.

What belongs to the machine is left behind: chunk ids, revisions, and the times of files that were read. The next
`sync` reads those files once more and finds their documents unchanged.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

from hybridstore import filters
from hybridstore.errors import FileRefused, InputError
from hybridstore.filters import Filter
from hybridstore.ingest.exported import Header, Row, document_line, header_line, read_header, read_row
from hybridstore.records import AddReport
from hybridstore.store import Store

_AT_ONCE = 200  # documents whose digests are asked for together

File = str | os.PathLike[str] | IO[bytes]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Incoming:
    """An export that is being read: its name, its header, and the lines after it as (number, bytes)."""

    name: str
    header: Header
    lines: Iterator[tuple[int, bytes]]


def export(
    store: Store,
    file: File,
    *,
    vectors: bool = False,
    where: Mapping[str, Any] | Filter | None = None,
    progress: Progress | None = None,
) -> int:
    """Write the documents that pass the filter, of one state of the store; give how many there were.

    A path takes its name only when all is written, and an export that is already there is replaced. `progress`
    gets (done, of). Raises FileRefused for a path that holds something else or cannot be written.
    """
    wanted = filters.parse(where)
    backend = store.backend
    with _writing(file) as stream, backend.snapshot():
        total = backend.count() if wanted is None else sum(1 for _ in backend.scan(wanted))
        background = backend.background() if vectors and wanted is None else None
        stream.write(header_line(Header(backend.language, backend.embedding(), total, vectors, background)))
        done = 0
        documents = backend.scan(wanted, vectors=vectors)
        while page := list(islice(documents, _AT_ONCE)):
            digests = backend.digests([str(stored.document.id) for stored in page])
            stream.writelines(document_line(stored, digests[str(stored.document.id)]) for stored in page)
            done += len(page)
            if progress:
                progress(done, total)
    return done


def load(store: Store, file: File | Incoming, *, vectors: bool = True, progress: Progress | None = None) -> AddReport:
    """Bring an export's documents into the store, cut as they were, and report as `Store.add` does.

    With vectors in the file no model runs, and chunks that had none get none; without them, or with
    `vectors=False`, the store's embedder makes them. Documents that are there already stay as they are, so what
    was stopped can be run again. `progress` gets (done, of).

    Raises EmbedderMismatch, before anything is written, for vectors of another embedder than the store's;
    InputError for a file that is no export, and for a broken line or a missing end: what stands before it is kept.
    """
    if not isinstance(file, Incoming):
        with reading(file) as incoming:
            return load(store, incoming, vectors=vectors, progress=progress)
    header = file.header

    def told(report: AddReport) -> None:
        if progress:
            progress(report.added + report.replaced + report.unchanged, header.documents)

    with store.writer(progress=told) as writer:
        if vectors and header.vectors and header.embedding is not None:
            writer.bring(header.embedding)
        try:
            for row in _rows(file):
                writer.add_cut(
                    row.document,
                    row.chunks,
                    row.vectors,
                    whole=row.kept == "whole",
                    given=row.kept == "given",
                    source=row.source,
                )
        except InputError:
            writer.flush()
            raise
    measured, active = header.background, store.backend.embedding()
    known = store.backend.background() is not None
    if measured is not None and not known and active is not None and active.fingerprint == measured.fingerprint:
        store.backend.remember(measured)  # no model runs here that could measure it
    return writer.report


@contextmanager
def reading(file: File) -> Iterator[Incoming]:
    """Open an export and read its header, to see what it holds before a store is opened for it.

    Raises FileRefused for a file that cannot be opened, InputError for one that is no export or of a newer kind.
    """
    with ExitStack() as stack:
        if isinstance(file, str | os.PathLike):
            name = os.fspath(file)
            try:
                stream = stack.enter_context(_opened(name))
            except OSError as error:
                raise FileRefused(name, f"cannot be read ({error.strerror or error})") from error
        else:
            name, stream = str(getattr(file, "name", "the stream")), file
        lines = _numbered(stream, name)
        yield Incoming(name, read_header(next(lines, (1, b""))[1], name), lines)


def _opened(name: str) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(name) if name.lower().endswith(".gz") else Path(name).open("rb"))


@contextmanager
def _writing(file: File) -> Iterator[IO[bytes]]:
    if not isinstance(file, str | os.PathLike):
        yield file
        return
    path = Path(file)
    _refuse_foreign(path)
    # A device or a pipe is written as it is; a file gets its name when it is whole.
    part = path.with_name(f"{path.name}.part") if path.is_file() or not path.exists() else path
    try:
        with ExitStack() as stack:
            stream: Any = stack.enter_context(part.open("wb"))
            if path.name.lower().endswith(".gz"):
                stream = stack.enter_context(gzip.GzipFile("", "wb", fileobj=stream, mtime=0))
            yield stream
        if part != path:
            part.replace(path)
    except OSError as error:
        raise FileRefused(str(path), f"cannot be written ({error.strerror or error})") from error
    finally:
        if part != path:
            part.unlink(missing_ok=True)


def _refuse_foreign(path: Path) -> None:
    """See that no file is replaced but a former export: a slip of the hand must not cost anyone a database."""
    if path.is_dir():
        raise FileRefused(str(path), "is a folder; name a file in it")
    if not path.is_file() or not path.stat().st_size:
        return
    try:
        with reading(path):
            return
    except InputError as error:
        raise FileRefused(
            str(path), "is already there and no export of a store, so it was left as it is; choose another name"
        ) from error


def _numbered(stream: IO[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _broken(name, number + 1, f"the compressed file is cut off or damaged ({error})") from error
    except OSError as error:
        raise FileRefused(name, f"cannot be read ({error.strerror or error})") from error


def _rows(incoming: Incoming) -> Iterator[Row]:
    count = 0
    for number, line in incoming.lines:
        try:
            row = read_row(line, incoming.header)
        except (ValueError, RecursionError) as error:  # ours too: an InputError is a ValueError
            raise _broken(incoming.name, number, str(error)) from error
        count += 1
        yield row
    if count < incoming.header.documents:
        raise InputError(
            f"{incoming.name} ends after {count} of {incoming.header.documents} documents; those are in the "
            "store, and importing the whole file goes on from there"
        )


def _broken(name: str, number: int, reason: str) -> InputError:
    return InputError(
        f"{name}, line {number}: {reason}; the documents before it are in the store, and importing again goes on "
        "from there"
    )
